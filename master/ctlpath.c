#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "master/ctlpath.h"

#define CTLPATH_DEFAULT ARGAND_RUNSTATEDIR "/control.sock"

bool
ctlpath_candidate(struct str configured, unsigned i, char *path, size_t len)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	bool is_default = configured.n == 0 || str_eq(configured, STR(CTLPATH_DEFAULT));

	if (i == 0 && configured.n > 0)
		snprintf(path, len, "%.*s", STR_FMT(configured));
	else if (i == 0)
		snprintf(path, len, "%s", CTLPATH_DEFAULT);
	else if (!is_default || geteuid() == 0)
		return false;
	else if (i == 1)
		snprintf(path, len, "%s/argand.sock", run && run[0] == '/' ? run : "/nonexistent");
	else
		snprintf(path, len, "/tmp/argand-%u.sock", (unsigned)geteuid());
	return i <= 2;
}

static bool
ctlpath_is_writable(const char *path)
{
	char dir[256];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return access(".", W_OK) == 0;
	*slash = '\0';
	if (dir[0] && access(dir, F_OK) != 0)
		mkdir(dir, 0755);
	return access(dir[0] ? dir : "/", W_OK) == 0;
}

void
ctlpath_for_server(struct str configured, char *path, size_t len)
{
	for (unsigned i = 0; ctlpath_candidate(configured, i, path, len); i++)
		if (ctlpath_is_writable(path))
			return;
	ctlpath_candidate(configured, 0, path, len); /* its error is the one to report */
}

/* A broken configuration is just what `argand reload` shall report, so its socket must be found
   without reading it as one: a line  control = "/path";  outside of comments. */
static struct str
ctlpath_scan(const char *file, char *room, size_t len)
{
	FILE *f = fopen(file, "re");
	struct str found = { NULL, 0 };
	char line[1024];

	while (f && !found.p && fgets(line, sizeof(line), f)) {
		char *p = line + strspn(line, " \t"), *end;

		if (strncmp(p, "control", 7) != 0)
			continue;
		p += 7 + strspn(p + 7, " \t");
		p += *p == '=' || *p == ':';
		p += strspn(p, " \t");
		end = *p == '"' ? strchr(p + 1, '"') : NULL;
		if (!end || p[1] != '/')
			continue;
		*end = '\0';
		snprintf(room, len, "%s", p + 1);
		found = str_of(room);
	}
	if (f)
		fclose(f);
	return found;
}

struct str
ctlpath_configured(const char *file, char *room, size_t len)
{
	struct cfg_errors *errors;
	struct conf *conf = conf_load(file, &errors);
	struct str found = { room, 0 };

	cfg_errors_free(errors);
	if (!conf)
		return ctlpath_scan(file, room, len);
	snprintf(room, len, "%.*s", STR_FMT(conf->process.control));
	found.n = strlen(room);
	conf_free(conf);
	return found;
}

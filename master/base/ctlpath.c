#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "common/base/must.h"
#include "common/base/safedir.h"
#include "master/base/ctlpath.h"

#define CTLPATH_DEFAULT ARGAND_RUNSTATEDIR "/control.sock"

enum { CTLPATH_FILE = 1 << 18 }; /* as far as a broken file is looked through */

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
	char dir[256], why[SAFEDIR_WHY];
	struct safedir above;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return access(".", W_OK) == 0;
	*slash = '\0';
	if (dir[0] && access(dir, F_OK) != 0 && safedir_open(&above, dir, why) == 0) {
		mkdirat(above.fd, above.name, 0755);
		safedir_close(&above);
	}
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

/* Whether `control` at p is an option that is set, and not part of a word or of a comment; the path
   between its quotes. */
static struct str
ctlpath_value(const char *text, const char *p)
{
	const char *line = p, *end;

	while (line > text && line[-1] != '\n')
		line--;
	if (memchr(line, '#', (size_t)(p - line)) || (p > text && strchr("_.-\"", p[-1])))
		return (struct str){ NULL, 0 };
	p += strlen("control");
	p += strspn(p, " \t");
	if (*p != '=' && *p != ':')
		return (struct str){ NULL, 0 };
	p += 1 + strspn(p + 1, " \t");
	end = *p == '"' ? strchr(p + 1, '"') : NULL;
	return end ? str_n(p + 1, (size_t)(end - p) - 1) : (struct str){ NULL, 0 };
}

/* A broken configuration is just what `argand reload` shall report, so its socket must be found
   without reading it as one. */
static struct str
ctlpath_scan(const char *file, char *room, size_t len)
{
	FILE *f = fopen(file, "re");
	struct str found = { NULL, 0 };
	char *text = must_calloc(1, CTLPATH_FILE + 1);

	if (f && fread(text, 1, CTLPATH_FILE, f) > 0)
		for (const char *p = text; !found.p && (p = strstr(p, "control")) != NULL; p++)
			found = ctlpath_value(text, p);
	if (found.p && found.n > 0 &&
	    found.p[0] != '/') /* as all paths: from the file's directory */
		snprintf(room, len, "%.*s%.*s",
		    (int)(strrchr(file, '/') ? strrchr(file, '/') + 1 - file : 0), file,
		    STR_FMT(found));
	else if (found.p)
		snprintf(room, len, "%.*s", STR_FMT(found));
	else
		room[0] = '\0';
	free(text);
	if (f)
		fclose(f);
	return str_of(room);
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

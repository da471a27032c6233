#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/http.h"
#include "common/base/log.h"
#include "common/config/conf.h"
#include "modules/gateway/uploadconf.h"
#include "modules/gateway/uploadform.h"

/* "0640": octal, with rights for our own user, which reads it again to remove it. */
static bool
uploadconf_mode(struct str text, mode_t *mode)
{
	unsigned v = 0;

	if (text.n < 3 || text.n > 4)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '7')
			return false;
		v = v << 3 | (unsigned)(text.p[i] - '0');
	}
	*mode = (mode_t)v;
	return v <= 0777 && (v & 0600) == 0600;
}

static void
uploadconf_check_directory(const struct upload_conf *u, struct cfg_check *check)
{
	struct stat st;

	if (u->directory.p[0] != '/')
		cfg_error(check, "gateway.upload.directory", -1,
		    "upload = \"/var/lib/app/uploads\";", "the directory is no absolute path");
	else if (!http_is_field_value(u->directory))
		cfg_error(check, "gateway.upload.directory", -1, NULL,
		    "control characters in the directory");
	else if (u->directory.n > 3000)
		cfg_error(check, "gateway.upload.directory", -1, NULL, "the path is too long");
	else if (stat(u->directory.p, &st) != 0)
		cfg_error(check, "gateway.upload.directory", -1,
		    "make it; workers and the application must be able to write there", "%.*s: %s",
		    STR_FMT(u->directory), strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		cfg_error(check, "gateway.upload.directory", -1, NULL, "%.*s is no directory",
		    STR_FMT(u->directory));
}

void
uploadconf_check(struct gateway_conf *c, struct cfg_check *check)
{
	struct upload_conf *u = &c->upload;
	const struct gateway_pair *set = c->set.v;
	char name[64];
	struct group *group;

	if (str_eq(u->directory, STR("off")))
		u->directory = STR("");
	u->gid = (gid_t)-1;
	if (u->directory.n == 0)
		return;
	uploadconf_check_directory(u, check);
	if (!uploadconf_mode(u->mode_text, &u->mode))
		cfg_error(check, "gateway.upload.mode", -1, "mode = \"0640\";",
		    "\"%.*s\" is not a file's mode in octal that lets its owner read and write",
		    STR_FMT(u->mode_text));
	if (u->group_text.n > 0) {
		snprintf(name, sizeof(name), "%.*s", STR_FMT(u->group_text));
		group = getgrnam(name);
		if (group)
			u->gid = group->gr_gid;
		else
			cfg_error(check, "gateway.upload.group", -1, NULL,
			    "there is no group \"%s\"", name);
	}
	for (size_t i = 0; i < c->set.n; i++) {
		if (uploadform_is_reserved(set[i].name))
			cfg_error(check, "gateway.set", -1, "take it out of the list",
			    "\"%.*s\" is the server's own where 'gateway.upload' is set",
			    STR_FMT(set[i].name));
	}
	uploadform_reserve(check->arena, c);
}

/* What workers may do is not what the master that checked it may. */
static void
uploadconf_begin(struct worker *w, struct str directory)
{
	if (access(directory.p, W_OK | X_OK) != 0)
		log_at(LOG_ERROR_, "gateway", false,
		    "gateway.upload.directory %s: workers cannot write there: %s", directory.p,
		    strerror(errno));
	uploadfile_sweep(w, directory);
}

void
uploadconf_start(const struct conf *conf, struct worker *w, const struct module *module)
{
	struct str last = { NULL, 0 };

	for (size_t i = 0; i < conf->nsites; i++) {
		const struct site *s = &conf->sites[i];

		for (size_t k = 0; k < s->nroutes; k++) {
			const struct conf_hooks *hooks = &s->routes[k].handle;

			for (size_t h = 0; h < hooks->n; h++) {
				const struct gateway_conf *c = hooks->v[h].conf;

				if (hooks->v[h].module != module || c->upload.directory.n == 0 ||
				    str_eq(c->upload.directory, last))
					continue;
				last = c->upload.directory;
				uploadconf_begin(w, last);
			}
		}
	}
}

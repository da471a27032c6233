#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/base/safedir.h"
#include "common/config/build.h"
#include "common/config/conf_trust.h"

struct trust {
	struct conf *conf;
	struct cfg_errors *errors;
};

/* --- who would be root --- */

const char *
conf_risk_text(enum conf_risk risk)
{
	if (risk == RISK_ROOT_WORKERS)
		return "workers run as root, and so does whoever takes one over: "
		       "set 'user' in server: { }";
	return "processes of backends run as root: set 'spawn.user' in their pools";
}

/* A process that root starts as this user (empty: as root). Users that there are not are reported
   elsewhere. */
static bool
trust_is_root(struct str user)
{
	const struct passwd *pw = user.n ? getpwnam(user.p) : NULL;

	return geteuid() == 0 && (user.n == 0 || (pw && pw->pw_uid == 0));
}

/* As master/local/spec.c does it. */
static bool
trust_is_root_pool(const struct conf *conf, const struct conf_pool *p)
{
	return conf_pool_is_local(p) &&
	       trust_is_root(p->spawn.user.n ? p->spawn.user : conf->process.user);
}

unsigned
conf_risks(const struct conf *conf)
{
	unsigned risks = trust_is_root(conf->process.user) ? RISK_ROOT_WORKERS : 0;

	for (size_t i = 0; i < conf->npools; i++)
		if (trust_is_root_pool(conf, &conf->pools[i]))
			risks |= RISK_ROOT_BACKENDS;
	return risks;
}

static void
trust_workers(struct trust *t)
{
	const struct scope *server = t->conf->origin->server;
	const struct cfg_place *at = scope_place(server, CORE_SERVER, "user");

	/* `argand serve` has no file to mend, and says it in its own words. */
	if (t->conf->file && trust_is_root(t->conf->process.user))
		cfg_errors_add(t->errors, false, at->file ? *at : server->place,
		    "server: { user = \"www-data\"; }, or any user without rights of its own",
		    "%s, so root is what workers are, and whoever takes one over",
		    at->file ? "'user' is root" : "'user' is not set");
}

/* A script as root is asked for by whoever can send a request: somebody must have meant that. */
static void
trust_pool(struct trust *t, const struct conf_pool *p)
{
	if (!trust_is_root_pool(t->conf, p))
		return;
	if (p->protocol == POOL_CGI && p->spawn.user.n == 0)
		cfg_errors_add(t->errors, true, p->place,
		    "spawn: { user = \"www-data\"; }, or user = \"root\" if that is meant",
		    "the scripts of pool \"%.*s\" would run as root", STR_FMT(p->name));
	else
		cfg_errors_add(t->errors, false, p->place, "spawn: { user = \"www-data\"; }",
		    "the processes of pool \"%.*s\" run as root", STR_FMT(p->name));
}

/* --- what others may change --- */

/* The way to a file leads through a directory of others. False: it cannot be looked at. */
static bool
trust_way(struct trust *t, struct cfg_place at, const char *path, const char *what)
{
	char why[SAFEDIR_WHY];
	struct safedir d;

	if (safedir_open(&d, path, why) < 0)
		return false;
	if (d.is_shared)
		cfg_errors_add(t->errors, false, at,
		    cfg_errors_printf(
			t->errors, "chown root %s; chmod go-w %s", d.shared, d.shared),
		    "%s %s: %s %s", what, path, d.shared, d.by);
	safedir_close(&d);
	return true;
}

static void
trust_logs(struct trust *t)
{
	const struct conf *conf = t->conf;
	const struct scope *server = conf->origin->server;
	const struct cfg_place *at = scope_place(server, CORE_SERVER, "error_log");

	for (size_t i = 0; i < conf->log_files.n; i++)
		if (conf->log_files.v[i].n && conf->log_files.v[i].p[0] == '/')
			trust_way(t, server->place, conf->log_files.v[i].p,
			    "others can read, replace and remove the log");
	if (conf->process.error_log.n && conf->process.error_log.p[0] == '/')
		trust_way(t, at->file ? *at : server->place, conf->process.error_log.p,
		    "others can read, replace and remove the log");
}

/* Who may write it may have commands executed by root (logs, spawn.user). */
static void
trust_file(struct trust *t, struct str file)
{
	struct cfg_place at = { file.p, 0, 0 };
	struct stat st;
	char by[128];

	if (!trust_way(t, at, file.p,
		"others can replace the configuration, and have us do what they want:"))
		return;
	if (stat(file.p, &st) == 0 && safedir_is_others(&st, by, sizeof(by)))
		cfg_errors_add(t->errors, false, at,
		    cfg_errors_printf(t->errors, "chown root %s; chmod go-w %s", file.p, file.p),
		    "others can change the configuration, and have us do what they want: it %s",
		    by);
}

/* --- who is on this machine --- */

/* The value of a module's bool or enum in a route, by the name of its row. */
static bool
trust_is_on(const struct route *route, const char *module, const char *option)
{
	for (size_t m = 0; m < core_modules_n; m++) {
		const struct cfg_opt *o = core_modules[m]->opts;

		if (strcmp(core_modules[m]->name, module) != 0)
			continue;
		for (; o && o->type != CFG_END; o++) {
			const char *at = (const char *)route->conf[m] + o->offset;

			if (strcmp(o->name, option) == 0)
				return o->type == CFG_BOOL ? *(const bool *)at
							   : *(const int *)at != 0;
		}
	}
	return false;
}

/* A status page for clients on this machine only, where we cannot know the address of a proxy's
   client (no trusted proxies, or no realip): a proxy on this machine would let everybody in. */
static const struct route *
trust_status(const struct conf *conf)
{
	for (size_t i = 0; i < conf->nsites; i++)
		for (size_t k = 0; k < conf->sites[i].nroutes; k++) {
			const struct route *r = &conf->sites[i].routes[k];

			if (trust_is_on(r, "status", "status.enabled") &&
			    !trust_is_on(r, "status", "status.remote") &&
			    (conf->trusted.n == 0 || !trust_is_on(r, "realip", "realip")))
				return r;
		}
	return NULL;
}

/* Whoever connects there is a proxy; where the PROXY protocol is believed it names the client. */
static void
trust_listens(struct trust *t)
{
	const struct route *status = trust_status(t->conf);

	for (size_t i = 0; status && i < t->conf->nlistens; i++) {
		const struct conf_listen *l = &t->conf->listens[i];

		if (l->family == LISTEN_UNIX && !l->proxy_protocol)
			cfg_errors_add(t->errors, false, l->place,
			    "server: { trusted_proxies = \"unix\"; realip = \"x-forwarded-for\"; "
			    "}, or "
			    "status.remote with access or auth",
			    "the status at %s answers nobody here: who comes through %.*s is taken "
			    "for "
			    "a proxy",
			    status->label, STR_FMT(l->text));
	}
}

struct conf *
conf_trust(struct conf *conf, struct cfg_errors *errors)
{
	struct trust t = { conf, errors };
	size_t before = cfg_errors_count(errors);

	if (!conf)
		return NULL;
	trust_workers(&t);
	for (size_t i = 0; i < conf->npools; i++)
		trust_pool(&t, &conf->pools[i]);
	trust_logs(&t);
	trust_listens(&t);
	for (size_t i = 0; i < conf->files.n; i++)
		trust_file(&t, conf->files.v[i]);
	if (cfg_errors_count(errors) == before)
		return conf;
	conf_free(conf);
	return NULL;
}

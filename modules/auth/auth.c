/*
 * Basic authentication (RFC 7617). Password hashes are slow on purpose, so verifying is done beside
 * the loop, in one lane: of a worker's helper threads at most one is ever busy with passwords. What
 * was right is remembered for a while (cache.h); what was wrong never is. The number of attempts
 * that wait is bounded: beyond it, clients get a 503 with Retry-After.
 *
 * Ownership: an attempt (struct auth_job) owns itself and everything that its thread reads, for
 * requests may end before it does. Requests with the same credentials wait for one attempt; a wait
 * is part of its request's arena and leaves the attempt when the request ends.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "common/base/must.h"
#include "modules/auth/cache.h"
#include "modules/auth/file.h"
#include "worker/request.h"

enum { AUTH_LANE = 63, AUTH_JOBS = 32 };

struct auth {
	bool enabled;
	struct str users, realm;
	struct cfg_strs require;
	int64_t cache;
	/* derived */
	struct auth_file *file;
	struct str challenge; /* the value of WWW-Authenticate */
};

static const struct cfg_opt auth_opts[] = {
	{ "auth.enabled", CFG_BOOL, CFG_ANY | CFG_SHORT, offsetof(struct auth, enabled),
	    .def = "true",
	    .help = "\"auth = false;\" lets everybody into a route of a protected site.",
	    .example = "auth = false;" },
	{ "auth.users", CFG_PATH, CFG_ANY | CFG_NONEMPTY, offsetof(struct auth, users),
	    .help =
		"A file of names and password hashes as htpasswd writes it: bcrypt (htpasswd -B), "
		"yescrypt, SHA-512, SHA-256, apr1, {SHA}. Passwords in the clear are refused. A "
		"change of the file counts within a second, if the workers' user may read it; a "
		"file that only root may read is read at load and reload.",
	    .example = "auth: { realm = \"Team\"; users = \"users.htpasswd\"; };" },
	{ "auth.realm", CFG_STR, CFG_ANY, offsetof(struct auth, realm), .def = "Restricted",
	    .help = "What browsers say the password is for." },
	{ "auth.require", CFG_STRS, CFG_ANY, offsetof(struct auth, require),
	    .help = "Only these names; others who sign in get 403. Not set: everybody in the "
		    "file.",
	    .example = "auth: { require = [ \"ann\", \"bob\" ]; };" },
	{ "auth.cache", CFG_TIME, CFG_ANY, offsetof(struct auth, cache), .min = 0, .max = 86400000,
	    .def = "5m",
	    .help = "How long a worker remembers (as a keyed hash) that a password was right, "
		    "before it is verified again. 0s: verify each request, which costs as long "
		    "as the hash takes." },
	{ 0 },
};

/* Requests with equal credentials, and the attempt that decides on them. */
struct auth_job {
	struct job job;
	struct link link; /* of auth_jobs */
	struct link waits;
	uint8_t mac[AUTH_MAC];
	uint64_t until_ms; /* how long the result counts, once it is there */
	bool is_decoy;     /* nobody has this name: wrong whatever the hash says */
	bool ok;
	char hash[HTPASSWD_HASH_MAX + 1];
	char password[HTPASSWD_PASSWORD_MAX + 1];
};

struct auth_wait {
	struct link link; /* of auth_job.waits */
	struct request *r;
	const struct auth *conf;
	struct str user;
};

static struct link auth_jobs;
static unsigned auth_njobs;

/* --- configuration --- */

/* RFC 9110 5.6.4; charset: RFC 7617 2.1. */
static struct str
auth_challenge(struct arena *a, struct str realm)
{
	char *quoted = arena_alloc(a, realm.n * 2 + 1), *p = quoted;

	for (size_t i = 0; i < realm.n; i++) {
		if (realm.p[i] == '"' || realm.p[i] == '\\')
			*p++ = '\\';
		*p++ = realm.p[i];
	}
	*p = '\0';
	return arena_printf(a, "Basic realm=\"%s\", charset=\"UTF-8\"", quoted);
}

static void
auth_check(void *conf, struct cfg_check *check)
{
	struct auth *c = conf;

	c->file = NULL;
	if (!c->enabled)
		return;
	if (!http_is_field_value(c->realm))
		cfg_error(check, "auth.realm", -1, NULL, "control characters in the realm");
	if (c->users.n > 0)
		c->file = auth_file_load(check, "auth.users", c->users);
	else if (cfg_is_set(check, "auth.realm") || cfg_is_set(check, "auth.require"))
		cfg_error(check, cfg_is_set(check, "auth.realm") ? "auth.realm" : "auth.require",
		    -1, "auth: { users = \"users.htpasswd\"; … }", "auth.users is missing");
	c->challenge = auth_challenge(check->arena, c->realm);
}

static bool
auth_active(const void *conf)
{
	const struct auth *c = conf;

	return c->enabled && c->file;
}

/* --- answers --- */

static void
auth_refuse(struct request *r, const struct auth *c, const char *why)
{
	res_field(r, HF_WWW_AUTHENTICATE, c->challenge);
	res_error(r, 401, why);
}

/* Whether the one who signed in may go on; answers when not. */
static bool
auth_admit(struct request *r, const struct auth *c, struct str user)
{
	bool ok = c->require.n == 0;

	r->user = user;
	for (size_t i = 0; i < c->require.n; i++)
		ok |= str_eq(c->require.v[i], user);
	if (!ok)
		res_error(r, 403, "auth.require does not list this user");
	return ok;
}

/* --- attempts --- */

static void
auth_job_work(struct job *job)
{
	struct auth_job *j = container_of(job, struct auth_job, job);

	j->ok = htpasswd_verify(j->hash, j->password) && !j->is_decoy;
}

static void
auth_job_done(struct job *job)
{
	struct auth_job *j = container_of(job, struct auth_job, job);
	uint64_t now = worker_now(worker_self());
	struct link *l;

	list_del(&j->link);
	auth_njobs--;
	if (j->ok)
		auth_cache_put(j->mac, now, now + j->until_ms);
	while ((l = list_pop(&j->waits)) != NULL) {
		struct auth_wait *wait = container_of(l, struct auth_wait, link);
		struct request *r = wait->r;

		if (!j->ok)
			auth_refuse(r, wait->conf, "wrong name or password");
		else if (auth_admit(r, wait->conf, wait->user))
			request_continue(r);
	}
	explicit_bzero(j, sizeof(*j));
	free(j);
}

static void
auth_job_copy(char *dst, size_t room, struct str s)
{
	must(s.n < room);
	memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
}

static struct auth_job *
auth_job_new(
    const struct auth *c, const uint8_t mac[AUTH_MAC], const char *hash, struct str password)
{
	struct auth_job *j = must_calloc(1, sizeof(*j));

	j->job.work = auth_job_work;
	j->job.done = auth_job_done;
	j->job.lane = AUTH_LANE;
	j->until_ms = (uint64_t)c->cache;
	memcpy(j->mac, mac, AUTH_MAC);
	auth_job_copy(j->hash, sizeof(j->hash), str_of(hash));
	auth_job_copy(j->password, sizeof(j->password), password);
	list_init(&j->waits);
	list_add_tail(&auth_jobs, &j->link);
	auth_njobs++;
	return j;
}

/* The attempt under way with the same credentials, or NULL. */
static struct auth_job *
auth_job_find(const uint8_t mac[AUTH_MAC])
{
	LIST_EACH(l, &auth_jobs)
	{
		struct auth_job *j = container_of(l, struct auth_job, link);

		if (CRYPTO_memcmp(j->mac, mac, AUTH_MAC) == 0)
			return j;
	}
	return NULL;
}

static void
auth_wait_leave(void *arg)
{
	struct auth_wait *wait = arg;

	list_del(&wait->link);
}

static void
auth_wait(struct auth_job *j, struct request *r, const struct auth *c, struct str user)
{
	struct auth_wait *wait = arena_calloc(&r->arena, sizeof(*wait));

	*wait = (struct auth_wait){ .r = r, .conf = c, .user = user };
	list_add_tail(&j->waits, &wait->link);
	arena_defer(&r->arena, auth_wait_leave, wait);
}

/* --- requests --- */

static int
auth_base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Base64 (RFC 4648 4), padding optional; p NULL: it is none. */
static struct str
auth_base64(struct arena *a, struct str s)
{
	struct str out = { NULL, 0 };
	unsigned bits = 0, v = 0;
	char *dst;

	if (s.n > 0 && s.n % 4 == 0)
		for (int pad = 0; pad < 2 && s.p[s.n - 1] == '='; pad++)
			s.n--;
	if (s.n % 4 == 1)
		return out;
	dst = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		int digit = auth_base64_digit(s.p[i]);

		if (digit < 0)
			return (struct str){ NULL, 0 };
		v = v << 6 | (unsigned)digit;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		dst[out.n++] = (char)(v >> bits);
	}
	out.p = dst;
	return out;
}

/* RFC 7617 2: name and password without control characters. */
static bool
auth_is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* "name:password" of the request, checked and split; false when there is none that could be right.
 */
static bool
auth_credentials(struct request *r, struct str *all, struct str *name, struct str *password)
{
	struct str rest = req_field(r, HF_AUTHORIZATION), scheme;

	if (!rest.p)
		return false;
	scheme = str_split(&rest, ' ');
	if (!rest.p || !str_caseeq(scheme, STR("Basic")))
		return false;
	*all = auth_base64(&r->arena, str_trim(rest));
	if (!all->p || !auth_is_clean(*all))
		return false;
	*password = *all;
	*name = str_split(password, ':');
	return password->p && name->n > 0 && name->n <= HTPASSWD_NAME_MAX &&
	       password->n <= HTPASSWD_PASSWORD_MAX;
}

/* Joins the attempt with these credentials, or begins one; false when too many are waiting. */
static bool
auth_attempt(struct request *r, const struct auth *c, const uint8_t mac[AUTH_MAC], struct str name,
    struct str password)
{
	const struct htpasswd *users = auth_file_users(c->file, worker_now(r->w));
	struct auth_job *j = auth_job_find(mac);
	const char *hash = htpasswd_find(users, name);
	bool is_decoy = !hash;

	if (j) {
		auth_wait(j, r, c, name);
		return true;
	}
	if (auth_njobs >= AUTH_JOBS)
		return false;
	if (is_decoy)
		hash = htpasswd_decoy(users, name);
	j = auth_job_new(c, mac, hash ? hash : "", password);
	j->is_decoy = is_decoy;
	auth_wait(j, r, c, name);
	worker_offload(r->w, &j->job);
	return true;
}

static enum verdict
auth_access(struct request *r, const void *conf)
{
	const struct auth *c = conf;
	uint64_t now = worker_now(r->w);
	struct str all, name, password;
	uint8_t mac[AUTH_MAC];

	if (request_is_exempt(r)) /* the error page of a refusal */
		return NEXT;
	if (!auth_credentials(r, &all, &name, &password)) {
		auth_refuse(r, c, "no credentials that could be right");
		return MINE;
	}
	auth_file_users(c->file, now);
	auth_cache_mac(mac, auth_file_version(c->file), all);
	if (auth_cache_has(mac, now))
		return auth_admit(r, c, name) ? NEXT : MINE;
	if (auth_attempt(r, c, mac, name, password))
		return MINE;
	res_field(r, HF_RETRY_AFTER, STR("2"));
	res_error(r, 503, "too many passwords wait to be verified");
	return MINE;
}

/* Whether any route asks for passwords. */
static bool
auth_is_used(const struct conf *conf)
{
	for (size_t i = 0; i < conf->nsites; i++)
		for (size_t k = 0; k < conf->sites[i].nroutes; k++) {
			const struct conf_hooks *hooks = &conf->sites[i].routes[k].access;

			for (size_t h = 0; h < hooks->n; h++)
				if (hooks->v[h].module->access == auth_access)
					return true;
		}
	return false;
}

static int
auth_start(const struct conf *conf, struct worker *w)
{
	(void)w;
	list_init(&auth_jobs);
	auth_njobs = 0;
	return auth_is_used(conf) ? auth_cache_init() : 0;
}

static void
auth_stop(struct worker *w)
{
	(void)w;
	auth_cache_fini();
}

const struct module module_auth = {
	.name = "auth",
	.help = "Asks for name and password (HTTP Basic authentication; only over https are "
		"they safe on their way). Passwords are verified beside the event loop: no "
		"request waits for another one's password. The name is $user in headers and "
		"logs.",
	.opts = auth_opts,
	.conf_size = sizeof(struct auth),
	.check = auth_check,
	.active = auth_active,
	.guards = auth_active,
	.start = auth_start,
	.stop = auth_stop,
	.access = auth_access,
};

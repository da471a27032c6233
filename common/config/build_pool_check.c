/*
 * What follows from a pool's options, and what cannot work. Rows say which options are for which
 * protocols; the rest is a function for each group of options.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/http.h"
#include "common/config/build.h"

#define FOR(protocol) (1u << POOL_##protocol)

enum {
	POOL_SOCKETS = FOR(FASTCGI) | FOR(SCGI) | FOR(UWSGI), /* processes take a socket as fd 0 */
	POOL_KEEPS = FOR(FASTCGI) | FOR(HTTP) | FOR(AJP),
	POOL_CGI_PROCESSES = 32,
	POOL_KEEPALIVE_HTTP = 4000,
};

/* Options that mean nothing to other protocols. */
static const struct {
	const char *prefix;
	unsigned protocols;
} pool_only[] = {
	{ "tls.", FOR(HTTP) },
	{ "secret", FOR(AJP) },
	{ "packet_size", FOR(AJP) },
	{ "timeout.tunnel", FOR(HTTP) },
	{ "timeout.keepalive", POOL_KEEPS },
	{ "keepalive_requests", POOL_KEEPS },
	{ "health.method", FOR(HTTP) | FOR(FASTCGI) | FOR(AJP) | FOR(SCGI) | FOR(UWSGI) },
};

struct pool_check {
	struct cfg_check c; /* first: see cfg_error() */
	struct cfg_check_more more;
	struct build *b;
	struct conf_pool *p;
};

static bool
pool_is(const struct conf_pool *p, unsigned protocols)
{
	return (protocols >> p->protocol) & 1;
}

static void
pool_check_protocol(struct pool_check *k)
{
	const struct conf_pool *p = k->p;
	const char *words = "", *name = pool_protocol_names[p->protocol];
	size_t i, row;
	int other;

	for (row = 0; pool_opts[row].type != CFG_END; row++)
		for (i = 0; i < sizeof(pool_only) / sizeof(*pool_only); i++) {
			if (!k->c.places[row].file || pool_is(p, pool_only[i].protocols) ||
			    !str_has_prefix(
				str_of(pool_opts[row].name), str_of(pool_only[i].prefix)))
				continue;
			words = "";
			for (other = 0; pool_protocol_names[other]; other++)
				if ((pool_only[i].protocols >> other) & 1)
					words = cfg_errors_printf(k->b->errors, "%s%s\"%s\"", words,
					    *words ? ", " : "", pool_protocol_names[other]);
			if (!p->tls.on && strcmp(pool_opts[row].name, "tls.enabled") == 0)
				continue;
			cfg_error(&k->c, pool_opts[row].name, -1,
			    cfg_errors_printf(k->b->errors, "it is for %s", words),
			    "'%s' means nothing to the protocol \"%s\"", pool_opts[row].name, name);
		}
}

/* --- values --- */

/* "404", "5xx", "200-399" into bits. */
static bool
pool_status(struct str s, uint64_t *bits)
{
	struct str to = s, from = str_split(&to, '-');
	uint64_t a, z;

	if (s.n == 3 && str_caseeq(str_n(s.p + 1, 2), STR("xx")) && s.p[0] >= '1' &&
	    s.p[0] <= '5') {
		a = (uint64_t)(s.p[0] - '0') * 100;
		z = a + 99;
	} else if (!str_to_u64(from, 599, &a) || a < 100) {
		return false;
	} else if (!to.p) {
		z = a;
	} else if (!str_to_u64(to, 599, &z) || z < a) {
		return false;
	}
	for (; a <= z; a++)
		bits[a / 64] |= (uint64_t)1 << (a % 64);
	return true;
}

static void
pool_check_statuses(
    struct pool_check *k, const char *option, const struct cfg_strs *list, uint64_t *bits)
{
	size_t i;

	memset(bits, 0, CONF_STATUS_WORDS * sizeof(*bits));
	for (i = 0; i < list->n; i++)
		if (!pool_status(list->v[i], bits))
			cfg_error(&k->c, option, (int)i, NULL,
			    "'%s' wants statuses such as \"503\", \"5xx\" or \"200-399\", not "
			    "\"%.*s\"",
			    option, STR_FMT(list->v[i]));
}

/* --- hosts --- */

static void
pool_check_hosts(struct pool_check *k)
{
	const struct conf_pool *p = k->p;
	bool all_backup = p->nhosts > 0;
	size_t i, j;

	for (i = 0; i < p->nhosts; i++) {
		all_backup &= p->hosts[i].backup;
		for (j = 0; j < i && !str_eq(p->hosts[j].address, p->hosts[i].address); j++)
			continue;
		if (j < i)
			cfg_error(&k->c, "hosts", (int)i, "weight = 2 gives one twice the requests",
			    "%.*s is there twice", STR_FMT(p->hosts[i].address));
		if (str_eq(p->hosts[i].name, STR("localhost")))
			cfg_warning(&k->c, p->is_anonymous ? NULL : "hosts", (int)i,
			    "write 127.0.0.1 or [::1], whichever the backend listens on",
			    "\"localhost\" may be two addresses, and both are tried");
	}
	if (all_backup)
		cfg_error(&k->c, "hosts", -1, NULL,
		    "all hosts are for backup: there is nothing that they back up");
	if (p->nhosts > CONF_POOL_HOSTS)
		cfg_error(&k->c, "hosts", -1, "a name stands for all addresses that it resolves to",
		    "a pool has at most %d hosts", CONF_POOL_HOSTS);
	if (k->b->nhosts <= CONF_POOLS_HOSTS && k->b->nhosts + p->nhosts > CONF_POOLS_HOSTS)
		cfg_error(&k->c, "hosts", -1, "a name stands for all addresses that it resolves to",
		    "all pools together have at most %d hosts", CONF_POOLS_HOSTS);
	k->b->nhosts += p->nhosts;
}

/* --- balancing --- */

static void
pool_check_hash(struct pool_check *k)
{
	static const struct {
		struct str word;
		int key;
	} keys[] = { { STR_INIT("uri"), KEY_URI }, { STR_INIT("path"), KEY_PATH },
		{ STR_INIT("client"), KEY_CLIENT }, { STR_INIT("header"), KEY_HEADER },
		{ STR_INIT("cookie"), KEY_COOKIE } };
	struct conf_pool *p = k->p;
	struct str name = p->hash_text, word = str_split(&name, ':');
	size_t i;
	int key = -1;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (str_eq(keys[i].word, word))
			key = keys[i].key;
	p->hash_name = name.p ? name : STR("");
	p->hash_by = key < 0 ? KEY_URI : key;
	if (key < 0 || (key >= KEY_HEADER) != (name.p != NULL) || (name.p && !http_is_token(name)))
		cfg_error(&k->c, "hash.by", -1, NULL,
		    "'hash' wants \"uri\", \"path\", \"client\", \"header:NAME\" or "
		    "\"cookie:NAME\", not \"%.*s\"",
		    STR_FMT(p->hash_text));
	if (!cfg_is_set(&k->c, "hash.by") && !cfg_is_set(&k->c, "hash.load"))
		return;
	if (!cfg_is_set(&k->c, "balance"))
		p->balance = BALANCE_HASH;
	else if (p->balance != BALANCE_HASH)
		cfg_error(&k->c, cfg_is_set(&k->c, "hash.by") ? "hash.by" : "hash.load", -1,
		    "write balance = \"hash\"", "'hash' means nothing to balance = \"%s\"",
		    pool_balance_names[p->balance]);
}

static void
pool_check_balance(struct pool_check *k)
{
	const struct conf_pool *p = k->p;

	pool_check_hash(k);
	if (p->hash_load && p->hash_load < 105)
		cfg_error(&k->c, "hash.load", -1, NULL,
		    "'hash.load' is a percentage of the mean: from 105 to 1000, or 0");
	if (p->sticky.n && !http_is_token(p->sticky))
		cfg_error(&k->c, "sticky.cookie", -1, NULL, "\"%.*s\" is not the name of a cookie",
		    STR_FMT(p->sticky));
	if (!p->sticky.n && cfg_is_set(&k->c, "sticky.max_age"))
		cfg_error(&k->c, "sticky.max_age", -1, "sticky: { cookie = \"backend\"; ... }",
		    "'sticky.cookie' is missing");
}

/* --- connections --- */

static void
pool_check_keepalive(struct pool_check *k)
{
	struct conf_pool *p = k->p;

	if (!cfg_is_set(&k->c, "keepalive"))
		p->keepalive = pool_is(p, FOR(HTTP) | FOR(AJP)) ? p->keepalive : 0;
	else if (p->keepalive && !pool_is(p, POOL_KEEPS))
		cfg_error(&k->c, "keepalive", -1, "leave it out",
		    "the protocol \"%s\" has one request on a connection",
		    pool_protocol_names[p->protocol]);
	if (p->protocol == POOL_HTTP && !cfg_is_set(&k->c, "timeout.keepalive"))
		p->timeout.keepalive = POOL_KEEPALIVE_HTTP;
}

static void
pool_check_failover(struct pool_check *k)
{
	static const char *const names[] = { "failover.refused", "failover.unreachable",
		"failover.overload", "failover.errors" };
	const struct conf_pool_failover *f = &k->p->failover;
	const int64_t times[] = { f->refused, f->unreachable, f->overload, f->errors };
	size_t i;

	for (i = 0; i < 4; i++)
		if (times[i] > f->max && cfg_is_set(&k->c, names[i]))
			cfg_error(&k->c, names[i], -1, NULL,
			    "'%s' is longer than 'failover.max', %s", names[i],
			    opt_time_text(k->b->arena, f->max).p);
}

static void
pool_check_health(struct pool_check *k)
{
	struct conf_pool_health *h = &k->p->health;
	size_t i, row;

	for (row = 0, i = 0; pool_opts[row].type != CFG_END; row++)
		i += str_has_prefix(str_of(pool_opts[row].name), STR("health.")) &&
		     k->c.places[row].file;
	if (i && !cfg_is_set(&k->c, "health.enabled"))
		h->is_on = true;
	pool_check_statuses(k, "health.status", &h->statuses, h->status_bits);
	if (h->path.n && (h->path.p[0] != '/' || !http_is_field_value(h->path) ||
			     str_find(h->path, ' ') >= 0 || str_find(h->path, '#') >= 0))
		cfg_error(&k->c, "health.path", -1, NULL,
		    "'health.path' wants a path as it stands in a request, such as \"/healthz\", "
		    "not \"%.*s\"",
		    STR_FMT(h->path));
	if (!http_is_token(h->method))
		cfg_error(&k->c, "health.method", -1, NULL, "\"%.*s\" is not a method",
		    STR_FMT(h->method));
	if (!http_is_field_value(h->host) || str_find(h->host, ' ') >= 0)
		cfg_error(
		    &k->c, "health.host", -1, NULL, "\"%.*s\" is not a host", STR_FMT(h->host));
	if (h->body.n && !h->path.n)
		cfg_error(&k->c, "health.body", -1, "health: { path = \"/healthz\"; ... }",
		    "'health.path' is missing: there is no answer to look at");
}

/* --- TLS --- */

/* All of a regular file, in the arena; p NULL and errno when that cannot be. */
static struct str
pool_file_text(struct arena *a, const char *path)
{
	enum { MOST = 16 << 20 };
	struct str text = { NULL, 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;
	char *p;

	if (fd < 0)
		return text;
	errno = EINVAL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MOST) {
		p = arena_alloc(a, (size_t)st.st_size + 1);
		n = pread(fd, p, (size_t)st.st_size, 0);
		if (n >= 0)
			text = str_n(p, (size_t)n);
	}
	close(fd);
	return text;
}

static void
pool_check_file(struct pool_check *k, const char *option, struct str path, struct str *text)
{
	if (path.n == 0)
		return;
	*text = pool_file_text(k->c.arena, path.p);
	if (text->p)
		return;
	if (errno == ENOENT || errno == EINVAL)
		cfg_error(&k->c, option, -1, NULL, "there is no file %.*s", STR_FMT(path));
	else
		cfg_error(&k->c, option, -1, NULL, "cannot read %.*s: %s", STR_FMT(path),
		    strerror(errno));
}

static void
pool_check_tls(struct pool_check *k)
{
	struct conf_pool_tls *t = &k->p->tls;
	size_t i;

	if (!cfg_is_set(&k->c, "tls.enabled") &&
	    (cfg_is_set(&k->c, "tls.verify") || t->name.n || t->ca_file.n || t->certificate.n))
		t->on = true;
	if (t->certificate.n && !t->key.n)
		t->key = t->certificate; /* both in one file */
	pool_check_file(k, "tls.ca", t->ca_file, &t->ca_text);
	pool_check_file(k, "tls.certificate", t->certificate, &t->certificate_text);
	pool_check_file(k, "tls.key", t->key, &t->key_text);
	if (t->key.n && !t->certificate.n)
		cfg_error(&k->c, "tls.key", -1, NULL, "'tls.certificate' is missing");
	for (i = 0; t->on && t->verify && !t->name.n && i < k->p->nhosts; i++)
		if (k->p->hosts[i].is_unix)
			cfg_error(&k->c, "hosts", (int)i, "tls: { name = \"app.example\"; }",
			    "a certificate cannot be verified: a Unix socket has no name");
}

/* --- local processes --- */

/* "4" or "2..8". */
static bool
pool_processes(struct str s, int64_t *min, int64_t *max)
{
	ptrdiff_t dot = str_find(s, '.');
	uint64_t a, z;

	if (dot < 0) {
		if (!str_to_u64(s, 1000, &a))
			return false;
		z = a;
	} else if ((size_t)dot + 2 > s.n || s.p[dot + 1] != '.' ||
		   !str_to_u64(str_trim(str_n(s.p, (size_t)dot)), 1000, &a) ||
		   !str_to_u64(str_trim(str_n(s.p + dot + 2, s.n - (size_t)dot - 2)), 1000, &z)) {
		return false;
	}
	*min = (int64_t)a;
	*max = (int64_t)z;
	return a >= 1 && z >= a;
}

static void
pool_check_processes(struct pool_check *k)
{
	struct conf_pool_spawn *s = &k->p->spawn;

	if (!cfg_is_set(&k->c, "spawn.processes") && k->p->protocol == POOL_CGI)
		s->processes = STR("32");
	else if (!cfg_is_set(&k->c, "spawn.processes") && k->p->nhosts)
		s->processes = STR("1"); /* it listens itself: two would be in each other's way */
	if (!pool_processes(s->processes, &s->min, &s->max))
		cfg_error(&k->c, "spawn.processes", -1, NULL,
		    "'spawn.processes' wants a number from 1 to 1000 or a range such as \"2..8\", "
		    "not "
		    "\"%.*s\"",
		    STR_FMT(s->processes));
}

static void
pool_check_user(struct pool_check *k)
{
	const struct conf_pool_spawn *s = &k->p->spawn;

	if (s->user.n && !getpwnam(s->user.p))
		cfg_error(&k->c, "spawn.user", -1, NULL,
		    "there is no user \"%.*s\" on this machine", STR_FMT(s->user));
	if (s->group.n && !getgrnam(s->group.p))
		cfg_error(&k->c, "spawn.group", -1, NULL,
		    "there is no group \"%.*s\" on this machine", STR_FMT(s->group));
}

static void
pool_check_environment(struct pool_check *k)
{
	const struct conf_pool_spawn *s = &k->p->spawn;
	size_t i;

	for (i = 0; i < s->environment.n; i++)
		if (str_find(s->environment.v[i], '=') < 1)
			cfg_error(&k->c, "spawn.environment", (int)i, NULL,
			    "'spawn.environment' wants \"NAME=value\", not \"%.*s\"",
			    STR_FMT(s->environment.v[i]));
	for (i = 0; i < s->keep_environment.n; i++)
		if (s->keep_environment.v[i].n == 0 || str_find(s->keep_environment.v[i], '=') >= 0)
			cfg_error(&k->c, "spawn.keep_environment", (int)i, NULL,
			    "\"%.*s\" is not the name of a variable",
			    STR_FMT(s->keep_environment.v[i]));
}

/* Whether a program is there, below root. */
static bool
pool_has_program(struct arena *a, struct str root, struct str path)
{
	struct stat st;
	struct str full = arena_printf(a, "%.*s%.*s", STR_FMT(root), STR_FMT(path));

	return stat(full.p, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* A name without "/" is looked for where the processes' PATH will lead. */
static bool
pool_finds_program(struct arena *a, struct str root, struct str name)
{
	const char *path = getenv("PATH");
	struct str rest = str_of(path && *path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;

	while (rest.p) {
		dir = str_split(&rest, ':');
		if (pool_has_program(
			a, root, arena_printf(a, "%.*s/%.*s", STR_FMT(dir), STR_FMT(name))))
			return true;
	}
	return false;
}

static void
pool_check_command(struct pool_check *k)
{
	const struct conf_pool_spawn *s = &k->p->spawn;
	struct str program = s->command.n ? s->command.v[0] : STR("");
	struct arena *a = k->b->arena;

	if (s->command.n == 0)
		return;
	if (program.n && program.p[0] == '/'          ? pool_has_program(a, s->chroot, program)
	    : str_find(program, '/') < 0 && program.n ? pool_finds_program(a, s->chroot, program)
						      : false)
		return;
	if (program.n && program.p[0] != '/' && str_find(program, '/') >= 0)
		cfg_error(&k->c, "spawn.command", 0, NULL,
		    "a program is an absolute path, or a name to be searched for: not \"%.*s\"",
		    STR_FMT(program));
	else
		cfg_error(&k->c, "spawn.command", 0,
		    str_find(program, ' ') >= 0 ? "each argument is a text: [ \"program\", \"-x\" ]"
						: NULL,
		    "there is no program \"%.*s\"%s%.*s", STR_FMT(program),
		    s->chroot.n ? " below " : "", STR_FMT(s->chroot));
}

static void
pool_check_directories(struct pool_check *k)
{
	const struct conf_pool_spawn *s = &k->p->spawn;
	struct str full =
	    arena_printf(k->b->arena, "%.*s%.*s", STR_FMT(s->chroot), STR_FMT(s->directory));
	struct stat st;

	if (s->directory.n && s->directory.p[0] != '/')
		cfg_error(&k->c, "spawn.directory", -1, NULL,
		    "'spawn.directory' wants an absolute path, not \"%.*s\"",
		    STR_FMT(s->directory));
	else if (full.n && (stat(full.p, &st) < 0 || !S_ISDIR(st.st_mode)))
		cfg_error(&k->c, s->directory.n ? "spawn.directory" : "spawn.chroot", -1, NULL,
		    "there is no directory %.*s", STR_FMT(full));
}

static void
pool_check_umask(struct pool_check *k)
{
	struct conf_pool_spawn *s = &k->p->spawn;
	size_t i;

	s->umask = 0;
	for (i = 0; i < s->umask_text.n && s->umask_text.p[i] >= '0' && s->umask_text.p[i] <= '7';
	     i++)
		s->umask = (s->umask * 8 + (s->umask_text.p[i] - '0')) & 07777;
	if (i < s->umask_text.n || i < 3 || i > 4 || s->umask > 0777)
		cfg_error(&k->c, "spawn.umask", -1, NULL,
		    "'spawn.umask' wants octal digits such as \"0022\", not \"%.*s\"",
		    STR_FMT(s->umask_text));
}

/* The socket that the processes share, beside the control socket, is the pool's one host. */
static void
pool_own_socket(struct pool_check *k)
{
	struct conf_pool *p = k->p;
	struct str control = k->b->conf->process.control;
	const char *slash = memrchr(control.p, '/', control.n);
	size_t dir = slash ? (size_t)(slash - control.p) : 0;

	p->spawn.socket = arena_printf(
	    k->b->arena, "%.*s/backend-%.*s.sock", (int)dir, control.p, STR_FMT(p->name));
	/* ".next": of changed settings, until they take over (master/local/sock.h) */
	if (p->spawn.socket.n + strlen(".next") >= sizeof(((struct sockaddr_un *)0)->sun_path))
		cfg_error(&k->c, NULL, -1,
		    "a shorter name of the pool, or of the server's 'control'",
		    "the path of its socket would be too long: %.*s", STR_FMT(p->spawn.socket));
	p->hosts = arena_calloc(k->b->arena, sizeof(*p->hosts));
	p->nhosts = 1;
	p->hosts[0] = (struct conf_host){ .name = p->spawn.socket,
		.is_unix = true,
		.weight = 1,
		.max_requests = p->protocol == POOL_CGI ? p->spawn.max : 0,
		.place = p->place };
	p->hosts[0].address = arena_printf(k->b->arena, "unix:%.*s", STR_FMT(p->spawn.socket));
}

static void
pool_check_spawn_hosts(struct pool_check *k)
{
	const struct conf_pool *p = k->p;

	if (p->nhosts && pool_is(p, POOL_SOCKETS | FOR(CGI)))
		cfg_error(&k->c, "hosts", -1, "leave 'hosts' out",
		    "processes that are spawned for \"%s\" are given their socket",
		    pool_protocol_names[p->protocol]);
	else if (!p->nhosts && p->protocol == POOL_AJP)
		cfg_error(&k->c, NULL, -1, NULL,
		    "'hosts' is missing: where will the process that is spawned listen?");
	else if (!p->nhosts)
		pool_own_socket(k);
}

static void
pool_check_spawn(struct pool_check *k)
{
	size_t row;

	if (!conf_pool_is_local(k->p)) {
		for (row = 0; pool_opts[row].type != CFG_END; row++)
			if (k->c.places[row].file &&
			    str_has_prefix(str_of(pool_opts[row].name), STR("spawn."))) {
				cfg_error(&k->c, pool_opts[row].name, -1,
				    "spawn: { command = [ \"/usr/bin/php-cgi\" ]; ... }",
				    "'spawn.command' is missing");
				break;
			}
		if (k->p->nhosts == 0)
			cfg_error(&k->c, "hosts", -1,
			    "hosts = \"127.0.0.1:9000\"; or spawn: { command = ...; };",
			    "'hosts' is missing in %s", k->c.scope_name);
		return;
	}
	pool_check_processes(k);
	pool_check_user(k);
	pool_check_environment(k);
	pool_check_command(k);
	pool_check_directories(k);
	pool_check_umask(k);
	pool_check_spawn_hosts(k);
}

void
build_pool_check(struct build *b, struct build_pool *p)
{
	struct pool_check k = { .b = b, .p = p->conf };

	if (p->has_error)
		return;
	k.more = (struct cfg_check_more){ .elems = p->elems, .build = b };
	k.c = (struct cfg_check){ .arena = b->arena,
		.errors = b->errors,
		.opts = pool_opts,
		.places = p->places,
		.scope = p->conf->place,
		.more = &k.more };
	k.c.scope_name = arena_printf(b->arena, "pool \"%.*s\"", STR_FMT(p->conf->name)).p;
	if (!cfg_is_set(&k.c, "protocol")) {
		cfg_error(&k.c, NULL, -1,
		    "protocol = \"fastcgi\"; (or \"http\", \"scgi\", \"uwsgi\", \"ajp\", \"cgi\")",
		    "'protocol' is missing in %s", k.c.scope_name);
		return;
	}
	pool_check_protocol(&k);
	pool_check_spawn(&k);
	pool_check_hosts(&k);
	pool_check_balance(&k);
	pool_check_keepalive(&k);
	pool_check_failover(&k);
	pool_check_statuses(
	    &k, "retry.status", &p->conf->retry.statuses, p->conf->retry.status_bits);
	pool_check_health(&k);
	pool_check_tls(&k);
}

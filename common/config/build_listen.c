/*
 * Addresses to listen on. Their canonical text is the key by which sockets are kept over reloads.
 */
#include <grp.h>
#include <pwd.h>
#include <sys/un.h>

#include "common/base/address.h"
#include "common/config/build.h"

static const char listen_wants[] =
    "an address such as \"127.0.0.1:8080\", \"[::1]:8080\", \"*:80\", \"8080\" or "
    "\"unix:/run/x.sock\"";

static void
listen_tcp(struct arena *a, struct str host, bool is_v6, uint64_t port, struct conf_listen *out)
{
	*out = (struct conf_listen){ .family = LISTEN_TCP, .host = host, .port = (int64_t)port };
	out->text = arena_printf(a, is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(host), (unsigned)port);
}

static unsigned
listen_unix(
    struct arena *a, struct str path, const char *dir, struct conf_listen *out, const char **why)
{
	size_t i;

	*why = "a path of 1 to 107 bytes, without control characters, after \"unix:\"";
	for (i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
			return 0;
	if (path.n && path.p[0] != '/')
		path = arena_printf(a, "%s/%.*s", dir, STR_FMT(path));
	if (path.n == 0 || path.n >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return 0;
	*out = (struct conf_listen){ .family = LISTEN_UNIX, .host = arena_str(a, path) };
	out->text = arena_printf(a, "unix:%.*s", STR_FMT(path));
	return 1;
}

/* Splits host and port; a host in brackets loses them. */
static bool
listen_split(struct str text, struct str *host, struct str *port, bool *in_brackets)
{
	const char *colon = memrchr(text.p, ':', text.n);
	size_t at = colon ? (size_t)(colon - text.p) : 0;

	*in_brackets = false;
	*host = str_n(text.p, at);
	*port = colon ? str_n(colon + 1, text.n - at - 1) : text;
	if (host->n && host->p[0] == '[') {
		if (host->p[host->n - 1] != ']')
			return false;
		*in_brackets = true;
		*host = str_n(host->p + 1, host->n - 2);
	}
	return true;
}

unsigned
listen_parse(
    struct arena *a, struct str text, const char *dir, struct conf_listen out[2], const char **why)
{
	struct str host, port;
	bool in_brackets, is_v6;
	uint64_t n;

	if (str_has_prefix(text, STR("unix:")))
		return listen_unix(a, str_n(text.p + 5, text.n - 5), dir, out, why);
	*why = listen_wants;
	if (text.n == 0 || !listen_split(text, &host, &port, &in_brackets))
		return 0;
	if (!str_to_u64(port, 65535, &n) || n == 0) {
		if (str_to_u64(port, UINT64_MAX, &n))
			*why = "a port from 1 to 65535";
		return 0;
	}
	if (!in_brackets && (host.n == 0 || str_eq(host, STR("*")))) {
		listen_tcp(a, STR("0.0.0.0"), false, n, &out[0]);
		listen_tcp(a, STR("::"), true, n, &out[1]);
		out[1].is_optional = true;
		return 2;
	}
	if (str_caseeq(host, STR("localhost"))) {
		*why = "a numeric address: write \"127.0.0.1\" or \"[::1]\" for localhost";
		return 0;
	}
	host = address_numeric(a, host, &is_v6);
	if (!host.p)
		return 0;
	if (is_v6 != in_brackets) {
		*why = "an IPv6 address in brackets: \"[::1]:8080\"";
		return 0;
	}
	listen_tcp(a, host, is_v6, n, out);
	return 1;
}

/* Three or four octal digits. */
static bool
listen_mode(struct str s, int64_t *mode)
{
	size_t i;

	*mode = 0;
	for (i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '7'; i++)
		*mode = *mode * 8 + (s.p[i] - '0');
	return (s.n == 3 || s.n == 4) && i == s.n && *mode <= 0777;
}

static const struct site *
listen_site(struct build *b, const struct conf_listen_opts *o, struct cfg_place at)
{
	const struct site *s, *found = NULL;
	size_t i, k;

	for (i = 0; i < b->conf->nsites; i++) {
		s = &b->conf->sites[i];
		for (k = 0; k < s->hosts.n; k++)
			if (str_caseeq(s->hosts.v[k], o->site.n ? o->site : STR("*")))
				found = found ? found : s;
	}
	if (!found && o->site.n)
		cfg_errors_add(
		    b->errors, true, at, NULL, "no site has the host \"%.*s\"", STR_FMT(o->site));
	return found ? found : b->conf->nsites ? b->conf->sites : NULL;
}

static void
listen_check(struct build *b, const struct conf_listen_opts *o, struct conf_listen *l)
{
	if (!listen_mode(o->mode, &l->mode))
		cfg_errors_add(b->errors, true, l->place, NULL,
		    "'mode' wants octal digits such as \"0660\", not \"%.*s\"", STR_FMT(o->mode));
	if (o->user.n && !getpwnam(o->user.p))
		cfg_errors_add(b->errors, true, l->place, NULL,
		    "there is no user \"%.*s\" on this machine", STR_FMT(o->user));
	if (o->group.n && !getgrnam(o->group.p))
		cfg_errors_add(b->errors, true, l->place, NULL,
		    "there is no group \"%.*s\" on this machine", STR_FMT(o->group));
	if (l->family != LISTEN_UNIX && (o->user.n || o->group.n))
		cfg_errors_add(
		    b->errors, true, l->place, NULL, "'user' and 'group' are for Unix sockets");
	if (l->proxy_protocol && b->conf->process.trusted_proxies.n == 0)
		cfg_errors_add(b->errors, false, l->place,
		    "name the proxies in server: trusted_proxies = [ \"10.0.0.1\" ]",
		    "proxy_protocol is believed from nobody: every connection will be closed");
}

static void
listen_add(struct build *b, struct conf_listen *l)
{
	struct conf *conf = b->conf;
	size_t i;

	for (i = 0; i < conf->nlistens; i++) {
		if (!str_eq(conf->listens[i].text, l->text))
			continue;
		cfg_errors_add(b->errors, true, l->place,
		    conf->listens[i].place.line
			? cfg_errors_printf(
			      b->errors, "the first is on line %d", conf->listens[i].place.line)
			: NULL,
		    "%.*s is listened on twice", STR_FMT(l->text));
		return;
	}
	conf->listens[conf->nlistens++] = *l;
}

static void
listen_one(struct build *b, const struct conf_listen_opts *o, struct cfg_place at, const char *dir)
{
	struct conf_listen out[2];
	const char *why;
	unsigned i, n;

	n = listen_parse(b->arena, o->address, dir, out, &why);
	if (n == 0)
		cfg_errors_add(b->errors, true, at, NULL, "'listen' wants %s, not \"%.*s\"", why,
		    STR_FMT(o->address));
	for (i = 0; i < n; i++) {
		out[i].place = at;
		out[i].backlog = o->backlog;
		out[i].defer = o->defer;
		out[i].user = o->user;
		out[i].group = o->group;
		out[i].proxy_protocol = o->proxy_protocol;
		out[i].default_site = listen_site(b, o, at);
		listen_check(b, o, &out[i]);
		listen_add(b, &out[i]);
	}
}

void
build_listens(struct build *b)
{
	const struct conf_server_opts *o = b->server->conf[core_id(CORE_SERVER)];
	const struct cfg_place *row = scope_place(b->server, CORE_SERVER, "listen");
	const struct opt_places *elems =
	    &b->server->elems[core_id(CORE_SERVER)][row - b->server->places[core_id(CORE_SERVER)]];
	const struct conf_listen_opts *v = o->listens.v;
	static const struct conf_listen_opts fallback = { .address = STR_INIT("*:80"),
		.mode = STR_INIT("0660"),
		.backlog = 1024,
		.defer = true };
	size_t i;

	b->conf->listens =
	    arena_calloc(b->arena, (2 * o->listens.n + 2) * sizeof(*b->conf->listens));
	for (i = 0; i < o->listens.n; i++)
		listen_one(b, &v[i], i < elems->n ? elems->v[i] : *row, b->dir);
	if (!row->file && o->listens.n == 0)
		listen_one(b, &fallback, b->server->place, b->dir);
}

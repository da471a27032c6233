/*
 * Which site, which route: the two lookups on every request's way. No allocation, and work that
 * grows with the length of what was asked, not with the number of sites.
 *
 * Hosts stand in one open-addressed table, wildcards under their suffix with its dot. A name is
 * hashed from its end, so that the hash of every suffix comes by on the way.
 */
#include "common/conf_build.h"
#include "common/regex.h"

enum { HOST_MAX = 255 };

struct host_entry {
	struct str name; /* lower case; a wildcard's begins with its dot; p NULL: free */
	const struct site *site;
	struct cfg_place place;
};

struct host_table {
	struct host_entry *v;
	uint32_t mask;
	bool has_wildcards;
};

#define HOST_SEED 0x811c9dc5u

static inline uint32_t
host_hash_step(uint32_t h, unsigned char c)
{
	return (h ^ c) * 0x01000193u;
}

static uint32_t
host_hash(struct str s)
{
	uint32_t h = HOST_SEED;

	while (s.n)
		h = host_hash_step(h, (unsigned char)s.p[--s.n]);
	return h;
}

static struct host_entry *
host_find(const struct host_table *t, uint32_t hash, struct str name)
{
	struct host_entry *e;
	uint32_t i;

	for (i = (hash ^ hash >> 15) & t->mask; (e = &t->v[i])->name.p; i = (i + 1) & t->mask)
		if (str_caseeq(e->name, name))
			break;
	return e;
}

static void
host_add(struct build *b, struct str name, const struct site *site, struct cfg_place at)
{
	struct host_table *t = b->conf->hosts;
	struct str key = name;
	struct host_entry *e;

	if (str_has_prefix(name, STR("*."))) {
		key = str_n(name.p + 1, name.n - 1);
		t->has_wildcards = true;
	}
	e = host_find(t, host_hash(key), key);
	if (!e->name.p) {
		*e = (struct host_entry){ key, site, at };
		return;
	}
	cfg_errors_add(b->errors, true, at,
	    cfg_errors_printf(b->errors, "the first is at %s:%d", e->place.file, e->place.line),
	    e->site == site ? "the host \"%.*s\" is named twice"
			    : "the host \"%.*s\" belongs to another site already",
	    STR_FMT(name));
}

void
build_hosts(struct build *b)
{
	struct conf *conf = b->conf;
	const struct build_site *from = b->sites;
	size_t i, k, n = 0, room = 8;

	for (i = 0; i < conf->nsites; i++)
		n += conf->sites[i].hosts.n;
	while (room < 2 * n + 1)
		room *= 2;
	conf->hosts = arena_calloc(b->arena, sizeof(*conf->hosts));
	conf->hosts->v = arena_calloc(b->arena, room * sizeof(*conf->hosts->v));
	conf->hosts->mask = (uint32_t)room - 1;
	for (i = 0; i < conf->nsites; i++, from = from->next) {
		const struct opt_places *elems = &from->scope->elems[core_id(CORE_SITE)][0];

		for (k = 0; k < conf->sites[i].hosts.n; k++)
			host_add(b, conf->sites[i].hosts.v[k], &conf->sites[i],
			    elems->n == conf->sites[i].hosts.n ? elems->v[k] : from->scope->place);
	}
}

const struct site *
conf_site(const struct conf *conf, const struct conf_listen *listen, struct str host)
{
	const struct host_table *t = conf->hosts;
	const struct host_entry *e, *wild = NULL;
	uint32_t h = HOST_SEED;
	size_t i;

	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n == 0 || host.n > HOST_MAX)
		goto none;
	for (i = host.n; i-- > 0;) {
		unsigned char c = str_lower((unsigned char)host.p[i]);

		h = host_hash_step(h, c);
		if (c != '.' || !t->has_wildcards)
			continue;
		e = host_find(t, h, str_n(host.p + i, host.n - i));
		if (e->name.p && i > 0)
			wild = e; /* longer ones come later */
	}
	e = host_find(t, h, host);
	if (e->name.p && host.p[0] != '.')
		return e->site;
	if (wild)
		return wild->site;
none:
	return listen && listen->default_site ? listen->default_site : &conf->sites[0];
}

static bool
route_has_path(const struct route *r, struct str path)
{
	switch (r->kind) {
	case ROUTE_PREFIX:
		return r->path.n == 1 || (str_has_prefix(path, r->path) &&
					     (path.n == r->path.n || path.p[r->path.n] == '/'));
	case ROUTE_EXACT:
		return str_eq(path, r->path);
	default:
		return regex_match(&r->regex, path, NULL);
	}
}

const struct route *
site_route(const struct site *site, struct str path, int method)
{
	const struct route *r = site->routes, *last = r + site->nroutes - 1;

	for (; r < last; r++)
		if ((!r->methods || (r->methods >> method & 1)) && route_has_path(r, path))
			return r;
	return last;
}

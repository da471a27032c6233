/*
 * Which site, which route: the two lookups on every request's way. No allocation, and work that
 * grows with the length of what was asked, not with the number of sites or routes (but for routes
 * that are expressions: these are tried one after the other).
 *
 * Hosts stand in one open-addressed table, wildcards under their suffix with its dot. A name is
 * hashed from its end, so that the hash of every suffix comes by on the way. In front of it is a
 * table of the exact names only, in which a name in lower case is found with a hash of eight bytes
 * at a time.
 */
#include "common/config/build.h"
#include "common/config/regex.h"

enum { HOST_MAX = 255 };

struct host_entry {
	struct str name; /* lower case; a wildcard's begins with its dot; p NULL: free */
	const struct site *site;
	struct cfg_place place;
};

struct host_table {
	struct host_entry *v, *exact;
	uint32_t mask; /* of both */
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

static inline uint32_t
host_hash_exact(struct str s)
{
	uint64_t h = s.n, word = 0;

	for (; s.n >= 8; s.p += 8, s.n -= 8) {
		memcpy(&word, s.p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (word = 0; s.n; s.p++, s.n--)
		word = word << 8 | (unsigned char)*s.p;
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

static inline struct host_entry *
host_find_exact(const struct host_table *t, struct str name)
{
	struct host_entry *e;
	uint32_t i;

	for (i = host_hash_exact(name) & t->mask; (e = &t->exact[i])->name.p; i = (i + 1) & t->mask)
		if (str_eq(e->name, name))
			break;
	return e;
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
		if (key.p == name.p)
			*host_find_exact(t, key) = *e;
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
	conf->hosts->exact = arena_calloc(b->arena, room * sizeof(*conf->hosts->exact));
	conf->hosts->mask = (uint32_t)room - 1;
	for (i = 0; i < conf->nsites; i++, from = from->next) {
		const struct opt_places *elems = &from->scope->elems[core_id(CORE_SITE)][0];

		for (k = 0; k < conf->sites[i].hosts.n; k++)
			host_add(b, conf->sites[i].hosts.v[k], &conf->sites[i],
			    elems->n == conf->sites[i].hosts.n ? elems->v[k] : from->scope->place);
	}
}

/* A name in any case, with a dot at its end, of a wildcard, or of nobody. */
static const struct host_entry *
host_search(const struct host_table *t, struct str host)
{
	const struct host_entry *e, *wild = NULL;
	uint32_t h = HOST_SEED;
	size_t i;

	if (host.p[host.n - 1] == '.' && --host.n == 0)
		return NULL;
	for (i = host.n; i-- > 0;) {
		unsigned char c = str_lower((unsigned char)host.p[i]);

		h = host_hash_step(h, c);
		if (c != '.' || !t->has_wildcards || i == 0)
			continue;
		e = host_find(t, h, str_n(host.p + i, host.n - i));
		if (e->name.p)
			wild = e; /* longer ones come later */
	}
	e = host_find(t, h, host);
	return e->name.p && host.p[0] != '.' ? e : wild;
}

const struct site *
conf_site(const struct conf *conf, const struct conf_listen *listen, struct str host)
{
	const struct host_entry *e;

	if (conf->nsites == 1)
		return conf->sites;
	if (host.n && host.n <= HOST_MAX) {
		e = host_find_exact(conf->hosts, host);
		if (!e->name.p)
			e = host_search(conf->hosts, host);
		if (e)
			return e->site;
	}
	return listen && listen->default_site ? listen->default_site : &conf->sites[0];
}

/* --- routes --- */

/* A site of more routes than this is given an index. */
enum { ROUTES_IN_ORDER = 8 };

/* All routes with one path (prefixes without the slash at their end), by their position in the
 * site. */
struct route_key {
	struct str path; /* p NULL: free */
	uint32_t *at, n;
};

struct route_index {
	struct route_key *v;
	uint32_t mask, nregex, *regex; /* positions of expressions */
	size_t longest;                /* path of a key */
};

static struct route_key *
route_key(const struct route_index *x, uint32_t hash, struct str path)
{
	uint32_t i = (hash ^ hash >> 15) & x->mask;

	while (x->v[i].path.p && !str_eq(x->v[i].path, path))
		i = (i + 1) & x->mask;
	return &x->v[i];
}

static uint32_t
route_hash(struct str path)
{
	uint32_t h = HOST_SEED;
	size_t i;

	for (i = 0; i < path.n; i++)
		h = host_hash_step(h, (unsigned char)path.p[i]);
	return h;
}

static void
route_index_add(struct arena *a, struct route_index *x, const struct route *r, uint32_t at)
{
	struct route_key *k;
	uint32_t *longer;

	if (r->kind == ROUTE_REGEX) {
		x->regex[x->nregex++] = at;
		return;
	}
	k = route_key(x, route_hash(r->path), r->path);
	k->path = r->path;
	if ((k->n & (k->n - 1)) == 0) { /* full at every power of two */
		longer = arena_alloc(a, (k->n ? 2 * k->n : 1) * sizeof(*longer));
		if (k->n)
			memcpy(longer, k->at, k->n * sizeof(*longer));
		k->at = longer;
	}
	k->at[k->n++] = at;
	if (r->path.n > x->longest)
		x->longest = r->path.n;
}

void
build_routing(struct build *b, struct site *site)
{
	struct route_index *x;
	size_t i, room = 16;

	if (site->nroutes <= ROUTES_IN_ORDER)
		return;
	while (room < 2 * site->nroutes)
		room *= 2;
	x = arena_calloc(b->arena, sizeof(*x));
	x->v = arena_calloc(b->arena, room * sizeof(*x->v));
	x->regex = arena_calloc(b->arena, site->nroutes * sizeof(*x->regex));
	x->mask = (uint32_t)room - 1;
	for (i = 0; i < site->nroutes; i++)
		route_index_add(b->arena, x, &site->routes[i], (uint32_t)i);
	site->routing = x;
}

static inline bool
route_has_method(const struct route *r, int method)
{
	return !r->methods || (r->methods >> method & 1);
}

/* What nearly all routes fail by that a path is not for, before anything is called: most differ in
   their last byte. */
static inline bool
route_may_have_path(const struct route *r, struct str path)
{
	size_t n = r->path.n;

	if (r->kind == ROUTE_REGEX)
		return regex_ends_fit(&r->regex.ends, path);
	return n == 1 || (path.n >= n && path.p[n - 1] == r->path.p[n - 1]);
}

/* Of a route that may have it. */
static inline enum regex_verdict
route_has_path(const struct route *r, struct str path)
{
	size_t n = r->path.n;

	if (r->kind == ROUTE_REGEX)
		return regex_match(&r->regex, path, NULL).is;
	if (r->kind == ROUTE_PREFIX && n == 1)
		return REGEX_MATCH;
	if (path.n > n && (r->kind == ROUTE_EXACT || path.p[n] != '/'))
		return REGEX_MISMATCH;
	return path.n >= n && memcmp(path.p, r->path.p, n) == 0 ? REGEX_MATCH : REGEX_MISMATCH;
}

/* The first route with this very path (or prefix) that comes before the best one so far. */
static uint32_t
route_try(const struct site *site, uint32_t hash, struct str path, bool is_whole, int method,
    uint32_t best)
{
	const struct route_key *k = route_key(site->routing, hash, path);
	const struct route *r;
	uint32_t i;

	for (i = 0; i < k->n && k->at[i] < best; i++) {
		r = &site->routes[k->at[i]];
		if ((is_whole || r->kind == ROUTE_PREFIX) && route_has_method(r, method))
			return k->at[i];
	}
	return best;
}

/* Looks up every prefix of the path that ends with a segment. */
static __attribute__((noinline)) const struct route *
route_by_index(const struct site *site, struct str path, int method)
{
	const struct route_index *x = site->routing;
	uint32_t h = HOST_SEED, best = (uint32_t)site->nroutes - 1, i;
	size_t at;

	best = route_try(site, route_hash(STR("/")), STR("/"), path.n == 1, method, best);
	for (at = 0; at < path.n && at <= x->longest; at++) {
		if (at > 0 && path.p[at] == '/')
			best = route_try(site, h, str_n(path.p, at), false, method, best);
		h = host_hash_step(h, (unsigned char)path.p[at]);
	}
	if (at == path.n && path.n > 1)
		best = route_try(site, h, path, true, method, best);
	for (i = 0; i < x->nregex && x->regex[i] < best; i++) {
		const struct route *r = &site->routes[x->regex[i]];
		enum regex_verdict v =
		    route_has_method(r, method) ? route_has_path(r, path) : REGEX_MISMATCH;

		if (v != REGEX_MISMATCH)
			return v == REGEX_MATCH ? r : NULL;
	}
	return &site->routes[best];
}

/* From r on, which may have the path. */
static __attribute__((noinline)) const struct route *
route_in_order(const struct route *r, const struct route *last, struct str path, int method)
{
	for (; r < last; r++) {
		enum regex_verdict v;

		if (!route_may_have_path(r, path) || !route_has_method(r, method))
			continue;
		v = route_has_path(r, path);
		if (v != REGEX_MISMATCH)
			return v == REGEX_MATCH ? r : NULL;
	}
	return last;
}

const struct route *
site_route(const struct site *site, struct str path, int method)
{
	const struct route *r = site->routes, *last = r + site->nroutes - 1;

	if (site->routing)
		return route_by_index(site, path, method);
	while (r < last && !route_may_have_path(r, path))
		r++;
	return r < last ? route_in_order(r, last, path, method) : last;
}

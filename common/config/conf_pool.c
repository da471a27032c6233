/*
 * Backend pools from `backends: { NAME: { … }; … }` at the top of any file, and anonymous ones from
 * URLs in routes. What is read stands in struct build_pool with its places, so that everything that
 * is wrong is said where it stands; build_pool_check.c derives the rest. The configuration's array
 * is made once, with room for the anonymous ones: pools never move, routes point to them.
 */
#include "common/base/address.h"
#include "common/base/suggest.h"
#include "common/config/build.h"

struct pool_walk {
	struct opt_space space;
	struct opt_table table;
	struct build_pool *pool;
};

static const struct pool_scheme {
	struct str name;
	int protocol;
	int port; /* when none is given; 0: one must be */
	bool is_tls;
} pool_schemes[] = {
	{ STR_INIT("http"), POOL_HTTP, 80, false },
	{ STR_INIT("https"), POOL_HTTP, 443, true },
	{ STR_INIT("fastcgi"), POOL_FASTCGI, 0, false },
	{ STR_INIT("scgi"), POOL_SCGI, 0, false },
	{ STR_INIT("uwsgi"), POOL_UWSGI, 0, false },
	{ STR_INIT("ajp"), POOL_AJP, 0, false },
};
static const char pool_schemes_text[] =
    "\"http://\", \"https://\", \"fastcgi://\", \"scgi://\", \"uwsgi://\" or \"ajp://\"";

/* --- options --- */

static size_t
pool_row(const char *name)
{
	size_t i = 0;

	while (strcmp(pool_opts[i].name, name) != 0)
		i++;
	return i;
}

/* Where an element of the hosts stands. */
static struct cfg_place
pool_host_place(const struct build_pool *p, size_t i)
{
	const struct opt_places *elems = &p->elems[pool_row("hosts")];
	const struct cfg_place *row = &p->places[pool_row("hosts")];

	return i < elems->n ? elems->v[i] : row->file ? *row : p->conf->place;
}

/* Numbers where texts are meant, as in processes = 4 and status = [ 502, 503 ]. */
static void
pool_number_is_text(struct cfg_node *node)
{
	struct cfg_node *e;

	if (node->kind == NODE_INT) {
		node->kind = NODE_STRING;
		node->text = node->raw;
	}
	for (e = node->first; e; e = e->next)
		pool_number_is_text(e);
}

static void
pool_set(
    struct opt_space *space, size_t table, const struct cfg_opt *opt, const struct cfg_node *node)
{
	static const char *const numbers[] = { "spawn.processes", "retry.status", "health.status" };
	struct build_pool *p = ((struct pool_walk *)space)->pool;
	size_t row = (size_t)(opt - pool_opts), i;

	(void)table;
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (strcmp(opt->name, numbers[i]) == 0)
			pool_number_is_text((struct cfg_node *)node);
	opt_set(space->reader, opt, node, p->conf, &p->elems[row]);
	p->places[row] = node->place;
}

static struct build_pool *
pool_new(struct build *b, struct str name, struct cfg_place at)
{
	struct build_pool *p = arena_calloc(b->arena, sizeof(*p));
	size_t rows = opt_count(pool_opts);

	p->conf = arena_calloc(b->arena, sizeof(*p->conf));
	p->conf->name = arena_str(b->arena, name);
	p->conf->place = at;
	p->places = arena_calloc(b->arena, rows * sizeof(*p->places));
	p->elems = arena_calloc(b->arena, rows * sizeof(*p->elems));
	opt_defaults(b->arena, pool_opts, p->conf);
	*b->last_pool = p;
	b->last_pool = &p->next;
	b->npools++;
	return p;
}

/* --- addresses --- */

static const struct pool_scheme *
pool_scheme(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(pool_schemes) / sizeof(*pool_schemes); i++)
		if (str_caseeq(pool_schemes[i].name, name))
			return &pool_schemes[i];
	return NULL;
}

/* What the first URL says of the protocol counts for the pool; the others must say the same. */
static bool
pool_take_scheme(
    struct build *b, struct build_pool *p, const struct pool_scheme *s, struct cfg_place at)
{
	struct cfg_place *place = &p->places[pool_row("protocol")];
	struct cfg_place *tls = &p->places[pool_row("tls.enabled")];

	if (!place->file) {
		p->conf->protocol = s->protocol;
		*place = at;
	}
	if (!tls->file && s->protocol == POOL_HTTP) {
		p->conf->tls.on = s->is_tls;
		*tls = at;
	}
	if (p->conf->protocol == s->protocol &&
	    (s->protocol != POOL_HTTP || p->conf->tls.on == s->is_tls))
		return true;
	cfg_errors_add(b->errors, true, at, "all hosts of a pool are spoken to in the same way",
	    "\"%.*s://\" does not go with %s, on line %d", STR_FMT(s->name),
	    p->conf->protocol == s->protocol ? "what is said of TLS" : "the pool's protocol",
	    p->conf->protocol == s->protocol ? tls->line : place->line);
	return false;
}

/* Cuts the path off a URL's address. False: it says more than "/" or nothing. */
static bool
pool_cut_path(struct str *address)
{
	ptrdiff_t at = str_has_prefix(*address, STR("unix:")) ? -1 : str_find(*address, '/');

	if (at >= 0)
		*address = str_n(address->p, (size_t)at);
	return at < 0;
}

/* A host's address in its canonical form. False: reported. */
static bool
pool_address(struct build *b, struct build_pool *p, const char *dir, struct conf_host *h)
{
	struct str text = h->address, scheme = address_scheme(&text);
	const struct pool_scheme *s = pool_scheme(scheme);
	struct address a;
	const char *why;

	if (scheme.n && !s) {
		cfg_errors_add(b->errors, true, h->place, NULL,
		    "a URL of a backend begins with %s, not \"%.*s://\"", pool_schemes_text,
		    STR_FMT(scheme));
		return false;
	}
	if (s && !pool_take_scheme(b, p, s, h->place))
		return false;
	if (s && !pool_cut_path(&text)) {
		cfg_errors_add(b->errors, true, h->place,
		    "write gateway: { backend = ...; path = \"/\"; } in the route to map paths",
		    "the URL of a backend has no path: \"%.*s\"", STR_FMT(h->address));
		return false;
	}
	if (!address_parse(b->arena, text, dir, s ? s->port : 0, &a, &why)) {
		cfg_errors_add(b->errors, true, h->place, NULL, "a backend wants %s, not \"%.*s\"",
		    why, STR_FMT(h->address));
		return false;
	}
	h->address = a.text;
	h->name = a.host;
	h->port = a.port;
	h->is_unix = a.is_unix;
	h->is_numeric = a.is_numeric;
	return true;
}

static void
pool_addresses(struct build *b, struct build_pool *p, const char *dir)
{
	size_t i;

	for (i = 0; i < p->conf->nhosts; i++) {
		p->conf->hosts[i].place = pool_host_place(p, i);
		if (!pool_address(b, p, dir, &p->conf->hosts[i]))
			p->has_error = true;
	}
}

/* --- reading --- */

static struct build_pool *
pool_find(const struct build *b, struct str name)
{
	struct build_pool *p;

	for (p = b->pools; p; p = p->next)
		if (str_eq(p->conf->name, name))
			return p;
	return NULL;
}

/* False: reported. */
static bool
pool_check_name(struct build *b, const struct cfg_node *node)
{
	const struct build_pool *other = pool_find(b, node->name);
	struct cfg_errors *e = b->errors;

	if (other)
		cfg_errors_add(e, true, node->name_place,
		    cfg_errors_printf(e, "the first is in %s, line %d", other->conf->place.file,
			other->conf->place.line),
		    "there are two pools \"%.*s\"", STR_FMT(node->name));
	else if (node->name.n > CONF_POOL_NAME || str_find(node->name, '*') >= 0)
		cfg_errors_add(e, true, node->name_place, NULL,
		    "the name of a pool has 1 to %d letters, digits, \"-\" and \"_\"",
		    CONF_POOL_NAME);
	else if (str_eq(node->name, STR("off")))
		cfg_errors_add(e, true, node->name_place, NULL,
		    "a pool cannot be called \"off\": gateway = \"off\" has a meaning");
	else
		return true;
	return false;
}

/* { … }, or in its place what hosts are: a URL, a list of URLs or groups. */
static void
pool_read(struct build *b, struct opt_reader *r, const struct cfg_node *node)
{
	struct pool_walk w = { .table = { "backends", pool_opts, sizeof(struct conf_pool) } };
	size_t before = cfg_errors_count(b->errors);

	if (!pool_check_name(b, node))
		return;
	w.pool = pool_new(b, node->name, node->name_place);
	w.space = (struct opt_space){ .reader = r, .tables = &w.table, .n = 1 };
	w.space.name = arena_printf(b->arena, "pool \"%.*s\"", STR_FMT(node->name)).p;
	w.space.set = pool_set;
	if (node->kind == NODE_GROUP)
		opt_walk(&w.space, node);
	else
		pool_set(&w.space, 0, &pool_opts[pool_row("hosts")], node);
	pool_addresses(b, w.pool, r->dir);
	w.pool->has_error |= node->kind == NODE_NONE || cfg_errors_count(b->errors) > before;
}

void
build_pools_read(struct build *b, struct opt_reader *r, const struct cfg_node *backends)
{
	const struct cfg_node *node;

	if (backends->kind != NODE_GROUP) {
		if (backends->kind != NODE_NONE)
			cfg_errors_add(b->errors, true, backends->place,
			    "write backends: { app: { protocol = \"http\"; hosts = \"...\"; }; };",
			    "'backends' wants a group of pools, not %s",
			    tree_describe(backends, b->errors));
		return;
	}
	for (node = backends->first; node; node = node->next)
		pool_read(b, r, node);
}

static void
pool_place_in(struct conf *conf, struct build_pool *p)
{
	conf->pools[conf->npools] = *p->conf;
	p->conf = &conf->pools[conf->npools];
	p->conf->index = (unsigned)conf->npools++;
}

void
build_pools(struct build *b)
{
	struct conf *conf = b->conf;
	struct build_pool *p;
	/* Each scope may name two by URLs. */
	size_t room = b->npools + 2 * (conf->nroutes + conf->nsites + 1);

	if (room > CONF_POOLS)
		room = CONF_POOLS;
	conf->pools = arena_calloc(b->arena, room * sizeof(*conf->pools));
	for (p = b->pools; p; p = p->next) {
		if (conf->npools == CONF_POOLS) {
			cfg_errors_add(b->errors, true, p->conf->place, NULL,
			    "there are more than %d pools", CONF_POOLS);
			return;
		}
		pool_place_in(conf, p);
		build_pool_check(b, p);
	}
}

/* --- finding --- */

const struct conf_pool *
conf_pool_find(const struct conf *conf, struct str name)
{
	size_t i;

	for (i = 0; i < conf->npools; i++)
		if (str_eq(conf->pools[i].name, name))
			return &conf->pools[i];
	return NULL;
}

/* An anonymous pool is called by its URL, in its shortest form; cut where that is too long for the
   segment, with a digest in place of the rest. */
static struct str
pool_url(struct arena *a, const struct conf_pool *p)
{
	const char *scheme = p->tls.on ? "https" : pool_protocol_names[p->protocol];
	struct str url = arena_printf(a, "%s://%.*s", scheme, STR_FMT(p->hosts[0].address));
	uint64_t digest = 0xcbf29ce484222325;
	size_t i;

	if (url.n <= CONF_POOL_NAME)
		return url;
	for (i = 0; i < url.n; i++)
		digest = (digest ^ (unsigned char)url.p[i]) * 0x100000001b3u;
	return arena_printf(a, "%.*s~%08x", CONF_POOL_NAME - 9, url.p, (unsigned)(digest >> 32));
}

static const struct conf_pool *
pool_anonymous(struct build *b, struct cfg_check *c, const char *option, struct str url)
{
	struct build_pool **last = b->last_pool, *p, *other;

	if (b->conf->npools == CONF_POOLS) {
		cfg_error(c, option, -1, NULL, "there are more than %d pools", CONF_POOLS);
		return NULL;
	}
	p = pool_new(b, url, cfg_place_of(c, option));
	p->conf->is_anonymous = true;
	p->conf->hosts = arena_calloc(b->arena, sizeof(*p->conf->hosts));
	p->conf->nhosts = 1;
	p->conf->hosts[0] = (struct conf_host){ .address = url, .weight = 1 };
	pool_addresses(b, p, NULL);
	p->conf->name = p->has_error ? url : pool_url(b->arena, p->conf);
	b->last_pool = last; /* found from here on only when it is new */
	*last = NULL;
	b->npools--;
	other = pool_find(b, p->conf->name);
	if (p->has_error || other)
		return other && !p->has_error ? other->conf : NULL;
	*last = p;
	b->last_pool = &p->next;
	b->npools++;
	pool_place_in(b->conf, p);
	build_pool_check(b, p);
	return p->conf;
}

static const char *
pool_hint(const struct build *b, struct str name)
{
	const struct build_pool *p;
	struct suggest near;

	suggest_init(&near, name);
	for (p = b->pools; p; p = p->next)
		if (!p->conf->is_anonymous)
			suggest_offer(&near, p->conf->name);
	if (near.best.n)
		return cfg_errors_printf(b->errors, "did you mean \"%.*s\"?", STR_FMT(near.best));
	if (str_find(name, ':') >= 0 || str_find(name, '/') >= 0)
		return cfg_errors_printf(b->errors, "an address begins with %s", pool_schemes_text);
	return cfg_errors_printf(b->errors,
	    "at the top of the file: backends: { %.*s: { protocol = \"http\"; hosts = \"...\"; }; "
	    "};",
	    STR_FMT(name));
}

const struct conf_pool *
conf_pool_named(struct cfg_check *c, const char *option, struct str name)
{
	struct build *b = c->more ? c->more->build : NULL;
	struct str rest = name;
	struct build_pool *p;

	if (!b)
		return NULL;
	if (address_scheme(&rest).n)
		return pool_anonymous(b, c, option, name);
	p = pool_find(b, name);
	if (p)
		return p->conf;
	cfg_error(c, option, -1, pool_hint(b, name), "there is no pool \"%.*s\"", STR_FMT(name));
	return NULL;
}

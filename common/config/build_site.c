/*
 * Sites and routes as requests meet them, made from their scopes: hosts and paths in their one
 * form, the implicit last route, the hooks of the modules that are active, and the routes that can
 * never match.
 */
#include "common/base/http.h"
#include "common/base/must.h"
#include "common/config/build.h"
#include "common/config/regex.h"

/* --- hosts --- */

static bool
host_is_name(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = str_lower((unsigned char)s.p[i]);

		if (!((unsigned)c - 'a' < 26 || (unsigned)c - '0' < 10 || c == '-' || c == '.' ||
			c == '_'))
			return false;
		if (c == '.' && (i == 0 || s.p[i - 1] == '.'))
			return false;
	}
	return s.n > 0;
}

/* An address in brackets, as it stands in a Host field. */
static bool
host_is_v6(struct str s)
{
	size_t i;

	for (i = 1; i + 1 < s.n; i++)
		if (!strchr("0123456789abcdefABCDEF:.", s.p[i]))
			return false;
	return s.n > 3 && s.p[0] == '[' && s.p[s.n - 1] == ']';
}

static const char *
host_hint(struct str s)
{
	if (memchr(s.p, '/', s.n))
		return "a name such as \"example.org\", without scheme and path";
	if (memchr(s.p, ':', s.n))
		return "a name without port; the port stands in server.listen";
	if (memchr(s.p, '*', s.n))
		return "'*' stands alone or in front: \"*.example.org\"";
	return "a name such as \"example.org\", \"*.example.org\" or \"*\"; others in their xn-- "
	       "form";
}

/* In lower case, without a dot at the end; p NULL when it is no host name. */
static struct str
host_canonical(struct build *b, struct str s, struct cfg_place at)
{
	struct str name = s, low;
	size_t i;

	if (str_eq(s, STR("*")))
		return s;
	if (str_has_prefix(name, STR("*.")))
		name = str_n(name.p + 2, name.n - 2);
	if (name.n > 1 && name.p[name.n - 1] == '.') {
		name.n--;
		s.n--;
	}
	if (s.n > 253 || (!host_is_name(name) && !host_is_v6(s))) {
		cfg_errors_add(
		    b->errors, true, at, host_hint(s), "\"%.*s\" is not a host name", STR_FMT(s));
		return (struct str){ NULL, 0 };
	}
	low = arena_str(b->arena, s);
	for (i = 0; i < low.n; i++)
		((char *)low.p)[i] = (char)str_lower((unsigned char)low.p[i]);
	return low;
}

static void
site_hosts(struct build *b, const struct scope *scope, struct site *site)
{
	const struct conf_site_opts *o = scope->conf[core_id(CORE_SITE)];
	const struct opt_places *elems = &scope->elems[core_id(CORE_SITE)][0];
	struct str host;
	size_t i;

	site->hosts.v = arena_calloc(b->arena, (o->hosts.n + 1) * sizeof(*site->hosts.v));
	for (i = 0; i < o->hosts.n; i++) {
		host = host_canonical(b, o->hosts.v[i], i < elems->n ? elems->v[i] : scope->place);
		if (host.p)
			site->hosts.v[site->hosts.n++] = host;
	}
	site->name = site->hosts.n ? site->hosts.v[0].p : "?";
}

/* --- paths --- */

static bool
path_has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static const char *
path_wrong(struct str s)
{
	struct str rest, segment;

	if (s.n == 0 || s.p[0] != '/')
		return "a path begins with '/'";
	if (memchr(s.p, '?', s.n) || memchr(s.p, '#', s.n))
		return "a path has no query: '?' and '#' do not belong in it";
	if (memchr(s.p, '%', s.n))
		return "paths are compared after decoding: write the character itself";
	if (path_has_control(s))
		return "requests with control characters in their path are refused";
	rest = str_n(s.p + 1, s.n - 1);
	while (rest.p) {
		segment = str_split(&rest, '/');
		if ((segment.n == 0 && rest.p) || str_eq(segment, STR(".")) ||
		    str_eq(segment, STR("..")))
			return "paths are compared without empty, \".\" and \"..\" segments";
	}
	return NULL;
}

static bool
route_path(struct build *b, struct route *r, struct str path, struct cfg_place at)
{
	const char *wrong = path_wrong(path);

	if (wrong)
		cfg_errors_add(b->errors, true, at, NULL, "the path \"%.*s\" can never match: %s",
		    STR_FMT(path), wrong);
	/* "/static/" and "/static" are the same prefix. */
	if (r->kind == ROUTE_PREFIX && path.n > 1 && path.p[path.n - 1] == '/')
		path = arena_str(b->arena, str_n(path.p, path.n - 1));
	r->path = path;
	return !wrong;
}

/* False: the path is wrong, which is reported. */
static bool
route_kind(struct build *b, const struct scope *scope, struct route *r)
{
	const struct conf_route_opts *o = scope->conf[core_id(CORE_ROUTE)];
	const struct cfg_place *at[] = { scope_place(scope, CORE_ROUTE, "path"),
		scope_place(scope, CORE_ROUTE, "exact"), scope_place(scope, CORE_ROUTE, "regex") };
	unsigned i, n = 0, kind = ROUTE_PREFIX;

	for (i = 0; i < 3; i++)
		if (at[i]->file) {
			kind = i;
			n++;
		}
	r->kind = kind;
	r->path = STR("/");
	if (scope->has_error[core_id(CORE_ROUTE)])
		return false;
	if (n != 1) {
		cfg_errors_add(b->errors, true, n ? *at[kind] : scope->place,
		    n ? NULL : "for everything: path = \"/\";",
		    n ? "a route has one of 'path', 'exact' and 'regex'"
		      : "a route wants 'path', 'exact' or 'regex'");
		return false;
	}
	if (kind == ROUTE_REGEX) {
		r->regex = o->regex;
		r->path = o->regex.source;
		return true;
	}
	return route_path(b, r, kind == ROUTE_EXACT ? o->exact : o->path, *at[kind]);
}

static void
route_methods(struct build *b, const struct scope *scope, struct route *r)
{
	const struct conf_route_opts *o = scope->conf[core_id(CORE_ROUTE)];
	const struct cfg_place *row = scope_place(scope, CORE_ROUTE, "methods");
	const struct opt_places *elems =
	    &scope->elems[core_id(CORE_ROUTE)][row - scope->places[core_id(CORE_ROUTE)]];
	enum http_method m;
	char upper[16];
	size_t i, k;

	for (i = 0; i < o->methods.n; i++) {
		struct str s = o->methods.v[i];

		m = http_method_of(s);
		r->methods |= 1u << m;
		if (m == M_GET)
			r->methods |= 1u << M_HEAD;
		if (m != M_OTHER)
			continue;
		for (k = 0; k < s.n && k < sizeof(upper); k++)
			upper[k] = (char)((unsigned)(s.p[k] - 'a') < 26 ? s.p[k] - 32 : s.p[k]);
		cfg_errors_add(b->errors, true, i < elems->n ? elems->v[i] : *row,
		    http_method_of(str_n(upper, k)) != M_OTHER ? "in upper case" : NULL,
		    "\"%.*s\" is not a method that the server knows", STR_FMT(s));
	}
}

/* --- routes --- */

static void
route_labels(struct build *b, const struct scope *scope, struct route *r)
{
	static const char *const marks[] = {
		[ROUTE_PREFIX] = "", [ROUTE_EXACT] = "= ", [ROUTE_REGEX] = "~ "
	};
	const struct conf_route_opts *o = scope->conf[core_id(CORE_ROUTE)];
	struct str s = arena_printf(b->arena, "%s%.*s", marks[r->kind], STR_FMT(r->path));
	size_t i;

	for (i = 0; i < s.n; i++) /* an expression may be written over several lines */
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			((char *)s.p)[i] = '?';
	for (i = 0; r->methods && i < o->methods.n; i++)
		s = arena_printf(
		    b->arena, "%.*s%s%.*s", STR_FMT(s), i ? "," : " ", STR_FMT(o->methods.v[i]));
	r->path_label = s.p;
	r->label = arena_printf(b->arena, "%s %s", r->site->name, s.p).p;
}

/* False: where the route stands is not known. */
static bool
route_fill(struct build *b, const struct site *site, const struct scope *scope, struct route *r)
{
	bool is_known = true;

	r->site = site;
	r->place = scope->place;
	r->index = (unsigned)b->conf->nroutes++;
	r->conf = (const void *const *)scope->conf;
	r->core = scope->conf[core_id(CORE_OPTIONS)];
	r->places = (const struct cfg_place *const *)scope->places;
	r->core_places = scope->places[core_id(CORE_OPTIONS)];
	if (scope->where == CFG_ROUTE) {
		is_known = route_kind(b, scope, r);
		route_methods(b, scope, r);
	} else { /* the implicit last one */
		r->kind = ROUTE_PREFIX;
		r->path = STR("/");
	}
	route_labels(b, scope, r);
	return is_known;
}

static bool
route_takes_all(const struct route *r)
{
	return r->kind == ROUTE_PREFIX && r->path.n == 1 && !r->methods;
}

/* Whether every path that "later" is for is taken by r before it. */
static bool
route_covers(const struct route *r, const struct route *later)
{
	if (r->methods && (!later->methods || (later->methods & ~r->methods)))
		return false;
	if (r->kind == ROUTE_PREFIX && r->path.n == 1)
		return true;
	if (later->kind == ROUTE_REGEX)
		return r->kind == ROUTE_REGEX && str_eq(r->path, later->path);
	if (r->kind == ROUTE_PREFIX)
		return str_has_prefix(later->path, r->path) &&
		       (later->path.n == r->path.n || later->path.p[r->path.n] == '/');
	if (later->kind != ROUTE_EXACT)
		return false;
	return r->kind == ROUTE_EXACT ? str_eq(r->path, later->path)
				      : regex_match(&r->regex, later->path, NULL).is == REGEX_MATCH;
}

static void
site_warn_shadowed(struct build *b, const struct route *v, const bool *is_known, size_t n)
{
	size_t i, k;

	for (i = 1; i < n; i++) {
		for (k = 0; k < i && !(is_known[k] && route_covers(&v[k], &v[i])); k++)
			continue;
		if (k < i && is_known[i])
			cfg_errors_add(b->errors, false, v[i].place,
			    "the first route that matches is taken: move this one up",
			    "route \"%s\" can never match: \"%s\" on line %d takes %s first",
			    v[i].path_label, v[k].path_label, v[k].place.line,
			    route_takes_all(&v[k]) ? "everything" : "its requests");
	}
}

static void
site_fill(struct build *b, const struct build_site *from, struct site *site)
{
	struct route *routes = arena_calloc(b->arena, (from->nroutes + 1) * sizeof(*routes));
	bool *is_known = arena_calloc(b->arena, from->nroutes + 1);
	const struct build_route *r;
	size_t n = 0;

	site_hosts(b, from->scope, site);
	site->place = from->scope->place;
	site->routes = routes;
	for (r = from->routes; r; r = r->next, n++)
		is_known[n] = route_fill(b, site, r->scope, &routes[n]);
	site_warn_shadowed(b, routes, is_known, n);
	if (n == 0 || !route_takes_all(&routes[n - 1]))
		route_fill(b, site, from->scope, &routes[n++]);
	site->nroutes = n;
	build_routing(b, site);
}

/* A file without sites is one site for all hosts. */
static void
site_default(struct build *b)
{
	struct build_site *s = arena_calloc(b->arena, sizeof(*s));

	s->scope = scope_new(b->arena, b->server, CFG_SITE, b->server->place, "site \"*\"");
	*b->last = s;
	b->last = &s->next;
	b->nsites++;
}

void
build_sites(struct build *b)
{
	struct build_site *s;
	size_t i = 0;

	if (!b->nsites)
		site_default(b);
	b->conf->sites = arena_calloc(b->arena, b->nsites * sizeof(*b->conf->sites));
	b->conf->nsites = b->nsites;
	for (s = b->sites; s; s = s->next, i++) {
		b->conf->sites[i].index = (unsigned)i;
		site_fill(b, s, &b->conf->sites[i]);
	}
}

/* --- hooks --- */

static bool
hook_has(const struct module *m, unsigned hook)
{
	switch (hook) {
	case 0:
		return m->access != NULL;
	case 1:
		return m->handle != NULL;
	case 2:
		return m->filter != NULL;
	default:
		return m->log != NULL;
	}
}

static struct conf_hooks
hook_list(struct build *b, const struct route *r, unsigned hook)
{
	struct conf_hook v[64] = { { .module = NULL } }, *kept;
	struct conf_hooks hooks = { NULL, 0 };
	const struct module *m;
	size_t i;

	must(core_modules_n <= sizeof(v) / sizeof(*v));
	for (i = 0; i < core_modules_n; i++) {
		m = core_modules[i];
		if (hook_has(m, hook) && (!m->active || m->active(r->conf[i])))
			v[hooks.n++] = (struct conf_hook){ m, r->conf[i], str_of(m->name) };
	}
	kept = arena_alloc(b->arena, hooks.n * sizeof(*v) + 1);
	memcpy(kept, v, hooks.n * sizeof(*v));
	hooks.v = kept;
	return hooks;
}

/* A response comes back through the modules: from the handler outward. */
static struct conf_hooks
hook_reversed(struct conf_hooks hooks)
{
	struct conf_hook *v = (struct conf_hook *)(uintptr_t)hooks.v;

	for (size_t i = 0; i < hooks.n / 2; i++) {
		struct conf_hook other = v[hooks.n - 1 - i];

		v[hooks.n - 1 - i] = v[i];
		v[i] = other;
	}
	return hooks;
}

static bool
site_has_script(const struct site *site, struct str suffix)
{
	for (size_t i = 0; i < site->scripts.n; i++)
		if (str_caseeq(site->scripts.v[i], suffix))
			return true;
	return false;
}

static void
site_add_script(struct build *b, struct site *site, struct str suffix)
{
	size_t n = site->scripts.n;
	struct str *v;

	if (site_has_script(site, suffix))
		return;
	v = arena_alloc(b->arena, (n + 1) * sizeof(*v));
	if (n > 0)
		memcpy(v, site->scripts.v, n * sizeof(*v));
	v[n] = suffix;
	site->scripts = (struct cfg_strs){ v, n + 1 };
}

/* What the handlers of a route run, no route of the site hands out. */
static void
site_scripts(struct build *b, struct site *site, const struct route *r)
{
	for (size_t i = 0; i < r->handle.n; i++) {
		const struct module *m = r->handle.v[i].module;
		struct cfg_strs v = { NULL, 0 };

		if (m->takes)
			v = m->takes(r->handle.v[i].conf).scripts;
		for (size_t k = 0; k < v.n; k++)
			site_add_script(b, site, v.v[k]);
	}
}

void
build_hooks(struct build *b)
{
	size_t i, k;

	for (i = 0; i < b->conf->nsites; i++)
		for (k = 0; k < b->conf->sites[i].nroutes; k++) {
			struct route *r = (struct route *)&b->conf->sites[i].routes[k];

			r->access = hook_list(b, r, 0);
			r->handle = hook_list(b, r, 1);
			r->filter = hook_reversed(hook_list(b, r, 2));
			r->log = hook_list(b, r, 3);
			site_scripts(b, &b->conf->sites[i], r);
		}
}

/*
 * `argand explain`: the same lookups that a request makes, printed step by step, with the line of
 * the configuration that decided each.
 */
#include <stdlib.h>

#include "common/base/http.h"
#include "common/config/conf_pool.h"
#include "common/config/conf_print.h"
#include "common/config/core.h"
#include "common/config/regex.h"

struct explain {
	const struct conf *conf;
	const struct conf_ask *ask;
	FILE *f;
	bool colour;
	unsigned step;
	struct arena arena;
};

enum { EXPLAIN_COLUMN = 64 };

/* " 2 site      text .......... file:9". label "": goes on with the step before. */
static void
explain_line(struct explain *x, const char *label, const struct cfg_place *at, const char *fmt, ...)
{
	const char *bold = x->colour && *label ? "\033[1m" : "", *off = *bold ? "\033[0m" : "";
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(&x->arena, fmt, ap);
	va_end(ap);
	if (*label)
		fprintf(x->f, "%2u %s%-9s%s ", ++x->step, bold, label, off);
	else
		fprintf(x->f, "%*s", 13, "");
	fwrite(text.p, 1, text.n, x->f);
	if (at && at->file && at->line)
		fprintf(x->f, "%*s%s:%d",
		    text.n + 2 < EXPLAIN_COLUMN ? (int)(EXPLAIN_COLUMN - text.n) : 2, "", at->file,
		    at->line);
	else if (at)
		fprintf(x->f, "%*sdefault",
		    text.n + 2 < EXPLAIN_COLUMN ? (int)(EXPLAIN_COLUMN - text.n) : 2, "");
	fputc('\n', x->f);
}

/* A path alone may be asked for anywhere. */
static unsigned
explain_port(const struct conf_ask *ask)
{
	return ask->port || !ask->host.n ? ask->port : 80;
}

const struct conf_listen *
conf_ask_listen(const struct conf *conf, const struct conf_ask *ask, bool *is_its)
{
	const struct conf_listen *l, *any = NULL;
	unsigned port = explain_port(ask);
	bool ignored = true;
	size_t i;

	is_its = is_its ? is_its : &ignored;
	*is_its = true;
	for (i = 0; i < conf->nlistens; i++) {
		l = &conf->listens[i];
		if (l->family == LISTEN_TCP && l->port == (int64_t)port)
			return l;
		if (!any || (any->family != LISTEN_TCP && l->family == LISTEN_TCP))
			any = l;
	}
	*is_its = !port;
	return any;
}

static const struct conf_listen *
explain_listen(struct explain *x)
{
	bool is_its;
	const struct conf_listen *l = conf_ask_listen(x->conf, x->ask, &is_its);

	if (l && is_its)
		explain_line(x, "listener", &l->place, "%.*s", STR_FMT(l->text));
	else if (l)
		explain_line(x, "listener", &l->place, "%.*s (none has port %u)", STR_FMT(l->text),
		    explain_port(x->ask));
	return l;
}

static const char *
explain_why_site(struct explain *x, const struct site *s)
{
	struct str host = x->ask->host, h;
	size_t i;

	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	for (i = 0; i < s->hosts.n; i++)
		if (str_caseeq(s->hosts.v[i], host))
			return "this very host";
	for (i = 0; i < s->hosts.n; i++) {
		h = s->hosts.v[i];
		if (h.n > 2 && str_has_prefix(h, STR("*.")) && host.n >= h.n &&
		    str_caseeq(
			str_n(host.p + host.n - (h.n - 1), h.n - 1), str_n(h.p + 1, h.n - 1)))
			return arena_printf(&x->arena, "by \"%.*s\"", STR_FMT(h)).p;
	}
	return host.n ? "the default: no site has this host" : "the default: no host was asked for";
}

static const char *
explain_why_not(const struct route *r, struct str path, enum http_method m)
{
	enum regex_verdict v =
	    r->kind == ROUTE_REGEX ? regex_match(&r->regex, path, NULL).is : REGEX_MISMATCH;
	bool is_path = r->kind == ROUTE_EXACT   ? str_eq(path, r->path)
		       : r->kind == ROUTE_REGEX ? v == REGEX_MATCH
						: str_has_prefix(path, r->path) &&
						      (r->path.n == 1 || path.n == r->path.n ||
							  path.p[r->path.n] == '/');

	if (is_path && r->methods && !(r->methods >> m & 1))
		return "not for this method";
	if (v == REGEX_FAILED)
		return "cannot be decided (steps or memory of a match): the answer is 500";
	if (r->kind == ROUTE_REGEX)
		return "does not match";
	return r->kind == ROUTE_PREFIX && str_has_prefix(path, r->path)
		   ? "no: not at the end of a segment"
		   : "no: another path";
}

static const struct route *
explain_routes(struct explain *x, const struct site *site)
{
	enum http_method m = http_method_of(str_of(x->ask->method));
	const struct route *r, *taken = site_route(site, x->ask->path, (int)m);
	const struct route *end = taken ? taken : site->routes + site->nroutes;
	const char *why = NULL;

	for (r = site->routes; r < end; r++) {
		explain_line(x, r == site->routes ? "routes" : "", &r->place, "\"%s\" %s",
		    r->path_label, explain_why_not(r, x->ask->path, m));
		if (!taken && r->kind == ROUTE_REGEX && &r->regex == regex_failed(&why))
			return NULL;
	}
	explain_line(x, r == site->routes ? "routes" : "", &r->place, "\"%s\" matches%s",
	    r->path_label,
	    r->place.line == site->place.line && r->place.col == site->place.col
		? " (the site itself)"
		: "");
	return taken;
}

/* The options of one table that are set or have a default. */
static void
explain_options(struct explain *x, const struct cfg_opt *opts, const void *base,
    const struct cfg_place *places, bool only_set)
{
	size_t i;

	for (i = 0; opts[i].type != CFG_END; i++) {
		char *text = NULL;
		size_t len;
		FILE *f;

		if (!places[i].file && (only_set || !opts[i].def))
			continue;
		f = open_memstream(&text, &len);
		if (!f)
			continue;
		opt_print(f, &opts[i], base);
		fclose(f);
		explain_line(x, "", &places[i], "  %s = %s", opts[i].name, text);
		free(text);
	}
}

static bool
explain_is_in(const struct conf_hooks *hooks, const struct module *m)
{
	size_t i;

	for (i = 0; i < hooks->n; i++)
		if (hooks->v[i].module == m)
			return true;
	return false;
}

/* A line of a module about itself. */
static void
explain_print(void *arg, const char *line)
{
	explain_line(arg, "", NULL, "  %s", line);
}

static void
explain_modules(struct explain *x, const struct route *r)
{
	const struct {
		const char *name;
		const struct conf_hooks *v;
	} hooks[] = { { "access", &r->access }, { "handle", &r->handle }, { "filter", &r->filter },
		{ "log", &r->log } };
	const struct opt_table *tables;
	bool is_first = true;
	size_t i, k, n;

	for (i = 0; i < core_modules_n; i++) {
		const char *roles = "";

		for (k = 0; k < 4; k++)
			if (explain_is_in(hooks[k].v, core_modules[i]))
				roles = arena_printf(
				    &x->arena, "%s%s%s", roles, *roles ? ", " : "", hooks[k].name)
					    .p;
		if (!*roles)
			continue;
		explain_line(
		    x, is_first ? "modules" : "", NULL, "%s (%s)", core_modules[i]->name, roles);
		if (core_modules[i]->opts)
			explain_options(x, core_modules[i]->opts, r->conf[i], r->places[i], false);
		if (core_modules[i]->explain)
			core_modules[i]->explain(r->conf[i], x->ask, &x->arena, explain_print, x);
		is_first = false;
	}
	if (is_first)
		explain_line(x, "modules", NULL, "none is active");
	tables = core_tables(&n);
	explain_line(x, "core", NULL, "options that are set:");
	explain_options(x, tables[core_id(CORE_OPTIONS)].opts, r->core, r->core_places, true);
}

static void
explain_handler(struct explain *x, const struct route *r)
{
	const char *names = "";
	size_t i;

	for (i = 0; i < r->handle.n; i++)
		names = arena_printf(
		    &x->arena, "%s%s%s", names, i ? ", then " : "", r->handle.v[i].module->name)
			    .p;
	if (r->handle.n)
		explain_line(x, "handler", NULL, "%s%s", names,
		    r->handle.n > 1 ? ": the first that has an answer" : "");
	else
		explain_line(x, "handler", NULL, "none: 404 Not Found");
}

/* Who is answered at all: not the one who asks for this. */
static void
explain_internal(struct explain *x, const struct route *r)
{
	for (size_t i = 0; i < r->access.n; i++)
		if (str_eq(r->access.v[i].name, STR("internal")))
			explain_line(x, "internal", NULL,
			    "404 to every client: for X-Accel-Redirect and error_pages only");
}

/* Where the requests of a route go: its pool, by the option that names it. */
static void
explain_backend(struct explain *x, const struct route *r)
{
	const struct opt_table *tables;
	const struct conf_pool *p;
	size_t i, k, n;

	tables = core_tables(&n);
	for (i = 0; i < core_modules_n; i++)
		for (k = 0; tables[i].opts && tables[i].opts[k].type != CFG_END; k++) {
			if (strcmp(tables[i].opts[k].name, "gateway.backend") != 0)
				continue;
			p = conf_pool_find(
			    x->conf, *(const struct str *)((const char *)r->conf[i] +
							   tables[i].opts[k].offset));
			for (n = 0; p && n < p->nhosts; n++)
				explain_line(x, n ? "" : "backend", &p->hosts[n].place,
				    "%.*s (%s): %.*s%s", STR_FMT(p->name),
				    pool_protocol_names[p->protocol], STR_FMT(p->hosts[n].address),
				    p->hosts[n].backup ? ", for backup" : "");
			return;
		}
}

int
conf_explain(const struct conf *conf, FILE *f, const struct conf_ask *ask, bool colour)
{
	struct explain x = { .conf = conf, .ask = ask, .f = f, .colour = colour };
	const struct conf_listen *l;
	const struct site *site;
	const struct route *route;

	arena_init(&x.arena, NULL, 0);
	fprintf(f, "%s %.*s\n", ask->method, STR_FMT(ask->url));
	l = explain_listen(&x);
	site = conf_site(conf, l, ask->host);
	explain_line(
	    &x, "site", &site->place, "\"%s\": %s", site->name, explain_why_site(&x, site));
	explain_line(&x, "path", NULL, "%.*s %s", STR_FMT(ask->path),
	    str_eq(ask->path, ask->raw_path) ? "(as asked)" : "(normalised)");
	route = explain_routes(&x, site);
	if (route) {
		explain_modules(&x, route);
		explain_handler(&x, route);
		explain_internal(&x, route);
		explain_backend(&x, route);
	}
	arena_fini(&x.arena);
	return 0;
}

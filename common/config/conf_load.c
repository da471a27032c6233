/*
 * Loading: text to scopes (build_file.c), scopes to processes, listens, sites and routes, then the
 * check hooks of all modules. Everything goes on after an error; a configuration with one is never
 * handed out.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "common/config/build.h"

static void
load_check_modules(struct build *b)
{
	struct build_site *s;
	struct build_route *r;
	size_t i = 0, k;

	for (s = b->sites; s; s = s->next) {
		scope_uses(s->scope, b->arena);
		for (r = s->routes; r; r = r->next)
			scope_uses(r->scope, b->arena);
	}
	scope_check(b->server, b, NULL);
	for (s = b->sites; s; s = s->next, i++) {
		scope_check(s->scope, b, NULL);
		for (r = s->routes, k = 0; r; r = r->next, k++)
			scope_check(r->scope, b, &b->conf->sites[i].routes[k]);
	}
}

static struct conf *
load_build(const char *file, const char *text, struct cfg_errors **errors)
{
	struct arena *arena = must_calloc(1, sizeof(*arena));
	struct build *b;

	*errors = cfg_errors_new();
	arena_init(arena, NULL, 0);
	b = arena_calloc(arena, sizeof(*b));
	b->arena = arena;
	b->errors = *errors;
	b->last = &b->sites;
	b->last_pool = &b->pools;
	b->dir = "/";
	b->conf = arena_calloc(arena, sizeof(*b->conf));
	b->conf->arena = arena;
	b->conf->digest = 0xcbf29ce484222325;
	b->conf->origin = b;
	b->conf->file = text ? NULL : arena_strdup(arena, file);
	b->server = scope_new(arena, NULL, CFG_SERVER, (struct cfg_place){ NULL, 0, 0 }, "server");
	build_read(b, file, text);
	if (!b->server->place.file) /* the main file could not be read at all */
		return b->conf;
	build_process(b);
	build_sites(b);
	build_hosts(b);
	build_listens(b);
	build_pools(b);
	load_check_modules(b);
	if (cfg_errors_count(*errors) == 0)
		build_hooks(b);
	return b->conf;
}

static struct conf *
load(const char *file, const char *text, struct cfg_errors **errors)
{
	struct conf *conf = load_build(file, text, errors);

	conf->server_conf = (const void *const *)conf->origin->server->conf;
	if (cfg_errors_count(*errors) == 0)
		return conf;
	conf_free(conf);
	return NULL;
}

struct conf *
conf_load(const char *file, struct cfg_errors **errors)
{
	return load(file, NULL, errors);
}

struct conf *
conf_load_text(const char *text, const char *name, struct cfg_errors **errors)
{
	return load(name, text, errors);
}

void
conf_free(struct conf *conf)
{
	struct arena *arena;

	if (!conf)
		return;
	arena = conf->arena;
	arena_fini(arena);
	free(arena);
}

/*
 * The steps of making a configuration out of scopes, each in its own file, with what they share.
 */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include "common/config/conf_pool.h"
#include "common/config/scope.h"

struct build_route {
	struct scope *scope;
	struct build_route *next;
};

struct build_site {
	struct scope *scope;
	struct build_route *routes, **last;
	size_t nroutes;
	struct build_site *next;
};

/* A pool with where each of its options was set, by row of pool_opts. */
struct build_pool {
	struct conf_pool *conf;
	struct cfg_place *places;
	struct opt_places *elems;
	bool has_error; /* reported */
	struct build_pool *next;
};

struct build {
	struct conf *conf;
	struct arena *arena; /* the configuration's */
	struct cfg_errors *errors;
	struct scope *server;
	const char *dir; /* of the main file */
	struct build_site *sites, **last;
	size_t nsites;
	struct build_pool *pools, **last_pool;
	size_t npools, nhosts; /* nhosts: of the pools that were checked */
};

/* build_file.c: reads the file and what it includes, and fills the scopes. text NULL: reads file.
 */
void build_read(struct build *, const char *file, const char *text);

/* build_process.c: resolves the server's own options, listens among them (build_listen.c). */
void build_process(struct build *);
void build_listens(struct build *);

/* conf_pool.c: the pools of a file's `backends`; then, when routes and the server's own options are
   known, the configuration's array of them, which anonymous ones join in check hooks. */
extern const struct cfg_opt pool_opts[]; /* of struct conf_pool: build_pool_opts.c */
void build_pools_read(struct build *, struct opt_reader *, const struct cfg_node *backends);
void build_pools(struct build *);

/* build_pool_check.c: derives and validates. */
void build_pool_check(struct build *, struct build_pool *);

/* build_site.c: sites, hosts and routes from their scopes. */
void build_sites(struct build *);

/* build_site.c: the hooks of each route; when nothing is wrong. */
void build_hooks(struct build *);

/* route.c: the table of host names. Reports names that two sites have. */
void build_hosts(struct build *);
/* An index of a site's routes, when they are many. */
void build_routing(struct build *, struct site *);

/* build_listen.c: the canonical form of an address into one or two listens ("*:80"); returns how
   many, 0 with *why when it is none. */
unsigned listen_parse(
    struct arena *, struct str text, const char *dir, struct conf_listen out[2], const char **why);

#endif

/*
 * The steps of making a configuration out of scopes, each in its own file, with what they share.
 */
#ifndef COMMON_CONF_BUILD_H
#define COMMON_CONF_BUILD_H

#include "common/conf_scope.h"

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

struct build {
	struct conf *conf;
	struct arena *arena; /* the configuration's */
	struct cfg_errors *errors;
	struct scope *server;
	const char *dir; /* of the main file */
	struct build_site *sites, **last;
	size_t nsites;
};

/* conf_file.c: reads the file and what it includes, and fills the scopes. text NULL: reads file. */
void build_read(struct build *, const char *file, const char *text);

/* conf_process.c: resolves the server's own options, listens among them (conf_listen.c). */
void build_process(struct build *);
void build_listens(struct build *);

/* conf_site.c: sites, hosts and routes from their scopes. */
void build_sites(struct build *);

/* conf_site.c: the hooks of each route; when nothing is wrong. */
void build_hooks(struct build *);

/* route.c: the table of host names. Reports names that two sites have. */
void build_hosts(struct build *);
/* An index of a site's routes, when they are many. */
void build_routing(struct build *, struct site *);

/* conf_listen.c: the canonical form of an address into one or two listens ("*:80"); returns how
   many, 0 with *why when it is none. */
unsigned listen_parse(
    struct arena *, struct str text, const char *dir, struct conf_listen out[2], const char **why);

#endif

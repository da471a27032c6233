/*
 * What a worker knows about a route that serves files: its root directory, its table of media
 * types, and how a request's path becomes a name beneath the root.
 */
#ifndef FILES_ROUTE_H
#define FILES_ROUTE_H

#include "common/base/http.h"
#include "common/config/conf.h"
#include "modules/files/conf.h"
#include "modules/files/root.h"

struct files_route {
	const struct files_conf *conf; /* NULL: the route serves no files */
	const struct route *route;
	struct files_root *root; /* NULL: each host has one, see vhost.h; shared by the routes
				    with the same directory */
	const struct mime *mime; /* shared by the routes with the same mime_types */
	struct str prefix;       /* of the path, what alias takes the place of */
	struct str file;         /* an alias for one exact path: the name beneath root */
	struct cfg_strs scripts; /* suffixes of names that are not sent, see script.h */
};

/* For all routes of the configuration in which the module with this index is active. */
void files_route_start(const struct conf *, size_t module);
void files_route_stop(void);

/* Makes a route like another one with a root of its own; path is copied, all is freed at stop. */
void files_route_at(struct files_route *, const struct files_route *like, const char *path);

/* By struct route.index. */
const struct files_route *files_route_get(unsigned index);

/* The name beneath the root that a path stands for; points into path or the route. */
struct str files_route_name(const struct files_route *, struct str path);

/* Whether another route of the site would answer for path. */
bool files_route_is_elsewhere(const struct files_route *, struct str path);

#endif

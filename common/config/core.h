/*
 * The core's own option tables, and the structs they fill where those of conf.h hold what is made
 * from the options rather than the options themselves.
 */
#ifndef CONFIG_CORE_H
#define CONFIG_CORE_H

#include "common/config/conf.h"
#include "common/config/opt.h"

struct conf_listen_opts {
	struct str address, mode, user, group, site;
	int64_t backlog;
	bool defer;
	bool proxy_protocol;
};

struct conf_server_opts {
	struct conf_process process;
	struct cfg_records listens; /* struct conf_listen_opts */
};

struct conf_site_opts {
	struct cfg_strs hosts;
};

struct conf_route_opts {
	struct str path, exact;
	struct cfg_regex regex;
	struct cfg_strs methods;
};

/* The modules that a configuration is read with: those of module.h, unless a test has put its own
   in their place. */
extern const struct module *const *core_modules;
extern size_t core_modules_n;
void core_use_modules(const struct module *const *, size_t n);

/* The core's tables. Every scope has all tables; each row says in which scopes it may stand. The
   ids of these tables follow those of the modules. */
enum core_table { CORE_OPTIONS, CORE_SERVER, CORE_SITE, CORE_ROUTE, CORE_TABLES };

/* All tables: the modules' by their index, then the core's. */
const struct opt_table *core_tables(size_t *n);
static inline size_t
core_id(enum core_table t)
{
	return core_modules_n + t;
}

/* Names that may stand at the top of a file, or in a site, and have no row in a table.
   NULL-terminated. */
extern const char *const core_top_names[], *const core_site_names[];

/* "'listen' belongs in server: { }", or NULL when the name is known nowhere. */
const char *core_elsewhere(struct cfg_errors *, struct str name);

/* "server: { }, a site or a route". */
const char *core_scopes_text(struct cfg_errors *, unsigned where);

#endif

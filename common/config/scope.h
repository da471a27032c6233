/*
 * A scope while a configuration is loaded: server, a site or a route, with the struct of every
 * table. A scope that sets nothing of a table shares its parent's struct; the first row set makes a
 * copy.
 */
#ifndef CONFIG_SCOPE_H
#define CONFIG_SCOPE_H

#include "common/config/core.h"

struct build;

/* What cfg_check hides from check hooks. */
struct cfg_check_more {
	const struct opt_places *elems; /* by row */
	struct cfg_strs *log_files;
	struct build *build;
	const struct scope *scope;
	const struct route *route; /* NULL: the scope is none */
	size_t table;              /* of the module */
};

struct scope {
	struct scope *parent;
	unsigned where; /* CFG_SERVER, CFG_SITE or CFG_ROUTE */
	struct cfg_place place;
	const char *name;          /* "site \"a\"" */
	void **conf;               /* by table */
	struct cfg_place **places; /* by table, by row */
	struct opt_places **elems; /* by table, by row */
	bool *is_own;              /* by table: something is set here */
	bool *has_error;           /* by table */
};

/* parent NULL: the server scope, all tables at their defaults. name is kept by reference. */
struct scope *scope_new(
    struct arena *, struct scope *parent, unsigned where, struct cfg_place, const char *name);

/* Sets everything in group. take: members that are no rows, or NULL. */
struct scope_walk {
	struct opt_space space;
	struct scope *scope;
	void *arg; /* take's */
};
void scope_apply(struct scope *, struct opt_reader *, const struct cfg_node *group,
    const char *const *extra, bool (*take)(struct opt_space *, const struct cfg_node *), void *arg);

/* Runs the check hooks of the modules that have something set here (of all, for the server scope).
 */
void scope_check(struct scope *, struct build *, const struct route *);

/* Gives modules a struct of their own where an option that they use is set: before any check. */
void scope_uses(struct scope *, struct arena *);

/* The value of an option of whatever table, by its row's type; NULL when no table has it. */
const void *scope_value(const struct scope *, const char *option, enum cfg_type *);

/* The place of a row of a core table; file NULL when it is the default. */
const struct cfg_place *scope_place(const struct scope *, enum core_table, const char *option);

#endif

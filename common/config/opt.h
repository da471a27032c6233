/*
 * Rows of option tables at work: finding a row by name, setting it from a node of a file or from
 * its default, and writing its value out again. Knows nothing of scopes.
 */
#ifndef CONFIG_OPT_H
#define CONFIG_OPT_H

#include <stdio.h>
#include "common/config/tree.h"

/* What setting a value needs. */
struct opt_reader {
	struct arena *arena; /* of the configuration */
	struct cfg_errors *errors;
	const char *dir; /* where relative paths begin */
};

/* Where the elements of a list or records stand. */
struct opt_places {
	struct cfg_place *v;
	size_t n;
};

size_t opt_count(const struct cfg_opt *opts);
/* The row's name after a prefix of n bytes and a dot ("timeout", 7: "header" of "timeout.header");
   n 0: the whole name. NULL when the name has another prefix. */
const char *opt_name_after(const struct cfg_opt *, struct str prefix);

/* All rows of a table set to their defaults in a zeroed struct. */
void opt_defaults(struct arena *, const struct cfg_opt *opts, void *base);

/* Sets a row. False when the node is not what the row wants: reported. elems may be NULL. */
bool opt_set(struct opt_reader *, const struct cfg_opt *, const struct cfg_node *, void *base,
    struct opt_places *elems);

/* The value as in a file ("30s", "\"text\"", "[ ... ]"); secrets as "***". */
void opt_print(FILE *, const struct cfg_opt *, const void *base);

/* "a time such as \"30s\" from 1s to 1h": what the row wants. */
const char *opt_wants(struct arena *, const struct cfg_opt *);

/* Sizes and times as they would be written. */
struct str opt_size_text(struct arena *, int64_t bytes);
struct str opt_time_text(struct arena *, int64_t ms);

/* A set of tables in which the members of a group are looked up. */
struct opt_table {
	const char *name; /* the module's, or what the core calls its own */
	const struct cfg_opt *opts;
	size_t size; /* of the struct */
};

struct opt_space {
	struct opt_reader *reader;
	const struct opt_table *tables;
	size_t n;
	unsigned where;   /* CFG_SERVER …; 0: every row stands here (records) */
	const char *name; /* "site \"a\"": for messages */
	const char *const
	    *extra; /* names that are no rows but known, NULL-terminated; may be NULL */
	void (*set)(
	    struct opt_space *, size_t table, const struct cfg_opt *, const struct cfg_node *);
	/* Takes a member that is not a row; false when it is unknown. May be NULL. */
	bool (*take)(struct opt_space *, const struct cfg_node *);
	/* A group with rows of that table has something unknown in it. May be NULL. */
	void (*failed)(struct opt_space *, size_t table);
	/* A hint for an unknown name that is known elsewhere, or NULL. May be NULL. */
	const char *(*elsewhere)(struct opt_space *, struct str name);
};

/* Sets everything in group; reports what is unknown. */
void opt_walk(struct opt_space *, const struct cfg_node *group);

#endif

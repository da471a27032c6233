/*
 * The configuration schema. Everything that can be configured is a row in an option table: the row
 * parses the value, checks type and range, gives the default, prints the reference manual and lets
 * `argand explain` say where a value came from. Tables belong to modules (see module.h) and to the
 * core (common/config/core.c); values land in plain structs at the row's offset.
 *
 * Option names are what stands in the file. A dotted name ("auth.realm") is a member of a group
 * ("auth: { realm = ...; }"). Where a group has a row with CFG_SHORT, a plain value in place of the
 * group sets that row (redirect = "/new"  is  redirect: { to = "/new"; }).
 *
 * Inheritance: server -> site -> route. A scope's struct starts as a copy of its parent's, then its
 * own settings are applied: scalars replace; lists and records replace unless the row says
 * CFG_MERGE, then the scope's own elements come first and the inherited ones follow.
 */
#ifndef CONFIG_CFG_H
#define CONFIG_CFG_H

#include "common/base/arena.h"
#include "common/config/regex_ends.h"

enum cfg_type {
	CFG_END,     /* ends a table */
	CFG_BOOL,    /* bool */
	CFG_INT,     /* int64_t, min..max */
	CFG_SIZE,    /* int64_t bytes: "64k" "10M" "1G", powers of 1024; min..max */
	CFG_TIME,    /* int64_t milliseconds: "250ms" "30s" "5m" "1h" "7d" "1y"; min..max */
	CFG_STR,     /* struct str, NUL-terminated */
	CFG_PATH,    /* struct str, absolute: relative ones are taken from the file's directory */
	CFG_ENUM,    /* int, index into names[] */
	CFG_STRS,    /* struct cfg_strs: one string or a list */
	CFG_PATHS,   /* struct cfg_strs of absolute paths */
	CFG_REGEX,   /* struct cfg_regex */
	CFG_RECORDS, /* struct cfg_records: one group or a list of groups, each described by record
		      */
};

enum {                      /* scopes where a row may stand, and flags */
	CFG_SERVER = 1,     /* inside server: { } */
	CFG_SITE = 2,       /* inside a site */
	CFG_ROUTE = 4,      /* inside a route */
	CFG_TOP = 8,        /* the top of a file: no row stands there */
	CFG_ANY = 7,        /* all three, inherited downwards */
	CFG_SHORT = 16,     /* a plain value in place of the group sets this row */
	CFG_MERGE = 32,     /* lists: own elements, then the inherited ones */
	CFG_LIVE = 64,      /* changed in place on reload, needs no new workers */
	CFG_NONEMPTY = 128, /* and in a record, where it has no default: must be there */
	CFG_SECRET = 256,   /* never printed */
	CFG_AUTO = 512,     /* CFG_INT: the word "auto" is accepted, and is -1 */
	CFG_SHARE = 1024,   /* CFG_SIZE: "25%" is accepted, and is -25; "none", and is 0 */
};

struct cfg_strs {
	struct str *v;
	size_t n;
};

struct cfg_records {
	void *v; /* n structs of record->size bytes */
	size_t n;
};

struct cfg_place {
	const char *file;
	int line, col;
};

struct cfg_regex {
	struct str source;
	void *code; /* pcre2_code; NULL when not set */
	struct regex_ends ends;
	struct cfg_place place;
};

struct cfg_opt;

struct cfg_record {
	const struct cfg_opt *opts;
	size_t size;
};

struct cfg_opt {
	const char *name;
	enum cfg_type type;
	unsigned where; /* CFG_SERVER … | flags */
	size_t offset;
	int64_t min, max;         /* max 0 with min 0: no limit beyond the type's */
	const char *def;          /* as in the file ("30s", "true", "a b" for lists); NULL: zero */
	const char *const *names; /* CFG_ENUM: the words, NULL-terminated */
	const struct cfg_record *record;
	const char *help;    /* sentences for the manual; says the unit and what it is for */
	const char *example; /* a line or lines of configuration, or NULL */
};

/* A place in a configuration file. file is NUL-terminated; line and column from 1, 0 unknown. */
struct route;
struct cfg_errors; /* the list of everything that is wrong, sorted by place when printed */

/* What a module's check hook gets. Runs in the master (and in `argand check`), once per scope that
   exists, after inheritance. */
struct cfg_check {
	struct arena *arena; /* lives as long as the configuration */
	struct cfg_errors *errors;
	const struct cfg_opt *opts;     /* the module's table */
	const struct cfg_place *places; /* one per row: where it was set; file NULL: default */
	struct cfg_place scope;         /* where the scope begins */
	const char *scope_name;         /* "site \"example.org\"", "route /static" … */
	struct cfg_check_more *more;    /* the loader's; NULL: none (tests) */
};

/* An error (warning) at the place where option (a row's name) was set, or at the scope. index >= 0
   names an element of a list or records. hint may be NULL; shown as "hint". */
void cfg_error(struct cfg_check *, const char *option, int index, const char *hint, const char *fmt,
    ...) __attribute__((format(printf, 5, 6)));
void cfg_warning(struct cfg_check *, const char *option, int index, const char *hint,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Whether the row was set in this scope or one it inherits from; in this very scope. */
bool cfg_is_set(const struct cfg_check *, const char *option);
bool cfg_is_own(const struct cfg_check *, const char *option);
/* Where it was set, or the scope. */
struct cfg_place cfg_place_of(const struct cfg_check *, const char *option);
/* The value of an option (one text; a list) of any module or the core in this scope; empty when it
   is not set. The module names it in its `uses`. */
struct str cfg_text_of(const struct cfg_check *, const char *option);
struct cfg_strs cfg_texts_of(const struct cfg_check *, const char *option);
/* The route that the scope is; NULL for server and sites. Its kind, path and methods are known. */
const struct route *cfg_route(const struct cfg_check *);

/* Registers a log destination (a path, "stdout", "stderr" or "|command") that the master opens and
   workers inherit; returns its index in conf.log_files and heritage.log_fds. */
unsigned cfg_log_file(struct cfg_check *, struct str destination);

/* Parsers of single values, shared with the command line. False when s is none, *why says what is
   allowed ("a size such as \"64k\" …"). */
bool cfg_parse_size(struct str s, int64_t *out, const char **why);
bool cfg_parse_time(struct str s, int64_t *out_ms, const char **why);

#endif

/*
 * A module is one constant descriptor. Modules take part in requests through hooks that run in a
 * fixed order; within a hook, modules run in the order of the one array in modules/modules.c, but
 * filters in the reverse order: a response comes back from the handler outward, so that
 * what stands first in the array has the last word. A module sees the request, its
 * own configuration and the bodies; modules do not call each other.
 *
 * A hook is called only where the module is active: active(conf) of the matched route's effective
 * configuration, evaluated once when the configuration is loaded.
 */
#ifndef CONFIG_MODULE_H
#define CONFIG_MODULE_H

#include "common/config/cfg.h"

struct request;
struct worker;
struct conf;
struct conf_ask;
struct conf_sign;
typedef void conf_printer(void *arg, const char *line);

enum verdict {
	NEXT, /* not mine, or nothing to say: go on with the next module */
	MINE, /* this module has answered, will answer, or will call request_continue() */
};

/* What a handler keeps from those behind it, by the last segment of a path. */
struct module_takes {
	struct cfg_strs scripts; /* suffixes of names that are run and not handed out */
	bool is_all;             /* no handler behind it is ever asked */
};

struct module {
	const char *name; /* [a-z0-9_]+: also the tag of its log lines */
	const char *help; /* one paragraph for the manual */
	const struct cfg_opt *opts;
	size_t conf_size;
	/* Options of others that check asks for with cfg_text_of(): a scope that sets one of them
	   is checked too. NULL-terminated; NULL: none. */
	const char *const *uses;

	/* Master and `argand check`: derive what the hooks need from the options; report errors.
	   The derived members follow the options in the same struct. NULL: nothing to check. */
	void (*check)(void *conf, struct cfg_check *);
	/* Whether the hooks have anything to do with this configuration. NULL: always. */
	bool (*active)(const void *conf);
	/* Whether its access hook decides there who may ask. NULL: it never does. */
	bool (*guards)(const void *conf);

	/* What handle takes, where it is active; asked once per route when all is checked, for
	   struct site's scripts and for look. NULL: everything. */
	struct module_takes (*takes)(const void *conf);
	/* `argand check` only, for each route where it is active: looks at this machine for what
	   clients had better not get, and warns. Within bounds of time. NULL: nothing to look at.
	 */
	void (*look)(const struct route *, const void *conf, struct cfg_check *);

	/* `argand explain`: what its access hook would say, in lines. NULL: nothing that the
	   options do not say. */
	void (*explain)(
	    const void *conf, const struct conf_ask *, struct arena *, conf_printer *, void *arg);
	/* `argand sign`: makes a URL that its access hook will let in. NULL, or why not. */
	const char *(*sign)(const void *conf, struct conf_sign *, struct arena *);

	/* Worker, after fork and before the first connection; 0 or -1 (logged; the worker does not
	   come up, and the reload fails). Per-worker state lives in statics of the module. */
	int (*start)(const struct conf *, struct worker *);
	void (*stop)(struct worker *); /* worker, after the last request */

	enum verdict (*access)(
	    struct request *, const void *conf); /* may answer: 401, 403, 301 … */
	enum verdict (*handle)(struct request *, const void *conf); /* produces the response */
	void (*filter)(
	    struct request *, const void *conf);         /* head is set: edit it, wrap the body */
	void (*log)(struct request *, const void *conf); /* exactly once, when all is over */
};

/* The one ordered array, NULL-terminated, and its length. A module's index in it is its id. */
extern const struct module *const modules[];
extern const size_t modules_n;

#endif

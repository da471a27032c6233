/*
 * A loaded configuration: immutable, owned by one arena, inherited by the workers through fork.
 * Nothing in it is looked up by string on the hot path but the host name and the path.
 */
#ifndef CONFIG_CONF_H
#define CONFIG_CONF_H

#include <stdio.h>
#include "common/base/cidr.h"
#include "common/config/cfg.h"
#include "common/config/module.h"

struct conf_hook {
	const struct module *module;
	const void *conf;
	struct str name; /* the module's */
};

struct conf_hooks {
	const struct conf_hook *v;
	size_t n;
};

enum route_kind { ROUTE_PREFIX, ROUTE_EXACT, ROUTE_REGEX };

/* One path rule of a site with everything that its requests need. */
struct route {
	const struct site *site;
	enum route_kind kind;
	struct str path; /* prefix or exact path; the expression's source for ROUTE_REGEX */
	struct cfg_regex regex;
	unsigned methods; /* bit 1 << enum http_method; 0: any */
	struct conf_hooks access, handle, filter, log;
	const void *const *conf; /* effective configuration of each module, by module index */
	const struct conf_core *core;
	const struct cfg_place *const *places; /* [module][row]: where each option was set */
	const struct cfg_place *core_places;
	struct cfg_place place;
	const char *label;      /* "example.org /static" */
	const char *path_label; /* "/static", "= /x GET", "~ expression" */
	unsigned index;         /* over all routes of the configuration */
};

struct site {
	struct cfg_strs hosts;      /* as written */
	const char *name;           /* the first host, for messages */
	const struct route *routes; /* in order; the last one is always the prefix "/" */
	size_t nroutes;
	struct cfg_strs scripts; /* suffixes that a route's handler runs: no other hands them out */
	struct cfg_place place;
	unsigned index;
	const struct route_index *routing; /* see route.c; NULL: few routes, looked at in order */
};

/* Options of the core that every scope has (common/config/core.c). Times ms, sizes bytes. */
struct conf_core {
	int64_t timeout_header;    /* from the first byte of a request head to its end */
	int64_t timeout_body;      /* between two reads of a request body */
	int64_t timeout_write;     /* a blocked write makes no progress */
	int64_t timeout_keepalive; /* idle between requests */
	int64_t timeout_linger;    /* reading on after an answer that ends the connection */
	int64_t keepalive_requests;
	int64_t min_rate;       /* bytes/s a body must arrive or a response be taken with, 0: off */
	int64_t min_rate_grace; /* ms before min_rate is asked for */
	int64_t max_head;       /* bytes of request line and fields together */
	int64_t max_line;       /* bytes of the request line: 414 */
	int64_t max_fields;
	int64_t max_body;          /* bytes; 413 */
	bool server_header, debug; /* send "Server:"; error pages to loopback clients say why */
	struct cfg_records error_pages; /* struct conf_error_page */
};

struct conf_error_page {
	int64_t status;
	struct str path; /* a URL path of the same site, answered by an internal redirect */
};

enum listen_family { LISTEN_TCP, LISTEN_UNIX };

struct conf_listen {
	struct str text; /* canonical: "127.0.0.1:8080", "[::]:80", "unix:/run/x.sock": the key */
	enum listen_family family;
	struct str host; /* numeric address without brackets; the path for unix */
	int64_t port;
	int64_t backlog;
	int64_t mode;           /* unix: file mode */
	struct str user, group; /* unix: owner of the socket file */
	bool defer;             /* TCP: a connection is taken when its first byte has come */
	bool proxy_protocol;    /* a PROXY protocol header comes first, from trusted peers only */
	bool is_optional;       /* the IPv6 half of "*:80": a host without IPv6 goes without it */
	const struct site *default_site;
	struct cfg_place place;
};

struct conf_process {
	struct str user, group; /* workers run as; empty: as started */
	int64_t workers;        /* resolved number, >= 1 */
	bool workers_auto, splice;
	int64_t slots;                /* listening sockets per address, >= workers */
	int64_t max_connections;      /* per worker */
	int64_t max_files;            /* RLIMIT_NOFILE wished for; -1: what max_connections needs */
	int64_t drain_timeout;        /* ms an old generation may take to finish */
	int64_t stop_timeout;         /* ms for a graceful stop */
	int64_t max_generations;      /* draining ones; beyond, the oldest is cut short */
	struct str control, pid_file; /* paths; no pid file: empty */
	struct str error_log;         /* "stderr" or a path */
	int log_level;                /* enum log_level */
	struct cfg_strs trusted_proxies;   /* addresses and networks, see realip */
	struct str name;                   /* in the Server field */
	struct cfg_strs spool_directories; /* of bodies that wait on disk, in order; never empty */
	int64_t spool_max; /* bytes on disk, of all workers; below 0: percent of it; 0: no limit */
	struct cfg_strs resolvers; /* DNS servers, "ADDRESS:PORT"; none: /etc/resolv.conf */
};

struct conf {
	struct arena *arena;
	const char *file; /* the main file; NULL for `argand serve` */
	struct conf_process process;
	struct conf_listen *listens;
	struct site *sites;
	struct conf_pool *pools; /* see conf_pool.h */
	size_t nlistens, nsites, nroutes, npools;
	const void *const *server_conf; /* modules' configuration in the server scope */
	struct cidr_set trusted;        /* process.trusted_proxies, compiled */
	struct cfg_strs files;          /* that were read: the main file, then what it includes */
	struct cfg_strs log_files;      /* what cfg_log_file() collected, without duplicates */
	struct host_table *hosts;       /* see conf_site() */
	uint64_t digest;                /* of all that was read: equal means nothing changed */
	const struct build *origin;     /* the loader's: for dumps */
};

/* Reads file and all it includes. NULL when anything is wrong; *errors (never NULL) has it all. */
struct conf *conf_load(const char *file, struct cfg_errors **errors);
/* The same from text (`argand serve`, tests); name stands in messages. */
struct conf *conf_load_text(const char *text, const char *name, struct cfg_errors **errors);
void conf_free(struct conf *);

size_t cfg_errors_count(const struct cfg_errors *), cfg_warnings_count(const struct cfg_errors *);
/* All messages with source line, caret and hint, in the order of files and lines. */
void cfg_errors_print(const struct cfg_errors *, FILE *, bool colour);
void cfg_errors_free(struct cfg_errors *);

/* The site for a host name in any case: exact, longest wildcard, the listener's default. */
const struct site *conf_site(const struct conf *, const struct conf_listen *, struct str host);

/* The first route whose path matches the normalised path (prefixes on segment boundary) and whose
   methods include the method; the last takes all. NULL: an expression failed, regex_failed(). */
const struct route *site_route(const struct site *, struct str path, int method);

#endif

/*
 * Backend pools as configured: `backends = { NAME = { … }; … };` at the top of a file. Immutable
 * like the rest of the configuration; what changes while the server runs (health, load, weights set
 * by an operator) is in the shared segment, see backend.h. Times ms, sizes bytes.
 */
#ifndef CONFIG_CONF_POOL_H
#define CONFIG_CONF_POOL_H

#include "common/config/cfg.h"

enum pool_protocol { POOL_FASTCGI, POOL_SCGI, POOL_UWSGI, POOL_HTTP, POOL_AJP, POOL_CGI };
enum pool_balance {
	BALANCE_TWO_CHOICES, /* of two, by (in flight + 1) x peak-EWMA latency */
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_CONNECTIONS,
	BALANCE_STATIC, /* the first healthy one in order */
	BALANCE_HASH,
};
enum pool_key { KEY_URI, KEY_PATH, KEY_CLIENT, KEY_HEADER, KEY_COOKIE };

enum { CONF_POOLS = 256, CONF_POOL_HOSTS = 64, CONF_POOLS_HOSTS = 2048 /* of all pools */ };
enum { CONF_POOL_NAME = 63 /* bytes */, CONF_STATUS_WORDS = 10 /* of a bit per status */ };

struct conf_host {
	struct str address; /* canonical: "10.0.0.3:80", "app.example:8080", "unix:/run/php.sock":
			       with the pool's name its key in the segment and for the operator */
	struct str name;    /* host name or numeric address without brackets; path for unix */
	int64_t port;
	bool is_unix, is_numeric; /* neither: a name to be resolved, all addresses of it */
	bool backup;              /* used only when no other can be */
	int64_t weight;           /* 1..1000 */
	int64_t max_requests;     /* at the same time, over all workers; 0: no limit */
	struct cfg_place place;
};

/* 0: off (total only). send: no progress while writing; keepalive: by default 4 s for HTTP, less
   than Node.js's 5, else 60 s. */
struct conf_pool_timeouts {
	int64_t connect, send, first_byte, between_bytes, total, queue, keepalive, tunnel, resolve;
};

/* How long a host is left out, by cause; doubled at each repetition up to max. */
struct conf_pool_failover {
	int64_t threshold, window; /* so many failures within window take a host out */
	int64_t refused, unreachable, overload, errors, max;
	int64_t eject;      /* percent of a pool that may be out for errors (not refused) */
	int64_t slow_start; /* weight grows from a tenth for so long; 0: off */
	int64_t grace;      /* an outage of all hosts is waited out while it is younger */
};

struct conf_pool_retry {
	int64_t attempts; /* hosts tried for one request, the first included */
	int64_t budget;   /* retries in percent of requests; 3 a second are always allowed */
	struct cfg_strs statuses; /* answers that count as failures when a retry is safe */
	uint64_t status_bits[CONF_STATUS_WORDS]; /* derived: see conf_status_has() */
};

struct conf_pool_health {
	struct str path;               /* empty and no is_connect: no active checks */
	struct str method, host, body; /* body: a text the answer must hold; empty: any */
	struct cfg_strs statuses;      /* "200-399" … */
	uint64_t status_bits[CONF_STATUS_WORDS];
	bool is_on; /* derived for a path; checks are made even without one: connect, CPing, … */
	int64_t interval, timeout, rise, fall;
};

struct conf_pool_tls { /* http only; texts, derived: of the files, which workers may not read */
	bool on, verify;
	struct str name; /* SNI and verified name; empty: the host's */
	struct str ca_file, certificate, key, ca_text, certificate_text, key_text;
};

struct conf_pool_spawn {         /* local processes, the master's */
	struct cfg_strs command; /* n 0: none */
	struct str processes;    /* "4" or "2..8" */
	int64_t min, max;        /* derived */
	struct str user, group, chroot, directory;
	struct cfg_strs environment;      /* "NAME=value" */
	struct cfg_strs keep_environment; /* names copied from the server's own */
	int64_t requests_per_process;     /* load above which one more process is started */
	int64_t idle;                     /* a process more than needed is stopped after so long */
	int64_t stop_timeout;
	int64_t max_memory, max_files, max_cpu, max_processes; /* rlimits, 0: inherited; cpu ms */
	struct str umask_text;
	int64_t umask;     /* derived */
	struct str socket; /* derived: path of what processes share as fd 0; empty: hosts' own */
};

struct conf_pool {
	struct str name; /* of an anonymous one, made by a URL in a route: the URL */
	bool is_anonymous;
	unsigned index; /* in conf.pools */
	int protocol;   /* enum pool_protocol */
	union {
		struct cfg_records host_records; /* as the option's row sees it */
		struct {
			struct conf_host *hosts;
			size_t nhosts;
		};
	};
	int balance;            /* enum pool_balance */
	struct str hash_text;   /* "uri", "header:X-User" …: as written */
	int hash_by;            /* derived: enum pool_key */
	struct str hash_name;   /* derived: of header or cookie */
	int64_t hash_load;      /* percent of the mean load that a host may take; 0: no bound */
	struct str sticky;      /* name of the cookie; empty: none */
	int64_t sticky_max_age; /* 0: a session cookie */
	int64_t keepalive; /* idle connections kept per worker and host; 0: one request each. By
			      default 32, for FastCGI 0: PHP keeps a process busy with each */
	int64_t keepalive_requests; /* on one connection; 0: no limit */
	int64_t max_queue;          /* requests that wait for a host, all workers together */
	int64_t max_head;           /* bytes of a response head: 502 beyond */
	struct str secret;          /* ajp */
	int64_t packet_size;        /* ajp: bytes, 8192..65536 */
	struct conf_pool_timeouts timeout;
	struct conf_pool_failover failover;
	struct conf_pool_retry retry;
	struct conf_pool_health health;
	struct conf_pool_tls tls;
	struct conf_pool_spawn spawn;
	struct cfg_place place;
};

/* Whether the master starts processes for it; for CGI there need not be a command. */
static inline bool
conf_pool_is_local(const struct conf_pool *p)
{
	return p->spawn.command.n > 0 || p->protocol == POOL_CGI;
}

struct conf;
const struct conf_pool *conf_pool_find(const struct conf *, struct str name); /* or NULL */

/* For check hooks: the pool that an option names, by its name or by a URL such as
   "http://10.0.0.3:80", which makes a pool of one host that equal URLs share; NULL: reported. */
const struct conf_pool *conf_pool_named(struct cfg_check *, const char *option, struct str name);

extern const char *const pool_protocol_names[], *const pool_balance_names[]; /* NULL-terminated */

static inline bool
conf_status_has(const uint64_t *bits, int status)
{
	return (unsigned)status < 640 && (bits[status / 64] >> ((unsigned)status % 64) & 1);
}

#endif

/*
 * A copy of what the shared segment says at one moment, in plain numbers: what every form of the
 * status (JSON, text, Prometheus, HTML) is made from.
 */
#ifndef STATUS_SNAP_H
#define STATUS_SNAP_H

#include "common/balance/backend_view.h"
#include "common/base/str.h"
#include "common/segment/history.h"

/* A heartbeat older than this is shown as late; that of a healthy worker is at most 100 ms old. */
enum { STATUSSNAP_LATE = 250 };

struct statussnap_worker {
	unsigned row, seat, generation, slots; /* slots: how many it accepts from */
	int pid;
	enum row_state state;
	bool is_late;
	uint64_t heartbeat_age, age; /* ms */
	uint64_t counters[CTR_MAX];
};

/* The workers of one generation taken together. */
struct statussnap_generation {
	unsigned generation, workers;
	const char *state; /* "serving", "starting", "draining" */
	uint64_t connections, active;
};

/* A pool and its hosts, in the order in which they were first heard of. */
struct statussnap_pool {
	struct backend_pool_view view;
	const struct backend_view *hosts;
	unsigned nhosts, usable; /* usable: take new requests now */
	uint64_t retries;        /* of all hosts: attempts made again elsewhere */
};

struct statussnap {
	int pid;
	unsigned generation, workers_wanted, slots, ready, draining;
	const char *log_level, *state; /* state: "serving", "stopping", "starting" */
	uint64_t clock_ms, uptime_ms;  /* monotonic now; since the first master started */
	int64_t wall, started;         /* seconds since the epoch */
	int64_t wall_ms;
	uint64_t reloads, reload_failures, upgrades, deaths, restarts;
	int64_t reloaded, reload_tried;
	char reload_error[SHM_WORDS]; /* empty: the last load was good; plain text */
	unsigned risks;               /* bits of enum conf_risk */
	uint64_t totals[CTR_MAX];
	double imbalance_connections, imbalance_requests; /* largest / mean over serving workers */
	struct statussnap_worker workers[SHM_WORKERS];
	unsigned nworkers; /* in the order of generation (newest first) and seat */
	struct statussnap_generation generations[SHM_WORKERS];
	unsigned ngenerations;
	unsigned owners[SHM_SLOTS];    /* row + 1, 0: nobody */
	struct statussnap_pool *pools; /* by name; in the same allocation, as their hosts are */
	unsigned npools;
	struct history_entry *events; /* the oldest first; in the same allocation */
	unsigned nevents;
};

/* Allocated; free() it. */
struct statussnap *statussnap_take(struct shm *);
const char *statussnap_state_name(enum row_state);
/* What somebody should look at, in a sentence each: i = 0, 1, … until NULL. */
const char *statussnap_warning(const struct statussnap *, unsigned i);
/* The state of a host as it is shown: the operator's order ("draining", "disabled"), else its own
   state. */
const char *statussnap_host_state(const struct backend_view *);
bool statussnap_host_is_usable(const struct backend_view *);

#endif

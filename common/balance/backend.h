/*
 * What all workers know of backends, in the shared segment: one row per host (pool name + address),
 * found by key; each worker's requests in flight in its own column; the state of each host as one
 * 64-bit word changed by compare-and-swap, so that exactly one worker makes a transition and writes
 * its log line. Rows outlive reloads and upgrades: they are found again by key.
 *
 *   UP --failure--> SUSPECT --threshold--> DOWN --until passed, one worker wins--> TRIAL
 *   UP/SUSPECT --overload--> OVERLOADED --until--> TRIAL;  TRIAL --success--> UP, --failure--> DOWN
 *
 * SUSPECT is chosen as UP is; DOWN, OVERLOADED and TRIAL are not. A TRIAL belongs to the worker
 * that won it, until its lease ends. What an operator says (drain, disable, weight) stands beside.
 */
#ifndef BALANCE_BACKEND_H
#define BALANCE_BACKEND_H

#include "common/config/conf_pool.h"
#include "common/segment/shm.h"

/* The most rows of hosts and pools: of a configuration, and of the one before it. How many there
   are follows from the configuration. */
enum { BACKEND_ROWS = 2 * CONF_POOLS_HOSTS, BACKEND_POOLS = 2 * CONF_POOLS };
enum { BACKEND_NAME = 160, BACKEND_BUCKETS = 24 };
enum { BACKEND_WEIGHT_MAX = 1000 };

enum backend_state { BACKEND_UP, BACKEND_SUSPECT, BACKEND_OVERLOADED, BACKEND_DOWN, BACKEND_TRIAL };
enum backend_admin { ADMIN_NONE, ADMIN_DRAIN, ADMIN_DISABLE };
enum backend_cause {
	CAUSE_NONE,
	CAUSE_REFUSED,     /* ECONNREFUSED, ENOENT, EHOSTDOWN: conf failover.refused */
	CAUSE_UNREACHABLE, /* network or host unreachable, connect timeout, TLS failure */
	CAUSE_OVERLOAD,    /* listen queue full, EAGAIN, 503 with Retry-After */
	CAUSE_ERRORS,      /* 5xx, early close, reset, protocol error, response timeouts */
	CAUSE_CHECK,       /* the active check failed */
	CAUSE_MAX
};
enum pool_counter { /* of a row; gauges are not here */
	BACKEND_REQUESTS,
	BACKEND_FAILURES,
	BACKEND_RETRIES,
	BACKEND_CONNECTS,
	BACKEND_REUSES,
	BACKEND_5XX,
	BACKEND_EJECTIONS,
	BACKEND_CHECKS,
	BACKEND_CHECK_FAILURES,
	BACKEND_COUNTERS
};

/* --- rows --- */

/* The row for a host of a pool, claimed when there is none yet (any process may); -1 when the table
   is full, or for the master, which waits for nobody, when another process claims just now: it asks
   again later. The same pool and address give the same row in every worker and after every reload.
 */
int backend_row(struct shm *, struct str pool, struct str address);
int backend_pool_row(struct shm *, struct str pool);
/* Rows from there on are free. */
unsigned backend_reach(const struct shm *);
unsigned backend_pool_reach(const struct shm *);
/* Workers touch theirs once a second: the master frees rows that nobody has touched for a while
   (shm_table_sweep()). now is clock_ms() everywhere. */
void backend_touch(struct shm *, unsigned row, uint64_t now);
void backend_pool_touch(struct shm *, unsigned pool_row, uint64_t now);

/* --- requests in flight: the caller's own column, no locked instruction --- */
void backend_take(struct shm *, unsigned worker_row, unsigned row);
void backend_release(struct shm *, unsigned worker_row, unsigned row);
unsigned backend_in_flight(struct shm *, unsigned row);
/* Requests that wait for a host of the pool. */
void backend_queue(struct shm *, unsigned worker_row, unsigned pool_row, int delta);
unsigned backend_queued(struct shm *, unsigned pool_row);

/* --- the state machine. Each function returns true when this very call made the transition; the
   caller then writes the log line: backend_log(shm, at, why). --- */

/* Who reports about which host. Only the holder of a trial ends it: results of other requests,
   which began before the host went out, are counted but do not change the state. */
struct backend_at {
	unsigned row;
	const struct conf_pool *conf;
	int trial;     /* worker row that won backend_try (BALANCE_TRIAL), -1: any other request */
	uint64_t made; /* the state's word after the transition that was made, for backend_log */
};

/* A failure seen by a request or a trial, counted here. retry_after ms (at most failover.max)
   overrides the disable time (CAUSE_OVERLOAD), 0: none. True: the host went out. A trial that fails
   leaves it out, for twice as long: false. */
bool backend_failed(
    struct shm *, struct backend_at *, enum backend_cause, int64_t retry_after, uint64_t now);
/* A response came (for a trial by health.c: a connection). True: the host came back. First-byte
   latency updates EWMA and histogram; 0: not measured. */
bool backend_succeeded(struct shm *, struct backend_at *, uint64_t latency_us, uint64_t now);
/* Its time out is over: takes the trial for this worker for lease ms. True for exactly one. */
bool backend_try(struct shm *, unsigned row, unsigned worker_row, uint64_t lease, uint64_t now);
/* The trial could not be made (nothing was sent): the host is out as before, and may be tried at
   once. */
void backend_untry(struct shm *, unsigned row, unsigned worker_row, uint64_t now);
/* *until: of a host that is out, when a trial may be made; in TRIAL, when that trial's lease ends;
   else 0. */
enum backend_state backend_state_of(struct shm *, unsigned row, uint64_t *until);
enum backend_cause backend_cause_of(struct shm *, unsigned row);
/* Whether a new request may go there now: UP or SUSPECT, not drained or disabled. */
bool backend_is_usable(struct shm *, unsigned row);
/* How much of its weight a host has that came back lately, in percent: 10..100. */
unsigned backend_warmth(struct shm *, unsigned row, const struct conf_pool *, uint64_t now);

/* Active checks: the lease of a host's check, taken by one worker for ms; true for exactly one.
   When the holder dies its lease ends by time. backend_checked() applies rise and fall; true: the
   host went out or came back. A good check does not bring back a host that is out for overload or
   errors: a request does. */
bool backend_check_take(struct shm *, unsigned row, unsigned worker_row, uint64_t now, uint64_t ms);
/* The holder: its check is over, the next one may be made, by anybody, at when. */
void backend_check_next(struct shm *, unsigned row, unsigned worker_row, uint64_t when);
bool backend_checked(struct shm *, struct backend_at *, bool is_good, uint64_t now);

/* --- counters, retry budget --- */
void backend_count(struct shm *, unsigned row, enum pool_counter);
/* A request of the pool began: adds to the budget. A retry is about to be made: takes from it;
   false when there is none left (counted). */
void backend_budget_add(struct shm *, unsigned pool_row, const struct conf_pool *);
bool backend_budget_take(struct shm *, unsigned pool_row, const struct conf_pool *, uint64_t now);
enum pool_event {
	POOL_QUEUED,
	POOL_QUEUE_TIMEOUT,
	POOL_QUEUE_FULL,
	POOL_RETRY,        /* by backend_budget_take, */
	POOL_RETRY_DENIED, /* and this one too */
	POOL_QUEUE_DOWN,   /* not waited for: every host was down for longer than the grace */
	POOL_EVENTS
};
void backend_pool_count(struct shm *, unsigned pool_row, enum pool_event);

/* --- the operator --- */
bool backend_admin_set(struct shm *, unsigned row, enum backend_admin);
bool backend_weight_set(struct shm *, unsigned row, unsigned weight);
unsigned backend_weight(struct shm *, unsigned row); /* 0: as configured */
enum backend_admin backend_admin_of(struct shm *, unsigned row);

/* --- the log --- */
/* One log line for the transition that the caller just made: "backend app 10.0.0.3:80 is down:
   refused (3 failures), tried again in 1s". why: detail or NULL. */
void backend_log(struct shm *, const struct backend_at *, const char *why);
const char *backend_state_name(enum backend_state);
const char *backend_cause_name(enum backend_cause);

#endif

/*
 * What the segment says of backends at one moment, in plain numbers: for every form of the status.
 */
#ifndef BALANCE_BACKEND_VIEW_H
#define BALANCE_BACKEND_VIEW_H

#include "common/balance/backend.h"

/* What a status shows of a row. */
struct backend_view {
	char pool[64], host[BACKEND_NAME]; /* plain text, see plain.h */
	enum backend_state state;
	enum backend_admin admin;
	enum backend_cause cause;
	int64_t since, until;     /* wall ms of the last transition; when a trial may be made, 0 */
	unsigned failures, level; /* consecutive; how often the disable time was doubled */
	unsigned weight;          /* an operator's, 0: as configured */
	unsigned in_flight;       /* sum over workers */
	uint64_t counters[BACKEND_COUNTERS];
	uint64_t latency_us[3]; /* p50, p90, p99 to the first byte */
	uint64_t ewma_us;
};
/* The local processes of a pool, as the master publishes them; all 0 for a pool that has none. */
struct backend_local {
	uint32_t running, wanted, least, most;
	uint64_t starts, deaths; /* since the row was claimed */
	int32_t last_status;     /* of the last death, as of waitpid() */
	int64_t last_death;      /* wall ms; 0: none */
};
struct backend_pool_view {
	char pool[64];
	unsigned row;
	unsigned queued, in_flight, hosts;
	uint64_t queued_total, queue_timeouts, queue_full, queue_down, retries, retries_denied;
	uint64_t down_ms; /* for how long no host has been usable; 0: one is */
	struct backend_local local;
};

/* Master: what there is of local processes now. */
void backend_pool_publish_local(struct shm *, unsigned pool_row, const struct backend_local *);
/* The same as members of an open object, see shm_table.h. */
struct json;
bool backend_view_dump(struct shm *, unsigned row, struct json *);
bool backend_pool_view_dump(struct shm *, unsigned pool_row, struct json *);
/* False when the row is free. */
bool backend_view(struct shm *, unsigned row, struct backend_view *);
bool backend_pool_view(struct shm *, unsigned pool_row, struct backend_pool_view *);

#endif

/*
 * The rows of the segment that hold what all workers know of backends. For common/backend*.c and
 * balance*.c only: everybody else goes through backend.h.
 *
 * A segment of another layout is read by the binary that carries it over, so some members must keep
 * their places while the version of their table is the same: in struct backend_cell all before
 * `ewma`, in struct backend_pool all before `running`, and in both the counters; out_since follows
 * the room that is reserved for counters. New counters are appended.
 *
 * A word of state, in one piece so that a transition is one compare-and-swap:
 *     state 3 | cause 3 | level 4 | n 13 | at 41
 * n: failures so far, in TRIAL the worker row + 1 of its holder. at (ms): UP: since when; SUSPECT:
 * when the first failure of the window was; out: until when; TRIAL: until when its lease is.
 */
#ifndef BALANCE_BACKEND_CELL_H
#define BALANCE_BACKEND_CELL_H

#include "common/balance/backend.h"
#include "common/segment/shm_table.h"

enum { BACKEND_POOL_NAME = 64, BACKEND_LEVELS = 15, BACKEND_N_MAX = (1 << 13) - 1 };
enum { BACKEND_POOL_COUNTERS = 8 }; /* room for enum pool_event */

struct backend_cell {
	_Atomic uint64_t key; /* of pool and address; 0: free; see shm_keyed.h */
	_Atomic uint64_t word;
	_Atomic uint64_t touched; /* clock_ms() at which a live process last said that it uses it */
	_Atomic uint64_t came;    /* clock_ms() of its last coming back; 0: it was never out */
	_Atomic uint64_t since;   /* wall ms of the last transition */
	_Atomic uint64_t check;   /* lease of the check: until, ms << 8 | worker row */
	_Atomic uint32_t admin, weight, pool_row;
	_Atomic int32_t streak; /* checks in a row: good ones, or bad ones below 0 */
	char pool[BACKEND_POOL_NAME], host[BACKEND_NAME];
	_Atomic uint64_t ewma; /* peak EWMA, us << 32 | clock_ms(), both cut to 32 bits */
	_Atomic uint64_t aged; /* clock_ms() at which the buckets were last halved */
	_Atomic uint32_t buckets[BACKEND_BUCKETS];
	_Atomic uint64_t counters[BACKEND_COUNTERS];
} __attribute__((aligned(64)));

struct backend_pool {
	_Atomic uint64_t key;
	_Atomic uint64_t touched;
	_Atomic uint64_t turn;     /* of picks: count 40 | the last three winners' rows; see
				      backend_take_in_turn() */
	_Atomic uint64_t cursor;   /* of round robin */
	_Atomic uint64_t spare;    /* the same for requests whose turn was at a host that is full */
	_Atomic uint64_t version;  /* changes with any state, weight or order of an operator */
	_Atomic uint64_t ejecting; /* clock_ms() until which one worker may take out a host */
	_Atomic uint64_t budget;   /* spent retries, 1/100, 32 | second 24 | retries in it 8 */
	char name[BACKEND_POOL_NAME];
	/* struct backend_local; written by the master */
	_Atomic uint32_t running, wanted, least, most;
	_Atomic uint64_t starts, deaths;
	_Atomic int64_t last_death;
	_Atomic int32_t last_status;
	_Atomic uint64_t counters[BACKEND_POOL_COUNTERS];
	_Atomic uint64_t out_since; /* clock_ms() since when no host is usable; 0: one is; see
				       backend_outage.h */
} __attribute__((aligned(64)));

/* One per worker row, written by that worker only. */
struct backend_column {
	_Atomic uint64_t in_flight[BACKEND_ROWS]; /* count 20 | 1 while it is not sure | turn 40 */
	_Atomic uint32_t queued[BACKEND_POOLS];
} __attribute__((aligned(64)));

/* One. */
struct backend_common {
	_Atomic uint64_t live[SHM_WORKERS / 64]; /* worker rows whose column may hold something */
} __attribute__((aligned(64)));

/* NULL when out of bounds, or when the segment is of a layout that has none. */
static inline struct backend_cell *
shm_backend(const struct shm *s, unsigned row)
{
	return shm_table_row(s, TABLE_BACKENDS, sizeof(struct backend_cell), row);
}

static inline struct backend_pool *
shm_backend_pool(const struct shm *s, unsigned row)
{
	return shm_table_row(s, TABLE_POOLS, sizeof(struct backend_pool), row);
}

static inline struct backend_column *
shm_backend_column(const struct shm *s, unsigned worker_row)
{
	return shm_table_row(s, TABLE_COLUMNS, sizeof(struct backend_column), worker_row);
}

static inline struct backend_common *
shm_backend_common(const struct shm *s)
{
	return shm_table_row(s, TABLE_COMMON, sizeof(struct backend_common), 0);
}

/* Picks that must be exact; see backend_column.c. */
uint64_t backend_turn(struct shm *, unsigned pool_row);
unsigned backend_load(struct shm *, unsigned row, uint64_t turn);
bool backend_take_in_turn(
    struct shm *, unsigned worker_row, unsigned row, unsigned pool_row, uint64_t turn);

/* Something that a pick depends on has changed: workers make their sets of usable hosts anew. */
void backend_changed(struct shm *, unsigned pool_row);

void backend_latency(struct shm *, unsigned row, uint64_t us, uint64_t now);
/* After a failure: doubles the host's EWMA, to a tenth of a second at least. Otherwise a host that
   fails would look fast, because errors come quickly, and would be chosen more often. */
void backend_latency_failed(struct shm *, unsigned row, uint64_t now);
/* Peak EWMA as of now, us; 0: nothing is known. */
uint64_t backend_ewma(struct shm *, unsigned row, uint64_t now);

/* The parts of a word. */
struct backend_word {
	enum backend_state state;
	enum backend_cause cause;
	unsigned level, n;
	uint64_t at;
};

static inline struct backend_word
backend_word_of(uint64_t v)
{
	unsigned state = v & 7, cause = v >> 3 & 7;

	return (struct backend_word){
		.state = state <= BACKEND_TRIAL ? (enum backend_state)state : BACKEND_UP,
		.cause = cause < CAUSE_MAX ? (enum backend_cause)cause : CAUSE_NONE,
		.level = v >> 6 & 15,
		.n = v >> 10 & BACKEND_N_MAX,
		.at = v >> 23,
	};
}

static inline uint64_t
backend_word_pack(struct backend_word w)
{
	return (uint64_t)w.state | (uint64_t)w.cause << 3 | (uint64_t)w.level << 6 |
	       (uint64_t)w.n << 10 | w.at << 23;
}

#endif

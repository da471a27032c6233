/*
 * The shared segment: one memfd that master and workers map, laid out once by the master. It passes
 * through fork, through exec (binary upgrade) and through the service manager's fd store.
 *
 * Rules, so that a process killed at any instruction leaves it usable, enforced by this interface:
 *  - no pointers, no locks; cells are C11 atomics;
 *  - a row has one writer at a time, or is claimed by compare-and-swap;
 *  - what a worker adds for requests in flight stands in its own column (shm_column_*), and the
 *    master clears the column when it reaps the worker;
 *  - nothing in it is trusted as an index or a length without a bound (accessors check), and
 *    nothing at all as the name of a process or a row that is free: a worker that was taken over
 * can write anything anywhere. The master knows its workers by its ledger (master/ledger.h).
 *
 * A layout is a list of tables {name, version, row size, rows}, see shm_table.h. A segment of
 * another layout is not attached but replaced; shm_carry() copies its rows.
 */
#ifndef SEGMENT_SHM_H
#define SEGMENT_SHM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SHM_VERSION = 1, SHM_WORKERS = 256, SHM_SLOTS = 256, SHM_WORDS = 384, SHM_TABLES = 32 };

enum counter {
#define COUNTER(id, name, kind, help) CTR_##id,
#include "common/segment/counters.def"
#undef COUNTER
	CTR_MAX
};

struct counter_info {
	const char *name, *kind, *help;
};
extern const struct counter_info counter_info[CTR_MAX];

enum row_state {
	ROW_FREE,     /* no process */
	ROW_STARTING, /* forked, not yet serving */
	ROW_READY,    /* serving */
	ROW_DRAINING, /* left its listeners, finishes what it has */
	ROW_DEAD,     /* reaped, column not yet cleared */
};

/* One live worker process. Written by that worker, state transitions also by the master. */
struct shm_worker {
	_Atomic int32_t pid;
	_Atomic uint32_t state; /* enum row_state */
	_Atomic uint32_t generation;
	_Atomic uint32_t seat;      /* 0..workers-1 within its generation */
	_Atomic uint64_t heartbeat; /* clock_ms() of its last loop turn */
	_Atomic uint64_t started;   /* clock_ms() */
	_Atomic uint64_t starttime; /* field 22 of /proc/PID/stat, for display only */
	_Atomic uint64_t counters[CTR_MAX];
	char words[SHM_WORDS]; /* last words, see must.h; written only by a dying worker */
} __attribute__((aligned(64)));

/* One listening slot, the same index in every address. */
struct shm_slot {
	_Atomic uint64_t owner; /* row + 1, or 0: nobody. Claimed by compare-and-swap */
} __attribute__((aligned(64)));

/* Written by the master only. */
struct shm_master {
	_Atomic int32_t pid;
	_Atomic uint32_t generation; /* the serving one; a worker of an older one drains */
	_Atomic uint32_t workers;    /* of the serving generation */
	_Atomic uint32_t slots;      /* in use */
	_Atomic uint32_t log_level;
	_Atomic uint64_t started; /* wall seconds, of the first master */
	_Atomic uint64_t reloads, reload_failures, upgrades, deaths, restarts;
	_Atomic uint64_t reloaded;     /* wall seconds of the last successful load */
	_Atomic uint64_t stopping;     /* 1: graceful stop asked for */
	_Atomic uint64_t hung;         /* 1 + row of the worker that hangs */
	_Atomic uint64_t reload_tried; /* wall seconds of the last attempt to load, good or bad */
	char reload_error[SHM_WORDS]; /* why it failed; empty: it did not. May be half a new text */
	_Atomic uint64_t
	    retired[CTR_MAX];   /* counters of workers that are gone: totals never fall */
	_Atomic uint64_t risks; /* bits of enum conf_risk, of the serving configuration */
} __attribute__((aligned(64)));

struct shm;

/* Creates the segment. NULL with errno. */
struct shm *shm_create(void);
/* Maps an inherited one; checks magic, version, size and layout. Takes fd on success only. NULL
   with *why on refusal. */
struct shm *shm_attach(int fd, const char **why);
/* The same for a segment of another layout that is sound (its workers were started by another
   binary). Use it only for shm_carry, generation and stopping, the states of rows, and
   shm_worker_bury. */
struct shm *shm_attach_old(int fd, const char **why);
/* Copies what outlives a change of layout (totals, generation, what the tables say) from old to
   new. */
void shm_carry(struct shm *to, const struct shm *from);
void shm_close(struct shm *);
int shm_fd(const struct shm *);
/* A number that differs from that of any other segment, after exec and in another master as
   well. */
uint64_t shm_id(const struct shm *);

struct shm_master *shm_master(struct shm *);
/* NULL when out of bounds. */
struct shm_worker *shm_worker(struct shm *, unsigned row);
struct shm_slot *shm_slot(struct shm *, unsigned slot);

/* Worker (and the master after fork): pid is the row's writer from here on; twice is harmless.
   False when there is no such row. Counters start at 0: a free row holds nothing. */
bool shm_worker_enter(struct shm *, unsigned row, pid_t pid);
/* A transition; false when the row was not in state from. */
bool shm_worker_move(struct shm_worker *, enum row_state from, enum row_state to);
/* Sum over live workers and retired ones (gauges: live ones only). */
uint64_t shm_total(struct shm *, enum counter);

/* Slots. Claims slot s for row if its owner is still expected; false when it was not. */
bool shm_slot_claim(struct shm *, unsigned s, uint64_t expected, unsigned row);
uint64_t shm_slot_owner(struct shm *, unsigned s);

/* Single-writer counters of the own row: no locked instruction. */
static inline void
ctr_add(struct shm_worker *w, enum counter c, int64_t n)
{
	uint64_t v = atomic_load_explicit(&w->counters[c], memory_order_relaxed);

	atomic_store_explicit(&w->counters[c], v + (uint64_t)n, memory_order_relaxed);
}

static inline void
ctr_set(struct shm_worker *w, enum counter c, uint64_t v)
{
	atomic_store_explicit(&w->counters[c], v, memory_order_relaxed);
}

static inline uint64_t
ctr_get(const struct shm_worker *w, enum counter c)
{
	return atomic_load_explicit(&w->counters[c], memory_order_relaxed);
}

/* Fail points for the crash-consistency test: shm_point() calls this with a name between any two
   writes that belong together. NULL in production. */
extern void (*shm_failpoint)(const char *name);

#endif

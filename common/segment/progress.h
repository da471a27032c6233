/*
 * How far uploads are, in the shared segment: a row for each, found by site and ID in every
 * process. The worker that has the upload writes, everybody reads; nobody takes a lock.
 *
 * A row's mark says what it is: free, being filled, live, superseded (a newer upload of the same ID
 * is what is shown), finished; with it goes a ticket, the order of claims, and the worker's row.
 * Every change of it is a compare-and-swap. Figures stand in parts that are written in turn: the
 * one that a number names is whole, so a reader gets figures that belong together without waiting
 * for anybody, also for a writer who was killed in the middle.
 *
 * A look at the table costs the same whatever is in it: the place follows from a hash whose key is
 * the segment's own and secret, and PROGRESS_WINDOW rows from there on are looked at. After a
 * change of the table's size rows are found by the sizes that there may have been, powers of two.
 *
 * Any worker may write anything here: what is read is checked and clamped (progress_view).
 */
#ifndef SEGMENT_PROGRESS_H
#define SEGMENT_PROGRESS_H

#include <stdatomic.h>

#include "common/base/str.h"
#include "common/segment/shm_table.h"

enum {
	PROGRESS_WINDOW = 32,
	PROGRESS_MOST = 16384,                 /* uploads that can be asked for */
	PROGRESS_ROWS = 2 * PROGRESS_MOST + 1, /* the first is no upload's */
	PROGRESS_ID = 128,
	PROGRESS_SITE = 64, /* of its name, with its end; all of it counts */
	PROGRESS_WORDS = 4,
	PROGRESS_PARTS = 4, /* a power of two */
};
/* The longest that a finished one may stay. */
#define PROGRESS_KEEP_MAX ((int64_t)86400 * 1000)
/* What JSON's readers take for a number (RFC 8259 6). */
#define PROGRESS_OCTETS_MAX (((int64_t)1 << 53) - 1)

#define PROGRESS_UPLOADS_OPTION "progress.uploads"

enum progress_state {
	PROGRESS_STARTING,   /* no byte has come */
	PROGRESS_UPLOADING,  /* some have */
	PROGRESS_FORWARDING, /* all have, and there is no answer yet */
	PROGRESS_DONE,
	PROGRESS_ERROR, /* a status from 400 on, 499: the client left, 0: the worker died */
	PROGRESS_STATES
};

struct progress_figures {
	int64_t received, forwarded; /* bytes of content; those a backend was given */
	int64_t rate;                /* bytes/s that come */
	enum progress_state state;
	int status; /* of the answer, 0: none yet */
};

struct progress_row {
	_Atomic uint64_t mark;    /* ticket 48, worker's row 8, phase 8; 0: free */
	_Atomic uint64_t key;     /* the hash; in the first row: of the key, the first half */
	_Atomic uint64_t size;    /* bytes + 1; 0: unknown; in the first row: the second half */
	_Atomic uint64_t started; /* clock_ms(); in the first row: the last ticket */
	_Atomic uint64_t ended, until; /* finished: since when, and how long it stays */
	_Atomic uint64_t keep;         /* ms */
	_Atomic uint64_t current;      /* its lowest bits name the part that is whole */
	_Atomic uint64_t part[PROGRESS_PARTS][PROGRESS_WORDS];
	char id[PROGRESS_ID]; /* without an end where it is as long */
	char site[PROGRESS_SITE];
} __attribute__((aligned(64)));

/* What a writer keeps. */
struct progress_claim {
	unsigned row;
	uint64_t mark; /* as it was when it became live */
};

/* What an upload is when it begins. */
struct progress_new {
	struct str site, id;
	int64_t size;    /* bytes, -1: unknown */
	int64_t keep_ms; /* that it stays when it has ended */
	unsigned worker; /* the caller's row */
	bool may_evict;  /* takes the place of a finished one when there is no other */
};

/* A row for an upload; earlier ones of the ID are not shown any more. False: there is no room. */
bool progress_begin(struct shm *, const struct progress_new *, struct progress_claim *);
/* Only its worker; a row that is another's by now is left alone. */
void progress_put(struct shm *, const struct progress_claim *, const struct progress_figures *);
void progress_end(struct shm *, const struct progress_claim *, const struct progress_figures *);

/* As it is shown: checked and within bounds. */
struct progress_view {
	struct progress_figures figures;
	int64_t size;    /* -1: unknown */
	uint64_t age_ms; /* since it began */
	uint64_t since;  /* grows with every upload that begins: tells two of one ID apart */
	bool is_live;    /* its request is not over */
	unsigned worker; /* that has or had it */
	char site[PROGRESS_SITE];
};

/* What is known of the ID at that site; false: nothing. */
bool progress_find(struct shm *, struct str site, struct str id, struct progress_view *);
/* What stands in a row, finished or not; false: nothing that is shown. */
bool progress_at(struct shm *, unsigned row, struct progress_view *);
/* Rows from there on are free; 0: there was never an upload. */
unsigned progress_reach(const struct shm *);

const char *progress_state_name(enum progress_state);
/* 1 to PROGRESS_ID characters of A-Z a-z 0-9 _ -. */
bool progress_is_id(struct str);

static inline struct progress_row *
progress_row(const struct shm *s, unsigned row)
{
	return shm_table_row(s, TABLE_PROGRESS, sizeof(struct progress_row), row);
}

/* ---- for progress_table.c ---- */

enum progress_phase {
	PROGRESS_FREE,
	PROGRESS_FILLING,
	PROGRESS_LIVE,
	PROGRESS_SUPERSEDED,
	PROGRESS_FINISHED,
	PROGRESS_PHASES
};
/* Whether the worker of that row has had uploads since it was last forgotten: marks in the first
   row's parts, one bit for each. */
bool progress_had(struct shm *, unsigned worker);
void progress_forget(struct shm *, unsigned worker);
/* The worker of that row is dead: what it had there is an error, or free. */
void progress_bury(struct shm *, unsigned row, unsigned worker);
/* Frees what has stayed long enough, or what nobody can have written. True: it is in use. */
bool progress_tidy(struct shm *, unsigned row, uint64_t now);
/* A finished one of another segment. */
void progress_copy(struct shm *to, const struct progress_row *old);

#endif

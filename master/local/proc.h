/*
 * One process of a pool, from its start to its obituary. Its states are the rows of a table in
 * proc.c; localproc_enter() is the only way into one.
 */
#ifndef LOCAL_PROC_H
#define LOCAL_PROC_H

#include "master/base/lines.h"
#include "master/base/loop.h"
#include "master/local/spec.h"

struct local_pool;

enum localproc_state {
	PROC_RUNNING,
	PROC_QUIET, /* to be ended if it has no request at this moment */
	PROC_TERM,  /* was sent SIGTERM */
	PROC_KILL,
	PROC_STATES,
};

struct localproc {
	struct link link;
	struct local_pool *local;
	enum localproc_state state;
	pid_t pid;
	uint64_t digest;      /* of what it was made from */
	uint64_t born, since; /* ms */
	uint64_t stop_ms;     /* from SIGTERM to SIGKILL */
	uint64_t served;      /* requests of the pool when it was born */
	int log;              /* our end of its standard error; -1 */
	struct watch watch;
	struct alarm alarm, pause;
	struct lines lines;
	uint64_t log_since; /* ms */
	size_t log_bytes;   /* read since then */
};

/* Starts one; NULL when that failed (logged). */
struct localproc *localproc_start(struct local_pool *, const struct localspec *, int sock);
/* Takes over a child that the binary before this one has started. */
struct localproc *localproc_adopt(
    struct local_pool *, enum localproc_state, pid_t, uint64_t digest, uint64_t born, int log);
/* SIGTERM now, SIGKILL after ms. A second call may only make it sooner. */
void localproc_stop(struct localproc *, uint64_t ms);
/* The same if it has nothing to do; when it has, it goes on. */
void localproc_spare(struct localproc *, uint64_t ms);
/* Whether it can be ended: it has no connection of its socket; or nobody can know (it is another
   user's, and we may not look), but it handles SIGTERM. */
bool localproc_is_idle(const struct localproc *);
void localproc_kill(struct localproc *);
/* It has ended: reads what it said, logs its death, and frees it. */
void localproc_reap(struct localproc *, int status);
/* Logs the incomplete line that it has written: the next binary begins with an empty buffer. */
void localproc_flush(struct localproc *);

static inline struct localproc *
localproc_of(struct link *l)
{
	return container_of(l, struct localproc, link);
}

#endif

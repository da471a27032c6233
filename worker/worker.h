/*
 * A worker: one process, one event base, no locks. What modules may ask of it: the time, timers,
 * notices that run soon, but never inside the call that posts them, and work done beside the loop.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/segment/heritage.h"

struct event_base;
struct worker;

/* The one function through which the master starts a worker, in the forked child. Does not return:
   ends with exit status 0 (drained), 1 (could not start). It is unprivileged already and its log is
   open (master/spawn.c). */
_Noreturn void worker_run(const struct heritage *);

/* The one worker of this process: for what has no request at hand. */
struct worker *worker_self(void);
const struct conf *worker_conf(const struct worker *);
struct shm *worker_shm(const struct worker *);
struct shm_worker *worker_row(const struct worker *);
unsigned worker_row_index(const struct worker *);
struct event_base *worker_base(const struct worker *);
const struct heritage *worker_heritage(const struct worker *);
bool worker_is_draining(const struct worker *);

/* Time of this loop turn: monotonic ms; wall seconds; the text of the Date field (29 bytes). */
uint64_t worker_now(const struct worker *);
time_t worker_wall(const struct worker *);
const char *worker_date(const struct worker *);

/* Time of this loop turn in ns, for measuring. */
uint64_t worker_now_ns(const struct worker *);
/* Modules that have events of their own (for backends or name servers) call this first in each
   callback: it reads the time of this loop turn, unless that was done already. */
void worker_woken(struct worker *);

/* A notice: fn(arg) runs once, soon: after every sixteenth connection that was read in this loop
   turn (worker/conn.c), and at the turn's end; so other events of the turn may still come after it.
   It never runs inside the call that posts it, nor inside another notice; posting it again before
   it runs changes nothing. Embed it; post_cancel before freeing what it is in. */
struct post {
	struct link link;
	void (*fn)(void *arg);
	void *arg;
};
void worker_post(struct worker *, struct post *);
static inline void
post_cancel(struct post *p)
{
	list_del(&p->link);
}

/* A timer: fn(arg) once, when ms have passed, to the precision of one tick (100 ms). Setting and
   deleting costs a few instructions: timers of equal length share a queue. */
struct timer {
	struct link link;
	struct timer_class *class;
	uint64_t due;
	void (*fn)(void *arg);
	void *arg;
};
struct timer_class;
/* The queue for one length of time (at least 1 ms). There may be any number of lengths. Use the
   result at once: a queue that has had no timer for a tick may be given to another length. */
struct timer_class *timer_class(struct worker *, int64_t ms);
void timer_set(struct worker *, struct timer *, struct timer_class *);
void timer_del(struct timer *);

/* Work beside the loop, in one of a few threads: work(job) must not touch the worker, requests or
   the log; done(job) runs in the loop at the end of a turn. The submitter owns the job and keeps it
   until done. Jobs of one lane run one after the other in order; lane 0: any thread, any order. */
struct job {
	struct link link;
	void (*work)(struct job *);
	void (*done)(struct job *);
	unsigned lane;
};
void worker_offload(struct worker *, struct job *);

#endif

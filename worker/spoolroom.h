/*
 * How much room there is for bodies on disk: the bound of spool.max, which counts for all workers
 * together, and what is left on the file systems. It is looked at now and then, not for every
 * write: a worker can be beyond the bound by what it writes in between, at most 1 MiB.
 *
 * That there is no room is an event with a beginning and an end: a line in the log and a figure for
 * each.
 */
#ifndef WORKER_SPOOLROOM_H
#define WORKER_SPOOLROOM_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

enum { SPOOLROOM_DIRS = 16 };

/* A worker begins, and has looked at nothing. */
void spoolroom_start(void);
/* Whether n bytes more may go to disk, of which this worker has own there. A body that can wait
   leaves a quarter of the bound to those that have to be whole. */
bool spoolroom_has(struct worker *, int64_t own, int64_t n, bool can_wait);
/* Whether directory i (its path) is taken for full: less than a twentieth of its file system is
   free. Never without a bound. */
bool spoolroom_is_full(struct worker *, unsigned i, const char *dir);
/* The bound in bytes; INT64_MAX: there is none. */
int64_t spoolroom_max(struct worker *);

/* A body found no room; why (the directories' reasons; NULL: the bound) is for the log. */
void spoolroom_refused(struct worker *, uint64_t request_id, const char *why);
/* Once a second: whether there is room again. */
void spoolroom_tick(struct worker *, int64_t own);

#endif

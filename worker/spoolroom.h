/*
 * How much room there is for bodies on disk: the bound of spool.max, which counts for all workers
 * together, and the free space of the file systems. It is looked at now and then, not for every
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

/* When a worker begins: it has looked at nothing yet. */
void spoolroom_start(void);
/* Whether n more bytes may go to disk, where this worker has `own` bytes now. A body that can wait
   for its reader instead leaves a quarter of the bound to bodies that must be stored as a whole. */
bool spoolroom_has(struct worker *, int64_t own, int64_t n, bool can_wait);
/* Whether directory i (its path) counts as full: less than a twentieth of its file system is free.
   Never when there is no bound. */
bool spoolroom_is_full(struct worker *, unsigned i, const char *dir);
/* The bound in bytes; INT64_MAX: there is none. */
int64_t spoolroom_max(struct worker *);

/* A body found no room; why (the directories' reasons; NULL: the bound) is for the log. */
void spoolroom_refused(struct worker *, uint64_t request_id, const char *why);
/* Once a second: whether there is room again. */
void spoolroom_tick(struct worker *, int64_t own);

#endif

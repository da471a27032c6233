/*
 * When to start again what has died: at once, or, when it dies young again and again, after a time
 * that doubles. Computes only; times are ms of one clock.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKOFF_YOUNG_MS = 1000, BACKOFF_MS = 250, BACKOFF_MAX_MS = 30000 };

/* { 0 } is a fresh one. For all processes of a kind together: several that were started at once and
   die at once are one failure. */
struct backoff {
	unsigned level;
	uint64_t from;  /* when the wait began; deaths of processes born before do not count */
	uint64_t until; /* nothing is started before */
};

/* A process that was started at `born` has died now, without having been asked to end. is_well: it
   ended by itself after having done some work. True: the wait has become longer. */
bool backoff_died(struct backoff *, uint64_t born, bool is_well, uint64_t now);
/* One has lived long enough to be trusted. */
void backoff_lived(struct backoff *);
/* ms until something may be started; 0: now. */
uint64_t backoff_wait(const struct backoff *, uint64_t now);

#endif

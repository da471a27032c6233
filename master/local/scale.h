/*
 * How many processes a pool shall have, from how many requests it has. Computes only.
 *
 * Up: requests in flight exceeded what the processes are for (per_process each) at every look for
 * UP_MS: one more; while that goes on, twice as many more each second as the second before. Down:
 * fewer would have been enough at every look for `idle`: one fewer.
 */
#ifndef LOCAL_SCALE_H
#define LOCAL_SCALE_H

#include <stdint.h>

enum { LOCALSCALE_UP_MS = 500, LOCALSCALE_GAP_MS = 1000 };

struct localscale_limits {
	unsigned least, most;
	unsigned per_process; /* requests; > 0 */
	uint64_t idle;        /* ms */
};

/* { 0 } is a fresh one. */
struct localscale {
	unsigned wanted;
	unsigned step;              /* how many were added last */
	uint64_t over, under, next; /* ms since when, 0: not; no further start before */
};

/* A look at the load: requests in flight and waiting. Returns how many processes are wanted. */
unsigned localscale_look(
    struct localscale *, const struct localscale_limits *, unsigned load, uint64_t now);

#endif

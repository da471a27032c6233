/*
 * Blocks of one size, aligned to pages, whose memory can be given back to the kernel. The block
 * that was given back last is handed out next, so that a busy worker uses a few blocks that stay in
 * the CPU's caches. Blocks that were not needed for a second give their memory to the kernel and
 * keep only their addresses: a thousand clients that each needed one for a moment leave no memory
 * in use.
 */
#ifndef WORKER_SLAB_H
#define WORKER_SLAB_H

#include <stdbool.h>

#include "common/base/list.h"

struct slab {
	size_t size;   /* of a block: whole pages */
	unsigned keep; /* blocks that stay warm when idle */
	struct pool warm;
	void **cold; /* free blocks without memory: they cannot hold a list themselves */
	size_t ncold, cold_room;
	unsigned least; /* fewest warm ones since slab_trim() */
};

/* A block without memory, all zeros once it is touched. */
void *slab_get_cold(struct slab *);

/* The link of a block that has its memory and content still, or NULL. */
static inline struct link *
slab_get_warm(struct slab *s)
{
	struct link *l = pool_pop(&s->warm);

	if (s->warm.n < s->least)
		s->least = s->warm.n;
	return l;
}

/* Gives a block back; link: anywhere in it, at the same place in all of them. */
static inline void
slab_put(struct slab *s, struct link *link)
{
	pool_push(&s->warm, link);
}

/* Once a second: what was not needed goes to the kernel. offset: of the links in their blocks. */
void slab_trim(struct slab *, size_t offset);

#endif

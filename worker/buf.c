/*
 * Blocks of memory for what is read and queued, kept in a list for the next user: the block just
 * given back is the next one handed out, so that a busy worker lives in a few warm ones.
 */
#include <stdlib.h>

#include "common/must.h"
#include "worker/body.h"

enum { BUF_KEEP = 64 }; /* blocks kept when idle; the rest goes back to malloc */

static struct pool buf_pool;

struct buf *
buf_get(void)
{
	struct link *l = pool_pop(&buf_pool);
	struct buf *b;

	if (likely(l != NULL)) {
		b = container_of(l, struct buf, link);
	} else {
		b = must_malloc(BUF_SIZE);
		b->room = BUF_ROOM;
	}
	b->link.next = NULL;
	b->refs = 1;
	b->used = 0;
	return b;
}

struct buf *
buf_get_big(size_t room)
{
	struct buf *b = must_malloc(sizeof(*b) + room);

	b->link.prev = b->link.next = NULL;
	b->refs = 1;
	b->used = 0;
	b->room = (unsigned)room;
	return b;
}

void
buf_put(struct buf *b)
{
	must(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (b->room != BUF_ROOM || buf_pool.n >= BUF_KEEP) {
		free(b);
		return;
	}
	pool_push(&buf_pool, &b->link);
}

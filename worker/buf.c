/*
 * Blocks of memory for what is read and queued. Those of the usual size come from a slab; small and
 * bulk ones from the heap, a few of them kept for the next user.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "worker/body.h"
#include "worker/slab.h"

enum {
	BUF_KEEP = 32, /* blocks kept warm when idle */
	BUF_BULK_KEEP = 4,
	BUF_SMALL_KEEP = 256,
};

static struct slab buf_slab = { .size = BUF_SIZE, .keep = BUF_KEEP };
static struct pool buf_small, buf_bulk;

static struct buf *
buf_ready(struct buf *b, size_t room)
{
	b->link.prev = b->link.next = NULL;
	b->refs = 1;
	b->used = 0;
	b->room = (unsigned)room;
	return b;
}

struct buf *
buf_get(void)
{
	struct link *l = slab_get_warm(&buf_slab);
	struct buf *b;

	if (unlikely(!l))
		return buf_ready(slab_get_cold(&buf_slab), BUF_ROOM);
	b = container_of(l, struct buf, link);
	b->refs = 1;
	b->used = 0;
	return b;
}

static struct buf *
buf_get_from(struct pool *pool, size_t room)
{
	struct link *l = pool_pop(pool);

	return buf_ready(
	    l ? container_of(l, struct buf, link) : must_malloc(sizeof(struct buf) + room), room);
}

struct buf *
buf_get_small(void)
{
	return buf_get_from(&buf_small, BUF_SMALL_ROOM);
}

struct buf *
buf_get_bulk(void)
{
	return buf_get_from(&buf_bulk, BUF_BULK_ROOM);
}

struct buf *
buf_get_big(size_t room)
{
	/* The sizes with a pool must not be met by chance. */
	if (room == BUF_ROOM || room == BUF_SMALL_ROOM || room == BUF_BULK_ROOM)
		room++;
	return buf_ready(must_malloc(sizeof(struct buf) + room), room);
}

void
buf_put(struct buf *b)
{
	must(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (likely(b->room == BUF_ROOM))
		slab_put(&buf_slab, &b->link);
	else if (b->room == BUF_SMALL_ROOM && buf_small.n < BUF_SMALL_KEEP)
		pool_push(&buf_small, &b->link);
	else if (b->room == BUF_BULK_ROOM && buf_bulk.n < BUF_BULK_KEEP)
		pool_push(&buf_bulk, &b->link);
	else
		free(b);
}

void
buf_trim(void)
{
	slab_trim(&buf_slab, offsetof(struct buf, link));
}

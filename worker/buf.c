/*
 * Blocks of memory for what is read and queued, kept in a list for the next user: the block just
 * given back is the next one handed out, so that a busy worker lives in a few warm ones. Blocks
 * come from the kernel in slabs and stay ours for good, but the memory of those that nobody needed
 * for a second is given back: a thousand slow uploads that held a block each for a moment leave
 * nothing behind.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "common/must.h"
#include "worker/body.h"

enum {
	BUF_KEEP = 32, /* blocks kept warm when idle */
	BUF_SLAB = 64, /* blocks asked of the kernel at once */
	BUF_BULK_KEEP = 4,
	BUF_SMALL_KEEP = 256,
};

static struct pool buf_warm, buf_small, buf_bulk;
/* Free blocks without memory: they cannot hold a list themselves. */
static struct buf **buf_cold;
static size_t buf_ncold, buf_cold_room;
static unsigned buf_least; /* fewest warm ones since buf_trim() */

static void
buf_push_cold(struct buf *b)
{
	if (buf_ncold == buf_cold_room) {
		buf_cold_room += BUF_SLAB;
		buf_cold = must_realloc(buf_cold, buf_cold_room * sizeof(struct buf *));
	}
	buf_cold[buf_ncold++] = b;
}

static struct buf *
buf_pop_cold(void)
{
	if (buf_ncold == 0) {
		char *slab = mmap(NULL, (size_t)BUF_SLAB * BUF_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(slab != MAP_FAILED);
		for (size_t i = BUF_SLAB; i-- > 0;)
			buf_push_cold((struct buf *)(void *)(slab + i * BUF_SIZE));
	}
	return buf_cold[--buf_ncold];
}

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
	struct link *l = pool_pop(&buf_warm);

	if (buf_warm.n < buf_least)
		buf_least = buf_warm.n;
	return buf_ready(
	    likely(l != NULL) ? container_of(l, struct buf, link) : buf_pop_cold(), BUF_ROOM);
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
		pool_push(&buf_warm, &b->link);
	else if (b->room == BUF_SMALL_ROOM && buf_small.n < BUF_SMALL_KEEP)
		pool_push(&buf_small, &b->link);
	else if (b->room == BUF_BULK_ROOM && buf_bulk.n < BUF_BULK_KEEP)
		pool_push(&buf_bulk, &b->link);
	else
		free(b);
}

/* The longest unused ones are at the end of the list. */
void
buf_trim(void)
{
	struct link *last = buf_warm.top, *l;
	unsigned keep;

	if (buf_least <= BUF_KEEP) {
		buf_least = buf_warm.n;
		return;
	}
	keep = buf_warm.n - buf_least + BUF_KEEP;
	for (unsigned i = 1; i < keep; i++)
		last = last->next;
	l = last->next;
	last->next = NULL;
	buf_warm.n = buf_least = keep;
	while (l) {
		struct buf *b = container_of(l, struct buf, link);

		l = l->next;
		madvise(b, BUF_SIZE, MADV_DONTNEED);
		buf_push_cold(b);
	}
}

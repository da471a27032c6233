/*
 * Bodies: see body.h for the contract. A chunk is one of four kinds: owned memory (a part of a
 * buf, one reference each), borrowed memory, a file range: of a descriptor, or of a spool file that
 * chunks share by reference; or all of a pipe, which one chunk owns alone: where it is to be
 * divided, shared or looked into, it is read into memory first. Chunks come from a free list; none
 * is allocated in steady state. Only an OPEN body takes chunks; a CANCELLED one drops them, and
 * closes the descriptors that come with them.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/must.h"
#include "worker/body.h"
#include "worker/pipe.h"
#include "worker/spool.h"

/* The first two are memory, the first and the third count as it (body->memory). */
enum chunk_kind { CHUNK_BUF, CHUNK_REF, CHUNK_PIPE, CHUNK_FILE };

struct chunk {
	struct link link;
	uint8_t kind; /* enum chunk_kind */
	bool owns_fd;
	int fd;
	struct buf *buf;
	struct spool_file *spool; /* file: whose fd is; NULL: see owns_fd */
	struct pipe *pipe;        /* pipe: has len bytes, and those taken but not consumed yet */
	const char *p;            /* memory */
	int64_t off;              /* file */
	int64_t len;
};

enum { CHUNK_KEEP = 256, CHUNK_COPY = 2048, CHUNK_PIPED = 8192 };

static struct pool chunk_pool;

static struct chunk *
chunk_new(enum chunk_kind kind)
{
	struct link *l = pool_pop(&chunk_pool);
	struct chunk *k;

	if (likely(l != NULL)) {
		k = container_of(l, struct chunk, link);
	} else {
		k = must_malloc(sizeof(*k));
		k->link.prev = k->link.next = NULL;
	}
	k->kind = kind;
	k->owns_fd = false;
	k->buf = NULL;
	k->spool = NULL;
	return k;
}

static void
chunk_free_pipe(struct chunk *k)
{
	if (k->pipe)
		pipe_put(k->pipe);
}

static bool
chunk_is_memory(const struct chunk *k)
{
	return k->kind <= CHUNK_REF;
}

/* Reads all of a pipe into a block, in its place. False: its bytes are lost. */
static bool
chunk_melt(struct chunk *k)
{
	size_t n = (size_t)k->len;
	struct buf *buf = n <= BUF_ROOM        ? buf_get()
			  : n <= BUF_BULK_ROOM ? buf_get_bulk()
					       : buf_get_big(n);

	must(k->pipe->used == n);
	if (!pipe_take(k->pipe, buf->data, n)) {
		buf_put(buf);
		return false;
	}
	buf->used = (unsigned)n;
	pipe_put(k->pipe);
	k->kind = CHUNK_BUF;
	k->buf = buf;
	k->p = buf->data;
	return true;
}

/* Takes the chunk off its queue and gives back what it holds. */
static void
chunk_free(struct chunk *k)
{
	list_del(&k->link);
	if (k->kind == CHUNK_BUF)
		buf_put(k->buf);
	else if (unlikely(k->kind == CHUNK_PIPE))
		chunk_free_pipe(k);
	else if (k->spool)
		spool_file_put(k->spool);
	else if (k->owns_fd)
		close(k->fd);
	if (chunk_pool.n >= CHUNK_KEEP) {
		free(k);
		return;
	}
	pool_push(&chunk_pool, &k->link);
}

static struct chunk *
body_front(const struct body *b)
{
	struct link *l = list_first(&b->chunks);

	return l ? container_of(l, struct chunk, link) : NULL;
}

static struct chunk *
body_back(const struct body *b)
{
	return list_is_empty(&b->chunks) ? NULL : container_of(b->chunks.prev, struct chunk, link);
}

static void
body_notify(struct body *b, struct post *p)
{
	if (p->fn)
		worker_post(b->w, p);
}

void
body_init(struct body *b, struct worker *w)
{
	b->w = w;
	list_init(&b->chunks);
	b->state = BODY_OPEN;
	b->err = 0;
	b->memory = 0;
	b->pipes = 0;
	b->high = BODY_HIGH;
	b->low = BODY_LOW;
	b->queued = b->total = 0;
	b->data.link.next = b->space.link.next = NULL;
	b->data.fn = b->space.fn = NULL;
}

static void
body_drop(struct body *b)
{
	LIST_EACH(l, &b->chunks)
	chunk_free(container_of(l, struct chunk, link));
	b->memory = 0;
	b->queued = 0;
}

void
body_fini(struct body *b)
{
	if (!list_is_empty(&b->chunks))
		body_drop(b);
	if (b->data.fn)
		post_cancel(&b->data);
	if (b->space.fn)
		post_cancel(&b->space);
	b->state = BODY_CANCELLED;
}

/* Accounts for n bytes added at the end. */
static void
body_added(struct body *b, int64_t n, size_t memory)
{
	b->queued += n;
	b->total += n;
	b->memory += memory;
	body_notify(b, &b->data);
}

void
body_put(struct body *b, const void *p, size_t n)
{
	const char *from = p;

	if (b->state != BODY_OPEN || n == 0)
		return;
	while (n > 0) {
		struct chunk *k = body_back(b);
		struct buf *buf = k ? k->buf : NULL;
		size_t part;

		/* Only the sole owner of a block may append to it, and only at its end. */
		if (!buf || buf->refs != 1 || k->p + k->len != buf->data + buf->used ||
		    buf->used == buf->room) {
			k = chunk_new(CHUNK_BUF);
			buf = k->buf = n <= BUF_SMALL_ROOM && b->memory < CHUNK_COPY
					   ? buf_get_small()
					   : buf_get();
			k->p = buf->data;
			k->len = 0;
			list_add_tail(&b->chunks, &k->link);
		}
		part = buf->room - buf->used;
		if (part > n)
			part = n;
		memcpy(buf->data + buf->used, from, part);
		buf->used += (unsigned)part;
		k->len += (int64_t)part;
		from += part;
		n -= part;
		body_added(b, (int64_t)part, part);
	}
}

void
body_put_ref(struct body *b, const void *p, size_t n)
{
	struct chunk *k;

	if (b->state != BODY_OPEN || n == 0)
		return;
	k = chunk_new(CHUNK_REF);
	k->p = p;
	k->len = (int64_t)n;
	list_add_tail(&b->chunks, &k->link);
	body_added(b, k->len, 0);
}

void
body_put_buf(struct body *b, struct buf *buf, const char *p, size_t n)
{
	struct chunk *k;

	if (b->state != BODY_OPEN || n == 0) {
		buf_put(buf);
		return;
	}
	/* A small part would pin a whole block: copy it. */
	if (n < CHUNK_COPY) {
		body_put(b, p, n);
		buf_put(buf);
		return;
	}
	k = chunk_new(CHUNK_BUF);
	k->buf = buf;
	k->p = p;
	k->len = (int64_t)n;
	list_add_tail(&b->chunks, &k->link);
	body_added(b, k->len, n);
}

void
body_put_file(struct body *b, int fd, int64_t off, int64_t len, bool own)
{
	struct chunk *k;

	if (b->state != BODY_OPEN || len <= 0) {
		if (own)
			close(fd);
		return;
	}
	k = chunk_new(CHUNK_FILE);
	k->fd = fd;
	k->owns_fd = own;
	k->off = off;
	k->len = len;
	list_add_tail(&b->chunks, &k->link);
	body_added(b, len, 0);
}

/* Bytes that should be there are missing, and neither producer nor consumer is at fault. */
static void
body_lost(struct body *b, int err)
{
	body_drop(b);
	body_fail(b, err);
}

void
body_put_pipe(struct body *b, struct pipe *p)
{
	struct chunk *k;

	if (b->state != BODY_OPEN || p->used == 0) {
		pipe_put(p);
		return;
	}
	k = chunk_new(CHUNK_PIPE);
	k->pipe = p;
	k->len = (int64_t)p->used;
	list_add_tail(&b->chunks, &k->link);
	body_added(b, k->len, p->used);
	/* A few bytes would hold a whole pipe. */
	if (k->len < CHUNK_PIPED && !chunk_melt(k))
		body_lost(b, EIO);
}

void
body_put_spool(struct body *b, struct spool_file *f, int64_t off, int64_t len)
{
	struct chunk *k = body_back(b);

	if (b->state != BODY_OPEN || len <= 0) {
		spool_file_put(f);
		return;
	}
	if (k && k->spool == f && k->off + k->len == off) {
		k->len += len;
		spool_file_put(f);
	} else {
		k = chunk_new(CHUNK_FILE);
		k->spool = f;
		k->fd = f->fd;
		k->off = off;
		k->len = len;
		list_add_tail(&b->chunks, &k->link);
	}
	body_added(b, len, 0);
}

void
body_end(struct body *b)
{
	if (b->state != BODY_OPEN)
		return;
	b->state = BODY_ENDED;
	body_notify(b, &b->data);
}

void
body_fail(struct body *b, int err)
{
	if (b->state != BODY_OPEN && b->state != BODY_ENDED)
		return;
	b->state = BODY_FAILED;
	b->err = err;
	body_notify(b, &b->data);
}

void
body_on_space(struct body *b, void (*fn)(void *), void *arg)
{
	if (!fn)
		post_cancel(&b->space);
	b->space.fn = fn;
	b->space.arg = arg;
	if (b->state == BODY_CANCELLED)
		body_notify(b, &b->space);
}

void
body_on_data(struct body *b, void (*fn)(void *), void *arg)
{
	if (!fn)
		post_cancel(&b->data);
	b->data.fn = fn;
	b->data.arg = arg;
	if (fn && (!list_is_empty(&b->chunks) || b->state != BODY_OPEN))
		body_notify(b, &b->data);
}

int
body_iov(const struct body *b, struct iovec *iov, int max, size_t *n)
{
	int i = 0;

	*n = 0;
	LIST_EACH(l, &b->chunks)
	{
		const struct chunk *k = container_of(l, struct chunk, link);

		if (!chunk_is_memory(k) || i == max)
			break;
		iov[i].iov_base = (void *)(uintptr_t)k->p;
		iov[i].iov_len = (size_t)k->len;
		*n += (size_t)k->len;
		i++;
	}
	return i;
}

bool
body_file(const struct body *b, int *fd, int64_t *off, int64_t *len)
{
	const struct chunk *k = body_front(b);

	if (!k || k->kind != CHUNK_FILE)
		return false;
	*fd = k->fd;
	*off = k->off;
	*len = k->len;
	return true;
}

struct pipe *
body_pipe(const struct body *b)
{
	const struct chunk *k = body_front(b);

	return k && k->kind == CHUNK_PIPE ? k->pipe : NULL;
}

bool
body_melt(struct body *b)
{
	if (chunk_melt(body_front(b)))
		return true;
	body_lost(b, EIO);
	return false;
}

int64_t
body_part(const struct body *b, int64_t max)
{
	int64_t n = 0;

	LIST_EACH(l, &b->chunks)
	{
		const struct chunk *k = container_of(l, struct chunk, link);

		if (k->len > max - n)
			return k->kind == CHUNK_PIPE && n > 0 ? n : max;
		n += k->len;
	}
	return n;
}

/* Memory or all of the queue went away: posts on_space where the producer waits for that. */
static void
body_shrunk(struct body *b, bool was_full)
{
	if (b->space.fn && (was_full ? b->memory <= b->low : list_is_empty(&b->chunks)))
		body_notify(b, &b->space);
}

/* Part of a pipe's bytes go away: they were sent from it already, or nobody wants them and they are
   dropped here. Afterwards the pipe has exactly the rest. (A whole pipe that nobody wants is closed
   with its chunk.) */
static bool
body_consume_pipe(struct body *b, struct chunk *k, int64_t part)
{
	size_t left = (size_t)(k->len - part);

	b->memory -= (size_t)part;
	if (!k->pipe || left == 0 || k->pipe->used <= left)
		return true;
	return pipe_take(k->pipe, NULL, k->pipe->used - left);
}

void
body_consume(struct body *b, int64_t n)
{
	bool was_full = body_is_full(b), is_lost = false;

	while (n > 0) {
		struct chunk *k = body_front(b);
		int64_t part;

		must(k != NULL);
		part = n < k->len ? n : k->len;
		if (k->kind == CHUNK_FILE)
			k->off += part;
		else if (unlikely(k->kind == CHUNK_PIPE))
			is_lost |= !body_consume_pipe(b, k, part);
		else
			k->p += part;
		if (k->kind == CHUNK_BUF)
			b->memory -= (size_t)part;
		k->len -= part;
		b->queued -= part;
		n -= part;
		if (k->len == 0)
			chunk_free(k);
	}
	if (unlikely(is_lost))
		body_lost(b, EIO);
	body_shrunk(b, was_full);
}

/* Reads of a file range at most max bytes; a file that became shorter fails the body. */
static ssize_t
body_pread(struct body *b, const struct chunk *k, void *dst, size_t max)
{
	ssize_t n;

	if ((int64_t)max > k->len)
		max = (size_t)k->len;
	do
		n = pread(k->fd, dst, max, k->off);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	body_lost(b, n < 0 ? errno : EIO);
	return -1;
}

static ssize_t
body_take_pipe(struct body *b, const struct chunk *k, void *dst, size_t max)
{
	if ((int64_t)max > k->len)
		max = (size_t)k->len;
	if (pipe_take(k->pipe, dst, max))
		return (ssize_t)max;
	body_lost(b, EIO);
	return -1;
}

ssize_t
body_take(struct body *b, void *dst, size_t max)
{
	size_t done = 0;

	while (done < max) {
		struct chunk *k = body_front(b);
		ssize_t n;

		if (!k)
			break;
		if (k->kind == CHUNK_FILE) {
			n = body_pread(b, k, (char *)dst + done, max - done);
			if (n < 0)
				break;
		} else if (k->kind == CHUNK_PIPE) {
			n = body_take_pipe(b, k, (char *)dst + done, max - done);
			if (n < 0)
				break;
		} else {
			n = k->len < (int64_t)(max - done) ? (ssize_t)k->len
							   : (ssize_t)(max - done);
			memcpy((char *)dst + done, k->p, (size_t)n);
		}
		done += (size_t)n;
		body_consume(b, n);
	}
	return done == 0 && b->state == BODY_FAILED ? -1 : (ssize_t)done;
}

/* Puts the first n bytes of a chunk into dst as well, without copying where that is possible. A
   descriptor that the chunk owns alone moves to dst with the last part of the chunk (is_last);
   before, it is duplicated. False: no descriptor was available. */
static bool
body_share(struct body *dst, struct chunk *k, int64_t n, bool is_last)
{
	if (unlikely(k->kind == CHUNK_PIPE)) {
		if (is_last) {
			body_put_pipe(dst, k->pipe);
			k->pipe = NULL;
			return true;
		}
		if (!chunk_melt(k)) {
			body_fail(dst, EIO);
			return false;
		}
	}
	if (k->kind == CHUNK_REF) {
		body_put_ref(dst, k->p, (size_t)n);
	} else if (k->kind == CHUNK_BUF) {
		k->buf->refs++;
		body_put_buf(dst, k->buf, k->p, (size_t)n);
	} else if (k->spool) {
		k->spool->refs++;
		body_put_spool(dst, k->spool, k->off, n);
	} else {
		int fd = k->owns_fd && !is_last ? dup(k->fd) : k->fd;

		if (fd < 0) {
			body_fail(dst, errno);
			return false;
		}
		body_put_file(dst, fd, k->off, n, k->owns_fd);
		if (is_last)
			k->owns_fd = false;
	}
	return true;
}

int64_t
body_move(struct body *dst, struct body *src, int64_t max)
{
	int64_t moved = 0;

	while (moved < max && dst->state == BODY_OPEN) {
		struct chunk *k = body_front(src);
		int64_t n;

		if (!k)
			break;
		n = k->len < max - moved ? k->len : max - moved;
		if (!body_share(dst, k, n, n == k->len))
			break;
		body_consume(src, n);
		moved += n;
	}
	return moved;
}

void
body_clone(struct body *dst, const struct body *src)
{
	LIST_EACH(l, &src->chunks)
	{
		struct chunk *k = container_of(l, struct chunk, link);

		if (!body_share(dst, k, k->len, false))
			return;
	}
}

/* The first chunk in memory, or NULL. */
static struct chunk *
body_run_front(const struct body *b)
{
	LIST_EACH(l, &b->chunks)
	{
		struct chunk *k = container_of(l, struct chunk, link);

		if (k->kind != CHUNK_FILE)
			return k;
	}
	return NULL;
}

int
body_run(const struct body *b, struct iovec *iov, int max, size_t *n)
{
	struct chunk *k = body_run_front(b);
	int i = 0;

	*n = 0;
	for (; k && k->kind != CHUNK_FILE && i < max; i++) {
		if (k->kind == CHUNK_PIPE && !chunk_melt(k))
			break;
		iov[i] = (struct iovec){ (void *)(uintptr_t)k->p, (size_t)k->len };
		*n += (size_t)k->len;
		k = k->link.next == &b->chunks ? NULL
					       : container_of(k->link.next, struct chunk, link);
	}
	return i;
}

/* A range of a spool file in front of a chunk, or as a part of the range that stands there. */
static void
body_store_before(struct body *b, struct chunk *k, struct spool_file *f, int64_t off, int64_t n)
{
	struct link *l = k->link.prev;
	struct chunk *before = l == &b->chunks ? NULL : container_of(l, struct chunk, link);

	if (before && before->spool == f && before->off + before->len == off) {
		before->len += n;
		return;
	}
	before = chunk_new(CHUNK_FILE);
	f->refs++;
	before->spool = f;
	before->fd = f->fd;
	before->off = off;
	before->len = n;
	list_add_tail(&k->link, &before->link);
}

void
body_run_stored(struct body *b, struct spool_file *f, int64_t off, size_t n)
{
	struct chunk *k = body_run_front(b);
	int64_t left = (int64_t)n;
	bool was_full = body_is_full(b);

	must(k != NULL);
	body_store_before(b, k, f, off, left);
	while (left > 0) {
		struct link *next = k->link.next;
		int64_t part = left < k->len ? left : k->len;

		must(k->kind != CHUNK_FILE);
		k->p += part;
		k->len -= part;
		if (k->kind == CHUNK_BUF)
			b->memory -= (size_t)part;
		left -= part;
		if (k->len == 0)
			chunk_free(k);
		k = container_of(next, struct chunk, link);
	}
	body_shrunk(b, was_full);
}

void
body_compact(struct body *b)
{
	struct iovec iov[64];
	size_t n;
	int niov = body_run(b, iov, 64, &n);
	struct chunk *k;

	if (niov == 0 || n != (size_t)b->queued || b->memory != n)
		return;
	k = chunk_new(CHUNK_BUF);
	k->buf = buf_get_big(n);
	k->buf->used = (unsigned)n;
	k->p = k->buf->data;
	k->len = (int64_t)n;
	for (char *p = k->buf->data; niov > 0; niov--) {
		struct chunk *old = body_front(b);

		memcpy(p, old->p, (size_t)old->len);
		p += old->len;
		chunk_free(old);
	}
	list_add_tail(&b->chunks, &k->link);
}

void
body_cancel(struct body *b)
{
	if (b->state == BODY_CANCELLED)
		return;
	body_drop(b);
	b->state = BODY_CANCELLED;
	post_cancel(&b->data);
	body_notify(b, &b->space);
}

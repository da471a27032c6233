/*
 * A body: a bounded one-way queue of chunks with a producer and a consumer end, for request bodies,
 * response bodies and whatever goes through a filter. Chunks are memory (owned or borrowed), file
 * ranges or pipes; bytes are not copied when a chunk can be handed on, and file ranges stay (fd,
 * offset, length) until the last moment, where sendfile or pread is chosen. No mmap: a file
 * truncated under us is an error value (EIO), never a SIGBUS.
 *
 * "There is data" and "there is space" are posted as notices (worker/worker.h); nobody is called
 * back from inside a call, no object dies under its caller.
 *
 *   state    producer may           consumer sees
 *   OPEN     put, end, fail         chunks, then nothing yet
 *   ENDED    nothing                chunks, then the end
 *   FAILED   nothing                chunks, then the failure (body->err)
 *   CANCELLED nothing (put drops)   nothing
 */
#ifndef WORKER_BODY_H
#define WORKER_BODY_H

#include <sys/uio.h>
#include "common/base/list.h"
#include "common/base/str.h"
#include "worker/worker.h"

enum body_state { BODY_OPEN, BODY_ENDED, BODY_FAILED, BODY_CANCELLED };

/* A block of memory that chunks own a part of; BUF_ROOM bytes. From the worker's pool. */
enum {
	BUF_SIZE = 16384,
	BUF_ROOM = BUF_SIZE - 32,
	BUF_SMALL_ROOM = 1024,
	BUF_BULK_ROOM = 4 * BUF_SIZE
};
struct buf {
	struct link link;
	unsigned refs; /* chunks and owners that hold it */
	unsigned used; /* bytes of data[] handed out */
	unsigned room; /* bytes of data[] */
	char data[];
};
struct buf *buf_get(void);            /* one reference, BUF_ROOM bytes, used 0 */
struct buf *buf_get_small(void);      /* BUF_SMALL_ROOM, for what waits in small pieces */
struct buf *buf_get_bulk(void);       /* BUF_BULK_ROOM, for what comes fast */
struct buf *buf_get_big(size_t room); /* any room; not kept in the pool */
void buf_put(struct buf *);           /* gives one reference back */
void buf_trim(void);                  /* once a second: what nobody needed goes to the kernel */

struct pipe;
struct spool_file;

struct body {
	struct worker *w;
	struct link chunks;
	uint8_t state;  /* enum body_state */
	int err;        /* errno-like, with FAILED */
	unsigned pipes; /* bytes of a pipe that the consumer takes as they are; 0: wants memory */
	size_t memory;  /* owned bytes in the queue: what high and low bound */
	size_t high, low;
	int64_t queued;          /* all bytes in the queue, files included */
	int64_t total;           /* bytes ever put in */
	struct post data, space; /* the consumer's and the producer's notices */
};

enum { BODY_HIGH = 65536, BODY_LOW = 16384 };

void body_init(struct body *, struct worker *);
/* Drops what is queued, closes owned descriptors, cancels notices. */
void body_fini(struct body *);

/* --- producer --- */
/* Copies. The bytes are kept even when the body is full afterwards: stop producing then and wait
   for on_space. */
void body_put(struct body *, const void *p, size_t n);
/* Borrows: p lives until the request ends (its arena, a pinned cache entry, a constant). */
void body_put_ref(struct body *, const void *p, size_t n);
/* Hands over part of a block; takes one reference of buf. */
void body_put_buf(struct body *, struct buf *, const char *p, size_t n);
/* A file range; with own the descriptor is closed when the range is sent or dropped. */
void body_put_file(struct body *, int fd, int64_t off, int64_t len, bool own);
/* A range of a spool file; takes one reference of it. See spool.h. */
void body_put_spool(struct body *, struct spool_file *, int64_t off, int64_t len);
/* All of a pipe; the body owns it from now on. Worth it for a consumer that has asked for pipes. */
void body_put_pipe(struct body *, struct pipe *);
void body_end(struct body *);
void body_fail(struct body *, int err);
/* Over the high mark: the producer must pause. */
static inline bool
body_is_full(const struct body *b)
{
	return b->memory >= b->high;
}
/* fn(arg) is posted when a full body has fallen to the low mark, or the consumer cancelled. */
void body_on_space(struct body *, void (*fn)(void *), void *arg);

/* --- consumer --- */
/* fn(arg) is posted when bytes, the end or a failure have come; at once if they are there. */
void body_on_data(struct body *, void (*fn)(void *), void *arg);
/* Points iov at queued memory from the front, up to the first file range or pipe; returns how many
   were set, *n their bytes. */
int body_iov(const struct body *, struct iovec *iov, int max, size_t *n);
/* When the front is a file range: true, and where it is. */
bool body_file(const struct body *, int *fd, int64_t *off, int64_t *len);
/* The pipe at the front, or NULL when there is something else. Send from it with pipe_send(), then
   consume what was sent. */
struct pipe *body_pipe(const struct body *);
/* Reads the pipe at the front into memory. False: the body has failed. */
bool body_melt(struct body *);
/* How much of at most max bytes may be moved from the front without melting a pipe. */
int64_t body_part(const struct body *, int64_t max);
/* Drops n bytes from the front (written or sent). */
void body_consume(struct body *, int64_t n);
/* Copies at most max bytes out; reads file ranges with pread. 0: nothing there. -1: failed. */
ssize_t body_take(struct body *, void *dst, size_t max);
/* Moves chunks, up to max bytes, to the end of dst without copying; returns the bytes moved. */
int64_t body_move(struct body *dst, struct body *src, int64_t max);
/* Puts all that is in src into dst as well: memory and spool files are shared, not copied. */
void body_clone(struct body *dst, const struct body *src);
/* The consumer wants no more: queued chunks are dropped, and on_space is posted for the
   producer. */
void body_cancel(struct body *);

/* --- where it waits: spool.c --- */
/* The first run of memory, behind files that stand before it; *n its bytes. */
int body_run(const struct body *, struct iovec *iov, int max, size_t *n);
/* The first n bytes of that run have been written to a file at offset off: they are a range of it
   from now on, and their memory is given back. */
void body_run_stored(struct body *, struct spool_file *, int64_t off, size_t n);
/* Moves a queue of few bytes in memory into one block of just their size. */
void body_compact(struct body *);

/* No more bytes will come and none are queued, all went well. */
static inline bool
body_is_done(const struct body *b)
{
	return b->state == BODY_ENDED && list_is_empty(&b->chunks);
}
static inline bool
body_is_empty(const struct body *b)
{
	return list_is_empty(&b->chunks);
}

#endif

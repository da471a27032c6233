/*
 * The pool of pipes: see pipe.h. The kernel counts the pages of all pipes of a user, and beyond a
 * soft limit (pipe-user-pages-soft) a new pipe has room for one or two pages only, beyond the hard
 * one there is none. A pipe that is smaller than it should be is of no use here, and after a
 * failure nobody asks for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "worker/pipe.h"

enum {
	PIPE_AGAIN_MS = 1000, /* after a failure */
	PIPE_SCRATCH = 4096,
};

static struct pool pipe_free;
static unsigned pipe_n, pipe_max, pipe_least;
static uint64_t pipe_not_before;

static void
pipe_close(struct pipe *p)
{
	close(p->rd);
	close(p->wr);
	free(p);
	pipe_n--;
}

static struct pipe *
pipe_open(void)
{
	struct pipe *p;
	int fds[2], room;

	if (pipe_n >= pipe_max || clock_ms() < pipe_not_before)
		return NULL;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		pipe_not_before = clock_ms() + PIPE_AGAIN_MS;
		return NULL;
	}
	room = fcntl(fds[0], F_GETPIPE_SZ);
	if (room < PIPE_ROOM)
		room = fcntl(fds[0], F_SETPIPE_SZ, PIPE_ROOM);
	if (room < PIPE_ROOM) {
		close(fds[0]);
		close(fds[1]);
		pipe_not_before = clock_ms() + PIPE_AGAIN_MS;
		return NULL;
	}
	p = must_malloc(sizeof(*p));
	*p = (struct pipe){ .rd = fds[0], .wr = fds[1] };
	pipe_n++;
	return p;
}

struct pipe *
pipe_get(void)
{
	struct link *l = pool_pop(&pipe_free);

	if (!l)
		return pipe_open();
	if (pipe_free.n < pipe_least)
		pipe_least = pipe_free.n;
	return container_of(l, struct pipe, link);
}

void
pipe_put(struct pipe *p)
{
	if (p->used > 0 || pipe_n > pipe_max)
		pipe_close(p);
	else
		pool_push(&pipe_free, &p->link);
}

/* The system does not let us, or not from such a descriptor: what is there is to be read. */
static bool
pipe_is_refused(int err)
{
	return err == EPERM || err == ENOSYS || err == EINVAL || err == EOPNOTSUPP;
}

ssize_t
pipe_fill(struct pipe *p, int fd, size_t max)
{
	ssize_t n;

	do
		n = splice(fd, NULL, p->wr, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		p->used += (size_t)n;
	if (n < 0 && pipe_is_refused(errno)) {
		pipe_max = 0; /* nobody need ask again */
		errno = EAGAIN;
	}
	return n;
}

ssize_t
pipe_send(struct pipe *p, int fd, size_t max)
{
	ssize_t n;

	if (max > p->used)
		max = p->used;
	do
		n = splice(p->rd, NULL, fd, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		p->used -= (size_t)n;
	return n;
}

bool
pipe_take(struct pipe *p, void *dst, size_t n)
{
	char scratch[PIPE_SCRATCH];

	must(n <= p->used);
	while (n > 0) {
		size_t part = dst || n < sizeof(scratch) ? n : sizeof(scratch);
		ssize_t got = read(p->rd, dst ? dst : scratch, part);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p->used -= (size_t)got;
		n -= (size_t)got;
		if (dst)
			dst = (char *)dst + got;
	}
	return true;
}

void
pipe_limit(unsigned max)
{
	pipe_max = max;
}

unsigned
pipe_count(void)
{
	return pipe_n;
}

void
pipe_trim(void)
{
	struct link *l;

	for (; pipe_least > 0 && (l = pool_pop(&pipe_free)) != NULL; pipe_least--)
		pipe_close(container_of(l, struct pipe, link));
	pipe_least = pipe_free.n;
}

/*
 * The plain transport: the socket itself. System calls go through syscall(2): libc's own wrappers
 * are cancellation points, which costs a tenth of a request's instructions as soon as the process
 * has threads (offload.c), and nobody cancels them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/must.h"
#include "worker/conn.h"
#include "worker/pipe.h"

enum {
	PLAIN_NEAR_US = 1000,         /* round trip of a near client */
	PLAIN_NEAR_QUEUE = 400 << 10, /* bytes that may wait for it in the kernel, doubled by it */
};

static ssize_t
plain_read(struct conn *c, void *dst, size_t max)
{
	ssize_t n;

	do
		n = syscall(SYS_read, c->fd, dst, max);
	while (unlikely(n < 0) && errno == EINTR);
	return n;
}

static ssize_t
plain_writev(struct conn *c, const struct iovec *iov, int niov, bool more)
{
	ssize_t n;

	do {
		if (more) {
			struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov,
				.msg_iovlen = (size_t)niov };

			n = syscall(SYS_sendmsg, c->fd, &m, MSG_MORE | MSG_NOSIGNAL);
		} else {
			n = syscall(SYS_writev, c->fd, iov, niov);
		}
	} while (unlikely(n < 0) && errno == EINTR);
	return n;
}

static ssize_t
plain_sendfile(struct conn *c, int fd, int64_t *off, size_t max)
{
	off_t at = *off;
	ssize_t n;

	do
		n = sendfile(c->fd, fd, &at, max);
	while (unlikely(n < 0) && errno == EINTR);
	*off = at;
	return n;
}

static ssize_t
plain_fill(struct conn *c, struct pipe *p, size_t max)
{
	return pipe_fill(p, c->fd, max);
}

static ssize_t
plain_drain(struct conn *c, struct pipe *p)
{
	return pipe_send(p, c->fd, p->used);
}

static void
plain_await(struct conn *c, unsigned bytes)
{
	int n = (int)bytes;

	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

/* What waits in a deep queue for a near client leaves the processor's cache before it is copied: a
   short one costs a third less CPU time. For a near client it is no slower (the kernel doubles the
   value: 6 Gbit/s at a round trip of 1 ms); for all others the kernel's own tuning stays. */
static void
plain_bulk(struct conn *c)
{
	struct tcp_info info = { .tcpi_rtt = PLAIN_NEAR_US };
	socklen_t len = sizeof(info);
	int size = PLAIN_NEAR_QUEUE;

	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    info.tcpi_rtt >= PLAIN_NEAR_US)
		return;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void
plain_shutdown(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
}

const struct transport transport_plain = {
	.name = "plain",
	.read = plain_read,
	.writev = plain_writev,
	.sendfile = plain_sendfile,
	.fill = plain_fill,
	.drain = plain_drain,
	.await = plain_await,
	.bulk = plain_bulk,
	.shutdown = plain_shutdown,
};

/*
 * The plain transport: the socket itself. System calls go through syscall(2): libc's own wrappers
 * are cancellation points, which costs a tenth of a request's instructions as soon as the process
 * has threads (offload.c), and nobody cancels them.
 */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/must.h"
#include "worker/conn.h"

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
	.shutdown = plain_shutdown,
};

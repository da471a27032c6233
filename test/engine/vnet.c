/* Sockets in memory: see vnet.h. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/must.h"
#include "test/engine/vnet_own.h"

struct vnet vnet;
int (*vnet_connecting)(struct vsock *);
int vnet_accept_error;

/* --- the worker's functions, by another name --- */

int __real_socket(int, int, int);
int __real_connect(int, const struct sockaddr *, socklen_t);
int __real_accept4(int, struct sockaddr *, socklen_t *, int);
ssize_t __real_recv(int, void *, size_t, int);
ssize_t __real_send(int, const void *, size_t, int);
ssize_t __real_sendmsg(int, const struct msghdr *, int);
ssize_t __real_sendfile(int, int, off_t *, size_t);
int __real_shutdown(int, int);
int __real_close(int);
int __real_getsockopt(int, int, int, void *, socklen_t *);
int __real_setsockopt(int, int, int, const void *, socklen_t);
int __real_getsockname(int, struct sockaddr *, socklen_t *);
int __real_ioctl(int, unsigned long, void *);
long __real_syscall(long, long, long, long, long, long);

/* --- life --- */

static void
vsock_free(struct vsock *s)
{
	text_free(&s->in);
	text_free(&s->out);
	free(s);
}

void
vnet_start(uint64_t seed)
{
	vnet.is_on = true;
	vnet.n = vnet.accepted = 0;
	vloop_start(seed);
	vnet_connecting = NULL;
	vnet_accept_error = 0;
}

unsigned
vnet_stop(void)
{
	unsigned left = 0;

	for (unsigned i = 0; i < vnet.n; i++) {
		left += !vnet.v[i]->is_closed && vnet.v[i]->kind != VSOCK_LISTENER;
		vsock_free(vnet.v[i]);
	}
	free(vnet.v);
	vnet.v = NULL;
	vnet.n = vnet.room = 0;
	vnet.is_on = false;
	return left;
}

uint64_t
vnet_moves(void)
{
	return vnet.moves;
}

/* --- sockets, the test's side --- */

static struct vsock *
vsock_new(enum vsock_kind kind, int domain)
{
	struct vsock *s = must_calloc(1, sizeof(*s));

	if (vnet.n == vnet.room) {
		vnet.room = vnet.room * 2 + 64;
		vnet.v = must_realloc(vnet.v, vnet.room * sizeof(struct vsock *));
	}
	s->kind = kind;
	s->domain = domain;
	s->fd = VNET_FD + (int)vnet.n;
	s->window = VNET_OPEN_WINDOW;
	vnet.v[vnet.n++] = s;
	return s;
}

struct vsock *
vnet_listener(void)
{
	return vsock_new(VSOCK_LISTENER, AF_INET);
}

struct vsock *
vnet_client(void)
{
	struct vsock *s = vsock_new(VSOCK_CLIENT, AF_INET);

	s->is_connected = s->is_queued = true;
	s->is_closed = true; /* no descriptor of the worker's, yet */
	return s;
}

struct vsock *
vnet_at(unsigned index)
{
	return vnet.v[index];
}

unsigned
vnet_count(void)
{
	return vnet.n;
}

unsigned
vnet_open_count(enum vsock_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vnet.n; i++)
		n += vnet.v[i]->kind == kind && !vnet.v[i]->is_closed;
	return n;
}

void
vsock_up(struct vsock *s)
{
	s->is_connected = true;
}

void
vsock_fail(struct vsock *s, int err)
{
	s->err = err;
	s->is_ended = s->is_gone = true;
}

void
vsock_say(struct vsock *s, const void *p, size_t n)
{
	vnet_check(!s->is_ended, "the test says more after its end");
	text_add(&s->in, p, n);
}

void
vsock_end(struct vsock *s)
{
	s->is_ended = true;
}

void
vsock_go(struct vsock *s)
{
	s->is_ended = s->is_gone = true;
}

/* --- sockets, the worker's side --- */

struct vsock *
vsock_of(int fd)
{
	unsigned i = (unsigned)(fd - VNET_FD);

	if (i >= vnet.n || vnet.v[i]->is_closed)
		vnet_wrong("a call on descriptor %u of the test, which is not open", i);
	return vnet.v[i];
}

bool
vsock_is_readable(const struct vsock *s)
{
	if (s->kind == VSOCK_LISTENER) {
		for (unsigned i = vnet.accepted; i < vnet.n; i++)
			if (vnet.v[i]->kind == VSOCK_CLIENT)
				return true;
		return false;
	}
	return s->in_at < s->in.n || s->is_ended || s->err;
}

bool
vsock_is_writable(const struct vsock *s)
{
	return s->err || s->is_gone || (s->is_connected && s->window > 0);
}

int
__wrap_socket(int domain, int type, int protocol)
{
	if (!vnet.is_on || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX))
		return __real_socket(domain, type, protocol);
	vnet.moves++;
	return vsock_new(VSOCK_BACKEND, domain)->fd;
}

int
__wrap_connect(int fd, const struct sockaddr *a, socklen_t n)
{
	struct vsock *s;
	int err;

	if (!vnet_is_ours(fd))
		return __real_connect(fd, a, n);
	s = vsock_of(fd);
	if (a->sa_family == AF_INET)
		s->host =
		    ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) & 255;
	err = vnet_connecting ? vnet_connecting(s) : 0;
	vnet_trace("worker: %d connects to host %u: %s", fd - VNET_FD, s->host,
	    err ? strerror(err) : "begun");
	if (s->is_connected && !err)
		return 0;
	errno = err ? err : EINPROGRESS;
	return -1;
}

int
__wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(40000),
		.sin_addr.s_addr = htonl(0xc0000207) };

	if (!vnet_is_ours(fd))
		return __real_accept4(fd, a, n, flags);
	for (; vnet.accepted < vnet.n && !vnet_accept_error; vnet.accepted++) {
		struct vsock *s = vnet.v[vnet.accepted];

		if (s->kind != VSOCK_CLIENT)
			continue;
		vnet.accepted++;
		vnet.moves++;
		s->is_closed = s->is_queued = false;
		memcpy(a, &in, sizeof(in));
		*n = sizeof(in);
		return s->fd;
	}
	errno = vnet_accept_error ? vnet_accept_error : EAGAIN;
	return -1;
}

static ssize_t
vsock_read(struct vsock *s, void *dst, size_t max, bool peeks)
{
	size_t n = s->in.n - s->in_at;

	if (n == 0) {
		errno = s->err ? s->err : EAGAIN;
		if (s->err && !peeks)
			s->err = 0;
		else if (!s->err && s->is_ended)
			n = 1;
		if (n == 1 || errno != EAGAIN)
			vnet_trace("worker: %d reads %s", s->fd - VNET_FD,
			    n ? "the end" : strerror(errno));
		vnet.moves += n + (errno != EAGAIN);
		return (ssize_t)n - 1;
	}
	vnet.moves++;
	vnet_trace("worker: %d reads %zu of %zu", s->fd - VNET_FD, n < max ? n : max, n);
	if (n > max)
		n = max;
	memcpy(dst, s->in.p + s->in_at, n);
	if (!peeks)
		s->in_at += n;
	return (ssize_t)n;
}

/* How many octets it takes now; -1 with errno. */
static ssize_t
vsock_room(struct vsock *s, size_t n)
{
	if (s->err) {
		errno = s->err;
		s->err = 0;
		return -1;
	}
	vnet_check(s->is_connected, "octets for a connection that does not stand yet");
	if (s->is_shut || s->is_gone) {
		errno = EPIPE;
		return -1;
	}
	if (s->window == 0 && n > 0) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)(n < s->window ? n : s->window);
}

static void
vsock_take(struct vsock *s, const char *p, size_t n)
{
	text_add(&s->out, p, n);
	s->window -= n;
	vnet.moves++;
}

static ssize_t
vsock_writev(struct vsock *s, const struct iovec *iov, size_t n)
{
	size_t all = 0;
	ssize_t room, left;

	for (size_t i = 0; i < n; i++)
		all += iov[i].iov_len;
	room = left = vsock_room(s, all);
	for (size_t i = 0; i < n && left > 0; i++) {
		size_t part = iov[i].iov_len < (size_t)left ? iov[i].iov_len : (size_t)left;

		text_add(&s->out, iov[i].iov_base, part);
		left -= (ssize_t)part;
	}
	if (room > 0)
		s->window -= (size_t)room;
	vnet_trace("worker: %d writes %zd of %zu", s->fd - VNET_FD, room, all);
	vnet.moves += room > 0;
	return room;
}

ssize_t
__wrap_recv(int fd, void *dst, size_t max, int flags)
{
	if (!vnet_is_ours(fd))
		return __real_recv(fd, dst, max, flags);
	return vsock_read(vsock_of(fd), dst, max, flags & MSG_PEEK);
}

ssize_t __wrap___recv_chk(int, void *, size_t, size_t, int);
ssize_t
__wrap___recv_chk(int fd, void *dst, size_t max, size_t room, int flags)
{
	vnet_check(max <= room, "recv() beyond its room");
	return __wrap_recv(fd, dst, max, flags);
}

ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
	struct iovec iov = { (void *)(uintptr_t)p, n };

	if (!vnet_is_ours(fd))
		return __real_send(fd, p, n, flags);
	return vsock_writev(vsock_of(fd), &iov, 1);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (!vnet_is_ours(fd))
		return __real_sendmsg(fd, m, flags);
	return vsock_writev(vsock_of(fd), m->msg_iov, m->msg_iovlen);
}

ssize_t
__wrap_sendfile(int fd, int file, off_t *off, size_t n)
{
	char part[65536];
	struct vsock *s;
	ssize_t room;

	if (!vnet_is_ours(fd))
		return __real_sendfile(fd, file, off, n);
	s = vsock_of(fd);
	room = vsock_room(s, n < sizeof(part) ? n : sizeof(part));
	if (room < 0)
		return -1;
	room = pread(file, part, (size_t)room, *off);
	if (room <= 0)
		return room;
	vsock_take(s, part, (size_t)room);
	*off += room;
	return room;
}

/* Between a socket of ours and a real pipe. */
ssize_t __real_splice(int, off_t *, int, off_t *, size_t, unsigned);
ssize_t __wrap_splice(int, off_t *, int, off_t *, size_t, unsigned);
ssize_t
__wrap_splice(int in, off_t *in_off, int out, off_t *out_off, size_t n, unsigned flags)
{
	char part[65536];
	ssize_t got, room;

	if (!vnet_is_ours(in) && !vnet_is_ours(out))
		return __real_splice(in, in_off, out, out_off, n, flags);
	n = n < sizeof(part) ? n : sizeof(part);
	if (vnet_is_ours(in)) {
		got = vsock_read(vsock_of(in), part, n, false);
		vnet_check(got <= 0 || write(out, part, (size_t)got) == got, "a pipe is too small");
		return got;
	}
	room = vsock_room(vsock_of(out), n);
	if (room < 0)
		return -1;
	got = read(in, part, (size_t)room);
	if (got > 0)
		vsock_take(vsock_of(out), part, (size_t)got);
	return got;
}

int
__wrap_shutdown(int fd, int how)
{
	if (!vnet_is_ours(fd))
		return __real_shutdown(fd, how);
	vsock_of(fd)->is_shut = true;
	vnet.moves++;
	return 0;
}

int
__wrap_close(int fd)
{
	struct vsock *s;

	if (!vnet_is_ours(fd))
		return __real_close(fd);
	s = vsock_of(fd);
	for (unsigned i = 0; i < VNET_EVENTS; i++)
		vnet_check(!s->events[i], "closed while the loop watches it");
	vnet_trace("worker: %d closes", fd - VNET_FD);
	s->is_closed = s->is_shut = true;
	vnet.moves++;
	return 0;
}

int
__wrap_getsockopt(int fd, int level, int option, void *p, socklen_t *n)
{
	struct vsock *s;

	if (!vnet_is_ours(fd))
		return __real_getsockopt(fd, level, option, p, n);
	s = vsock_of(fd);
	if (level != SOL_SOCKET || option != SO_ERROR) {
		errno = ENOPROTOOPT;
		return -1;
	}
	memcpy(p, &s->err, sizeof(int));
	s->err = 0;
	return 0;
}

int
__wrap_setsockopt(int fd, int level, int option, const void *p, socklen_t n)
{
	if (!vnet_is_ours(fd))
		return __real_setsockopt(fd, level, option, p, n);
	(void)vsock_of(fd);
	return 0;
}

int
__wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = htonl(0xc6336401)
	};

	if (!vnet_is_ours(fd))
		return __real_getsockname(fd, a, n);
	memcpy(a, &in, sizeof(in));
	*n = sizeof(in);
	return 0;
}

/* SIOCOUTQ: what is written has reached the peer. */
int __wrap_ioctl(int, unsigned long, void *);
int
__wrap_ioctl(int fd, unsigned long what, void *p)
{
	if (!vnet_is_ours(fd))
		return __real_ioctl(fd, what, p);
	*(int *)p = 0;
	return 0;
}

/* The plain transport's calls of the kernel. */
long __wrap_syscall(long, ...);
long
__wrap_syscall(long number, ...)
{
	long a[5]; /* as many as are passed in registers: nobody here needs the sixth */
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if ((number == SYS_read || number == SYS_writev || number == SYS_sendmsg) &&
	    vnet_is_ours((int)a[0])) {
		struct vsock *s = vsock_of((int)a[0]);
		const struct msghdr *m = (const void *)a[1];

		if (number == SYS_read)
			return vsock_read(s, (void *)a[1], (size_t)a[2], false);
		if (number == SYS_writev)
			return vsock_writev(s, (const void *)a[1], (size_t)a[2] & 0xffffffff);
		return vsock_writev(s, m->msg_iov, m->msg_iovlen);
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

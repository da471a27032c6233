/*
 * See vnet.h. A descriptor of ours is VNET_FD + its index and never used twice, so that whoever
 * uses one after closing it is found out. Events with a time and no descriptor are timers of this
 * clock; libevent's own loop runs as well, without waiting, for what is not ours.
 */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/must.h"
#include "test/engine/vnet.h"

enum { VNET_FD = 1 << 20, VNET_TIMERS = 64, VNET_READ_US = 1 };
#define VNET_BEGIN (5000ULL * 1000000000)
static const uint64_t vnet_epoch = 1750000000; /* wall seconds at the beginning */

struct vtimer {
	struct event *ev;
	uint64_t due, every; /* ns */
};

static struct {
	bool is_on, is_traced;
	uint64_t ns, random;
	struct vsock **v;
	unsigned n, room;
	struct vtimer timers[VNET_TIMERS];
	unsigned ntimers;
	uint64_t moves;
	unsigned late_ms;
	unsigned accepted; /* index of the first client that may still be waiting */
} vnet;

int (*vnet_connecting)(struct vsock *);
int vnet_accept_error;
char vnet_about[64];

void
vnet_wrong(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vnet_trace("wrong: %s", text);
	ck_abort_msg("%s: %s", vnet_about, text);
}

/* --- the worker's functions, by another name --- */

int __real_clock_gettime(clockid_t, struct timespec *);
time_t __real_time(time_t *);
ssize_t __real_getrandom(void *, size_t, unsigned);
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
int __real_event_add(struct event *, const struct timeval *);
int __real_event_del(struct event *);
int __real_event_base_loop(struct event_base *, int);

/* --- life, time, chance --- */

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
	vnet.is_traced = getenv("ENGINE_TRACE") != NULL;
	vnet.ns = VNET_BEGIN;
	vnet.random = seed;
	vnet.n = vnet.ntimers = vnet.accepted = vnet.late_ms = 0;
	vnet_connecting = NULL;
	vnet_accept_error = 0;
}

void
vnet_trace(const char *fmt, ...)
{
	va_list ap;

	if (!vnet.is_traced)
		return;
	fprintf(stderr, "%10.3f  ", (double)(vnet.ns - VNET_BEGIN) / 1e6);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
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

unsigned
vnet_random(unsigned n)
{
	uint64_t x = vnet.random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((x ^ x >> 31) % n);
}

uint64_t
vnet_now_ms(void)
{
	return vnet.ns / 1000000;
}

uint64_t
vnet_moves(void)
{
	return vnet.moves;
}

void
vnet_pass(uint64_t until_ms)
{
	uint64_t until = until_ms * 1000000;

	for (unsigned i = 0; i < vnet.ntimers; i++)
		if (vnet.timers[i].due < until)
			until = vnet.timers[i].due;
	if (until < until_ms * 1000000 && vnet.late_ms > 0)
		until += (uint64_t)vnet_random(vnet.late_ms * 1000) * 1000;
	if (until > vnet.ns)
		vnet.ns = until;
}

void
vnet_be_late(unsigned ms)
{
	vnet.late_ms = ms;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns = vnet.ns;

	if (!vnet.is_on || (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME))
		return __real_clock_gettime(id, ts);
	if (id == CLOCK_REALTIME)
		ns += vnet_epoch * 1000000000;
	else
		vnet.ns += VNET_READ_US * 1000; /* no two readings are the same */
	*ts = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	return 0;
}

time_t
__wrap_time(time_t *t)
{
	time_t now = (time_t)(vnet_epoch + vnet.ns / 1000000000);

	if (!vnet.is_on)
		return __real_time(t);
	if (t)
		*t = now;
	return now;
}

ssize_t
__wrap_getrandom(void *p, size_t n, unsigned flags)
{
	if (!vnet.is_on)
		return __real_getrandom(p, n, flags);
	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)vnet_random(256);
	return (ssize_t)n;
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

static bool
vnet_is_ours(int fd)
{
	return fd >= VNET_FD;
}

/* One that is open: whoever uses another has used a descriptor after closing it. */
static struct vsock *
vsock_of(int fd)
{
	unsigned i = (unsigned)(fd - VNET_FD);

	if (i >= vnet.n || vnet.v[i]->is_closed)
		vnet_wrong("a call on descriptor %u of the test, which is not open", i);
	return vnet.v[i];
}

static bool
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

static bool
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
	for (unsigned i = 0; i < 4; i++)
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

/* --- events --- */

static void
vtimer_add(struct event *ev, const struct timeval *tv)
{
	uint64_t ns = (uint64_t)tv->tv_sec * 1000000000 + (uint64_t)tv->tv_usec * 1000;
	unsigned i = 0;

	while (i < vnet.ntimers && vnet.timers[i].ev != ev)
		i++;
	vnet_check(i < VNET_TIMERS, "too many timers");
	vnet.timers[i] =
	    (struct vtimer){ ev, vnet.ns + ns, event_get_events(ev) & EV_PERSIST ? ns : 0 };
	if (i == vnet.ntimers)
		vnet.ntimers++;
}

static bool
vtimer_del(const struct event *ev)
{
	for (unsigned i = 0; i < vnet.ntimers; i++) {
		if (vnet.timers[i].ev != ev)
			continue;
		vnet.timers[i] = vnet.timers[--vnet.ntimers];
		return true;
	}
	return false;
}

int __wrap_event_add(struct event *, const struct timeval *);
int
__wrap_event_add(struct event *ev, const struct timeval *tv)
{
	int fd = event_get_fd(ev);
	struct vsock *s;

	if (vnet.is_on && fd < 0 && tv) {
		vtimer_add(ev, tv);
		return 0;
	}
	if (!vnet_is_ours(fd))
		return __real_event_add(ev, tv);
	vnet_check(!tv, "a descriptor with a time");
	s = vsock_of(fd);
	for (unsigned i = 0; i < 4; i++)
		if (s->events[i] == ev)
			return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (s->events[i])
			continue;
		s->events[i] = ev;
		return 0;
	}
	vnet_wrong("too many events of one descriptor");
}

int __wrap_event_del(struct event *);
int
__wrap_event_del(struct event *ev)
{
	int fd = event_get_fd(ev);
	unsigned at = (unsigned)(fd - VNET_FD);

	(void)vtimer_del(ev);
	if (vnet_is_ours(fd) && at < vnet.n)
		for (unsigned i = 0; i < 4; i++)
			if (vnet.v[at]->events[i] == ev)
				vnet.v[at]->events[i] = NULL;
	return __real_event_del(ev);
}

static void
vnet_run_timers(void)
{
	for (unsigned i = 0; i < vnet.ntimers;) {
		struct vtimer t = vnet.timers[i];

		if (t.due > vnet.ns) {
			i++;
			continue;
		}
		if (t.every)
			vnet.timers[i].due = vnet.ns + t.every;
		else
			vtimer_del(t.ev);
		event_get_callback(t.ev)(-1, EV_TIMEOUT, event_get_callback_arg(t.ev));
		i = t.every ? i + 1 : 0;
	}
}

struct vready {
	struct vsock *s;
	struct event *ev;
};

static bool
vready_still_is(const struct vready *r, short *what)
{
	short wants;

	if (r->s->is_closed)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if (r->s->events[i] != r->ev)
			continue;
		wants = event_get_events(r->ev);
		*what = (short)((wants & EV_READ && vsock_is_readable(r->s) ? EV_READ : 0) |
				(wants & EV_WRITE && vsock_is_writable(r->s) ? EV_WRITE : 0));
		return *what != 0;
	}
	return false;
}

static void
vnet_run_sockets(void)
{
	struct vready v[256];
	unsigned n = 0;
	short what;

	for (unsigned i = 0; i < vnet.n; i++) {
		for (unsigned k = 0; k < 4 && n < 256; k++) {
			v[n] = (struct vready){ vnet.v[i], vnet.v[i]->events[k] };
			if (v[n].ev && vready_still_is(&v[n], &what))
				n++;
		}
	}
	while (n > 0) {
		unsigned at = vnet_random(n);
		struct vready r = v[at];

		v[at] = v[--n];
		if (!vready_still_is(&r, &what))
			continue;
		if (!(event_get_events(r.ev) & EV_PERSIST))
			__wrap_event_del(r.ev);
		event_get_callback(r.ev)(r.s->fd, what, event_get_callback_arg(r.ev));
	}
}

int __wrap_event_base_loop(struct event_base *, int);
int
__wrap_event_base_loop(struct event_base *base, int flags)
{
	if (!vnet.is_on)
		return __real_event_base_loop(base, flags);
	vnet_run_timers();
	vnet_run_sockets();
	return __real_event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/*
 * Time, chance and events: see vnet.h. Events with a time and no descriptor are timers of this
 * clock; libevent's own loop runs as well, without waiting, for what is not ours.
 */
#include <check.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "test/engine/vnet_own.h"

enum { VLOOP_TIMERS = 64, VLOOP_READ_US = 1, VLOOP_READY = 256 };
#define VLOOP_BEGIN (5000ULL * 1000000000)
static const uint64_t vloop_epoch = 1750000000; /* wall seconds at the beginning */

struct vtimer {
	struct event *ev;
	uint64_t due, every; /* ns */
};

static struct {
	bool is_traced;
	uint64_t ns, random;
	struct vtimer timers[VLOOP_TIMERS];
	unsigned ntimers;
	unsigned late_ms;
} vloop;

/* --- the worker's functions, by another name --- */

int __real_clock_gettime(clockid_t, struct timespec *);
time_t __real_time(time_t *);
ssize_t __real_getrandom(void *, size_t, unsigned);
int __real_event_add(struct event *, const struct timeval *);
int __real_event_del(struct event *);
int __real_event_base_loop(struct event_base *, int);

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

/* --- time and chance --- */

void
vloop_start(uint64_t seed)
{
	vloop.is_traced = getenv("ENGINE_TRACE") != NULL;
	vloop.ns = VLOOP_BEGIN;
	vloop.random = seed;
	vloop.ntimers = vloop.late_ms = 0;
}

void
vnet_trace(const char *fmt, ...)
{
	va_list ap;

	if (!vloop.is_traced)
		return;
	fprintf(stderr, "%10.3f  ", (double)(vloop.ns - VLOOP_BEGIN) / 1e6);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

unsigned
vnet_random(unsigned n)
{
	uint64_t x = vloop.random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((x ^ x >> 31) % n);
}

uint64_t
vnet_now_ms(void)
{
	return vloop.ns / 1000000;
}

void
vnet_pass(uint64_t until_ms)
{
	uint64_t until = until_ms * 1000000;

	for (unsigned i = 0; i < vloop.ntimers; i++)
		if (vloop.timers[i].due < until)
			until = vloop.timers[i].due;
	if (until < until_ms * 1000000 && vloop.late_ms > 0)
		until += (uint64_t)vnet_random(vloop.late_ms * 1000) * 1000;
	if (until > vloop.ns)
		vloop.ns = until;
}

void
vnet_be_late(unsigned ms)
{
	vloop.late_ms = ms;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns = vloop.ns;

	if (!vnet.is_on || (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME))
		return __real_clock_gettime(id, ts);
	if (id == CLOCK_REALTIME)
		ns += vloop_epoch * 1000000000;
	else
		vloop.ns += VLOOP_READ_US * 1000; /* no two readings are the same */
	*ts = (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
	return 0;
}

time_t
__wrap_time(time_t *t)
{
	time_t now = (time_t)(vloop_epoch + vloop.ns / 1000000000);

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

/* --- events --- */

static void
vtimer_add(struct event *ev, const struct timeval *tv)
{
	uint64_t ns = (uint64_t)tv->tv_sec * 1000000000 + (uint64_t)tv->tv_usec * 1000;
	unsigned i = 0;

	while (i < vloop.ntimers && vloop.timers[i].ev != ev)
		i++;
	vnet_check(i < VLOOP_TIMERS, "too many timers");
	vloop.timers[i] =
	    (struct vtimer){ ev, vloop.ns + ns, event_get_events(ev) & EV_PERSIST ? ns : 0 };
	if (i == vloop.ntimers)
		vloop.ntimers++;
}

static bool
vtimer_del(const struct event *ev)
{
	for (unsigned i = 0; i < vloop.ntimers; i++) {
		if (vloop.timers[i].ev != ev)
			continue;
		vloop.timers[i] = vloop.timers[--vloop.ntimers];
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
	for (unsigned i = 0; i < VNET_EVENTS; i++)
		if (s->events[i] == ev)
			return 0;
	for (unsigned i = 0; i < VNET_EVENTS; i++) {
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
		for (unsigned i = 0; i < VNET_EVENTS; i++)
			if (vnet.v[at]->events[i] == ev)
				vnet.v[at]->events[i] = NULL;
	return __real_event_del(ev);
}

static void
vloop_run_timers(void)
{
	for (unsigned i = 0; i < vloop.ntimers;) {
		struct vtimer t = vloop.timers[i];

		if (t.due > vloop.ns) {
			i++;
			continue;
		}
		if (t.every)
			vloop.timers[i].due = vloop.ns + t.every;
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
	for (unsigned i = 0; i < VNET_EVENTS; i++) {
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
vloop_run_sockets(void)
{
	struct vready v[VLOOP_READY];
	unsigned n = 0;
	short what;

	for (unsigned i = 0; i < vnet.n; i++) {
		for (unsigned k = 0; k < VNET_EVENTS && n < VLOOP_READY; k++) {
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
	vloop_run_timers();
	vloop_run_sockets();
	return __real_event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

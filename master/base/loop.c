#include <errno.h>
#include <stdlib.h>
#include <sys/poll.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/loop.h"

/* The turn that is being run: watches that are deleted meanwhile are taken out of it. */
static struct {
	struct link watches, alarms;
	struct watch **turn;
	struct pollfd *polls;
	size_t n, room;
} self;

void
loop_init(void)
{
	list_init(&self.watches);
	list_init(&self.alarms);
	self.n = 0;
}

void
watch_add(struct watch *w, int fd, short events, void (*fn)(void *, short), void *arg)
{
	if (!link_is_on(&w->link))
		list_add_tail(&self.watches, &w->link);
	w->fd = fd;
	w->events = events;
	w->fn = fn;
	w->arg = arg;
}

void
watch_del(struct watch *w)
{
	list_del(&w->link);
	for (size_t i = 0; i < self.n; i++)
		if (self.turn[i] == w)
			self.turn[i] = NULL;
}

void
alarm_set(struct alarm *a, uint64_t ms, void (*fn)(void *), void *arg)
{
	if (!link_is_on(&a->link))
		list_add_tail(&self.alarms, &a->link);
	a->due = clock_ms() + ms;
	a->fn = fn;
	a->arg = arg;
}

void
alarm_del(struct alarm *a)
{
	list_del(&a->link);
}

static struct alarm *
loop_next_alarm(void)
{
	struct alarm *next = NULL;

	LIST_EACH(l, &self.alarms)
	{
		struct alarm *a = container_of(l, struct alarm, link);

		if (!next || a->due < next->due)
			next = a;
	}
	return next;
}

/* Those due now; an alarm that is set meanwhile has its turn later, so this ends. */
static void
loop_run_alarms(void)
{
	uint64_t now = clock_ms();
	struct alarm *a;

	while ((a = loop_next_alarm()) != NULL && a->due <= now) {
		alarm_del(a);
		a->fn(a->arg);
	}
}

static void
loop_collect(void)
{
	self.n = 0;
	LIST_EACH(l, &self.watches)
	{
		struct watch *w = container_of(l, struct watch, link);

		if (self.n == self.room) {
			self.room = self.room * 2 + 64;
			self.turn = must_realloc(self.turn, self.room * sizeof(*self.turn));
			self.polls = must_realloc(self.polls, self.room * sizeof(*self.polls));
		}
		self.turn[self.n] = w;
		self.polls[self.n++] = (struct pollfd){ .fd = w->fd, .events = w->events };
	}
}

static int
loop_timeout(void)
{
	struct alarm *a = loop_next_alarm();
	uint64_t now = clock_ms();

	if (!a)
		return -1;
	if (a->due <= now)
		return 0;
	return a->due - now > 60000 ? 60000 : (int)(a->due - now);
}

void
loop_turn(void)
{
	loop_collect();
	if (poll(self.polls, self.n, loop_timeout()) < 0) {
		if (errno != EINTR)
			log_error("poll");
		self.n = 0;
	}
	for (size_t i = 0; i < self.n; i++)
		if (self.turn[i] && self.polls[i].revents)
			self.turn[i]->fn(self.turn[i]->arg, self.polls[i].revents);
	self.n = 0;
	loop_run_alarms();
}

/* The clock, see tick.h: finer than the worker's timers. */
#include <event2/event.h>

#include "common/base/must.h"
#include "modules/progress/live.h"
#include "modules/progress/tick.h"
#include "modules/progress/track.h"

static struct {
	struct worker *w;
	struct event *timer; /* made when it is first wanted */
	bool is_set;
} tick;

static void
tick_come(evutil_socket_t fd, short what, void *arg)
{
	bool has_more;

	(void)fd;
	(void)what;
	(void)arg;
	tick.is_set = false;
	worker_woken(tick.w);
	has_more = track_tick(tick.w);
	if (live_tick(tick.w) || has_more)
		tick_want();
}

void
tick_want(void)
{
	static const struct timeval every = { 0, TICK_EVERY_MS * 1000 };

	if (tick.is_set)
		return;
	if (!tick.timer)
		tick.timer = evtimer_new(worker_base(tick.w), tick_come, NULL);
	must(tick.timer && evtimer_add(tick.timer, &every) == 0);
	tick.is_set = true;
}

void
tick_start(struct worker *w)
{
	tick.w = w;
}

void
tick_stop(void)
{
	if (tick.timer)
		event_free(tick.timer);
	tick.timer = NULL;
	tick.is_set = false;
}

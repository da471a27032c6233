/*
 * Timers by classes of equal length: within a class the order of setting is the order of expiry, so
 * setting one is an append and expiry looks at the front only. Precision is one tick.
 */
#include "common/must.h"
#include "worker/state.h"

struct timer_class *
timer_class(struct worker *w, int64_t ms)
{
	struct timer_class *k;

	for (unsigned i = 0; i < w->nclasses; i++)
		if (w->classes[i].ms == ms)
			return &w->classes[i];
	must(w->nclasses < TIMER_CLASSES);
	k = &w->classes[w->nclasses++];
	k->ms = ms;
	list_init(&k->timers);
	return k;
}

void
timer_set(struct worker *w, struct timer *t, struct timer_class *k)
{
	list_del(&t->link);
	t->class = k;
	t->due = w->now + (uint64_t)k->ms;
	list_add_tail(&k->timers, &t->link);
}

void
timer_del(struct timer *t)
{
	list_del(&t->link);
}

void
timer_run(struct worker *w)
{
	for (unsigned i = 0; i < w->nclasses; i++) {
		struct link *l;

		while ((l = list_first(&w->classes[i].timers)) != NULL) {
			struct timer *t = container_of(l, struct timer, link);

			if (t->due > w->now)
				break;
			list_del(l);
			t->fn(t->arg);
		}
	}
}

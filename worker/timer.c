/*
 * Timers by classes of equal length: within a class the order of setting is the order of expiry, so
 * setting one is an append and expiry looks at the front only. Precision is one tick.
 *
 * Any number of lengths may be in use: a class that has had no timer for a tick is given to another
 * length once there are TIMER_CLASSES, so there are never many more than there are timers.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "worker/state.h"

enum { TIMER_LOOKS = 16, TIMER_STEP = 64 };

static struct timer_class **
timer_bucket(struct worker *w, int64_t ms)
{
	return &w->class_of[(uint64_t)ms * 0x9e3779b97f4a7c15u >> 56];
}

static struct timer_class *
timer_class_new(struct worker *w)
{
	struct timer_class *k = must_calloc(1, sizeof(*k));

	if (w->nclasses % TIMER_STEP == 0)
		w->classes = must_realloc(
		    w->classes, (w->nclasses + TIMER_STEP) * sizeof(struct timer_class *));
	w->classes[w->nclasses++] = k;
	list_init(&k->timers);
	return k;
}

/* A class that nobody uses, taken out of its bucket; NULL when a few looks find none. */
static struct timer_class *
timer_class_spare(struct worker *w)
{
	for (int i = 0; w->nclasses >= TIMER_CLASSES && i < TIMER_LOOKS; i++) {
		struct timer_class *k = w->classes[w->class_hand++ % w->nclasses];
		struct timer_class **at = timer_bucket(w, k->ms);

		if (!k->is_idle || !list_is_empty(&k->timers))
			continue;
		while (*at != k)
			at = &(*at)->next;
		*at = k->next;
		return k;
	}
	return NULL;
}

struct timer_class *
timer_class(struct worker *w, int64_t ms)
{
	struct timer_class *k, **bucket;

	if (ms < 1)
		ms = 1;
	bucket = timer_bucket(w, ms);
	for (k = *bucket; k && k->ms != ms; k = k->next)
		;
	if (!k) {
		k = timer_class_spare(w);
		if (!k)
			k = timer_class_new(w);
		k->ms = ms;
		k->next = *bucket;
		*bucket = k;
	}
	k->is_idle = false;
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
		struct timer_class *k = w->classes[i];
		struct link *l;

		k->is_idle = list_is_empty(&k->timers);
		while ((l = list_first(&k->timers)) != NULL) {
			struct timer *t = container_of(l, struct timer, link);

			if (t->due > w->now)
				break;
			list_del(l);
			t->fn(t->arg);
		}
	}
}

void
timer_fini(struct worker *w)
{
	for (unsigned i = 0; i < w->nclasses; i++)
		free(w->classes[i]);
	free(w->classes);
	w->classes = NULL;
	w->nclasses = 0;
}

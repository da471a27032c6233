/*
 * Live reports, see live.h. A stream ends after the event that says done or error, when this worker
 * drains (the browser connects anew, to another), and when nothing is known of the ID for long. A
 * client that does not read is not written to: it gets the latest when it does.
 */
#include "common/base/text.h"
#include "common/segment/progress.h"
#include "modules/progress/live.h"
#include "modules/progress/report.h"
#include "modules/progress/tick.h"

enum { LIVE_EVERY_MS = 100, LIVE_ALIVE_MS = 15000, LIVE_UNKNOWN_MS = 60000, LIVE_EVENT = 512 };

struct live {
	struct link link;
	struct request *r;
	struct str id;
	char last[LIVE_EVENT]; /* what was sent last */
	size_t last_n;
	uint64_t looked, sent, known; /* ms */
};

static struct link live_all = { &live_all, &live_all };

static void
live_close(void *arg)
{
	list_del(&((struct live *)arg)->link);
}

static void
live_end(struct live *l)
{
	list_del(&l->link);
	body_end(&l->r->out_body);
}

static void
live_event(struct live *l, const struct progress_view *view, uint64_t now)
{
	struct text out = { 0 };

	text_printf(&out, "data: ");
	report_json(&out, view);
	text_printf(&out, "\n\n");
	if (out.n > LIVE_EVENT || out.n != l->last_n || memcmp(out.p, l->last, out.n) != 0) {
		body_put(&l->r->out_body, out.p, out.n);
		l->sent = now;
		l->last_n = out.n <= LIVE_EVENT ? out.n : 0;
		memcpy(l->last, out.p, l->last_n);
	} else if (now - l->sent >= LIVE_ALIVE_MS) {
		body_put_ref(&l->r->out_body, ":\n\n", 3);
		l->sent = now;
	}
	text_free(&out);
}

static void
live_look(struct live *l, uint64_t now)
{
	struct request *r = l->r;
	struct progress_view view;
	bool is_known;

	if (r->out_body.state != BODY_OPEN) {
		list_del(&l->link);
		return;
	}
	if (now - l->looked < LIVE_EVERY_MS || !body_is_empty(&r->out_body))
		return;
	l->looked = now;
	is_known = progress_find(worker_shm(r->w), str_of(r->site->name), l->id, &view);
	live_event(l, is_known ? &view : NULL, now);
	if (is_known)
		l->known = now;
	if (is_known ? view.figures.state >= PROGRESS_DONE : now - l->known > LIVE_UNKNOWN_MS)
		live_end(l);
	else if (worker_is_draining(r->w))
		live_end(l);
}

bool
live_tick(struct worker *w)
{
	struct link *next;

	for (struct link *l = live_all.next; l != &live_all; l = next) {
		next = l->next;
		live_look(container_of(l, struct live, link), worker_now(w));
	}
	return !list_is_empty(&live_all);
}

void
live_begin(struct request *r, struct str id)
{
	struct live *l;

	if (r->method == M_HEAD) {
		res_begin(r, 200, -1);
		body_end(&r->out_body);
		return;
	}
	l = arena_calloc(&r->arena, sizeof(*l));
	l->r = r;
	l->id = arena_str(&r->arena, id);
	l->known = worker_now(r->w);
	res_begin(r, 200, -1);
	if (r->out_body.state != BODY_OPEN)
		return;
	body_put_ref(&r->out_body, "retry: 1000\n\n", 13);
	list_add_tail(&live_all, &l->link);
	arena_defer(&r->arena, live_close, l);
	tick_want();
}

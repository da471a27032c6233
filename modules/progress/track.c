/*
 * Tracking, see track.h. An upload's end is the end of its request: a deferred call of the arena
 * writes the last figures, which are exact. An upload that is done, or has failed, by an answer
 * that has begun stays so, however its connection ends.
 */
#include "common/segment/progress.h"
#include "modules/progress/id.h"
#include "modules/progress/tick.h"
#include "modules/progress/track.h"

enum { TRACK_RATE_MS = 1000, TRACK_FIRST_MS = 20, TRACK_LEFT = 499, TRACK_ERRORS = 400 };

struct upload {
	struct link link;
	struct request *r;
	struct progress_claim claim;
	struct progress_figures told;
	int64_t size;
	uint64_t began, mark_ms; /* the span that the rate is measured over began */
	int64_t mark_at;         /* with so many octets */
};

static struct link track_uploads = { &track_uploads, &track_uploads };

static bool
track_is_whole(const struct upload *u)
{
	const struct request *r = u->r;

	return u->size >= 0 ? r->received >= u->size : r->body.state == BODY_ENDED;
}

static enum progress_state
track_state(const struct upload *u)
{
	const struct request *r = u->r;

	if (r->status >= TRACK_ERRORS)
		return PROGRESS_ERROR;
	if (track_is_whole(u))
		return r->status ? PROGRESS_DONE : PROGRESS_FORWARDING;
	return r->received > 0 ? PROGRESS_UPLOADING : PROGRESS_STARTING;
}

/* Octets a second, of the last span that is over; in the first one of what there is. */
static int64_t
track_rate(struct upload *u, int64_t received)
{
	uint64_t now = worker_now(u->r->w);
	int64_t ms = (int64_t)(now - u->mark_ms), rate = u->told.rate;

	if (ms < TRACK_RATE_MS && u->mark_ms != u->began)
		return rate;
	if (ms >= TRACK_FIRST_MS)
		rate = (received - u->mark_at) * 1000 / ms;
	if (ms >= TRACK_RATE_MS) {
		u->mark_ms = now;
		u->mark_at = received;
	}
	return rate;
}

/* What was forwarded begins anew with another attempt; what was told stays. */
static int64_t
track_forwarded(const struct upload *u)
{
	const struct request_backend *b = u->r->backend;
	int64_t n = b ? b->forwarded : 0;

	return n > u->told.forwarded ? n : u->told.forwarded;
}

static struct progress_figures
track_figures(struct upload *u)
{
	const struct request *r = u->r;
	int64_t received = r->received;

	if (u->size >= 0 && received > u->size)
		received = u->size;
	ctr_add(worker_row(r->w), CTR_UPLOAD_BYTES, received - u->told.received);
	return (struct progress_figures){
		.received = received,
		.forwarded = track_forwarded(u),
		.rate = track_rate(u, received),
		.state = track_state(u),
		.status = r->status,
	};
}

static bool
track_is_same(const struct progress_figures *a, const struct progress_figures *b)
{
	return a->received == b->received && a->forwarded == b->forwarded && a->rate == b->rate &&
	       a->state == b->state && a->status == b->status;
}

bool
track_tick(struct worker *w)
{
	struct shm *shm = worker_shm(w);

	for (struct link *l = track_uploads.next; l != &track_uploads; l = l->next) {
		struct upload *u = container_of(l, struct upload, link);
		struct progress_figures f = track_figures(u);

		if (track_is_same(&f, &u->told))
			continue;
		progress_put(shm, &u->claim, &f);
		u->told = f;
	}
	return !list_is_empty(&track_uploads);
}

/* The answer to an upload that did not fail was given, whole or not. */
static void
track_end(void *arg)
{
	struct upload *u = arg;
	struct request *r = u->r;
	struct progress_figures f = track_figures(u);

	if (f.state < PROGRESS_DONE && !r->is_aborted) {
		f.state = PROGRESS_DONE;
	} else if (f.state < PROGRESS_DONE) {
		f.state = PROGRESS_ERROR;
		f.status = TRACK_LEFT;
	}
	list_del(&u->link);
	ctr_add(worker_row(r->w), CTR_UPLOADS, -1);
	if (f.state == PROGRESS_ERROR)
		ctr_add(worker_row(r->w), CTR_UPLOADS_FAILED, 1);
	progress_end(worker_shm(r->w), &u->claim, &f);
}

static struct upload *
track_of(const struct request *r)
{
	for (struct link *l = track_uploads.next; l != &track_uploads; l = l->next) {
		struct upload *u = container_of(l, struct upload, link);

		if (u->r == r)
			return u;
	}
	return NULL;
}

static struct progress_new
track_new(const struct request *r, const struct progress_conf *conf, struct str id)
{
	return (struct progress_new){
		.site = str_of(r->site->name),
		.id = id,
		.size = r->length,
		.keep_ms = conf->keep,
		.worker = worker_row_index(r->w),
	};
}

void
track_begin(struct request *r, const struct progress_conf *conf)
{
	struct progress_new new;
	struct progress_claim claim;
	struct upload *u;
	struct str id;

	if (r->length == 0 || (r->reroutes > 0 && track_of(r)))
		return;
	id = id_of(r);
	if (id.n == 0)
		return;
	new = track_new(r, conf, id);
	new.may_evict = true;
	if (!progress_begin(worker_shm(r->w), &new, &claim)) {
		ctr_add(worker_row(r->w), CTR_UPLOADS_MISSED, 1);
		return;
	}
	u = arena_calloc(&r->arena, sizeof(*u));
	u->r = r;
	u->claim = claim;
	u->size = r->length;
	u->began = u->mark_ms = worker_now(r->w);
	list_add_tail(&track_uploads, &u->link);
	arena_defer(&r->arena, track_end, u);
	ctr_add(worker_row(r->w), CTR_UPLOADS, 1);
	ctr_add(worker_row(r->w), CTR_UPLOADS_TRACKED, 1);
	tick_want();
}

/* It takes no place of one that was tracked. */
void
track_refused(struct request *r, const struct progress_conf *conf)
{
	struct progress_new new;
	struct progress_claim claim;
	struct progress_figures f = { .state = PROGRESS_ERROR, .status = r->status };
	struct str id;

	if (r->length == 0 || r->status < TRACK_ERRORS || track_of(r))
		return;
	id = id_of(r);
	if (id.n == 0)
		return;
	new = track_new(r, conf, id);
	if (!progress_begin(worker_shm(r->w), &new, &claim))
		return;
	ctr_add(worker_row(r->w), CTR_UPLOADS_FAILED, 1);
	progress_end(worker_shm(r->w), &claim, &f);
}

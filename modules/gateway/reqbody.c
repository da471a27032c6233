/*
 * Request bodies on their way: see reqbody.h for the policies. Octets go from r->body, which is
 * the client's end and small, to held, which is what the codec takes from. Invariants: before the
 * backend may be contacted held has all that has come; from then on kept has it once more, as long
 * as no more than REQBODY_MEMORY of it is in memory and nobody gave it up. Memory and files are
 * shared between the two, never copied.
 */
#include <errno.h>

#include "modules/gateway/reqbody.h"

enum {
	REQBODY_LOOK_MS = 100, /* of the first look, and when a body is called slow */
	REQBODY_LOOK_MAX = 256 << 10,
	REQBODY_AGAIN_MS = 1000,    /* from the first look to the second */
	REQBODY_DUE_S = 1,          /* the rest is expected within */
	REQBODY_FAST = 8 << 20,     /* octets/s */
	REQBODY_TRY = 1 << 20,      /* octets/s: not slow */
	REQBODY_SMALL = 4096,       /* a slow body's memory */
	REQBODY_CLIENT_END = 16384, /* high mark of r->body: the rest is held's */
	REQBODY_LOOKS = 2,
	REQBODY_WAITING = 64, /* bodies of a worker that are waited for before all go to disk */
};

static unsigned reqbody_waiting; /* bodies that are neither complete nor streamed */

/* What the client's end failed with, as an answer. */
static const struct reqbody_error {
	int err, status;
	const char *why;
} reqbody_errors[] = {
	{ EFBIG, 413, "request body larger than max_body" },
	{ EBADMSG, 400, "broken request body" },
	{ ETIMEDOUT, 408, "request body too slow" },
	{ ECONNRESET, 400, "the client ended in the middle of its request body" },
	{ 0, 400, "request body failed" },
};

static struct body *
reqbody_in(struct reqbody *q)
{
	return &q->r->body;
}

static bool
reqbody_is_open(const struct reqbody *q)
{
	return q->held.state == BODY_OPEN;
}

/* Held takes what fits into memory, and then the client is not read from. */
static bool
reqbody_is_streaming(const struct reqbody *q)
{
	return q->is_ready && (q->policy == REQUEST_STREAM || q->policy == REQUEST_AUTO);
}

/* Octets of a pipe that the client's end may take: of a stream of which nothing is kept. */
static unsigned
reqbody_pipes(const struct reqbody *q)
{
	return reqbody_is_streaming(q) && q->kept.state != BODY_OPEN ? q->held.pipes : 0;
}

/* Nothing comes any more, in whichever way. From here on the client's end is not ours: a tunnel may
   use it. */
static void
reqbody_close(struct reqbody *q)
{
	timer_del(&q->look);
	spool_seal(&q->disk);
	if (!q->held.space.fn)
		return;
	body_on_data(reqbody_in(q), NULL, NULL);
	body_on_space(&q->held, NULL, NULL);
}

static void
reqbody_be_ready(struct reqbody *q)
{
	if (q->is_ready)
		return;
	q->is_ready = true;
	reqbody_waiting--;
	timer_del(&q->look);
	body_clone(&q->kept, &q->held);
	worker_post(q->r->w, &q->ready);
}

static void
reqbody_fail(struct reqbody *q, int err, int status, const char *why)
{
	if (!reqbody_is_open(q))
		return;
	q->status = status;
	q->why = why;
	body_cancel(reqbody_in(q));
	body_fail(&q->held, err);
	reqbody_close(q);
	reqbody_be_ready(q);
}

/* The client's end has ended, and all of it is here. */
static void
reqbody_finish(struct reqbody *q)
{
	const struct body *in = reqbody_in(q);
	const struct reqbody_error *e = reqbody_errors;

	if (in->state == BODY_FAILED) {
		while (e->err && e->err != in->err)
			e++;
		reqbody_fail(q, in->err, e->status, e->why);
		return;
	}
	body_end(&q->held);
	reqbody_close(q);
	reqbody_be_ready(q);
}

/* --- the rule of AUTO --- */

/* Octets a second since the span that is looked at began. */
static int64_t
reqbody_rate(const struct reqbody *q)
{
	int64_t ms = (int64_t)(worker_now(q->r->w) - q->look_ms);

	return (q->came - q->look_at) * 1000 / (ms > 0 ? ms : 1);
}

/* What came in the span decides whether a backend is contacted now; else, when the span is over,
   the next one begins, if there is one. */
static void
reqbody_judge(struct reqbody *q, bool is_over)
{
	int64_t rate = reqbody_rate(q), rest = q->r->length - q->came;

	if (rate >= REQBODY_FAST || (q->r->length >= 0 && rest <= rate * REQBODY_DUE_S)) {
		reqbody_be_ready(q);
		return;
	}
	if (!is_over)
		return;
	q->looks++;
	q->look_ms = worker_now(q->r->w);
	q->look_at = q->came;
	if (q->looks < REQBODY_LOOKS)
		timer_set(q->r->w, &q->look, timer_class(q->r->w, REQBODY_AGAIN_MS));
}

static bool
reqbody_is_judged(const struct reqbody *q)
{
	return q->policy != REQUEST_AUTO || q->is_whole || q->is_ready || q->looks == REQBODY_LOOKS;
}

/* In the first look, where it is worth some memory to find out that the disk is not needed. */
static bool
reqbody_is_tried(const struct reqbody *q)
{
	return q->looks == 0 && !reqbody_is_judged(q) && q->came < REQBODY_LOOK_MAX &&
	       reqbody_rate(q) >= REQBODY_TRY;
}

/* --- memory and disk --- */

/* Brings held back to the memory that it may take. False: there is no room for more now. */
static bool
reqbody_settle(struct reqbody *q)
{
	struct body *b = &q->held;

	if (reqbody_is_tried(q))
		return true;
	if ((q->is_slow || reqbody_waiting > REQBODY_WAITING) && !q->is_ready) {
		if (b->memory == 0)
			return true;
		if (q->is_slow && b->memory <= REQBODY_SMALL && b->queued == (int64_t)b->memory) {
			body_compact(b);
			return true;
		}
	} else if (!body_is_full(b)) {
		return true;
	}
	if (reqbody_is_streaming(q))
		return false;
	if (spool_store(&q->disk, b) == 0)
		return true;
	/* No disk. A body that need not be whole goes on without. */
	if (q->is_ready)
		return !body_is_full(b);
	if (q->policy == REQUEST_AUTO && !q->is_whole)
		reqbody_be_ready(q);
	else
		reqbody_fail(q, ENOSPC, 507, "no room on disk for the request body");
	return false;
}

/* The next octets, at most max, into held; and into kept as long as that is bounded. */
static void
reqbody_take(struct reqbody *q, int64_t max)
{
	struct body part;

	if (!q->is_ready || q->kept.state != BODY_OPEN) {
		q->came += body_move(&q->held, reqbody_in(q), max);
		return;
	}
	body_init(&part, q->r->w);
	q->came += body_move(&part, reqbody_in(q), max);
	body_clone(&q->kept, &part);
	body_move(&q->held, &part, INT64_MAX);
	body_fini(&part);
	if (q->kept.memory > REQBODY_MEMORY)
		body_cancel(&q->kept);
}

/* --- the flow --- */

/* A while has passed, and the body is not complete. */
static void
reqbody_looked(void *arg)
{
	struct reqbody *q = arg;

	if (!reqbody_is_judged(q))
		reqbody_judge(q, true);
	q->is_slow = true;
	reqbody_settle(q);
}

/* Octets have come, or there is room for them. */
static void
reqbody_pull(void *arg)
{
	struct reqbody *q = arg;
	struct body *in = reqbody_in(q);

	while (reqbody_is_open(q) && !body_is_empty(in) && reqbody_settle(q)) {
		int64_t room =
		    reqbody_is_streaming(q) ? REQBODY_MEMORY - (int64_t)q->held.memory : INT64_MAX;

		/* A pipe is not divided; the client's end has two at most. */
		reqbody_take(q, in->pipes > 0 ? INT64_MAX : room);
	}
	if (!reqbody_is_open(q))
		return;
	in->pipes = reqbody_pipes(q);
	if (q->looks == 0 && q->came >= REQBODY_MEMORY && !reqbody_is_judged(q))
		reqbody_judge(q, q->came >= REQBODY_LOOK_MAX);
	reqbody_settle(q);
	if (reqbody_is_open(q) && in->state != BODY_OPEN && body_is_empty(in))
		reqbody_finish(q);
}

void
reqbody_start(struct reqbody *q, struct request *r, enum gateway_request policy, bool needs_length,
    void (*ready)(void *), void *arg)
{
	*q = (struct reqbody){
		.r = r,
		.policy = (uint8_t)policy,
		.is_whole = needs_length && r->length < 0,
		.ready = { .fn = ready, .arg = arg },
		.look = { .fn = reqbody_looked, .arg = q },
	};
	reqbody_waiting++;
	body_init(&q->held, r->w);
	body_init(&q->kept, r->w);
	spool_init(&q->disk, r->w, r->id);
	if (body_is_done(&r->body)) { /* none: nearly all requests */
		reqbody_finish(q);
		return;
	}
	q->look_ms = worker_now(r->w);
	r->body.high = REQBODY_CLIENT_END;
	r->body.low = 0;
	request_want_body(r);
	body_on_space(&q->held, reqbody_pull, q);
	body_on_data(&r->body, reqbody_pull, q);
	if (!q->is_whole && (policy == REQUEST_SPOOL || policy == REQUEST_STREAM))
		reqbody_be_ready(q);
	else
		timer_set(r->w, &q->look, timer_class(r->w, REQBODY_LOOK_MS));
}

void
reqbody_make(
    struct reqbody *q, struct request *r, struct str octets, void (*ready)(void *), void *arg)
{
	*q = (struct reqbody){
		.r = r,
		.policy = REQUEST_BUFFER,
		.is_made = true,
		.ready = { .fn = ready, .arg = arg },
		.came = (int64_t)octets.n,
	};
	reqbody_waiting++;
	body_init(&q->held, r->w);
	body_init(&q->kept, r->w);
	spool_init(&q->disk, r->w, r->id);
	body_put_ref(&q->held, octets.p, octets.n);
	reqbody_finish(q);
}

void
reqbody_fini(struct reqbody *q)
{
	if (!q->r)
		return;
	reqbody_close(q);
	if (!q->is_ready)
		reqbody_waiting--;
	post_cancel(&q->ready);
	body_fini(&q->held);
	body_fini(&q->kept);
	spool_fini(&q->disk);
	q->r = NULL;
}

/* --- for the engine --- */

int64_t
reqbody_length(const struct reqbody *q)
{
	if (q->r->length >= 0 && !q->is_made)
		return q->r->length;
	return q->held.state == BODY_ENDED ? q->came : -1;
}

bool
reqbody_is_replayable(const struct reqbody *q)
{
	if (q->held.state > BODY_ENDED)
		return false;
	return q->kept.state == BODY_OPEN || q->held.queued == q->came;
}

void
reqbody_rewind(struct reqbody *q)
{
	bool is_ended = q->held.state == BODY_ENDED;

	if (q->held.queued == q->came)
		return;
	body_consume(&q->held, q->held.queued);
	q->held.state = BODY_OPEN;
	body_clone(&q->held, &q->kept);
	if (is_ended)
		body_end(&q->held);
}

void
reqbody_commit(struct reqbody *q)
{
	body_cancel(&q->kept);
}

int
reqbody_failed(const struct reqbody *q, const char **why)
{
	*why = q->why;
	return q->status;
}

void
reqbody_stop(struct reqbody *q)
{
	reqbody_close(q);
	if (reqbody_is_open(q))
		body_cancel(reqbody_in(q));
	body_cancel(&q->held);
	body_cancel(&q->kept);
}

/*
 * Response bodies on their way: see resbody.h for the policies. Octets go straight to r->out_body
 * while that takes them; what it does not take is held, first in memory, then on disk, and follows
 * as the client takes octets. Invariant: while something is held, nothing passes it.
 */
#include <errno.h>

#include "modules/gateway/resbody.h"
#include "worker/pipe.h"

enum {
	RESBODY_PART = SPOOL_FILE, /* octets of files that out_body is given at once */
	RESBODY_LEAST = 8192,      /* of memory: with less nothing would flow */
	RESBODY_PATIENCE_MS = 100, /* a client that takes longer is slow */
};

static struct body *
resbody_out(struct resbody *s)
{
	return &s->r->out_body;
}

static void
resbody_begin(struct resbody *s, int64_t length)
{
	if (!s->r->is_begun)
		res_begin(s->r, s->status, length);
}

/* Brings what is held back to the memory that it may take. False: there is no way. */
static bool
resbody_settle(struct resbody *s)
{
	struct worker *w = s->r->w;

	if (!body_is_full(&s->held))
		return true;
	if (!s->is_slow && s->disk_max > 0) {
		if (!link_is_on(&s->patience.link))
			timer_set(w, &s->patience, timer_class(w, RESBODY_PATIENCE_MS));
		return false;
	}
	if (s->disk.on_disk + (int64_t)s->held.memory > s->disk_max)
		spool_seal(&s->disk);
	if (s->disk.on_disk + (int64_t)s->held.memory > s->disk_max)
		return false;
	return spool_store(&s->disk, &s->held) == 0;
}

/* All has come and all is passed on: the end of it as well. */
static void
resbody_close(struct resbody *s)
{
	body_on_space(resbody_out(s), NULL, NULL);
	if (s->is_failed)
		body_fail(resbody_out(s), ECONNABORTED);
	else
		body_end(resbody_out(s));
}

/* What is held goes on to the client, as far as it takes it. */
static void
resbody_pass(struct resbody *s)
{
	struct body *out = resbody_out(s);

	if (!s->r->is_begun)
		return;
	while (!body_is_empty(&s->held) && out->queued < RESBODY_PART && !body_is_full(out))
		if (body_move(out, &s->held, body_part(&s->held, RESBODY_PART)) == 0)
			break;
	if (out->state != BODY_OPEN) /* nobody wants it */
		body_consume(&s->held, s->held.queued);
	if (s->is_ended && body_is_empty(&s->held))
		resbody_close(s);
}

static void
resbody_go_on(struct resbody *s)
{
	if (s->is_paused && !s->is_ended && !resbody_is_paused(s))
		worker_post(s->r->w, &s->resume);
}

/* The client has taken octets, or wants no more. */
static void
resbody_space(void *arg)
{
	struct resbody *s = arg;

	resbody_pass(s);
	if (body_is_empty(&s->held)) {
		timer_del(&s->patience);
		s->is_slow = false;
	}
	resbody_go_on(s);
}

/* Held has been full for a while. */
static void
resbody_waited(void *arg)
{
	struct resbody *s = arg;

	s->is_slow = true;
	resbody_go_on(s);
}

void
resbody_start(struct resbody *s, struct request *r, const struct gateway_conf *conf,
    enum gateway_response policy, int status, int64_t length, void (*resume)(void *), void *arg)
{
	*s = (struct resbody){
		.r = r,
		.policy = (uint8_t)policy,
		.status = status,
		.length = length,
		.disk_max = policy == RESPONSE_STREAM ? 0 : conf->response_disk,
		.is_slow = policy == RESPONSE_BUFFER,
		.resume = { .fn = resume, .arg = arg },
		.patience = { .fn = resbody_waited, .arg = s },
	};
	body_init(&s->held, r->w);
	spool_init(&s->disk, r->w, r->id);
	s->disk.can_wait = true;
	/* Half of the memory on either side of the disk. */
	s->held.high = r->out_body.high =
	    (size_t)(conf->response_memory < RESBODY_LEAST ? RESBODY_LEAST
							   : conf->response_memory) /
	    2;
	r->out_body.low = r->out_body.high / 4;
	if (policy != RESPONSE_BUFFER)
		resbody_begin(s, length);
	body_on_space(&r->out_body, resbody_space, s);
}

void
resbody_fini(struct resbody *s)
{
	if (!s->r)
		return;
	post_cancel(&s->resume);
	timer_del(&s->patience);
	body_on_space(resbody_out(s), NULL, NULL);
	body_fini(&s->held);
	spool_fini(&s->disk);
	s->r = NULL;
}

/* Where the next octets go. */
static struct body *
resbody_end_of(struct resbody *s)
{
	struct body *out = resbody_out(s);

	return s->r->is_begun && body_is_empty(&s->held) && !body_is_full(out) ? out : &s->held;
}

/* Octets were put into held: what is too much to be kept back begins to be sent. */
static void
resbody_held(struct resbody *s)
{
	if (!resbody_settle(s) && !s->r->is_begun) {
		resbody_begin(s, s->length);
		resbody_pass(s);
	}
}

void
resbody_put(struct resbody *s, struct buf *buf, const char *p, size_t n)
{
	struct body *end = resbody_end_of(s);

	s->came += (int64_t)n;
	buf->refs++;
	body_put_buf(end, buf, p, n);
	if (end == &s->held)
		resbody_held(s);
}

void
resbody_put_pipe(struct resbody *s, struct pipe *p)
{
	struct body *end = resbody_end_of(s);

	s->came += (int64_t)p->used;
	body_put_pipe(end, p);
	if (end == &s->held)
		resbody_held(s);
}

bool
resbody_takes_pipes(const struct resbody *s)
{
	return s->r && s->r->is_begun && !s->is_slow && s->r->out_body.pipes > 0 &&
	       s->r->out_body.state == BODY_OPEN;
}

bool
resbody_is_paused(struct resbody *s)
{
	s->is_paused = !resbody_settle(s);
	return s->is_paused;
}

void
resbody_end(struct resbody *s)
{
	bool has_length = s->length >= 0 || s->r->method == M_HEAD;

	s->is_ended = true;
	spool_seal(&s->disk);
	resbody_begin(s, has_length ? s->length : s->came);
	resbody_pass(s);
}

bool
resbody_fail(struct resbody *s, const char *why)
{
	if (!s->r->is_begun)
		return false;
	if (!s->r->why)
		s->r->why = why;
	s->is_ended = s->is_failed = true;
	resbody_pass(s);
	return true;
}

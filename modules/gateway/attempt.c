/*
 * One attempt of an exchange: a connection to one host, the request onto it, the answer from it.
 * See exchange.h. Invariant: x->u and x->host are set throughout; whatever ends the attempt goes
 * through exchange_leave() and touches neither afterwards.
 */
#include <errno.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/utf8.h"
#include "modules/gateway/codec/sieve.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/sendfile.h"
#include "worker/pipe.h"

enum {
	ATTEMPT_PART = 65536,   /* octets of a body that are framed at a time */
	ATTEMPT_TURN = 1 << 20, /* octets sent in one turn */
	ATTEMPT_STDERR = 2048,  /* octets of a line of an application's error output */
	ATTEMPT_FINISH = 1000,  /* ms that the protocol's end may come after that of the content */
};

/* The body of requests without one, and what an authorizer is given. */
static struct body attempt_nothing = {
	.chunks = { &attempt_nothing.chunks, &attempt_nothing.chunks },
	.state = BODY_ENDED,
};

/* A kept connection was closed by the backend as we wrote to it: not the host's fault, and no
   attempt, when the request can be sent again on a fresh one. */
static bool
attempt_is_stale(const struct exchange *x)
{
	return x->u->is_reused && !x->has_first && !x->is_fresh && !x->r->is_begun &&
	       (x->is_idempotent || x->u->sent == 0) &&
	       (!x->body || reqbody_is_replayable(x->body));
}

static void
attempt_freshen(struct exchange *x)
{
	struct upstream *u = x->u;

	x->u = NULL;
	x->is_fresh = true;
	timer_del(&x->timer);
	upstream_close(u);
	if (x->body)
		reqbody_rewind(x->body);
	x->is_sent = x->is_cut = false;
	attempt_connect(x);
}

/* --- sending --- */

static struct body *
attempt_source(const struct exchange *x)
{
	return x->body ? reqbody_source(x->body) : &attempt_nothing;
}

/* The body broke while it was sent: the backend gets no more, and no answer of its own. */
void
attempt_body_broke(struct exchange *x)
{
	const char *why = "the request body broke off";
	int status = reqbody_failed(x->body, &why);
	enum term_who who = status == 507   ? TERM_RESOURCE
			    : status == 408 ? TERM_CLIENT_SLOW
			    : status == 413 ? TERM_PROXY
					    : TERM_CLIENT;

	exchange_refuse(x, status ? status : 400, who,
	    x->state == EXCHANGE_BODY ? TERM_REQUEST : TERM_HEAD, why);
}

/* Writing failed: the backend may have answered before it closed, and what it said counts. */
static void
attempt_cut(struct exchange *x)
{
	x->is_cut = true;
	if (x->body)
		body_on_data(attempt_source(x), NULL, NULL);
	upstream_read(x->u, true);
	exchange_clock(x);
}

/* There is nothing of its body to be sent, and more is to come: its protocol's timeouts count. */
static bool
attempt_awaits_client(const struct exchange *x)
{
	const struct body *src = attempt_source(x);

	return !x->is_sent && !x->is_cut && body_is_empty(src) && src->state == BODY_OPEN &&
	       !upstream_is_blocked(x->u);
}

/* Whenever it is not the client that is waited for, it is the backend: to take octets, to ask for
   more of the body (AJP13), or to answer. Its time begins anew when it has done one of these. */
void
attempt_clock(struct exchange *x, bool has_answered)
{
	if (attempt_awaits_client(x)) {
		exchange_timer(x, 0);
		return;
	}
	if (!has_answered && x->u->sent == x->moved && link_is_on(&x->timer.link))
		return;
	x->moved = x->u->sent;
	if (x->state == EXCHANGE_ANSWERING && x->answer.is_paused)
		exchange_timer(x, 0);
	else
		exchange_clock(x);
}

static void
attempt_sent(struct exchange *x)
{
	/* A script's standard input is the connection: it may read to the end of it. */
	if (x->is_sent && x->pool_conf->protocol == POOL_CGI && body_is_empty(&x->u->out))
		upstream_shutdown(x->u);
	attempt_clock(x, false);
}

/* Moves the request on: body to frames, frames to the socket. */
void
attempt_pump(void *arg)
{
	struct exchange *x = arg;
	struct body *src = attempt_source(x);
	struct upstream *u = x->u;
	int64_t turn = u ? u->sent : 0;

	if (!u || x->is_cut || u->state != UPSTREAM_BUSY || x->state < EXCHANGE_SENDING ||
	    x->state > EXCHANGE_ANSWERING)
		return;
	while (!upstream_is_blocked(u)) {
		int64_t before = src->queued;

		if (!x->is_sent && !body_is_full(&u->out))
			x->is_sent = x->codec->body(u->codec, &u->out, src, ATTEMPT_PART);
		x->note.forwarded += before - src->queued;
		if (!upstream_flush(u)) {
			attempt_cut(x);
			return;
		}
		if (x->is_sent || src->queued == before)
			break;
		if (u->sent - turn > ATTEMPT_TURN) {
			worker_post(x->w, &x->pump);
			break;
		}
	}
	if (!x->is_sent && src->state == BODY_FAILED && body_is_empty(src)) {
		attempt_body_broke(x);
		return;
	}
	if (x->body && !x->is_idempotent && u->sent > 0)
		reqbody_commit(x->body);
	attempt_sent(x);
}

/* The connection stands: the head, and as much of the body as there is. */
static void
attempt_send(struct exchange *x)
{
	struct upstream *u = x->u;
	const char *why = NULL;
	int status;

	exchange_enter(x, EXCHANGE_SENDING);
	x->is_asked_for = false;
	x->moved = -1;
	x->note.forwarded = 0;
	x->note.connect = u->is_reused ? 0 : exchange_since(x->mark);
	memset(u->codec, 0, sizeof(u->codec));
	memset(&x->res, 0, sizeof(x->res));
	x->res.arena = &x->r->arena;
	x->res.max_head = (uint32_t)x->pool_conf->max_head;
	x->res.is_head = x->r->method == M_HEAD;
	x->res.length = -1;
	x->ask.host = x->host->conf;
	x->ask.authority = x->host->authority;
	x->ask.length = x->body && !x->is_authorizer ? reqbody_length(x->body) : 0;
	x->ask.keep = x->codec->can_keep && x->pool_conf->keepalive > 0 && x->ask.upgrade.n == 0;
	status = x->codec->head(u->codec, &x->ask, &u->out, &why);
	if (status) {
		exchange_refuse(x, status, TERM_PROXY, TERM_HEAD, why);
		return;
	}
	if (x->body) {
		attempt_source(x)->pipes = u->tls ? 0 : x->codec->pipes;
		body_on_data(attempt_source(x), attempt_pump, x);
	}
	attempt_pump(x);
}

/* --- receiving --- */

/* The answer is complete. */
static void
attempt_end(struct exchange *x, bool has_more)
{
	bool keep = x->res.keep && x->is_sent && !x->is_cut && !has_more;

	if (x->res.trailers.n > 0 && !x->file) {
		sieve_response(x->r, &x->ask, &x->res.trailers, SIEVE_TRAILERS);
		x->r->out_trailers = &x->res.trailers;
	}
	exchange_enter(x, EXCHANGE_DONE);
	if (x->body && !x->is_sent)
		reqbody_stop(x->body);
	exchange_leave(x, keep);
	x->note.total = exchange_since(x->started);
	if (unlikely(x->file != NULL))
		sendfile_answer(x);
	else
		resbody_end(&x->answer);
}

static void
attempt_complain(const struct exchange *x, struct str line)
{
	if (line.n > ATTEMPT_STDERR)
		line.n = utf8_cut(line.p, ATTEMPT_STDERR);
	line = str_trim(line);
	if (line.n > 0)
		log_at(LOG_WARN_, "gateway", false, "request %016llx: %s %.*s: %.*s",
		    (unsigned long long)x->r->id, x->pool_conf->name.p, STR_FMT(x->host->name),
		    STR_FMT(line));
}

/* A line of the log for each line; a NUL ends one as well, because it would hide what follows. */
static void
attempt_stderr(const struct exchange *x, struct str text)
{
	while (text.p && text.n > 0) {
		struct str line = str_split(&text, '\n');

		while (line.p && line.n > 0)
			attempt_complain(x, str_split(&line, '\0'));
	}
}

/* One event of the codec. False: the connection is given up, or the rest of the input is not for
   the codec any more. */
static bool
attempt_event(struct exchange *x, enum codec_event ev, struct buf *b, bool has_more)
{
	switch (ev) {
	case CODEC_MORE:
		return true;
	case CODEC_INTERIM:
		if (!x->r->is_begun && !x->is_authorizer) {
			sieve_response(x->r, &x->ask, &x->res.fields, SIEVE_INTERIM);
			res_interim(x->r, x->res.status, &x->res.fields);
		}
		return true;
	case CODEC_HEAD:
		return reply_begin(x);
	case CODEC_DATA:
		if (x->answer.r)
			resbody_put(&x->answer, b, x->res.data.p, x->res.data.n);
		return true;
	case CODEC_STDERR:
		attempt_stderr(x, x->res.data);
		return true;
	case CODEC_WANT:
		x->is_sent = false; /* even when all was sent: the end mark must be sent again */
		worker_post(x->w, &x->pump);
		return true;
	case CODEC_END:
		attempt_end(x, has_more);
		return false;
	case CODEC_ERROR:
		if (x->file) {
			x->is_cut = true;
			attempt_send_file(x);
			return false;
		}
		exchange_failed(x, x->res.is_overloaded ? CAUSE_OVERLOAD : CAUSE_ERRORS,
		    TERM_SERVER, x->answer.r ? TERM_DATA : TERM_HEAD,
		    x->res.why ? x->res.why : "broke the protocol");
		return false;
	}
	return false;
}

/* How much of the content may pass the codec by: what nobody looks into on its way to the client.
 */
static void
attempt_plain(struct exchange *x)
{
	if (x->codec->plain && resbody_takes_pipes(&x->answer))
		x->u->plain = x->codec->plain(x->u->codec);
}

/* After octets came: the backend pauses when the client is slower, and the clock begins anew. */
static void
attempt_reading(struct exchange *x)
{
	if (x->state != EXCHANGE_ANSWERING)
		return;
	if (unlikely(x->file != NULL)) {
		attempt_send_file(x);
		return;
	}
	if (!x->is_asked_for) {
		x->is_asked_for = true;
		upstream_acknowledge(x->u);
	}
	attempt_plain(x);
	if (resbody_is_paused(&x->answer)) {
		upstream_read(x->u, false);
		exchange_timer(x, 0);
		return;
	}
	attempt_clock(x, true);
}

static void
attempt_input(void *arg, struct buf *b, const char *p, size_t n)
{
	struct exchange *x = arg;
	struct upstream *u = x->u;
	enum codec_event ev;

	x->has_first = true;
	do {
		size_t used = 0;

		if (x->state == EXCHANGE_TUNNEL) {
			tunnel_input(x, b, p, n);
			return;
		}
		ev = x->codec->input(u->codec, &x->res, p, n, &used);
		p += used;
		n -= used;
		if (!attempt_event(x, ev, b, n > 0))
			return;
	} while (n > 0 || (ev != CODEC_MORE && x->state != EXCHANGE_TUNNEL));
	attempt_reading(x);
}

static void
attempt_piped(void *arg, struct pipe *pipe)
{
	struct exchange *x = arg;

	x->codec->passed(x->u->codec, (int64_t)pipe->used);
	resbody_put_pipe(&x->answer, pipe);
	attempt_reading(x);
}

static void
attempt_eof(void *arg)
{
	struct exchange *x = arg;
	enum codec_event ev;

	if (x->state == EXCHANGE_TUNNEL) {
		tunnel_eof(x);
		return;
	}
	if (!x->has_first && attempt_is_stale(x)) {
		attempt_freshen(x);
		return;
	}
	ev = x->codec->eof(x->u->codec, &x->res);
	if (ev == CODEC_HEAD) {
		if (!reply_begin(x))
			return;
		ev = CODEC_END;
	}
	if (ev == CODEC_END && (x->answer.r || x->file)) {
		x->res.keep = false;
		attempt_end(x, false);
		return;
	}
	exchange_failed(x, CAUSE_ERRORS, TERM_SERVER, x->answer.r ? TERM_DATA : TERM_HEAD,
	    x->answer.r    ? "closed in the middle of the answer"
	    : x->has_first ? "closed in the middle of the head"
			   : "closed without an answer");
}

static void
attempt_space(void *arg)
{
	struct exchange *x = arg;

	if (x->state == EXCHANGE_TUNNEL)
		tunnel_space(x);
	else
		attempt_pump(x);
}

/* --- connecting --- */

static enum backend_cause
attempt_cause(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ENOENT:
	case ECONNRESET:
	case EHOSTDOWN:
	case EACCES:
	case EPERM:
		return CAUSE_REFUSED;
	case EAGAIN: /* a Unix socket's listen queue is full */
		return CAUSE_OVERLOAD;
	case EMFILE: /* not the host's */
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL:
		return CAUSE_NONE;
	}
	return CAUSE_UNREACHABLE;
}

static void
attempt_unconnected(struct exchange *x, int err, const char *why)
{
	enum backend_cause cause = attempt_cause(err);
	struct str text = arena_printf(&x->r->arena, "connect: %s", why ? why : strerror(err));

	exchange_failed(
	    x, cause, cause == CAUSE_NONE ? TERM_RESOURCE : TERM_SERVER, TERM_CONNECT, text.p);
}

static void
attempt_broken(void *arg, int err)
{
	struct exchange *x = arg;
	struct str why;

	if (x->u->state == UPSTREAM_CONNECTING || x->u->state == UPSTREAM_SHAKING) {
		attempt_unconnected(x, err, x->u->why);
		return;
	}
	if (!x->has_first && attempt_is_stale(x)) {
		attempt_freshen(x);
		return;
	}
	if (x->state == EXCHANGE_TUNNEL) {
		term_set(x->note.termination, TERM_SERVER, TERM_DATA);
		exchange_leave(x, false);
		exchange_enter(x, EXCHANGE_DONE);
		res_abort(x->r, "the tunnel's backend broke off");
		return;
	}
	/* Something of the request could not be written, but an answer may still be on its way. */
	if ((err == EPIPE || err == ECONNRESET) && !x->is_cut && !x->u->is_eof) {
		attempt_cut(x);
		return;
	}
	why = arena_printf(&x->r->arena, "%s", x->u->why ? x->u->why : strerror(err));
	exchange_failed(x, CAUSE_ERRORS, TERM_SERVER, x->answer.r ? TERM_DATA : TERM_HEAD, why.p);
}

static void
attempt_connected(void *arg)
{
	struct exchange *x = arg;

	attempt_send(x);
}

static const struct upstream_events attempt_events = {
	.connected = attempt_connected,
	.input = attempt_input,
	.piped = attempt_piped,
	.eof = attempt_eof,
	.space = attempt_space,
	.failed = attempt_broken,
};

/* To the host that was taken. */
void
attempt_connect(struct exchange *x)
{
	exchange_enter(x, EXCHANGE_CONNECTING);
	x->u = upstream_open(x->host, &attempt_events, x, x->is_fresh, !x->is_idempotent);
	if (!x->u) {
		attempt_unconnected(x, errno, NULL);
		return;
	}
	x->note.is_reused = x->u->is_reused;
	if (x->u->is_reused)
		backend_count(worker_shm(x->w), x->host->row, BACKEND_REUSES);
	if (x->u->state == UPSTREAM_BUSY)
		attempt_send(x);
	else
		exchange_clock(x);
}

/* --- the end after the end --- */

static void
attempt_finish_input(void *arg, struct buf *b, const char *p, size_t n)
{
	struct upstream *u = arg;
	const struct codec *codec = codec_of(bpool_conf(u->host->pool)->protocol);
	struct codec_response res = { .length = -1 };
	enum codec_event ev;

	(void)b;
	do {
		size_t used = 0;

		ev = codec->input(u->codec, &res, p, n, &used);
		p += used;
		n -= used;
	} while (ev == CODEC_STDERR || (ev == CODEC_DATA && res.data.n == 0));
	if (ev == CODEC_END && res.keep && n == 0)
		upstream_keep(u);
	else if (ev != CODEC_MORE)
		upstream_close(u);
}

/* Of an answer that nobody waits for content counts as little as the end's delay. */
static void
attempt_drain_input(void *arg, struct buf *b, const char *p, size_t n)
{
	struct upstream *u = arg;
	const struct codec *codec = codec_of(bpool_conf(u->host->pool)->protocol);
	struct codec_response res = { .length = -1 };
	enum codec_event ev;

	(void)b;
	do {
		size_t used = 0;

		ev = codec->input(u->codec, &res, p, n, &used);
		p += used;
		n -= used;
	} while (ev == CODEC_STDERR || ev == CODEC_DATA);
	if (ev == CODEC_END && res.keep && n == 0)
		upstream_keep(u);
	else if (ev != CODEC_MORE)
		upstream_close(u);
}

static void
attempt_finish_close(void *arg)
{
	upstream_close(arg);
}

static void
attempt_finish_failed(void *arg, int err)
{
	(void)err;
	upstream_close(arg);
}

static void
attempt_finish_space(void *arg)
{
	(void)arg;
}

static const struct upstream_events attempt_finishing = {
	.connected = attempt_finish_space,
	.input = attempt_finish_input,
	.eof = attempt_finish_close,
	.space = attempt_finish_space,
	.failed = attempt_finish_failed,
};

static const struct upstream_events attempt_draining = {
	.connected = attempt_finish_space,
	.input = attempt_drain_input,
	.eof = attempt_finish_close,
	.space = attempt_finish_space,
	.failed = attempt_finish_failed,
};

/* Whether the end is a record of its own, for which nothing of the request is needed. */
static bool
attempt_can_finish(const struct upstream *u)
{
	int protocol = bpool_conf(u->host->pool)->protocol;

	return (protocol == POOL_FASTCGI || protocol == POOL_AJP) && body_is_empty(&u->out) &&
	       !u->is_eof;
}

static void
attempt_wait(struct upstream *u, const struct upstream_events *events)
{
	u->events = events;
	u->arg = u;
	upstream_read(u, true);
	timer_set(u->w, &u->idle_timer, timer_class(u->w, ATTEMPT_FINISH));
}

void
attempt_finish(struct upstream *u)
{
	if (attempt_can_finish(u))
		attempt_wait(u, &attempt_finishing);
	else
		upstream_close(u);
}

/* The head came without its end. For a moment what follows is dropped, so that an application is
   not ended by what it still writes; and where its end is a record, the connection is kept. */
void
attempt_send_file(struct exchange *x)
{
	struct upstream *u = x->u;
	bool is_sent = x->is_sent && !x->is_cut;

	exchange_enter(x, EXCHANGE_DONE);
	if (x->body && !x->is_sent)
		reqbody_stop(x->body);
	exchange_part(x);
	exchange_leave(x, false);
	if (is_sent && attempt_can_finish(u))
		attempt_wait(u, &attempt_draining);
	else if (is_sent && x->codec->is_cgi)
		upstream_orphan(u, ATTEMPT_FINISH);
	else
		upstream_close(u);
	x->note.total = exchange_since(x->started);
	sendfile_answer(x);
}

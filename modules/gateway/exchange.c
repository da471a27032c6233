/*
 * Exchanges: see exchange.h. Invariants: x->u is set from CONNECTING to the end of the attempt, and
 * x->host at least as long; the exchange waits for exactly one of body, queue, connection and
 * client, and x->timer runs for that one; nothing of the answer reaches the request before the
 * answer's head is complete, and from then on there is no retry. The exchange lives in the
 * request's arena, which calls exchange_gone() when the request ends.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/pool/affinity.h"
#include "modules/gateway/upload.h"

enum {
	EXCHANGE_AGAIN = 250, /* ms before hosts that all failed are tried anew */
	EXCHANGE_GRAIN = 100, /* ms that a wait may last longer, so that many end together */
};

static void exchange_acquire(struct exchange *);

/* --- states --- */

/* One of the pool's timeouts; name NULL: none. */
struct exchange_time {
	const char *name;
	size_t at;
};

#define TIME(t) #t, offsetof(struct conf_pool_timeouts, t)
#define FROM(s) (1u << EXCHANGE_##s)

static void exchange_begins(struct exchange *);
static void exchange_ends(struct exchange *);
static void exchange_queue_over(struct exchange *);
static void exchange_slow(struct exchange *);
static void exchange_silent(struct exchange *);
static void exchange_tunnel_over(struct exchange *);
static void exchange_nothing(struct exchange *);

static const struct exchange_row {
	struct fsm_row fsm;
	enum term_where where;            /* what ends here has ended where */
	struct exchange_time time;        /* so long may pass without progress */
	struct exchange_time blocked;     /* … while the socket to the backend is full */
	void (*enter)(struct exchange *); /* NULL: nothing more is to be done */
	void (*expired)(struct exchange *);
} exchange_rows[EXCHANGE_STATES] = {
	[EXCHANGE_BODY] = {
	    { "body", 0 },
	    TERM_REQUEST,
	    .expired = exchange_nothing,
	},
	[EXCHANGE_WAITING] = {
	    { "waiting", FROM(BODY) | FROM(CONNECTING) | FROM(SENDING) },
	    TERM_WAITING,
	    { TIME(queue) },
	    .enter = exchange_begins,
	    .expired = exchange_queue_over,
	},
	[EXCHANGE_CONNECTING] = {
	    { "connecting", FROM(BODY) | FROM(WAITING) | FROM(CONNECTING) | FROM(SENDING) },
	    TERM_CONNECT,
	    { TIME(connect) },
	    .enter = exchange_begins,
	    .expired = exchange_slow,
	},
	[EXCHANGE_SENDING] = {
	    { "sending", FROM(CONNECTING) },
	    TERM_HEAD,
	    { TIME(first_byte) },
	    { TIME(send) },
	    .expired = exchange_silent,
	},
	[EXCHANGE_ANSWERING] = {
	    { "answering", FROM(SENDING) },
	    TERM_DATA,
	    { TIME(between_bytes) },
	    .expired = exchange_silent,
	},
	[EXCHANGE_TUNNEL] = {
	    { "tunnel", FROM(SENDING) },
	    TERM_DATA,
	    { TIME(tunnel) },
	    .enter = exchange_ends,
	    .expired = exchange_tunnel_over,
	},
	/* Whoever enters it leaves host and connection: nothing runs or waits any more. */
	[EXCHANGE_DONE] = {
	    { "done", ~FROM(DONE) },
	    TERM_LAST,
	    .enter = exchange_ends,
	    .expired = exchange_nothing,
	},
};

#undef FROM
#undef TIME

static void
exchange_name(const void *object, char *text, size_t max)
{
	const struct exchange *x = object;

	snprintf(text, max, "exchange %016llx", (unsigned long long)x->r->id);
}

const struct fsm exchange_fsm = { exchange_rows, sizeof(exchange_rows[0]), EXCHANGE_STATES,
	exchange_name };

static inline void
exchange_entered(struct exchange *x, enum exchange_state state)
{
	const struct exchange_row *row = &exchange_rows[state];

	x->state = (uint8_t)state;
	if (row->enter)
		row->enter(x);
}

static __attribute__((noinline)) void
exchange_noted(struct exchange *x, enum exchange_state state)
{
	if (fsm_note(&exchange_fsm, x, x->state, state))
		exchange_entered(x, state);
}

void
exchange_enter(struct exchange *x, enum exchange_state state)
{
	if (fsm_is_plain(&exchange_fsm, x->state, state))
		exchange_entered(x, state);
	else
		exchange_noted(x, state);
}

/* A phase whose duration is logged. */
static void
exchange_begins(struct exchange *x)
{
	x->mark = worker_now_ns(x->w);
}

/* timeout.total has nothing more to say. */
static void
exchange_ends(struct exchange *x)
{
	timer_del(&x->total);
}

/* --- timers --- */

static const struct exchange_time *
exchange_time(const struct exchange *x)
{
	const struct exchange_row *row = &exchange_rows[x->state];

	return row->blocked.name && upstream_is_blocked(x->u) ? &row->blocked : &row->time;
}

static int64_t
exchange_ms(const struct exchange *x, const struct exchange_time *t)
{
	return *(const int64_t *)((const char *)&x->pool_conf->timeout + t->at);
}

/* It has waited for a host in vain. */
static void
exchange_queue_over(struct exchange *x)
{
	long long queue = x->pool_conf->timeout.queue;
	struct str why;
	uint64_t ms;

	if (bpool_is_out(x->pool, &ms))
		why = arena_printf(&x->r->arena,
		    "timeout.queue: no host for %lld ms, every one has been down for %.1f s", queue,
		    (double)ms / 1e3);
	else
		why = arena_printf(&x->r->arena,
		    "timeout.queue: no host for %lld ms, though not every one is down", queue);
	backend_pool_count(worker_shm(x->w), bpool_row(x->pool), POOL_QUEUE_TIMEOUT);
	exchange_refuse(x, 503, TERM_QUEUE, TERM_WAITING, why.p);
}

/* Nothing moved for the time of the state. */
static void
exchange_slow(struct exchange *x)
{
	enum term_where where = exchange_rows[x->state].where;
	const struct exchange_time *t = exchange_time(x);
	struct str why = arena_printf(
	    &x->r->arena, "timeout.%s: %lld ms", t->name, (long long)exchange_ms(x, t));

	x->status = 504;
	exchange_failed(x, where == TERM_CONNECT ? CAUSE_UNREACHABLE : CAUSE_ERRORS,
	    TERM_SERVER_SLOW, where, why.p);
}

/* The socket may have taken octets meanwhile, though not all that wait for it. */
static void
exchange_silent(struct exchange *x)
{
	if (!x->is_cut && x->u->sent != x->moved)
		attempt_clock(x, false);
	else
		exchange_slow(x);
}

static void
exchange_tunnel_over(struct exchange *x)
{
	term_set(x->note.termination, TERM_SERVER_SLOW, TERM_DATA);
	exchange_leave(x, false);
	res_abort(x->r, "timeout.tunnel");
}

static void
exchange_nothing(struct exchange *x)
{
	(void)x;
}

static void
exchange_expired(void *arg)
{
	struct exchange *x = arg;

	exchange_rows[x->state].expired(x);
}

void
exchange_clock(struct exchange *x)
{
	exchange_timer(x, exchange_ms(x, exchange_time(x)));
}

void
exchange_timer(struct exchange *x, int64_t ms)
{
	if (ms <= 0) {
		timer_del(&x->timer);
		return;
	}
	timer_set(x->w, &x->timer, timer_class(x->w, ms));
}

static void
exchange_total(void *arg)
{
	struct exchange *x = arg;

	exchange_refuse(x, 504, TERM_SERVER_SLOW,
	    x->state == EXCHANGE_ANSWERING ? TERM_DATA : TERM_HEAD,
	    arena_printf(
		&x->r->arena, "timeout.total: %lld ms", (long long)x->pool_conf->timeout.total)
		.p);
}

/* --- the end of attempts --- */

void
exchange_leave(struct exchange *x, bool keep)
{
	struct upstream *u = x->u;
	struct bhost *host = x->host;

	timer_del(&x->timer);
	x->u = NULL;
	x->host = NULL;
	if (x->is_trial)
		bpool_untried(host);
	x->is_trial = false;
	if (u && keep)
		upstream_keep(u);
	else if (u)
		upstream_close(u);
	if (host)
		bpool_release(host);
}

/* One line for the operator about what became of a request. */
static void
exchange_log(const struct exchange *x, enum log_level level, const char *why, const char *then)
{
	const struct request *r = x->r;

	log_at(level, "gateway", false,
	    "request %016llx %.*s %.*s%.*s: %s %.*s: %s (attempt %u%s%s)",
	    (unsigned long long)r->id, STR_FMT(r->method_name), STR_FMT(r->host),
	    STR_FMT(r->raw_path), x->pool_conf->name.p, STR_FMT(x->note.host), why, x->attempts,
	    then ? ", " : "", then ? then : "");
}

/* An outage is known from its first line on; requests that meet it come as fast as clients send. */
static enum log_level
exchange_lost_level(struct exchange *x, const char **why)
{
	unsigned long more;

	if (!bpool_may_log(x->pool, &more))
		return LOG_INFO_;
	if (more)
		*why = arena_printf(
		    &x->r->arena, "%s; %lu more requests since the last such line", *why, more)
			   .p;
	return LOG_WARN_;
}

void
exchange_refuse(
    struct exchange *x, int status, enum term_who who, enum term_where where, const char *why)
{
	struct request *r = x->r;
	char then[16];

	if (x->state == EXCHANGE_WAITING)
		x->note.queue = (x->note.queue < 0 ? 0 : x->note.queue) + exchange_since(x->mark);
	bpool_unwait(x->pool, &x->waiter);
	exchange_leave(x, false);
	term_set(x->note.termination, who, where);
	snprintf(then, sizeof(then), "%s", x->note.termination);
	if (status >= 500)
		exchange_log(
		    x, who == TERM_LOST ? exchange_lost_level(x, &why) : LOG_WARN_, why, then);
	exchange_enter(x, EXCHANGE_DONE);
	if (x->body)
		reqbody_stop(x->body);
	if (unlikely(x->upload != NULL))
		upload_stop(x->upload);
	if (x->answer.r) {
		if (resbody_fail(&x->answer, why))
			return;
		r->fields.n = 0;
	}
	if (r->is_begun) {
		res_abort(r, why);
		return;
	}
	if (status == 503)
		res_field(r, HF_RETRY_AFTER, STR("1"));
	res_error(r, status, why);
}

bool
exchange_can_retry(struct exchange *x)
{
	const struct conf_pool *conf = x->pool_conf;

	if (x->attempts >= (unsigned)conf->retry.attempts || x->r->is_begun || x->answer.r)
		return false;
	if (x->u && x->u->sent > 0 && !x->is_idempotent && !x->res.is_overloaded)
		return false;
	if (x->body && !reqbody_is_replayable(x->body))
		return false;
	/* An application that failed is not run again by the same host. */
	if (!bpool_has_more(x->pool, x->ntried + 1))
		return false;
	return backend_budget_take(worker_shm(x->w), bpool_row(x->pool), conf, worker_now(x->w));
}

/* Remembers an attempt that another one follows. */
static void
exchange_note(struct exchange *x, const char *why)
{
	struct request_backend *b = &x->note;

	b->failures = b->failures.n == 0
			  ? arena_printf(&x->r->arena, "%.*s %s", STR_FMT(b->host), why)
			  : arena_printf(&x->r->arena, "%.*s, %.*s %s", STR_FMT(b->failures),
				STR_FMT(b->host), why);
	b->is_retried = true;
	exchange_log(x, LOG_INFO_, why, "another follows");
}

static void
exchange_tried(struct exchange *x)
{
	if (x->ntried == EXCHANGE_TRIED || !x->host)
		return;
	bhost_ref(x->host);
	x->tried[x->ntried++] = x->host;
}

static void
exchange_forget_tried(struct exchange *x)
{
	while (x->ntried > 0)
		bhost_unref(x->tried[--x->ntried]);
}

static void
exchange_again(struct exchange *x)
{
	if (x->body)
		reqbody_rewind(x->body);
	x->is_sent = x->is_cut = x->has_first = false;
	x->status = 0; /* the client gets the status of the last failure */
	exchange_acquire(x);
}

/* The attempt is over, another one follows. */
static void
exchange_give_up(struct exchange *x, const char *why)
{
	backend_count(worker_shm(x->w), x->host->row, BACKEND_RETRIES);
	exchange_note(x, why);
	exchange_tried(x);
	exchange_leave(x, false);
}

void
exchange_retry(struct exchange *x, const char *why)
{
	exchange_give_up(x, why);
	exchange_again(x);
}

/* Every host was tried and none could be connected to: that may be over in a moment. */
static void
exchange_wait_for_hosts(struct exchange *x)
{
	exchange_forget_tried(x);
	x->attempts = 0;
	x->waiter.not_before = worker_now(x->w) + EXCHANGE_AGAIN;
	exchange_again(x);
}

void
exchange_failed(struct exchange *x, enum backend_cause cause, enum term_who who,
    enum term_where where, const char *why)
{
	bool is_unconnected = where == TERM_CONNECT;
	bool can;

	if (x->state == EXCHANGE_DONE)
		return;
	if (!x->status)
		x->status = 502;
	if (cause != CAUSE_NONE) {
		bpool_failed(x->host, x->is_trial, cause, 0, why);
		x->is_trial = false;
	}
	can = is_unconnected ? x->attempts < (unsigned)x->pool_conf->retry.attempts
			     : exchange_can_retry(x);
	if (x->r->is_begun || x->answer.r || (!can && !is_unconnected)) {
		exchange_refuse(x, x->status, who, where, why);
		return;
	}
	if (can) {
		exchange_retry(x, why);
		return;
	}
	exchange_give_up(x, why);
	exchange_wait_for_hosts(x);
}

/* --- a host --- */

/* The outage is known, and too old to be waited for. */
static void
exchange_lost(struct exchange *x, uint64_t ms)
{
	backend_pool_count(worker_shm(x->w), bpool_row(x->pool), POOL_QUEUE_DOWN);
	exchange_refuse(x, 503, TERM_LOST, TERM_WAITING,
	    arena_printf(&x->r->arena, "failover.grace: every host has been down for %.1f s",
		(double)ms / 1e3)
		.p);
}

static void
exchange_taken(void *arg, struct bhost *host, enum balance_verdict v)
{
	struct exchange *x = arg;
	uint64_t ms;

	if (!host) {
		bpool_is_out(x->pool, &ms);
		exchange_lost(x, ms);
		return;
	}
	if (x->note.queue < 0)
		x->note.queue = 0;
	if (x->state == EXCHANGE_WAITING)
		x->note.queue += exchange_since(x->mark);
	x->host = host;
	x->is_trial = v == BALANCE_TRIAL;
	x->attempts++;
	x->note.attempts++;
	x->note.host = arena_str(&x->r->arena, host->name);
	backend_count(worker_shm(x->w), host->row, BACKEND_REQUESTS);
	attempt_connect(x);
}

static void
exchange_wait(struct exchange *x)
{
	uint64_t now = worker_now(x->w), ms;
	int64_t rest;

	exchange_enter(x, EXCHANGE_WAITING);
	if (bpool_is_lost(x->pool, &ms)) {
		exchange_lost(x, ms);
		return;
	}
	if (!x->wait_until)
		x->wait_until = now + (uint64_t)x->pool_conf->timeout.queue;
	if (x->wait_until <= now) {
		exchange_expired(x);
		return;
	}
	if (!bpool_wait(x->pool, &x->waiter)) {
		exchange_refuse(x, 503, TERM_QUEUE, TERM_WAITING, "the queue is full (max_queue)");
		return;
	}
	/* The deadline was set when the request began to wait for the first time. Each further wait
	   has another time remaining, and timers share a queue only when their lengths are equal:
	   so the time is rounded up. */
	rest = (int64_t)(x->wait_until - now);
	exchange_timer(x, (rest + EXCHANGE_GRAIN - 1) / EXCHANGE_GRAIN * EXCHANGE_GRAIN);
}

static void
exchange_acquire(struct exchange *x)
{
	struct bhost *host = NULL;
	enum balance_verdict v;
	unsigned n = 0;

	for (unsigned i = 0; i < x->ntried; i++) {
		int at = bpool_index(x->pool, x->tried[i]);

		if (at >= 0)
			x->tried_index[n++] = (unsigned)at;
	}
	x->waiter.ask.tried = x->tried_index;
	x->waiter.ask.ntried = n;
	if (x->waiter.not_before > worker_now(x->w) || bpool_has_queue(x->pool)) {
		exchange_wait(x);
		return;
	}
	v = bpool_acquire(x->pool, &x->waiter.ask, &host);
	if (host)
		exchange_taken(x, host, v);
	else
		exchange_wait(x);
}

/* --- life --- */

static void
exchange_ready(void *arg)
{
	struct exchange *x = arg;
	const char *why;

	if (reqbody_failed(x->body, &why)) {
		attempt_body_broke(x);
		return;
	}
	exchange_acquire(x);
}

static enum term_who
exchange_upload_who(int status)
{
	return status >= 500   ? TERM_RESOURCE
	       : status == 408 ? TERM_CLIENT_SLOW
	       : status == 413 ? TERM_PROXY
			       : TERM_CLIENT;
}

/* The files are there; what the backend is told of them takes the place of the body. */
static void
exchange_uploaded(void *arg)
{
	struct exchange *x = arg;
	const char *why;
	int status = upload_failed(x->upload, &why);
	struct str form;

	if (status) {
		exchange_refuse(x, status, exchange_upload_who(status), TERM_REQUEST, why);
		return;
	}
	x->ask.conf = upload_conf(x->upload);
	form = upload_form(x->upload);
	if (form.n == 0) {
		exchange_acquire(x);
		return;
	}
	x->body = arena_calloc(&x->r->arena, sizeof(*x->body));
	reqbody_make(x->body, x->r, form, exchange_ready, x);
}

void
exchange_part(struct exchange *x)
{
	if (x->is_trial)
		bpool_untried(x->host);
	x->is_trial = false;
	upstream_part(x->u);
	x->u = NULL;
	x->host = NULL;
}

/* Tells the backend, as far as its protocol can, that the answer is not needed any more. */
static void
exchange_abort(struct exchange *x)
{
	struct upstream *u = x->u;

	if (x->state == EXCHANGE_ANSWERING && !x->r->is_aborted && x->is_sent) {
		exchange_part(x);
		attempt_finish(u);
		return;
	}
	if (x->conf->ignore_client_abort && x->is_sent && x->state != EXCHANGE_TUNNEL) {
		exchange_part(x);
		upstream_orphan(u, (uint64_t)x->pool_conf->timeout.first_byte);
		return;
	}
	if (x->codec->abort && u->state == UPSTREAM_BUSY && body_is_empty(&u->out)) {
		x->codec->abort(u->codec, &u->out);
		upstream_flush(u);
	}
}

/* The client has closed its sending side, and nothing of the answer was sent yet: the backend has
   not answered, or the answer is held back until it is complete. Most of these clients have gone (a
   browser's user clicked elsewhere), so we give up, as other servers do, and the backend does not
   work for nobody. A client that had announced its last request (is_last: simple tools, HTTP/1.0)
   may close its sending side just to confirm that: its request goes on. If it has gone all the
   same, writing the first octet of the answer fails, and ends the request. */
static void
exchange_on_client_end(void *arg)
{
	struct exchange *x = arg;
	bool is_silent =
	    x->state < EXCHANGE_ANSWERING || (x->state == EXCHANGE_ANSWERING && !x->r->is_begun);

	if (is_silent && !x->r->is_last)
		res_abort(x->r, "the client left");
}

/* The request ends, whatever the reason. */
static void
exchange_gone(void *arg)
{
	struct exchange *x = arg;

	request_on_client_end(x->r, NULL, NULL);
	if (x->state != EXCHANGE_DONE) {
		bpool_unwait(x->pool, &x->waiter);
		if (x->u)
			exchange_abort(x);
		exchange_leave(x, false);
		timer_del(&x->total);
	}
	exchange_forget_tried(x);
	post_cancel(&x->pump);
	if (x->body)
		reqbody_fini(x->body);
	resbody_fini(&x->answer);
}

void
exchange_finish_note(struct request *r)
{
	struct exchange *x;

	if (!r->backend)
		return;
	x = container_of(r->backend, struct exchange, note);
	if (x->note.total < 0)
		x->note.total = exchange_since(x->started);
	if (r->is_aborted && x->state != EXCHANGE_TUNNEL)
		term_set(x->note.termination, TERM_CLIENT, exchange_rows[x->state].where);
	else
		term_set(x->note.termination, TERM_NOBODY, TERM_DONE);
}

/* What the choice of a host depends on, beside the hosts. */
static void
exchange_key(struct exchange *x)
{
	const struct conf_pool *conf = x->pool_conf;
	struct request *r = x->r;
	struct balance_ask *ask = &x->waiter.ask;

	if (conf->balance == BALANCE_HASH) {
		ask->has_key = true;
		ask->key = affinity_key(conf, r);
	}
	if (conf->sticky.n > 0)
		ask->sticky = affinity_host(conf, r);
}

static struct exchange *
exchange_new(struct request *r, const struct gateway_conf *conf, bool is_authorizer)
{
	struct exchange *x = arena_calloc(&r->arena, sizeof(*x));

	x->r = r;
	x->w = r->w;
	x->conf = conf;
	x->pool_conf = is_authorizer ? conf->authorizer_pool : conf->pool;
	x->pool = bpool_of(x->pool_conf);
	x->codec = codec_of(x->pool_conf->protocol);
	x->is_authorizer = is_authorizer;
	x->is_idempotent = (http_method_flags(r->method) & METHOD_IDEMPOTENT) != 0;
	x->started = worker_now_ns(x->w);
	x->timer.fn = exchange_expired;
	x->total.fn = exchange_total;
	x->waiter.fn = exchange_taken;
	x->pump.fn = attempt_pump;
	x->timer.arg = x->total.arg = x->waiter.arg = x->pump.arg = x;
	x->note.pool = x->pool_conf->name;
	x->note.queue = x->note.connect = x->note.first_byte = x->note.total = -1;
	x->ask = (struct codec_request){
		.r = r,
		.conf = conf,
		.pool = x->pool_conf,
		.script = &x->script,
		.is_authorizer = is_authorizer,
		.variables = r->backend ? r->backend->variables : NULL,
	};
	if (unlikely(r->known[HF_UPGRADE]) && x->codec != &codec_fastcgi && x->codec != &codec_ajp)
		x->ask.upgrade = tunnel_protocol(r, conf);
	r->backend = &x->note;
	arena_defer(&r->arena, exchange_gone, x);
	if (!conf->ignore_client_abort)
		request_on_client_end(r, exchange_on_client_end, x);
	return x;
}

void
exchange_start(struct request *r, const struct gateway_conf *conf, bool is_authorizer,
    const struct script *script)
{
	struct exchange *x = exchange_new(r, conf, is_authorizer);
	uint64_t ms;

	x->script = *script;
	x->waiter.ask.avoids_trial = !x->is_idempotent;
	exchange_key(x);
	backend_budget_add(worker_shm(x->w), bpool_row(x->pool), x->pool_conf);
	if (x->pool_conf->timeout.total > 0)
		timer_set(x->w, &x->total, timer_class(x->w, x->pool_conf->timeout.total));
	if (unlikely(conf->upload.directory.n > 0) && !is_authorizer && upload_is_forged(r)) {
		exchange_refuse(x, 400, TERM_CLIENT, TERM_REQUEST,
		    "a name in the query that is the server's own");
		return;
	}
	if (r->length == 0 || is_authorizer) {
		exchange_acquire(x);
		return;
	}
	/* Nobody uploads for nothing. */
	if (unlikely(bpool_is_hopeless(x->pool, &ms))) {
		exchange_lost(x, ms);
		return;
	}
	if (conf->upload.directory.n > 0) {
		x->upload = upload_start(r, conf, exchange_uploaded, x);
		return;
	}
	x->body = arena_calloc(&r->arena, sizeof(*x->body));
	reqbody_start(x->body, r, (enum gateway_request)conf->request_body, x->codec->needs_length,
	    exchange_ready, x);
}

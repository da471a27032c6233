/*
 * HTTP/1: requests in (RFC 9112). One request at a time; what the client has sent beyond it stays
 * in c->in until it is answered. Invariants: an idle connection has no struct h1; a request's
 * strings point into head_buf, which h1 holds a reference of, so that reading on never moves them,
 * or into the request's arena;
 * no function here runs under a hook of a module but want_body, interim, abort and head, and those
 * only note what is to be done and post h1_step().
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/must.h"
#include "worker/h1_bulk.h"
#include "worker/uri.h"

enum { H1_KEEP = 128, H1_FIELDS = 24, H1_AHEAD = 65536 };

static struct pool h1_pool;

static void h1_resume(struct conn *);
static void h1_active_input(struct conn *);

static void
h1_stepped(void *arg)
{
	h1_resume(((struct h1 *)arg)->c);
}

static struct h1 *
h1_new(struct conn *c)
{
	struct link *l = pool_pop(&h1_pool);
	struct h1 *h;

	if (l) {
		h = container_of(l, struct h1, link);
	} else {
		h = must_calloc(1, sizeof(*h));
		h->step.fn = h1_stepped;
		h->step.arg = h;
	}
	memset(&h->scan, 0, offsetof(struct h1, write_mark) - offsetof(struct h1, scan));
	h->r = NULL;
	h->head_buf = NULL;
	h->c = c;
	c->stream = h;
	return h;
}

static void
h1_free(struct h1 *h)
{
	post_cancel(&h->step);
	h1_bulk_end(h);
	h1_out_fini(h);
	if (h->head_buf)
		buf_put(h->head_buf);
	h->c->stream = NULL;
	if (h1_pool.n >= H1_KEEP) {
		free(h);
		return;
	}
	pool_push(&h1_pool, &h->link);
}

static void
h1_post(struct h1 *h)
{
	worker_post(h->c->w, &h->step);
}

/* --- the request body --- */

/* We have waited for the client from read_mark until now: whether it sends too slowly
   (min_rate). */
static bool
h1_is_too_slow(const struct h1 *h)
{
	const struct conf_core *core = h->r->route->core;

	return core->min_rate > 0 && h->read_ms > (uint64_t)core->min_rate_grace &&
	       h->r->received * 1000 / (int64_t)h->read_ms < core->min_rate;
}

static void
h1_body_fail(struct h1 *h, int err)
{
	bool is_wanted = h->body != H1_BODY_DISCARD;

	h->body = H1_BODY_BROKEN;
	h->keep = false;
	if (is_wanted)
		body_fail(&h->r->body, err);
}

void
h1_body_done(struct h1 *h)
{
	h->body = H1_BODY_NONE;
	h1_bulk_end(h);
	h->c->is_fast = false;
	timer_del(&h->c->timer);
	body_end(&h->r->body);
}

/* Gives a run of content octets in c->in to the handler, or drops it. */
static void
h1_body_data(struct h1 *h, const char *p, size_t n)
{
	struct conn *c = h->c;

	h->r->received += (int64_t)n;
	if (h->r->received > h->r->route->core->max_body && !h->r->is_tunnel) {
		h1_body_fail(h, EFBIG);
		return;
	}
	if (h->body != H1_BODY_READING || n == 0)
		return;
	c->in->refs++;
	body_put_buf(&h->r->body, c->in, p, n);
}

/* Octets that may still come by max_body. */
static uint64_t
h1_body_room(const struct h1 *h)
{
	int64_t max = h->r->route->core->max_body;

	return max > h->r->received ? (uint64_t)(max - h->r->received) : 0;
}

static void
h1_body_chunked(struct h1 *h)
{
	struct conn *c = h->c;
	struct request *r = h->r;
	struct str data = { NULL, 0 };
	bool done = false;
	ssize_t n;

	n = chunked_decode(&h->chunked, &r->arena, &r->trailers, c->in->data + c->in_at,
	    c->in->used - c->in_at, &data, &done);
	if (n < 0) {
		ctr_add(c->w->row, CTR_BAD_REQUESTS, 1);
		h1_body_fail(h, n == -413 ? EFBIG : EBADMSG);
		return;
	}
	if (h->body == H1_BODY_DISCARD)
		r->trailers.n = 0;
	h1_body_data(h, data.p, data.n);
	if ((h->body == H1_BODY_READING || h->body == H1_BODY_DISCARD) &&
	    chunked_announced(&h->chunked) > h1_body_room(h))
		h1_body_fail(h, EFBIG); /* a chunk that is announced is as good as come */
	conn_used(c, (size_t)n);
	if (done && h->body != H1_BODY_BROKEN)
		h1_body_done(h);
}

static void
h1_body_plain(struct h1 *h)
{
	struct conn *c = h->c;
	size_t n = c->in->used - c->in_at;

	if ((int64_t)n > h->remaining)
		n = (size_t)h->remaining;
	h1_body_data(h, c->in->data + c->in_at, n);
	h->remaining -= (int64_t)n;
	conn_used(c, n);
	if (h->remaining == 0 && h->body != H1_BODY_BROKEN)
		h1_body_done(h);
}

static bool
h1_body_is_open(const struct h1 *h)
{
	return h->body == H1_BODY_DISCARD ||
	       (h->body == H1_BODY_READING && !body_is_full(&h->r->body));
}

/* Moves what has come of the body from c->in to where it belongs. */
static void
h1_body_feed(struct h1 *h)
{
	/* The handler is done with it: it has given it up, or the request has become another one.
	 */
	if (h->body == H1_BODY_READING && h->r->body.state != BODY_OPEN)
		h->body = H1_BODY_DISCARD;
	while (h->c->in && h1_body_is_open(h)) {
		if (h->is_chunked)
			h1_body_chunked(h);
		else
			h1_body_plain(h);
	}
	if (!h->c->is_eof || h->c->in || !h1_body_is_open(h))
		return;
	if (h->r->is_tunnel)
		h1_body_done(h);
	else
		h1_body_fail(h, ECONNRESET);
}

static void
h1_body_space(void *arg)
{
	struct h1 *h = arg;

	h->read_mark = h->c->w->now;
	/* While a body comes fast, more of it is usually there already: it is read at once. Other
	   connections get their turn after a few rounds of notices. */
	if (unlikely(h->c->is_fast) && h->c->state == CONN_ACTIVE && !h->c->in && !h->c->is_eof)
		h1_active_input(h->c);
	else
		h1_resume(h->c);
}

static void
h1_want_body(struct request *r)
{
	struct h1 *h = r->stream;

	if (h->body != H1_BODY_WAITING)
		return;
	h->body = H1_BODY_READING;
	h->read_mark = h->c->w->now;
	/* RFC 9110 10.1.1: no 100 when some of the body is already here. */
	if (h->expects_continue && !h->c->in && !r->is_begun)
		h1_out_interim(r, 100, NULL);
	h->expects_continue = false;
	body_on_space(&r->body, h1_body_space, h);
	h1_post(h);
}

/* From here on both bodies are raw octets of the tunnel; what the client sent right behind its head
   belongs to them already. */
void
h1_tunnel(struct h1 *h)
{
	must(h->body == H1_BODY_NONE);
	h->body = H1_BODY_READING;
	h->is_chunked = false;
	h->remaining = INT64_MAX;
	body_on_space(&h->r->body, h1_body_space, h);
}

/* --- the head --- */

static void
h1_limits(const struct conn *c, struct h1_limits *lim)
{
	const struct conf_core *core = conn_core(c);

	lim->line = (uint32_t)core->max_line;
	lim->head = (uint32_t)core->max_head;
	lim->fields = (uint32_t)core->max_fields;
}

/* A request that fits the connection, with room for the usual number of fields. */
static inline __attribute__((always_inline)) struct request *
h1_request(struct h1 *h)
{
	struct conn *c = h->c;
	struct request *r = request_new(c->w, &proto_h1, h);

	h->r = r;
	h->head_buf = c->in;
	c->in->refs++;
	r->listen = c->listen;
	r->peer = c->peer;
	r->via = c->via;
	r->is_tls = c->is_tls;
	r->version = HTTP_11;
	return r;
}

static void
h1_refuse(struct h1 *h, int status, const char *why)
{
	struct conn *c = h->c;

	ctr_add(c->w->row, status == 408 ? CTR_TIMEOUTS : CTR_BAD_REQUESTS, 1);
	h->is_stepping = true;
	h->keep = false;
	h->body = H1_BODY_BROKEN;
	request_refuse(h->r, status, why);
	h1_step(h);
}

/* A request of which nothing is known but perhaps that it is a HEAD. */
static void
h1_unknown(struct h1 *h, bool is_head)
{
	struct request *r = h->r;

	r->method = is_head ? M_HEAD : M_GET;
	r->method_name = is_head ? STR("HEAD") : STR("-");
	r->target = r->path = r->raw_path = STR("-");
}

/* The octets are no acceptable head. */
static __attribute__((noinline)) void
h1_bad(struct h1 *h, int status, const char *why)
{
	struct conn *c = h->c;

	h1_request(h);
	h1_unknown(h, h1_says_head(c->in->data + c->in_at, c->in->used - c->in_at));
	h1_refuse(h, status, why);
}

/* The request's host, port and site, from a Host field that h1_parse() found well-formed. The
   result is kept for the next request, which mostly has the same field. */
static void
h1_authority(struct request *r, const struct h1_head *head)
{
	struct worker *w = r->w;
	struct authority *a = &w->authority;
	struct str text = head->authority;

	r->host = head->host;
	r->port = head->port;
	if (likely(head->is_seen && a->listen == r->listen)) {
		r->site = a->site;
		return;
	}
	r->site = conf_site(w->conf, r->listen, r->host);
	if (text.n > sizeof(a->text) || head->host.p != text.p)
		return;
	a->n = (uint8_t)text.n;
	a->host_n = (uint8_t)head->host.n;
	a->port = head->port;
	a->listen = r->listen;
	a->site = r->site;
	memcpy(a->text, text.p, text.n);
}

/* What the head says, to the request. Returns 0 or a status. */
static int
h1_fill(struct h1 *h, const struct h1_head *head, const char **why)
{
	struct request *r = h->r;
	struct uri uri;
	int status;

	r->method = head->method;
	r->method_name = head->method_name;
	r->version = head->version;
	r->target = head->target;
	r->in = head->fields;
	r->length = head->length;
	h->keep = head->keep_alive;
	r->is_last = !head->keep_alive;
	h->is_chunked = head->is_chunked;
	h->remaining = head->length;
	h->expects_continue = head->expects_continue;
	h->body = head->is_chunked || head->length > 0 ? H1_BODY_WAITING : H1_BODY_NONE;
	if (h->body == H1_BODY_NONE)
		r->body.state = BODY_ENDED;
	status = uri_parse(head->target, head->method, &r->arena, &uri);
	if (status) {
		*why = "malformed target";
		return status;
	}
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	if (uri.host.n > 0) { /* absolute-form: the target's authority counts (RFC 9112 3.2.2) */
		r->host = uri.host;
		r->port = uri.port;
	} else if (head->authority.n > 0) {
		h1_authority(r, head);
	}
	if (r->port == 0)
		r->port = (uint16_t)r->listen->port;
	if (head->method == M_CONNECT) {
		*why = "CONNECT is not offered";
		return 501;
	}
	return 0;
}

static void
h1_move_str(struct str *s, const char *from, size_t n, const char *to)
{
	if ((uintptr_t)s->p - (uintptr_t)from < n)
		s->p = to + (s->p - from);
}

/* When a request will wait for more octets, copies its head to the request's arena: the block that
   it is in is many times as large, and is free again then. */
static void
h1_move_head(struct h1 *h, struct h1_head *head, const char *from, size_t n)
{
	char *to = arena_alloc(&h->r->arena, n);

	memcpy(to, from, n);
	h1_move_str(&head->method_name, from, n, to);
	h1_move_str(&head->target, from, n, to);
	h1_move_str(&head->authority, from, n, to);
	h1_move_str(&head->host, from, n, to);
	for (unsigned i = 0; i < head->fields.n; i++) {
		h1_move_str(&head->fields.v[i].name, from, n, to);
		h1_move_str(&head->fields.v[i].value, from, n, to);
	}
	buf_put(h->head_buf);
	h->head_buf = NULL;
}

/* A complete head of n octets, skip of them before the request line. */
static void
h1_begin(struct h1 *h, const struct h1_limits *lim, size_t n, size_t skip)
{
	struct conn *c = h->c;
	struct request *r = h1_request(h);
	const struct authority *a = &c->w->authority;
	struct h1_head head;
	const char *begin = c->in->data + c->in_at + skip, *why = NULL;
	int status;

	head.known = r->known;
	head.seen = str_n(a->text, a->n);
	head.seen_host_n = a->host_n;
	head.seen_port = a->port;
	head.fields.v = arena_alloc(&r->arena, H1_FIELDS * sizeof(*head.fields.v));
	head.fields.room = H1_FIELDS;
	status = h1_parse(&head, lim, &r->arena, begin, n - skip, &why);
	if (unlikely(head.length != 0 || head.has_upgrade) &&
	    !(head.length > 0 && head.length <= (int64_t)(c->in->used - c->in_at - n)))
		h1_move_head(h, &head, begin, n - skip);
	if (unlikely(status != 0))
		h1_unknown(h, h1_says_head(begin, n - skip));
	conn_used(c, n);
	c->nrequests++;
	h->is_stepping = true;
	if (status == 0)
		status = -h1_fill(h, &head, &why);
	else
		r->in = head.fields;
	if (unlikely(status < 0)) {
		h1_refuse(h, -status, why);
		return;
	}
	request_start(r);
	h1_step(h);
}

/* Takes requests out of c->in, until it must wait for more octets or for an answer. */
static void
h1_process(struct conn *c)
{
	struct h1_limits lim;

	h1_limits(c, &lim);
	while (c->in && (c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_NEW)) {
		struct h1 *h = c->stream ? c->stream : h1_new(c);
		size_t skip = 0;
		ssize_t n =
		    h1_scan(&h->scan, &lim, c->in->data + c->in_at, c->in->used - c->in_at, &skip);

		if (n == 0) {
			if (c->is_eof) {
				conn_close(c, CONN_BY_CLIENT);
				return;
			}
			if (c->state != CONN_HEAD)
				conn_enter(c, CONN_HEAD, NULL);
			break;
		}
		if (n < 0) {
			h1_bad(h, (int)-n, h->scan.why);
			continue;
		}
		h1_begin(h, &lim, (size_t)n, skip);
	}
	if (c->state == CONN_DEAD || c->state == CONN_LINGER || c->state == CONN_ACTIVE)
		return;
	if (c->is_eof && !c->in) {
		conn_close(c, CONN_BY_CLIENT);
		return;
	}
	if (c->state == CONN_NEW)
		conn_enter(c, CONN_HEAD, NULL);
	conn_read_on(c);
}

/* --- steps --- */

/* The answer is sent: the next request, or the end. */
static void
h1_done(struct h1 *h)
{
	struct conn *c = h->c;
	bool keep = h->keep && !h->is_cut;
	bool has_rest = h->body != H1_BODY_NONE || c->in;
	struct request *r = h->r;

	h->r = NULL;
	request_end(r, false);
	h1_free(h);
	if (likely(keep)) {
		conn_idle(c);
		return;
	}
	if (has_rest)
		conn_linger(c);
	else
		conn_close(c, CONN_BY_DONE);
}

void
h1_cut_short(struct h1 *h)
{
	struct conn *c = h->c;
	struct request *r = h->r;

	h->r = NULL;
	request_end(r, true);
	h1_free(h);
	conn_linger(c);
}

/* Whether to read from the socket while a request is under way: for the request's body, as long as
   it comes; otherwise a little ahead, to notice that the client has closed the connection or has
   sent its next request early (pipelining). */
static bool
h1_wants_input(const struct h1 *h)
{
	const struct conn *c = h->c;

	if (h->body == H1_BODY_READING || h->body == H1_BODY_DISCARD)
		return h1_body_is_open(h);
	return !c->in || c->in->used - c->in_at < H1_AHEAD / 4;
}

/* Reading is not switched off as soon as it is not wanted: mostly it is wanted again before any
   octet arrives. h1_active_input() switches it off when octets do arrive. */
static void
h1_read_interest(struct h1 *h)
{
	struct conn *c = h->c;

	if (c->is_eof)
		conn_read_off(c);
	else if (h1_wants_input(h))
		conn_read_on(c);
	if (h1_body_is_open(h) && !c->is_eof && !h->r->is_tunnel)
		timer_set(c->w, &c->timer, timer_class(c->w, h->r->route->core->timeout_body));
	else
		timer_del(&c->timer);
}

/* The request was answered before all of its body was read. The answer's head has said whether the
   connection stays open (out_keeps()). If it does, the rest of the body is read and dropped, within
   max_body and the timeouts of a body, because the next request may follow it. True: there is
   nothing more to wait for. */
static bool
h1_rest_is_here(struct h1 *h)
{
	if (h->body == H1_BODY_NONE || !h->keep)
		return true;
	if (h->body == H1_BODY_WAITING)
		h->read_mark = h->c->w->now;
	if (h->body == H1_BODY_WAITING || h->body == H1_BODY_READING)
		h->body = H1_BODY_DISCARD;
	h1_body_feed(h);
	return h->body == H1_BODY_NONE || h->body == H1_BODY_BROKEN;
}

/* Our side of a tunnel has ended and all of it is sent: shuts our sending side down, once. True
   when the client's side has ended too, or when nobody reads it any more: lingering drops what
   still comes. */
static bool
h1_tunnel_is_over(struct h1 *h)
{
	if (h->body != H1_BODY_READING)
		return true;
	if (!h->is_shut)
		h->c->transport->shutdown(h->c);
	h->is_shut = true;
	return false;
}

void
h1_step(struct h1 *h)
{
	struct conn *c = h->c;
	bool is_done = false;

	if (likely(h->body == H1_BODY_NONE) && likely(h1_out_whole(h))) {
		h1_done(h);
		return;
	}
	h->is_stepping = false;
	if (h->body == H1_BODY_READING || h->body == H1_BODY_DISCARD)
		h1_body_feed(h);
	if (unlikely(c->is_eof) && h->body == H1_BODY_NONE && !c->in && !h->r->is_half_closed &&
	    !h->r->is_tunnel) {
		h->r->is_half_closed = true;
		if (h->r->client_end.fn)
			worker_post(c->w, &h->r->client_end);
	}
	if (!h1_out_flush(h, &is_done))
		return;
	if (is_done && (h->r->is_tunnel ? h1_tunnel_is_over(h) : h1_rest_is_here(h))) {
		h1_done(h);
		return;
	}
	/* Only a request that is not over at once makes its connection an active one. */
	if (c->state != CONN_ACTIVE)
		conn_enter(c, CONN_ACTIVE, NULL);
	h1_read_interest(h);
	if (!is_done)
		h1_out_wait(h);
}

/* Something happened outside of h1_process(): go on, then take what is pipelined. */
static void
h1_resume(struct conn *c)
{
	if (c->stream)
		h1_step(c->stream);
	if (c->state == CONN_IDLE)
		h1_process(c);
}

static void
h1_active_input(struct conn *c)
{
	struct h1 *h = c->stream;
	uint64_t now = c->w->now;
	ssize_t n;

	if (!h1_wants_input(h)) {
		conn_read_off(c);
		return;
	}
	n = unlikely(c->is_fast) ? h1_bulk_fill(h) : conn_fill(c);
	if (n < 0)
		return;
	if (h->body == H1_BODY_READING || h->body == H1_BODY_DISCARD) {
		h1_bulk_came(h, n);
		h->read_ms += now - h->read_mark;
		h->read_mark = now;
		if (unlikely(h1_is_too_slow(h)) && !h->r->is_tunnel) {
			conn_close(c, CONN_BY_RATE);
			return;
		}
	}
	h1_resume(c);
}

static void
h1_input(struct conn *c)
{
	if (unlikely(c->state == CONN_ACTIVE)) {
		h1_active_input(c);
		return;
	}
	if (conn_fill(c) < 0)
		return;
	if (unlikely(!c->in)) {
		if (c->is_eof)
			conn_close(c, CONN_BY_CLIENT);
		else
			conn_read_on(c);
		return;
	}
	h1_process(c);
}

static void
h1_open(struct conn *c)
{
	/* The first octets have often come with the handshake: one read saves a turn of the loop.
	 */
	h1_input(c);
	if (c->state == CONN_NEW)
		conn_enter(c, CONN_HEAD, NULL);
}

static void
h1_output(struct conn *c)
{
	h1_resume(c);
}

static void
h1_abort(struct request *r)
{
	struct h1 *h = r->stream;

	h->is_cut = true;
	h->keep = false;
	h1_post(h);
}

static void
h1_expired(struct conn *c)
{
	struct h1 *h = c->stream;

	if (c->state != CONN_ACTIVE) {
		/* RFC 9110 15.5.9: a head was begun and not finished. A connection that never sent
		   an octet just ends. */
		if (h && c->in) {
			h1_bad(h, 408, "request head too slow");
			return;
		}
		conn_close(c, CONN_BY_HEAD_TIMEOUT);
		return;
	}
	/* Fails the body, so that the handler that reads it answers 408 (RFC 9110 15.5.9): only the
	   handler can stop the work that it has begun. */
	if (!h->r->is_begun && h->body == H1_BODY_READING) {
		ctr_add(c->w->row, CTR_TIMEOUTS, 1);
		h1_body_fail(h, ETIMEDOUT);
		h1_step(h);
		return;
	}
	conn_close(c, CONN_BY_BODY_TIMEOUT);
}

static void
h1_drain(struct conn *c)
{
	c->is_draining = true;
}

static void
h1_close(struct conn *c)
{
	struct h1 *h = c->stream;
	struct request *r;

	if (!h)
		return;
	r = h->r;
	h->r = NULL;
	if (r)
		request_end(r, true);
	h1_free(h);
}

static const struct peer *
h1_local(struct request *r)
{
	const struct h1 *h = r->stream;

	return conn_local(h->c);
}

const struct proto proto_h1 = {
	.name = "http/1",
	.open = h1_open,
	.input = h1_input,
	.output = h1_output,
	.head = h1_out_head,
	.interim = h1_out_interim,
	.want_body = h1_want_body,
	.local = h1_local,
	.abort = h1_abort,
	.drain = h1_drain,
	.expired = h1_expired,
	.close = h1_close,
};

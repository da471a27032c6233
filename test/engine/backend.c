/* Backends of schedules: see peer.h. Requests are read again from their beginning at each look:
   simple, and nothing that the tests test. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/must.h"
#include "common/config/conf_pool.h"
#include "test/engine/peer.h"

struct ask asks[PEER_ASKS];
unsigned nasks;

enum { PEER_OCTETS = 1 << 21 };

const char *
peer_octets(unsigned id)
{
	static char v[PEER_OCTETS + 256];

	if (!v[0])
		for (unsigned i = 0; i < sizeof(v); i++)
			v[i] = (char)('a' + (i * 7 + (i >> 8) * 3 + (i >> 16)) % 26);
	return v + id % 256;
}

struct backend *
backend_of(struct vsock *s, int protocol)
{
	struct backend *b = s->peer;

	if (b)
		return b;
	b = must_calloc(1, sizeof(*b));
	b->s = s;
	b->protocol = protocol;
	s->peer = b;
	return b;
}

void
backend_free(struct backend *b)
{
	text_free(&b->plan);
	free(b);
}

/* --- what has come --- */

/* A request as it is so far. */
struct seen {
	bool has_head, is_ended, is_ping;
	unsigned id;
	struct text body;
	size_t n; /* octets that it takes, when it has ended */
};

static unsigned
be(const char *p, int n)
{
	unsigned v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* The number stands behind "/app/", and a dot behind it. */
static bool
seen_id(struct seen *q, const char *p, size_t n)
{
	const char *at = n ? memmem(p, n, "/app/", 5) : NULL;

	if (!at)
		return false;
	q->id = (unsigned)strtoul(at + 5, NULL, 10);
	vnet_check(q->id < nasks, "a backend is asked for %u, which nobody asked for", q->id);
	q->has_head = true;
	return true;
}

/* The rest is a body as long as the client's. */
static void
seen_rest(struct seen *q, const char *p, size_t n)
{
	size_t length = asks[q->id].length;

	text_add(&q->body, p, n < length ? n : length);
	q->is_ended = n >= length;
	q->n += n < length ? n : length;
}

static void
seen_chunks(struct seen *q, const char *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		const char *eol = n > at ? memmem(p + at, n - at, "\r\n", 2) : NULL;
		size_t len;

		if (!eol)
			return;
		len = strtoul(p + at, NULL, 16);
		at = (size_t)(eol - p) + 2;
		if (n - at < len + 2) {
			text_add(&q->body, p + at, n - at < len ? n - at : len);
			return;
		}
		text_add(&q->body, p + at, len);
		at += len + 2;
		if (len == 0) {
			q->is_ended = true;
			q->n += at;
			return;
		}
	}
}

static void
seen_http(struct seen *q, const char *p, size_t n)
{
	const char *end = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	size_t head;

	if (!end)
		return;
	head = (size_t)(end - p) + 4;
	vnet_check(seen_id(q, p, head), "a head without a path: %.*s", (int)head, p);
	q->n = head;
	if (memmem(p, head, "Transfer-Encoding: chunked", 26))
		seen_chunks(q, p + head, n - head);
	else
		seen_rest(q, p + head, n - head);
}

static void
seen_scgi(struct seen *q, const char *p, size_t n)
{
	const char *colon = n ? memchr(p, ':', n) : NULL;
	size_t len, head;

	if (!colon)
		return;
	len = strtoul(p, NULL, 10);
	head = (size_t)(colon - p) + 1 + len + 1;
	if (n < head)
		return;
	vnet_check(p[head - 1] == ',' && seen_id(q, p, head), "not SCGI");
	q->n = head;
	seen_rest(q, p + head, n - head);
}

static void
seen_fastcgi(struct seen *q, const char *p, size_t n)
{
	struct text params = { 0 };
	size_t at = 0;

	while (n - at >= 8 && n - at >= 8 + be(p + at + 4, 2) + be(p + at + 6, 1)) {
		unsigned type = be(p + at + 1, 1), len = be(p + at + 4, 2);
		const char *data = p + at + 8;

		vnet_check(p[at] == 1, "not FastCGI");
		at += 8 + len + be(p + at + 6, 1);
		if (type == 9) {
			q->is_ping = q->is_ended = true;
		} else if (type == 4 && len > 0) {
			text_add(&params, data, len);
		} else if (type == 4) {
			vnet_check(seen_id(q, params.p, params.n), "no path in the environment");
		} else if (type == 5 && len > 0) {
			text_add(&q->body, data, len);
		} else if (type == 5) {
			q->is_ended = true;
		}
		if (q->is_ended)
			break;
	}
	q->n = at;
	text_free(&params);
}

static void
seen_ajp(struct seen *q, const char *p, size_t n)
{
	size_t at = 0;

	while (n - at >= 4 && n - at >= 4 + be(p + at + 2, 2) && !q->is_ended) {
		unsigned len = be(p + at + 2, 2);
		const char *data = p + at + 4;

		vnet_check(be(p + at, 2) == 0x1234, "not AJP");
		at += 4 + len;
		if (!q->has_head && len == 1 && data[0] == 10) {
			q->is_ping = q->is_ended = true;
		} else if (!q->has_head) {
			vnet_check(data[0] == 2 && seen_id(q, data, len), "not a request of AJP");
			q->is_ended = asks[q->id].length == 0;
		} else if (len > 2) {
			text_add(&q->body, data + 2, len - 2);
			q->is_ended = q->body.n >= asks[q->id].length;
		} else {
			q->is_ended = true;
		}
	}
	q->n = at;
}

/* --- the answer --- */

static void
plan_head(struct backend *b, int status, const char *fields)
{
	if (b->protocol == POOL_HTTP)
		text_printf(&b->plan, "HTTP/1.1 %d Fine\r\n%s\r\n", status, fields);
	else
		text_printf(&b->plan, "Status: %d Fine\r\n%s\r\n", status, fields);
}

static void
record(struct text *t, int type, const char *p, size_t n)
{
	char head[8] = { 1, (char)type, 0, 1, (char)(n >> 8), (char)n, 0, 0 };

	text_add(t, head, sizeof(head));
	text_add(t, p, n);
}

/* What was planned so far as records, and their end. */
static void
plan_fastcgi(struct backend *b)
{
	struct text plain = b->plan;
	size_t at = 0;

	b->plan = (struct text){ 0 };
	if (vnet_random(10) == 0)
		record(&b->plan, 7, "oh dear\n", 8);
	while (at < plain.n) {
		size_t n = 1 + vnet_random(30000);

		n = n < plain.n - at ? n : plain.n - at;
		record(&b->plan, 6, plain.p + at, n);
		at += n;
	}
	record(&b->plan, 6, "", 0);
	record(&b->plan, 3, "\0\0\0\0\0\0\0\0", 8);
	text_free(&plain);
}

static void
packet(struct text *t, const void *p, size_t n)
{
	char head[4] = { 'A', 'B', (char)(n >> 8), (char)n };

	text_add(t, head, sizeof(head));
	text_add(t, p, n);
}

static void
packet_str(struct text *t, const char *s)
{
	size_t n = strlen(s);
	char len[2] = { (char)(n >> 8), (char)n };

	text_add(t, len, 2);
	text_add(t, s, n + 1);
}

static void
plan_ajp(struct backend *b, int status, size_t length, bool has_length)
{
	struct text head = { 0 };
	char n[32], first[3] = { 4, (char)(status >> 8), (char)status };
	char two[2] = { 0, (char)(has_length ? 2 : 1) };

	text_add(&head, first, 3);
	packet_str(&head, "Fine");
	text_add(&head, two, 2);
	snprintf(n, sizeof(n), "%zu", length);
	packet_str(&head, "X-Len");
	packet_str(&head, n);
	if (has_length)
		packet_str(&head, "Content-Length");
	if (has_length)
		packet_str(&head, n);
	packet(&b->plan, head.p, head.n);
	if (asks[b->id].method == M_HEAD || status == 204 || status == 304)
		length = 0;
	for (size_t at = 0; at < length;) {
		size_t part = 1 + vnet_random(8000);

		part = part < length - at ? part : length - at;
		head.n = 0;
		text_add(&head, (char[]){ 3, (char)(part >> 8), (char)part }, 3);
		text_add(&head, peer_octets(b->id) + at, part);
		text_add(&head, "", 1);
		packet(&b->plan, head.p, head.n);
		at += part;
	}
	packet(&b->plan, "\5\1", 2);
	text_free(&head);
}

static size_t
plan_length(void)
{
	static const size_t most[] = { 1, 10, 200, 5000, 70000, 1500000 };

	return vnet_random((unsigned)most[vnet_random(6)]);
}

static void
plan_chunks(struct text *t, const char *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t part = 1 + vnet_random(20000);

		part = part < n - at ? part : n - at;
		text_printf(t, "%zx\r\n", part);
		text_add(t, p + at, part);
		text_add(t, "\r\n", 2);
		at += part;
	}
	text_add(t, "0\r\n\r\n", 5);
}

/* Head and content, over HTTP or as CGI programs do. */
static void
plan_plain(struct backend *b, int status, size_t length, const char *more)
{
	bool is_http = b->protocol == POOL_HTTP;
	bool has_none = asks[b->id].method == M_HEAD || status == 204 || status == 304;
	unsigned framing = status == 204 ? 3 : vnet_random(is_http ? 3 : 2);
	char fields[256];
	int n = snprintf(fields, sizeof(fields), "X-Len: %zu\r\n%s", length, more);

	if (framing == 0 || (b->protocol == POOL_SCGI && status != 204))
		snprintf(fields + n, sizeof(fields) - (size_t)n, "Content-Length: %zu\r\n", length);
	else if (framing == 2)
		snprintf(fields + n, sizeof(fields) - (size_t)n, "Transfer-Encoding: chunked\r\n");
	plan_head(b, status, fields);
	if (framing == 2 && !has_none)
		plan_chunks(&b->plan, peer_octets(b->id), length);
	else if (!has_none)
		text_add(&b->plan, peer_octets(b->id), length);
	if (b->protocol == POOL_SCGI || (is_http && framing == 1 && !has_none))
		b->after = PEER_ENDS;
	b->is_open_ended = is_http && framing == 1;
}

static void
plan_answer(struct backend *b)
{
	static const int statuses[] = { 500, 503, 503, 502, 404, 204, 304, 200 };
	int status = vnet_random(4) ? 200 : statuses[vnet_random(8)];
	size_t length = plan_length();
	const char *more = status == 503 && vnet_random(2) ? "Retry-After: 1\r\n" : "";

	if (b->is_good) {
		status = 200;
		length = 5;
	}
	b->after = PEER_STAYS;
	if (b->protocol == POOL_HTTP && !b->is_good && vnet_random(12) == 0)
		text_printf(&b->plan, "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n");
	if (b->protocol == POOL_AJP)
		plan_ajp(b, status, length, vnet_random(2));
	else
		plan_plain(b, status, length, more);
	if (b->protocol == POOL_FASTCGI)
		plan_fastcgi(b);
}

static void
plan_upgrade(struct backend *b)
{
	text_printf(
	    &b->plan, "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	text_add(&b->plan, peer_octets(b->id), plan_length());
	b->after = vnet_random(2) ? PEER_ENDS : PEER_STAYS;
}

/* Something goes wrong in the middle. */
static void
plan_spoil(struct backend *b)
{
	switch (vnet_random(8)) {
	case 0: /* nothing at all */
		b->plan.n = 0;
		b->after = PEER_STAYS;
		return;
	case 1:
		b->plan.n = 0;
		text_printf(&b->plan, "\r\n%c%c nonsense \r\n", 1, 2);
		return;
	case 2: /* silence from there on */
		b->plan.n = vnet_random((unsigned)b->plan.n + 1);
		b->after = PEER_STAYS;
		return;
	default:
		b->plan.n = vnet_random((unsigned)b->plan.n + 1);
		b->after = b->is_open_ended || vnet_random(2) ? PEER_RESETS : PEER_GOES;
	}
}

static void
backend_plan(struct backend *b)
{
	b->is_planned = true;
	if (asks[b->id].is_upgrade && b->protocol == POOL_HTTP && !b->is_good && vnet_random(4))
		plan_upgrade(b);
	else
		plan_answer(b);
	if (!b->is_good && vnet_random(6) == 0)
		plan_spoil(b);
	vnet_trace("host %u will answer %u with %zu octets, then %d", b->s->host, b->id, b->plan.n,
	    b->after);
}

/* --- looking, speaking --- */

static void
backend_answer_ping(struct backend *b)
{
	if (b->protocol == POOL_AJP)
		packet(&b->plan, "\11", 1);
	else
		record(&b->plan, 10, "", 0);
	b->is_planned = true;
	b->after = PEER_STAYS;
}

static void
backend_compare(const struct backend *b, const struct seen *q)
{
	vnet_check(q->body.n <= asks[q->id].length &&
		       memcmp(q->body.p ? q->body.p : "", peer_octets(q->id), q->body.n) == 0,
	    "the body of %u is not the client's", q->id);
	if (q->is_ended)
		vnet_check(q->body.n == asks[q->id].length,
		    "the body of %u ends after %zu of %zu octets", q->id, q->body.n,
		    asks[q->id].length);
	(void)b;
}

/* AJP: the container asks for each packet but the first. */
static void
backend_want(struct backend *b, size_t got)
{
	if (b->protocol != POOL_AJP || b->is_whole || (got == b->got && b->wants_more))
		return;
	if (got > 0 && got > b->got) {
		vsock_say(b->s, "AB\0\3\6\37\372", 7);
		b->wants_more = true;
	}
}

void
backend_look(struct backend *b)
{
	static void (*const readers[])(struct seen *, const char *, size_t) = {
		[POOL_HTTP] = seen_http,
		[POOL_FASTCGI] = seen_fastcgi,
		[POOL_SCGI] = seen_scgi,
		[POOL_AJP] = seen_ajp,
	};
	const struct text *out = &b->s->out;
	struct seen q = { 0 };

	if (b->s->is_ended || (b->is_whole && b->is_planned) || out->n == b->seen)
		return;
	readers[b->protocol](&q, out->p + b->begin, out->n - b->begin);
	b->seen = out->n;
	if (q.is_ping) {
		backend_answer_ping(b);
		b->is_whole = true;
		b->begin += q.n;
	} else if (q.has_head) {
		if (!asks[q.id].is_upgrade)
			backend_compare(b, &q);
		b->id = q.id;
		b->is_asked = b->has_served = true;
		b->is_whole = q.is_ended;
		if (!b->is_planned && (q.is_ended || (!b->is_good && vnet_random(20) == 0)))
			backend_plan(b);
		if (!b->is_planned)
			backend_want(b, q.body.n);
		b->got = q.body.n;
		if (q.is_ended)
			b->begin += q.n;
	}
	text_free(&q.body);
}

/* The answer is said: the next request, or the end. */
static void
backend_next(struct backend *b)
{
	struct vsock *s = b->s;

	switch (b->after) {
	case PEER_ENDS:
		if (vnet_random(2))
			vsock_end(s);
		else
			vsock_go(s);
		return;
	case PEER_GOES:
		vsock_go(s);
		return;
	case PEER_RESETS:
		vsock_fail(s, ECONNRESET);
		return;
	case PEER_STAYS:
		break;
	}
	if (!b->is_whole)
		return; /* it was early: the rest of the request is still to come */
	b->is_asked = b->is_whole = b->is_planned = b->wants_more = false;
	b->plan.n = b->plan_at = b->got = 0;
	b->seen = b->begin;
}

void
backend_speak(struct backend *b, bool all)
{
	static const unsigned most[] = { 2, 100, 20000, 1 << 21 };
	size_t left = b->plan.n - b->plan_at, n = left;

	if (!b->is_planned || b->s->is_ended)
		return;
	if (!all)
		n = vnet_random(most[vnet_random(4)]);
	n = n < left ? n : left;
	vsock_say(b->s, b->plan.p + b->plan_at, n);
	b->plan_at += n;
	if (b->plan_at == b->plan.n)
		backend_next(b);
}

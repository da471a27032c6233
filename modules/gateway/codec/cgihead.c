/*
 * See cgihead.h. The end of a head is found by looking at the octets only, so that it does not
 * matter how they arrive; the head is copied to the arena once (when it comes as a whole), and
 * taken apart there. What is not a valid head is an error: an application that dies with a message
 * on its standard output must not be taken for a page.
 */
#include "common/base/must.h"
#include "common/base/octets.h"
#include "modules/gateway/codec/cgihead.h"

enum cgihead_phase { CGIHEAD_HEAD, CGIHEAD_BODY, CGIHEAD_END, CGIHEAD_BROKEN };
enum cgihead_line { LINE_EMPTY, LINE_CR, LINE_TEXT };
enum { CGIHEAD_ROOM = 1024, CGIHEAD_INTERIMS = 32, CGIHEAD_FIELDS = 1000 };

static enum codec_event
cgihead_fail(struct cgihead *h, struct codec_response *res, const char *why)
{
	h->phase = CGIHEAD_BROKEN;
	res->why = why;
	return CODEC_ERROR;
}

/* --- where it ends --- */

/* How many of n octets belong to the head; *done: its empty line is among them. */
static size_t
cgihead_measure(struct cgihead *h, const char *in, size_t n, bool *done)
{
	const char *p = in, *end = in + n;

	*done = false;
	while (p < end) {
		if (h->line == LINE_TEXT) {
			p = octets_find(p, end, '\n');
			if (p == end)
				break;
			h->line = LINE_EMPTY;
		} else if (*p == '\n') {
			*done = true;
			return (size_t)(p + 1 - in);
		} else {
			h->line = *p == '\r' && h->line == LINE_EMPTY ? LINE_CR : LINE_TEXT;
		}
		p++;
	}
	return n;
}

static void
cgihead_keep(struct cgihead *h, struct arena *a, const char *in, size_t n, bool done)
{
	if (h->head_n + n > h->room) {
		size_t room = done ? h->head_n + n : 2 * (h->head_n + n) + CGIHEAD_ROOM;
		char *head = arena_alloc(a, room);

		if (h->head_n > 0)
			memcpy(head, h->head, h->head_n);
		h->head = head;
		h->room = (uint32_t)room;
	}
	memcpy(h->head + h->head_n, in, n);
	h->head_n += (uint32_t)n;
}

/* --- what it says --- */

/* RFC 9112 4 and RFC 3875 6.3.3: three digits, then nothing or a space and a text. */
static bool
cgihead_status(struct str s, int *status)
{
	unsigned code = 0;

	if (s.n < 3 || (s.n > 3 && s.p[3] != ' '))
		return false;
	for (int i = 0; i < 3; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9)
			return false;
		code = code * 10 + digit;
	}
	*status = (int)code;
	return code >= 100 && code <= 599;
}

/* "HTTP/1.1 200 OK": any version, for what follows is ours to say. */
static const char *
cgihead_status_line(struct codec_response *res, struct str line)
{
	ptrdiff_t space = str_find(line, ' ');
	size_t at = space < 0 ? line.n : (size_t)space + 1;

	if (!cgihead_status(str_n(line.p + at, line.n - at), &res->status))
		return "a status line without a status";
	return http_is_field_value(line) ? NULL : "a control character in the status line";
}

static const char *
cgihead_length(struct codec_response *res, struct str value)
{
	uint64_t n;

	if (!str_to_u64(value, INT64_MAX, &n))
		return "Content-Length is no number";
	if (res->length >= 0 && res->length != (int64_t)n)
		return "Content-Length twice"; /* RFC 9110 8.6 */
	res->length = (int64_t)n;
	return NULL;
}

/* What is said between two hops only. */
static const bool cgihead_hops[HF_MAX] = {
	[HF_CONNECTION] = true,
	[HF_KEEP_ALIVE] = true,
	[HF_PROXY_CONNECTION] = true,
	[HF_TE] = true,
	[HF_TRAILER] = true,
	[HF_UPGRADE] = true,
};

static const char *
cgihead_field(struct cgihead *h, struct codec_response *res, struct str line, int *status)
{
	struct field f;
	const char *why = http_field_line(line, &f);

	if (why)
		return why;
	if (!http_is_field_value(f.value))
		return "a control character in a field";
	if (f.id == HF_CONTENT_LENGTH)
		return cgihead_length(res, f.value);
	if (f.id == HF_TRANSFER_ENCODING) {
		h->is_chunked = str_caseeq(f.value, STR("chunked"));
		return h->is_chunked ? NULL : "an unknown Transfer-Encoding";
	}
	if (f.id == HF_OTHER && str_caseeq(f.name, STR("Status"))) {
		if (*status == 0 && !cgihead_status(f.value, status))
			return "Status is not three digits";
		return NULL;
	}
	if (f.id == HF_LOCATION && f.value.n == 0)
		return "an empty Location";
	if (res->fields.n == CGIHEAD_FIELDS)
		return "too many fields";
	if (!cgihead_hops[f.id] || (f.id == HF_UPGRADE && h->may_switch))
		*fields_add(&res->fields, res->arena) = f;
	return NULL;
}

/* There was no status: 200, or a redirect, to somewhere else or within this server. "//host/" is a
   reference to another one (RFC 3986 4.2). */
static void
cgihead_default(struct codec_response *res)
{
	res->status = 200;
	for (unsigned i = 0; i < res->fields.n; i++) {
		struct str to = res->fields.v[i].value;

		if (res->fields.v[i].id != HF_LOCATION)
			continue;
		res->status = 302;
		if (to.p[0] == '/' && (to.n == 1 || to.p[1] != '/'))
			res->local = to;
		return;
	}
}

/* One line off the front, without its end. */
static struct str
cgihead_line(struct str *rest)
{
	const char *lf = octets_find(rest->p, rest->p + rest->n, '\n');
	struct str line = { rest->p, (size_t)(lf - rest->p) };

	rest->n -= line.n + 1;
	rest->p = lf + 1;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* Takes the complete head apart; NULL, or what is wrong. */
static const char *
cgihead_parse(struct cgihead *h, struct codec_response *res)
{
	struct str rest = { h->head, h->head_n };
	struct str line = cgihead_line(&rest);
	const char *why = NULL;
	int status = 0;

	res->status = 0;
	res->length = -1;
	res->local = str_n(NULL, 0);
	res->fields.n = 0;
	h->is_chunked = false;
	if (line.n == 0)
		return "the response begins with an empty line, not with fields";
	if (str_has_prefix(line, STR("HTTP/"))) {
		why = cgihead_status_line(res, line);
		line = cgihead_line(&rest);
	}
	for (; !why && line.n > 0; line = cgihead_line(&rest))
		why = cgihead_field(h, res, line, &status);
	if (res->status == 0)
		res->status = status;
	if (res->status == 0)
		cgihead_default(res);
	return why;
}

/* --- the head as an event --- */

/* A 1xx head: another one follows (RFC 9110 15.2), unless it is a change of protocol. */
static enum codec_event
cgihead_interim(struct cgihead *h, struct codec_response *res)
{
	if (res->status == 101 && !h->may_switch)
		return cgihead_fail(h, res, "101 that nobody asked for");
	if (res->status == 101) {
		res->is_tunnel = true;
		h->remaining = -1;
		h->phase = CGIHEAD_BODY;
		return CODEC_HEAD;
	}
	if (++h->interims > CGIHEAD_INTERIMS)
		return cgihead_fail(h, res, "too many 1xx heads");
	h->head = NULL;
	h->head_n = h->room = 0;
	h->line = LINE_EMPTY;
	return CODEC_INTERIM;
}

/* RFC 9110 6.4.1: these have no content whatever the fields say. */
static bool
cgihead_has_no_content(const struct codec_response *res)
{
	return res->is_head || res->status == 204 || res->status == 304;
}

static enum codec_event
cgihead_done(struct cgihead *h, struct codec_response *res)
{
	const char *why = cgihead_parse(h, res);

	if (why)
		return cgihead_fail(h, res, why);
	if (res->status < 200)
		return cgihead_interim(h, res);
	if (h->is_chunked) /* RFC 9112 6.3: it outranks Content-Length */
		res->length = -1;
	h->remaining = cgihead_has_no_content(res) ? 0 : res->length;
	h->phase = CGIHEAD_BODY;
	return CODEC_HEAD;
}

static enum codec_event
cgihead_head(struct cgihead *h, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	bool done;

	*used = cgihead_measure(h, in, n, &done);
	if (h->head_n + *used > res->max_head)
		return cgihead_fail(h, res, "the response head is too long");
	if (*used > 0)
		cgihead_keep(h, res->arena, in, *used, done);
	return done ? cgihead_done(h, res) : CODEC_MORE;
}

/* --- content --- */

static enum codec_event
cgihead_end(struct cgihead *h)
{
	h->phase = CGIHEAD_END;
	h->remaining = 0;
	return CODEC_END;
}

static enum codec_event
cgihead_chunks(
    struct cgihead *h, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	bool done = false;
	ssize_t part;

	while (*used < n && !done) {
		part = chunked_decode(&h->chunked, res->arena, &res->trailers, in + *used,
		    n - *used, &res->data, &done);
		if (part < 0)
			return cgihead_fail(h, res, "broken chunked coding");
		*used += (size_t)part;
		if (res->data.n > 0) {
			if (done)
				h->remaining = 0;
			return CODEC_DATA;
		}
	}
	return done ? cgihead_end(h) : CODEC_MORE;
}

static enum codec_event
cgihead_content(
    struct cgihead *h, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	if (h->remaining == 0)
		return cgihead_end(h);
	if (h->is_chunked)
		return cgihead_chunks(h, res, in, n, used);
	if (n == 0)
		return CODEC_MORE;
	if (h->remaining > 0 && (uint64_t)h->remaining < n)
		n = (size_t)h->remaining;
	if (h->remaining > 0)
		h->remaining -= (int64_t)n;
	*used = n;
	res->data = str_n(in, n);
	return CODEC_DATA;
}

enum codec_event
cgihead_input(void *state, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	struct cgihead *h = state;

	*used = 0;
	switch (h->phase) {
	case CGIHEAD_HEAD:
		return cgihead_head(h, res, in, n, used);
	case CGIHEAD_BODY:
		return cgihead_content(h, res, in, n, used);
	case CGIHEAD_END:
		return CODEC_END;
	}
	return CODEC_ERROR;
}

enum codec_event
cgihead_eof(void *state, struct codec_response *res)
{
	struct cgihead *h = state;

	if (h->phase == CGIHEAD_BROKEN)
		return CODEC_ERROR;
	if (h->phase == CGIHEAD_HEAD)
		return cgihead_fail(h, res,
		    h->head_n > 0 ? "ended within the response head" : "ended without a response");
	if (h->remaining == 0)
		return cgihead_end(h);
	if (h->remaining > 0)
		return cgihead_fail(h, res, "ended before its Content-Length was reached");
	if (h->is_chunked)
		return cgihead_fail(h, res, "ended before the last chunk");
	return cgihead_end(h);
}

bool
cgihead_body(void *state, struct body *out, struct body *src, int64_t max)
{
	(void)state;
	body_move(out, src, max);
	return body_is_done(src);
}

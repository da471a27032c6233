/*
 * HTTP/1.1 to a backend: framing of the request body, and the response (RFC 9112). The head of the
 * request is composed in hcodec_head.c.
 *
 * The head of a response is copied once, to the request's arena, where its fields stay; content is
 * pointed at in the input and never copied. Strict where leniency has been response smuggling: line
 * ends are CRLF, lengths agree, nothing but chunked is a transfer coding, and not together with a
 * length. Two leniencies that RFC 9112 asks of gateways: folded lines are unfolded (5.2), and white
 * space before a colon is taken out (5.1).
 *
 *   HEAD ┬ 1xx ─ HEAD
 *        ├ 101 ─ TUNNEL
 *        ├ no body ──────────┐
 *        ├ length ─ LENGTH ──┼─ END
 *        ├ chunks ─ CHUNKED ─┘
 *        └ neither ─ CLOSE ─ (eof)
 */
#include "common/base/must.h"
#include "common/base/octets.h"
#include "modules/gateway/codec/hcodec.h"
#include "modules/gateway/codec/nameset.h"
#include "modules/gateway/codec/passage.h"
#include "worker/pipe.h"

enum hcodec_phase {
	HCODEC_HEAD,
	HCODEC_LENGTH,
	HCODEC_CHUNKED,
	HCODEC_CLOSE,  /* the body ends with the connection */
	HCODEC_TUNNEL, /* so do the octets of another protocol */
	HCODEC_END,    /* CODEC_END is the next event */
	HCODEC_BROKEN,
};

/* --- the request's body --- */

/* What a trailer section may say is what a head may. */
static void
hcodec_trailers(struct hcodec *s, struct body *out)
{
	const struct fields *t = &s->q->r->trailers;
	struct passage passage;
	const char *why;

	if (t->n == 0 || passage_init(&passage, s->q, &why) != 0)
		return;
	for (unsigned i = 0; i < t->n; i++) {
		if (!passage_lets_trailer(&passage, &t->v[i]))
			continue;
		body_put(out, t->v[i].name.p, t->v[i].name.n);
		body_put(out, ": ", 2);
		body_put(out, t->v[i].value.p, t->v[i].value.n);
		body_put(out, "\r\n", 2);
	}
}

/* RFC 9112 7.1 */
static bool
hcodec_body_chunked(struct hcodec *s, struct body *out, struct body *src, int64_t max)
{
	int64_t n = src->queued < max ? src->queued : max;
	char line[18];

	if (n > 0) {
		body_put(out, line, chunked_head(line, (uint64_t)n));
		body_move(out, src, n);
		body_put_ref(out, "\r\n", 2);
	}
	if (!body_is_done(src))
		return false;
	body_put_ref(out, "0\r\n", 3);
	hcodec_trailers(s, out);
	body_put_ref(out, "\r\n", 2);
	s->is_sent = true;
	return true;
}

static bool
hcodec_body(void *state, struct body *out, struct body *src, int64_t max)
{
	struct hcodec *s = state;

	if (s->is_sent)
		return true;
	if (s->to_send < 0)
		return hcodec_body_chunked(s, out, src, max);
	s->to_send -= body_move(out, src, body_part(src, max < s->to_send ? max : s->to_send));
	s->is_sent = s->to_send == 0;
	return s->is_sent || body_is_done(src);
}

/* --- the head of a response --- */

/* A head that is being read. */
struct hcodec_answer {
	struct hcodec *s;
	struct codec_response *rsp;
	bool is_10;
	bool has_close, has_keep_alive, has_coding;
	struct passage_options options; /* what Connection names */
	uint8_t marks[HF_MAX];          /* PASSAGE_NAMED, by kind */
	int64_t length;                 /* -1: none */
	const char *why;
};

static enum codec_event
hcodec_fail(struct hcodec *s, struct codec_response *rsp, const char *why)
{
	s->phase = HCODEC_BROKEN;
	rsp->why = s->why = why;
	return CODEC_ERROR;
}

/* RFC 9112 4: HTTP-version SP status-code SP [reason]; without the second SP where there is no
   reason, as many send it. 0, or what is wrong. */
static const char *
hcodec_status_line(struct hcodec_answer *a, const char *p, const char *end)
{
	int status = 0;

	if (end - p < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[7] < '0' || p[7] > '9' || p[8] != ' ')
		return "the response does not begin with HTTP/1";
	/* RFC 9110 2.5: a higher minor version is handled as the highest one known. */
	a->is_10 = p[7] == '0';
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return "the status is not three digits";
		status = status * 10 + p[i] - '0';
	}
	if (end - p > 12 && p[12] != ' ')
		return "the status is not three digits";
	/* RFC 9110 15: 100 to 599 have a meaning. */
	if (status < 100 || status > 599)
		return "a status out of 100 to 599";
	a->rsp->status = status;
	return NULL;
}

static void
hcodec_on_connection(struct hcodec_answer *a, struct str value)
{
	/* What nearly everybody says, as they say it. */
	if (str_eq(value, STR("keep-alive"))) {
		a->has_keep_alive = true;
		return;
	}
	if (!passage_gather(&a->options, a->rsp->arena, value)) {
		a->why = "Connection has too many options";
		return;
	}
	a->has_close |= str_list_has(value, STR("close"));
	a->has_keep_alive |= str_list_has(value, STR("keep-alive"));
}

/* RFC 9110 8.6: values that are the same may be taken for one. */
static void
hcodec_on_length(struct hcodec_answer *a, struct str value)
{
	uint64_t n;

	while (value.p) {
		if (!str_to_u64(str_trim(str_split(&value, ',')), INT64_MAX, &n))
			a->why = "Content-Length is not a number";
		else if (a->length >= 0 && a->length != (int64_t)n)
			a->why = "two Content-Lengths that differ";
		else
			a->length = (int64_t)n;
	}
}

/* RFC 9112 6.1: chunked once, and we know no other. */
static void
hcodec_on_coding(struct hcodec_answer *a, struct str value)
{
	if (a->has_coding || !str_caseeq(value, STR("chunked")))
		a->why = "a transfer coding other than chunked";
	if (a->is_10)
		a->why = "Transfer-Encoding in HTTP/1.0";
	a->has_coding = true;
}

static void
hcodec_on_hop(struct hcodec_answer *a, struct str value)
{
	(void)a;
	(void)value;
}

/* Fields that are not passed on. RFC 9110 7.6.1. */
static void (*const hcodec_rows[HF_MAX])(struct hcodec_answer *, struct str) = {
	[HF_CONNECTION] = hcodec_on_connection,
	[HF_CONTENT_LENGTH] = hcodec_on_length,
	[HF_KEEP_ALIVE] = hcodec_on_hop,
	[HF_PROXY_CONNECTION] = hcodec_on_hop,
	[HF_TE] = hcodec_on_hop,
	[HF_TRANSFER_ENCODING] = hcodec_on_coding,
};

/* RFC 9112 5.1: white space between name and colon is to be removed by a gateway. */
static const char *
hcodec_spaced(const char *why, struct str line, const char *colon, struct field *f)
{
	size_t n = (size_t)(colon - line.p);

	if (colon == line.p + line.n)
		return why;
	while (n > 0 && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t'))
		n--;
	f->name = str_n(line.p, n);
	if (!http_is_token(f->name))
		return why;
	f->id = (uint8_t)http_field_of(f->name);
	f->value = str_trim(str_n(colon + 1, (size_t)(line.p + line.n - colon) - 1));
	return NULL;
}

/* The CR of the CRLF that ends the field line at p. RFC 9112 5.2: a gateway replaces each folding
   by spaces. NULL: a control character. */
static char *
hcodec_line_end(const char *buf, char *p, const char *end)
{
	for (;;) {
		char *cr = p + (octets_find_ctl(buf, p, end) - p);

		if (unlikely(cr + 1 >= end || cr[0] != '\r' || cr[1] != '\n'))
			return NULL;
		if (likely(cr[2] != ' ' && cr[2] != '\t'))
			return cr;
		cr[0] = cr[1] = ' ';
		p = cr;
	}
}

/* RFC 9110 7.6.1: whether Connection names it. */
static bool
hcodec_is_named(const struct hcodec_answer *a, const struct field *f)
{
	if (f->id != HF_OTHER)
		return f->id != HF_UPGRADE && a->marks[f->id] & PASSAGE_NAMED;
	return a->options.named && nameset_has(a->options.named, f->name);
}

/* Takes out what is the connection's in all answers, or in most, and what Connection names. */
static void
hcodec_sift(struct hcodec_answer *a)
{
	struct fields *f = &a->rsp->fields;
	bool keeps_upgrade = a->rsp->status == 101 || a->rsp->status == 426;
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++) {
		uint8_t id = f->v[i].id;

		if (a->options.n > 0 && hcodec_is_named(a, &f->v[i]))
			continue;
		if (!hcodec_rows[id] && (id != HF_UPGRADE || keeps_upgrade) &&
		    (id != HF_TRAILER || a->has_coding))
			f->v[n++] = f->v[i];
	}
	f->n = n;
}

/* The lines at p, each with its CRLF, and the empty one behind them. What is sifted out stays in
   the list until it is complete: Connection may come last. */
static const char *
hcodec_fields(struct hcodec_answer *a, const char *buf, char *p, const char *end)
{
	struct fields *fields = &a->rsp->fields;
	bool is_sifted = false;

	while (end - p > 2) {
		const char *colon = octets_search(buf, p, end, ':', octets_is);
		char *cr = hcodec_line_end(buf, p, end);
		struct field *f;
		const char *why;

		if (!cr)
			return "a control character in the head";
		if (fields->n == HCODEC_MAX_FIELDS)
			return "too many fields";
		f = fields_add(fields, a->rsp->arena);
		why = http_field_split(str_n(p, (size_t)(cr - p)), colon, f);
		if (unlikely(why != NULL))
			why = hcodec_spaced(
			    why, str_n(p, (size_t)(cr - p)), colon < cr ? colon : cr, f);
		if (unlikely(why != NULL))
			return why;
		if (hcodec_rows[f->id])
			hcodec_rows[f->id](a, f->value);
		is_sifted |= hcodec_rows[f->id] || f->id == HF_UPGRADE || f->id == HF_TRAILER;
		p = cr + 2;
	}
	if (is_sifted)
		hcodec_sift(a);
	return a->why;
}

/* RFC 9112 6.3: what follows the head. */
static enum hcodec_phase
hcodec_framing(struct hcodec_answer *a)
{
	struct codec_response *rsp = a->rsp;
	int status = rsp->status;

	rsp->length = a->has_coding ? -1 : a->length;
	if (status == 101) {
		rsp->length = -1;
		return HCODEC_TUNNEL;
	}
	if (status == 204)
		rsp->length = 0;
	if (rsp->is_head || status == 204 || status == 304 || a->length == 0)
		return HCODEC_END;
	if (a->has_coding)
		return HCODEC_CHUNKED;
	return a->length > 0 ? HCODEC_LENGTH : HCODEC_CLOSE;
}

/* The final head is complete and good. */
static enum codec_event
hcodec_begin(struct hcodec_answer *a)
{
	struct hcodec *s = a->s;
	enum hcodec_phase phase = hcodec_framing(a);

	s->phase = (uint8_t)phase;
	s->remaining = a->length;
	a->rsp->is_tunnel = phase == HCODEC_TUNNEL;
	/* RFC 9112 9.3 */
	s->keep = s->wants_keep && phase != HCODEC_CLOSE && phase != HCODEC_TUNNEL &&
		  !a->has_close && (!a->is_10 || a->has_keep_alive);
	return CODEC_HEAD;
}

/* A complete head at buf[0..n), in the arena. */
static enum codec_event
hcodec_parse(struct hcodec *s, struct codec_response *rsp, char *buf, size_t n)
{
	struct hcodec_answer a = { .s = s, .rsp = rsp, .length = -1 };
	char *cr = buf + (octets_find_ctl(buf, buf, buf + n) - buf);
	const char *why = hcodec_status_line(&a, buf, cr);

	a.options.marks = a.marks;
	s->head = NULL;
	s->head_n = s->head_room = 0;
	rsp->fields.n = 0;
	if (!why && (cr[0] != '\r' || cr[1] != '\n'))
		why = "a control character in the status line";
	if (!why && (cr[2] == ' ' || cr[2] == '\t'))
		why = "a folded status line";
	if (!why)
		why = hcodec_fields(&a, buf, cr + 2, buf + n);
	/* RFC 9112 6.3: a sign of response splitting. */
	if (!why && a.has_coding && a.length >= 0)
		why = "both Content-Length and Transfer-Encoding";
	if (!why && rsp->status == 101 && !s->is_upgrade)
		why = "101 to a request without Upgrade";
	if (why)
		return hcodec_fail(s, rsp, why);
	if (rsp->status >= 200 || rsp->status == 101)
		return hcodec_begin(&a);
	if (s->interims++ == HCODEC_MAX_INTERIMS)
		return hcodec_fail(s, rsp, "too many interim responses");
	/* RFC 9110 15.2.1: the answer to an expectation that we have met ourselves. */
	return rsp->status == 100 ? CODEC_MORE : CODEC_INTERIM;
}

/* --- finding the end of a head --- */

/* Whether what there is of a head can never become one: it does not begin like HTTP, or has a line
   that ends in a bare LF, behind which its end would never come. Then what hcodec_parse would say
   of the whole is known already. */
static bool
hcodec_is_hopeless(const char *p, size_t n)
{
	static const char begin[] = "HTTP/1.";
	size_t known = n < sizeof(begin) - 1 ? n : sizeof(begin) - 1;

	if (memcmp(p, begin, known) != 0)
		return true;
	for (const char *lf = p, *end = p + n; (lf = memchr(lf, '\n', (size_t)(end - lf))); lf++) {
		if (lf == p || lf[-1] != '\r')
			return true;
	}
	return false;
}

/* Keeps a piece of a head; the arena has what grows. */
static void
hcodec_keep(struct hcodec *s, struct codec_response *rsp, const char *in, size_t n)
{
	enum { FIRST = 1024 };

	if (s->head_n + n > s->head_room) {
		size_t room = s->head_room > 0 ? s->head_room : FIRST;
		char *head;

		while (room < s->head_n + n)
			room *= 2;
		head = arena_alloc(rsp->arena, room);
		if (s->head_n > 0)
			memcpy(head, s->head, s->head_n);
		s->head = head;
		s->head_room = (uint32_t)room;
	}
	memcpy(s->head + s->head_n, in, n);
	s->head_n += (uint32_t)n;
}

/* Behind the first empty line of p[0..n), from the octet at on; 0: not there. */
static size_t
hcodec_find_end(const char *p, size_t n, size_t at)
{
	const char *end = memmem(p + at, n - at, "\r\n\r\n", 4);

	return end ? (size_t)(end - p) + 4 : 0;
}

/* The head goes on, or begins, in pieces. */
static enum codec_event
hcodec_piece(struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	size_t had = s->head_n, end;

	/* One octet beyond the limit says that it is exceeded. */
	if (n > rsp->max_head + 1 - had)
		n = rsp->max_head + 1 - had;
	hcodec_keep(s, rsp, in, n);
	end = hcodec_find_end(s->head, s->head_n, had > 3 ? had - 3 : 0);
	*used = end > 0 ? end - had : n;
	if (end > 0 && end <= rsp->max_head)
		return hcodec_parse(s, rsp, s->head, end);
	if (hcodec_is_hopeless(s->head, s->head_n)) {
		hcodec_keep(s, rsp, "\r\n\r\n", 4); /* an end, for the parser to rely on */
		return hcodec_parse(s, rsp, s->head, s->head_n);
	}
	if (s->head_n > rsp->max_head)
		return hcodec_fail(s, rsp, "the response's head is too long");
	return CODEC_MORE;
}

static enum codec_event
hcodec_in_head(struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	const char *stop = s->head_n == 0 ? octets_find_empty_line(in, in + n) : NULL;
	size_t end = stop ? (size_t)(stop - in) : 0;
	char *head;

	if (end == 0 || end > rsp->max_head)
		return hcodec_piece(s, rsp, in, n, used);
	*used = end;
	head = arena_alloc(rsp->arena, end);
	memcpy(head, in, end);
	return hcodec_parse(s, rsp, head, end);
}

/* --- the body of a response --- */

static enum codec_event
hcodec_in_length(
    struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	if ((int64_t)n > s->remaining)
		n = (size_t)s->remaining;
	rsp->data = str_n(in, n);
	*used = n;
	s->remaining -= (int64_t)n;
	if (s->remaining == 0)
		s->phase = HCODEC_END;
	return CODEC_DATA;
}

static enum codec_event
hcodec_in_close(
    struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	(void)s;
	rsp->data = str_n(in, n);
	*used = n;
	return CODEC_DATA;
}

static enum codec_event
hcodec_in_end(struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	(void)in;
	(void)used;
	/* Octets that come unasked would be read as the next response; and a rest of this request
	   that is still to be sent would be read by the backend as the next request. */
	rsp->keep = s->keep && s->is_sent && n == 0;
	return CODEC_END;
}

static enum codec_event
hcodec_in_chunked(
    struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	bool is_done;
	ssize_t len =
	    chunked_decode(&s->chunked, rsp->arena, &rsp->trailers, in, n, &rsp->data, &is_done);

	if (len < 0)
		return hcodec_fail(s, rsp, "the chunks of the body are malformed");
	*used = (size_t)len;
	if (is_done) {
		s->phase = HCODEC_END;
		return hcodec_in_end(s, rsp, in, n - *used, used);
	}
	return rsp->data.n > 0 ? CODEC_DATA : CODEC_MORE;
}

static enum codec_event
hcodec_in_broken(
    struct hcodec *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	(void)in;
	(void)n;
	(void)used;
	rsp->why = s->why;
	return CODEC_ERROR;
}

/* What a phase does with octets, and what the end of the connection is in it: NULL, the end of the
   body, or why it is not. */
static const struct hcodec_phase_row {
	enum codec_event (*input)(
	    struct hcodec *, struct codec_response *, const char *, size_t, size_t *);
	const char *eof;
} hcodec_phases[] = {
	[HCODEC_HEAD] = { hcodec_in_head, "closed before the end of the response's head" },
	[HCODEC_LENGTH] = { hcodec_in_length, "closed before the end of the body" },
	[HCODEC_CHUNKED] = { hcodec_in_chunked, "closed before the last chunk" },
	[HCODEC_CLOSE] = { hcodec_in_close, NULL },
	[HCODEC_TUNNEL] = { hcodec_in_close, NULL },
	[HCODEC_END] = { hcodec_in_end, NULL },
	[HCODEC_BROKEN] = { hcodec_in_broken, "the response was malformed" },
};

static enum codec_event
hcodec_input(void *state, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	struct hcodec *s = state;
	enum codec_event event = CODEC_MORE;
	size_t at = 0;

	/* A 100 is used without an event: what follows it may be here. */
	do {
		size_t part = 0;

		if (at == n && s->phase < HCODEC_END)
			break;
		event = hcodec_phases[s->phase].input(s, rsp, in + at, n - at, &part);
		at += part;
	} while (event == CODEC_MORE && at < n);
	*used = at;
	return event;
}

/* The last octet of a body is input()'s: the end is seen with it. */
static int64_t
hcodec_plain(const void *state)
{
	const struct hcodec *s = state;

	return s->phase == HCODEC_LENGTH ? s->remaining - 1 : 0;
}

static void
hcodec_passed(void *state, int64_t n)
{
	struct hcodec *s = state;

	must(s->phase == HCODEC_LENGTH && n < s->remaining);
	s->remaining -= n;
}

static enum codec_event
hcodec_eof(void *state, struct codec_response *rsp)
{
	struct hcodec *s = state;
	const char *why = hcodec_phases[s->phase].eof;

	rsp->keep = false;
	if (!why)
		return CODEC_END;
	return s->phase == HCODEC_BROKEN ? CODEC_ERROR : hcodec_fail(s, rsp, why);
}

const struct codec codec_http = {
	.name = "http",
	.can_keep = true,
	.pipes = PIPE_ROOM,
	.head = hcodec_head,
	.body = hcodec_body,
	.input = hcodec_input,
	.eof = hcodec_eof,
	.plain = hcodec_plain,
	.passed = hcodec_passed,
};

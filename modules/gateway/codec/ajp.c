/*
 * AJP13: the body, which goes in packets that the container asks for one by one (the first it gets
 * unasked), and the response. See ajp.h; the request's head is in ajp_head.c.
 *
 * Content is pointed at in the input; a packet of fields is copied once, to the arena. A packet's
 * length is believed only together with what it must hold: a packet that is longer or shorter than
 * its contents breaks the connection, because whatever follows would be read at the wrong place.
 *
 *   HEADER ─ SMALL ┬ SEND_HEADERS ─ FIELDS ─┐
 *                  ├ SEND_BODY_CHUNK ─ CONTENT ─ TAIL ┼─ HEADER
 *                  ├ GET_BODY_CHUNK ────────┤
 *                  └ END_RESPONSE           (end)
 */
#include "modules/gateway/codec/ajp.h"

enum ajp_phase {
	AJP_IN_HEADER,
	AJP_IN_TYPE,
	AJP_IN_SMALL,
	AJP_IN_FIELDS,
	AJP_IN_CONTENT,
	AJP_IN_TAIL,
	AJP_ENDED,
	AJP_BROKEN
};

enum ajp_type {
	AJP_SEND_BODY_CHUNK = 3,
	AJP_SEND_HEADERS = 4,
	AJP_END_RESPONSE = 5,
	AJP_GET_BODY_CHUNK = 6,
	AJP_CPONG = 9,
};

enum { AJP_MAX_INTERIMS = 16, AJP_MAX_FIELDS = 512 };

/* --- the request's body --- */

/* Without content: the end of the body. */
static const char ajp_empty[AJP_HEADER] = { 0x12, 0x34, 0, 0 };

static bool
ajp_body(void *state, struct body *out, struct body *src, int64_t max)
{
	struct ajp *s = state;
	int64_t n = s->max_packet - AJP_BODY_HEADER;
	char head[AJP_BODY_HEADER] = { 0x12, 0x34 };

	if (!s->is_asked)
		return s->to_send == 0;
	if (s->to_send == 0 || body_is_done(src)) {
		body_put_ref(out, ajp_empty, sizeof(ajp_empty));
		s->is_asked = false;
		return true;
	}
	n = n < s->room ? n : s->room;
	n = n < max ? n : max;
	n = n < src->queued ? n : src->queued;
	n = n < s->to_send ? n : s->to_send;
	if (n == 0)
		return false;
	head[2] = (char)((n + 2) >> 8);
	head[3] = (char)(n + 2);
	head[4] = (char)(n >> 8);
	head[5] = (char)n;
	body_put(out, head, sizeof(head));
	body_move(out, src, n);
	s->to_send -= n;
	s->is_asked = false;
	return s->to_send == 0;
}

/* --- errors --- */

static enum codec_event
ajp_fail(struct ajp *s, struct codec_response *rsp, const char *why)
{
	s->phase = AJP_BROKEN;
	rsp->why = s->why = why;
	return CODEC_ERROR;
}

/* --- SEND_HEADERS --- */

static const struct str ajp_coded[] = {
	[1] = STR_INIT("Content-Type"),
	[2] = STR_INIT("Content-Language"),
	[3] = STR_INIT("Content-Length"),
	[4] = STR_INIT("Date"),
	[5] = STR_INIT("Last-Modified"),
	[6] = STR_INIT("Location"),
	[7] = STR_INIT("Set-Cookie"),
	[8] = STR_INIT("Set-Cookie2"),
	[9] = STR_INIT("Servlet-Engine"),
	[10] = STR_INIT("Status"),
	[11] = STR_INIT("WWW-Authenticate"),
};

/* What a connection to a client will have of its own, and what says nothing that we do not know. */
static const bool ajp_is_dropped[HF_MAX] = {
	[HF_CONNECTION] = true,
	[HF_CONTENT_LENGTH] = true,
	[HF_KEEP_ALIVE] = true,
	[HF_PROXY_CONNECTION] = true,
	[HF_TE] = true,
	[HF_TRAILER] = true,
	[HF_TRANSFER_ENCODING] = true,
	[HF_UPGRADE] = true,
};

static const char ajp_short[] = "a packet is shorter than what it holds";

/* A payload that is read. */
struct ajp_reader {
	const unsigned char *p, *end;
	const char *why;
};

static unsigned
ajp_get_u16(struct ajp_reader *k)
{
	unsigned v;

	if (k->end - k->p < 2) {
		k->why = ajp_short;
		return 0;
	}
	v = (unsigned)k->p[0] << 8 | k->p[1];
	k->p += 2;
	return v;
}

/* A string of n octets, with the NUL behind it. */
static struct str
ajp_get_octets(struct ajp_reader *k, unsigned n)
{
	struct str s = { "", 0 };

	if (n == 0xffff) /* absent */
		return s;
	if ((size_t)(k->end - k->p) < n + 1u) {
		k->why = ajp_short;
		return s;
	}
	s = str_n((const char *)k->p, n);
	k->p += n + 1u;
	return s;
}

static struct str
ajp_get_name(struct ajp_reader *k)
{
	enum { CODES = sizeof(ajp_coded) / sizeof(ajp_coded[0]) };
	unsigned n = ajp_get_u16(k), code = n & 0xff;

	if (n >> 8 != 0xa0)
		return ajp_get_octets(k, n);
	if (code > 0 && code < CODES)
		return ajp_coded[code];
	k->why = "an unknown code for a field";
	return STR("");
}

/* RFC 9110 8.6, as over HTTP. */
static void
ajp_on_length(struct ajp_reader *k, struct str value, int64_t *length)
{
	uint64_t n;

	if (!str_to_u64(value, INT64_MAX, &n))
		k->why = "Content-Length is not a number";
	else if (*length >= 0 && *length != (int64_t)n)
		k->why = "two Content-Lengths that differ";
	else
		*length = (int64_t)n;
}

static void
ajp_get_field(struct ajp_reader *k, struct codec_response *rsp, int64_t *length)
{
	struct field f = { .name = ajp_get_name(k) };

	if (k->why)
		return;
	f.value = str_trim(ajp_get_octets(k, ajp_get_u16(k)));
	if (k->why)
		return;
	if (!http_is_token(f.name) || !http_is_field_value(f.value)) {
		k->why = "a field's name or value is malformed";
		return;
	}
	f.id = (uint8_t)http_field_of(f.name);
	if (f.id == HF_CONTENT_LENGTH)
		ajp_on_length(k, f.value, length);
	if (ajp_is_dropped[f.id] || (f.id == HF_OTHER && str_caseeq(f.name, STR("Status"))))
		return;
	*fields_add(&rsp->fields, rsp->arena) = f;
}

/* RFC 9112 6.3, as far as it concerns the content. */
static void
ajp_begin(struct ajp *s, struct codec_response *rsp, int64_t length)
{
	int status = rsp->status;

	s->has_head = true;
	s->is_bodyless = rsp->is_head || status == 204 || status == 304;
	s->body = s->is_bodyless ? 0 : length;
	rsp->length = status == 204 ? 0 : length;
}

/* status, its text, number of fields, fields */
static enum codec_event
ajp_parse(struct ajp *s, struct codec_response *rsp)
{
	struct ajp_reader k = { (unsigned char *)s->head, (unsigned char *)s->head + s->head_n,
		NULL };
	int64_t length = -1;
	unsigned n;

	rsp->status = (int)ajp_get_u16(&k);
	ajp_get_octets(&k, ajp_get_u16(&k));
	n = ajp_get_u16(&k);
	rsp->fields.n = 0;
	if (n > AJP_MAX_FIELDS)
		k.why = "too many fields";
	for (; n > 0 && !k.why; n--)
		ajp_get_field(&k, rsp, &length);
	if (!k.why && k.p != k.end)
		k.why = "a packet is longer than what it holds";
	if (!k.why && (rsp->status < 100 || rsp->status > 599 || rsp->status == 101))
		k.why = "a status out of 100 to 599, or 101";
	if (!k.why && s->has_head)
		k.why = "a second head";
	if (!k.why && rsp->status < 200 && s->interims++ == AJP_MAX_INTERIMS)
		k.why = "too many interim responses";
	if (k.why)
		return ajp_fail(s, rsp, k.why);
	s->phase = AJP_IN_HEADER;
	if (rsp->status < 200)
		return rsp->status == 100 ? CODEC_MORE : CODEC_INTERIM;
	ajp_begin(s, rsp, length);
	return CODEC_HEAD;
}

/* --- packets, by type: their first octets are in small[] --- */

static enum codec_event
ajp_on_headers(struct ajp *s, struct codec_response *rsp)
{
	if (s->remaining > rsp->max_head)
		return ajp_fail(s, rsp, "the response's head is too long");
	if (s->remaining == 0)
		return ajp_fail(s, rsp, ajp_short);
	s->head = arena_alloc(rsp->arena, s->remaining);
	s->head_n = 0;
	s->head_room = s->remaining;
	s->phase = AJP_IN_FIELDS;
	return CODEC_MORE;
}

/* The content, and a NUL that some leave out. */
static enum codec_event
ajp_on_chunk(struct ajp *s, struct codec_response *rsp)
{
	s->content = (uint32_t)s->small[0] << 8 | s->small[1];
	if (!s->has_head)
		return ajp_fail(s, rsp, "content before the head");
	if (s->remaining != s->content && s->remaining != s->content + 1)
		return ajp_fail(s, rsp, "a packet is not as long as its content");
	if (!s->is_bodyless && s->body >= 0) {
		if (s->content > s->body)
			return ajp_fail(s, rsp, "the body is longer than its Content-Length");
		s->body -= s->content;
	}
	s->phase = s->content > 0 ? AJP_IN_CONTENT : AJP_IN_TAIL;
	return CODEC_MORE;
}

static enum codec_event
ajp_on_end(struct ajp *s, struct codec_response *rsp)
{
	if (!s->has_head)
		return ajp_fail(s, rsp, "the end before the head");
	if (s->body > 0)
		return ajp_fail(s, rsp, "the body is shorter than its Content-Length");
	s->phase = AJP_ENDED;
	/* A packet that it waits for would be taken for the next request. */
	rsp->keep = s->wants_keep && s->small[0] == 1 && !s->is_asked;
	return CODEC_END;
}

static enum codec_event
ajp_on_want(struct ajp *s, struct codec_response *rsp)
{
	if (s->is_asked)
		return ajp_fail(s, rsp, "asks twice for the body");
	s->room = (uint32_t)s->small[0] << 8 | s->small[1];
	s->is_asked = true;
	s->phase = AJP_IN_HEADER;
	rsp->want = s->room;
	if (s->room == 0)
		return ajp_fail(s, rsp, "asks for no octets of the body");
	return CODEC_WANT;
}

static enum codec_event
ajp_on_pong(struct ajp *s, struct codec_response *rsp)
{
	return ajp_fail(s, rsp, "a CPONG that nobody asked for");
}

static const struct ajp_type_row {
	uint8_t small; /* octets to read before on() is called */
	bool is_exact; /* and the packet has no more */
	enum codec_event (*on)(struct ajp *, struct codec_response *);
} ajp_types[] = {
	[AJP_SEND_BODY_CHUNK] = { 2, false, ajp_on_chunk },
	[AJP_SEND_HEADERS] = { 0, false, ajp_on_headers },
	[AJP_END_RESPONSE] = { 1, true, ajp_on_end },
	[AJP_GET_BODY_CHUNK] = { 2, true, ajp_on_want },
	[AJP_CPONG] = { 0, true, ajp_on_pong },
};

/* --- octets, by phase --- */

/* Collects n octets in small[]; true when they are there. */
static bool
ajp_collect(struct ajp *s, unsigned need, const char *in, size_t n, size_t *used)
{
	while (s->got < need && *used < n)
		s->small[s->got++] = (unsigned char)in[(*used)++];
	return s->got == need;
}

static enum codec_event
ajp_in_header(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	bool is_complete = ajp_collect(s, AJP_HEADER, in, n, used);

	if ((s->got > 0 && s->small[0] != 'A') || (s->got > 1 && s->small[1] != 'B'))
		return ajp_fail(s, rsp, "a packet does not begin with AB");
	if (!is_complete)
		return CODEC_MORE;
	s->remaining = (uint32_t)s->small[2] << 8 | s->small[3];
	if (s->remaining == 0)
		return ajp_fail(s, rsp, "an empty packet");
	s->got = 0;
	s->phase = AJP_IN_TYPE;
	return CODEC_MORE;
}

static enum codec_event
ajp_in_type(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	enum { TYPES = sizeof(ajp_types) / sizeof(ajp_types[0]) };
	const struct ajp_type_row *row;

	(void)n;
	s->type = (uint8_t)in[0];
	*used = 1;
	s->remaining--;
	row = s->type < TYPES ? &ajp_types[s->type] : NULL;
	if (!row || !row->on)
		return ajp_fail(s, rsp, "a packet of an unknown type");
	if (s->remaining < row->small || (row->is_exact && s->remaining > row->small))
		return ajp_fail(s, rsp, "a packet is not as long as its type says");
	s->phase = AJP_IN_SMALL;
	return row->small > 0 ? CODEC_MORE : row->on(s, rsp);
}

static enum codec_event
ajp_in_small(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	const struct ajp_type_row *row = &ajp_types[s->type];

	if (!ajp_collect(s, row->small, in, n, used))
		return CODEC_MORE;
	s->got = 0;
	s->remaining -= row->small;
	return row->on(s, rsp);
}

static enum codec_event
ajp_in_fields(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	size_t part = n < s->remaining ? n : s->remaining;

	memcpy(s->head + s->head_n, in, part);
	s->head_n += (uint32_t)part;
	s->remaining -= (uint32_t)part;
	*used = part;
	return s->remaining > 0 ? CODEC_MORE : ajp_parse(s, rsp);
}

static enum codec_event
ajp_in_content(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	size_t part = n < s->content ? n : s->content;

	*used = part;
	s->content -= (uint32_t)part;
	s->remaining -= (uint32_t)part;
	if (s->content == 0)
		s->phase = s->remaining > 0 ? AJP_IN_TAIL : AJP_IN_HEADER;
	if (s->is_bodyless)
		return CODEC_MORE;
	rsp->data = str_n(in, part);
	return CODEC_DATA;
}

static enum codec_event
ajp_in_tail(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	(void)rsp;
	(void)in;
	(void)n;
	*used = s->remaining; /* 0 or 1 */
	s->remaining = 0;
	s->phase = AJP_IN_HEADER;
	return CODEC_MORE;
}

static enum codec_event
ajp_in_broken(struct ajp *s, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	(void)in;
	(void)n;
	(void)used;
	return ajp_fail(s, rsp, s->why ? s->why : "octets after the end");
}

static enum codec_event (*const ajp_phases[])(
    struct ajp *, struct codec_response *, const char *, size_t, size_t *) = {
	[AJP_IN_HEADER] = ajp_in_header,
	[AJP_IN_TYPE] = ajp_in_type,
	[AJP_IN_SMALL] = ajp_in_small,
	[AJP_IN_FIELDS] = ajp_in_fields,
	[AJP_IN_CONTENT] = ajp_in_content,
	[AJP_IN_TAIL] = ajp_in_tail,
	[AJP_ENDED] = ajp_in_broken,
	[AJP_BROKEN] = ajp_in_broken,
};

static enum codec_event
ajp_input(void *state, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	struct ajp *s = state;
	enum codec_event event = CODEC_MORE;
	size_t at = 0;

	if (s->phase == AJP_BROKEN)
		return ajp_fail(s, rsp, s->why);
	while (event == CODEC_MORE && at < n) {
		size_t part = 0;

		event = ajp_phases[s->phase](s, rsp, in + at, n - at, &part);
		at += part;
	}
	*used = at;
	if (event == CODEC_END && at < n)
		rsp->keep = false; /* what it says unasked would be taken for the next response */
	return event;
}

static enum codec_event
ajp_eof(void *state, struct codec_response *rsp)
{
	struct ajp *s = state;

	if (s->phase == AJP_BROKEN)
		return ajp_fail(s, rsp, s->why);
	return ajp_fail(s, rsp,
	    s->has_head ? "closed before the end of the response"
			: "closed before the response's head");
}

/* --- is it well? --- */

/* CPing; CPong is the answer. */
static void
ajp_ping(struct body *out)
{
	body_put_ref(out, "\x12\x34\0\1\x0a", 5);
}

static int
ajp_pong(const char *in, size_t n)
{
	static const char pong[] = { 'A', 'B', 0, 1, AJP_CPONG };

	if (n > sizeof(pong) || memcmp(in, pong, n) != 0)
		return -1;
	return n == sizeof(pong);
}

const struct codec codec_ajp = {
	.name = "ajp",
	.can_keep = true,
	.needs_length = true,
	.head = ajp_head,
	.body = ajp_body,
	.input = ajp_input,
	.eof = ajp_eof,
	.ping = ajp_ping,
	.pong = ajp_pong,
};

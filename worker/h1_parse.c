/*
 * The head of an HTTP/1 request. Two passes: h1_scan finds the end, refusing every control
 * character and everything too long on the way; h1_parse then takes the lines apart, sure of their
 * octets.
 *
 * The verdict on a head is its first fault in the order of its octets, however they arrive: all
 * checks of h1_scan depend on positions, not on calls. Lines are taken apart once, by h1_parse,
 * when the head is complete. Only when h1_scan has to return something else, it looks at the
 * complete lines so far (h1_check_lines): so a bad line is refused at once, and before a limit that
 * is exceeded later.
 */
#include "common/must.h"
#include "common/octets.h"
#include "worker/h1_parse.h"
#include "worker/uri.h"

/* Where the parser stands within the fields of a head. */
struct h1_state {
	struct h1_head *h;
	struct arena *arena;
	const char *why;
	bool has_length, has_coding, has_close, has_keep_alive, has_upgrade_token;
	int later; /* minus the status of a fault that any fault of syntax outranks; its reason: */
	const char *later_why;
};

/* --- the request line --- */

/* RFC 9112 2.3: HTTP-version is "HTTP/" DIGIT "." DIGIT, case-sensitive. */
static int
h1_version(const char p[8], uint8_t *version, const char **why)
{
	unsigned major = (unsigned)(unsigned char)p[5] - '0';
	unsigned minor = (unsigned)(unsigned char)p[7] - '0';

	*why = "the request line does not end in HTTP/1.1";
	if (memcmp(p, "HTTP/", 5) != 0 || p[6] != '.' || major > 9 || minor > 9)
		return -400;
	*why = "HTTP version not supported";
	if (major != 1)
		return -505; /* RFC 9110 15.6.6 */
	/* RFC 9110 2.5: a higher minor version is handled as the highest one known. */
	*version = minor == 0 ? 10 : 11;
	*why = NULL;
	return 0;
}

/* RFC 9112 3.1: the length of the method; 0 when it is none, or is too long. */
static size_t
h1_method_len(const char *p, const char *end)
{
	size_t n = 0, max = (size_t)(end - p);

	while (n < max && n <= H1_MAX_METHOD && http_tchar[(unsigned char)p[n]])
		n++;
	return n <= H1_MAX_METHOD ? n : 0;
}

/* RFC 9112 3: method SP request-target SP HTTP-version, with exactly these two spaces. */
static int
h1_request_line(struct h1_head *h, const char *p, const char *end, const char **why)
{
	const char *last = end - sizeof("HTTP/1.1"); /* the space before the version */
	const char *target;
	size_t n;

	if (likely(end - p > 4 && memcmp(p, "GET ", 4) == 0)) {
		n = 3;
		h->method = M_GET;
		h->method_name = STR("GET");
	} else {
		n = h1_method_len(p, end);
		*why = "the request line does not begin with a method";
		if (n == 0 || p + n == end || p[n] != ' ')
			return -400;
		h->method_name = str_n(p, n);
		h->method = (uint8_t)http_method_of(h->method_name);
	}
	target = p + n + 1;
	*why = "the request line is not: method, target, version";
	if (last - target < 1 || octets_find(target, end, ' ') != last)
		return -400;
	h->target = str_n(target, (size_t)(last - target));
	if (likely(memcmp(last + 1, "HTTP/1.1", 8) == 0)) {
		h->version = 11;
		return 0;
	}
	return h1_version(last + 1, &h->version, why);
}

/* --- the end of the head --- */

/* The octets of a request line that is not complete yet: whether it can still become one. */
static int
h1_check_begin(const char *p, const char *end, const char **why)
{
	size_t n;

	if (p == end || *p == '\r')
		return 0;
	/* A TLS record of type handshake (RFC 8446 5.1). */
	*why = *p == 0x16 ? "TLS on a plain port" : "the request line does not begin with a method";
	n = h1_method_len(p, end);
	return n == 0 || (p + n < end && p[n] != ' ') ? -400 : 0;
}

/* Looks at the complete lines from s->checked on, and at the request line that ends at upto. */
static int
h1_check_lines(struct h1_scan *s, const char *buf, size_t upto)
{
	while (s->checked < s->line_start) {
		const char *p = buf + s->checked;
		const char *cr = octets_find(p, buf + s->line_start, '\r');
		struct h1_head ignored;
		struct field field;
		int status = 0;

		s->checked = (uint32_t)(cr + 2 - buf);
		if (cr == p)
			continue; /* an empty line before the request line */
		if (s->checked_lines++ == 0)
			status = h1_request_line(&ignored, p, cr, &s->why);
		else if ((s->why = http_field_line(str_n(p, (size_t)(cr - p)), &field)))
			status = -400;
		if (status)
			return status;
	}
	return s->lines == 0 ? h1_check_begin(buf + s->line_start, buf + upto, &s->why) : 0;
}

/* The verdict is status, unless something before upto is worse. */
static int
h1_refuse(struct h1_scan *s, const char *buf, size_t upto, int status, const char *why)
{
	int earlier = h1_check_lines(s, buf, upto);

	if (earlier)
		return earlier;
	s->why = why;
	return status;
}

/* The control character at p is not the CR of a CRLF. */
static int
h1_refuse_ctl(struct h1_scan *s, const char *buf, const char *p)
{
	/* RFC 9112 2.2: a bare CR is invalid; we do not take a bare LF for a line end either.
	   RFC 9110 5.5: other control characters are invalid in values, and nowhere else valid. */
	const char *why = *p == '\r'   ? "a bare CR"
			  : *p == '\n' ? "a bare LF"
				       : "a control character";

	return h1_refuse(s, buf, (size_t)(p - buf), -400, why);
}

/* What there is of the head, upto octets, has no fault and no end. */
static int
h1_scan_more(struct h1_scan *s, const struct h1_limits *l, const char *buf, size_t upto)
{
	if (upto < l->head)
		return h1_check_lines(s, buf, upto);
	if (s->lines == 0)
		return h1_refuse(s, buf, upto, -414, "the request line is too long");
	return h1_refuse(s, buf, upto, -431, "the head is too long"); /* RFC 6585 5 */
}

ssize_t
h1_scan(struct h1_scan *s, const struct h1_limits *l, const char *buf, size_t n, size_t *skip)
{
	uint32_t max_lines = 1 + (l->fields < H1_MAX_FIELDS ? l->fields : H1_MAX_FIELDS);
	size_t upto = n < l->head ? n : l->head;
	const char *p = buf + s->pos, *end = buf + upto;

	for (;;) {
		const char *start = buf + s->line_start;

		p = octets_find_ctl(p, end);
		if (s->lines == 0 && unlikely(p - start > (ptrdiff_t)l->line)) {
			/* RFC 9112 3: too long a request line is 414. */
			return h1_refuse(s, buf, s->line_start + l->line + 1, -414,
			    "the request line is too long");
		}
		if (unlikely(p == end || (p + 1 == end && *p == '\r')))
			break;
		if (unlikely(p[0] != '\r' || p[1] != '\n'))
			return h1_refuse_ctl(s, buf, p);
		s->line_start = (uint32_t)(p + 2 - buf);
		if (p > start && ++s->lines > max_lines)
			return h1_refuse(s, buf, s->line_start, -431, "too many fields");
		if (p == start && s->lines > 0) {
			for (*skip = 0; buf[*skip] == '\r';)
				*skip += 2; /* RFC 9112 2.2: empty lines before the request */
			return s->line_start;
		}
		p += 2;
	}
	s->pos = (uint32_t)(p - buf);
	return h1_scan_more(s, l, buf, upto);
}

/* --- fields that frame the message --- */

static int
h1_fault(struct h1_state *st, const char *why)
{
	st->why = why;
	return -400;
}

/* Keeps the first fault that is not one of syntax. */
static int
h1_later(struct h1_state *st, int status, const char *why)
{
	if (!st->later) {
		st->later = status;
		st->later_why = why;
	}
	return 0;
}

static int
h1_on_host(struct h1_state *st, struct str value)
{
	struct h1_head *h = st->h;

	/* RFC 9112 3.2: more than one Host field, or an invalid one, is 400. */
	if (h->authority.p)
		return h1_fault(st, "more than one Host field");
	if (!uri_authority(value, st->arena, &h->host, &h->port))
		return h1_fault(st, "the Host field is malformed");
	h->authority = value;
	return 0;
}

static int
h1_on_length(struct h1_state *st, struct str value)
{
	uint64_t length;

	/* RFC 9110 8.6 lets a server join equal values or refuse; we refuse. */
	if (st->has_length)
		return h1_fault(st, "more than one Content-Length field");
	st->has_length = true;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return h1_fault(st, "Content-Length is not a number");
	}
	if (value.n == 0)
		return h1_fault(st, "Content-Length is empty");
	if (!str_to_u64(value, INT64_MAX, &length))
		return h1_later(st, -413, "Content-Length is beyond all bounds");
	st->h->length = (int64_t)length;
	return 0;
}

static int
h1_add_coding(struct h1_state *st, struct str coding)
{
	struct str name = str_trim(str_split(&coding, ';'));

	/* RFC 9112 6.1: a sender applies chunked once, and last. */
	if (st->h->is_chunked)
		return h1_fault(st, "chunked is not the last transfer coding");
	/* RFC 9110 5.6.1 would allow empty elements; who reads them differently frames differently.
	 */
	if (!http_is_token(name))
		return h1_fault(st, "Transfer-Encoding is malformed");
	if (!str_caseeq(name, STR("chunked"))) /* RFC 9112 6.1: not understood: 501 */
		return h1_later(st, -501, "unknown transfer coding");
	/* RFC 9112 7.1: chunked has no parameters; their presence is an error. */
	if (coding.p)
		return h1_fault(st, "chunked has parameters");
	st->h->is_chunked = true;
	return 0;
}

static int
h1_on_coding(struct h1_state *st, struct str value)
{
	int status = 0;

	/* RFC 9112 6.1: in a message of HTTP/1.0 the framing is faulty. */
	if (st->h->version < 11)
		return h1_fault(st, "Transfer-Encoding in HTTP/1.0");
	st->has_coding = true;
	while (status == 0 && value.p)
		status = h1_add_coding(st, str_trim(str_split(&value, ',')));
	return status;
}

/* --- fields about the connection --- */

static int
h1_on_connection(struct h1_state *st, struct str value)
{
	struct str option;

	while (str_list_next(&value, &option)) {
		/* RFC 9110 7.6.1: options are case-insensitive. */
		st->has_keep_alive |= str_caseeq(option, STR("keep-alive"));
		st->has_close |= str_caseeq(option, STR("close"));
		st->has_upgrade_token |= str_caseeq(option, STR("upgrade"));
	}
	return 0;
}

static int
h1_on_expect(struct h1_state *st, struct str value)
{
	struct str item;

	while (str_list_next(&value, &item)) {
		/* RFC 9110 10.1.1: 417 for what we cannot meet; 100-continue of HTTP/1.0 is
		 * ignored. */
		if (!str_caseeq(item, STR("100-continue")))
			return h1_later(st, -417, "unknown expectation");
		st->h->expects_continue = st->h->version >= 11;
	}
	return 0;
}

static int (*const h1_rows[HF_MAX])(struct h1_state *, struct str value) = {
	[HF_CONNECTION] = h1_on_connection,
	[HF_CONTENT_LENGTH] = h1_on_length,
	[HF_EXPECT] = h1_on_expect,
	[HF_HOST] = h1_on_host,
	[HF_TRANSFER_ENCODING] = h1_on_coding,
};

/* --- the whole --- */

static int
h1_fields(struct h1_state *st, const char *p, const char *end)
{
	struct h1_head *h = st->h;

	while (p < end) {
		const char *cr = octets_find(p, end, '\r');
		struct field *f = fields_add(&h->fields, st->arena);

		st->why = http_field_line(str_n(p, (size_t)(cr - p)), f);
		if (unlikely(st->why != NULL))
			return -400;
		if (f->id != HF_OTHER) {
			if (h->known[f->id] == 0)
				h->known[f->id] = (uint8_t)h->fields.n;
			if (h1_rows[f->id] && h1_rows[f->id](st, f->value))
				return -400;
		}
		p = cr + 2;
	}
	return 0;
}

/* What the fields mean together. */
static int
h1_finish(struct h1_state *st)
{
	struct h1_head *h = st->h;

	/* RFC 9112 3.2: HTTP/1.1 without Host is 400. */
	if (!h->authority.p && h->version >= 11)
		return h1_fault(st, "no Host field");
	/* RFC 9110 4.2.1: an http URI has a host; only other targets can do with an empty Host. */
	if (h->version >= 11 && h->host.n == 0 && h->target.p[0] == '/')
		return h1_fault(st, "the Host field is empty");
	/* RFC 9112 6.1: both together are an attempt at smuggling. */
	if (st->has_length && st->has_coding)
		return h1_fault(st, "both Content-Length and Transfer-Encoding");
	if (h->is_chunked)
		h->length = -1;
	/* RFC 9112 9.3 */
	h->keep_alive = !st->has_close && (h->version >= 11 || st->has_keep_alive);
	/* RFC 9110 7.8: Upgrade counts only where Connection names it, and not in HTTP/1.0. */
	h->has_upgrade = h->version >= 11 && st->has_upgrade_token && h->known[HF_UPGRADE] > 0;
	st->why = st->later_why;
	return st->later;
}

int
h1_parse(struct h1_head *h, const struct h1_limits *l, struct arena *a, const char *buf, size_t n,
    const char **why)
{
	const char *cr = octets_find(buf, buf + n, '\r');
	struct h1_state st = { .h = h, .arena = a };
	int status;

	must(n <= l->head);
	status = h1_request_line(h, buf, cr, why);
	if (status)
		return status;
	h->length = 0;
	h->is_chunked = h->expects_continue = false;
	h->authority = h->host = (struct str){ NULL, 0 };
	h->port = 0;
	h->fields.n = 0;
	status = h1_fields(&st, cr + 2, buf + n - 2);
	if (!status)
		status = h1_finish(&st);
	*why = st.why;
	return status;
}

/*
 * The head of an HTTP/1 request. h1_scan finds the end, h1_parse takes the lines apart.
 *
 * The verdict on a head is its first fault in the order of its octets, however they arrive: all
 * checks depend on positions, not on calls. A head that is there as a whole at the first look is
 * only measured by h1_scan, and h1_parse finds every fault (control characters and limits
 * included). A head that comes in pieces is looked at octet by octet by h1_scan, and refused there
 * as soon as it is certain; so that this gives the verdict that h1_parse would have given, it looks
 * at the complete lines (h1_check_lines) whenever it has anything to say but "complete".
 *
 * Searches may read up to 16 octets before the place where they begin, always within the head.
 */
#include "common/base/must.h"
#include "common/base/octets.h"
#include "worker/h1_parse.h"
#include "worker/uri.h"

/* Where the parser stands within the fields of a head. */
struct h1_state {
	struct h1_head *h;
	struct arena *arena;
	const char *why;
	bool has_length, has_coding, has_close, has_keep_alive, has_upgrade_token;
	unsigned noptions; /* of Connection */
	int fault; /* minus the status of a fault of meaning; any fault of syntax outranks it */
	const char *fault_why;
};

/* --- the request line --- */

static const char h1_no_method[] = "the request line does not begin with a method";

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

/* RFC 9112 3.1: method = token; its length, 0 when there is none. */
static size_t
h1_method_len(const char *p, const char *end)
{
	size_t n = 0, max = (size_t)(end - p);

	while (n < max && http_tchar[(unsigned char)p[n]])
		n++;
	return n;
}

bool
h1_says_head(const char *p, size_t n)
{
	while (n > 1 && p[0] == '\r' && p[1] == '\n') {
		p += 2;
		n -= 2;
	}
	return n > 4 && memcmp(p, "HEAD ", 5) == 0;
}

/* RFC 9112 3: method SP request-target SP HTTP-version, with exactly these two spaces. lo: see
   octets_search. */
static inline __attribute__((always_inline)) int
h1_request_line(struct h1_head *h, const char *lo, const char *p, const char *end, const char **why)
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
		*why = h1_no_method;
		if (n == 0 || p + n == end || p[n] != ' ')
			return -400;
		h->method_name = str_n(p, n);
		h->method = (uint8_t)http_method_of(h->method_name);
	}
	target = p + n + 1;
	*why = "the request line is not: method, target, version";
	if (last - target < 1 || *last != ' ' ||
	    octets_search(lo, target, end, ' ', octets_is) != last)
		return -400;
	h->target = str_n(target, (size_t)(last - target));
	if (likely(memcmp(last + 1, "HTTP/1.1", 8) == 0)) {
		h->version = 11;
		return 0;
	}
	return h1_version(last + 1, &h->version, why);
}

/* --- the end of the head --- */

/* The octets of a request line that is not complete yet: whether it can still become one. No more
   than the longest method that we know is looked at: this is called anew with every octet. */
static int
h1_check_begin(const char *p, const char *end, const char **why)
{
	size_t n;

	if (p == end || *p == '\r')
		return 0;
	*why = h1_no_method;
	if (end - p > H1_MAX_METHOD)
		end = p + H1_MAX_METHOD;
	n = h1_method_len(p, end);
	return n == 0 || (p + n < end && p[n] != ' ') ? -400 : 0;
}

static const char h1_long_method[] = "a method longer than any known one";
static const char h1_many_fields[] = "too many fields";

static inline uint32_t
h1_max_fields(const struct h1_limits *l)
{
	return l->fields < H1_MAX_FIELDS ? l->fields : H1_MAX_FIELDS;
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
			status = h1_request_line(&ignored, buf, p, cr, &s->why);
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

/* Why the control character at p, which is not the CR of a CRLF, is wrong; begin: of the request
 * line. */
static const char *
h1_ctl_fault(const char *p, const char *begin)
{
	/* RFC 8446 5.1: a record of the type handshake. */
	if (p == begin && *p == 0x16)
		return "TLS on a plain port";
	/* RFC 9112 2.2: a bare CR is invalid; we do not take a bare LF for a line end either.
	   RFC 9110 5.5: other control characters are invalid in values, and nowhere else valid. */
	if (*p == '\r')
		return "a bare CR";
	return *p == '\n' ? "a bare LF" : "a control character";
}

/* RFC 9112 3: a request line of which p..end is only the beginning. 501 where all of that is the
   method. */
static int
h1_long_line(const char *p, const char *end, const char **why)
{
	bool is_method = end > p && h1_method_len(p, end) == (size_t)(end - p);

	*why = is_method ? h1_long_method : "the request line is too long";
	return is_method ? -501 : -414;
}

/* The same while it comes; upto: the octets of it that count. */
static int
h1_refuse_line(struct h1_scan *s, const char *buf, size_t upto)
{
	const char *why;
	int status = h1_long_line(buf + s->line_start, buf + upto, &why);

	return h1_refuse(s, buf, upto, status, why);
}

/* The first upto octets of the head are there: no fault and no end was found in them. */
static int
h1_scan_more(struct h1_scan *s, const struct h1_limits *l, const char *buf, size_t upto)
{
	if (upto < l->head)
		return h1_check_lines(s, buf, upto);
	if (s->lines == 0)
		return h1_refuse_line(s, buf, upto);
	return h1_refuse(s, buf, upto, -431, "the head is too long"); /* RFC 6585 5 */
}

/* The careful way: octet by octet, from where the last call stopped. */
static ssize_t
h1_scan_on(struct h1_scan *s, const struct h1_limits *l, const char *buf, size_t upto)
{
	const char *p = buf + s->pos, *end = buf + upto;

	for (;;) {
		const char *start = buf + s->line_start;

		p = octets_find_ctl(buf, p, end);
		if (s->lines == 0 && p - start > (ptrdiff_t)l->line)
			return h1_refuse_line(s, buf, s->line_start + l->line + 1);
		if (p == end || (p + 1 == end && *p == '\r'))
			break;
		if (p[0] != '\r' || p[1] != '\n')
			return h1_refuse(s, buf, (size_t)(p - buf), -400,
			    h1_ctl_fault(p, s->lines == 0 ? start : NULL));
		s->line_start = (uint32_t)(p + 2 - buf);
		if (p > start && ++s->lines > h1_max_fields(l) + 1)
			return h1_refuse(s, buf, s->line_start, -431, h1_many_fields);
		if (p == start && s->lines > 0)
			return s->line_start;
		p += 2;
	}
	s->pos = (uint32_t)(p - buf);
	return h1_scan_more(s, l, buf, upto);
}

ssize_t
h1_scan(struct h1_scan *s, const struct h1_limits *l, const char *buf, size_t n, size_t *skip)
{
	size_t upto = n < l->head ? n : l->head, begin = 0;
	const char *end = NULL;
	ssize_t len;

	/* RFC 9112 2.2: empty lines before the request line are not part of it. */
	while (unlikely(begin + 1 < upto && buf[begin] == '\r' && buf[begin + 1] == '\n'))
		begin += 2;
	*skip = begin;
	if (likely(s->pos == 0))
		end = octets_find_empty_line(buf + begin, buf + upto);
	len = likely(end != NULL) ? end - buf : h1_scan_on(s, l, buf, upto);
	return len;
}

/* --- fields that frame the message --- */

/* Keeps the first fault of meaning; a 400 counts more than what is merely not implemented. */
static void
h1_fault(struct h1_state *st, int status, const char *why)
{
	if (st->fault == 0 || (status == -400 && st->fault != -400)) {
		st->fault = status;
		st->fault_why = why;
	}
}

static void
h1_on_host(struct h1_state *st, struct str value)
{
	struct h1_head *h = st->h;

	/* RFC 9112 3.2: more than one Host field, or an invalid one, is 400. */
	if (h->authority.p)
		return h1_fault(st, -400, "more than one Host field");
	if (h->seen.n > 0 && str_eq(value, h->seen)) {
		h->host = str_n(value.p, h->seen_host_n);
		h->port = h->seen_port;
		h->is_seen = true;
	} else if (!uri_authority(value, st->arena, &h->host, &h->port)) {
		return h1_fault(st, -400, "the Host field is malformed");
	}
	h->authority = value;
}

static void
h1_on_length(struct h1_state *st, struct str value)
{
	uint64_t length;

	/* RFC 9110 8.6 lets a server join equal values or refuse; we refuse. */
	if (st->has_length)
		return h1_fault(st, -400, "more than one Content-Length field");
	st->has_length = true;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return h1_fault(st, -400, "Content-Length is not a number");
	}
	if (value.n == 0)
		return h1_fault(st, -400, "Content-Length is empty");
	if (!str_to_u64(value, INT64_MAX, &length))
		return h1_fault(st, -413, "Content-Length is beyond all bounds");
	st->h->length = (int64_t)length;
}

static void
h1_add_coding(struct h1_state *st, struct str coding)
{
	struct str name = str_trim(str_split(&coding, ';'));

	/* RFC 9112 6.1: a sender applies chunked once, and last. */
	if (st->h->is_chunked)
		return h1_fault(st, -400, "chunked is not the last transfer coding");
	/* RFC 9110 5.6.1 would allow empty elements; who reads them differently frames differently.
	 */
	if (!http_is_token(name))
		return h1_fault(st, -400, "Transfer-Encoding is malformed");
	if (!str_caseeq(name, STR("chunked"))) /* RFC 9112 6.1: not understood: 501 */
		return h1_fault(st, -501, "unknown transfer coding");
	/* RFC 9112 7.1: chunked has no parameters; their presence is an error. */
	if (coding.p)
		return h1_fault(st, -400, "chunked has parameters");
	st->h->is_chunked = true;
}

static void
h1_on_coding(struct h1_state *st, struct str value)
{
	/* RFC 9112 6.1: in a message of HTTP/1.0 the framing is faulty. */
	if (st->h->version < 11)
		return h1_fault(st, -400, "Transfer-Encoding in HTTP/1.0");
	st->has_coding = true;
	while (value.p)
		h1_add_coding(st, str_trim(str_split(&value, ',')));
}

/* --- fields about the connection --- */

static void
h1_on_connection(struct h1_state *st, struct str value)
{
	struct str option;

	/* What nearly everybody says, as they say it. */
	if (likely(str_eq(value, STR("keep-alive")))) {
		st->has_keep_alive = true;
		return;
	}
	while (str_list_next(&value, &option)) {
		/* Each is a field that may not be passed on: nobody has so many. */
		if (++st->noptions > H1_MAX_OPTIONS)
			return h1_fault(st, -431, "too many options in Connection");
		/* RFC 9110 7.6.1: options are case-insensitive. */
		st->has_keep_alive |= str_caseeq(option, STR("keep-alive"));
		st->has_close |= str_caseeq(option, STR("close"));
		st->has_upgrade_token |= str_caseeq(option, STR("upgrade"));
	}
}

static void
h1_on_expect(struct h1_state *st, struct str value)
{
	struct str item;

	while (str_list_next(&value, &item)) {
		/* RFC 9110 10.1.1: 417 for what we cannot meet; 100-continue of HTTP/1.0 is
		 * ignored. */
		if (!str_caseeq(item, STR("100-continue")))
			return h1_fault(st, -417, "unknown expectation");
		st->h->expects_continue = st->h->version >= 11;
	}
}

static void (*const h1_rows[HF_MAX])(struct h1_state *, struct str value) = {
	[HF_CONNECTION] = h1_on_connection,
	[HF_CONTENT_LENGTH] = h1_on_length,
	[HF_EXPECT] = h1_on_expect,
	[HF_HOST] = h1_on_host,
	[HF_TRANSFER_ENCODING] = h1_on_coding,
};

/* --- the whole --- */

static inline int
h1_field(struct h1_state *st, struct str line, const char *colon)
{
	struct h1_head *h = st->h;
	struct field *f = fields_add(&h->fields, st->arena);

	st->why = http_field_split(line, colon, f);
	if (unlikely(st->why != NULL))
		return -400;
	if (f->id == HF_OTHER)
		return 0;
	if (h->known[f->id] == 0)
		h->known[f->id] = (uint8_t)h->fields.n;
	if (h1_rows[f->id])
		h1_rows[f->id](st, f->value);
	return 0;
}

/* The first field of most requests is the Host of the request before, spelt the same: then there is
   nothing to find out. Returns the octet behind its line, or p. */
static inline const char *
h1_host_again(struct h1_state *st, const char *p, const char *end)
{
	enum { AROUND = sizeof("Host: \r\n\r\n") - 1 };
	struct h1_head *h = st->h;
	const char *value = p + sizeof("Host: ") - 1;
	struct field *f;

	if (h->seen.n == 0 || (size_t)(end - p) < h->seen.n + AROUND ||
	    memcmp(p, "Host: ", 6) != 0 || memcmp(value, h->seen.p, h->seen.n) != 0 ||
	    memcmp(value + h->seen.n, "\r\n", 2) != 0)
		return p;
	h->authority = str_n(value, h->seen.n);
	h->host = str_n(value, h->seen_host_n);
	h->port = h->seen_port;
	h->is_seen = true;
	f = fields_add(&h->fields, st->arena);
	f->name = str_n(p, sizeof("Host") - 1);
	f->value = h->authority;
	f->id = HF_HOST;
	h->known[HF_HOST] = 1;
	return value + h->seen.n + 2;
}

/* p..end: the lines of the fields, each with its CRLF, and the two octets behind them. */
static int
h1_fields(struct h1_state *st, uint32_t max, const char *buf, const char *p, const char *end)
{
	if (max > 0)
		p = h1_host_again(st, p, end);
	while (end - p > 2) {
		const char *colon = octets_search(buf, p, end, ':', octets_is);
		const char *cr = octets_find_ctl(buf, p, end);
		int status;

		if (unlikely(cr[0] != '\r' || cr[1] != '\n')) {
			st->why = h1_ctl_fault(cr, NULL);
			return -400;
		}
		status = h1_field(st, str_n(p, (size_t)(cr - p)), colon);
		if (unlikely(status))
			return status;
		if (unlikely(st->h->fields.n > max)) {
			st->why = h1_many_fields;
			return -431; /* RFC 6585 5 */
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
	if (unlikely(!h->authority.p) && h->version >= 11)
		h1_fault(st, -400, "no Host field");
	/* RFC 9110 4.2.1: an http URI has a host; only other targets can do with an empty Host. */
	if (unlikely(h->host.n == 0) && h->version >= 11 && h->target.p[0] == '/')
		h1_fault(st, -400, "the Host field is empty");
	/* RFC 9112 6.1: both together are an attempt at smuggling. */
	if (unlikely(st->has_length && st->has_coding))
		h1_fault(st, -400, "both Content-Length and Transfer-Encoding");
	if (h->is_chunked)
		h->length = -1;
	/* RFC 9112 9.3 */
	h->keep_alive = !st->has_close && (h->version >= 11 || st->has_keep_alive);
	/* RFC 9110 7.8: Upgrade counts only where Connection names it, and not in HTTP/1.0. */
	h->has_upgrade = h->version >= 11 && st->has_upgrade_token && h->known[HF_UPGRADE] > 0;
	st->why = st->fault_why;
	return st->fault;
}

/* The request line at buf; *line_end is its CR. */
static inline int
h1_begin(struct h1_head *h, const struct h1_limits *l, const char *buf, size_t n,
    const char **line_end, const char **why)
{
	const char *cr = octets_find_ctl(buf, buf, buf + n);

	*line_end = cr;
	if (unlikely(cr - buf > (ptrdiff_t)l->line)) {
		if (h1_check_begin(buf, buf + l->line + 1, why))
			return -400;
		return h1_long_line(buf, buf + l->line + 1, why);
	}
	if (unlikely(cr[0] != '\r' || cr[1] != '\n')) {
		if (!h1_check_begin(buf, cr, why))
			*why = h1_ctl_fault(cr, buf);
		return -400;
	}
	return h1_request_line(h, buf, buf, cr, why);
}

int
h1_parse(struct h1_head *h, const struct h1_limits *l, struct arena *a, const char *buf, size_t n,
    const char **why)
{
	struct h1_state st = { .h = h, .arena = a };
	const char *cr;
	int status;

	h->length = 0;
	h->is_chunked = h->keep_alive = h->expects_continue = h->has_upgrade = h->is_seen = false;
	h->authority = h->host = (struct str){ NULL, 0 };
	h->port = 0;
	h->fields.n = 0;
	status = h1_begin(h, l, buf, n, &cr, why);
	if (unlikely(status))
		return status;
	/* RFC 9110 9.1: a method that nobody can know is not implemented. */
	if (unlikely(h->method_name.n > H1_MAX_METHOD))
		h1_fault(&st, -501, h1_long_method);
	status = h1_fields(&st, h1_max_fields(l), buf, cr + 2, buf + n);
	if (likely(!status))
		status = h1_finish(&st);
	*why = st.why;
	return status;
}

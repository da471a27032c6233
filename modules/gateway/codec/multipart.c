/*
 * See multipart.h. The delimiter holds CR at its beginning only, since no boundary has one. So when
 * octets that looked like it are not, the search goes on at the octet that differs, and what was
 * held back is told from the delimiter itself, wherever the input was cut.
 */
#include "modules/gateway/codec/multipart.h"
#include "modules/gateway/codec/params.h"

enum multipart_state {
	AT_PREAMBLE, /* before the first delimiter */
	AT_LINE,     /* right behind a delimiter */
	AT_PADDING,  /* blanks behind it (RFC 2046 5.1.1) */
	AT_LF,       /* the CR that ends its line has come */
	AT_DASH,     /* "-" has come: another one ends the body */
	AT_HEAD,
	AT_CONTENT,
	AT_EPILOGUE,
	AT_BROKEN,
};

static enum multipart_event
multipart_fail(struct multipart *m, int status, const char *why)
{
	m->state = AT_BROKEN;
	m->status = status;
	m->why = why;
	return MULTIPART_ERROR;
}

void
multipart_init(struct multipart *m, struct str boundary, char *room, size_t max)
{
	*m = (struct multipart){ .room = room, .max = max, .n = 4 + boundary.n };
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.p, boundary.n);
	m->matched = 2; /* the first delimiter may stand at the very beginning */
}

/* --- content --- */

/* Looks for the delimiter in in[0..n). True: it ends before *used; what stands before it are the
   first *plain octets. Else all of it is used, m->matched octets at the end may be its beginning.
   *lost: octets of a beginning in earlier input that went on otherwise; then nothing else is
   used. */
static bool
multipart_find(
    struct multipart *m, const char *in, size_t n, size_t *used, size_t *plain, size_t *lost)
{
	size_t at = 0, start = 0;

	*lost = 0;
	while (at < n) {
		if (m->matched == 0) {
			const char *cr = memchr(in + at, '\r', n - at);

			if (!cr)
				break;
			start = at = (size_t)(cr - in);
		}
		while (at < n && m->matched < m->n && in[at] == m->delimiter[m->matched]) {
			m->matched++;
			at++;
		}
		if (m->matched == m->n) {
			m->matched = 0;
			*plain = start;
			*used = at;
			return true;
		}
		if (at == n) {
			*plain = start;
			*used = n;
			return false;
		}
		if (m->matched > at - start) { /* its beginning was in earlier input */
			*lost = m->matched - (at - start);
			m->matched = 0;
			*plain = *used = 0;
			return false;
		}
		m->matched = 0;
	}
	*plain = *used = n;
	return false;
}

static enum multipart_event
multipart_content(struct multipart *m, const char *in, size_t n, size_t *used)
{
	size_t plain, lost, earlier = m->matched;
	bool is_found = multipart_find(m, in, n, used, &plain, &lost);

	if (lost > 0) {
		m->data = str_n(m->delimiter, earlier);
		return MULTIPART_DATA;
	}
	if (plain > 0) {
		m->data = str_n(in, plain);
		if (is_found) { /* the delimiter is found once more when this is told */
			*used = plain;
			m->matched = 0;
		}
		return MULTIPART_DATA;
	}
	if (!is_found)
		return MULTIPART_MORE;
	m->state = AT_LINE;
	m->skipped = 0;
	return MULTIPART_DONE;
}

/* RFC 2046 5.1.1: a preamble is for readers of mail; no browser sends one. A first line without CR
   LF before it is a delimiter. */
static enum multipart_event
multipart_preamble(struct multipart *m, const char *in, size_t n, size_t *used)
{
	size_t plain, lost;
	bool is_found;

	do {
		size_t more = 0;

		is_found = multipart_find(m, in + *used, n - *used, &more, &plain, &lost);
		*used += more;
		m->skipped += more;
	} while (lost > 0);
	if (m->skipped > MULTIPART_PREAMBLE)
		return multipart_fail(m, 400, "multipart: no delimiter in the first 4 KiB");
	if (is_found) {
		m->state = AT_LINE;
		m->skipped = 0;
	}
	return MULTIPART_MORE;
}

/* --- the rest, octet by octet --- */

static enum multipart_event
multipart_head_octet(struct multipart *m, char c)
{
	size_t n = m->head_n;

	if (n == m->max)
		return multipart_fail(m, 413, "multipart: the head of a part is too large");
	if (n > 0 && m->room[n - 1] == '\r' && c != '\n')
		return multipart_fail(m, 400, "multipart: a bare CR in the head of a part");
	if (c == '\n' && (n == 0 || m->room[n - 1] != '\r'))
		return multipart_fail(m, 400, "multipart: a line of a head ends with a bare LF");
	if (c == '\0')
		return multipart_fail(m, 400, "multipart: a NUL in the head of a part");
	m->room[m->head_n++] = c;
	n = m->head_n;
	if (c != '\n' || (n > 2 && m->room[n - 3] != '\n'))
		return MULTIPART_MORE;
	/* An empty line. The CR LF of the next delimiter is its own, also behind no content at all
	   (RFC 2046 5.1.1). */
	m->head = str_n(m->room, n - 2);
	m->head_n = 0;
	m->state = AT_CONTENT;
	m->matched = 0;
	return MULTIPART_PART;
}

static enum multipart_event
multipart_line_octet(struct multipart *m, char c)
{
	if (m->state == AT_LINE && c == '-') {
		m->state = AT_DASH;
	} else if (m->state == AT_DASH && c == '-') {
		m->state = AT_EPILOGUE;
		return MULTIPART_END;
	} else if ((m->state == AT_LINE || m->state == AT_PADDING) && (c == ' ' || c == '\t')) {
		m->state = AT_PADDING;
		if (++m->skipped > MULTIPART_PADDING)
			return multipart_fail(
			    m, 400, "multipart: too many blanks after a boundary");
	} else if ((m->state == AT_LINE || m->state == AT_PADDING) && c == '\r') {
		m->state = AT_LF;
	} else if (m->state == AT_LF && c == '\n') {
		m->state = AT_HEAD;
	} else {
		return multipart_fail(
		    m, 400, "multipart: the line of a boundary does not end after it");
	}
	return MULTIPART_MORE;
}

enum multipart_event
multipart_input(struct multipart *m, const char *in, size_t n, size_t *used)
{
	enum multipart_event ev = MULTIPART_MORE;

	*used = 0;
	while (ev == MULTIPART_MORE && *used < n) {
		size_t more = 0;

		switch (m->state) {
		case AT_PREAMBLE:
			ev = multipart_preamble(m, in, n, used);
			break;
		case AT_CONTENT:
			ev = multipart_content(m, in + *used, n - *used, &more);
			*used += more;
			break;
		case AT_HEAD:
			ev = multipart_head_octet(m, in[(*used)++]);
			break;
		case AT_EPILOGUE:
			*used = n;
			break;
		case AT_BROKEN:
			return MULTIPART_ERROR;
		default:
			ev = multipart_line_octet(m, in[(*used)++]);
		}
	}
	return ev;
}

bool
multipart_eof(struct multipart *m)
{
	if (m->state == AT_EPILOGUE)
		return true;
	if (m->state != AT_BROKEN)
		multipart_fail(m, 400, "multipart: it ends before its last boundary");
	return false;
}

/* --- Content-Type --- */

bool
multipart_is(struct str type)
{
	return str_caseeq(str_trim(str_split(&type, ';')), STR("multipart/form-data"));
}

/* RFC 2046 5.1.1: bchars, and no blank at the end. */
static bool
multipart_is_boundary(struct str b)
{
	static const char marks[] = "'()+_,-./:=? ";

	if (b.n == 0 || b.n > MULTIPART_BOUNDARY || b.p[b.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < b.n; i++) {
		unsigned char c = (unsigned char)b.p[i], low = c | 0x20;

		if (!((unsigned)low - 'a' < 26 || (unsigned)c - '0' < 10 ||
			(c != '\0' && strchr(marks, c))))
			return false;
	}
	return true;
}

struct str
multipart_boundary(struct str type, const char **why)
{
	struct str rest = type, boundary = { NULL, 0 };
	struct param p;
	int got;

	str_split(&rest, ';');
	while ((got = params_next(&rest, &p)) > 0) {
		if (!str_caseeq(p.name, STR("boundary")))
			continue;
		if (boundary.p)
			got = -1;
		if (got < 0)
			break;
		boundary = p.value;
	}
	*why = got < 0       ? "multipart: Content-Type is malformed"
	       : !boundary.p ? "multipart: Content-Type has no boundary"
			     : "multipart: a boundary that RFC 2046 does not allow";
	return got == 0 && boundary.p && multipart_is_boundary(boundary) ? boundary
									 : str_n(NULL, 0);
}

/*
 * Request targets and paths. A path is decoded once and normalised once, in this order, and what
 * comes out begins with '/', has no empty, "." or ".." segment and no control character. Everything
 * behind this file (routes, access rules, files) sees only such paths.
 *
 * Octets: RFC 3986 allows a few dozen. Browsers also send some other printable ones as they are
 * (brackets, braces, '|', '^', '\\' …, as the WHATWG URL Standard has them), and other clients the
 * octets above 0x7f: these are taken, and stand for themselves. White space, '#' and controls are
 * refused. What is handed on to others is a URI of RFC 3986 again: uri_encode_excluded().
 */
#include <arpa/inet.h>
#include "common/base/must.h"
#include "common/base/octets.h"
#include "worker/uri.h"

enum { URI_PLAIN, URI_SLASH, URI_QUERY, URI_PERCENT, URI_ODD, URI_BAD };

/* What an octet of a path needs. Odd ones mean themselves, but are excluded by RFC 3986, or some
   reader takes them for a delimiter. */
static const uint8_t uri_class[256] = {
	[0 ... ' '] = URI_BAD,
	['/'] = URI_SLASH,
	['?'] = URI_QUERY,
	['%'] = URI_PERCENT,
	['#'] = URI_BAD, /* RFC 9112 3.2: a target has no fragment */
	[0x7f] = URI_BAD,
	['"'] = URI_ODD,
	[';'] = URI_ODD,
	['<'] = URI_ODD,
	['>'] = URI_ODD,
	['[' ... '^'] = URI_ODD,
	['`'] = URI_ODD,
	['{' ... '}'] = URI_ODD,
	[0x80 ... 0xff] = URI_ODD,
};

static int
uri_hex(char c)
{
	unsigned digit = (unsigned)(unsigned char)c - '0';
	unsigned letter = (unsigned)str_lower((unsigned char)c) - 'a';

	if (digit < 10)
		return (int)digit;
	return letter < 6 ? (int)letter + 10 : -1;
}

/* The octet that "%XX" at p stands for, or -1. */
static int
uri_triplet(const char *p, const char *end)
{
	int high, low;

	if (end - p < 3)
		return -1;
	high = uri_hex(p[1]);
	low = uri_hex(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool
uri_is_ctl(int c)
{
	return c < 0x20 || c == 0x7f;
}

/* --- authority --- */

enum {
	URI_HOST_BAD,
	URI_HOST_PLAIN,
	URI_HOST_UPPER,
	URI_HOST_DOT,
	URI_HOST_PERCENT,
	URI_HOST_PORT
};

/* RFC 3986 3.2.2: reg-name = *( unreserved / pct-encoded / sub-delims ). */
static const uint8_t uri_host_class[256] = {
	['a' ... 'z'] = URI_HOST_PLAIN,
	['0' ... '9'] = URI_HOST_PLAIN,
	['-'] = URI_HOST_PLAIN,
	['_'] = URI_HOST_PLAIN,
	['~'] = URI_HOST_PLAIN,
	['!'] = URI_HOST_PLAIN,
	['$'] = URI_HOST_PLAIN,
	['&'] = URI_HOST_PLAIN,
	['\''] = URI_HOST_PLAIN,
	['('] = URI_HOST_PLAIN,
	[')'] = URI_HOST_PLAIN,
	['*'] = URI_HOST_PLAIN,
	['+'] = URI_HOST_PLAIN,
	[','] = URI_HOST_PLAIN,
	[';'] = URI_HOST_PLAIN,
	['='] = URI_HOST_PLAIN,
	['A' ... 'Z'] = URI_HOST_UPPER,
	['.'] = URI_HOST_DOT,
	['%'] = URI_HOST_PERCENT,
	[':'] = URI_HOST_PORT,
};

static struct str
uri_lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n);

	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)str_lower((unsigned char)s.p[i]);
	return str_n(p, s.n);
}

/* The end of the reg-name or IPv4 address at p; NULL when it is malformed. */
static const char *
uri_reg_name(const char *p, const char *end, bool *has_upper)
{
	const char *start = p;
	uint8_t class;

	*has_upper = false;
	for (; p < end && (class = uri_host_class[(unsigned char)*p]) != URI_HOST_PORT; p++) {
		if (class == URI_HOST_PLAIN)
			continue;
		if (class == URI_HOST_UPPER)
			*has_upper = true;
		else if (class == URI_HOST_BAD)
			return NULL;
		else if (class == URI_HOST_PERCENT && uri_triplet(p, end) < 0)
			return NULL;
		/* An empty label is in no name (RFC 1034 3.1), and ".." is dangerous in paths made
		   of host names. */
		else if (class == URI_HOST_DOT && (p == start || p[-1] == '.'))
			return NULL;
	}
	return p;
}

/* The end of the IP-literal (RFC 3986 3.2.2) at p; NULL when it is none that we take: no zone (RFC
   6874 keeps it out of HTTP), no address of a future version. */
static const char *
uri_ip_literal(const char *p, const char *end)
{
	const char *close = octets_find(p, end, ']');
	size_t n = (size_t)(close - p) - 1;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (close == end || n >= sizeof(text))
		return NULL;
	memcpy(text, p + 1, n);
	text[n] = '\0';
	return strlen(text) == n && inet_pton(AF_INET6, text, &ignored) == 1 ? close + 1 : NULL;
}

/* ":" and the port, which may be empty (RFC 3986 3.2.3). */
static bool
uri_port(const char *p, const char *end, uint16_t *port)
{
	uint64_t v;

	*port = 0;
	if (p == end || p + 1 == end)
		return p == end || *p == ':';
	if (*p != ':' || end - p > 6 || !str_to_u64(str_n(p + 1, (size_t)(end - p) - 1), 65535, &v))
		return false;
	*port = (uint16_t)v;
	return v > 0;
}

bool
uri_authority(struct str s, struct arena *a, struct str *host, uint16_t *port)
{
	const char *end, *p;
	bool has_upper;

	*host = s;
	*port = 0;
	if (s.n == 0)
		return true;
	end = s.p + s.n;
	if (*s.p == '[') {
		p = uri_ip_literal(s.p, end);
		has_upper = true; /* perhaps */
	} else {
		p = uri_reg_name(s.p, end, &has_upper);
	}
	if (!p || !uri_port(p, end, port))
		return false;
	host->n = (size_t)(p - s.p);
	/* The absolute form of a domain name (RFC 1034 3.1) is the same name. */
	if (host->n > 0 && p[-1] == '.')
		host->n--;
	if (has_upper)
		*host = uri_lower(a, *host);
	return true;
}

/* --- paths --- */

/* The segment at *p, which then stands at the next one. */
static struct str
uri_segment(const char **p, const char *end)
{
	const char *start = *p, *slash = octets_find(start, end, '/');

	*p = slash < end ? slash + 1 : end;
	return str_n(start, (size_t)(slash - start));
}

/* RFC 3986 5.2.4 for a path without '/' in front, in[0..n) to dst, which may be the octet before
   in, and has room for n + 1. Returns the length; 0: it leaves the root. */
static size_t
uri_squeeze(char *dst, const char *in, size_t n)
{
	const char *p = in, *end = in + n;
	bool is_dir = true; /* the last segment was empty or of dots */
	size_t len = 0;

	while (p < end) {
		struct str seg = uri_segment(&p, end);

		is_dir = true;
		if (seg.n == 0 || str_eq(seg, STR(".")))
			continue;
		if (str_eq(seg, STR(".."))) {
			/* RFC 3986 would stay at the root; nobody who means well asks for this. */
			if (len == 0)
				return 0;
			while (dst[--len] != '/')
				;
			continue;
		}
		dst[len++] = '/';
		memmove(dst + len, seg.p, seg.n);
		len += seg.n;
		is_dir = seg.p + seg.n < end;
	}
	if (is_dir)
		dst[len++] = '/';
	return len;
}

/* Decodes raw, which begins with '/', to dst; returns the length, or 0 when it cannot be decoded.
 */
static size_t
uri_decode(char *dst, struct str raw)
{
	const char *p = raw.p, *end = raw.p + raw.n;
	size_t n = 0;

	while (p < end) {
		int c = (unsigned char)*p;

		if (c != '%') {
			dst[n++] = *p++;
			continue;
		}
		c = uri_triplet(p, end);
		if (c < 0 || uri_is_ctl(c))
			return 0;
		/* RFC 3986 2.2: an encoded slash is data, not a delimiter. */
		if (c == '/') {
			memcpy(dst + n, p, 3);
			n += 3;
		} else {
			dst[n++] = (char)c;
		}
		p += 3;
	}
	return n;
}

bool
uri_normalise(struct arena *a, struct str path, struct str *out)
{
	bool is_rooted = path.n > 0 && path.p[0] == '/';
	char *dst;

	for (size_t i = 0; i < path.n; i++) {
		if (uri_is_ctl((unsigned char)path.p[i]))
			return false;
	}
	dst = arena_alloc(a, path.n + 1);
	out->p = dst;
	out->n = uri_squeeze(dst, path.p + is_rooted, path.n - is_rooted);
	return out->n > 0;
}

static bool
uri_path_slow(struct str raw, struct arena *a, struct str *out)
{
	char *dst = arena_alloc(a, raw.n + 1);
	size_t n = uri_decode(dst, raw);

	if (n == 0)
		return false;
	out->p = dst;
	out->n = uri_squeeze(dst, dst + 1, n - 1);
	return out->n > 0;
}

/* Whether the '/' at p begins a segment that is empty or begins with a dot. */
static inline bool
uri_is_odd(const char *p, const char *end)
{
	return p + 1 < end && (p[1] == '/' || p[1] == '.');
}

/* Whether a step of octets from p on are all letters, digits or some of the others that need no
   look (never one that does), in segments that do not begin with a dot and are not empty. The octet
   before p belongs to the path, too. */
static inline bool
uri_is_simple(const char *p)
{
	octets_vec v = octets_load(p), before = octets_load(p - 1);
	octets_vec is_letter = (octets_vec)((v | 0x20) - 'a' < 26);
	octets_vec is_digit = (octets_vec)(v - '-' <= '9' - '-'); /* and '-', '.', '/' */
	octets_vec is_odd = octets_is(before, '/') & (octets_is(v, '/') | octets_is(v, '.'));

	return octets_mask((is_letter | is_digit | octets_is(v, '_')) & ~is_odd) == 0xffff;
}

/* Where what is simple from p on (which is '/') ends; an octet of it. */
static inline const char *
uri_simple_end(const char *p, const char *end)
{
	const char *start = p++;

	if (end - p < OCTETS_STEP)
		return start;
	for (; end - p >= OCTETS_STEP; p += OCTETS_STEP)
		if (!uri_is_simple(p))
			return p - 1;
	return uri_is_simple(end - OCTETS_STEP) ? end - 1 : p - 1;
}

/* The end of the path at p (which is '/'); NULL when an octet is bad. *is_normal: nothing of it
   changes; *is_plain: and all of its octets are, too. */
static inline const char *
uri_path_end(const char *p, const char *end, bool *is_normal, bool *is_plain)
{
	bool is_odd = false, has_odd = false;

	for (p = uri_simple_end(p, end);; p++) {
		uint8_t class = URI_PLAIN;

		while (p < end && likely((class = uri_class[(unsigned char)*p]) == URI_PLAIN))
			p++;
		if (p == end)
			break;
		if (class == URI_SLASH)
			is_odd |= uri_is_odd(p, end);
		else if (class == URI_PERCENT)
			is_odd = true;
		else if (class == URI_ODD)
			has_odd = true;
		else if (class == URI_QUERY)
			break;
		else
			return NULL;
	}
	*is_normal = !is_odd;
	*is_plain = !is_odd && !has_odd;
	return p;
}

/* Takes what follows the '?'. Whether all its octets may stand there; its escapes are the
   application's business. */
static bool
uri_query(struct uri *u, const char *p, const char *end)
{
	u->query = str_n(p, (size_t)(end - p));
	for (; p < end; p++) {
		uint8_t class = uri_class[(unsigned char)*p];

		if (likely(class < URI_ODD))
			continue;
		if (class == URI_BAD)
			return false;
		u->is_plain = false;
	}
	return true;
}

/* path-absolute [ "?" query ] */
static inline __attribute__((always_inline)) int
uri_path_and_query(const char *p, const char *end, struct arena *a, struct uri *u)
{
	bool is_normal;
	const char *stop = uri_path_end(p, end, &is_normal, &u->is_plain);

	if (!stop)
		return 400;
	u->raw_path = u->path = str_n(p, (size_t)(stop - p));
	if (stop < end && !uri_query(u, stop + 1, end))
		return 400;
	return is_normal || uri_path_slow(u->raw_path, a, &u->path) ? 0 : 400;
}

/* --- the forms of a target --- */

static void
uri_set_asterisk(struct uri *u)
{
	u->is_asterisk = true;
	u->raw_path = u->path = STR("*");
}

/* RFC 9110 4.2: what we serve. */
static struct str
uri_scheme(struct str target)
{
	static const struct str schemes[] = { STR_INIT("http"), STR_INIT("https") };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = schemes[i].n;

		if (target.n > n && target.p[n] == ':' &&
		    str_caseeq(str_n(target.p, n), schemes[i]))
			return schemes[i];
	}
	return (struct str){ NULL, 0 };
}

/* RFC 9112 3.2.2 */
static __attribute__((noinline)) int
uri_absolute(struct str target, enum http_method method, struct arena *a, struct uri *u)
{
	const char *end = target.p + target.n, *p, *stop;

	u->scheme = uri_scheme(target);
	p = target.p + u->scheme.n + 1;
	if (u->scheme.n == 0 || end - p < 2 || p[0] != '/' || p[1] != '/')
		return 400;
	p += 2;
	for (stop = p; stop < end && *stop != '/' && *stop != '?';)
		stop++;
	/* RFC 9110 4.2.1: no empty host; 4.2.4: user information is an error ('@' is no host). */
	if (!uri_authority(str_n(p, (size_t)(stop - p)), a, &u->host, &u->port) || u->host.n == 0)
		return 400;
	if (stop < end && *stop == '/')
		return uri_path_and_query(stop, end, a, u);
	/* RFC 9112 3.2.4: an OPTIONS request without path and query is meant for the server. */
	if (stop == end && method == M_OPTIONS) {
		uri_set_asterisk(u);
		return 0;
	}
	/* RFC 9110 4.2.3: an empty path is "/". */
	u->raw_path = u->path = STR("/");
	u->is_plain = true;
	return stop == end || uri_query(u, stop + 1, end) ? 0 : 400;
}

/* RFC 9112 3.2.3: host and port, both there. */
static int
uri_connect(struct str target, struct arena *a, struct uri *u)
{
	bool is_good = uri_authority(target, a, &u->host, &u->port);

	return is_good && u->host.n > 0 && u->port > 0 ? 0 : 400;
}

int
uri_parse(struct str target, enum http_method method, struct arena *a, struct uri *out)
{
	*out = (struct uri){ 0 };
	if (target.n == 0)
		return 400;
	if (unlikely(method == M_CONNECT))
		return uri_connect(target, a, out);
	if (likely(target.p[0] == '/'))
		return uri_path_and_query(target.p, target.p + target.n, a, out);
	if (!str_eq(target, STR("*")))
		return uri_absolute(target, method, a, out);
	/* RFC 9112 3.2.4: only for OPTIONS. */
	if (method != M_OPTIONS)
		return 400;
	uri_set_asterisk(out);
	return 0;
}

/* --- encoding --- */

enum { URI_PCHAR = 1, URI_TAKEN = 2 };

/* Which octets are not encoded: in a path (RFC 3986 3.3: pchar and '/'), and in a target that the
   client has encoded already, all that a URI may have there (3.4: '?' too). */
static const uint8_t uri_stays[256] = {
	['a' ... 'z'] = URI_PCHAR | URI_TAKEN,
	['A' ... 'Z'] = URI_PCHAR | URI_TAKEN,
	['0' ... '9'] = URI_PCHAR | URI_TAKEN,
	['-'] = URI_PCHAR | URI_TAKEN,
	['.'] = URI_PCHAR | URI_TAKEN,
	['_'] = URI_PCHAR | URI_TAKEN,
	['~'] = URI_PCHAR | URI_TAKEN,
	['!'] = URI_PCHAR | URI_TAKEN,
	['$'] = URI_PCHAR | URI_TAKEN,
	['&'] = URI_PCHAR | URI_TAKEN,
	['\''] = URI_PCHAR | URI_TAKEN,
	['('] = URI_PCHAR | URI_TAKEN,
	[')'] = URI_PCHAR | URI_TAKEN,
	['*'] = URI_PCHAR | URI_TAKEN,
	['+'] = URI_PCHAR | URI_TAKEN,
	[','] = URI_PCHAR | URI_TAKEN,
	[';'] = URI_PCHAR | URI_TAKEN,
	['='] = URI_PCHAR | URI_TAKEN,
	[':'] = URI_PCHAR | URI_TAKEN,
	['@'] = URI_PCHAR | URI_TAKEN,
	['/'] = URI_PCHAR | URI_TAKEN,
	['?'] = URI_TAKEN,
	['%'] = URI_TAKEN,
};

static struct str
uri_encode(struct arena *a, struct str s, uint8_t stays)
{
	static const char hex[] = "0123456789ABCDEF"; /* RFC 3986 2.1 */
	size_t odd = 0, n = 0;
	char *p;

	for (size_t i = 0; i < s.n; i++)
		odd += !(uri_stays[(unsigned char)s.p[i]] & stays);
	if (odd == 0)
		return s;
	p = arena_alloc(a, s.n + 2 * odd);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (uri_stays[c] & stays) {
			p[n++] = (char)c;
			continue;
		}
		p[n++] = '%';
		p[n++] = hex[c >> 4];
		p[n++] = hex[c & 15];
	}
	return str_n(p, n);
}

struct str
uri_encode_path(struct arena *a, struct str path)
{
	return uri_encode(a, path, URI_PCHAR);
}

struct str
uri_encode_excluded(struct arena *a, struct str s)
{
	return uri_encode(a, s, URI_TAKEN);
}

struct str
uri_spell(struct arena *a, struct str path)
{
	struct str out = str_n(path.p, 0);
	size_t start = 0;

	for (size_t i = 0; i + 2 < path.n; i++) {
		struct str piece;

		if (path.p[i] != '%' || uri_triplet(path.p + i, path.p + path.n) != '/')
			continue;
		piece = uri_encode_path(a, str_n(path.p + start, i - start));
		out = arena_printf(a, "%.*s%.*s%.*s", STR_FMT(out), STR_FMT(piece), 3, path.p + i);
		start = i + 3;
		i += 2;
	}
	path = uri_encode_path(a, str_n(path.p + start, path.n - start));
	return start == 0 ? path : arena_printf(a, "%.*s%.*s", STR_FMT(out), STR_FMT(path));
}

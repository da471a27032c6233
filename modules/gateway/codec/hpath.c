/*
 * The path that a backend gets. It keeps the client's encoding, because "%2F" and "/" are not the
 * same to many applications; but what was normalised for routing and access rules (dot segments) is
 * not given on raw, because the backend would normalise it its way: of "/a//../b" RFC 3986 5.2.4
 * makes "/a/b", and most servers "/b". Nor are octets that RFC 3986 excludes, nor several slashes
 * in front, which many take for the beginning of an authority (RFC 3986 4.2).
 */
#include "common/base/must.h"
#include "modules/gateway/codec/hpath.h"
#include "worker/uri.h"

/* --- dot segments --- */

static int
hpath_hex(char c)
{
	unsigned digit = (unsigned)(unsigned char)c - '0';
	unsigned letter = (unsigned)str_lower((unsigned char)c) - 'a';

	return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

/* The octet at the front of a raw path, decoded; *n: how many octets it takes. An
   encoded slash is no slash. */
static int
hpath_octet(struct str s, size_t *n)
{
	int high, low;

	*n = 1;
	if (s.p[0] != '%' || s.n < 3)
		return (unsigned char)s.p[0];
	high = hpath_hex(s.p[1]);
	low = hpath_hex(s.p[2]);
	if (high < 0 || low < 0)
		return '%';
	*n = 3;
	return high * 16 + low == '/' ? -1 : high * 16 + low;
}

/* 1 for ".", 2 for "..", also in their encoded forms; 0 for other segments. */
static int
hpath_dots(struct str segment)
{
	int dots = 0;
	size_t n;

	for (; segment.n > 0; segment = str_n(segment.p + n, segment.n - n)) {
		if (dots == 2 || hpath_octet(segment, &n) != '.')
			return 0;
		dots++;
	}
	return dots;
}

/* The segment at the front of a path that begins with a slash, without it. */
static struct str
hpath_segment(struct str path)
{
	const char *p = path.p + 1, *end = path.p + path.n;
	const char *slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;

	return str_n(p, (size_t)((slash ? slash : end) - p));
}

static bool
hpath_has_dots(struct str raw)
{
	while (raw.n > 0) {
		struct str segment = hpath_segment(raw);

		if (hpath_dots(segment) > 0)
			return true;
		raw = str_n(segment.p + segment.n, raw.n - segment.n - 1);
	}
	return false;
}

/* RFC 3986 5.2.4, on the raw path; and as worker/uri.c counts: empty segments are none that ".."
   could take back. */
static struct str
hpath_undot(struct arena *a, struct str raw)
{
	char *start = arena_alloc(a, raw.n + 1), *p = start;

	while (raw.n > 0) {
		struct str segment = hpath_segment(raw);
		int dots = hpath_dots(segment);

		raw = str_n(segment.p + segment.n, raw.n - segment.n - 1);
		if (dots == 2) {
			while (p > start && p[-1] == '/')
				p--;
			while (p > start && *--p != '/')
				;
		}
		if (dots == 0) {
			*p++ = '/';
			memcpy(p, segment.p, segment.n);
			p += segment.n;
		} else if (raw.n == 0) {
			*p++ = '/'; /* "/a/." is "/a/" */
		}
	}
	return str_n(start, (size_t)(p - start));
}

/* --- what is handed on --- */

struct str
hpath_one_slash(struct str path)
{
	while (path.n > 1 && path.p[0] == '/' && path.p[1] == '/')
		path = str_n(path.p + 1, path.n - 1);
	return path;
}

bool
hpath_asked(struct request *r, struct str *path)
{
	struct uri uri;

	*path = r->reroutes == 0 ? r->path : r->raw_path;
	if (r->reroutes == 0 || r->is_plain)
		return true;
	if (r->raw_path.n == 0 || r->raw_path.p[0] != '/' ||
	    uri_parse(r->raw_path, M_GET, &r->arena, &uri) != 0)
		return false;
	*path = uri.path;
	return true;
}

struct str
hpath_own(struct request *r)
{
	struct str raw = r->raw_path;

	if (likely(r->is_plain) || raw.n == 0 || raw.p[0] != '/')
		return raw;
	raw = uri_encode_excluded(&r->arena, raw);
	return hpath_one_slash(hpath_has_dots(raw) ? hpath_undot(&r->arena, raw) : raw);
}

struct str
hpath_source(struct request *r)
{
	struct str asked;

	if (likely(hpath_is_plain(r)) || r->path.n == 0 || r->path.p[0] != '/')
		return r->raw_path;
	if (hpath_asked(r, &asked) && str_eq(asked, r->path))
		return hpath_own(r);
	return uri_encode_path(&r->arena, r->path); /* a rewrite made it */
}

struct str
hpath_query(struct request *r)
{
	struct str query = r->query, target = r->target;

	if (!query.p || (r->is_plain && query.p + query.n == target.p + target.n))
		return query;
	return uri_encode_excluded(&r->arena, query); /* or what a rewrite made */
}

/* Of an error page or a local redirect: as if the client had asked for it. A front controller that
   is the page for a 403 must not read there what was refused. */
static struct str
hpath_uri_anew(struct request *r)
{
	struct str path = uri_encode_path(&r->arena, r->path), query = hpath_query(r);

	return query.p ? arena_printf(&r->arena, "%.*s?%.*s", STR_FMT(path), STR_FMT(query)) : path;
}

struct str
hpath_uri(struct request *r)
{
	struct str target = r->target, own, path, query;

	if (unlikely(r->asked != NULL))
		return hpath_uri_anew(r);
	if (likely(r->is_plain) && target.n > 0 && target.p[0] == '/')
		return target;
	own = hpath_own(r);
	query = target;
	path = str_split(&query, '?');
	if (!query.p)
		return own;
	query = uri_encode_excluded(&r->arena, query);
	if (own.p == path.p && own.n == path.n && query.p == path.p + path.n + 1)
		return target;
	return arena_printf(&r->arena, "%.*s?%.*s", STR_FMT(own), STR_FMT(query));
}

ptrdiff_t
hpath_prefix(struct str raw, struct str from)
{
	struct str at = raw;
	size_t n;

	for (size_t i = 0; i < from.n; i++) {
		if (at.n == 0 || hpath_octet(at, &n) != (unsigned char)from.p[i])
			return -1;
		at = str_n(at.p + n, at.n - n);
		while (from.p[i] == '/' && at.n > 0 && at.p[0] == '/')
			at = str_n(at.p + 1, at.n - 1);
	}
	return at.n == 0 || at.p[0] == '/' ? at.p - raw.p : -1;
}

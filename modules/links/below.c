#include "modules/links/below.h"
#include "modules/links/query.h"

enum { BELOW_ROUNDS = 8 };

struct str
links_below_front(struct str path, uint64_t n)
{
	size_t at = 0;

	if (n == 0)
		return str_n(path.p, 1);
	for (; n > 0; n--) {
		if (at + 1 >= path.n)
			return (struct str){ NULL, 0 };
		for (at++; at < path.n && path.p[at] != '/'; at++)
			;
	}
	return str_n(path.p, at);
}

uint64_t
links_below_count(struct str path)
{
	uint64_t n = 0;

	for (size_t i = 0; i + 1 < path.n; i++)
		n += path.p[i] == '/';
	return n;
}

/* Whether s has anything that may be read as something else than plain text. Nearly all paths do
   not, and are not looked at further. */
static bool
links_below_is_odd(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (memchr("%\\;?#", s.p[i], 5) || (unsigned char)s.p[i] >= 0xc0)
			return true;
	return false;
}

/* Where a reader may end a segment. */
static bool
links_below_ends(char c)
{
	return memchr("/\\;?#", c, 5) || (unsigned char)c < ' ';
}

static bool
links_below_has_dots(struct str s)
{
	size_t start = 0;

	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && !links_below_ends(s.p[i]))
			continue;
		if (i - start >= 2 && s.p[start] == '.' && s.p[start + 1] == '.') {
			struct str more = str_n(s.p + start + 2, i - start - 2);

			if (str_trim(more).n == 0)
				return true;
		}
		start = i + 1;
	}
	return false;
}

/* UTF-8 in more octets than needed (RFC 3629 3): some readers take it for what it stands for. */
static bool
links_below_is_overlong(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i],
			      next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;

		if (c == 0xc0 || c == 0xc1 || c >= 0xf8 ||
		    (c == 0xe0 && next >= 0x80 && next < 0xa0) ||
		    (c == 0xf0 && next >= 0x80 && next < 0x90))
			return true;
	}
	return false;
}

/* Escapes that can be decoded, and the others as they are. */
static struct str
links_below_decode(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	while (s.n > 0) {
		struct str one = links_query_decode(a, str_n(s.p, s.n < 3 ? s.n : 3));
		bool is_escape = s.p[0] == '%' && s.n >= 3 && one.p;

		out[n++] = is_escape ? one.p[0] : s.p[0];
		s = is_escape ? str_n(s.p + 3, s.n - 3) : str_n(s.p + 1, s.n - 1);
	}
	return str_n(out, n);
}

bool
links_below_leaves(struct arena *a, struct str rest)
{
	if (!links_below_is_odd(rest))
		return false;
	for (int i = 0; i < BELOW_ROUNDS; i++) {
		struct str next;

		if (links_below_has_dots(rest) || links_below_is_overlong(rest))
			return true;
		next = links_below_decode(a, rest);
		if (next.n == rest.n)
			return false;
		rest = next;
	}
	return true; /* nobody who means well encodes so often */
}

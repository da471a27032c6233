#include "modules/links/query.h"

static int
links_query_hex(char c)
{
	unsigned digit = (unsigned)(unsigned char)c - '0';
	unsigned letter = (unsigned)str_lower((unsigned char)c) - 'a';

	return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

/* The octet that an escape at the front of s stands for, or -1. */
static int
links_query_octet(struct str s)
{
	int high = s.n > 2 ? links_query_hex(s.p[1]) : -1,
	    low = s.n > 2 ? links_query_hex(s.p[2]) : -1;

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

struct str
links_query_decode(struct arena *a, struct str s)
{
	char *out;
	size_t n = 0;

	if (str_find(s, '%') < 0)
		return s;
	out = arena_alloc(a, s.n);
	while (s.n > 0) {
		int c = s.p[0] == '%' ? links_query_octet(s) : (unsigned char)s.p[0];

		if (c < 0)
			return (struct str){ NULL, 0 };
		s = s.p[0] == '%' ? str_n(s.p + 3, s.n - 3) : str_n(s.p + 1, s.n - 1);
		out[n++] = (char)c;
	}
	return str_n(out, n);
}

/* Whether s, decoded, is name. */
static bool
links_query_spells(struct str s, struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		bool is_escape = s.n > 0 && s.p[0] == '%';
		int c = is_escape ? links_query_octet(s) : s.n > 0 ? (unsigned char)s.p[0] : -1;

		if (c != (unsigned char)name.p[i])
			return false;
		s = is_escape ? str_n(s.p + 3, s.n - 3) : str_n(s.p + 1, s.n - 1);
	}
	return s.n == 0;
}

/* Whether a pair ("name=value", "name") is of this name; value: what stands behind the "=". */
static bool
links_query_is(struct str pair, struct str name, struct str *value)
{
	struct str rest = pair, is = str_split(&rest, '=');

	*value = rest.p ? rest : str_n(pair.p + pair.n, 0);
	return links_query_spells(is, name);
}

unsigned
links_query_get(struct str query, struct str name, struct str *value)
{
	struct str rest = query, one;
	unsigned n = 0;

	*value = (struct str){ NULL, 0 };
	while (rest.p)
		if (links_query_is(str_split(&rest, '&'), name, &one) && n++ == 0)
			*value = one;
	return n;
}

struct str
links_query_cut(struct arena *a, struct str query, struct str name)
{
	struct str rest = query, value;
	bool is_first = true;
	char *out;
	size_t n = 0;

	if (!query.p || links_query_get(query, name, &value) == 0)
		return query;
	out = arena_alloc(a, query.n + 1);
	while (rest.p) {
		struct str pair = str_split(&rest, '&');

		if (links_query_is(pair, name, &value))
			continue;
		if (!is_first)
			out[n++] = '&';
		is_first = false;
		memcpy(out + n, pair.p, pair.n);
		n += pair.n;
	}
	return n > 0 ? str_n(out, n) : (struct str){ NULL, 0 };
}

struct str
links_query_add(struct arena *a, struct str query, struct str name, struct str value)
{
	return arena_printf(a, "%.*s%s%.*s=%.*s", STR_FMT(query), query.n ? "&" : "", STR_FMT(name),
	    STR_FMT(value));
}

#include "modules/links/query.h"

static int
links_query_hex(char c)
{
	unsigned digit = (unsigned)(unsigned char)c - '0';
	unsigned letter = (unsigned)str_lower((unsigned char)c) - 'a';

	return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

struct str
links_query_decode(struct arena *a, struct str s)
{
	char *out;
	size_t n = 0;

	if (str_find(s, '%') < 0)
		return s;
	out = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		if (s.p[i] != '%') {
			out[n++] = s.p[i];
			continue;
		}
		high = s.n - i > 2 ? links_query_hex(s.p[i + 1]) : -1;
		low = s.n - i > 2 ? links_query_hex(s.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return (struct str){ NULL, 0 };
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return str_n(out, n);
}

/* Whether a pair ("name=value", "name") is of this name; value: what stands behind the "=". */
static bool
links_query_is(struct arena *a, struct str pair, struct str name, struct str *value)
{
	struct str rest = pair, is = links_query_decode(a, str_split(&rest, '='));

	*value = rest.p ? rest : str_n(pair.p + pair.n, 0);
	return is.p && str_eq(is, name);
}

unsigned
links_query_get(struct arena *a, struct str query, struct str name, struct str *value)
{
	struct str rest = query, one;
	unsigned n = 0;

	*value = (struct str){ NULL, 0 };
	while (rest.p)
		if (links_query_is(a, str_split(&rest, '&'), name, &one) && n++ == 0)
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

	if (!query.p || links_query_get(a, query, name, &value) == 0)
		return query;
	out = arena_alloc(a, query.n + 1);
	while (rest.p) {
		struct str pair = str_split(&rest, '&');

		if (links_query_is(a, pair, name, &value))
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

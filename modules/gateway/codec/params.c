#include "common/base/http.h"
#include "common/base/utf8.h"
#include "modules/gateway/codec/params.h"

static struct str
params_skip(struct str s)
{
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	return s;
}

/* The end of what stands in quotes, from behind the first; s.n: it does not end. A backslash as the
   last octet of a name, which browsers do not escape, does not take the last quote away. */
static size_t
params_quoted(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool is_pair = s.p[i] == '\\' && i + 1 < s.n &&
			       (s.p[i + 1] == '\\' || (s.p[i + 1] == '"' && i + 2 < s.n));

		if (is_pair)
			i++;
		else if (s.p[i] == '"')
			return i;
	}
	return s.n;
}

static bool
params_is_plain(char c)
{
	return (unsigned char)c > ' ' && c != ';' && c != '"' && c != 0x7f;
}

int
params_next(struct str *rest, struct param *p)
{
	struct str s = params_skip(*rest);
	size_t n = 0;

	while (s.n > 0 && *s.p == ';')
		s = params_skip(str_n(s.p + 1, s.n - 1));
	if (s.n == 0)
		return 0;
	while (n < s.n && params_is_plain(s.p[n]) && s.p[n] != '=')
		n++;
	p->name = str_n(s.p, n);
	if (n == s.n || s.p[n] != '=' || !http_is_token(p->name))
		return -1;
	s = str_n(s.p + n + 1, s.n - n - 1);
	p->is_quoted = s.n > 0 && *s.p == '"';
	if (p->is_quoted) {
		s = str_n(s.p + 1, s.n - 1);
		n = params_quoted(s);
		if (n == s.n)
			return -1;
		p->value = str_n(s.p, n);
		n++;
	} else {
		for (n = 0; n < s.n && params_is_plain(s.p[n]);)
			n++;
		p->value = str_n(s.p, n);
	}
	s = params_skip(str_n(s.p + n, s.n - n));
	if (s.n > 0 && *s.p != ';')
		return -1;
	*rest = s;
	return 1;
}

struct str
params_text(struct arena *a, const struct param *p)
{
	struct str v = p->value;
	char *dst;
	size_t n = 0;

	if (!p->is_quoted)
		return v;
	dst = arena_alloc(a, v.n + 1);
	for (size_t i = 0; i < v.n; i++) {
		bool is_pair =
		    v.p[i] == '\\' && i + 1 < v.n && (v.p[i + 1] == '\\' || v.p[i + 1] == '"');

		if (is_pair) {
			dst[n++] = v.p[++i];
		} else if (v.n - i >= 3 && memcmp(v.p + i, "%22", 3) == 0) {
			dst[n++] = '"';
			i += 2;
		} else {
			dst[n++] = v.p[i];
		}
	}
	return str_n(dst, n);
}

static int
params_hex(char c)
{
	unsigned char low = str_lower((unsigned char)c);

	if ((unsigned)low - '0' < 10)
		return low - '0';
	return (unsigned)low - 'a' < 6 ? low - 'a' + 10 : -1;
}

struct str
params_extended(struct arena *a, struct str value)
{
	static const struct str none = { NULL, 0 };
	struct str charset = str_split(&value, '\'');
	char *dst;
	size_t n = 0;

	if (!value.p || !str_caseeq(charset, STR("UTF-8")))
		return none;
	str_split(&value, '\''); /* the language */
	if (!value.p)
		return none;
	dst = arena_alloc(a, value.n + 1);
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '%') {
			int high = value.n - i > 2 ? params_hex(value.p[i + 1]) : -1;
			int low = value.n - i > 2 ? params_hex(value.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return none;
			c = (char)(high << 4 | low);
			i += 2;
		}
		dst[n++] = c;
	}
	for (size_t i = 0; i < n;) {
		unsigned len =
		    utf8_len((const unsigned char *)dst + i, (const unsigned char *)dst + n);

		if (len == 0)
			return none;
		i += len;
	}
	return str_n(dst, n);
}

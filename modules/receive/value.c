#include "modules/receive/value.h"

/* --- structured fields --- */

enum { VALUE_DIGITS = 15 }; /* RFC 9651 3.3.1 */

static bool
value_is_key(char c, bool is_first)
{
	unsigned u = (unsigned char)c;

	if (u - 'a' < 26 || c == '*')
		return true;
	return !is_first && (u - '0' < 10 || c == '_' || c == '-' || c == '.');
}

/* Behind a bare item; false where none ends. RFC 9651 3.3 */
static bool
value_skip_item(struct str *s)
{
	size_t i = 0;

	if (s->n && s->p[0] == '"') {
		for (i = 1; i < s->n && s->p[i] != '"'; i++)
			if (s->p[i] == '\\')
				i++;
		if (i >= s->n)
			return false;
		i++;
	} else {
		while (i < s->n && s->p[i] > ' ' && s->p[i] < 0x7f && s->p[i] != ';' &&
		       s->p[i] != ',' && s->p[i] != '"')
			i++;
	}
	*s = str_n(s->p + i, s->n - i);
	return i > 0;
}

/* Whether nothing but parameters is left. RFC 9651 3.1.2 */
static bool
value_is_end(struct str s)
{
	while (s.n > 0) {
		size_t i = 1;

		if (s.p[0] != ';')
			return false;
		while (i < s.n && s.p[i] == ' ')
			i++;
		if (i == s.n || !value_is_key(s.p[i], true))
			return false;
		while (i < s.n && value_is_key(s.p[i], false))
			i++;
		s = str_n(s.p + i, s.n - i);
		if (s.n == 0 || s.p[0] != '=')
			continue;
		s = str_n(s.p + 1, s.n - 1);
		if (!value_skip_item(&s))
			return false;
	}
	return true;
}

bool
receive_value_bool(struct str s, bool *out)
{
	if (s.n < 2 || s.p[0] != '?' || (s.p[1] != '0' && s.p[1] != '1'))
		return false;
	*out = s.p[1] == '1';
	return value_is_end(str_n(s.p + 2, s.n - 2));
}

bool
receive_value_int(struct str s, int64_t *out)
{
	size_t n = 0;
	uint64_t v;

	while (n < s.n && (unsigned)s.p[n] - '0' < 10)
		n++;
	if (n > VALUE_DIGITS || !str_to_u64(str_n(s.p, n), INT64_MAX, &v))
		return false;
	*out = (int64_t)v;
	return value_is_end(str_n(s.p + n, s.n - n));
}

bool
receive_value_number(struct str s, int64_t *out)
{
	uint64_t v;

	if (!str_to_u64(s, INT64_MAX / 2, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

/* --- base64 --- */

static int
value_sextet(unsigned char c)
{
	if ((unsigned)c - 'A' < 26)
		return c - 'A';
	if ((unsigned)c - 'a' < 26)
		return c - 'a' + 26;
	if ((unsigned)c - '0' < 10)
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4; padding may be missing, but not be wrong. dst has room for s.n octets. -1: none. */
static ptrdiff_t
value_base64(struct str s, char *dst)
{
	unsigned bits = 0, have = 0;
	size_t n = s.n, at = 0;

	if (s.n % 4 == 0)
		for (int i = 0; i < 2 && n > 0 && s.p[n - 1] == '='; i++)
			n--;
	if (n % 4 == 1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int v = value_sextet((unsigned char)s.p[i]);

		if (v < 0)
			return -1;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		dst[at++] = (char)(unsigned char)(bits >> have & 0xff);
	}
	return (ptrdiff_t)at;
}

/* --- tus --- */

int
receive_value_metadata(struct str value, struct str key, struct arena *a, struct str *out)
{
	int found = 0;

	while (value.p && value.n) {
		struct str rest = str_trim(str_split(&value, ','));
		struct str name = str_split(&rest, ' ');
		char *text = arena_alloc(a, rest.n + 1);
		ptrdiff_t n = 0;

		if (name.n == 0)
			return -1;
		if (rest.p)
			n = value_base64(rest, text);
		if (n < 0 || (found && str_eq(name, key))) /* keys are unique */
			return -1;
		if (!str_eq(name, key))
			continue;
		*out = str_n(text, (size_t)n);
		found = 1;
	}
	return found;
}

bool
receive_value_digest(struct str value, struct receive_digest *out)
{
	static const struct {
		struct str word;
		const char *name;
		size_t n;
	} digests[] = { { STR_INIT("sha1"), "SHA1", 20 }, { STR_INIT("sha256"), "SHA256", 32 },
		{ STR_INIT("sha512"), "SHA512", 64 }, { STR_INIT("md5"), "MD5", 16 } };
	struct str word = str_split(&value, ' ');
	char text[128];
	ptrdiff_t n;

	if (!value.p || value.n > sizeof(text))
		return false;
	n = value_base64(value, text);
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
		if (!str_eq(word, digests[i].word) || n != (ptrdiff_t)digests[i].n)
			continue;
		out->name = digests[i].name;
		out->n = digests[i].n;
		memcpy(out->v, text, out->n);
		return true;
	}
	return false;
}

/* --- Content-Disposition --- */

static int
value_hex(unsigned char c)
{
	if ((unsigned)c - '0' < 10)
		return c - '0';
	c = str_lower(c);
	return (unsigned)c - 'a' < 6 ? c - 'a' + 10 : -1;
}

/* RFC 8187 3.2: UTF-8'language'octets; other character sets are not asked for. */
static int
value_extended(struct str s, struct arena *a, struct str *out)
{
	struct str charset = str_split(&s, '\'');
	char *p;
	size_t n = 0;

	if (!str_caseeq(charset, STR("UTF-8")) || !s.p)
		return -1;
	str_split(&s, '\'');
	if (!s.p)
		return -1;
	p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		int high, low;

		if (s.p[i] != '%') {
			p[n++] = s.p[i];
			continue;
		}
		high = i + 2 < s.n ? value_hex((unsigned char)s.p[i + 1]) : -1;
		low = i + 2 < s.n ? value_hex((unsigned char)s.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return -1;
		p[n++] = (char)(unsigned char)(high << 4 | low);
		i += 2;
	}
	*out = str_n(p, n);
	return 1;
}

/* A token or a quoted string at the front of *s. */
static bool
value_word(struct str *s, struct arena *a, struct str *out)
{
	char *p = arena_alloc(a, s->n + 1);
	size_t i = 0, n = 0;

	if (s->n == 0 || s->p[0] != '"') {
		while (i < s->n && s->p[i] != ';')
			i++;
		*out = str_trim(str_n(s->p, i));
		*s = str_n(s->p + i, s->n - i);
		return out->n > 0;
	}
	for (i = 1; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
		p[n++] = s->p[i];
	}
	if (i >= s->n)
		return false;
	*out = str_n(p, n);
	*s = str_trim(str_n(s->p + i + 1, s->n - i - 1));
	return true;
}

int
receive_value_filename(struct str value, struct arena *a, struct str *out)
{
	struct str name, word;
	bool is_extended = false;
	int found = 0;

	if (!value.p)
		return 0;
	str_split(&value, ';');
	while (value.p && value.n) {
		ptrdiff_t at = str_find(value, '=');

		if (at < 0)
			return -1;
		name = str_trim(str_n(value.p, (size_t)at));
		value = str_trim(str_n(value.p + at + 1, value.n - (size_t)at - 1));
		if (!value_word(&value, a, &word) || (value.n > 0 && value.p[0] != ';'))
			return -1;
		if (value.n > 0)
			value = str_n(value.p + 1, value.n - 1);
		if (str_caseeq(name, STR("filename*"))) {
			if (is_extended || value_extended(word, a, out) < 0)
				return -1;
			is_extended = true;
			found = 1;
		} else if (str_caseeq(name, STR("filename")) && !is_extended) {
			if (found)
				return -1;
			*out = word;
			found = 1;
		}
	}
	return found;
}

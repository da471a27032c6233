/* Every code point against a plain encoder; all that is none; where a text may be cut. */
#include "common/base/utf8.h"
#include "test/unit/unit.h"

Suite *suite_utf8(void);

static unsigned
encode(unsigned char *d, uint32_t c)
{
	unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (unsigned i = n; i-- > 1; c >>= 6)
		d[i] = (unsigned char)(0x80 | (c & 0x3f));
	d[0] = (unsigned char)(n == 1 ? c : (0xf00U >> n & 0xff) | c);
	return n;
}

/* Written down once more, not taken from the code. */
static bool
is_odd(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool
is_right(uint32_t c)
{
	unsigned char s[4];
	unsigned n = encode(s, c);
	bool is_valid = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff), ok;

	ok = utf8_len(s, s + n) == (is_valid ? n : 0) &&
	     utf8_plain(s, s + n) == (is_valid && !is_odd(c) ? n : 0);
	if (!is_valid)
		return ok;
	ok &= utf8_point(s, n) == c && utf8_cut((const char *)s, n) == n;
	for (unsigned cut = 1; cut < n; cut++)
		ok &= utf8_len(s, s + cut) == 0 && utf8_cut((const char *)s, cut) == 0;
	return ok;
}

START_TEST(test_points)
{
	for (uint32_t c = 0; c < 0x120000; c++)
		if (!is_right(c))
			ck_abort_msg("U+%04X", c);
}
END_TEST

static const char *const invalid[] = { "\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf",
	"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
	"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc3",
	"\xc3(", "\xe2\x82", "\xe2\x82(", "\xe2(\xac", "\xf0\x9f\x95", "\xf0\x9f\x95(" };

START_TEST(test_invalid)
{
	const unsigned char *p = (const unsigned char *)invalid[_i];

	ck_assert_uint_eq(utf8_len(p, p + strlen(invalid[_i])), 0);
	ck_assert_uint_eq(utf8_plain(p, p + strlen(invalid[_i])), 0);
}
END_TEST

static const struct {
	const char *text;
	size_t n, stays;
} cuts[] = {
	{ "abc", 3, 3 },
	{ "abc", 0, 0 },
	{ "a\xc3\xa4", 2, 1 },
	{ "a\xe2\x82\xac", 2, 1 },
	{ "a\xe2\x82\xac", 3, 1 },
	{ "a\xe2\x82\xac", 4, 4 },
	{ "a\xf0\x9f\x95\xaf", 4, 1 },
	{ "a\xf0\x9f\x95\xaf", 5, 5 },
	{ "\x80\x80\x80\x80", 4, 4 }, /* of no character */
	{ "a\xfe", 2, 1 },
};

START_TEST(test_cut)
{
	ck_assert_uint_eq(utf8_cut(cuts[_i].text, cuts[_i].n), cuts[_i].stays);
}
END_TEST

START_TEST(test_escape)
{
	char dst[5] = "";

	ck_assert_ptr_eq(utf8_escape(dst, 0x1b), dst + 4);
	ck_assert_str_eq(dst, "\\x1B");
	utf8_escape(dst, 0xfe);
	ck_assert_str_eq(dst, "\\xFE");
}
END_TEST

Suite *
suite_utf8(void)
{
	Suite *s = suite_create("utf8");
	TCase *t = tcase_create("utf8");

	tcase_add_test(t, test_points);
	tcase_add_loop_test(t, test_invalid, 0, UNIT_COUNT(invalid));
	tcase_add_loop_test(t, test_cut, 0, UNIT_COUNT(cuts));
	tcase_add_test(t, test_escape);
	suite_add_tcase(s, t);
	return s;
}

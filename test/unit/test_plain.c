/* Whatever stands in shared memory comes out with an end and without anything to obey. */
#include <string.h>

#include "common/base/plain.h"
#include "test/unit/unit.h"

Suite *suite_plain(void);

static const struct {
	const char *in, *out;
} plain_rows[] = {
	{ "", "" }, { "app 10.0.0.1:80", "app 10.0.0.1:80" },
	{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
	    "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "a\033[2Jb\nc\x7f", "a?[2Jb?c?" },
	{ "\x9b"
	  "31m",
	    "?31m" },
	{ "\xc2\x9b"
	  "31m",
	    "??31m" },                  /* C1 as UTF-8 */
	{ "\xc0\xaf\xff", "???" },      /* overlong, and never an octet of UTF-8 */
	{ "\xed\xa0\x80", "???" },      /* a surrogate */
	{ "ab\xe2\x82", "ab??" },       /* cut short */
	{ "\xf4\x90\x80\x80", "????" }, /* beyond the last character */
};

START_TEST(test_copy)
{
	char in[32] = "", out[32];

	memset(in + strlen(plain_rows[_i].in) + 1, 'x', 8);
	memcpy(in, plain_rows[_i].in, strlen(plain_rows[_i].in) + 1);
	memset(out, 0x55, sizeof(out));
	plain_copy(out, in, sizeof(out));
	ck_assert_str_eq(out, plain_rows[_i].out);
}
END_TEST

/* No NUL in the source: what is left out is what does not fit, a character cut in two included. */
START_TEST(test_without_end)
{
	char in[16], out[16];

	memset(in, 'a', sizeof(in));
	plain_copy(out, in, sizeof(out));
	ck_assert_str_eq(out, "aaaaaaaaaaaaaaa");
	memcpy(in + 14, "\xc3\xa9", 2);
	plain_copy(out, in, sizeof(out));
	ck_assert_str_eq(out, "aaaaaaaaaaaaaa?");
}
END_TEST

Suite *
suite_plain(void)
{
	Suite *s = suite_create("plain");
	TCase *t = tcase_create("plain");

	tcase_add_loop_test(t, test_copy, 0, sizeof(plain_rows) / sizeof(plain_rows[0]));
	tcase_add_test(t, test_without_end);
	suite_add_tcase(s, t);
	return s;
}

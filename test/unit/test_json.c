/* JSON is valid whatever goes in: commas and nesting, and each octet value in a string. */
#include <math.h>
#include <stdio.h>
#include "common/base/json.h"
#include "test/unit/unit.h"

Suite *suite_json(void);

static struct text out;
static struct json j;

static void
setup(void)
{
	json_init(&j, &out);
}

static void
teardown(void)
{
	text_free(&out);
}

START_TEST(test_shape)
{
	json_object(&j, NULL);
	json_u64(&j, "max", UINT64_MAX);
	json_array(&j, "list");
	json_array(&j, NULL);
	json_array_end(&j);
	json_object(&j, NULL);
	json_object_end(&j);
	json_i64(&j, NULL, INT64_MIN);
	json_bool(&j, NULL, true);
	json_null(&j, NULL);
	json_array_end(&j);
	json_object(&j, "o");
	json_str(&j, "a\"", STR("b"));
	json_double(&j, "d", 1.5);
	json_object_end(&j);
	json_double(&j, "nan", NAN);
	json_double(&j, "inf", INFINITY);
	json_bool(&j, "no", false);
	json_object_end(&j);
	unit_str_eq(text_str(&out),
	    "{\"max\":18446744073709551615,\"list\":[[],{},-9223372036854775808,"
	    "true,null],\"o\":{\"a\\\"\":\"b\",\"d\":1.500},\"nan\":null,"
	    "\"inf\":null,\"no\":false}");
}
END_TEST

static const struct {
	const char *in, *out;
} escape_rows[] = {
	{ "", "" },
	{ "plain text/~", "plain text/~" },
	{ "\"\\", "\\\"\\\\" },
	{ "\b\f\n\r\t", "\\b\\f\\n\\r\\t" },
	{ "\001\037\177", "\\u0001\\u001f\\u007f" },
	{ "\xc3\xa4", "\xc3\xa4" },
	{ "\xe2\x82\xac", "\xe2\x82\xac" },
	{ "\xf0\x9f\x95\xaf", "\xf0\x9f\x95\xaf" },
	{ "\xff", "\\u00ff" },
	{ "\xc3", "\\u00c3" },
	{ "\xc3(", "\\u00c3(" },
	{ "\xe2\x82", "\\u00e2\\u0082" },
	{ "\xc0\xaf", "\\u00c0\\u00af" },                       /* overlong */
	{ "\xe0\x80\xaf", "\\u00e0\\u0080\\u00af" },            /* overlong */
	{ "\xed\xa0\x80", "\\u00ed\\u00a0\\u0080" },            /* a surrogate */
	{ "\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080" }, /* beyond U+10FFFF */
	{ "\xf0\x82\x82\xac", "\\u00f0\\u0082\\u0082\\u00ac" }, /* overlong */
	/* what is no plain text, by its code point: C1, separators, directions */
	{ "\xc2\x9b"
	  "31m",
	    "\\u009b31m" },
	{ "\xe2\x80\xa8\xe2\x80\xae"
	  "gpj",
	    "\\u2028\\u202egpj" },
	{ "\xe2\x81\xa6", "\\u2066" },
};

START_TEST(test_escape)
{
	char dst[128];
	size_t n = json_escape(dst, str_of(escape_rows[_i].in));

	unit_str_eq(str_n(dst, n), escape_rows[_i].out);
}
END_TEST

/* Never more than six times as long, never a control character or a bare quote. */
START_TEST(test_escape_bound)
{
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++) {
			char s[2] = { (char)a, (char)b }, dst[12];
			size_t n = json_escape(dst, str_n(s, 2));

			if (n > 12)
				ck_abort_msg("octets %#x %#x: %zu", a, b, n);
			for (size_t i = 0; i < n; i++)
				if ((unsigned char)dst[i] < 0x20 ||
				    (dst[i] == '"' && (i == 0 || dst[i - 1] != '\\')))
					ck_abort_msg("octets %#x %#x", a, b);
		}
}
END_TEST

Suite *
suite_json(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_shape);
	tcase_add_loop_test(t, test_escape, 0, UNIT_COUNT(escape_rows));
	tcase_add_test(t, test_escape_bound);
	suite_add_tcase(s, t);
	return s;
}

#include <stdlib.h>
#include "common/base/text.h"
#include "test/unit/unit.h"

Suite *suite_text(void);

START_TEST(test_grows)
{
	struct text t = { 0 };

	for (int i = 0; i < 3000; i++) {
		text_add(&t, "ab", 2);
		text_add_u64(&t, (uint64_t)i);
		text_add_str(&t, STR(""));
		text_printf(&t, "%s", "");
	}
	ck_assert_uint_eq(t.n, 3000 * 2 + 10 + 90 * 2 + 900 * 3 + 2000 * 4);
	ck_assert_int_eq(memcmp(t.p, "ab0ab1ab2", 9), 0);
	ck_assert_int_eq(memcmp(t.p + t.n - 6, "ab2999", 6), 0);
	text_free(&t);
	ck_assert_ptr_null(t.p);
}
END_TEST

/* Around the room that a first attempt has. */
START_TEST(test_printf_lengths)
{
	char s[600];

	for (size_t n = 0; n < sizeof(s) - 1; n++) {
		struct text t = { 0 };

		memset(s, 'x', n);
		s[n] = '\0';
		text_printf(&t, "<%s>", s);
		ck_assert_uint_eq(t.n, n + 2);
		ck_assert_int_eq(t.p[n + 1], '>');
		text_free(&t);
	}
}
END_TEST

Suite *
suite_text(void)
{
	Suite *s = suite_create("text");
	TCase *t = tcase_create("text");

	tcase_add_test(t, test_grows);
	tcase_add_test(t, test_printf_lengths);
	suite_add_tcase(s, t);
	return s;
}

#include "common/regex.h"
#include "test/unit/unit.h"

static const struct {
	const char *source, *subject;
	bool matches;
	const char *captures[4];
} matches[] = {
	{ "^/a/([0-9]+)(x)?$", "/a/12", true, { "/a/12", "12" } },
	{ "^/a/([0-9]+)(x)?$", "/a/12x", true, { "/a/12x", "12", "x" } },
	{ "^/a/([0-9]+)(x)?$", "/a/", false, { 0 } },
	{ "b", "abc", true, { "b" } },
	{ "", "", true, { "" } },
	{ "$", "", true, { "" } },
	{ "(x)?(y)", "y", true, { "y", NULL, "y" } },
	{ "^a$", "a\n", false, { 0 } },      /* "$" is the very end */
	{ "^.$", "\xff", true, { "\xff" } }, /* octets, whatever they are */
	{ "(?i)PHP$", "/x.php", true, { "php" } },
	{ "(1)(2)(3)(4)(5)(6)(7)(8)(9)(a)(b)", "123456789ab", true, { "123456789ab", "1", "2" } },
};

START_TEST(test_match)
{
	struct cfg_regex re = { 0 };
	struct str c[REGEX_CAPTURES];
	const char *why = NULL;
	size_t offset;
	int i;

	ck_assert(regex_compile(&re, str_of(matches[_i].source), &why, &offset));
	ck_assert_int_eq(regex_match(&re, str_of(matches[_i].subject), NULL), matches[_i].matches);
	ck_assert_int_eq(regex_match(&re, str_of(matches[_i].subject), c), matches[_i].matches);
	for (i = 0; matches[_i].matches && i < 4; i++)
		if (matches[_i].captures[i])
			unit_str_eq(c[i], matches[_i].captures[i]);
		else
			ck_assert(c[i].p == NULL || i > 2);
	regex_free(&re);
	ck_assert(!regex_match(&re, str_of(matches[_i].subject), c));
}
END_TEST

static const struct {
	const char *source, *why;
	size_t offset;
} broken[] = {
	{ "a(b", "missing closing parenthesis", 3 },
	{ "a)", "unmatched closing parenthesis", 1 },
	{ "[z-a]", "range out of order", 3 },
	{ "(*UTF)a", "UTF", 6 },
};

START_TEST(test_broken)
{
	struct cfg_regex re = { 0 };
	const char *why = "";
	size_t offset = 99;

	ck_assert(!regex_compile(&re, str_of(broken[_i].source), &why, &offset));
	ck_assert_msg(strstr(why, broken[_i].why) != NULL, "%s", why);
	ck_assert_uint_eq(offset, broken[_i].offset);
	ck_assert_ptr_null(re.code);
}
END_TEST

/* Backtracking that would take years ends soon, without a match. */
START_TEST(test_bounded)
{
	struct cfg_regex re = { 0 };
	const char *why;
	size_t offset;
	char subject[60];

	memset(subject, 'a', sizeof(subject));
	ck_assert(regex_compile(&re, STR("^(([a-z])+.)+[A-Z]([a-z])+$"), &why, &offset));
	ck_assert(!regex_match(&re, str_n(subject, sizeof(subject)), NULL));
	regex_free(&re);
}
END_TEST

START_TEST(test_groups)
{
	struct cfg_regex re = { 0 };
	const char *why;
	size_t offset;

	ck_assert_uint_eq(regex_groups(&re), 0);
	ck_assert(regex_compile(&re, STR("(a)(?:b)(c)"), &why, &offset));
	ck_assert_uint_eq(regex_groups(&re), 2);
	regex_free(&re);
}
END_TEST

Suite *
suite_regex(void)
{
	Suite *s = suite_create("regex");
	TCase *t = tcase_create("regex");

	tcase_add_loop_test(t, test_match, 0, UNIT_COUNT(matches));
	tcase_add_loop_test(t, test_broken, 0, UNIT_COUNT(broken));
	tcase_add_test(t, test_bounded);
	tcase_add_test(t, test_groups);
	suite_add_tcase(s, t);
	return s;
}

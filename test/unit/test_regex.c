#include "common/config/regex.h"
#include "common/config/regexdoubt.h"
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
	ck_assert_int_eq(
	    regex_match(&re, str_of(matches[_i].subject), NULL).is, matches[_i].matches);
	ck_assert_int_eq(regex_match(&re, str_of(matches[_i].subject), c).is, matches[_i].matches);
	for (i = 0; matches[_i].matches && i < 4; i++)
		if (matches[_i].captures[i])
			unit_str_eq(c[i], matches[_i].captures[i]);
		else
			ck_assert(c[i].p == NULL || i > 2);
	regex_free(&re);
	ck_assert_int_eq(regex_match(&re, str_of(matches[_i].subject), c).is, REGEX_MISMATCH);
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

/* begin, unit over and over to so many octets, end: what the compiled code and the interpreter say
   of it. */
static const struct {
	const char *source, *begin, *unit;
	size_t octets;
	const char *end;
	enum regex_verdict is;
} bounds[] = {
	/* backtracking that would take years ends soon, and is no mismatch */
	{ "^(([a-z])+.)+[A-Z]([a-z])+$", "", "a", 60, "A", REGEX_FAILED },
	{ "^/admin/(a+)+$", "/admin/", "a", 100, "!", REGEX_FAILED },
	{ "^/(a|aa)+$", "/", "a", 200, "!", REGEX_FAILED },
	{ "^/(.+)/(.+)/(.+)\\.html$", "/", "a/.", 2000, "html!", REGEX_FAILED },
	/* one pass over the longest path that there is is within bounds, whatever it remembers */
	{ "^/(?:[^/]+/)*x$", "", "/a", 8190, "/x", REGEX_MATCH },
	{ "^(/[^/]*)+$", "", "/", 8192, "", REGEX_MATCH },
	{ "^((?:a|b|/)+)$", "", "ab/", 8192, "", REGEX_MATCH },
	{ "^(.+)\\.html$", "", "a", 8192, "", REGEX_MISMATCH },
	{ "\\.php(/|$)", "", "/a.", 8192, "", REGEX_MISMATCH },
};

START_TEST(test_bounded)
{
	struct cfg_regex re = { 0 };
	size_t offset, n = strlen(bounds[_i].begin), end = strlen(bounds[_i].end);
	static char subject[8300];
	const char *why;

	memcpy(subject, bounds[_i].begin, n);
	for (size_t i = 0; n + end < bounds[_i].octets; i++)
		subject[n++] = bounds[_i].unit[i % strlen(bounds[_i].unit)];
	memcpy(subject + n, bounds[_i].end, end);
	for (int interpreted = 0; interpreted < 2; interpreted++) {
		regex_is_interpreted = interpreted;
		ck_assert(regex_compile(&re, str_of(bounds[_i].source), &why, &offset));
		ck_assert_msg(regex_search(&re, str_n(subject, n + end), NULL).is == bounds[_i].is,
		    "%s, %s", bounds[_i].source, interpreted ? "interpreted" : "compiled");
		if (bounds[_i].is == REGEX_FAILED) {
			ck_assert_ptr_eq(regex_failed(&why), &re);
			ck_assert_ptr_nonnull(strstr(why, "limit"));
		}
		regex_free(&re);
	}
	regex_is_interpreted = false;
}
END_TEST

/* What `check` says of an expression. */
static const struct {
	const char *source, *says; /* NULL: nothing */
} doubts[] = {
	{ "(a+)+$", "a repeat of a repeat" },
	{ "^/x/(?:[a-z]+\\s?)*$", "a repeat of a repeat" },
	{ "((a*b*)c?){2,}", "a repeat of a repeat" },
	{ "^(?:(x+)|y)*z", "a repeat of a repeat" },
	{ "(.*,)+", "a repeat of a repeat" },
	{ "(?<n>[^/]+)+", "a repeat of a repeat" },
	{ "(?i)([a-z]+X)+", "a repeat of a repeat" },
	{ "(\\w+\\x41)*", "a repeat of a repeat" },
	{ "([[:alpha:]]+[a]?)+", "a repeat of a repeat" },
	{ "^/(.+)/(.+)/(.+)x$", "gives up" },
	{ "^/x/(a|aa)+$", "gives up" },
	{ "^/(?:[^/]+/)*x$", NULL },
	{ "^(/[^/]*)+$", NULL },
	{ "(\\w+\\s)+", NULL },
	{ "([a-z]+X)+", NULL },
	{ "(a++)+", NULL },
	{ "(a+)*+b", NULL },
	{ "(?>a+)+", NULL },
	{ "(?:a{1,3})+", NULL },
	{ "(a+){2}", NULL },
	{ "(?=(a+))b+", NULL },
	{ "\\((a+)[)]*", NULL },
	{ "\\.php(/|$)", NULL },
	{ "^/wiki/(.*)$", NULL },
	{ "^/([0-9]+)(/.*)?$", NULL },
	{ "\\.(?:jpe?g|png|gif|css|js)$", NULL },
	{ "(*MARK:a)[]a)+]+(?#(b+)+)", NULL },
	{ "(\\Qa+\\E)+", NULL },
	{ "", NULL },
};

START_TEST(test_doubts)
{
	const char *hint = NULL, *why = regexdoubt_of(str_of(doubts[_i].source), &hint);

	if (doubts[_i].says)
		ck_assert_msg(
		    why && strstr(why, doubts[_i].says), "%s: %s", doubts[_i].source, why);
	else
		ck_assert_msg(!why, "%s: %s", doubts[_i].source, why);
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
	tcase_add_loop_test(t, test_bounded, 0, UNIT_COUNT(bounds));
	tcase_add_loop_test(t, test_doubts, 0, UNIT_COUNT(doubts));
	tcase_add_test(t, test_groups);
	suite_add_tcase(s, t);
	return s;
}

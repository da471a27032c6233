#include "common/base/suggest.h"
#include "test/unit/unit.h"

static const struct {
	const char *a, *b;
	unsigned distance;
} distances[] = {
	{ "", "", 0 },
	{ "a", "", 1 },
	{ "root", "root", 0 },
	{ "ROOT", "root", 0 },
	{ "rot", "root", 1 },
	{ "rooot", "root", 1 },
	{ "roat", "root", 1 },
	{ "orot", "root", 1 }, /* neighbours swapped */
	{ "compres", "compress", 1 },
	{ "abcd", "dcba", 3 },
	{ "kitten", "sitting", 3 },
	{ "ca", "abc", 3 },
};

START_TEST(test_distance)
{
	struct str a = str_of(distances[_i].a), b = str_of(distances[_i].b);

	ck_assert_uint_eq(suggest_distance(a, b, 10), distances[_i].distance);
	ck_assert_uint_eq(suggest_distance(b, a, 10), distances[_i].distance);
	if (distances[_i].distance)
		ck_assert_uint_eq(
		    suggest_distance(a, b, distances[_i].distance - 1), distances[_i].distance);
}
END_TEST

START_TEST(test_distance_of_long_words)
{
	static const char word[] = "this_word_is_longer_than_any_option_can_ever_be";

	ck_assert_uint_eq(suggest_distance(STR(word), STR(word), 3), 4);
}
END_TEST

static const struct {
	const char *wanted, *best;
} nearest[] = {
	{ "listn", "listen" }, { "lsiten", "listen" }, { "rout", "root" }, /* the first of equals */
	{ "worker", "workers" }, { "zebra", "" },
	{ "x", "" }, /* a word of one letter is like nothing */
};

START_TEST(test_nearest)
{
	static const char *const words[] = { "listen", "root", "routes", "workers", "a" };
	struct suggest s;
	int i;

	suggest_init(&s, str_of(nearest[_i].wanted));
	for (i = 0; i < UNIT_COUNT(words); i++)
		suggest_offer(&s, str_of(words[i]));
	ck_assert_msg(str_eq(s.best, str_of(nearest[_i].best)), "%s: %.*s", nearest[_i].wanted,
	    STR_FMT(s.best));
}
END_TEST

START_TEST(test_synonyms)
{
	ck_assert_str_eq(suggest_synonym(STR("server_name"), 0), "host");
	ck_assert_str_eq(suggest_synonym(STR("DocumentRoot"), 0), "root");
	ck_assert_ptr_null(suggest_synonym(STR("server_name"), 1));
	ck_assert_ptr_null(suggest_synonym(STR("host"), 0));
	/* One word, two things. */
	ck_assert_str_eq(suggest_synonym(STR("log"), 0), "access_log");
	ck_assert_str_eq(suggest_synonym(STR("log"), 1), "error_log");
}
END_TEST

Suite *
suite_cfg_suggest(void)
{
	Suite *s = suite_create("cfg_suggest");
	TCase *t = tcase_create("cfg_suggest");

	tcase_add_loop_test(t, test_distance, 0, UNIT_COUNT(distances));
	tcase_add_test(t, test_distance_of_long_words);
	tcase_add_loop_test(t, test_nearest, 0, UNIT_COUNT(nearest));
	tcase_add_test(t, test_synonyms);
	suite_add_tcase(s, t);
	return s;
}

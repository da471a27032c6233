#include "master/base/backoff.h"
#include "test/unit/unit.h"

Suite *suite_backoff(void);

enum { T = 1000000 };

/* One death after the other, each `at` ms after T, of a process that had lived so long. */
static const struct {
	const char *what;
	struct {
		unsigned at, age;
		bool is_well;
		unsigned wait; /* afterwards */
	} deaths[6];
} rows[] = {
	{ "an adult is replaced at once", { { 0, 1000, false, 0 }, { 10, 5000, false, 0 } } },
	{ "the young wait longer each time",
	    { { 0, 999, false, 250 }, { 260, 5, false, 500 }, { 800, 5, false, 1000 },
		{ 1900, 0, false, 2000 } } },
	{ "together is once",
	    { { 1000, 10, false, 250 }, { 1000, 10, false, 250 }, { 1003, 13, false, 247 } } },
	{ "one that has done its work does not count",
	    { { 0, 5, true, 0 }, { 1, 5, true, 0 }, { 2, 1, false, 250 }, { 3, 0, true, 249 } } },
	{ "an adult's death is a new beginning",
	    { { 0, 5, false, 250 }, { 300, 5, false, 500 }, { 2000, 1100, false, 0 },
		{ 2100, 5, false, 250 } } },
};

START_TEST(test_rows)
{
	struct backoff b = { 0 };

	for (int i = 0; i < 6 && (i == 0 || rows[_i].deaths[i].at); i++) {
		uint64_t now = T + rows[_i].deaths[i].at;

		backoff_died(&b, now - rows[_i].deaths[i].age, rows[_i].deaths[i].is_well, now);
		ck_assert_msg(backoff_wait(&b, now) == rows[_i].deaths[i].wait,
		    "%s: death %d: %u is not %u", rows[_i].what, i, (unsigned)backoff_wait(&b, now),
		    rows[_i].deaths[i].wait);
	}
}
END_TEST

START_TEST(test_limit)
{
	struct backoff b = { 0 };
	uint64_t now = T, last = 0;

	for (int i = 0; i < 100; i++) {
		ck_assert(backoff_died(&b, now, false, now));
		ck_assert_uint_ge(backoff_wait(&b, now), last);
		last = backoff_wait(&b, now);
		now += last + 1;
		ck_assert_uint_eq(backoff_wait(&b, now), 0);
	}
	ck_assert_uint_eq(last, BACKOFF_MAX_MS);
	backoff_lived(&b);
	ck_assert(backoff_died(&b, now, false, now));
	ck_assert_uint_eq(backoff_wait(&b, now), BACKOFF_MS);
}
END_TEST

Suite *
suite_backoff(void)
{
	Suite *s = suite_create("backoff");
	TCase *t = tcase_create("backoff");

	tcase_add_loop_test(t, test_rows, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_limit);
	suite_add_tcase(s, t);
	return s;
}

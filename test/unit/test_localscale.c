#include "master/local/scale.h"
#include "test/unit/unit.h"

Suite *suite_localscale(void);

/* Looks every 100 ms: for each part of the story so many looks at a load; wanted at its end. */
static const struct {
	const char *what;
	struct localscale_limits limits;
	struct {
		unsigned looks, load, wanted;
	} parts[8];
} rows[] = {
	{ "none is no load", { 2, 8, 1, 1000 }, { { 100, 0, 2 } } },
	{ "a peak of half a second is nothing", { 2, 8, 1, 1000 },
	    { { 5, 8, 2 }, { 1, 2, 2 }, { 5, 8, 2 }, { 1, 0, 2 } } },
	{ "one more, then twice as many each second", { 1, 100, 1, 9000 },
	    { { 5, 90, 1 }, { 1, 90, 2 }, { 9, 90, 2 }, { 1, 90, 4 }, { 10, 90, 8 }, { 10, 90, 16 },
		{ 20, 90, 64 } } },
	{ "never more than needed", { 1, 100, 1, 9000 }, { { 16, 4, 4 }, { 50, 4, 4 } } },
	{ "never more than allowed", { 1, 3, 1, 9000 }, { { 100, 50, 3 } } },
	{ "several requests each", { 1, 8, 10, 9000 },
	    { { 50, 10, 1 }, { 6, 11, 2 }, { 50, 20, 2 }, { 6, 21, 3 } } },
	{ "one fewer after idle", { 2, 8, 1, 1000 },
	    { { 36, 8, 8 }, { 10, 3, 8 }, { 1, 3, 7 }, { 9, 3, 7 }, { 1, 3, 6 }, { 100, 3, 3 },
		{ 100, 0, 2 } } },
	{ "busy once is not idle", { 1, 4, 1, 1000 },
	    { { 26, 4, 4 }, { 9, 3, 4 }, { 1, 4, 4 }, { 9, 3, 4 }, { 1, 4, 4 }, { 11, 3, 3 } } },
};

START_TEST(test_rows)
{
	struct localscale s = { 0 };
	uint64_t now = 5000;

	for (int i = 0; i < 8 && rows[_i].parts[i].looks; i++) {
		unsigned got = 0;

		for (unsigned k = 0; k < rows[_i].parts[i].looks; k++, now += 100)
			got = localscale_look(&s, &rows[_i].limits, rows[_i].parts[i].load, now);
		ck_assert_msg(got == rows[_i].parts[i].wanted, "%s: part %d: %u is not %u",
		    rows[_i].what, i, got, rows[_i].parts[i].wanted);
	}
}
END_TEST

/* Other limits, by a reload: at once. */
START_TEST(test_limits_change)
{
	struct localscale s = { 0 };
	struct localscale_limits a = { 4, 8, 1, 1000 }, b = { 1, 2, 1, 1000 },
				 c = { 3, 3, 1, 1000 };

	ck_assert_uint_eq(localscale_look(&s, &a, 0, 100), 4);
	ck_assert_uint_eq(localscale_look(&s, &b, 9, 200), 2);
	ck_assert_uint_eq(localscale_look(&s, &c, 0, 300), 3);
}
END_TEST

Suite *
suite_localscale(void)
{
	Suite *s = suite_create("localscale");
	TCase *t = tcase_create("localscale");

	tcase_add_loop_test(t, test_rows, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_limits_change);
	suite_add_tcase(s, t);
	return s;
}

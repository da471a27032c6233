#include "common/base/human.h"
#include "test/unit/unit.h"

Suite *suite_human(void);

static const struct {
	double v;
	const char *count, *bytes;
} scale_rows[] = {
	{ 0, "0", "0" },
	{ 999, "999", "999" },
	{ 1000, "1.0k", "1.0k" },
	{ 1024, "1.0k", "1.0k" },
	{ 9949, "9.9k", "9.7k" },
	{ 9951, "10k", "9.7k" },
	{ 999400, "999k", "976k" },
	{ 999600, "1.0M", "976k" },
	{ 1048576, "1.0M", "1.0M" },
	{ 5e18, "5.0E", "4.3E" },
	{ 1.8e19, "18E", "16E" },
};

START_TEST(test_scale)
{
	char dst[HUMAN_MAX];

	ck_assert_str_eq(human_count(dst, scale_rows[_i].v), scale_rows[_i].count);
	ck_assert_str_eq(human_bytes(dst, scale_rows[_i].v), scale_rows[_i].bytes);
}
END_TEST

static const struct {
	uint64_t ms;
	const char *text;
} time_rows[] = {
	{ 0, "0s" },
	{ 59999, "59s" },
	{ 60000, "1m 0s" },
	{ 3599999, "59m 59s" },
	{ 3600000, "1h 0m" },
	{ 86399999, "23h 59m" },
	{ 86400000, "1d 0h" },
	{ 1000 * 86400000ULL + 3600000, "1000d 1h" },
	{ UINT64_MAX, "213503982334d 14h" },
};

START_TEST(test_time)
{
	char dst[HUMAN_MAX];

	ck_assert_str_eq(human_time(dst, time_rows[_i].ms), time_rows[_i].text);
}
END_TEST

static const struct {
	uint64_t us;
	const char *text;
} us_rows[] = {
	{ 0, "0us" },
	{ 999, "999us" },
	{ 1000, "1.0ms" },
	{ 9949, "9.9ms" },
	{ 9951, "10ms" },
	{ 999499, "999ms" },
	{ 999500, "1.0s" },
	{ 12345678, "12s" },
	{ 86400000000ULL, "86400s" },
};

START_TEST(test_us)
{
	char dst[HUMAN_MAX];

	ck_assert_str_eq(human_us(dst, us_rows[_i].us), us_rows[_i].text);
}
END_TEST

Suite *
suite_human(void)
{
	Suite *s = suite_create("human");
	TCase *t = tcase_create("human");

	tcase_add_loop_test(t, test_scale, 0, UNIT_COUNT(scale_rows));
	tcase_add_loop_test(t, test_time, 0, UNIT_COUNT(time_rows));
	tcase_add_loop_test(t, test_us, 0, UNIT_COUNT(us_rows));
	suite_add_tcase(s, t);
	return s;
}

#include <stdio.h>
#include "common/base/clock.h"
#include "test/unit/unit.h"

Suite *suite_clock(void);

static const struct {
	time_t t;
	const char *text;
} date_rows[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
	{ -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
	{ 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
	{ 951868800, "Wed, 01 Mar 2000 00:00:00 GMT" },
	{ 1078012800, "Sun, 29 Feb 2004 00:00:00 GMT" },
	{ 2147483647, "Tue, 19 Jan 2038 03:14:07 GMT" },
	{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
	{ 4107456000, "Sun, 28 Feb 2100 00:00:00 GMT" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
	{ -62135596800, "Mon, 01 Jan 0001 00:00:00 GMT" },
};

START_TEST(dates)
{
	char text[29];
	time_t back;

	clock_http_date(text, date_rows[_i].t);
	unit_str_eq(str_n(text, sizeof(text)), date_rows[_i].text);
	ck_assert(clock_parse_http_date(str_n(text, sizeof(text)), &back));
	ck_assert_int_eq(back, date_rows[_i].t);
}
END_TEST

/* Beyond four digits of the year. */
START_TEST(date_clamped)
{
	char text[29];

	clock_http_date(text, 253402300800);
	unit_str_eq(str_n(text, sizeof(text)), "Fri, 31 Dec 9999 23:59:59 GMT");
	clock_http_date(text, -99999999999999);
	unit_str_eq(str_n(text, sizeof(text)), "Sat, 01 Jan 0000 00:00:00 GMT");
}
END_TEST

/* The library's calendar, day by day over four centuries. */
START_TEST(dates_as_libc)
{
	for (time_t t = -2208988800 + 12345; t < 10413792000; t += 86400 * 3 + 4321) {
		char text[29], want[30];
		struct tm tm;
		time_t back;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		clock_http_date(text, t);
		ck_assert_msg(memcmp(text, want, 29) == 0, "%.29s, not %s", text, want);
		ck_assert(clock_parse_http_date(str_n(text, 29), &back) && back == t);
		strftime(want, sizeof(want), "%a %b %e %H:%M:%S %Y", &tm);
		ck_assert(clock_parse_http_date(str_of(want), &back) && back == t);
	}
}
END_TEST

/* RFC 9110 5.6.7 */
static const struct {
	const char *text;
	time_t t; /* -1: none */
} parse_rows[] = {
	{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
	{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
	{ "Sun Nov  6 08:49:37 1994", 784111777 },
	{ "Wed Nov 16 08:49:37 1994", 784975777 },
	{ "Sun Nov 06 08:49:37 1994", 784111777 },
	/* the weekday is not compared with the date */
	{ "Mon, 06 Nov 1994 08:49:37 GMT", 784111777 },
	/* a leap second */
	{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
	/* two digits of the year: within 50 years from now */
	{ "Thursday, 01-Jan-70 00:00:00 GMT", 3155760000 },
	{ "Saturday, 01-Jan-00 00:00:00 GMT", 946684800 },
	{ "", -1 },
	{ "0", -1 },
	{ "now", -1 },
	{ "Sun", -1 },
	{ "Sun,", -1 },
	{ "Sun, 06 Nov 1994", -1 },
	{ "Sun, 06 Nov 1994 08:49:37", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 ", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 +0000", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
	{ " Sun, 06 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun,06 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 06  Nov 1994 08:49:37 GMT", -1 },
	{ "sun, 06 nov 1994 08:49:37 gmt", -1 },
	{ "SUN, 06 NOV 1994 08:49:37 GMT", -1 },
	{ "Sonntag, 06-Nov-94 08:49:37 GMT", -1 },
	{ "Sunday, 06-Nov-1994 08:49:37 GMT", -1 },
	{ "Sunday, 06 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 06-Nov-94 08:49:37 GMT", -1 },
	{ "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 31 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 30 Feb 2000 08:49:37 GMT", -1 },
	{ "Sun, 29 Feb 1900 08:49:37 GMT", -1 },
	{ "Sun, 29 Feb 2100 08:49:37 GMT", -1 },
	{ "Sun, 06 Nov 1994 24:00:00 GMT", -1 },
	{ "Sun, 06 Nov 1994 08:60:00 GMT", -1 },
	{ "Sun, 06 Nov 1994 08:49:61 GMT", -1 },
	{ "Sun, 06 Nov 1994 8:49:37 GMT", -1 },
	{ "Sun, 06 Nov 1994 08-49-37 GMT", -1 },
	{ "Sun, -6 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 06 Nov 94 08:49:37 GMT", -1 },
	{ "Sun, 06 Nov 19940 08:49:37 GMT", -1 },
	{ "Sun Nov 6 08:49:37 1994", -1 },
	{ "Sun Nov  6 08:49:37 94", -1 },
	{ "Sun Nov  6 08:49:37 1994 GMT", -1 },
	{ "Sun Nov  0 08:49:37 1994", -1 },
	{ "1994-11-06T08:49:37Z", -1 },
	{ "784111777", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", -1 },
};

START_TEST(parse)
{
	time_t t = 42;
	bool is_date = clock_parse_http_date(str_of(parse_rows[_i].text), &t);

	ck_assert_msg(is_date == (parse_rows[_i].t != -1), "\"%s\"", parse_rows[_i].text);
	ck_assert_msg(
	    !is_date || t == parse_rows[_i].t, "\"%s\": %lld", parse_rows[_i].text, (long long)t);
}
END_TEST

/* No prefix of a date is a date, nor is one with another octet anywhere. */
START_TEST(parse_every_octet)
{
	static const char *const forms[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" };
	struct str s = str_of(forms[_i]);
	char text[40];
	time_t t;

	for (size_t n = 0; n < s.n; n++)
		ck_assert(!clock_parse_http_date(str_n(s.p, n), &t));
	for (size_t i = 0; i < s.n; i++) {
		memcpy(text, s.p, s.n);
		text[i] = '!';
		ck_assert(!clock_parse_http_date(str_n(text, s.n), &t));
	}
}
END_TEST

START_TEST(clocks_run)
{
	uint64_t ms = clock_ms(), ns = clock_ns(), again = clock_ns();

	ck_assert_uint_ge(again, ns);
	ck_assert_uint_ge(ns / 1000000, ms);
	ck_assert_uint_le(ns / 1000000 - ms, 10000);
	ck_assert_int_gt(clock_wall(), 1700000000);
}
END_TEST

Suite *
suite_clock(void)
{
	Suite *s = suite_create("clock");
	TCase *c = tcase_create("clock");

	tcase_add_loop_test(c, dates, 0, UNIT_COUNT(date_rows));
	tcase_add_test(c, date_clamped);
	tcase_add_test(c, dates_as_libc);
	tcase_add_loop_test(c, parse, 0, UNIT_COUNT(parse_rows));
	tcase_add_loop_test(c, parse_every_octet, 0, 3);
	tcase_add_test(c, clocks_run);
	suite_add_tcase(s, c);
	return s;
}

#include <stdlib.h>

#include "master/base/lines.h"
#include "test/unit/split.h"
#include "test/unit/unit.h"

Suite *suite_lines(void);

struct got {
	char text[4096];
	size_t n;
};

static void
take(void *arg, struct str line)
{
	struct got *g = arg;

	ck_assert_uint_lt(g->n + line.n + 1, sizeof(g->text));
	memcpy(g->text + g->n, line.p, line.n);
	g->n += line.n;
	g->text[g->n++] = '|';
	g->text[g->n] = '\0';
}

static const struct {
	const char *in, *out;
} rows[] = {
	/* in: @ is a NUL */
	{ "", "" },
	{ "\n\n\r\n", "" },
	{ "one\n", "one|" },
	{ "one", "one|" },
	{ "one\ntwo\r\n\nthree", "one|two|three|" },
	{ "a@b@@\nc\n", "a|b|c|" },
	{ "a\rb\n", "a\rb|" },
	{ "x\r\r\n", "x|" },
	{ " \n", " |" },
};

START_TEST(test_lines)
{
	size_t n = strlen(rows[_i].in);
	char in[32];

	for (size_t i = 0; i < n; i++)
		in[i] = rows[_i].in[i] == '@' ? '\0' : rows[_i].in[i];
	SPLIT_EACH(way, n)
	{
		struct lines l = { 0 };
		struct got g = { 0 };

		for (size_t at = 0, next; at < n; at = next) {
			next = split_next(&way, at, n);
			lines_feed(&l, in + at, next - at, take, &g);
		}
		lines_flush(&l, take, &g);
		ck_assert_str_eq(g.text, rows[_i].out);
	}
}
END_TEST

/* A line as long as there is room is whole; one more octet, and it is cut. */
START_TEST(test_long)
{
	static const size_t extra[] = { 0, 1, 5000 };
	size_t n = LINES_MAX + extra[_i];
	char *in = malloc(n + 3);
	struct lines l = { 0 };
	struct got g = { 0 };

	memset(in, 'x', n);
	memcpy(in + n, "\ny", 3);
	lines_feed(&l, in, n + 2, take, &g);
	lines_flush(&l, take, &g);
	ck_assert_uint_eq(g.n, LINES_MAX + 1 + 2);
	ck_assert_mem_eq(g.text, in, LINES_MAX - 3);
	ck_assert_mem_eq(g.text + LINES_MAX - 3, extra[_i] ? "...|y|" : "xxx|y|", 6);
	free(in);
}
END_TEST

/* A cut is between two characters, and what is cut off decides nothing: a line of carriage returns
   only is as long as any other. */
START_TEST(test_cut)
{
	static const char *const units[] = { "\r", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x95\xaf" };
	size_t len = strlen(units[_i]), whole = (LINES_MAX - 3) / len * len;
	struct lines l = { 0 };
	struct got g = { 0 };

	for (size_t n = 0; n <= LINES_MAX; n += len)
		lines_feed(&l, units[_i], len, take, &g);
	lines_feed(&l, "\n", 1, take, &g);
	ck_assert_uint_eq(g.n, whole + 3 + 1);
	ck_assert_str_eq(g.text + whole, "...|");
	ck_assert_mem_eq(g.text + whole - len, units[_i], len);
}
END_TEST

START_TEST(test_rate)
{
	struct lines_rate r = { 0 };
	unsigned told = 0;

	for (unsigned i = 0; i < LINES_RATE + 50; i++)
		told += lines_may(&r, 10000);
	ck_assert_uint_eq(told, LINES_RATE);
	ck_assert_uint_eq(lines_lost(&r, 10000), 50);
	ck_assert_uint_eq(lines_lost(&r, 10000), 0);
	ck_assert(!lines_may(&r, 10999));
	ck_assert_uint_eq(lines_lost(&r, 10999), 0); /* not yet a second later */
	ck_assert(lines_may(&r, 11000));
	ck_assert_uint_eq(lines_lost(&r, 11000), 1);
	ck_assert_uint_eq(lines_lost(&r, 13000), 0);
}
END_TEST

Suite *
suite_lines(void)
{
	Suite *s = suite_create("lines");
	TCase *t = tcase_create("lines");

	tcase_add_loop_test(t, test_lines, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(t, test_long, 0, 3);
	tcase_add_loop_test(t, test_cut, 0, 4);
	tcase_add_test(t, test_rate);
	suite_add_tcase(s, t);
	return s;
}

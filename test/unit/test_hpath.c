/*
 * What of a target is handed on to backends.
 */
#include <stdio.h>
#include "modules/gateway/codec/hpath.h"
#include "test/unit/ask.h"
#include "test/unit/unit.h"

Suite *suite_hpath(void);

static struct ask a;

static void
ask(const char *target)
{
	char head[600];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: www.org\r\n\r\n", target);
	ask_open(&a, head);
}

static const struct handed_row {
	const char *target, *path, *query, *uri, *rewritten, *new_query;
} handed_rows[] = {
	{ .target = "/a/b?c=d", .path = "/a/b", .query = "c=d", .uri = "/a/b?c=d" },
	{ .target = "/a%2fb?", .path = "/a%2fb", .query = "", .uri = "/a%2fb?" },
	{ .target = "/a", .path = "/a", .uri = "/a" },
	{ .target = "/\xc3\xa9?\xe9=\xff",
	    .path = "/%C3%A9",
	    .query = "%E9=%FF",
	    .uri = "/%C3%A9?%E9=%FF" },
	{ .target = "/\"<>[\\]^`{|}?\"<>[\\]^`{|}",
	    .path = "/%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D",
	    .query = "%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D",
	    .uri = "/%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D?%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D" },
	{ .target = "/a?f[]=1;b/c?d:@%zz%2f",
	    .path = "/a",
	    .query = "f%5B%5D=1;b/c?d:@%zz%2f",
	    .uri = "/a?f%5B%5D=1;b/c?d:@%zz%2f" },
	{ .target = "/x//../%61|?q", .path = "/%61%7C", .query = "q", .uri = "/%61%7C?q" },
	{ .target = "//x//y", .path = "/x//y", .uri = "/x//y" },
	{ .target = "http://www.org/a|b?c|d",
	    .path = "/a%7Cb",
	    .query = "c%7Cd",
	    .uri = "/a%7Cb?c%7Cd" },
	{ .target = "http://www.org?c", .path = "/", .query = "c", .uri = "/?c" },
	{ .target = "http://www.org", .path = "/", .uri = "/" },
	{ .target = "/old?a|b",
	    .path = "/new%20%C3%A9",
	    .query = "a%7Cb",
	    .uri = "/old?a%7Cb",
	    .rewritten = "/new \xc3\xa9" },
	{ .target = "/old?a",
	    .path = "/new",
	    .query = "b%7C",
	    .uri = "/old?a",
	    .rewritten = "/new",
	    .new_query = "b|" },
};

START_TEST(handed_on)
{
	const struct handed_row *row = &handed_rows[_i];
	struct str query;

	ask(row->target);
	if (row->rewritten) {
		a.r.path = str_of(row->rewritten);
		a.r.reroutes = 1;
	}
	if (row->new_query)
		a.r.query = str_of(row->new_query);
	unit_str_eq(hpath_source(&a.r), row->path);
	unit_str_eq(hpath_uri(&a.r), row->uri);
	query = hpath_query(&a.r);
	ck_assert_int_eq(!query.p, !row->query);
	if (query.p)
		unit_str_eq(query, row->query);
	ask_close(&a);
}
END_TEST

/* A plain target is neither copied nor looked at. */
START_TEST(plain)
{
	ask("/a/b.html?c=d&e=%20");
	ck_assert(hpath_is_plain(&a.r));
	ck_assert_ptr_eq(hpath_source(&a.r).p, a.r.target.p);
	ck_assert_ptr_eq(hpath_query(&a.r).p, a.r.query.p);
	ck_assert_ptr_eq(hpath_uri(&a.r).p, a.r.target.p);
	ask_close(&a);
	ask("/a%20b;c?d");
	ck_assert(!hpath_is_plain(&a.r));
	ck_assert_ptr_eq(hpath_source(&a.r).p, a.r.target.p);
	ck_assert_ptr_eq(hpath_query(&a.r).p, a.r.query.p);
	ck_assert_ptr_eq(hpath_uri(&a.r).p, a.r.target.p);
	ask_close(&a);
}
END_TEST

Suite *
suite_hpath(void)
{
	Suite *s = suite_create("hpath");
	TCase *t = tcase_create("hpath");

	tcase_add_loop_test(t, handed_on, 0, UNIT_COUNT(handed_rows));
	tcase_add_test(t, plain);
	suite_add_tcase(s, t);
	return s;
}

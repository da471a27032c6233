#include <stdlib.h>
#include "common/base/must.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_echo(void);

static struct loopback *lo;

static void
setup(void)
{
	lo = rows_open(NULL, "echo = true; routes = ( { path = \"/off\"; echo = false; } );");
}

static void
teardown(void)
{
	lo_close(lo);
}

START_TEST(head)
{
	struct lo_response *s = lo_get(lo, "/a%20b?c", "Accept: */*", "X-Odd:  two  words ", NULL);

	ck_assert_int_eq(s->status, 200);
	ck_assert_int_eq(s->length, -1);
	ck_assert(s->is_complete);
	unit_str_eq(s->body, "GET /a%20b?c HTTP/1.1\nAccept: */*\nX-Odd: two  words\n\n");
	unit_str_eq(lo_field(s, "Content-Type"), "text/plain; charset=utf-8");
	unit_str_eq(lo_field(s, "X-Content-Type-Options"), "nosniff");
	ck_assert_int_eq(lo_get(lo, "/off", NULL)->status, 404);
}
END_TEST

/* A body larger than the response may hold arrives whole, whatever the reader's pace. */
START_TEST(body)
{
	static const size_t takes[] = { 0, 1000, 4096, 100000 };
	static const char line[] = "POST /x HTTP/1.1\n\n";
	size_t n = 1 << 20;
	char *text = must_malloc(n + 1);
	struct lo_request q = { .method = "POST",
		.target = "/x",
		.body = text,
		.take = takes[_i],
		.body_chunked = _i % 2 };
	struct lo_response *s;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i * 7 % 23);
	text[n] = '\0';
	s = lo_send(lo, &q);
	ck_assert(s->is_complete);
	ck_assert_uint_eq(s->body.n, strlen(line) + n);
	ck_assert(str_has_prefix(s->body, STR(line)));
	ck_assert_int_eq(memcmp(s->body.p + strlen(line), text, n), 0);
	free(text);
}
END_TEST

START_TEST(broken)
{
	struct lo_request q = {
		.method = "POST", .target = "/x", .body = "half", .body_fails = true
	};
	struct lo_response *s = lo_send(lo, &q);

	ck_assert(s->is_aborted);
	ck_assert(!s->is_complete);
	unit_str_eq(s->why, "the request body broke off");
}
END_TEST

/* The client leaves in the middle: nothing of the request is touched afterwards. */
START_TEST(left)
{
	char text[200001];
	struct lo_request q = {
		.method = "POST", .target = "/x", .body = text, .take = 100, .leave_after = 500
	};

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert(lo_send(lo, &q)->is_aborted);
	lo_turns(lo, 5, 0);
	ck_assert_int_eq(lo_get(lo, "/", NULL)->status, 200);
}
END_TEST

START_TEST(head_method)
{
	struct lo_request q = { .method = "HEAD", .target = "/x" };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_int_eq(s->status, 200);
	ck_assert_uint_eq(s->body.n, 0);
}
END_TEST

Suite *
suite_echo(void)
{
	Suite *s = suite_create("echo");
	TCase *t = tcase_create("echo");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, head);
	tcase_add_loop_test(t, body, 0, 4);
	tcase_add_test(t, broken);
	tcase_add_test(t, left);
	tcase_add_test(t, head_method);
	suite_add_tcase(s, t);
	return s;
}

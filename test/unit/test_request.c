/* The life of a request: order of phases, rerouting, error pages, failure after the beginning. */
#include <stdio.h>

#include "test/unit/rows.h"
#include "test/unit/unit.h"

static const struct row rows[] = {
	/* nothing configured: 404 by the core */
	{ .conf = "", .target = "/", .status = 404 },
	{ .conf = "respond = \"hi\";", .target = "/", .status = 200, .body = "hi" },
	{ .conf = "respond = \"hi\";", .method = "HEAD", .target = "/", .status = 200, .body = "" },
	/* a site's own error page keeps the status */
	{ .conf = "error_pages = ( { status = 404; path = \"/err\"; } ); "
		  "routes = ( { path = \"/err\"; respond = \"gone\"; }, { path = \"/\"; } );",
	    .target = "/x",
	    .status = 404,
	    .body = "gone" },
	{ .conf = "error_pages = ( { status = 404; path = \"/err\"; } ); "
		  "routes = ( { path = \"/err\"; respond = \"gone\"; }, { path = \"/\"; } );",
	    .method = "POST",
	    .target = "/x",
	    .status = 404,
	    .body = "gone" },
	/* its failure is not the client's news */
	{ .conf = "error_pages = ( { status = 403; path = \"/none\"; } ); "
		  "access: { deny = [ \"all\" ]; };",
	    .target = "/x",
	    .status = 403 },
	/* conditions of the request do not apply to the error page */
	{ .conf = "error_pages = ( { status = 404; path = \"/err\"; } ); "
		  "routes = ( { path = \"/err\"; respond = \"gone\"; }, { path = \"/\"; } );",
	    .target = "/x",
	    .fields = { "If-None-Match: *", "Range: bytes=0-1" },
	    .status = 404,
	    .body = "gone" },
	/* rewrites in circles end; one list alone is applied once and makes none */
	{ .conf = "respond = \"x\"; routes = ( "
		  "{ path = \"/a\"; rewrite: { match = \"^/a$\"; to = \"/b\"; }; }, "
		  "{ path = \"/b\"; rewrite: { match = \"^/b$\"; to = \"/a\"; }; } );",
	    .target = "/a",
	    .status = 508 },
	/* the limit of a body is the route's */
	{ .conf = "max_body = \"3\"; respond = \"x\";",
	    .method = "GET",
	    .target = "/",
	    .status = 200 },
};

START_TEST(answers)
{
	rows_check(NULL, &rows[_i]);
}
END_TEST

/* What the handler of an error page sees of a POST with everything: a GET, and what is left. */
START_TEST(page_is_a_get)
{
	static const char *const fields[] = { "Accept: text/plain", "Content_Type: a/b",
		"Content-Encoding: x", "Expect: 100-continue", "If: (<a>)", "if-range: \"x\"",
		"Range: bytes=0-1", "TE: trailers", "Trailer: X-T", "Upgrade: websocket",
		"HTTP2-Settings: AA", "Sec-WebSocket-Key: AA", "X.HTTP.Method.Override: PUT",
		"X-Method: kept", "Iffy: kept", NULL };
	struct loopback *lo =
	    rows_open(NULL, "error_pages = ( { status = 403; path = \"/err\"; } ); "
			    "routes = ( { path = \"/err\"; echo = true; }, "
			    "{ path = \"/\"; access: { deny = \"all\"; }; } );");
	struct lo_request q = { .method = "POST",
		.target = "/x",
		.fields = fields,
		.body = "secret",
		.body_chunked = true };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_int_eq(s->status, 403);
	unit_str_eq(s->body, "GET /x HTTP/1.1\nAccept: text/plain\n"
			     "X-Method: kept\nIffy: kept\n\n");
	ck_assert_int_eq(s->interims, 0);
	ck_assert(s->is_complete);
	lo_close(lo);
}
END_TEST

START_TEST(body_beyond_the_limit)
{
	struct loopback *lo = rows_open(NULL, "max_body = \"3\"; respond = \"x\";");
	struct lo_request q = { .method = "POST", .target = "/", .body = "four" };

	ck_assert_int_eq(lo_send(lo, &q)->status, 413);
	q.body = "thr";
	ck_assert_int_eq(lo_send(lo, &q)->status, 200);
	lo_close(lo);
}
END_TEST

START_TEST(interim_only_when_the_body_is_wanted)
{
	struct loopback *lo = rows_open(NULL, "routes = ( { path = \"/e\"; echo = true; }, "
					      "{ path = \"/\"; respond = \"x\"; } );");
	struct lo_request q = { .method = "POST", .target = "/e", .body = "hello" };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_int_eq(s->status, 200);
	ck_assert(s->is_complete);
	ck_assert_ptr_nonnull(memmem(s->body.p, s->body.n, "\n\nhello", 7));
	q.body_fails = true;
	s = lo_send(lo, &q);
	ck_assert(s->is_aborted);
	lo_close(lo);
}
END_TEST

START_TEST(many_requests_reuse_their_memory)
{
	struct loopback *lo = rows_open(NULL, "respond = \"x\";");
	struct worker *w = lo_worker(lo);

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(lo_get(lo, "/", NULL)->status, 200);
	ck_assert_uint_eq(ctr_get(worker_row(w), CTR_REQUESTS), 100);
	ck_assert_uint_eq(ctr_get(worker_row(w), CTR_R2XX), 100);
	ck_assert_uint_eq(ctr_get(worker_row(w), CTR_ACTIVE), 0);
	lo_close(lo);
}
END_TEST

START_TEST(client_that_leaves_is_counted)
{
	struct loopback *lo = rows_open(NULL, "respond = \"a long enough answer\";");
	struct lo_request q = { .target = "/", .take = 4, .leave_after = 4 };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert(s->is_aborted);
	ck_assert_uint_eq(ctr_get(worker_row(lo_worker(lo)), CTR_ABORTED), 1);
	lo_close(lo);
}
END_TEST

Suite *
suite_request(void)
{
	Suite *s = suite_create("request");
	TCase *t = tcase_create("request");

	tcase_add_loop_test(t, answers, 0, UNIT_COUNT(rows));
	tcase_add_test(t, page_is_a_get);
	tcase_add_test(t, body_beyond_the_limit);
	tcase_add_test(t, interim_only_when_the_body_is_wanted);
	tcase_add_test(t, many_requests_reuse_their_memory);
	tcase_add_test(t, client_that_leaves_is_counted);
	suite_add_tcase(s, t);
	return s;
}

/* What clients say of uploads, and what they are told: through the loopback. */
#include <stdlib.h>

#include "common/base/text.h"
#include "modules/progress/id.h"
#include "modules/progress/report.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_progress_id(void);

START_TEST(test_argument)
{
	static const struct {
		const char *query, *value;
	} rows[] = {
		{ "X-Progress-ID=abc", "abc" },
		{ "a=b&x-progress-id=abc&c", "abc" },
		{ "X-Progress-IDs=abc", NULL },
		{ "aX-Progress-ID=abc", NULL },
		{ "a=X-Progress-ID=abc", NULL },
		{ "X-Progress-ID", NULL },
		{ "X-Progress-ID=", "" },
		{ "X-Progress-ID=a=b", "a=b" },
		{ "X-Progress-ID=1&X-Progress-ID=2", "1" },
		{ "&&&", NULL },
		{ "", NULL },
	};

	for (int i = 0; i < UNIT_COUNT(rows); i++) {
		struct str v = id_argument(str_of(rows[i].query), STR("X-Progress-ID"));

		ck_assert_msg((v.p != NULL) == (rows[i].value != NULL), "%s", rows[i].query);
		if (rows[i].value)
			unit_str_eq(v, rows[i].value);
	}
	ck_assert_ptr_null(id_argument((struct str){ NULL, 0 }, STR("a")).p);
}
END_TEST

START_TEST(test_callback)
{
	static const char *const good[] = { "f", "$", "_", "a1", "jQuery.cb_1", "a.b.c" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "1a", "a.1", "a b", "a(",
		"alert(1);f", "a<b", "a[0]", "a\xc3\xa9", "a\n" };
	char long_name[66];

	for (int i = 0; i < UNIT_COUNT(good); i++)
		ck_assert_msg(id_is_callback(str_of(good[i])), "%s", good[i]);
	for (int i = 0; i < UNIT_COUNT(bad); i++)
		ck_assert_msg(!id_is_callback(str_of(bad[i])), "%s", bad[i]);
	memset(long_name, 'a', sizeof(long_name));
	ck_assert(id_is_callback(str_n(long_name, ID_CALLBACK)));
	ck_assert(!id_is_callback(str_n(long_name, ID_CALLBACK + 1)));
}
END_TEST

static const char *const site =
    "routes = ("
    "{ path = \"/p\"; progress: { report = true; keep = \"1h\"; origins = [ \"https://a\" ]; }; },"
    "{ path = \"/s\"; progress: { report = true; secret = \"0123456789abcdef\"; }; },"
    "{ path = \"/up\"; progress = true; respond = \"ok\"; },"
    "{ path = \"/no\"; progress = true; respond: { status = 403; body = \"no\"; }; },"
    "{ path = \"/\"; respond = \"plain\"; } );";

static struct loopback *lo;

static void
setup(void)
{
	lo = rows_open(NULL, site);
}

static void
teardown(void)
{
	lo_close(lo);
}

static void
answers(const char *target, int status, const char *body)
{
	struct lo_response *s = lo_get(lo, target, NULL);

	ck_assert_msg(s->status == status, "%s: %d", target, s->status);
	if (!body)
		return;
	unit_str_eq(s->body, body);
	ck_assert_msg(lo_field(s, "Cache-Control").n > 0, "%s may be stored", target);
}

static void
upload(const char *target, const char *body, bool chunked)
{
	struct lo_request q = { .method = "PUT", .target = target, .body = body };

	q.body_chunked = chunked;
	lo_send(lo, &q);
}

START_TEST(test_forms)
{
	upload("/up?X-Progress-ID=one", "0123456789", false);
	answers("/p?X-Progress-ID=one&format=nginx", 200, "{ \"state\" : \"done\" }\r\n");
	answers("/p/one?format=nginx-object", 200, "new Object({ 'state' : 'done' })\r\n");
	answers("/p/one?format=nginx-jsonp&callback=cb", 200, "cb({ \"state\" : \"done\" });\r\n");
	answers("/p/one?format=lighttpd", 200, "new Object({ 'state' : 'done', 'size' : 10})\r\n");
	answers("/p/one?format=xml", 200, "not in progress");
	answers("/p/two?format=nginx", 200, "{ \"state\" : \"starting\" }\r\n");
	answers("/p/two?format=lighttpd", 200, "new Object({ 'state' : 'starting' })\r\n");
	answers("/p/two", 200,
	    "{\"state\":\"starting\",\"received\":0,\"size\":null,\"rate\":0,\"forwarded\":0,"
	    "\"status\":null,\"known\":false}\n");
	answers("/p/one?format=jsonp&callback=a(1)", 400, NULL);
	answers("/p/one?format=nothing", 400, NULL);
	answers("/p", 400, NULL);
	answers("/p/a.b", 400, NULL);
	answers("/p?X-Progress-ID=a%2e", 400, NULL);
	ck_assert_int_eq(lo_get(lo, "/p", "X-Progress-ID: one", NULL)->status, 200);
	ck_assert_int_eq(lo_get(lo, "/p/one", "X-Progress-ID: o ne", NULL)->status, 400);
}
END_TEST

/* An upload that was refused is told of with its status; one without a body is none. */
START_TEST(test_states)
{
	struct lo_response *s;

	upload("/no/refused", "0123456789", false);
	answers("/p/refused?format=nginx", 200, "{ \"state\" : \"error\", \"status\" : 403 }\r\n");
	upload("/up/chunked", "0123456789", true);
	s = lo_get(lo, "/p/chunked", NULL);
	ck_assert_msg(memmem(s->body.p, s->body.n, "\"done\"", 6), "%.*s", STR_FMT(s->body));
	lo_get(lo, "/up/nobody", NULL);
	answers("/p/nobody?format=nginx", 200, "{ \"state\" : \"starting\" }\r\n");
	upload("/other/elsewhere", "0123456789", false);
	answers("/p/elsewhere?format=nginx", 200, "{ \"state\" : \"starting\" }\r\n");
}
END_TEST

START_TEST(test_who_may_read)
{
	struct lo_response *s;
	struct lo_request q = { .method = "OPTIONS", .target = "/p/one" };
	const char *const fields[] = { "Origin: https://a", NULL };

	answers("/s/one", 403, NULL);
	answers("/s/one?secret=0123456789abcdeg", 403, NULL);
	answers("/s/one?secret=0123456789abcde", 403, NULL);
	answers("/s/one?secret=0123456789abcdef", 200, NULL);
	s = lo_get(lo, "/s/one", "X-Progress-Secret: 0123456789abcdef", NULL);
	ck_assert_int_eq(s->status, 200);
	s = lo_get(lo, "/p/one", "Origin: https://a", NULL);
	unit_str_eq(lo_field(s, "Access-Control-Allow-Origin"), "https://a");
	s = lo_get(lo, "/p/one", "Origin: https://b", NULL);
	ck_assert_ptr_null(lo_field(s, "Access-Control-Allow-Origin").p);
	q.fields = fields;
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->status, 204);
	ck_assert(lo_field(s, "Access-Control-Allow-Headers").n > 0);
	q.method = "DELETE";
	ck_assert_int_eq(lo_send(lo, &q)->status, 405);
}
END_TEST

START_TEST(test_conf)
{
	rows_refuse("progress: { enabled = true; secret = \"a b\"; };", true, "secret", "query");
	rows_refuse("progress: { enabled = true; secret = \"abc\"; };", false, "guessed", "16");
	rows_refuse("progress: { origins = [ \"https://a/b\" ]; };", true, "is no origin", "*");
	rows_refuse("progress: { format = \"nginx_jsonp\"; };", true, "nginx-jsonp", "format");
}
END_TEST

Suite *
suite_progress_id(void)
{
	Suite *s = suite_create("progress_id");
	TCase *pure = tcase_create("pure"), *c = tcase_create("loopback");

	tcase_add_test(pure, test_argument);
	tcase_add_test(pure, test_callback);
	tcase_add_test(pure, test_conf);
	suite_add_tcase(s, pure);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_forms);
	tcase_add_test(c, test_states);
	tcase_add_test(c, test_who_may_read);
	suite_add_tcase(s, c);
	return s;
}

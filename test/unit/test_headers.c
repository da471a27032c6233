#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_headers(void);

static const char set[] = "respond = \"ok\"; headers: { set = [ \"X-Frame-Options: DENY\", "
			  "\"content-type:text/html\", \"X-Id: $request_id\" ]; };";
static const char inner[] =
    "respond = \"ok\"; headers: { set = [ \"A: site\", \"B: site\" ]; }; routes = ( "
    "{ path = \"/r\"; headers: { set = [ \"A: route\", \"C: route\" ]; }; }, "
    "{ path = \"/off\"; headers: { set = \"a:\"; }; } );";
static const char gone[] =
    "respond = \"ok\"; headers: { remove = [ \"Content-Type\", \"X-No\" ]; };";
static const char add[] =
    "respond = \"ok\"; headers: { add = [ \"Link: </a>\", \"Link: </b>\" ]; };";
static const char echoed[] = "respond = \"ok\"; headers: { set = \"X-Path: $path\"; };";
static const char empty[] = "respond = \"ok\"; headers: { set = \"X-User: $user\"; };";
static const char refuse[] = "access: { deny = \"all\"; }; headers: { set = \"X-Always: yes\"; };";
static const char away[] = "redirect = \"/x\"; headers: { set = \"X-Always: $status\"; };";

static const struct row headers_rows[] = {
	{ set, .status = 200, .name = "X-Frame-Options", .value = "DENY" },
	{ set, .status = 200, .name = "Content-Type", .value = "text/html" },
	{ inner, .target = "/", .status = 200, .name = "A", .value = "site" },
	{ inner, .target = "/r", .status = 200, .name = "A", .value = "route" },
	{ inner, .target = "/r", .status = 200, .name = "B", .value = "site" },
	{ inner, .target = "/r", .status = 200, .name = "C", .value = "route" },
	{ inner, .target = "/off", .status = 200, .name = "A", .value = NULL },
	{ inner, .target = "/off", .status = 200, .name = "B", .value = "site" },
	{ gone, .status = 200, .name = "Content-Type", .value = NULL },
	{ echoed, .target = "/%C3%A4%20b", .status = 200, .name = "X-Path",
	    .value = "/\xc3\xa4 b" },
	{ empty, .status = 200, .name = "X-User", .value = NULL },
	{ refuse, .status = 403, .name = "X-Always", .value = "yes" },
	{ away, .status = 302, .name = "X-Always", .value = "302" },
};

START_TEST(rows)
{
	rows_check(NULL, &headers_rows[_i]);
}
END_TEST

/* Each name of "set" once, each line of "add" beside the others. */
START_TEST(counts)
{
	struct loopback *lo = rows_open(NULL, set);
	struct lo_response *s = lo_get(lo, "/", NULL);
	unsigned types = 0, links = 0;

	for (unsigned i = 0; i < s->fields.n; i++)
		types += s->fields.v[i].id == HF_CONTENT_TYPE;
	ck_assert_uint_eq(types, 1);
	ck_assert_uint_eq(lo_field(s, "X-Id").n, 16);
	lo_close(lo);
	lo = rows_open(NULL, add);
	s = lo_get(lo, "/", NULL);
	for (unsigned i = 0; i < s->fields.n; i++)
		links += str_caseeq(s->fields.v[i].name, STR("Link"));
	ck_assert_uint_eq(links, 2);
	lo_close(lo);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "headers: { set = \"Content-Length: 5\"; };", "Content-Length", "cannot be changed" },
	{ "headers: { set = \"transfer-encoding: chunked\"; };", "transfer-encoding", NULL },
	{ "headers: { add = \"Connection: close\"; };", "Connection", NULL },
	{ "headers: { remove = \"Date\"; };", "Date", "clock" },
	{ "headers: { remove = \"Server\"; };", "Server", "server_header" },
	{ "headers: { remove = \"X-A: b\"; };", "has a value", "name only" },
	{ "headers: { set = \"X-A\"; };", "no \":\"", "Name: value" },
	{ "headers: { set = \"X A: b\"; };", "not a field name", NULL },
	{ "headers: { set = \": b\"; };", "not a field name", NULL },
	{ "headers: { set = \"X-A: $hots\"; };", "$hots", "\"$host\"" },
	{ "headers: { set = \"X-A: $1\"; };", "$1", "nothing is captured" },
	{ "headers: { set = \"X-A: a\\nX-B: b\"; };", "control characters", NULL },
	{ "headers: { set = \"X-A: a\\r\\n\"; };", "control characters", NULL },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_headers(void)
{
	Suite *s = suite_create("headers");
	TCase *t = tcase_create("headers");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(headers_rows));
	tcase_add_test(t, counts);
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}

#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_respond(void);

static const char ok[] = "respond = \"all's well: $host\";";
static const char empty[] = "respond = \"\";";
static const char none[] = "respond: { status = 204; };";
static const char later[] =
    "respond: { status = 503; type = \"text/html\"; body = \"<p>Back soon\"; "
    "retry_after = \"90500ms\"; };";
static const char order[] =
    "respond = \"down\"; routes = ( { path = \"/health\"; respond = \"up\"; } );";
static const char page[] =
    "respond = \"home\"; error_pages = ( { status = 403; path = \"/no.html\"; } ); routes = ( "
    "{ path = \"/no.html\"; respond = \"my own page\"; }, "
    "{ path = \"/secret\"; access: { deny = \"all\"; }; } );";

static const struct row respond_rows[] = {
	{ ok, .status = 200, .body = "all's well: $host" },
	{ ok, .status = 200, .name = "Content-Type", .value = "text/plain; charset=utf-8" },
	{ ok, .method = "HEAD", .status = 200, .body = "" },
	{ ok, .method = "POST", .status = 200, .body = "all's well: $host" },
	{ empty, .status = 200, .body = "", .name = "Content-Type" },
	{ none, .status = 204, .body = "" },
	{ later, .status = 503, .name = "Retry-After", .value = "91", .body = "<p>Back soon" },
	{ later, .status = 503, .name = "Content-Type", .value = "text/html" },
	{ order, .target = "/health", .status = 200, .body = "up" },
	{ order, .target = "/healthy", .status = 200, .body = "down" },
	{ page, .target = "/secret/x", .status = 403, .body = "my own page" },
};

START_TEST(rows)
{
	rows_check(NULL, &respond_rows[_i]);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "respond: { status = 100; };", "status", "200" },
	{ "respond: { status = 600; };", "status", "599" },
	{ "respond: { status = 204; body = \"x\"; };", "no body", "204" },
	{ "respond: { body = \"x\"; type = \"a\\nb\"; };", "control characters", NULL },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_respond(void)
{
	Suite *s = suite_create("respond");
	TCase *t = tcase_create("respond");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(respond_rows));
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}

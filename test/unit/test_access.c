#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_access(void);

static const char one[] =
    "respond = \"in\"; access: { allow = [ \"10.0.0.0/8\" ]; deny = [ \"all\" ]; };";
static const char hole[] =
    "respond = \"in\"; access: { deny = [ \"10.0.0.0/8\" ]; allow = [ \"10.1.2.3\" ]; };";
static const char ban[] =
    "respond = \"in\"; access: { deny = [ \"10.1.0.0/16\", \"2001:db8::/32\" ]; };";
static const char tie[] =
    "respond = \"in\"; access: { allow = \"10.1.0.0/16\"; deny = \"10.1.0.0/16\"; };";
static const char reads[] = "respond = \"in\"; access: { methods = [ \"GET\", \"POST\" ]; };";
static const char brew[] = "respond = \"in\"; access: { methods = \"BREW\"; };";
static const char deep[] =
    "respond = \"in\"; access: { deny = \"10.0.0.0/8\"; }; routes = ( { path = \"/open\"; "
    "access: { deny = []; }; } );";
static const char page[] = "respond = \"in\"; access: { methods = \"GET\"; deny = \"10.0.0.1\"; };";

static const struct row access_rows[] = {
	{ one, .peer = "10.9.9.9", .status = 200, .body = "in" },
	{ one, .peer = "192.0.2.1", .status = 403 },
	{ one, .peer = "::1", .status = 403 },
	{ one, .peer = "::ffff:10.0.0.1", .status = 200 },
	{ hole, .peer = "10.1.2.3", .status = 200 },
	{ hole, .peer = "10.1.2.4", .status = 403 },
	{ hole, .peer = "192.0.2.1", .status = 403 }, /* allow is set: others are not */
	{ ban, .peer = "10.1.2.3", .status = 403 },
	{ ban, .peer = "10.2.0.1", .status = 200 },
	{ ban, .peer = "2001:db8::9", .status = 403 },
	{ ban, .peer = "2001:db9::9", .status = 200 },
	{ tie, .peer = "10.1.2.3", .status = 403 },
	{ reads, .status = 200 },
	{ reads, .method = "HEAD", .status = 200 },
	{ reads, .method = "POST", .status = 200 },
	{ reads, .method = "DELETE", .status = 405, .name = "Allow", .value = "GET, POST, HEAD" },
	{ reads, .method = "get", .status = 405 },
	{ brew, .method = "BREW", .status = 200 },
	{ brew, .method = "HEAD", .status = 405, .name = "Allow", .value = "BREW" },
	{ deep, .peer = "10.1.1.1", .target = "/x", .status = 403 },
	{ deep, .peer = "10.1.1.1", .target = "/open/x", .status = 200 },
	{ page, .peer = "10.0.0.1", .method = "PUT", .status = 403, .name = "Allow" },
};

START_TEST(rows)
{
	rows_check(NULL, &access_rows[_i]);
}
END_TEST

static const struct {
	const char *conf;
	bool is_error;
	const char *text, *more;
} refused_rows[] = {
	{ "access: { allow = \"10.0.0.0/33\"; };", true, "0 to 32", "10.0.0.0/33" },
	{ "access: { deny = [ \"::1\", \"localhost\" ]; };", true, "localhost", "\"loopback\"" },
	{ "access: { methods = [ \"GET\", \"PO ST\" ]; };", true, "PO ST", NULL },
	{ "access: { methods = [ \"get\" ]; };", false, "get", "upper case" },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, refused_rows[_i].is_error, refused_rows[_i].text,
	    refused_rows[_i].more);
}
END_TEST

Suite *
suite_access(void)
{
	Suite *s = suite_create("access");
	TCase *t = tcase_create("access");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(access_rows));
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}

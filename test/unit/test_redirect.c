#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_redirect(void);

#define L "Location"

static const char plain[] = "redirect = \"https://example.org$uri\";";
static const char local[] = "redirect = \"$uri\"; respond = \"same\";";
static const char moved[] =
    "respond = \"here\"; redirect = ( "
    "{ match = \"^/blog/([0-9]+)/(.*)$\"; to = \"/posts/$1?title=$2\"; status = 308; }, "
    "{ match = \"^/raw/(.*)$\"; to = \"/$1\"; } );";
static const char keep[] = "redirect: { to = \"/new?from=$raw_path&$query\"; status = 303; };";
static const char none[] = "redirect = \"/new?$query\";";
static const char canon[] = "respond = \"here\"; redirect = \"http://www.example.org$uri\";";
static const char canon8[] = "respond = \"here\"; redirect = \"http://www.example.org:8080$uri\";";
static const char tls[] = "redirect = \"https://$host$uri\";";
static const char dir[] =
    "respond = \"here\"; redirect = ( { match = \"^/app$\"; to = \"/app/\"; } );";
static const char gone[] = "respond = \"here\"; redirect = \"/elsewhere\"; routes = ( "
			   "{ path = \"/stay\"; redirect = (); } );";
static const char path[] = "redirect = \"https://example.org$path\";";

static const struct row redirect_rows[] = {
	{ plain, .target = "/", .status = 302, .name = L, .value = "https://example.org/" },
	{ plain, .target = "/a%20b?x=%2F&y", .status = 302, .name = L,
	    .value = "https://example.org/a%20b?x=%2F&y" },
	{ plain, .target = "//evil.test/x", .status = 302, .name = L,
	    .value = "https://example.org//evil.test/x" },
	{ plain, .target = "/a\"<\\b", .status = 302, .name = L,
	    .value = "https://example.org/a%22%3C%5Cb" },
	{ plain, .method = "POST", .target = "/p", .status = 302, .name = L,
	    .value = "https://example.org/p" },
	/* No redirect to another host by a path. */
	{ local, .target = "//evil.test/", .status = 302, .name = L, .value = "/evil.test/" },
	{ local, .target = "///evil.test/", .status = 302, .name = L, .value = "/evil.test/" },
	{ local, .target = "/\\evil.test/", .status = 302, .name = L, .value = "/%5Cevil.test/" },
	{ local, .target = "/x", .status = 200, .body = "same" },
	{ moved, .target = "/blog/17/a%20b%26c%3Dd", .status = 308, .name = L,
	    .value = "/posts/17?title=a%20b%26c%3Dd" },
	{ moved, .target = "/blog/x/y", .status = 200 },
	{ moved, .target = "/raw//evil.test", .status = 302, .name = L, .value = "/evil.test" },
	{ moved, .target = "/raw/%5Cevil.test", .status = 302, .name = L,
	    .value = "/%5Cevil.test" },
	{ moved, .target = "/raw/%2Fevil.test", .status = 302, .name = L,
	    .value = "/%2Fevil.test" },
	{ moved, .target = "/raw/http://evil.test", .status = 302, .name = L,
	    .value = "/http:/evil.test" },
	{ keep, .target = "/old?a=1", .status = 303, .name = L, .value = "/new?from=/old&a=1" },
	{ none, .target = "/old", .status = 302, .name = L, .value = "/new" },
	{ none, .target = "/old?", .status = 302, .name = L, .value = "/new" },
	{ none, .target = "/old?q=1", .status = 302, .name = L, .value = "/new?q=1" },
	{ canon8, .target = "/x", .host = "example.org", .status = 302, .name = L,
	    .value = "http://www.example.org:8080/x" },
	{ canon8, .target = "/x", .host = "www.example.org", .status = 200 },
	{ tls, .target = "/x", .host = "a.test", .status = 302, .name = L,
	    .value = "https://a.test/x" },
	{ tls, .target = "/x", .host = "", .status = 400, .name = L },
	{ dir, .target = "/app", .status = 302, .name = L, .value = "/app/" },
	{ dir, .target = "/app/", .status = 200 },
	{ gone, .target = "/go", .status = 302, .name = L, .value = "/elsewhere" },
	{ gone, .target = "/elsewhere", .status = 200 }, /* not in circles */
	{ gone, .target = "/stay/here", .status = 200 },
	{ path, .target = "/%C3%A4", .status = 302, .name = L,
	    .value = "https://example.org/%C3%A4" },
};

START_TEST(rows)
{
	rows_check("server: { listen = \"127.0.0.1:8080\"; };", &redirect_rows[_i]);
}
END_TEST

START_TEST(usual_port)
{
	struct row row = { canon, .target = "/x", .host = "www.example.org", .status = 200 };

	rows_check("server: { listen = \"127.0.0.1:80\"; };", &row);
	row.host = "example.org";
	row.status = 302;
	row.name = L;
	row.value = "http://www.example.org/x";
	rows_check("server: { listen = \"127.0.0.1:80\"; };", &row);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "redirect = \"https://example.org$url\";", "$url", "\"$uri\"" },
	{ "redirect = \"https://example.org$1\";", "$1", "nothing is captured" },
	{ "redirect = ( { match = \"^(.*)$\"; to = \"https://example.org$1\"; } );",
	    "choose the host", "\"/\"" },
	{ "redirect = ( { match = \"^/(.*)$\"; to = \"https://$1/\"; } );", "choose the host",
	    NULL },
	{ "redirect = ( { match = \"^/(.*)$\"; to = \"//$1/\"; } );", "choose the host", NULL },
	{ "redirect = ( { match = \"^/(.*)$\"; to = \"$1\"; } );", "neither a URL", NULL },
	{ "redirect = \"https://example.org.$query\";", "choose the host", NULL },
	{ "redirect = \"example.org/\";", "neither a URL", "https://" },
	{ "redirect = \"javascript:alert(1)\";", "neither a URL", NULL },
	{ "redirect: { to = \"/x\"; status = 304; };", "304", "308" },
	{ "redirect: { to = \"/x\"; status = 200; };", "status", NULL },
	{ "redirect: { match = \"^/x\"; };", "'to' is missing", NULL },
	{ "redirect: { match = \"^/(x\"; to = \"/\"; };", "match", NULL },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_redirect(void)
{
	Suite *s = suite_create("redirect");
	TCase *t = tcase_create("redirect");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(redirect_rows));
	tcase_add_test(t, usual_port);
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}

/*
 * What a backend may take a path for: which ones are handed on, and which are refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "common/config/core.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/reading.h"
#include "test/unit/ask.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

Suite *suite_reading(void);

static const char text[] = "sites = ( { host = \"www.org\"; routes = (\n"
			   "  { path = \"/admin\"; access: { deny = \"all\"; }; }, { path = "
			   "\"/app/closed\"; }, { path = \"/app\"; },\n"
			   "  { exact = \"/exact\"; }, { path = \"/post\"; methods = \"POST\"; },\n"
			   "  { path = \"/caf\xc3\xa9\"; }, { regex = \"\\\\.key$\"; } ); } );\n";

static struct ask a;
static struct script script; /* none, or what is run */
static struct conf *conf;

static void
setup(void)
{
	core_use_modules(modules, modules_n);
	conf = fake_load(text);
}

static void
teardown(void)
{
	conf_free(conf);
}

static void
ask(const char *method, const char *target)
{
	static char head[20000];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: www.org\r\n\r\n", method, target);
	ask_open(&a, head);
	a.r.site = &conf->sites[0];
	a.r.route = site_route(a.r.site, a.r.path, a.r.method);
}

static const struct reading_row {
	const char *target;
	int status;
	const char *from, *to;
	const char *rewritten;
	int uri_status; /* of a protocol that hands the client's own path on too */
} rows[] = {
	/* what applications ask for */
	{ .target = "/" },
	{ .target = "/a/b.html?x=%2f..%2f" },
	{ .target = "/a%2Fb" },
	{ .target = "/a%5Cb" },
	{ .target = "/x%20y/caf%C3%A9/%7Euser/a+b" },
	{ .target = "/caf%C3%A9/x" },
	{ .target = "/caf\xc3\xa9/x" },
	{ .target = "/a;v=1/b;w=2,3;x" },
	{ .target = "/app;x/y", .status = 400 }, /* /app/y to who strips it */
	{ .target = "/app/y;jsessionid=1.tc1" },
	{ .target = "/app/;jsessionid=1" },
	{ .target = "/projects/group%2Fname/issues" },
	{ .target = "/api/queues/%2F/jobs" },
	{ .target = "/proxy/https%3A%2F%2Fexample.org%2Fa%3Fb%3D1%23c" },
	{ .target = "/r/https%253A%252F%252Fexample.org%252F%253Fq%253D%252520" },
	{ .target = "/100%25" },
	{ .target = "/100%25/%25zz" },
	{ .target = "/wiki//Main//" },
	{ .target = "/.well-known/x" },
	{ .target = "/...%2f..." },
	{ .target = "/\xe4\xf6\xfc" },
	{ .target = "/%c0%ad" }, /* two octets of GBK, "-" overlong */
	{ .target = "/f[x]|{}" },
	{ .target = "/z/../app//x" },
	/* decoded before the rules' way */
	{ .target = "/%2fadmin/i", .status = 400 },
	{ .target = "/%2Fadmin", .status = 400 },
	{ .target = "/x%2f..%2fadmin/i", .status = 400 },
	{ .target = "/public/%2e%2e%2fadmin/i", .status = 400 },
	{ .target = "/public/..%2fadmin/i", .status = 400 },
	{ .target = "/admin%2fi", .status = 400 },
	{ .target = "/app%2fclosed", .status = 400 },
	{ .target = "/app/%2fclosed", .status = 400 },
	{ .target = "/app%2f%2fclosed/x", .status = 400 },
	{ .target = "/a%2f..", .status = 400 },
	{ .target = "/a/%2e%2f", .status = 400 },
	{ .target = "/%2f", .status = 400 },
	{ .target = "/%2fhost/x", .status = 400 },
	/* backslashes */
	{ .target = "/\\admin", .status = 400 },
	{ .target = "/%5cadmin", .status = 400 },
	{ .target = "/admin\\i", .status = 400 },
	{ .target = "/admin%5Ci", .status = 400 },
	{ .target = "/x\\..\\admin", .status = 400 },
	{ .target = "/x%5c..%5cadmin", .status = 400 },
	{ .target = "/x/..\\y", .status = 400 },
	{ .target = "/\\host/x", .status = 400 },
	/* decoded twice, and more often */
	{ .target = "/%252fadmin", .status = 400 },
	{ .target = "/%61dmi%256e/i", .status = 400 },
	{ .target = "/%2561dmin/i", .status = 400 },
	{ .target = "/x/%252e%252e/admin", .status = 400 },
	{ .target = "/x%252f..%252fadmin", .status = 400 },
	{ .target = "/x%25252f..%25252fadmin", .status = 400 },
	{ .target = "/x%255c..%255cadmin", .status = 400 },
	{ .target = "/%25252561dmin", .status = 400 },
	{ .target = "/%252500", .status = 400 },
	{ .target = "/x%250a", .status = 400 },
	/* parameters */
	{ .target = "/x/..;/admin", .status = 400 },
	{ .target = "/x/..;y=z/admin", .status = 400 },
	{ .target = "/x/.;/y", .status = 400 },
	{ .target = "/x/..%3b/admin", .status = 400 },
	{ .target = "/..;", .status = 400 },
	{ .target = "/;x/admin", .status = 400 },
	{ .target = "/admin;x", .status = 400 },
	{ .target = "/admin;x/i", .status = 400 },
	{ .target = "/admin%3bx", .status = 400 },
	{ .target = "/admin%253bx", .status = 400 },
	{ .target = "/admin;%2f..%2fx", .status = 400 },
	{ .target = "/exact;x", .status = 400 },
	{ .target = "/exact;x/y", .status = 400 },           /* cut at the first one */
	{ .target = "/app;%2fy/%2563losed", .status = 400 }, /* stripped, then decoded twice */
	{ .target = "/a.key;x", .status = 400 },
	/* the query is split off after decoding */
	{ .target = "/admin%3fx", .status = 400 },
	{ .target = "/admin%23x", .status = 400 },
	{ .target = "/a.key%3fx", .status = 400 },
	{ .target = "/a.key%253fx", .status = 400 },
	/* slashes that are not merged */
	{ .target = "/app//closed", .status = 400 }, /* /closed in /app to who does not merge */
	{ .target = "/app//x" },
	{ .target = "//app/x" },
	/* overlong UTF-8 */
	{ .target = "/%c0%afadmin", .status = 400 },
	{ .target = "/x%c0%af..%c0%afadmin", .status = 400 },
	{ .target = "/x/%c0%ae%c0%ae/admin", .status = 400 },
	{ .target = "/x/%e0%80%ae./admin", .status = 400 },
	{ .target = "/x%f0%80%80%af..%f8%80%80%80%afadmin", .status = 400 },
	{ .target = "/%c1%a1dmin", .status = 400 },
	{ .target = "/x%c0%80", .status = 400 },
	{ .target = "/x%c1%9c..%c1%9cadmin", .status = 400 },
	/* nothing is where an encoded slash ends the path */
	{ .target = "/a.key%2f", .status = 400 },
	{ .target = "/a.key%252f", .status = 400 },
	{ .target = "/a.key%5c", .status = 400 },
	{ .target = "/exact%2f", .status = 400 },
	{ .target = "/app/x%2f" },
	/* path_from */
	{ .target = "/app/x%2Fy", .from = "/app", .to = "/v2" },
	{ .target = "/app//x", .from = "/app", .to = "/" },
	{ .target = "/app/%2fhost", .status = 400, .from = "/app", .to = "/" },
	{ .target = "/app/%5chost", .status = 400, .from = "/app", .to = "/" },
	{ .target = "/app/%2fx", .from = "/app", .to = "/v2" },
	{ .target = "/b%2fx", .status = 400, .from = "/b", .to = "/v2" },
	{ .target = "/b;p/x", .status = 400, .from = "/b", .to = "/v2" },
	{ .target = "/c%2fx", .from = "/b", .to = "/v2" },
	{ .target = "/app/..%2fx", .status = 400, .from = "/app", .to = "/v2" },
	/* rewritten: what is handed on counts, and for REQUEST_URI what was asked for */
	{ .target = "/old", .rewritten = "/new" },
	{ .target = "/old", .rewritten = "/new one" },
	{ .target = "/old", .status = 400, .rewritten = "/new%2f..%2fadmin", .uri_status = 400 },
	{ .target = "/old", .status = 400, .rewritten = "/x?/../y", .uri_status = 400 },
	{ .target = "/x%2f..%2fadmin", .rewritten = "/index.php", .uri_status = 400 },
	{ .target = "/x;y", .rewritten = "/index.php" },
	{ .target = "/app%2fclosed", .rewritten = "/index.php", .uri_status = 400 },
	{ .target = "/x\\y", .rewritten = "/index.php" },
};

START_TEST(readings)
{
	const struct reading_row *row = &rows[_i];
	const char *why = NULL;
	struct str path;

	ask("GET", row->target);
	if (row->rewritten) {
		a.r.path = str_of(row->rewritten);
		a.r.reroutes = 1;
		a.r.route = site_route(a.r.site, a.r.path, a.r.method);
	}
	a.gw.path_from = str_of(row->from ? row->from : "");
	a.gw.path_to = str_of(row->to ? row->to : "");
	ck_assert_msg(reading_check(&a.r, &a.gw, &script, false, &why) == row->status, "%s: not %d",
	    row->target, row->status);
	ck_assert(!why || row->status || row->target);
	ck_assert_msg(reading_check(&a.r, &a.gw, &script, true, &why) ==
			  (row->rewritten ? row->uri_status : row->status),
	    "%s: REQUEST_URI", row->target);
	path = hmap_path(&a.r, &a.gw);
	ck_assert(path.p[0] == '/' && (path.n == 1 || path.p[1] != '/'));
	ask_close(&a);
}
END_TEST

/* What follows the name of a script is a page that it makes, and has that page's rules: all of them
   for the front controller, who may ask for others. */
START_TEST(pages)
{
	static const struct {
		const char *script, *target;
		int front, other;
	} scripts[] = {
		{ "/index.php", "/index.php/x", 0, 0 },
		{ "/index.php", "/index.php/admin/i", 400, 400 },
		{ "/index.php", "/index.php/exact", 400, 0 },
		{ "/index.php", "/index.php/x%2f", 0, 0 },
		{ "/index.php", "/index.php/%2561dmin/i", 400, 400 },
		{ "/index.php", "/index.php%2fadmin/i", 400, 400 },
		{ "/index.php", "/index.php/admin;x", 400, 400 },
		{ "/app/index.php", "/app/index.php/x", 0, 0 },
		{ "/app/index.php", "/app/index.php/admin", 0, 0 },
		{ "/app/index.php", "/app/index.php/closed/x", 400, 0 },
	};
	const char *why = NULL;

	ask("GET", scripts[_i].target);
	script.name = str_of(scripts[_i].script);
	script.is_split = true;
	script.path_info = str_n(a.r.path.p + script.name.n, a.r.path.n - script.name.n);
	ck_assert_msg(reading_check(&a.r, &a.gw, &script, true, &why) == scripts[_i].other, "%s",
	    scripts[_i].target);
	a.gw.front = script.name;
	ck_assert_msg(reading_check(&a.r, &a.gw, &script, true, &why) == scripts[_i].front,
	    "%s as the front controller", scripts[_i].target);
	ask_close(&a);
	script = (struct script){ 0 };
}
END_TEST

/* The router is asked with the method of the request. */
START_TEST(methods)
{
	const char *why = NULL;

	ask("GET", "/post%2fx");
	ck_assert_int_eq(reading_check(&a.r, &a.gw, &script, false, &why), 0);
	ask_close(&a);
	ask("POST", "/post%2fx");
	ck_assert_int_eq(reading_check(&a.r, &a.gw, &script, false, &why), 400);
	ck_assert_ptr_nonnull(why);
	ask_close(&a);
}
END_TEST

/* However hard a path is to read, it costs what a few thousand octets cost. */
START_TEST(bounded)
{
	static const char *const pieces[] = { "%25", "%2525;", "%255c", "a%2f;%3f", "%c0%ae",
		";%2f\\", "//%23", "%252525252525252541", "%5c", "\\", "/.a", "\xe0\x80\xa1" };
	static char target[8100];
	clock_t best, before, took;
	const char *why;

	for (size_t i = 0; i < UNIT_COUNT(pieces); i++) {
		size_t n = strlen(pieces[i]);

		strcpy(target, "/x");
		for (size_t at = 2; at + n < 8000; at += n)
			strcpy(target + at, pieces[i]);
		best = CLOCKS_PER_SEC;
		for (int k = 0; k < 10; k++) { /* the least: others use the machine, too */
			ask("GET", target);
			before = clock();
			reading_check(&a.r, &a.gw, &script, true, &why);
			took = clock() - before;
			best = took < best ? took : best;
			ask_close(&a);
		}
		ck_assert_msg(best < CLOCKS_PER_SEC / 200, "%s…: %ld us", pieces[i], (long)best);
	}
}
END_TEST

Suite *
suite_reading(void)
{
	Suite *s = suite_create("reading");
	TCase *t = tcase_create("readings");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, readings, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(t, pages, 0, 10);
	tcase_add_test(t, methods);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	return s;
}

/*
 * What a configuration means: sites, routes, inheritance, hooks; and what is said about whole
 * files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/http.h"
#include "common/config/cfg_errors.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

START_TEST(test_empty_file_is_one_site)
{
	struct conf *conf;

	fake_use();
	conf = fake_load("");
	ck_assert_uint_eq(conf->nsites, 1);
	ck_assert_str_eq(conf->sites[0].name, "*");
	ck_assert_uint_eq(conf->sites[0].nroutes, 1);
	ck_assert_str_eq(conf->sites[0].routes[0].label, "* /");
	ck_assert_uint_eq(conf->nlistens, 2);
	unit_str_eq(conf->listens[0].text, "0.0.0.0:80");
	unit_str_eq(conf->listens[1].text, "[::]:80");
	ck_assert(!conf->listens[0].is_optional && conf->listens[1].is_optional);
	ck_assert_int_ge(conf->process.workers, 1);
	ck_assert(conf->process.workers_auto);
	ck_assert_int_ge(conf->process.slots, 16);
	ck_assert_int_ge(conf->process.slots, 2 * conf->process.workers);
	ck_assert_ptr_null(conf->file);
	conf_free(conf);
}
END_TEST

START_TEST(test_inheritance)
{
	const struct route *r;
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "server: { listing = true; expire = \"2h\"; index = \"s\"; max_body = \"1k\"; };\n"
	    "sites = ( { host = \"a\"; expire = \"3h\"; index = [ \"t\" ];\n"
	    "  routes = ( { path = \"/x\"; index = \"r\"; listing = false; max_body = 0; },\n"
	    "             { path = \"/y\"; } );\n"
	    "}, { host = \"b\"; } );\n");
	r = &conf->sites[0].routes[0];
	ck_assert_int_eq(fake_of(r)->expire, 3 * 3600000);
	ck_assert(!fake_of(r)->listing);
	ck_assert_uint_eq(fake_of(r)->index.n, 3); /* own, the site's, the server's; no default */
	unit_str_eq(fake_of(r)->index.v[0], "r");
	unit_str_eq(fake_of(r)->index.v[1], "t");
	unit_str_eq(fake_of(r)->index.v[2], "s");
	ck_assert_int_eq(r->core->max_body, 0);
	ck_assert_int_eq(r->places[0][3].line, 2); /* expire */
	ck_assert_int_eq(r->places[0][2].line, 3); /* listing */
	ck_assert_int_eq(r->places[0][2].col, 52);
	ck_assert_ptr_null(r->places[0][4].file); /* limit: the default */
	r = &conf->sites[0].routes[1];
	ck_assert_uint_eq(fake_of(r)->index.n, 2);
	ck_assert(fake_of(r)->listing);
	ck_assert_int_eq(r->core->max_body, 1024);
	/* What sets nothing shares its parent's struct, with what was derived in it. */
	ck_assert_ptr_eq(r->conf[0], conf->sites[0].routes[2].conf[0]);
	ck_assert_ptr_eq(conf->sites[1].routes[0].conf[0], conf->server_conf[0]);
	ck_assert(fake_of(r)->is_checked);
	ck_assert_uint_eq(fake_checks, 3); /* server, site a, route /x */
	conf_free(conf);
}
END_TEST

START_TEST(test_records_merge)
{
	const struct fake_header *h;
	const struct fake *f;
	struct conf *conf;

	fake_use();
	conf = fake_load("server: { headers = ( { name = \"S\"; } ); };\n"
			 "sites = { host = \"a\"; headers: { name = \"T\"; value = \"v\"; };\n"
			 "  routes = { path = \"/\"; headers = ( { name = \"R\"; }, { name = "
			 "\"Q\"; } ); }; };\n");
	f = fake_of(conf->sites[0].routes);
	h = f->headers.v;
	ck_assert_uint_eq(f->headers.n, 4);
	unit_str_eq(h[0].name, "R");
	unit_str_eq(h[1].name, "Q");
	unit_str_eq(h[2].name, "T");
	unit_str_eq(h[2].value, "v");
	unit_str_eq(h[3].name, "S");
	unit_str_eq(h[3].value, "x"); /* a member's default */
	conf_free(conf);
}
END_TEST

START_TEST(test_short_forms)
{
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "server: { listen = ( \"8080\", { address = \"[::1]:81\"; backlog = 7; } ); };\n"
	    "sites = ( { host = \"a\"; redirect = \"/new\"; },\n"
	    "  { host = \"b\"; redirect: { to = \"/n\"; status = 302; }; } );");
	unit_str_eq(fake_of(conf->sites[0].routes)->to, "/new");
	ck_assert_int_eq(fake_of(conf->sites[0].routes)->status, 301);
	unit_str_eq(fake_of(conf->sites[1].routes)->to, "/n");
	ck_assert_int_eq(fake_of(conf->sites[1].routes)->status, 302);
	ck_assert_uint_eq(conf->nlistens, 3);
	unit_str_eq(conf->listens[2].text, "[::1]:81");
	ck_assert_int_eq(conf->listens[2].backlog, 7);
	ck_assert_int_eq(conf->listens[0].backlog, 1024);
	conf_free(conf);
}
END_TEST

START_TEST(test_hooks_of_active_modules)
{
	const struct route *on, *off;
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "sites = ( { host = \"a\"; routes = ( { path = \"/on\"; listing = true; } ); } );");
	on = &conf->sites[0].routes[0];
	off = &conf->sites[0].routes[1];
	ck_assert_uint_eq(on->handle.n, 2);
	ck_assert_str_eq(on->handle.v[0].module->name, "fake");
	ck_assert_ptr_eq(on->handle.v[0].conf, on->conf[0]);
	ck_assert_str_eq(on->handle.v[1].module->name, "plain");
	ck_assert_uint_eq(off->handle.n, 1);
	ck_assert_uint_eq(off->access.n, 1);
	ck_assert_uint_eq(off->filter.n + off->log.n, 0);
	conf_free(conf);
}
END_TEST

static const struct {
	const char *text, *said;
} mistakes[] = {
	/* Routes. */
	{ "sites = ( { host = \"a\"; routes = (\n{ },\n{ path = \"/a\"; exact = \"/a\"; },\n"
	  "{ path = \"a\"; },\n{ exact = \"/a/../b\"; },\n{ path = \"/a%20b\"; },\n{ path = "
	  "\"/a?b\"; },\n"
	  "{ path = \"/a//b\"; },\n{ path = \"/x\"; methods = [ \"GTE\", \"get\" ]; } ); } );",
	    "2:1 error: a route wants 'path', 'exact' or 'regex' // for everything: path = \"/\";\n"
	    "3:24 error: a route has one of 'path', 'exact' and 'regex'\n"
	    "4:10 error: the path \"a\" can never match: a path begins with '/'\n"
	    "5:11 error: the path \"/a/../b\" can never match: paths are compared without empty, "
	    "\".\" and \"..\" segments\n"
	    "6:10 error: the path \"/a%20b\" can never match: paths are compared after decoding: "
	    "write the character itself\n"
	    "7:10 error: the path \"/a?b\" can never match: a path has no query: '?' and '#' do "
	    "not "
	    "belong in it\n"
	    "8:10 error: the path \"/a//b\" can never match: paths are compared without empty, "
	    "\".\" "
	    "and \"..\" segments\n"
	    "9:28 error: \"GTE\" is not a method that the server knows\n"
	    "9:35 error: \"get\" is not a method that the server knows // in upper case\n" },
	{ "sites = ( { host = \"a\"; routes = (\n{ path = \"/\"; methods = \"GET\"; },\n"
	  "{ path = \"/a/\"; methods = \"HEAD\"; },\n{ path = \"/a\"; },\n{ exact = \"/a/b\"; },\n"
	  "{ regex = \"^/x\"; },\n{ exact = \"/xy\"; },\n{ path = \"/xy\"; },\n"
	  "{ regex = \"^/x\"; },\n{ path = \"/\"; },\n{ path = \"/ab\"; } ); } );",
	    "3:1 warning: route \"/a HEAD\" can never match: \"/ GET\" on line 2 takes its "
	    "requests "
	    "first // the first route that matches is taken: move this one up\n"
	    "5:1 warning: route \"= /a/b\" can never match: \"/a\" on line 4 takes its requests "
	    "first "
	    "// the first route that matches is taken: move this one up\n"
	    "7:1 warning: route \"= /xy\" can never match: \"~ ^/x\" on line 6 takes its requests "
	    "first // the first route that matches is taken: move this one up\n"
	    "9:1 warning: route \"~ ^/x\" can never match: \"~ ^/x\" on line 6 takes its requests "
	    "first // the first route that matches is taken: move this one up\n"
	    "11:1 warning: route \"/ab\" can never match: \"/\" on line 10 takes everything first "
	    "// "
	    "the first route that matches is taken: move this one up\n" },
	/* Hosts. */
	{ "sites = (\n{ host = [ \"a.org\", \"http://b\", \"c:80\", \"d.*\", \"e f\", "
	  "\"\xC3\xA4.de\" ]; },\n"
	  "{ host = \"A.org.\"; },\n{ host = \"[::1]\"; },\n{ host = \"a..b\"; },\n{ }, { } );",
	    "2:21 error: \"http://b\" is not a host name // a name such as \"example.org\", "
	    "without "
	    "scheme and path\n"
	    "2:33 error: \"c:80\" is not a host name // a name without port; the port stands in "
	    "server.listen\n"
	    "2:41 error: \"d.*\" is not a host name // '*' stands alone or in front: "
	    "\"*.example.org\"\n"
	    "2:48 error: \"e f\" is not a host name // a name such as \"example.org\", "
	    "\"*.example.org\" or \"*\"; others in their xn-- form\n"
	    "2:55 error: \"\xC3\xA4.de\" is not a host name // a name such as \"example.org\", "
	    "\"*.example.org\" or \"*\"; others in their xn-- form\n"
	    "3:10 error: the host \"a.org\" belongs to another site already // the first is at "
	    "t.conf:2\n"
	    "5:10 error: \"a..b\" is not a host name // a name such as \"example.org\", "
	    "\"*.example.org\" or \"*\"; others in their xn-- form\n"
	    "6:6 error: the host \"*\" belongs to another site already // the first is at "
	    "t.conf:6\n" },
	/* The server. */
	{ "server: { user = \"no-such-user\"; group = \"no-such-group\"; workers = 20; slots = 4;\n"
	  "trusted_proxies = [ \"10.0.0.0/8\", \"nonsense\" ]; };",
	    "1:18 error: there is no user \"no-such-user\" on this machine\n"
	    "1:42 error: there is no group \"no-such-group\" on this machine\n"
	    "1:81 error: 'slots' must be at least the number of workers, which is 20 // leave it "
	    "out "
	    "for twice the workers\n"
	    "2:35 error: 'trusted_proxies' wants an address (\"192.0.2.7\", \"2001:db8::1\"), a "
	    "network (\"192.0.2.0/24\", \"2001:db8::/32\"), or one of the words \"private\", "
	    "\"loopback\", \"unix\", \"all\", not \"nonsense\"\n" },
	/* The shape of the file. */
	{ "server = 5;\nsites = \"a\";\nroot = \"/x\";\nhost = \"a\";\nservr: { };\n",
	    "1:10 error: 'server' wants a group, not the number 5 // write server: { ... }\n"
	    "2:9 error: 'sites' wants a list of groups, not the text \"a\" // write sites = ( { "
	    "... "
	    "}, { ... } );\n"
	    "3:1 error: unknown setting 'root' at the top of the file // 'root' belongs in server: "
	    "{ "
	    "}, a site or a route\n"
	    "4:1 error: unknown setting 'host' at the top of the file // 'host' belongs in a site\n"
	    "5:1 error: unknown setting 'servr' at the top of the file // did you mean "
	    "'server'?\n" },
	{ "include = 5;\nsites = ( 7, { host = \"a\"; routes = \"/x\"; } );\n",
	    "1:11 error: 'include' wants a path or a list of paths, not the number 5\n"
	    "2:11 error: 'sites' wants a list of groups, not the number 7 // write sites = ( { ... "
	    "}, "
	    "{ ... } );\n"
	    "2:37 error: 'routes' wants a list of groups, not the text \"/x\" // write routes = ( "
	    "{ "
	    "... }, { ... } );\n" },
	/* A module's check is not asked about options that are wrong already. */
	{ "server: { auth: { realm = \"x\"; secret = 5; }; };",
	    "1:41 error: 'auth.secret' wants a text in double quotes, not the number 5\n" },
	/* Ten mistakes, one of them of syntax: ten errors. */
	{ "server: {\n"
	  "  listn = \"8080\";\n"          /* 1 */
	  "  workers = 0;\n"               /* 2 */
	  "  timeout: { header = 30; };\n" /* 3 */
	  "};\n"
	  "sites = (\n"
	  "  { host = \"a.org\";\n"
	  "    root = \"/srv/a;\n"        /* 4 */
	  "    listing = yes;\n"          /* 5 */
	  "    document_root = \"/x\";\n" /* 6 */
	  "    routes = (\n"
	  "      { path = \"/x\"; limit = 10M; }\n"     /* 7, 8 */
	  "      { regex = \"(\"; },\n"                 /* 9 */
	  "      { path = \"/y\"; mode = \"fats\"; }\n" /* 10 */
	  "    );\n"
	  "  }\n"
	  ");\n",
	    "2:3 error: unknown setting 'listn' in server // did you mean 'listen'?\n"
	    "3:13 error: 'workers' wants \"auto\" or a whole number from 1 to 128, not the number "
	    "0\n"
	    "4:23 error: 'timeout.header' wants a time such as \"30s\" from \"1s\" to \"1h\", not "
	    "the "
	    "number 30 // write \"30s\"\n"
	    "8:12 error: string opened here is never closed // add the closing quote; a line break "
	    "inside a string is \\n\n"
	    "9:15 error: 'listing' wants true or false, not the unquoted yes // write true\n"
	    "10:5 error: unknown setting 'document_root' in site \"a.org\" // did you mean "
	    "'root'?\n"
	    "12:30 error: 'limit' wants a size such as \"64k\" from \"0\" to \"1M\", not the "
	    "unquoted "
	    "10M // write \"10M\"\n"
	    "12:36 error: a comma is missing between two elements // put ',' here\n"
	    "13:19 error: 'regex': missing closing parenthesis, at offset 1 // see "
	    "pcre2pattern(3)\n"
	    "14:29 error: 'mode' wants \"off\", \"on\" or \"fast\", not the text \"fats\"\n" },
};

START_TEST(test_mistakes)
{
	fake_use();
	fake_says(mistakes[_i].text, mistakes[_i].said);
}
END_TEST

/* --- files --- */

static char dir[32];

static void
dir_make(void)
{
	strcpy(dir, "/tmp/argand-conf-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
dir_remove(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *
dir_write(const char *name, const char *text)
{
	static char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static char *
dir_said(const struct cfg_errors *e)
{
	static char said[2000];
	const struct cfg_message *v;
	size_t i, n, at = 0;

	v = cfg_errors_sorted(e, &n);
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(said + at, sizeof(said) - at, "%s:%d %s\n",
		    v[i].place.file + strlen(dir), v[i].place.line, v[i].text);
	return said;
}

START_TEST(test_includes)
{
	struct cfg_errors *e;
	struct conf *conf;
	char sub[100];
	uint64_t digest;

	fake_use();
	dir_make();
	snprintf(sub, sizeof(sub), "%s/sites", dir);
	ck_assert_int_eq(mkdir(sub, 0755), 0);
	dir_write("sites/b.conf", "sites = ( { host = \"b\"; root = \"www\"; } );");
	dir_write("sites/a.conf", "include = \"more/*.conf\"; sites = { host = \"a\"; };");
	dir_write("sites/ignored.txt", "nonsense");
	conf = conf_load(dir_write("main.conf", "include = [ \"sites\", \"none/*.conf\" ];\n"
						"server: { error_log = \"e.log\"; };\nsites = { "
						"host = \"m\"; root = \"./www\"; };\n"),
	    &e);
	ck_assert_msg(conf != NULL, "%s", dir_said(e));
	cfg_errors_free(e);
	ck_assert_uint_eq(conf->nsites, 3);
	ck_assert_str_eq(conf->sites[0].name, "m");
	ck_assert_str_eq(conf->sites[1].name, "a");
	ck_assert_str_eq(conf->sites[2].name, "b");
	/* Paths are relative to the file that they stand in. */
	ck_assert_ptr_nonnull(strstr(fake_of(conf->sites[0].routes)->root.p, dir));
	ck_assert_ptr_null(strstr(fake_of(conf->sites[0].routes)->root.p, "."));
	ck_assert_ptr_nonnull(strstr(fake_of(conf->sites[2].routes)->root.p, "/sites/www"));
	ck_assert_ptr_nonnull(strstr(conf->process.error_log.p, "/e.log"));
	digest = conf->digest;
	conf_free(conf);
	/* The digest is of all files. */
	dir_write("sites/b.conf", "sites = ( { host = \"b\"; root = \"WWW\"; } );");
	snprintf(sub, sizeof(sub), "%s/main.conf", dir);
	conf = conf_load(sub, &e);
	ck_assert_ptr_nonnull(conf);
	ck_assert(conf->digest != digest);
	cfg_errors_free(e);
	conf_free(conf);
	dir_remove();
}
END_TEST

START_TEST(test_mistakes_in_includes)
{
	struct cfg_errors *e;
	char expected[1000];

	fake_use();
	dir_make();
	dir_write("b.conf", "server: { };\nsites = ( { host = \"m\"; rot = 5; }\n");
	dir_write("a.conf",
	    "include = [ \"main.conf\", \"missing.conf\" ];\nsites = ( { mode = \"q\"; } );\n");
	ck_assert_ptr_null(conf_load(
	    dir_write("main.conf", "include = \"?.conf\";\nsites = { host = \"m\"; limt = 5; };\n"),
	    &e));
	snprintf(expected, sizeof(expected),
	    "/main.conf:2 unknown setting 'limt' in site \"m\"\n"
	    "/a.conf:1 cannot include %s/main.conf: it has been read already\n"
	    "/a.conf:1 cannot include %s/missing.conf: No such file or directory\n"
	    "/a.conf:2 'mode' wants \"off\", \"on\" or \"fast\", not the text \"q\"\n"
	    "/b.conf:1 'server' belongs in the main file, %s/main.conf\n"
	    "/b.conf:2 '(' opened here is never closed\n"
	    "/b.conf:2 the host \"m\" belongs to another site already\n"
	    "/b.conf:2 unknown setting 'rot' in site \"m\"\n",
	    dir, dir, dir);
	ck_assert_str_eq(dir_said(e), expected);
	cfg_errors_free(e);
	dir_remove();
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
	struct cfg_errors *e;

	dir_make();
	ck_assert_ptr_null(conf_load(dir, &e));
	ck_assert_str_eq(dir_said(e), ":0 cannot be read: Is a directory\n");
	cfg_errors_free(e);
	dir_write("x", "");
	dir_remove();
	ck_assert_ptr_null(conf_load(dir, &e));
	ck_assert_str_eq(dir_said(e), ":0 cannot be read: No such file or directory\n");
	cfg_errors_free(e);
}
END_TEST

/* A message with its source line, caret and hint. */
START_TEST(test_print)
{
	struct cfg_errors *e;
	char out[1000] = "";
	FILE *f = fmemopen(out, sizeof(out), "w");

	fake_use();
	ck_assert_ptr_null(
	    conf_load_text("server: {\n\tlistn = \"\xC3\xA4\"; mode = \"x\";\n};\n"
			   "sites = ( { routes = ( { path = \"/\"; }, { path = \"/a\"; } ); } );\n",
		"t.conf", &e));
	cfg_errors_print(e, f, false);
	fclose(f);
	ck_assert_str_eq(out,
	    "t.conf:2:2: error: unknown setting 'listn' in server\n"
	    "    2 | \tlistn = \"\xC3\xA4\"; mode = \"x\";\n"
	    "      | \t^~~~~ did you mean 'listen'?\n"
	    "t.conf:2:22: error: 'mode' wants \"off\", \"on\" or \"fast\", not the text \"x\"\n"
	    "    2 | \tlistn = \"\xC3\xA4\"; mode = \"x\";\n"
	    "      | \t                    ^~~\n"
	    "t.conf:4:41: warning: route \"/a\" can never match: \"/\" on line 4 takes everything "
	    "first\n"
	    "    4 | sites = ( { routes = ( { path = \"/\"; }, { path = \"/a\"; } ); } );\n"
	    "      |                                         ^ the first route that matches is "
	    "taken: "
	    "move this one up\n");
	cfg_errors_free(e);
}
END_TEST

Suite *
suite_conf_load(void)
{
	Suite *s = suite_create("conf_load");
	TCase *t = tcase_create("conf_load");

	tcase_add_test(t, test_empty_file_is_one_site);
	tcase_add_test(t, test_inheritance);
	tcase_add_test(t, test_records_merge);
	tcase_add_test(t, test_short_forms);
	tcase_add_test(t, test_hooks_of_active_modules);
	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	tcase_add_test(t, test_includes);
	tcase_add_test(t, test_mistakes_in_includes);
	tcase_add_test(t, test_files_that_cannot_be_read);
	tcase_add_test(t, test_print);
	suite_add_tcase(s, t);
	return s;
}

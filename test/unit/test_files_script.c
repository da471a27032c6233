/* What is a script by its name, and what becomes of requests for one where no gateway runs it. */
#include <stdio.h>

#include "modules/files/script.h"
#include "test/unit/filetree.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"

Suite *suite_files_script(void);

static const struct {
	const char *name;
	bool is;
} names[] = {
	{ "x.php", true },
	{ "a/b/x.php", true },
	{ "x.PHP", true },
	{ "x.pHp", true },
	{ ".php", true },
	{ "x.cgi", true },
	{ "x.php.", true },
	{ "x.php. .", true },
	{ "x.php ", true },
	/* copies */
	{ "x.php~", true },
	{ "#x.php#", true },
	{ "x.php.~1~", true },
	{ "x.php.bak", true },
	{ "x.PHP.BAK", true },
	{ "x.php.bak2", true },
	{ "x.php_old", true },
	{ "x.php-old", true },
	{ "x.php.old.1", true },
	{ "x.php (copy)", true },
	{ "x.php - Copy (3)", true },
	{ "x.php.2024-01-31", true },
	{ "x.php.orig", true },
	{ "x.php.save", true },
	{ ".x.php.swp", true },
	{ ".#x.php", true },
	{ "x.php.dpkg-dist", true },
	{ "x.php.rpmsave", true },
	{ "x.php.gz", true },
	{ "x.php (deleted)", true }, /* as the kernel calls one that is gone */
	{ "x.php.br", true },
	{ "x.php.bak.gz", true },
	{ "x.php7", true },
	/* what a file system may take for the same */
	{ "x.p\xc2\xadhp", true },
	{ "x.php\xe2\x80\x8b", true },
	{ "x.\xe2\x80\x8dphp", true },
	{ "x.a\xc5\xbfp", true },
	/* others */
	{ "x.html", false },
	{ "x.php/readme", false },
	{ "php", false },
	{ "xphp", false },
	{ "x.php.html", false },
	{ "x.php.txt", false },
	{ "x.phps", false },
	{ "x.phpx", false },
	{ "x.php.png", false },
	{ "php.ini", false },
	{ "x.tar.gz", false },
	{ "x.bak", false },
	{ "x~", false },
	{ "~", false },
	{ "", false },
	{ "....", false },
	{ "gz", false },
	{ "123", false },
	{ "\xc3\xa4", false },
};

static struct str suffixes[] = { STR_INIT(".php"), STR_INIT(".cgi"), STR_INIT(".asp") };
static const struct cfg_strs list = { suffixes, UNIT_COUNT(suffixes) };

START_TEST(test_names)
{
	ck_assert_msg(files_script_is(&list, str_of(names[_i].name)) == names[_i].is, "\"%s\"",
	    names[_i].name);
}
END_TEST

/* Of every length, whatever stands in it. */
START_TEST(test_lengths)
{
	static const char fill[] = "a~.\xc3 9)";
	char name[600];

	for (size_t k = 0; k + 1 < sizeof(fill); k++)
		for (size_t n = 0; n <= sizeof(name); n++) {
			memset(name, fill[k], n);
			if (files_script_is(&list, str_n(name, n)))
				ck_abort_msg("%zu of %#x", n, fill[k]);
		}
}
END_TEST

/* --- through the loopback --- */

static struct loopback *lo;

static void
setup(void)
{
	tree_make();
	tree_text("root/x.php", "<?php secret");
	tree_text("root/X2.PHP", "<?php secret");
	tree_text("root/x.php.bak", "<?php secret");
	tree_text("root/x.php~", "<?php secret");
	tree_text("root/x.php.gz", "secret");
	tree_text("root/x.phps", "shown");
	tree_text("root/a.txt", "text");
	tree_text("root/.x.php.swp", "secret");
	tree_text("root/d/index.php", "<?php secret");
	tree_text("root/d/index.html", "page");
	tree_text("root/e/index.html", "page");
	tree_link("root/page.txt", "x.php");
	tree_text("root/dir.php/a.txt", "text");
}

static void
teardown(void)
{
	if (lo)
		lo_close(lo);
	lo = NULL;
	tree_remove();
}

/* A site with PHP, and what the route /s of the same directory says. */
static void
open_site(const char *gateway, const char *options)
{
	char conf[2000];

	snprintf(conf, sizeof(conf),
	    "server: { listen = \"127.0.0.1:8080\"; };\n"
	    "backends: { php = \"fastcgi://unix:/nonexistent/php.sock\"; app = "
	    "\"http://127.0.0.1:1\";\n"
	    "cgi: { protocol = \"cgi\"; }; };\n"
	    "sites = ( { host = \"*\"; root = \"%s/root\"; mime_types = \"/dev/null\";\n"
	    "routes = ( { path = \"/s\"; alias = \"%s/root\"; %s }, %s ); } );\n",
	    tree_path(), tree_path(), options, gateway);
	lo = lo_open(conf);
}

#define PHP   "{ path = \"/\"; gateway = \"php\"; }"
#define REGEX "{ regex = \"\\\\.php(/|$)\"; gateway = \"php\"; }"
#define OFF   "gateway = \"off\"; "

static const struct {
	const char *gateway, *options, *target;
	int status;
	const char *body;
} rows[] = {
	{ PHP, "", "/s/x.php", 404, NULL },
	{ REGEX, "", "/s/x.php", 404, NULL },
	{ REGEX, "", "/s/x%2Ephp", 404, NULL },
	{ REGEX, "", "/s/x%2ep%68p?q", 404, NULL },
	{ REGEX, "", "/s//./x.php", 404, NULL },
	{ REGEX, "", "/s/x.php/", 404, NULL },
	{ REGEX, "", "/s/X2.PHP", 404, NULL },
	{ REGEX, "", "/X2.PHP", 404, NULL }, /* in no route of a gateway either */
	{ REGEX, "", "/x.php~", 404, NULL },
	{ REGEX, "", "/s/x.php.bak", 404, NULL },
	{ REGEX, "", "/s/x.php.gz", 404, NULL },
	{ REGEX, "hidden = true;", "/s/.x.php.swp", 404, NULL },
	{ REGEX, "", "/s/page.txt", 404, NULL },
	{ REGEX, "", "/s/a.txt", 200, "text" },
	{ REGEX, "", "/s/x.phps", 200, "shown" },
	{ REGEX, "", "/s/dir.php/a.txt", 200, "text" },
	{ REGEX, "", "/s/none.php", 404, NULL },
	/* an index, a try list */
	{ REGEX, "index = [ \"index.php\", \"index.html\" ];", "/s/d/", 404, NULL },
	{ REGEX, "index = [ \"index.php\", \"index.html\" ];", "/s/e/", 200, "page" },
	{ REGEX, "try = [ \"$path\", \"/s/a.txt\", \"=410\" ];", "/s/x.php", 200, "text" },
	{ REGEX, "try = [ \"$path\", \"=410\" ];", "/s/x.php", 410, NULL },
	{ REGEX, "try = [ \"$path\", \"/s/x.php\" ];", "/s/none", 404, NULL },
	{ REGEX, "try = [ \"$path.php\", \"=410\" ];", "/s/x", 410, NULL },
	/* meant so */
	{ REGEX, "scripts_as_text = true;", "/s/x.php", 200, "<?php secret" },
	{ REGEX, "scripts_as_text = true;", "/s/x.php~", 200, "<?php secret" },
	/* what runs says what scripts are */
	{ "{ path = \"/cgi-bin\"; gateway = \"cgi\"; }", "", "/s/x.php", 200, "<?php secret" },
	{ "{ path = \"/up\"; gateway = \"app\"; }", "", "/s/x.php", 200, "<?php secret" },
	{ "{ regex = \"[.](php|jsp)$\"; gateway = \"app\"; }", "", "/s/x.php", 404, NULL },
	{ "{ exact = \"/run.php\"; methods = \"POST\"; gateway = \"app\"; }", "", "/x.php", 404,
	    NULL },
	{ "{ regex = \"\\\\.txt$\"; gateway = \"app\"; }", "", "/s/a.txt", 200, "text" },
	{ "{ path = \"/q\"; }", "", "/s/x.php", 200, "<?php secret" },
};

START_TEST(test_requests)
{
	const char *options = rows[_i].options;
	struct lo_response *s;
	char own[300];

	snprintf(own, sizeof(own), OFF "%s", options);
	open_site(rows[_i].gateway, own);
	for (int again = 0; again < 2; again++) { /* the second time from the cache */
		s = lo_get(lo, rows[_i].target, NULL);
		ck_assert_msg(s->status == rows[_i].status, "%s %s: %d (%.*s)", rows[_i].target,
		    options, s->status, STR_FMT(s->why));
		if (rows[_i].body)
			unit_str_eq(s->body, rows[_i].body);
		ck_assert_ptr_null(memmem(
		    s->body.p, s->body.n, rows[_i].body ? "\1" : "secret", rows[_i].body ? 1 : 6));
	}
}
END_TEST

Suite *
suite_files_script(void)
{
	Suite *s = suite_create("files_script");
	TCase *t = tcase_create("files_script");

	tcase_add_loop_test(t, test_names, 0, UNIT_COUNT(names));
	tcase_add_test(t, test_lengths);
	suite_add_tcase(s, t);
	t = tcase_create("requests");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_requests, 0, UNIT_COUNT(rows));
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return s;
}

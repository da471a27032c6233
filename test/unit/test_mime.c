/* Media types: what wins over what, and names that have no extension. */
#include <stdio.h>

#include "common/base/mime.h"
#include "test/unit/unit.h"

static struct mime *mime;
static struct arena arena;

static void
setup(void)
{
	mime = mime_new();
	arena_init(&arena, NULL, 0);
}

static void
teardown(void)
{
	mime_free(mime);
	arena_fini(&arena);
}

static const struct {
	const char *path, *type;
} builtin[] = {
	{ "/a.html", "text/html" },
	{ "/a.HTML", "text/html" },
	{ "a.css", "text/css" },
	{ "/x/y.js", "text/javascript" },
	{ "/x.mjs", "text/javascript" },
	{ "/x.ts", "video/mp2t" },
	{ "/x.js.map", "application/json" },
	{ "/x.jxl", "image/jxl" },
	{ "/x.woff2", "font/woff2" },
	{ "/x.tar.gz", "application/gzip" },
	{ "/x.webmanifest", "application/manifest+json" },
	{ "/x.br", "application/octet-stream" },
	{ "/README", "application/octet-stream" },
	{ "/x.nosuch", "application/octet-stream" },
	{ "/dir.html/README", "application/octet-stream" },
	{ "/.html", "application/octet-stream" },
	{ ".css", "application/octet-stream" },
	{ "/x.", "application/octet-stream" },
	{ "", "application/octet-stream" },
	{ "/x.abcdefghijklmnopqrstuvwxyzabcdefghijklm", "application/octet-stream" },
};

START_TEST(test_builtin)
{
	struct mime_rules none = { NULL, 0 };

	unit_str_eq(mime_type_of(mime, &none, str_of(builtin[_i].path)), builtin[_i].type);
}
END_TEST

START_TEST(test_text)
{
	static const char text[] = "# comment\n"
				   "text/x-qt-linguist\tts\r\n"
				   "Application/X-New\t\tNEW new2 # more\n"
				   "no-slash bad\n"
				   "application/x-none\n"
				   "application/x-late new\n"
				   "a/b last";
	struct mime_rules none = { NULL, 0 };

	mime_load_text(mime, STR(text));
	unit_str_eq(mime_type_of(mime, &none, STR("/x.ts")), "video/mp2t");
	unit_str_eq(mime_type_of(mime, &none, STR("/x.new")), "application/x-new");
	unit_str_eq(mime_type_of(mime, &none, STR("/x.NEW2")), "application/x-new");
	unit_str_eq(mime_type_of(mime, &none, STR("/x.more")), "application/octet-stream");
	unit_str_eq(mime_type_of(mime, &none, STR("/x.bad")), "application/octet-stream");
	unit_str_eq(mime_type_of(mime, &none, STR("/x.last")), "a/b");
}
END_TEST

START_TEST(test_many)
{
	struct mime_rules none = { NULL, 0 };
	char text[65536], name[32];
	size_t n = 0;

	for (int i = 0; i < 2000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "x/t%d e%d\n", i, i);
	mime_load_text(mime, str_n(text, n));
	for (int i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "/f.e%d", i);
		snprintf(name, sizeof(name), "x/t%d", i);
		unit_str_eq(mime_type_of(mime, &none, str_of(text)), name);
	}
}
END_TEST

static const struct {
	const char *rule, *path, *type; /* type NULL: the rule is refused */
} rules[] = {
	{ "html text/x-mine", "/a.html", "text/x-mine" },
	{ ".HTML text/x-mine", "/a.html", "text/x-mine" },
	{ "text/x-mine a html b", "/a.html", "text/x-mine" },
	{ "text/x-mine a html b", "/a.b", "text/x-mine" },
	{ "* text/plain", "/README", "text/plain" },
	{ "* text/plain", "/a.nosuch", "text/plain" },
	{ "* text/plain", "/a.html", "text/html" },
	{ "  md   text/markdown ", "/a.md", "text/markdown" },
	{ "txt text/plain; charset=latin1", "/a.txt", "text/plain; charset=latin1" },
	{ "html", NULL, NULL },
	{ "", NULL, NULL },
	{ "html text", NULL, NULL },
	{ "html text/", NULL, NULL },
	{ "html /x", NULL, NULL },
	{ "text/html", NULL, NULL },
	{ "text/html x/y", NULL, NULL },
	{ "html text/x\ty", NULL, NULL },
};

START_TEST(test_rules)
{
	struct mime_rules v = { NULL, 0 };
	const char *why = NULL;
	bool ok = mime_rules_add(&v, &arena, str_of(rules[_i].rule), &why);

	ck_assert_int_eq(ok, rules[_i].type != NULL);
	if (ok)
		unit_str_eq(mime_type_of(mime, &v, str_of(rules[_i].path)), rules[_i].type);
	else
		ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(test_load)
{
	ck_assert_int_eq(mime_load(mime, "/nonexistent/mime.types"), -1);
	ck_assert_int_eq(mime_load(mime, "/dev/null"), 0);
	ck_assert_int_eq(mime_load(mime, "/"), -1);
}
END_TEST

Suite *
suite_mime(void)
{
	Suite *s = suite_create("mime");
	TCase *tc = tcase_create("mime");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_builtin, 0, UNIT_COUNT(builtin));
	tcase_add_loop_test(tc, test_rules, 0, UNIT_COUNT(rules));
	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_load);
	suite_add_tcase(s, tc);
	return s;
}

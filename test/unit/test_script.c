/* Which script a path means, with files that are there, and without looking at files. */
#include <stdio.h>
#include "modules/gateway/codec/script.h"
#include "modules/gateway/gateway.h"
#include "test/unit/filetree.h"
#include "test/unit/unit.h"

Suite *suite_script(void);

static const char *root;

static void
setup(void)
{
	tree_make();
	root = tree_path();
	tree_text("index.php", "x");
	tree_text("a.php", "x");
	tree_text("style.css", "x");
	tree_text(".php", "x");
	tree_text("x.PHP", "x");
	tree_text("up/x.jpg", "x");
	tree_text("dir.php/b.php", "x");
	tree_text("dir.php/c.txt", "x");
	tree_text("blog/index.php", "x");
	tree_text("docs/index.html", "x");
	tree_text("cgi/tool", "x");
	tree_text("old/x.php.bak", "x");
	tree_text("b%2Fc.php", "x");
}

static void
teardown(void)
{
	tree_remove();
}

static struct str php[] = { STR_INIT(".php") };
static struct str php2[] = { STR_INIT(".php5"), STR_INIT(".php") };
static struct str any[] = { STR_INIT("") };
static struct str index_php[] = { STR_INIT("index.php") };
static struct str indexes[] = { STR_INIT("index.html"), STR_INIT("index.php") };
#define STRS(v)                                                                                    \
	{                                                                                          \
		(v), UNIT_COUNT(v)                                                                 \
	}

/* Configurations that rows name. */
enum { PHP, PHP_FRONT, PHP_BLIND, FRONT_BLIND, TWO, CGI, WHOLE, PREFIX, TOP, BARE, INDEXES };
static const struct gateway_conf confs[] = {
	[PHP] = { .split = STRS(php), .index = STRS(index_php), .check = true },
	[PHP_FRONT] = { .split = STRS(php),
	    .index = STRS(index_php),
	    .front = STR_INIT("/index.php"),
	    .check = true },
	[PHP_BLIND] = { .split = STRS(php), .index = STRS(index_php) },
	[FRONT_BLIND] = { .split = STRS(php),
	    .index = STRS(index_php),
	    .front = STR_INIT("/front.php") },
	[TWO] = { .split = STRS(php2), .check = true },
	[CGI] = { .split = STRS(any), .check = true },
	[WHOLE] = { .check = true, .front = STR_INIT("/missing.php") },
	[PREFIX] = { .prefix = STR_INIT("/app/") },
	[TOP] = { .prefix = STR_INIT("/") },
	[BARE] = { .check = true },
	[INDEXES] = { .split = STRS(php), .index = STRS(indexes), .check = true },
};

static const struct row {
	int conf;
	const char *path;
	const char *want; /* "SCRIPT_NAME PATH_INFO", "404", "none" */
} rows[] = {
	{ PHP, "/a.php", "/a.php " },
	{ PHP, "/a.php/", "/a.php /" },
	{ PHP, "/a.php/x/y.html", "/a.php /x/y.html" },
	{ PHP, "/a.php/x.php", "/a.php /x.php" },
	{ PHP, "/b.php", "404" },
	{ PHP, "/b.php/a.php", "404" },
	{ PHP, "/", "/index.php " },
	{ PHP, "/blog/", "/blog/index.php " },
	{ PHP, "/blog", "none" },
	{ PHP, "/up/", "none" },
	{ PHP, "/style.css", "none" },
	{ PHP, "/none.css", "none" },
	{ PHP, "/x.PHP", "none" },
	{ PHP, "/old/x.php.bak", "none" },
	{ PHP, "/a.phpx", "none" },
	{ PHP, "/.php", "none" },
	{ PHP, "/b%2Fc.php", "/b%2Fc.php " },
	/* never what stands before: no such file is no script */
	{ PHP, "/up/x.jpg/y.php", "404" },
	{ PHP, "/up/x.jpg/.php", "none" },
	{ PHP, "/up/x.jpg/y.php/z.php", "404" },
	/* a directory with the suffix */
	{ PHP, "/dir.php", "404" },
	{ PHP, "/dir.php/b.php/x", "/dir.php/b.php /x" },
	{ PHP, "/dir.php/c.txt", "404" },
	{ PHP, "/docs/", "none" },
	{ INDEXES, "/docs/", "none" },
	{ INDEXES, "/blog/", "/blog/index.php " },
	{ PHP, "*", "404" },
	/* a front controller */
	{ PHP_FRONT, "/", "/index.php " },
	{ PHP_FRONT, "/a.php/x", "/a.php /x" },
	{ PHP_FRONT, "/some/page", "/index.php " },
	{ PHP_FRONT, "/b.php", "/index.php " },
	{ PHP_FRONT, "/up/x.jpg/y.php", "/index.php " },
	{ PHP_FRONT, "/style.css", "none" },
	{ PHP_FRONT, "/blog", "none" },
	{ PHP_FRONT, "/up/", "/index.php " },
	{ WHOLE, "/none", "404" },
	/* no look at files */
	{ PHP_BLIND, "/b.php/x", "/b.php /x" },
	{ PHP_BLIND, "/b/", "/b/index.php " },
	{ PHP_BLIND, "/b", "none" },
	{ PHP_BLIND, "/up/x.jpg/y.php", "/up/x.jpg/y.php " },
	{ FRONT_BLIND, "/b", "/front.php " },
	{ FRONT_BLIND, "/b/", "/front.php " },
	{ FRONT_BLIND, "/b.php/", "/b.php /" },
	/* other ways */
	{ TWO, "/x.php5/a.php", "404" },
	{ TWO, "/a.php/x.php5", "/a.php /x.php5" },
	{ CGI, "/cgi/tool/x/y", "/cgi/tool /x/y" },
	{ CGI, "/cgi/none", "404" },
	{ CGI, "/cgi/", "404" },
	{ BARE, "/cgi/tool", "/cgi/tool " },
	{ BARE, "/cgi/tool/x", "404" },
	{ BARE, "/cgi", "404" },
	{ PREFIX, "/app", "/app " },
	{ PREFIX, "/app/", "/app /" },
	{ PREFIX, "/app/x/y", "/app /x/y" },
	{ PREFIX, "/apple", "/apple " },
	{ TOP, "/", " /" },
	{ TOP, "/x", " /x" },
};

/* The outcome as rows have it. */
static void
find(const struct gateway_conf *c, struct str path, char *text, size_t room)
{
	struct request r = { .path = path };
	struct script s;
	const char *why;
	int status;

	arena_init(&r.arena, NULL, 0);
	status = script_find(&s, &r, c, &why);
	if (status == 0) {
		snprintf(text, room, "%.*s %.*s", STR_FMT(s.name), STR_FMT(s.path_info));
		ck_assert(str_eq(r.path_info, s.path_info));
		if (s.filename.n > 0) {
			ck_assert(str_has_prefix(s.filename, c->root));
			ck_assert(str_has_suffix(s.filename, s.name));
			ck_assert_uint_eq(s.filename.n, c->root.n + s.name.n);
		}
		ck_assert_int_eq(s.filename.n > 0, c->root.n > 0 && s.name.n > 0);
	} else {
		snprintf(text, room, status == SCRIPT_NONE ? "none" : "%d", status);
		ck_assert(status == SCRIPT_NONE || why != NULL);
	}
	arena_fini(&r.arena);
}

START_TEST(of_path)
{
	const struct row *row = &rows[_i];
	struct gateway_conf c = confs[row->conf];
	char text[200];

	c.root = str_of(root);
	find(&c, str_of(row->path), text, sizeof(text));
	ck_assert_msg(
	    strcmp(text, row->want) == 0, "%s: [%s], not [%s]", row->path, text, row->want);
}
END_TEST

/* Without a root there is nothing to look at and no SCRIPT_FILENAME. */
START_TEST(rootless)
{
	char text[200];

	find(&confs[PHP], STR("/b.php/x"), text, sizeof(text));
	ck_assert_str_eq(text, "/b.php /x");
}
END_TEST

/* What can never be in a normalised path ends the search all the same. */
START_TEST(unsafe)
{
	static const struct str paths[] = { STR_INIT("/a\0.php"), STR_INIT("/../a.php"),
		STR_INIT("/up/../a.php"), STR_INIT("a.php"), STR_INIT(""), STR_INIT("/up/..") };
	struct gateway_conf c = confs[PHP];
	char text[200];

	c.root = str_of(root);
	find(&c, paths[_i], text, sizeof(text));
	ck_assert_str_eq(text, "404");
}
END_TEST

/* A root with a slash at its end, and "/" itself. */
START_TEST(root_slash)
{
	struct gateway_conf c = confs[PHP_BLIND];
	struct request r = { .path = STR("/a.php/x") };
	struct script s;
	const char *why;

	arena_init(&r.arena, NULL, 0);
	c.root = STR("/srv/");
	ck_assert_int_eq(script_find(&s, &r, &c, &why), 0);
	unit_str_eq(s.filename, "/srv/a.php");
	c.root = STR("/");
	ck_assert_int_eq(script_find(&s, &r, &c, &why), 0);
	unit_str_eq(s.filename, "/a.php");
	arena_fini(&r.arena);
}
END_TEST

Suite *
suite_script(void)
{
	Suite *s = suite_create("script");
	TCase *c = tcase_create("script");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, of_path, 0, UNIT_COUNT(rows));
	tcase_add_test(c, rootless);
	tcase_add_loop_test(c, unsafe, 0, 6);
	tcase_add_test(c, root_slash);
	suite_add_tcase(s, c);
	return s;
}

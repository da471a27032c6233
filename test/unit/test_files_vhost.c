#include <stdio.h>
#include "modules/files/vhost.h"
#include "test/unit/filetree.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_files_vhost(void);

static const struct {
	const char *host;
	bool safe;
} safe_rows[] = {
	{ "example.org", true },
	{ "a", true },
	{ "xn--bcher-kva.example", true },
	{ "192.0.2.1", true },
	{ "", false },
	{ ".", false },
	{ "..", false },
	{ "a..b", false },
	{ ".a", false },
	{ "-a", false },
	{ "a.-b", false },
	{ "a/b", false },
	{ "a_b", false },
	{ "A", false },
	{ "[::1]", false },
	{ "a%2fb", false },
	{ "$host", false },
};

START_TEST(safe)
{
	ck_assert_int_eq(files_vhost_is_safe(str_of(safe_rows[_i].host)), safe_rows[_i].safe);
}
END_TEST

static struct loopback *lo;

static void
setup(void)
{
	char conf[512];

	tree_make();
	tree_text("a.test/htdocs/x.txt", "from a");
	tree_text("b.test/htdocs/x.txt", "from b");
	tree_text("file.test", "not a directory");
	tree_text("secret/plain/x.txt", "plain");
	snprintf(conf, sizeof(conf),
	    "root = \"%s/$host/htdocs\"; routes = ( { path = \"/plain\"; root = \"%s/secret\"; } "
	    ");",
	    tree_path(), tree_path());
	lo = rows_open(NULL, conf);
}

static void
teardown(void)
{
	lo_close(lo);
	tree_remove();
}

static const struct row host_rows[] = {
	{ "a", .host = "a.test", .target = "/x.txt", .status = 200, .body = "from a" },
	{ "b", .host = "b.test", .target = "/x.txt", .status = 200, .body = "from b" },
	{ "none", .host = "c.test", .target = "/x.txt", .status = 404 },
	{ "no directory", .host = "file.test", .target = "/x.txt", .status = 404 },
	{ "empty", .host = "", .target = "/x.txt", .status = 404 },
	{ "up", .host = "..", .target = "/x.txt", .status = 404 },
	{ "slash", .host = "a.test/htdocs/../../a.test", .target = "/x.txt", .status = 404 },
	{ "other route", .host = "c.test", .target = "/plain/x.txt", .status = 200,
	    .body = "plain" },
};

/* In both orders, so that neither host is served the other one's file from the cache. */
START_TEST(rows)
{
	rows_send(lo, &host_rows[_i]);
	rows_send(lo, &host_rows[1]);
	rows_send(lo, &host_rows[0]);
	rows_send(lo, &host_rows[_i]);
}
END_TEST

/* A directory made while the server runs is served at once. */
START_TEST(new_host)
{
	struct row row = { "new", .host = "c.test", .target = "/x.txt", .status = 404 };

	rows_send(lo, &row);
	tree_text("c.test/htdocs/x.txt", "from c");
	row.status = 200;
	row.body = "from c";
	rows_send(lo, &row);
}
END_TEST

START_TEST(refused)
{
	rows_refuse("root = \"/srv/$hots\";", true, "$hots", "\"$host\"");
	rows_refuse("root = \"/srv/$path\";", true, "only $host", NULL);
}
END_TEST

Suite *
suite_files_vhost(void)
{
	Suite *s = suite_create("files_vhost");
	TCase *t = tcase_create("files_vhost");

	tcase_add_loop_test(t, safe, 0, UNIT_COUNT(safe_rows));
	tcase_add_test(t, refused);
	suite_add_tcase(s, t);
	t = tcase_create("hosts");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(host_rows));
	tcase_add_test(t, new_host);
	suite_add_tcase(s, t);
	return s;
}

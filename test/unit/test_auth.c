#include <stdio.h>
#include <stdlib.h>
#include "test/unit/filetree.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_auth(void);

/* ann:secret (bcrypt, slow: 70 ms), bob:secret (apr1), cat:secret ({SHA}), dan:"" (apr1),
 * eve:secret (yescrypt)
 */
static const char users[] = "ann:$2y$10$KBCwKxOzLha2MUDgW0PjXe5iC0KgerkTIWLGUoONajjj98vdFiyt2\n"
			    "bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n"
			    "cat:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"
			    "dan:$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.\n"
			    "eve:$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/HAmA1BpMnBsYHMWB4NZN4$"
			    "HDtJcZhEDN4lYyPsFs6qifx7sabk8w1.1PAkGR8ixD6\n";

#define ANN "Authorization: Basic YW5uOnNlY3JldA=="

static struct loopback *lo;

/* Another server: more members of "auth", and more settings of its site. */
static void
open_with(const char *auth, const char *more)
{
	char conf[1024];

	if (lo)
		lo_close(lo);
	snprintf(conf, sizeof(conf),
	    "headers: { set = \"X: $user\"; }; respond = \"in\"; "
	    "auth: { realm = \"The \\\"Team\\\"\"; users = \"%s/users\"; %s }; %s",
	    tree_path(), auth, more);
	lo = rows_open(NULL, conf);
}

static void
setup(void)
{
	tree_make();
	tree_text("users", users);
	open_with("", "routes = ( { path = \"/free\"; auth = false; }, "
		      "{ path = \"/some\"; auth: { require = [ \"bob\", \"zoe\" ]; }; }, "
		      "{ path = \"/go\"; rewrite: { match = \"^/go\"; to = \"/some\"; }; } );");
}

static void
teardown(void)
{
	lo_close(lo);
	lo = NULL;
	tree_remove();
}

static const struct row auth_rows[] = {
	{ "none", .status = 401, .name = "WWW-Authenticate",
	    .value = "Basic realm=\"The \\\"Team\\\"\", charset=\"UTF-8\"" },
	{ "ann:secret", .fields = { ANN }, .status = 200, .name = "X", .value = "ann",
	    .body = "in" },
	{ "case", .fields = { "Authorization: bASIC YW5uOnNlY3JldA==" }, .status = 200 },
	{ "spaces", .fields = { "Authorization: Basic   YW5uOnNlY3JldA==" }, .status = 200 },
	{ "no padding", .fields = { "Authorization: Basic YW5uOnNlY3JldA" }, .status = 200 },
	{ "ann:Secret", .fields = { "Authorization: Basic YW5uOlNlY3JldA==" }, .status = 401,
	    .name = "WWW-Authenticate",
	    .value = "Basic realm=\"The \\\"Team\\\"\", charset=\"UTF-8\"" },
	{ "ann:secret2", .fields = { "Authorization: Basic YW5uOnNlY3JldDI=" }, .status = 401 },
	{ "ann:", .fields = { "Authorization: Basic YW5uOg==" }, .status = 401 },
	{ "bob:secret", .fields = { "Authorization: Basic Ym9iOnNlY3JldA==" }, .status = 200,
	    .name = "X", .value = "bob" },
	{ "cat:secret", .fields = { "Authorization: Basic Y2F0OnNlY3JldA==" }, .status = 200 },
	{ "dan:", .fields = { "Authorization: Basic ZGFuOg==" }, .status = 200 },
	{ "eve:secret", .fields = { "Authorization: Basic ZXZlOnNlY3JldA==" }, .status = 200 },
	{ "zoe:secret", .fields = { "Authorization: Basic em9lOnNlY3JldA==" }, .status = 401 },
	/* What is no credentials at all. */
	{ "ann", .fields = { "Authorization: Basic YW5u" }, .status = 401 },
	{ ":secret", .fields = { "Authorization: Basic OnNlY3JldA==" }, .status = 401 },
	{ "empty", .fields = { "Authorization: Basic " }, .status = 401 },
	{ "scheme", .fields = { "Authorization: Bearer YW5uOnNlY3JldA==" }, .status = 401 },
	{ "no scheme", .fields = { "Authorization: YW5uOnNlY3JldA==" }, .status = 401 },
	{ "not base64", .fields = { "Authorization: Basic YW5u!nNlY3JldA==" }, .status = 401 },
	{ "cut base64", .fields = { "Authorization: Basic YW5uOnNlY3JldA==A" }, .status = 401 },
	{ "ann:secret\\0x", .fields = { "Authorization: Basic YW5uOnNlY3JldAB4" }, .status = 401 },
	{ "an\\nn:secret", .fields = { "Authorization: Basic YW4Kbjpz" }, .status = 401 },
	/* Who may where. */
	{ "free", .target = "/free/x", .status = 200, .body = "in" },
	{ "require ann", .target = "/some/x", .fields = { ANN }, .status = 403,
	    .name = "WWW-Authenticate" },
	{ "require bob", .target = "/some/x", .fields = { "Authorization: Basic Ym9iOnNlY3JldA==" },
	    .status = 200 },
	{ "rewritten", .target = "/go", .fields = { ANN }, .status = 403 },
	{ "rewritten, nobody", .target = "/go", .status = 401 },
};

/* Twice: the second time what was right comes from the cache. */
START_TEST(rows)
{
	rows_send(lo, &auth_rows[_i]);
	rows_send(lo, &auth_rows[_i]);
}
END_TEST

/* The status when it is answered at once, that is, in less time than it takes to verify ann's
   password; 0 when not. */
static int
at_once(const char *field)
{
	const char *fields[] = { field, NULL };
	struct lo_request q = { .target = "/", .fields = fields, .max_turns = 1 };

	return lo_send(lo, &q)->status;
}

static void
wait_for(const char *field, int status)
{
	struct row row = { "wait", .fields = { field }, .status = status };

	rows_send(lo, &row);
}

START_TEST(remembered)
{
	wait_for(ANN, 200);
	ck_assert_int_eq(at_once(ANN), 200);
	ck_assert_int_ne(at_once("Authorization: Basic YW5uOlNlY3JldA=="), 401);
}
END_TEST

START_TEST(not_remembered)
{
	open_with("cache = \"0s\";", "");
	wait_for(ANN, 200);
	ck_assert_int_ne(at_once(ANN), 200);
	lo_turns(lo, 20, 1);
	ck_assert_int_ne(at_once(ANN), 200);
}
END_TEST

/* The client leaves while its password is verified: the attempt goes on by itself, and nothing of
   the request is touched. */
START_TEST(left)
{
	for (int i = 0; i < 5; i++)
		ck_assert_int_ne(at_once(ANN), 200);
	for (int i = 0; i < 500 && at_once(ANN) != 200; i++)
		lo_turns(lo, 1, 2);
	ck_assert_int_eq(at_once(ANN), 200);
}
END_TEST

/* The worker ends while passwords are verified. */
START_TEST(stopped)
{
	ck_assert_int_ne(at_once(ANN), 200);
}
END_TEST

/* More attempts than may wait: the others are told to come again, and none is lost. */
START_TEST(crowd)
{
	char field[64];
	int told = 0;

	tree_text("users", "ann:$2y$09$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.\n");
	open_with("", "");
	for (int i = 0; i < 40; i++) {
		/* "ann:" and two characters that differ */
		snprintf(field, sizeof(field), "Authorization: Basic YW5uOn%c%c", 'A' + i % 26,
		    'g' + i / 26);
		told += at_once(field) == 503;
	}
	ck_assert_int_ge(told, 1);
	ck_assert_int_le(told, 8);
	lo_turns(lo, 1, 0);
}
END_TEST

/* Files that are wrong are errors of the configuration. */
START_TEST(refused)
{
	static const struct {
		const char *file, *conf, *text, *more;
		bool is_error;
	} wrong[] = {
		{ "ann:secret\n", "auth: { users = \"%s/f\"; };", "/f:1:", "in the clear", true },
		{ "# x\n\nann\n", "auth: { users = \"%s/f\"; };", "/f:3:", "no \":\"", true },
		{ "", "auth: { users = \"%s/f\"; };", "no users", NULL, false },
		{ "", "auth: { users = \"%s/none\"; };", "No such file", "htpasswd -cB", true },
		{ "", "auth: { users = \"%s\"; };", "Is a directory", NULL, true },
		{ "", "auth: { realm = \"x\"; }; root = \"%s\";", "auth.users is missing", NULL,
		    true },
		{ users, "auth: { users = \"%s/f\"; realm = \"a\\nb\"; };", "control characters",
		    NULL, true },
	};
	char conf[512];

	tree_text("f", wrong[_i].file);
	snprintf(conf, sizeof(conf), wrong[_i].conf, tree_path());
	rows_refuse(conf, wrong[_i].is_error, wrong[_i].text, wrong[_i].more);
}
END_TEST

/* A page of the site for 401 is shown, and is a 401. */
START_TEST(page)
{
	struct row row = { "page", .target = "/x", .status = 401, .name = "WWW-Authenticate",
		.value = "Basic realm=\"The \\\"Team\\\"\", charset=\"UTF-8\"", .body = "who?" };

	open_with("", "error_pages = ( { status = 401; path = \"/401\"; } ); "
		      "routes = ( { path = \"/401\"; respond = \"who?\"; } );");

	rows_send(lo, &row);
}
END_TEST

Suite *
suite_auth(void)
{
	Suite *s = suite_create("auth");
	TCase *t = tcase_create("auth");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(auth_rows));
	tcase_add_test(t, remembered);
	tcase_add_test(t, not_remembered);
	tcase_add_test(t, left);
	tcase_add_test(t, stopped);
	tcase_add_test(t, crowd);
	tcase_add_loop_test(t, refused, 0, 7);
	tcase_add_test(t, page);
	suite_add_tcase(s, t);
	return s;
}

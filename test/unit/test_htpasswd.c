#include <stdio.h>
#include "modules/auth/htpasswd.h"
#include "test/unit/unit.h"

Suite *suite_htpasswd(void);

/* Made by openssl passwd, by libcrypt, and by hand. */
static const struct {
	const char *hash, *password;
	bool ok;
} verify_rows[] = {
	{ "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "secret", true },
	{ "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "Secret", false },
	{ "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ", "secret", false },
	{ "$apr1$abcdefgh", "secret", false },
	{ "$apr1$", "secret", false },
	{ "$apr1$$", "", false },
	{ "$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.", "", true },
	{ "$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ.", "a", false },
	{ "$apr1$xyz12345$CSc3HMZMToPZBLfV27pvO1",
	    "a much longer password than sixteen octets, really", true },
	{ "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret", true },
	{ "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secreT", false },
	{ "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ", "secret", false },
	{ "{SHA}", "", false },
	{ "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN."
	  "Pq.H91p5hVO1",
	    "secret", true },
	{ "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN."
	  "Pq.H91p5hVO1",
	    "public", false },
	{ "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA", "secret", true },
	{ "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "secret", true },
	{ "$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret", true },
	{ "$2y$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret ", false },
	{ "$2b$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret", true },
	{ "$2b$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret ", false },
	{ "$2a$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret", true },
	{ "$2a$04$KBCwKxOzLha2MUDgW0PjXe/hE/UCO9qF89dOydoHjSwxcHev5LRn.", "secret ", false },
	{ "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/"
	  "HAmA1BpMnBsYHMWB4NZN4$HDtJcZhEDN4lYyPsFs6qifx7sabk8w1.1PAkGR8ixD6",
	    "secret", true },
	{ "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/"
	  "HAmA1BpMnBsYHMWB4NZN4$HDtJcZhEDN4lYyPsFs6qifx7sabk8w1.1PAkGR8ixD6",
	    "secret ", false },
	{ "$2y$", "secret", false },
	{ "$6$", "", false },
	{ "$y$", "", false },
	{ "secret", "secret", false },        /* in the clear */
	{ "rqXexS6ZhobKA", "secret", false }, /* DES */
	{ "*", "secret", false },
	{ "", "", false },
};

START_TEST(verify)
{
	bool ok = htpasswd_verify(verify_rows[_i].hash, verify_rows[_i].password);

	ck_assert_msg(ok == verify_rows[_i].ok, "%s with \"%s\": %d", verify_rows[_i].hash,
	    verify_rows[_i].password, ok);
}
END_TEST

struct complaints {
	int n, line;
	const char *what;
};

static void
note(void *arg, int line, const char *what)
{
	struct complaints *c = arg;

	c->n++;
	c->line = line;
	c->what = what;
}

static const struct {
	const char *text;
	size_t count;
	int complaints, line;
	const char *what;
} parse_rows[] = {
	{ "", 0, 0, 0, NULL },
	{ "\n\n  \n# nobody:x\n", 0, 0, 0, NULL },
	{ "ann:{SHA}a", 1, 0, 0, NULL },
	{ "ann:{SHA}a\nbob:{SHA}b\n", 2, 0, 0, NULL },
	{ "ann:{SHA}a\r\nbob:{SHA}b\r\n", 2, 0, 0, NULL },
	{ "ann:{SHA}a:Ann:notes\n", 1, 0, 0, NULL },
	{ "ann\nbob:{SHA}b\n", 1, 1, 1, "no \":\"" },
	{ "bob:{SHA}b\nann:secret\n", 1, 1, 2, "in the clear" },
	{ "ann:rqXexS6ZhobKA\n", 0, 1, 1, "DES" },
	{ ":{SHA}b\n", 0, 1, 1, "a name has" },
	{ "ann:\n", 0, 1, 1, "no password hash" },
	{ "ann:$2y$15$x\n", 1, 0, 0, NULL },
	{ "ann:$2y$16$x\n", 0, 1, 1, "beyond 15" },
	{ "ann:$2y$\n", 1, 0, 0, NULL },
	{ "a\nb\nc\n", 0, 3, 3, "no \":\"" },
};

START_TEST(parse)
{
	struct complaints c = { 0 };
	struct htpasswd *h = htpasswd_parse(str_of(parse_rows[_i].text), note, &c);

	ck_assert_uint_eq(htpasswd_count(h), parse_rows[_i].count);
	ck_assert_int_eq(c.n, parse_rows[_i].complaints);
	ck_assert_int_eq(c.line, parse_rows[_i].line);
	if (parse_rows[_i].what)
		ck_assert_msg(strstr(c.what, parse_rows[_i].what) != NULL, "%s", c.what);
	htpasswd_free(h);
}
END_TEST

START_TEST(too_long)
{
	struct complaints c = { 0 };
	char text[2048];
	struct htpasswd *h;

	snprintf(text, sizeof(text),
	    "%0256d:{SHA}x\n%0255d:{SHA}x\nann:{SHA}%0251d\nbob:{SHA}%0250d", 1, 2, 3, 4);
	h = htpasswd_parse(str_of(text), note, &c);
	ck_assert_uint_eq(htpasswd_count(h), 2);
	ck_assert_int_eq(c.n, 2);
	ck_assert_ptr_nonnull(htpasswd_find(h, STR("bob")));
	ck_assert_ptr_null(htpasswd_find(h, STR("ann")));
	htpasswd_free(h);
}
END_TEST

START_TEST(find)
{
	static const char text[] = "bob:{SHA}1\nann:{SHA}2\nbob:{SHA}3\nbobby:{SHA}4\nBob:{SHA}5\n"
				   "zoe:{SHA}6\nbo:{SHA}7\nbob:{SHA}8\n";
	struct complaints c = { 0 };
	struct htpasswd *h = htpasswd_parse(str_of(text), note, &c);

	ck_assert_str_eq(htpasswd_find(h, STR("ann")), "{SHA}2");
	ck_assert_str_eq(htpasswd_find(h, STR("bob")), "{SHA}1"); /* the first line decides */
	ck_assert_str_eq(htpasswd_find(h, STR("bobby")), "{SHA}4");
	ck_assert_str_eq(htpasswd_find(h, STR("Bob")), "{SHA}5");
	ck_assert_str_eq(htpasswd_find(h, STR("zoe")), "{SHA}6");
	ck_assert_str_eq(htpasswd_find(h, STR("bo")), "{SHA}7");
	ck_assert_ptr_null(htpasswd_find(h, STR("b")));
	ck_assert_ptr_null(htpasswd_find(h, STR("")));
	ck_assert_ptr_null(htpasswd_find(h, STR("zoey")));
	ck_assert_ptr_null(htpasswd_find(h, STR("ann\0")));
	htpasswd_free(h);
}
END_TEST

/* The decoy is always the same one for a name, and always somebody's. */
START_TEST(decoy)
{
	static const char text[] = "ann:{SHA}1\nbob:{SHA}2\ncat:{SHA}3\n";
	struct complaints c = { 0 };
	struct htpasswd *h = htpasswd_parse(str_of(text), note, &c), *none;
	char name[32];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "nobody%d", i);
		ck_assert_ptr_null(htpasswd_find(h, str_of(name)));
		ck_assert_ptr_nonnull(htpasswd_decoy(h, str_of(name)));
		ck_assert_ptr_eq(htpasswd_decoy(h, str_of(name)), htpasswd_decoy(h, str_of(name)));
	}
	htpasswd_free(h);
	none = htpasswd_parse(STR(""), note, &c);
	ck_assert_ptr_null(htpasswd_decoy(none, STR("ann")));
	htpasswd_free(none);
}
END_TEST

Suite *
suite_htpasswd(void)
{
	Suite *s = suite_create("htpasswd");
	TCase *t = tcase_create("htpasswd");

	tcase_add_loop_test(t, verify, 0, UNIT_COUNT(verify_rows));
	tcase_add_loop_test(t, parse, 0, UNIT_COUNT(parse_rows));
	tcase_add_test(t, too_long);
	tcase_add_test(t, find);
	tcase_add_test(t, decoy);
	suite_add_tcase(s, t);
	return s;
}

#include <check.h>
#include "common/base/template.h"

Suite *suite_template(void);

static struct arena arena;

static void
setup(void)
{
	arena_init(&arena, NULL, 0);
}

static void
teardown(void)
{
	arena_fini(&arena);
}

static const struct str values[VAR_MAX] = {
	[VAR_HOST] = STR_INIT("example.org"),
	[VAR_PATH] = STR_INIT("/a b/\xc3\xa4?&=+#"),
	[VAR_RAW_PATH] = STR_INIT("/a%20b"),
	[VAR_QUERY] = STR_INIT("x=1&y=%20"),
	[VAR_URI] = STR_INIT("/a%20b?x=1"),
	[VAR_METHOD] = STR_INIT("GET"),
	[VAR_SCHEME] = STR_INIT("https"),
	[VAR_PORT] = STR_INIT("443"),
	[VAR_CLIENT] = STR_INIT("2001:db8::1"),
	[VAR_USER] = STR_INIT("evil\r\nSet-Cookie: a=b"),
	[VAR_STATUS] = STR_INIT("200"),
	[VAR_REQUEST_ID] = STR_INIT("00000000000000ff"),
	[VAR_WORKER] = STR_INIT("4711"),
};

static const struct str captures[10] = {
	STR_INIT("whole"),
	STR_INIT("one"),
	STR_INIT("t/w=o&3"),
	{ NULL, 0 },
	STR_INIT("\x7f\x01%2F"),
	STR_INIT("/\\evil\"< \xc3\xa4%"),
};

static struct str
value_get(void *ctx, enum template_var var)
{
	(void)ctx;
	return values[var];
}

static const struct {
	const char *source;
	enum template_form form;
	const char *want;
} expand_rows[] = {
	{ "", TEMPLATE_PLAIN, "" },
	{ "plain", TEMPLATE_PATH, "plain" },
	{ "https://$host$uri", TEMPLATE_PATH, "https://example.org/a%20b?x=1" },
	{ "$scheme://${host}x:$port", TEMPLATE_PATH, "https://example.orgx:443" },
	{ "$$5 and $$", TEMPLATE_PLAIN, "$5 and $" },
	{ "$$$$", TEMPLATE_PLAIN, "$$" },
	{ "$path", TEMPLATE_PLAIN, "/a b/\xc3\xa4?&=+#" },
	{ "$path", TEMPLATE_PATH, "/a%20b/%C3%A4%3F&=+%23" },
	{ "$path", TEMPLATE_ARGS, "/a%20b/%C3%A4%3F%26%3D%2B%23" },
	{ "$path", TEMPLATE_FIELD, "/a b/\xc3\xa4?&=+#" },
	{ "$raw_path", TEMPLATE_PATH, "/a%20b" },
	{ "a=$query", TEMPLATE_ARGS, "a=x=1&y=%20" },
	{ "$user", TEMPLATE_FIELD, "evil%0D%0ASet-Cookie: a=b" },
	{ "$user", TEMPLATE_PATH, "evil%0D%0ASet-Cookie:%20a=b" },
	{ "$client", TEMPLATE_FIELD, "2001:db8::1" },
	{ "$status $method $request_id", TEMPLATE_FIELD, "200 GET 00000000000000ff" },
	{ "$1", TEMPLATE_PATH, "one" },
	{ "$1st$2", TEMPLATE_PATH, "onestt/w=o&3" },
	{ "$2", TEMPLATE_ARGS, "t/w%3Do%263" },
	{ "[$3]", TEMPLATE_ARGS, "[]" },
	{ "$4", TEMPLATE_FIELD, "%7F%01%2F" },
	{ "$4", TEMPLATE_PATH, "%7F%01%2F" },
	{ "$5", TEMPLATE_PATH, "/%5Cevil%22%3C%20%C3%A4%25" },
	{ "$raw_path", TEMPLATE_PLAIN, "/a%20b" },
	{ "${1}0", TEMPLATE_PLAIN, "one0" },
	{ "100% of $host", TEMPLATE_ARGS, "100% of example.org" },
};

START_TEST(expand)
{
	const struct template_source src = { value_get, NULL, captures };
	const char *why = NULL, *hint = NULL;
	struct template t;
	struct str got;

	ck_assert_msg(template_compile(&t, &arena, str_of(expand_rows[_i].source), 9, &why, &hint),
	    "%s", why);
	got = template_expand(&t, &arena, expand_rows[_i].form, &src);
	ck_assert_msg(str_eq(got, str_of(expand_rows[_i].want)), "%s: \"%.*s\" not \"%s\"",
	    expand_rows[_i].source, STR_FMT(got), expand_rows[_i].want);
}
END_TEST

static const struct {
	const char *source;
	unsigned groups;
	const char *why, *hint; /* parts */
} refused_rows[] = {
	{ "$hots", 9, "unknown variable \"$hots\"", "\"$host\"" },
	{ "$Host", 9, "unknown variable \"$Host\"", "\"$host\"" },
	{ "$querry", 9, "\"$querry\"", "\"$query\"" },
	{ "$raw-path", 9, "\"$raw\"", "the variables are" },
	{ "$host_name", 9, "\"$host_name\"", "the variables are" },
	{ "$a_name_of_more_than_fifteen", 9, "unknown", "the variables are $host $path" },
	{ "costs 5$", 9, "without a name", "a dollar is $$" },
	{ "$ 5", 9, "without a name", "a dollar is $$" },
	{ "${host", 9, "without a name", "a dollar is $$" },
	{ "${}", 9, "without a name", "a dollar is $$" },
	{ "$0", 9, "unknown", "the variables" },
	{ "$1", 0, "nothing is captured", "parentheses" },
	{ "$1$2$3", 2, "\"$3\", but the expression captures only 2", "parentheses" },
};

START_TEST(refused)
{
	const char *why = NULL, *hint = NULL;
	struct template t;

	ck_assert(!template_compile(
	    &t, &arena, str_of(refused_rows[_i].source), refused_rows[_i].groups, &why, &hint));
	ck_assert_msg(strstr(why, refused_rows[_i].why) != NULL, "%s", why);
	ck_assert_msg(strstr(hint, refused_rows[_i].hint) != NULL, "%s", hint);
}
END_TEST

/* What varies is known, so that a caller can prepare once what does not. */
START_TEST(constant)
{
	const char *why, *hint;
	struct template t;

	ck_assert(template_compile(&t, &arena, STR("a$$b"), 0, &why, &hint));
	ck_assert(template_is_constant(&t));
	ck_assert(template_compile(&t, &arena, STR("a$host"), 0, &why, &hint));
	ck_assert(!template_is_constant(&t));
	ck_assert_uint_eq(t.vars, 1u << VAR_HOST);
	ck_assert(template_compile(&t, &arena, STR("$2$1"), 2, &why, &hint));
	ck_assert(!template_is_constant(&t));
	ck_assert_uint_eq(t.groups, 2);
}
END_TEST

/* No value at all gets a control character into a field or a URL. */
START_TEST(injection)
{
	const enum template_form forms[] = { TEMPLATE_FIELD, TEMPLATE_PATH, TEMPLATE_ARGS };
	char all[256];
	struct str caps[2] = { STR("") };
	const struct template_source src = { value_get, NULL, caps };
	const char *why, *hint;
	struct template t;
	struct str got;

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	caps[1] = str_n(all, sizeof(all));
	ck_assert(template_compile(&t, &arena, STR("<$1>"), 1, &why, &hint));
	got = template_expand(&t, &arena, forms[_i], &src);
	ck_assert_uint_gt(got.n, 258);
	for (size_t i = 0; i < got.n; i++) {
		unsigned char c = (unsigned char)got.p[i];

		ck_assert_msg(c >= ' ' && c != 0x7f, "octet %u", c);
		ck_assert(forms[_i] == TEMPLATE_FIELD || (c > ' ' && c < 0x7f));
	}
}
END_TEST

Suite *
suite_template(void)
{
	Suite *s = suite_create("template");
	TCase *t = tcase_create("template");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, expand, 0, sizeof(expand_rows) / sizeof(*expand_rows));
	tcase_add_loop_test(t, refused, 0, sizeof(refused_rows) / sizeof(*refused_rows));
	tcase_add_test(t, constant);
	tcase_add_loop_test(t, injection, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

/* What stands in X-Sendfile and its like. */
#include "modules/gateway/codec/sendcmd.h"
#include "test/unit/unit.h"

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

/* path NULL: refused */
static const struct path_row {
	const char *value, *raw, *decoded;
} path_rows[] = {
	{ "/srv/a", "/srv/a", "/srv/a" },
	{ "/srv//a", "/srv/a", "/srv/a" },
	{ "/./srv/./a", "/srv/a", "/srv/a" },
	{ "/srv/a/", "/srv/a/", "/srv/a/" },
	{ "/srv/a/.", "/srv/a/", "/srv/a/" },
	{ "/", "/", "/" },
	{ "//", "/", "/" },
	{ ".", "", "" },
	{ "./", "", "" },
	{ "a/b", "a/b", "a/b" },
	{ "./a", "a", "a" },
	{ "", NULL, NULL },
	{ "..", NULL, NULL },
	{ "/..", NULL, NULL },
	{ "/srv/../a", NULL, NULL },
	{ "/srv/..", NULL, NULL },
	{ "/srv/..a", "/srv/..a", "/srv/..a" },
	{ "/srv/...", "/srv/...", "/srv/..." },
	{ "/srv/%2e%2e/a", "/srv/%2e%2e/a", NULL },
	{ "/srv/..%2fa", "/srv/..%2fa", NULL },
	{ "/srv/%2E./a", "/srv/%2E./a", NULL },
	{ "/srv/a%00", "/srv/a%00", NULL },
	{ "/srv/a%0a", "/srv/a%0a", NULL },
	{ "/srv/a%7F", "/srv/a%7F", NULL },
	{ "/srv/a\tb", NULL, NULL },
	{ "%2fsrv/a", "%2fsrv/a", "/srv/a" },
	{ "/srv/a%20b", "/srv/a%20b", "/srv/a b" },
	{ "/srv/100%", "/srv/100%", "/srv/100%" },
	{ "/srv/100%2", "/srv/100%2", "/srv/100%2" },
	{ "/srv/100%zz", "/srv/100%zz", "/srv/100%zz" },
	{ "/srv/%252e%252e", "/srv/%252e%252e", "/srv/%2e%2e" },
	{ "/srv/\xc3\xa9", "/srv/\xc3\xa9", "/srv/\xc3\xa9" },
};

START_TEST(paths)
{
	const struct path_row *row = &path_rows[_i];

	for (int i = 0; i < 2; i++) {
		const char *want = i ? row->decoded : row->raw, *why;
		struct str path;

		why = sendcmd_path(&arena, str_of(row->value), i, &path);
		ck_assert_msg(!why == !!want, "\"%s\": %s", row->value, why ? why : "taken");
		if (want)
			unit_str_eq(path, want);
	}
}
END_TEST

START_TEST(long_paths)
{
	static char text[SENDCMD_PATH + 2];
	struct str path;

	memset(text, 'a', sizeof(text));
	text[0] = '/';
	ck_assert_ptr_null(sendcmd_path(&arena, str_n(text, SENDCMD_PATH), false, &path));
	ck_assert_ptr_nonnull(sendcmd_path(&arena, str_n(text, SENDCMD_PATH + 1), false, &path));
}
END_TEST

static const struct below_row {
	const char *path, *dir, *rel;
} below_rows[] = {
	{ "/srv/files/a", "/srv/files", "a" },
	{ "/srv/files/a", "/srv/files/", "a" },
	{ "/srv/files/a/b", "/srv", "files/a/b" },
	{ "/a", "/", "a" },
	{ "/srv/filesx", "/srv/files", "" },
	{ "/srv/files", "/srv/files", "" },
	{ "/srv/files/", "/srv/files", "" },
	{ "/srv/Files/a", "/srv/files", "" },
	{ "srv/files/a", "/srv/files", "" },
	{ "/", "/", "" },
	{ "", "/", "" },
};

START_TEST(below)
{
	const struct below_row *row = &below_rows[_i];

	unit_str_eq(sendcmd_below(str_of(row->path), str_of(row->dir)), row->rel);
}
END_TEST

START_TEST(parts)
{
	struct sendcmd_part v[SENDCMD_PARTS_MAX];
	unsigned n;

	ck_assert_ptr_null(sendcmd_parts(&arena, STR("/a%2cb 0-9 ,\t/c%20d   5-,/e 7-6"), v, &n));
	ck_assert_uint_eq(n, 3);
	unit_str_eq(v[0].path, "/a,b");
	ck_assert_int_eq(v[0].first, 0);
	ck_assert_int_eq(v[0].last, 9);
	unit_str_eq(v[1].path, "/c d");
	ck_assert_int_eq(v[1].last, -1);
	ck_assert_int_eq(v[2].first, 7);
	ck_assert_int_eq(v[2].last, 6);
}
END_TEST

static const char *const no_parts[] = { "", "/a", "/a ", "/a 0", "/a -", "/a -5", "/a 5-3", "/a x-",
	"/a 0-x", "/a 0-1-2", "/a 0 -1", "/a 0-1,", ",/a 0-1", "/a 0-1,,/b 0-", "/a +1-2",
	"/a 18446744073709551616-", "/a 9223372036854775807-", "/../a 0-", "/%2e%2e/a 0-",
	"/a%00 0-", " 0-1" };

START_TEST(not_parts)
{
	struct sendcmd_part v[SENDCMD_PARTS_MAX];
	unsigned n;

	ck_assert_msg(sendcmd_parts(&arena, str_of(no_parts[_i]), v, &n) != NULL, "\"%s\" is taken",
	    no_parts[_i]);
}
END_TEST

START_TEST(too_many_parts)
{
	struct sendcmd_part v[SENDCMD_PARTS_MAX];
	char text[(SENDCMD_PARTS_MAX + 1) * 6], *p = text;
	unsigned n;

	for (int i = 0; i <= SENDCMD_PARTS_MAX; i++)
		p = stpcpy(p, i ? ",/a 0-" : "/a 0-");
	ck_assert_ptr_nonnull(sendcmd_parts(&arena, str_of(text), v, &n));
	p[-6] = '\0';
	ck_assert_ptr_null(sendcmd_parts(&arena, str_of(text), v, &n));
	ck_assert_uint_eq(n, SENDCMD_PARTS_MAX);
}
END_TEST

static const struct target_row {
	const char *value, *path, *query;
} target_rows[] = {
	{ "/inside/a", "/inside/a", NULL },
	{ "/inside/a?x=%20&y= \"", "/inside/a", "x=%20&y=%20%22" },
	{ "/inside%2fa%20b%3f", "/inside/a b?", NULL },
	{ "//host/a", "/host/a", NULL },
	{ "/inside/#", "/inside/#", NULL },
	{ "/inside/../a", NULL, NULL },
	{ "/inside/%2e%2e/a", NULL, NULL },
	{ "/inside/a%00", NULL, NULL },
	{ "/inside/a%0d%0aX:", NULL, NULL },
	{ "@name", NULL, NULL },
	{ "http://host/inside/a", NULL, NULL },
	{ "%2Finside%2Fa", "/inside/a", NULL }, /* Symfony */
	{ "%2e%2e/inside", NULL, NULL },
	{ "inside/a", NULL, NULL },
	{ "", NULL, NULL },
	{ "/a?x\r", NULL, NULL },
};

START_TEST(targets)
{
	const struct target_row *row = &target_rows[_i];
	struct str path, query;
	const char *why = sendcmd_target(&arena, str_of(row->value), &path, &query);

	ck_assert_msg(!why == !!row->path, "\"%s\": %s", row->value, why ? why : "taken");
	if (why)
		return;
	unit_str_eq(path, row->path);
	ck_assert(!query.p == !row->query);
	if (row->query)
		unit_str_eq(query, row->query);
}
END_TEST

START_TEST(names)
{
	ck_assert_int_eq(sendcmd_of(STR("x-sendfile")), SENDCMD_FILE);
	ck_assert_int_eq(sendcmd_of(STR("X-Sendfile2")), SENDCMD_PARTS);
	ck_assert_int_eq(sendcmd_of(STR("X-ACCEL-REDIRECT")), SENDCMD_REDIRECT);
	ck_assert_int_eq(sendcmd_of(STR("X_Sendfile")), SENDCMD_NONE);
	ck_assert_int_eq(sendcmd_of(STR("X-Sendfile3")), SENDCMD_NONE);
	ck_assert_int_eq(sendcmd_of(STR("")), SENDCMD_NONE);
}
END_TEST

Suite *
suite_sendcmd(void)
{
	Suite *s = suite_create("sendcmd");
	TCase *tc = tcase_create("sendcmd");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, paths, 0, UNIT_COUNT(path_rows));
	tcase_add_test(tc, long_paths);
	tcase_add_loop_test(tc, below, 0, UNIT_COUNT(below_rows));
	tcase_add_test(tc, parts);
	tcase_add_loop_test(tc, not_parts, 0, UNIT_COUNT(no_parts));
	tcase_add_test(tc, too_many_parts);
	tcase_add_loop_test(tc, targets, 0, UNIT_COUNT(target_rows));
	tcase_add_test(tc, names);
	suite_add_tcase(s, tc);
	return s;
}

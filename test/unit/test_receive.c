/*
 * What clients of uploads say, as pure functions see it: values of fields, and names.
 */
#include "modules/receive/name.h"
#include "modules/receive/value.h"
#include "test/unit/unit.h"

static const struct {
	const char *text;
	int is; /* -1: none */
} bools[] = { { "?1", 1 }, { "?0", 0 }, { "?1;a", 1 }, { "?0;a=1;b=\"x;y\"", 0 }, { "?1; a=?0", 1 },
	{ "", -1 }, { "?", -1 }, { "?2", -1 }, { "1", -1 }, { "true", -1 }, { "?1 ", -1 },
	{ "?1,?0", -1 }, { "?1;", -1 }, { "?1;A", -1 }, { "?1;a=", -1 }, { "?1;a=\"x", -1 },
	{ "?1x", -1 } };

START_TEST(test_bool)
{
	bool v = false;
	bool is_good = receive_value_bool(str_of(bools[_i].text), &v);

	ck_assert_int_eq(is_good ? v : -1, bools[_i].is);
}
END_TEST

static const struct {
	const char *text;
	int64_t is; /* -1: none */
} ints[] = { { "0", 0 }, { "5", 5 }, { "007", 7 }, { "999999999999999", 999999999999999 },
	{ "12;a=b", 12 }, { "", -1 }, { "-1", -1 }, { "-0", -1 }, { "+1", -1 }, { "1.0", -1 },
	{ "1000000000000000", -1 }, { "99999999999999999999", -1 }, { "0x1", -1 }, { "1 ", -1 },
	{ "1, 2", -1 }, { "\"1\"", -1 }, { ";a", -1 } };

START_TEST(test_int)
{
	int64_t v = 0;
	bool is_good = receive_value_int(str_of(ints[_i].text), &v);

	ck_assert_int_eq(is_good ? v : -1, ints[_i].is);
}
END_TEST

static const struct {
	const char *value, *is;
	int rc;
} metadata[] = { { "filename YS50eHQ=", "a.txt", 1 }, { "filename YS50eHQ", "a.txt", 1 },
	{ "type eA==,filename YS50eHQ=", "a.txt", 1 }, { "filename", "", 1 },
	{ "filename ", "", 1 }, { "a,b,c", "", 0 }, { "Filename YQ==", "", 0 },
	{ "filename YQ==, type", "a", 1 }, { "filename YQ==,filename Yg==", "", -1 },
	{ "filename Y", "", -1 }, { "filename Y===", "", -1 }, { "filename Y!==", "", -1 },
	{ "filename YQ== x", "", -1 }, { ",", "", -1 }, { "a,,b", "", -1 }, { "x !", "", -1 } };

START_TEST(test_metadata)
{
	struct str out = STR("");
	struct arena a;

	arena_init(&a, NULL, 0);
	ck_assert_int_eq(
	    receive_value_metadata(str_of(metadata[_i].value), STR("filename"), &a, &out),
	    metadata[_i].rc);
	if (metadata[_i].rc > 0)
		ck_assert(str_eq(out, str_of(metadata[_i].is)));
	arena_fini(&a);
}
END_TEST

static const struct {
	const char *value, *is;
	int rc;
} dispositions[] = { { "attachment; filename=a.txt", "a.txt", 1 },
	{ "attachment; filename=\"a b\\\"c\"", "a b\"c", 1 }, { "attachment", "", 0 },
	{ "inline; filename=a; filename*=UTF-8''%C3%A4", "\xc3\xa4", 1 },
	{ "inline; filename*=utf-8'de'x; filename=a", "x", 1 }, { "inline; size=3", "", 0 },
	{ "inline; filename=\"a", "", -1 }, { "inline; filename*=UTF-8''%C", "", -1 },
	{ "inline; filename*=iso-8859-1''x", "", -1 }, { "inline; filename*=x", "", -1 },
	{ "inline; filename", "", -1 }, { "inline; filename=a; filename=b", "", -1 },
	{ "inline; filename=\"a\" x", "", -1 }, { "inline; filename=", "", -1 } };

START_TEST(test_disposition)
{
	struct str out = STR("");
	struct arena a;

	arena_init(&a, NULL, 0);
	ck_assert_int_eq(
	    receive_value_filename(str_of(dispositions[_i].value), &a, &out), dispositions[_i].rc);
	if (dispositions[_i].rc > 0)
		ck_assert(str_eq(out, str_of(dispositions[_i].is)));
	arena_fini(&a);
}
END_TEST

START_TEST(test_digest)
{
	static const char *const bad[] = { "", "sha1", "sha1 ", "sha1 AAAA", "crc32 AAAA",
		"SHA1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "sha1  qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"md5 qvTGHdzF6KLavt4PO0gs2a6pQ00=" };
	struct receive_digest d;

	ck_assert(receive_value_digest(STR("sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="), &d));
	ck_assert_uint_eq(d.n, 20);
	ck_assert_uint_eq(d.v[0], 0xaa);
	ck_assert_uint_eq(d.v[19], 0x4d);
	for (int i = 0; i < UNIT_COUNT(bad); i++)
		ck_assert(!receive_value_digest(str_of(bad[i]), &d));
}
END_TEST

static const struct {
	const char *name;
	bool is_good;
} names[] = { { "a", true }, { "a b.txt", true }, { "\xc3\xa4", true }, { "-rf", true },
	{ "a..b", true }, { "%2e", true }, { "100%", true }, { "", false }, { ".", false },
	{ "..", false }, { ".a", false }, { "a/b", false }, { "/a", false }, { "a/", false },
	{ "a\\b", false }, { "a%2fb", false }, { "a%2Fb", false }, { "a\nb", false },
	{ "a\x7f", false }, { "\xff", false }, { "\xc0\xaf", false },
	{ "\xe2\x80\xae"
	  "a",
	    false },
	{ " a", false }, { "a ", false }, { "a.", false }, { "\xc3", false } };

START_TEST(test_name)
{
	ck_assert_int_eq(!receive_name_refuse(str_of(names[_i].name)), names[_i].is_good);
}
END_TEST

START_TEST(test_name_long)
{
	char text[RECEIVE_NAME_MAX + 1];

	memset(text, 'a', sizeof(text));
	ck_assert_ptr_null(receive_name_refuse(str_n(text, RECEIVE_NAME_MAX)));
	ck_assert_ptr_nonnull(receive_name_refuse(str_n(text, RECEIVE_NAME_MAX + 1)));
	ck_assert_ptr_nonnull(receive_name_refuse(str_n("a\0b", 3)));
}
END_TEST

START_TEST(test_id)
{
	ck_assert(receive_name_is_id(STR("0123456789abcdef0123456789abcdef")));
	ck_assert(!receive_name_is_id(STR("0123456789abcdef0123456789abcdeF")));
	ck_assert(!receive_name_is_id(STR("0123456789abcdef0123456789abcde")));
	ck_assert(!receive_name_is_id(STR("0123456789abcdef0123456789abcdef0")));
	ck_assert(!receive_name_is_id(STR("../3456789abcdef0123456789abcdef0")));
}
END_TEST

Suite *
suite_receive(void)
{
	Suite *s = suite_create("receive");
	TCase *tc = tcase_create("receive");

	tcase_add_loop_test(tc, test_bool, 0, UNIT_COUNT(bools));
	tcase_add_loop_test(tc, test_int, 0, UNIT_COUNT(ints));
	tcase_add_loop_test(tc, test_metadata, 0, UNIT_COUNT(metadata));
	tcase_add_loop_test(tc, test_disposition, 0, UNIT_COUNT(dispositions));
	tcase_add_test(tc, test_digest);
	tcase_add_loop_test(tc, test_name, 0, UNIT_COUNT(names));
	tcase_add_test(tc, test_name_long);
	tcase_add_test(tc, test_id);
	suite_add_tcase(s, tc);
	return s;
}

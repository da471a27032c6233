#include "common/base/arena.h"
#include "common/base/http.h"
#include "test/unit/unit.h"

Suite *suite_http(void);

START_TEST(methods)
{
	for (unsigned m = 0; m < M_OTHER; m++) {
		struct str name = http_method_name(m);
		char lower[20];

		ck_assert(http_is_token(name));
		ck_assert_uint_eq(http_method_of(name), m);
		for (size_t i = 0; i < name.n; i++)
			lower[i] = (char)str_lower((unsigned char)name.p[i]);
		/* RFC 9110 9.1: case-sensitive */
		ck_assert_uint_eq(http_method_of(str_n(lower, name.n)), M_OTHER);
		ck_assert_uint_eq(http_method_of(str_n(name.p, name.n - 1)), M_OTHER);
		/* RFC 9110 9.2.2: what is safe is idempotent */
		ck_assert(!(http_method_flags(m) & METHOD_SAFE) ||
			  (http_method_flags(m) & METHOD_IDEMPOTENT));
	}
	ck_assert_uint_eq(http_method_of(STR("")), M_OTHER);
	ck_assert_uint_eq(http_method_of(STR("BREW")), M_OTHER);
	ck_assert_uint_eq(http_method_of(STR("GETT")), M_OTHER);
	ck_assert_uint_eq(http_method_name(M_OTHER).n, 0);
	ck_assert_int_eq(http_method_flags(M_GET), METHOD_SAFE | METHOD_IDEMPOTENT);
	ck_assert_int_eq(http_method_flags(M_PUT), METHOD_IDEMPOTENT);
	ck_assert_int_eq(http_method_flags(M_POST), 0);
	ck_assert_int_eq(http_method_flags(M_OTHER), 0);
}
END_TEST

/* Every name in every case; no name with one octet changed, added or missing. */
START_TEST(fields)
{
	struct str name = http_field_name(_i);
	char text[40];

	ck_assert_uint_le(name.n, sizeof(text) - 1);
	ck_assert_uint_eq(http_field_of(name), _i);
	for (size_t i = 0; i < name.n; i++)
		text[i] = (char)str_lower((unsigned char)name.p[i]);
	ck_assert_uint_eq(http_field_of(str_n(text, name.n)), _i);
	for (size_t i = 0; i < name.n; i++)
		text[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 32) : text[i];
	ck_assert_uint_eq(http_field_of(str_n(text, name.n)), _i);
	for (size_t i = 0; i < name.n; i++) {
		memcpy(text, name.p, name.n);
		for (unsigned c = 0; c < 256; c++) {
			struct str changed = str_n(text, name.n);

			text[i] = (char)c;
			if (!str_caseeq(changed, name))
				ck_assert_uint_ne(http_field_of(changed), _i);
		}
	}
	memcpy(text, name.p, name.n);
	text[name.n] = 's';
	ck_assert_uint_ne(http_field_of(str_n(text, name.n + 1)), _i);
	ck_assert_uint_ne(http_field_of(str_n(text, name.n - 1)), _i);
}
END_TEST

START_TEST(fields_other)
{
	ck_assert_uint_eq(http_field_of(STR("")), HF_OTHER);
	ck_assert_uint_eq(http_field_of(STR("X")), HF_OTHER);
	ck_assert_uint_eq(
	    http_field_of(STR("Content-Length-Of-A-Name-That-Is-Longer-Than-Any-Row")), HF_OTHER);
	ck_assert_uint_eq(http_field_of(STR("Content_Length")), HF_OTHER);
	ck_assert_uint_eq(http_field_name(HF_OTHER).n, 0);
	ck_assert_uint_eq(http_field_name(HF_MAX).n, 0);
	unit_str_eq(http_field_name(HF_ETAG), "ETag");
}
END_TEST

static const struct {
	int status;
	const char *reason, *line; /* NULL: no row */
} status_rows[] = {
	{ 100, "Continue", "HTTP/1.1 100 Continue\r\n" },
	{ 200, "OK", "HTTP/1.1 200 OK\r\n" },
	{ 404, "Not Found", "HTTP/1.1 404 Not Found\r\n" },
	{ 508, "Loop Detected", "HTTP/1.1 508 Loop Detected\r\n" },
	{ 199, "Informational", NULL },
	{ 299, "Success", NULL },
	{ 399, "Redirection", NULL },
	{ 499, "Client Error", NULL },
	{ 599, "Server Error", NULL },
	{ 99, "Unknown", NULL },
	{ 600, "Unknown", NULL },
	{ 0, "Unknown", NULL },
	{ -1, "Unknown", NULL },
};

START_TEST(statuses)
{
	int status = status_rows[_i].status;

	unit_str_eq(http_reason(status), status_rows[_i].reason);
	if (status_rows[_i].line)
		unit_str_eq(http_status_line(status), status_rows[_i].line);
	else
		ck_assert_uint_eq(http_status_line(status).n, 0);
}
END_TEST

/* RFC 9110 5.6.2 */
START_TEST(tchar)
{
	static const char other[] = "!#$%&'*+-.^_`|~";

	for (unsigned c = 0; c < 256; c++) {
		bool want = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || (c != 0 && strchr(other, (int)c));
		char text[] = { 'a', 'b', 'c', 'd', (char)c, 'e' };

		ck_assert_int_eq(http_tchar[c], want);
		for (size_t from = 0; from < 5; from++)
			ck_assert_int_eq(http_is_token(str_n(text + from, 6 - from)), want);
		ck_assert_int_eq(http_is_token(str_n(text + 4, 1)), want);
	}
	ck_assert(!http_is_token(STR("")));
}
END_TEST

START_TEST(values)
{
	for (unsigned c = 0; c < 256; c++) {
		char text[] = { 'a', (char)c };

		ck_assert_int_eq(
		    http_is_field_value(str_n(text, 2)), (c >= 0x20 && c != 0x7f) || c == '\t');
	}
	ck_assert(http_is_field_value(STR("")));
}
END_TEST

static const struct {
	const char *line, *name, *value; /* name NULL: refused; value: why */
} line_rows[] = {
	{ "A:b", "A", "b" },
	{ "A: b", "A", "b" },
	{ "A: \t b c\t ", "A", "b c" },
	{ "A:", "A", "" },
	{ "A: ", "A", "" },
	{ "A::", "A", ":" },
	{ "Host: a:80", "Host", "a:80" },
	{ "", NULL, "a field line without a colon" },
	{ "A", NULL, "a field line without a colon" },
	{ "A very long line that has no colon at all", NULL, "a field line without a colon" },
	{ ":", NULL, "empty field name" },
	{ ": a", NULL, "empty field name" },
	{ " A: b", NULL, "a folded field line" },
	{ "\tA: b", NULL, "a folded field line" },
	{ " A", NULL, "a folded field line" },
	{ "A : b", NULL, "white space before the colon of a field" },
	{ "Host : b", NULL, "white space before the colon of a field" },
	{ "A\t: b", NULL, "white space before the colon of a field" },
	{ "A b: c", NULL, "a field name is not a token" },
	{ "A\x80: c", NULL, "a field name is not a token" },
	{ "\"A\": c", NULL, "a field name is not a token" },
};

START_TEST(lines)
{
	struct field f;
	const char *why = http_field_line(str_of(line_rows[_i].line), &f);

	if (!line_rows[_i].name) {
		ck_assert_ptr_nonnull(why);
		ck_assert_str_eq(why, line_rows[_i].value);
		return;
	}
	ck_assert_ptr_null(why);
	unit_str_eq(f.name, line_rows[_i].name);
	unit_str_eq(f.value, line_rows[_i].value);
	ck_assert_uint_eq(f.id, http_field_of(f.name));
}
END_TEST

/* A list grows beyond the caller's room and keeps what it had. */
START_TEST(list_grows)
{
	struct field room[3];
	struct fields f = { room, 0, 3 };
	struct arena a;

	arena_init(&a, NULL, 0);
	for (unsigned i = 0; i < 100; i++)
		*fields_add(&f, &a) = (struct field){ STR("a"), STR("b"), (uint8_t)i };
	ck_assert_uint_eq(f.n, 100);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(f.v[i].id, i);
	arena_fini(&a);
}
END_TEST

Suite *
suite_http(void)
{
	Suite *s = suite_create("http");
	TCase *c = tcase_create("http");

	tcase_add_test(c, methods);
	tcase_add_loop_test(c, fields, HF_OTHER + 1, HF_MAX);
	tcase_add_test(c, fields_other);
	tcase_add_loop_test(c, statuses, 0, UNIT_COUNT(status_rows));
	tcase_add_test(c, tchar);
	tcase_add_test(c, values);
	tcase_add_loop_test(c, lines, 0, UNIT_COUNT(line_rows));
	tcase_add_test(c, list_grows);
	suite_add_tcase(s, c);
	return s;
}

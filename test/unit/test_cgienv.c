#include <stdlib.h>

#include "master/local/cgienv.h"
#include "test/unit/unit.h"

Suite *suite_cgienv(void);

static const struct {
	const char *text;
	enum cgienv_step step; /* of the last octet */
	size_t n;
} lengths[] = {
	{ ":", CGIENV_BAD, 0 },
	{ "0:", CGIENV_DONE, 0 },
	{ "7:", CGIENV_DONE, 7 },
	{ "70:", CGIENV_DONE, 70 },
	{ "262144:", CGIENV_DONE, CGIENV_MAX },
	{ "262145", CGIENV_BAD, 262145 },
	{ "07", CGIENV_BAD, 0 },
	{ "00", CGIENV_BAD, 0 },
	{ "-", CGIENV_BAD, 0 },
	{ "1x", CGIENV_BAD, 1 },
	{ " 1", CGIENV_BAD, 0 },
	{ "12", CGIENV_MORE, 12 },
};

START_TEST(test_length)
{
	struct cgienv_length l = { 0 };
	enum cgienv_step step = CGIENV_MORE;

	for (const char *p = lengths[_i].text; *p && step == CGIENV_MORE; p++)
		step = cgienv_length(&l, *p);
	ck_assert_int_eq(step, lengths[_i].step);
	ck_assert_uint_eq(l.n, lengths[_i].n);
}
END_TEST

#define BLOCK(text) text, sizeof(text) - 1

static const struct {
	const char *block;
	size_t n;
	const char *out; /* NULL: not sound */
} blocks[] = {
	{ BLOCK("A\0one\0B\0\0"), "P=/bin A=one B= " },
	{ BLOCK("P\0mine\0"), "P=mine " },
	{ BLOCK("CONTENT_LENGTH\0000\0SCGI\0001\0X\0y=z\0"), "P=/bin CONTENT_LENGTH=0 X=y=z " },
	{ BLOCK("SCGI\0001\0"), "P=/bin " },
	{ BLOCK("PP\0a\0"), "P=/bin PP=a " },
	{ "", 0, NULL },
	{ BLOCK("A\0one"), NULL },
	{ BLOCK("A\0"), NULL },
	{ BLOCK("A"), NULL },
	{ BLOCK("A\0one\0B\0"), NULL },
	{ BLOCK("\0one\0"), NULL },
	{ BLOCK("A\0one\0\0"), NULL },
	{ BLOCK("A=B\0one\0"), NULL },
};

START_TEST(test_make)
{
	char *base[] = { (char *)(uintptr_t) "P=/bin", NULL }, out[200] = "";
	char **env = cgienv_make(blocks[_i].block, blocks[_i].n, base);

	ck_assert_msg((env != NULL) == (blocks[_i].out != NULL), "row %d", _i);
	for (char **e = env; e && *e; e++) {
		strcat(out, *e);
		strcat(out, " ");
	}
	if (env)
		ck_assert_str_eq(out, blocks[_i].out);
	free(env);
}
END_TEST

START_TEST(test_too_many)
{
	size_t n = 4 * (CGIENV_VARS + 1);
	char *block = malloc(n), *base[] = { NULL }, **env;

	for (size_t i = 0; i < n; i += 4)
		memcpy(block + i, "a\0b", 4);
	env = cgienv_make(block, n - 4, base);
	ck_assert_ptr_nonnull(env);
	free(env);
	ck_assert_ptr_null(cgienv_make(block, n, base));
	free(block);
}
END_TEST

START_TEST(test_get)
{
	static const char block[] = "A\0one\0AA\0two\0B\0";

	ck_assert_str_eq(cgienv_get(block, sizeof(block), "A"), "one");
	ck_assert_str_eq(cgienv_get(block, sizeof(block), "AA"), "two");
	ck_assert_str_eq(cgienv_get(block, sizeof(block), "B"), "");
	ck_assert_ptr_null(cgienv_get(block, sizeof(block), "one"));
	ck_assert_ptr_null(cgienv_get(block, sizeof(block), "C"));
	ck_assert_ptr_null(cgienv_get(block, sizeof(block) - 1, "B")); /* its end is missing */
}
END_TEST

Suite *
suite_cgienv(void)
{
	Suite *s = suite_create("cgienv");
	TCase *t = tcase_create("cgienv");

	tcase_add_loop_test(t, test_length, 0, UNIT_COUNT(lengths));
	tcase_add_loop_test(t, test_make, 0, UNIT_COUNT(blocks));
	tcase_add_test(t, test_too_many);
	tcase_add_test(t, test_get);
	suite_add_tcase(s, t);
	return s;
}

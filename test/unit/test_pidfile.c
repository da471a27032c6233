#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "master/base/pidfile.h"
#include "test/unit/unit.h"

Suite *suite_pidfile(void);

static char dir[64], path[80], other[80];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/argand-pidfile-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.pid", dir);
	snprintf(other, sizeof(other), "%s/b.pid", dir);
	pidfile_init();
	log_level = LOG_FATAL_;
}

static void
teardown(void)
{
	pidfile_set(NULL, 1);
	unlink(path);
	unlink(other);
	rmdir(dir);
	log_level = LOG_NOTICE_;
}

static void
put(const char *at, const char *text)
{
	FILE *f = fopen(at, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void
holds(const char *at, const char *text)
{
	char room[64] = "";
	FILE *f = fopen(at, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(room, 1, sizeof(room) - 1, f), strlen(text));
	fclose(f);
	ck_assert_str_eq(room, text);
}

START_TEST(test_follows)
{
	pidfile_set(path, 4711);
	holds(path, "4711\n");
	pidfile_set(other, 4711);
	holds(other, "4711\n");
	ck_assert_int_ne(access(path, F_OK), 0);
	pidfile_remove();
	ck_assert_int_ne(access(other, F_OK), 0);
}
END_TEST

/* What is there is a pid file, or it is left alone. */
static const struct {
	const char *before, *after;
} rows[] = {
	{ "", "4711\n" },
	{ "1\n", "4711\n" },
	{ "99999", "4711\n" },
	{ "12 \n", "4711\n" },
	{ "-1\n", "-1\n" },
	{ "0\n", "0\n" },
	{ "12x\n", "12x\n" },
	{ " 12\n", " 12\n" },
	{ "root:x:0:0\n", "root:x:0:0\n" },
	{ "123456789012345678901234567890\n", "123456789012345678901234567890\n" },
};

START_TEST(test_rows)
{
	put(path, rows[_i].before);
	pidfile_set(path, 4711);
	holds(path, rows[_i].after);
}
END_TEST

START_TEST(test_of_another)
{
	pidfile_set(path, 4711);
	put(path, "4712\n");
	pidfile_remove();
	holds(path, "4712\n");
}
END_TEST

Suite *
suite_pidfile(void)
{
	Suite *s = suite_create("pidfile");
	TCase *t = tcase_create("pidfile");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_follows);
	tcase_add_loop_test(t, test_rows, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_of_another);
	suite_add_tcase(s, t);
	return s;
}

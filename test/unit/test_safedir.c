/* The way to a name, past what others of the machine have put in it. Rows are trees: what root or
   somebody else (uid 65534) has made, and what the walk to a path says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/safedir.h"
#include "test/unit/unit.h"

Suite *suite_safedir(void);

enum { OTHER = 65534 };

static char top[64];

static void
setup(void)
{
	snprintf(top, sizeof(top), "/tmp/test_safedir.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(chdir(top), 0);
}

static void
teardown(void)
{
	char command[128];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

/* "d NAME MODE" a directory, "f NAME MODE" a file, "l NAME TARGET" a link; a "!" before the name:
   of somebody else. */
static void
make(const char *line)
{
	char kind, name[64], arg[64];
	bool is_others;

	ck_assert_int_eq(sscanf(line, "%c %63s %63s", &kind, name, arg), 3);
	is_others = name[0] == '!';
	if (is_others)
		memmove(name, name + 1, strlen(name));
	if (kind == 'd')
		ck_assert_int_eq(mkdir(name, 0700), 0);
	else if (kind == 'f')
		close(open(name, O_WRONLY | O_CREAT, 0600));
	else
		ck_assert_int_eq(symlink(arg, name), 0);
	if (kind != 'l')
		ck_assert_int_eq(chmod(name, (mode_t)strtol(arg, NULL, 8)), 0);
	if (is_others)
		ck_assert_int_eq(lchown(name, OTHER, OTHER), 0);
}

static const struct {
	const char *tree[6], *path;
	int error;        /* 0: found */
	const char *name; /* the last name, when found */
	const char *says; /* of the refusal, or who may write */
	bool is_shared;
} rows[] = {
	{ { "d a 755" }, "a/x", 0, "x", "", false },
	{ { "d a 755", "f a/x 640" }, "a//./x", 0, "x", "", false },
	{ { "d a 755", "d a/b 755" }, "a/b/../x", 0, "x", "", false },
	{ { "d a 755" }, "a/b/x", ENOENT, NULL, "a/b: No such file", false },
	{ { "d a 755", "f a/b 644" }, "a/b/x", ENOTDIR, NULL, "a/b: Not a directory", false },
	{ { "d a 755" }, "a/", 0, "a", "", false },
	{ { "d a 755" }, "a/..", EISDIR, NULL, "", false },
	/* links of root's, in directories of root's */
	{ { "d a 755", "l b a" }, "b/x", 0, "x", "", false },
	{ { "d a 755", "l a/x y" }, "a/x", 0, "y", "", false },
	{ { "d a 755", "d c 755", "l a/x ../c/z" }, "a/x", 0, "z", "", false },
	{ { "l a b", "l b a" }, "a/x", ELOOP, NULL, "too many", false },
	/* of others, or in directories of others */
	{ { "d a 755", "l !a/x /etc/target" }, "a/x", ELOOP, NULL, "a symbolic link of user",
	    false },
	{ { "d !a 755", "l a/x y" }, "a/x", ELOOP, NULL, "a belongs to user", true },
	{ { "d !a 755", "l !a/x y" }, "a/x", ELOOP, NULL, "which is not followed", true },
	{ { "d !a 755", "d a/b 755", "l a/b/x y" }, "a/b/x", ELOOP, NULL, "a belongs to", true },
	{ { "d !a 755", "d b 755", "l !a/l ../b" }, "a/l/x", ELOOP, NULL, "a/l is a symbolic",
	    true },
	{ { "d !a 755", "d a/b 755" }, "a/b/../x", EXDEV, NULL, "leads out", true },
	{ { "d !a 755" }, "a/x", 0, "x", "belongs to user", true },
	{ { "d !a 755", "d a/b 755" }, "a/b/x", 0, "x", "belongs to user", true },
	{ { "d a 777" }, "a/x", 0, "x", "by everybody", true },
	{ { "d a 777", "l a/x y" }, "a/x", ELOOP, NULL, "by everybody", true },
	{ { "d a 770" }, "a/x", 0, "x", "", false }, /* root's own group */
	/* a sticky directory: names can be added, not replaced */
	{ { "d a 1777" }, "a/x", 0, "x", "", false },
	{ { "d a 1777", "l a/x y" }, "a/x", 0, "y", "", false },
	{ { "d a 1777", "l !a/x y" }, "a/x", ELOOP, NULL, "not followed", false },
	{ { "d !a 1777", "l a/x y" }, "a/x", ELOOP, NULL, "belongs to user", true },
};

START_TEST(walks)
{
	char why[SAFEDIR_WHY];
	struct safedir d;

	if (geteuid() != 0)
		return; /* nobody else can be made to own anything */
	umask(0022);
	for (int i = 0; i < 6 && rows[_i].tree[i]; i++)
		make(rows[_i].tree[i]);
	errno = 0;
	if (rows[_i].error) {
		ck_assert_int_eq(safedir_open(&d, rows[_i].path, why), -1);
		ck_assert_int_eq(errno, rows[_i].error);
		ck_assert_msg(strstr(why, rows[_i].says) != NULL, "%s", why);
		ck_assert_int_eq(d.fd, -1);
		return;
	}
	ck_assert_msg(safedir_open(&d, rows[_i].path, why) == 0, "%s", why);
	ck_assert_str_eq(d.name, rows[_i].name);
	ck_assert_int_eq(d.is_shared, rows[_i].is_shared);
	ck_assert_msg(strstr(d.by, rows[_i].says) != NULL, "%s", d.by);
	ck_assert(!d.is_kernels);
	safedir_close(&d);
}
END_TEST

/* A link that somebody may have linked from a directory of root's. */
START_TEST(linked_link)
{
	char why[SAFEDIR_WHY];
	struct safedir d;

	make("d a 1777");
	make("d b 755");
	make("l b/x y");
	ck_assert_int_eq(linkat(AT_FDCWD, "b/x", AT_FDCWD, "a/x", 0), 0);
	ck_assert_int_eq(safedir_open(&d, "a/x", why), -1);
	ck_assert_int_eq(errno, ELOOP);
	ck_assert_int_eq(safedir_open(&d, "b/x", why), 0);
	safedir_close(&d);
}
END_TEST

/* What the kernel links in /proc is no path, and is followed by opening it. */
START_TEST(kernels)
{
	static const char *const paths[] = { "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1" };
	char why[SAFEDIR_WHY];
	struct safedir d;

	ck_assert_msg(safedir_open(&d, paths[_i], why) == 0, "%s", why);
	ck_assert(d.is_kernels);
	ck_assert_str_eq(d.name, "1");
	safedir_close(&d);
}
END_TEST

/* A directory that is replaced by a link after it was passed: what was opened counts. */
START_TEST(held)
{
	char why[SAFEDIR_WHY];
	struct safedir d;
	struct stat st;
	int fd;

	make("d a 755");
	make("d b 755");
	ck_assert_int_eq(safedir_open(&d, "a/x", why), 0);
	ck_assert_int_eq(rename("a", "c"), 0);
	ck_assert_int_eq(symlink("b", "a"), 0);
	fd = openat(d.fd, d.name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	safedir_close(&d);
	ck_assert_int_eq(stat("c/x", &st), 0);
	ck_assert_int_eq(stat("b/x", &st), -1);
}
END_TEST

START_TEST(long_paths)
{
	static char longer[PATH_MAX + 2];
	char why[SAFEDIR_WHY];
	struct safedir d;

	memset(longer, 'x', sizeof(longer) - 1);
	ck_assert_int_eq(safedir_open(&d, longer, why), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	longer[NAME_MAX + 1] = '\0';
	ck_assert_int_eq(safedir_open(&d, longer, why), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	ck_assert_int_eq(safedir_open(&d, "", why), -1);
	ck_assert_int_eq(safedir_open(&d, "/", why), -1);
	ck_assert_int_eq(errno, EISDIR);
}
END_TEST

Suite *
suite_safedir(void)
{
	Suite *s = suite_create("safedir");
	TCase *t = tcase_create("safedir");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, walks, 0, UNIT_COUNT(rows));
	tcase_add_test(t, linked_link);
	tcase_add_loop_test(t, kernels, 0, 3);
	tcase_add_test(t, held);
	tcase_add_test(t, long_paths);
	suite_add_tcase(s, t);
	return s;
}

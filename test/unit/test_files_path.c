/*
 * Opening beneath a root: the same table for openat2 and for the walk without it. The root is the
 * directory "root" of the tree; "outside" stands beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/beneath.h"
#include "modules/files/path.h"
#include "test/unit/filetree.h"
#include "test/unit/unit.h"

static int root;
static char absolute[128];

static void
setup(void)
{
	tree_make();
	tree_text("root/file", "inside");
	tree_text("root/a/b/file", "deep");
	tree_text("outside/secret", "secret");
	tree_link("root/in", "a/b/file");
	tree_link("root/a/b/up", "../../file");
	tree_link("root/a/dirlink", "b");
	tree_link("root/chain", "a/dirlink/up");
	tree_link("root/out", "../outside/secret");
	tree_link("root/outdir", "../outside");
	tree_link("root/a/far", "../../outside/secret");
	tree_link("root/self", "self");
	tree_link("root/ping", "pong");
	tree_link("root/pong", "ping");
	tree_link("root/outin", "../root/file");
	tree_link("root/gone", "nothing");
	tree_link("root/dot", ".");
	snprintf(absolute, sizeof(absolute), "%s/outside/secret", tree_path());
	tree_link("root/abs", absolute);
	tree_link("root/proc", "/proc/self/fd");
	tree_fifo("root/fifo");
	root = openat(tree_fd(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root, 0);
}

static void
teardown(void)
{
	close(root);
	tree_remove();
}

static const struct {
	const char *name;
	enum beneath_links links;
	int err;          /* 0: opens */
	const char *text; /* of the file */
} rows[] = {
	{ "file", LINKS_BENEATH, 0, "inside" },
	{ "a/b/file", LINKS_BENEATH, 0, "deep" },
	{ "a//b/./file", LINKS_BENEATH, 0, "deep" },
	{ "nothing", LINKS_BENEATH, ENOENT, NULL },
	{ "nothing/file", LINKS_BENEATH, ENOENT, NULL },
	{ "file/", LINKS_BENEATH, ENOTDIR, NULL },
	{ "file/x", LINKS_BENEATH, ENOTDIR, NULL },
	{ "in", LINKS_BENEATH, 0, "deep" },
	{ "in/", LINKS_BENEATH, ENOTDIR, NULL },
	{ "a/b/up", LINKS_BENEATH, 0, "inside" },
	{ "chain", LINKS_BENEATH, 0, "inside" },
	{ "a/dirlink/file", LINKS_BENEATH, 0, "deep" },
	{ "dot/dot/dot/file", LINKS_BENEATH, 0, "inside" },
	{ "out", LINKS_BENEATH, EXDEV, NULL },
	{ "outdir/secret", LINKS_BENEATH, EXDEV, NULL },
	{ "a/far", LINKS_BENEATH, EXDEV, NULL },
	{ "outin", LINKS_BENEATH, EXDEV, NULL },
	{ "abs", LINKS_BENEATH, EXDEV, NULL },
	{ "proc/0", LINKS_BENEATH, EXDEV, NULL },
	{ "self", LINKS_BENEATH, ELOOP, NULL },
	{ "ping", LINKS_BENEATH, ELOOP, NULL },
	{ "gone", LINKS_BENEATH, ENOENT, NULL },
	{ "..", LINKS_BENEATH, EXDEV, NULL },
	{ "../outside/secret", LINKS_BENEATH, EXDEV, NULL },
	{ "a/../../outside/secret", LINKS_BENEATH, EXDEV, NULL },
	{ "a/../file", LINKS_BENEATH, 0, "inside" },
	{ "file", LINKS_NONE, 0, "inside" },
	{ "in", LINKS_NONE, ELOOP, NULL },
	{ "a/dirlink/file", LINKS_NONE, ELOOP, NULL },
	{ "out", LINKS_NONE, ELOOP, NULL },
	{ "../outside/secret", LINKS_NONE, EXDEV, NULL },
};

static void
expect(int fd, int err, const char *text)
{
	char got[32];
	int e = errno;
	ssize_t n;

	if (err) {
		ck_assert_msg(fd < 0, "opened what should fail with %s", strerror(err));
		ck_assert_msg(e == err, "%s in place of %s", strerror(e), strerror(err));
		return;
	}
	ck_assert_msg(fd >= 0, "%s", strerror(e));
	n = read(fd, got, sizeof(got));
	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_int_eq(memcmp(got, text, strlen(text)), 0);
	close(fd);
}

START_TEST(test_open)
{
	expect(beneath_open(root, str_of(rows[_i].name), rows[_i].links, O_RDONLY), rows[_i].err,
	    rows[_i].text);
}
END_TEST

START_TEST(test_walk)
{
	expect(beneath_walk(root, str_of(rows[_i].name), rows[_i].links, O_RDONLY), rows[_i].err,
	    rows[_i].text);
}
END_TEST

START_TEST(test_all)
{
	expect(beneath_open(root, STR("out"), LINKS_ALL, O_RDONLY), 0, "secret");
	expect(beneath_open(root, STR("abs"), LINKS_ALL, O_RDONLY), 0, "secret");
	expect(beneath_open(root, STR("outdir/secret"), LINKS_ALL, O_RDONLY), 0, "secret");
	expect(beneath_open(root, STR("self"), LINKS_ALL, O_RDONLY), ELOOP, NULL);
}
END_TEST

START_TEST(test_owner)
{
	/* Link and target are ours. */
	expect(beneath_open(root, STR("out"), LINKS_OWNER, O_RDONLY), 0, "secret");
	expect(beneath_open(root, STR("chain"), LINKS_OWNER, O_RDONLY), 0, "inside");
	expect(beneath_open(root, STR("outdir/secret"), LINKS_OWNER, O_RDONLY), 0, "secret");
	expect(beneath_open(root, STR("ping"), LINKS_OWNER, O_RDONLY), ELOOP, NULL);
	if (geteuid() != 0)
		return; /* only root can give things away */
	ck_assert_int_eq(fchownat(tree_fd(), "root/out", 1234, 1234, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_eq(fchownat(tree_fd(), "root/a/dirlink", 1234, 1234, AT_SYMLINK_NOFOLLOW), 0);
	expect(beneath_open(root, STR("out"), LINKS_OWNER, O_RDONLY), ELOOP, NULL);
	expect(beneath_open(root, STR("a/dirlink/file"), LINKS_OWNER, O_RDONLY), ELOOP, NULL);
	expect(beneath_open(root, STR("chain"), LINKS_OWNER, O_RDONLY), ELOOP, NULL);
	ck_assert_int_eq(fchownat(tree_fd(), "outside/secret", 1234, 1234, 0), 0);
	expect(beneath_open(root, STR("out"), LINKS_OWNER, O_RDONLY), 0, "secret");
	/* What lies in a directory that a link leads to may be anybody's. */
	expect(beneath_open(root, STR("outdir/secret"), LINKS_OWNER, O_RDONLY), 0, "secret");
}
END_TEST

START_TEST(test_odd_names)
{
	static const char nul[] = "file\0x";
	char longest[PATH_MAX + 8];

	memset(longest, 'a', sizeof(longest));
	expect(beneath_open(root, str_n(nul, 6), LINKS_BENEATH, O_RDONLY), ENOENT, NULL);
	expect(beneath_open(root, STR("/etc/passwd"), LINKS_ALL, O_RDONLY), ENOENT, NULL);
	expect(
	    beneath_open(root, str_n(longest, 256), LINKS_BENEATH, O_RDONLY), ENAMETOOLONG, NULL);
	expect(
	    beneath_walk(root, str_n(longest, 256), LINKS_BENEATH, O_RDONLY), ENAMETOOLONG, NULL);
	expect(beneath_open(root, str_n(longest, sizeof(longest)), LINKS_BENEATH, O_RDONLY),
	    ENAMETOOLONG, NULL);
	expect(beneath_walk(root, str_n(longest, sizeof(longest)), LINKS_BENEATH, O_RDONLY),
	    ENAMETOOLONG, NULL);
}
END_TEST

/* Neither waits for a writer; both give something that is no regular file. */
START_TEST(test_fifo)
{
	int (*const opens[])(
	    int, struct str, enum beneath_links, int) = { beneath_open, beneath_walk };

	for (int i = 0; i < 2; i++) {
		struct stat st;
		int fd = opens[i](root, STR("fifo"), LINKS_BENEATH, O_RDONLY);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert(S_ISFIFO(st.st_mode));
		close(fd);
	}
}
END_TEST

START_TEST(test_root_itself)
{
	static const char *const names[] = { "", ".", "a/..", "dot", "dot/" };
	struct stat want, st;

	ck_assert_int_eq(fstat(root, &want), 0);
	for (int i = 0; i < UNIT_COUNT(names); i++) {
		int a = beneath_open(root, str_of(names[i]), LINKS_BENEATH, O_PATH | O_DIRECTORY);
		int b = beneath_walk(root, str_of(names[i]), LINKS_BENEATH, O_RDONLY | O_DIRECTORY);

		ck_assert_int_eq(fstat(a, &st), 0);
		ck_assert(st.st_ino == want.st_ino);
		ck_assert_int_eq(fstat(b, &st), 0);
		ck_assert(st.st_ino == want.st_ino);
		close(a);
		close(b);
	}
}
END_TEST

/* The walk gives back every descriptor it opens, also when it fails. */
START_TEST(test_walk_leaks_nothing)
{
	int before = dup(root), after;

	close(before);
	for (int k = 0; k < UNIT_COUNT(rows); k++) {
		int fd = beneath_walk(root, str_of(rows[k].name), rows[k].links, O_RDONLY);

		if (fd >= 0)
			close(fd);
		fd = beneath_walk(root, str_of(rows[k].name), LINKS_OWNER, O_RDONLY);
		if (fd >= 0)
			close(fd);
	}
	after = dup(root);
	close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

static const struct {
	const char *path;
	bool is_hidden;
} hidden[] = {
	{ "/", false },
	{ "/a/b.c", false },
	{ "/.git", true },
	{ "/.git/config", true },
	{ "/a/.htaccess", true },
	{ "/a.b/..c", true },
	{ "/.well-known", false },
	{ "/.well-known/acme-challenge/x", false },
	{ "/.well-known/.git", true },
	{ "/.well-knownx", true },
	{ "/a/.well-known/x", true },
	{ "/a./b", false },
	{ "", false },
};

START_TEST(test_hidden)
{
	ck_assert_int_eq(files_path_is_hidden(str_of(hidden[_i].path)), hidden[_i].is_hidden);
}
END_TEST

Suite *
suite_files_path(void)
{
	Suite *s = suite_create("files_path");
	TCase *tc = tcase_create("files_path");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_open, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(tc, test_walk, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(tc, test_hidden, 0, UNIT_COUNT(hidden));
	tcase_add_test(tc, test_all);
	tcase_add_test(tc, test_owner);
	tcase_add_test(tc, test_odd_names);
	tcase_add_test(tc, test_fifo);
	tcase_add_test(tc, test_root_itself);
	tcase_add_test(tc, test_walk_leaks_nothing);
	suite_add_tcase(s, tc);
	return s;
}

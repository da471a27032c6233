/* Files of sockets: what is removed, what is given to whom, and what is left alone because it is
   not the file that was bound. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/base/sockfile.h"
#include "test/unit/unit.h"

Suite *suite_sockfile(void);

static char dir[64], path[96], target[96], why[SAFEDIR_WHY];
static struct sockfile file;
static pid_t holder;
static int fd;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_sockfile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.sock", dir);
	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_WRONLY | O_CREAT, 0600));
	fd = -1;
}

static void
teardown(void)
{
	char command[128];

	if (fd >= 0)
		close(fd);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static int
take(void)
{
	return sockfile_bind(path, SOCK_NONBLOCK, SOCKFILE_ANYBODY, &file, &holder, why);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0 ? st.st_mode : 0;
}

START_TEST(binds_and_removes)
{
	static const struct sockfile_owner owner = { (uid_t)-1, (gid_t)-1, 0640 };

	fd = take();
	ck_assert_msg(fd >= 0, "%s", why);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0600);
	ck_assert_int_eq(sockfile_give(path, &file, &owner), 0);
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0640);
	sockfile_remove(path, &file);
	ck_assert_uint_eq(mode_of(path), 0);
}
END_TEST

/* Nobody serves on it: it was left behind. */
START_TEST(takes_what_was_left)
{
	close(take());
	fd = take();
	ck_assert_msg(fd >= 0, "%s", why);
}
END_TEST

START_TEST(leaves_what_serves)
{
	struct sockfile first;
	int other;

	fd = take();
	first = file;
	ck_assert_int_eq(listen(fd, 1), 0);
	other = take();
	ck_assert_int_eq(other, -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_int_eq(holder, getpid());
	ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0600);
	/* what we made ourselves is nobody's, where the maker counts */
	other = sockfile_bind(path, 0, SOCKFILE_CREATOR, &file, &holder, why);
	ck_assert_msg(other >= 0, "%s", why);
	ck_assert(first.ino != file.ino);
	close(other);
}
END_TEST

/* A file, a directory, a FIFO. */
START_TEST(leaves_what_is_no_socket)
{
	mode_t before;

	if (_i == 0)
		ck_assert_int_eq(rename(target, path), 0);
	else if (_i == 1)
		ck_assert_int_eq(mkdir(path, 0700), 0);
	else
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	before = mode_of(path);
	ck_assert_int_eq(take(), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_msg(strstr(why, "not a socket") != NULL, "%s", why);
	ck_assert_uint_eq(mode_of(path), before);
}
END_TEST

/* Whatever stands in its place after it was bound: a link, a file, a socket of somebody. */
START_TEST(leaves_what_took_its_place)
{
	static const struct sockfile_owner owner = { 65534, 65534, 0666 };
	struct sockfile_owner mine = owner;
	struct sockfile known = { 0 };
	mode_t before;
	int other = -1;

	if (geteuid() != 0)
		mine.uid = mine.gid = (uid_t)-1;
	fd = take();
	ck_assert_int_ge(fd, 0);
	known = file;
	ck_assert_int_eq(unlink(path), 0);
	if (_i == 0)
		ck_assert_int_eq(symlink(target, path), 0);
	else if (_i == 1)
		ck_assert_int_eq(rename(target, path), 0);
	else
		other = take();
	before = mode_of(path);
	ck_assert_int_eq(sockfile_give(path, &known, &mine), -1);
	ck_assert_int_eq(sockfile_rename(&known, path, target), -1);
	sockfile_remove(path, &known);
	ck_assert_uint_eq(mode_of(path), before);
	if (_i != 1)
		ck_assert_uint_eq(mode_of(target), S_IFREG | 0600);
	if (other >= 0)
		close(other);
}
END_TEST

START_TEST(renames)
{
	char next[128];

	snprintf(next, sizeof(next), "%s.next", path);
	fd = take();
	ck_assert_int_eq(sockfile_rename(&file, path, next), 0);
	ck_assert_uint_eq(mode_of(path), 0);
	ck_assert_uint_eq(mode_of(next), S_IFSOCK | 0600);
	ck_assert_int_eq(sockfile_rename(&file, next, target), -1);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_uint_eq(mode_of(target), S_IFREG | 0600);
	sockfile_remove(next, &file);
	ck_assert_uint_eq(mode_of(next), 0);
}
END_TEST

/* One that was bound by somebody before is known again. */
START_TEST(knows)
{
	struct sockfile again;

	fd = take();
	sockfile_know(&again, fd, path);
	ck_assert_uint_eq(again.ino, file.ino);
	ck_assert_uint_eq(again.dev, file.dev);
	unlink(path);
	sockfile_remove(path, &again);
}
END_TEST

Suite *
suite_sockfile(void)
{
	Suite *s = suite_create("sockfile");
	TCase *t = tcase_create("sockfile");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, binds_and_removes);
	tcase_add_test(t, takes_what_was_left);
	tcase_add_test(t, leaves_what_serves);
	tcase_add_loop_test(t, leaves_what_is_no_socket, 0, 3);
	tcase_add_loop_test(t, leaves_what_took_its_place, 0, 3);
	tcase_add_test(t, renames);
	tcase_add_test(t, knows);
	suite_add_tcase(s, t);
	return s;
}

/* What each kind of destination opens as, and what cannot be opened. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/base/logfile.h"
#include "test/unit/unit.h"

Suite *suite_logfile(void);

static char dir[64], path[128];
static pid_t pid;
static char why[SAFEDIR_WHY];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_logfile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.log", dir);
	pid = -1;
}

static void
teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static off_t
size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_size : -1;
}

START_TEST(test_file)
{
	mode_t mask = umask(0);
	struct stat st;
	int fd;

	for (int i = 1; i <= 2; i++) {
		fd = logfile_open(str_of(path), &pid, why);
		ck_assert_int_gt(fd, 2);
		ck_assert_int_eq(pid, 0);
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		ck_assert_int_eq(write(fd, "line\n", 5), 5);
		ck_assert_int_eq(size_of(path), 5 * i);
		close(fd);
	}
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	umask(mask);
}
END_TEST

START_TEST(test_streams)
{
	static const char *const names[] = { "stdout", "stderr" };
	struct stat a, b;
	int fd = logfile_open(str_of(names[_i]), &pid, why);

	ck_assert_int_gt(fd, 2);
	ck_assert_int_eq(fstat(fd, &a), 0);
	ck_assert_int_eq(fstat(_i + 1, &b), 0);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	close(fd);
}
END_TEST

START_TEST(test_command)
{
	char command[256];
	int fd, status;

	snprintf(command, sizeof(command), "|tr a-z A-Z > %s", path);
	fd = logfile_open(str_of(command), &pid, why);
	ck_assert_int_gt(fd, 2);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(write(fd, "line\n", 5), 5);
	close(fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(size_of(path), 5);
}
END_TEST

START_TEST(test_syslog)
{
	static const char *const names[] = { "syslog", "syslog:", "syslog:/run/x" };
	int fd = logfile_open(str_of(names[_i]), &pid, why), type = 0;
	socklen_t n = sizeof(type);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n), 0);
	ck_assert_int_eq(type, SOCK_DGRAM);
	close(fd);
}
END_TEST

START_TEST(test_refused)
{
	static char longer[6000];

	ck_assert_int_eq(logfile_open(STR("/nonexistent/x.log"), &pid, why), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(logfile_open(str_of(path), &pid, why), -1);
	ck_assert_int_eq(errno, ENXIO);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	ck_assert_int_eq(logfile_open(str_of(longer), &pid, why), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	longer[0] = '|';
	ck_assert_int_eq(logfile_open(str_of(longer), &pid, why), -1);
	ck_assert_int_eq(errno, E2BIG);
}
END_TEST

/* What somebody else has put into a directory where he may: the way a log leads out of it. */
START_TEST(test_planted)
{
	char target[128], log[160];
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return; /* nobody else can be made to own anything */
	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_WRONLY | O_CREAT, 0600));
	snprintf(log, sizeof(log), "%s/logs", dir);
	ck_assert_int_eq(mkdir(log, 0755), 0);
	ck_assert_int_eq(chown(log, 65534, 65534), 0);
	snprintf(log, sizeof(log), "%s/logs/a.log", dir);
	if (_i == 0)
		ck_assert_int_eq(symlink(target, log), 0);
	else if (_i == 1)
		ck_assert_int_eq(link(target, log), 0);
	else
		ck_assert_int_eq(mkdir(log, 0777), 0);
	fd = logfile_open(str_of(log), &pid, why);
	ck_assert_int_eq(fd, -1);
	ck_assert_msg(strstr(why, _i == 0   ? "not followed"
				  : _i == 1 ? "a second name"
					    : "Is a directory") != NULL,
	    "%s", why);
	ck_assert_int_eq(stat(target, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	/* the file itself is as good as any other */
	ck_assert_int_eq(remove(log), 0);
	fd = logfile_open(str_of(log), &pid, why);
	ck_assert_int_gt(fd, 2);
	close(fd);
	unlink(log);
	*strrchr(log, '/') = '\0';
	rmdir(log);
	unlink(target);
}
END_TEST

/* What root has chosen: another place by a link, and what logrotate makes for the workers' user. */
START_TEST(test_chosen)
{
	char real[128], log[160];
	int fd;

	snprintf(real, sizeof(real), "%s/real", dir);
	ck_assert_int_eq(mkdir(real, 0755), 0);
	snprintf(log, sizeof(log), "%s/logs", dir);
	ck_assert_int_eq(symlink("real", log), 0);
	snprintf(log, sizeof(log), "%s/logs/a.log", dir);
	snprintf(real, sizeof(real), "%s/real/a.log", dir);
	close(open(real, O_WRONLY | O_CREAT, 0640));
	if (geteuid() == 0)
		ck_assert_int_eq(chown(real, 65534, 65534), 0);
	fd = logfile_open(str_of(log), &pid, why);
	ck_assert_msg(fd > 2, "%s", why);
	ck_assert_int_eq(write(fd, "line\n", 5), 5);
	ck_assert_int_eq(size_of(real), 5);
	close(fd);
	unlink(real);
	*strrchr(real, '/') = '\0';
	rmdir(real);
	snprintf(log, sizeof(log), "%s/logs", dir);
	unlink(log);
}
END_TEST

Suite *
suite_logfile(void)
{
	Suite *s = suite_create("logfile");
	TCase *t = tcase_create("logfile");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_file);
	tcase_add_loop_test(t, test_streams, 0, 2);
	tcase_add_test(t, test_command);
	tcase_add_loop_test(t, test_syslog, 0, 3);
	tcase_add_test(t, test_refused);
	tcase_add_loop_test(t, test_planted, 0, 3);
	tcase_add_test(t, test_chosen);
	suite_add_tcase(s, t);
	return s;
}

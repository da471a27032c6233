#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/procid.h"

Suite *suite_procid(void);

/* A child that waits to be killed, and what was noted of it. */
static pid_t child;
static struct procid noted;

static void
setup(void)
{
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	procid_note(&noted, child, getuid());
}

static void
teardown(void)
{
	if (child > 0 && kill(child, SIGKILL) == 0)
		waitpid(child, NULL, 0);
}

START_TEST(test_noted)
{
	struct pollfd p = { .events = POLLIN };

	ck_assert_int_eq(noted.pid, child);
	ck_assert_uint_gt(noted.started, 0);
	ck_assert_uint_gt(noted.exe_ino, 0);
	p.fd = procid_open(&noted);
	ck_assert_int_ge(p.fd, 0);
	ck_assert(fcntl(p.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(procid_signal(p.fd, SIGKILL));
	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	waitpid(child, NULL, 0);
	ck_assert(!procid_signal(p.fd, 0));
	child = 0;
	close(p.fd);
}
END_TEST

START_TEST(test_looked_at)
{
	struct procid seen;

	procid_look(&seen, child);
	ck_assert_int_eq(seen.pid, noted.pid);
	ck_assert_uint_eq(seen.uid, noted.uid);
	ck_assert_uint_eq(seen.started, noted.started);
	ck_assert_uint_eq(seen.exe_ino, noted.exe_ino);
	ck_assert_uint_eq(seen.exe_dev, noted.exe_dev);
}
END_TEST

/* Whatever differs, it is somebody else. */
static void
not_started(struct procid *id)
{
	id->started++;
}

static void
not_known(struct procid *id)
{
	id->started = 0;
}

static void
not_user(struct procid *id)
{
	id->uid++;
}

static void
not_device(struct procid *id)
{
	id->exe_dev++;
}

static void
not_program(struct procid *id)
{
	id->exe_ino++;
}

static void
not_positive(struct procid *id)
{
	id->pid = -child;
}

static void
not_zero(struct procid *id)
{
	id->pid = 0;
}

static void
not_init(struct procid *id)
{
	id->pid = 1;
	id->started = procid_starttime(1);
}

static void
not_ourselves(struct procid *id)
{
	id->pid = getpid();
	id->started = procid_starttime(getpid());
}

static void
not_there(struct procid *id)
{
	id->pid = 0x3fffffff;
}

static void (*const not_rows[])(struct procid *) = { not_started, not_known, not_user, not_device,
	not_program, not_positive, not_zero, not_init, not_ourselves, not_there };

START_TEST(test_another)
{
	not_rows[_i](&noted);
	ck_assert_int_eq(procid_open(&noted), -1);
}
END_TEST

START_TEST(test_nobody)
{
	ck_assert_uint_eq(procid_starttime(0x3fffffff), 0);
	ck_assert_int_eq(procid_open_child(1), -1);
	ck_assert_int_eq(procid_open_child(0), -1);
	ck_assert_int_eq(procid_open_child(-1), -1);
}
END_TEST

/* One that has ended and was not waited for still has its number; it is gone all the same. */
START_TEST(test_zombie)
{
	siginfo_t info;

	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(procid_open(&noted), -1);
	waitpid(child, NULL, 0);
	child = 0;
	ck_assert_int_eq(procid_open(&noted), -1);
}
END_TEST

Suite *
suite_procid(void)
{
	Suite *s = suite_create("procid");
	TCase *t = tcase_create("procid");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_noted);
	tcase_add_test(t, test_looked_at);
	tcase_add_loop_test(t, test_another, 0, sizeof(not_rows) / sizeof(not_rows[0]));
	tcase_add_test(t, test_nobody);
	tcase_add_test(t, test_zombie);
	suite_add_tcase(s, t);
	return s;
}

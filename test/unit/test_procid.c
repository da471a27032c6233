#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/procid.h"

Suite *suite_procid(void);

START_TEST(test_self)
{
	uint64_t started = procid_starttime(getpid());

	ck_assert_uint_gt(started, 0);
	ck_assert_int_eq(procid_is(getpid(), started), PROCID_SAME);
	ck_assert_int_eq(procid_is(getpid(), started + 1), PROCID_GONE);
	ck_assert_int_eq(procid_is(getpid(), 0), PROCID_UNKNOWN);
}
END_TEST

START_TEST(test_nobody)
{
	ck_assert_int_eq(procid_is(0, 1), PROCID_GONE);
	ck_assert_int_eq(procid_is(-1, 1), PROCID_GONE);
	ck_assert_int_eq(procid_is(0x3fffffff, 1), PROCID_GONE);
	ck_assert_uint_eq(procid_starttime(0x3fffffff), 0);
}
END_TEST

/* One that has ended and was not waited for still has its number; it is gone all the same. */
START_TEST(test_zombie)
{
	pid_t pid = fork();
	uint64_t started;
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	started = procid_starttime(pid);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(procid_is(pid, started), PROCID_GONE);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(procid_is(pid, started), PROCID_GONE);
}
END_TEST

Suite *
suite_procid(void)
{
	Suite *s = suite_create("procid");
	TCase *t = tcase_create("procid");

	tcase_add_test(t, test_self);
	tcase_add_test(t, test_nobody);
	tcase_add_test(t, test_zombie);
	suite_add_tcase(s, t);
	return s;
}

/* Killing a child at each of its writes, see crash.h. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "common/segment/shm.h"
#include "test/unit/crash.h"

static unsigned crash_countdown;

static void
crash_kill(const char *name)
{
	(void)name;
	if (--crash_countdown == 0)
		raise(SIGKILL);
}

bool
crash_at(void (*op)(void), unsigned k)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		crash_countdown = k;
		shm_failpoint = crash_kill;
		op();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

void
crash_point(const char *name)
{
	if (shm_failpoint)
		shm_failpoint(name);
}

void
crash_yield(const char *name)
{
	(void)name;
	sched_yield();
}

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/probe.h"

enum { PROBE_MS = 60000, PROBE_OUTPUT_MAX = 1 << 18, PROBES = 4 };

static struct probe *probes[PROBES]; /* those running */

void
probe_init(void)
{
	memset(probes, 0, sizeof(probes));
}

static void
probe_forget(struct probe *p)
{
	for (int i = 0; i < PROBES; i++)
		if (probes[i] == p)
			probes[i] = NULL;
	alarm_del(&p->alarm);
	if (p->fd >= 0) {
		watch_del(&p->watch);
		close(p->fd);
	}
	p->fd = -1;
	p->pid = 0;
}

/* Both its output and its process have ended. */
static void
probe_settle(struct probe *p)
{
	struct text out = p->out;

	if (p->fd >= 0 || p->pid != 0)
		return;
	probe_forget(p);
	p->out = (struct text){ 0 };
	p->done(p->status, &out);
	text_free(&out);
}

static void
probe_read(void *arg, short revents)
{
	struct probe *p = arg;
	char *room = text_room(&p->out, 4096);
	ssize_t n = read(p->fd, room, 4096);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		if (p->out.n + (size_t)n <= PROBE_OUTPUT_MAX)
			p->out.n += (size_t)n;
		return;
	}
	watch_del(&p->watch);
	close(p->fd);
	p->fd = -1;
	probe_settle(p);
}

static void
probe_expired(void *arg)
{
	struct probe *p = arg;

	log_errorx(
	    "a check (pid %d) has not ended in %d s: killing it", (int)p->pid, PROBE_MS / 1000);
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
}

bool
probe_reap(pid_t pid, int status)
{
	for (int i = 0; i < PROBES; i++) {
		struct probe *p = probes[i];

		if (!p || p->pid != pid)
			continue;
		p->pid = 0;
		p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		probe_settle(p);
		return true;
	}
	return false;
}

void
probe_fini(void)
{
	for (int i = 0; i < PROBES; i++) {
		struct probe *p = probes[i];

		if (!p)
			continue;
		if (p->pid > 0)
			kill(p->pid, SIGKILL);
		probe_forget(p);
		text_free(&p->out);
	}
}

static void
probe_child(int fd)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close_range(3, ~0U, 0);
	log_open(STDERR_FILENO, LOG_TEXT);
}

/* In the parent: the pid. In the child: 0. */
static pid_t
probe_fork(struct probe *p)
{
	int ends[2], free_one = 0;

	while (free_one < PROBES && probes[free_one])
		free_one++;
	must(free_one < PROBES);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	p->pid = fork();
	if (p->pid == 0) {
		probe_child(ends[1]);
		return 0;
	}
	close(ends[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(ends[0]);
		return -1;
	}
	probes[free_one] = p;
	p->out = (struct text){ 0 };
	p->fd = ends[0];
	fcntl(p->fd, F_SETFL, O_NONBLOCK);
	watch_add(&p->watch, p->fd, POLLIN, probe_read, p);
	alarm_set(&p->alarm, PROBE_MS, probe_expired, p);
	return p->pid;
}

int
probe_call(struct probe *p, int (*fn)(FILE *))
{
	pid_t pid = probe_fork(p);

	if (pid == 0) {
		int status = fn(stdout);

		fflush(stdout);
		_exit(status);
	}
	return pid < 0 ? -1 : 0;
}

int
probe_exec(struct probe *p, const char *path, char *const argv[])
{
	pid_t pid = probe_fork(p);

	if (pid == 0) {
		execv(path, argv);
		dprintf(STDERR_FILENO, "cannot execute %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	return pid < 0 ? -1 : 0;
}

/*
 * The starter reads what workers send, which is why it is not part of the master: it is executed
 * anew, without the master's memory, and sheds what rights it has before it accepts. It takes as
 * many connections as scripts may run; all others wait in the listen queue.
 *
 * On SIGTERM it accepts no more and ends with the last script. Scripts get SIGTERM when it dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/base/loop.h"
#include "master/local/cgirun.h"
#include "master/local/cgistart.h"
#include "master/local/env.h"

enum { CGISTART_AGAIN_MS = 100 };

/* ---- the command line ---- */

enum {
	ARG_VERB,
	ARG_NAME,
	ARG_USER,
	ARG_GROUP,
	ARG_CHROOT,
	ARG_DIRECTORY,
	ARG_NUMBERS,
	ARG_COMMAND = ARG_NUMBERS + 7
};

void
cgistart_exec(const struct localspec *s)
{
	int64_t numbers[ARG_COMMAND - ARG_NUMBERS] = { s->as.max_memory, s->as.max_files,
		s->as.max_cpu, s->as.max_processes, s->as.umask, s->as.parent, s->scripts };
	const char *argv[80] = { "argand", CGISTART_VERB, s->name, s->as.user, s->as.group,
		s->as.chroot, s->as.directory };
	char text[ARG_COMMAND - ARG_NUMBERS][24];
	int n = 1 + ARG_NUMBERS;

	for (int i = 0; i < ARG_COMMAND - ARG_NUMBERS; i++) {
		snprintf(text[i], sizeof(text[i]), "%lld", (long long)numbers[i]);
		argv[n++] = text[i];
	}
	for (int i = 0; s->argv[i] && n < 78; i++)
		argv[n++] = s->argv[i];
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	execv(local_env.exe, (char *const *)(uintptr_t)argv);
}

static struct {
	const char *name;
	struct become as;
	char *const *command;
	int sock, signals;
	unsigned scripts;
	bool is_ending;
	struct watch sock_watch, signal_watch;
	struct alarm again;
} self;

static bool
cgistart_parse(int argc, char **argv)
{
	int64_t numbers[ARG_COMMAND - ARG_NUMBERS];

	if (argc < ARG_COMMAND)
		return false;
	for (int i = 0; i < ARG_COMMAND - ARG_NUMBERS; i++)
		numbers[i] = strtoll(argv[ARG_NUMBERS + i], NULL, 10);
	self.name = argv[ARG_NAME];
	self.as = (struct become){ argv[ARG_USER], argv[ARG_GROUP], argv[ARG_CHROOT],
		argv[ARG_DIRECTORY], numbers[0], numbers[1], numbers[2], numbers[3],
		(unsigned)numbers[4], (pid_t)numbers[5] };
	self.scripts = (unsigned)numbers[6];
	self.command = argv + ARG_COMMAND;
	return self.scripts > 0;
}

/* ---- accepting ---- */

/* The turn that follows listens again. */
static void
cgistart_again(void *arg)
{
	(void)arg;
}

static void
cgistart_accept(void *arg, short revents)
{
	int fd = accept4(self.sock, NULL, NULL, SOCK_CLOEXEC);

	(void)arg;
	(void)revents;
	if (fd >= 0) {
		cgirun_open(fd, self.command, &self.as);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		dprintf(STDERR_FILENO, "accept: %s\n", strerror(errno));
		watch_del(&self.sock_watch);
		alarm_set(&self.again, CGISTART_AGAIN_MS, cgistart_again, NULL);
	}
}

/* As long as one more script may run. */
static void
cgistart_listen(void)
{
	if (self.is_ending || cgirun_busy() >= self.scripts)
		watch_del(&self.sock_watch);
	else if (!link_is_on(&self.again.link))
		watch_add(&self.sock_watch, self.sock, POLLIN, cgistart_accept, NULL);
}

static void
cgistart_end(void)
{
	if (self.is_ending)
		return;
	self.is_ending = true;
	watch_del(&self.sock_watch);
	close(self.sock);
}

static void
cgistart_signalled(void *arg, short revents)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)arg;
	(void)revents;
	while (read(self.signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			cgistart_end();
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		cgirun_reap(pid, status);
}

/* ---- the beginning ---- */

static void
cgistart_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	must(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	must(self.signals >= 0);
	watch_add(&self.signal_watch, self.signals, POLLIN, cgistart_signalled, NULL);
}

static void
cgistart_files(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit rl;

	self.sock = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	must(self.sock >= 0 && null >= 0);
	fcntl(self.sock, F_SETFL, fcntl(self.sock, F_GETFL) | O_NONBLOCK);
	dup2(null, STDIN_FILENO);
	close(null);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

int
cgistart_main(int argc, char **argv)
{
	const char *what = "";

	if (!cgistart_parse(argc, argv)) {
		fprintf(stderr, "argand: the server itself starts this\n");
		return EXIT_FAILURE;
	}
	loop_init();
	cgirun_init();
	cgistart_files();
	if (become_be(&self.as, &what) < 0) {
		fprintf(stderr, "cannot become %s: %s\n", what, strerror(errno));
		return EXIT_FAILURE;
	}
	cgistart_signals();
	while (!self.is_ending || !cgirun_is_empty()) {
		cgistart_listen();
		loop_turn();
	}
	return EXIT_SUCCESS;
}

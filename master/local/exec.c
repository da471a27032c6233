/*
 * Between fork() and exec(): in the child of the master. Descriptors are set to close with exec
 * instead of being closed, so that the child can say in the error log why it could not execute.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/local/cgistart.h"
#include "master/local/exec.h"

enum { LOCALEXEC_FAILED = 126, LOCALEXEC_MISSING = 127, LOCALEXEC_FD = 3, LOCALEXEC_LOG_FD = 16 };

extern char **environ;

static _Noreturn void
localexec_fail(const struct localspec *s, const char *verb, const char *what)
{
	int status = errno == ENOENT ? LOCALEXEC_MISSING : LOCALEXEC_FAILED;

	log_error("backend %s: cannot %s %s", s->name, verb, what);
	_exit(status);
}

/* Standard error will be the pipe; what we say ourselves belongs into the error log. */
static void
localexec_log(void)
{
	bool is_stderr = log_fd() == STDERR_FILENO;
	int fd = fcntl(log_fd(), F_DUPFD_CLOEXEC, LOCALEXEC_LOG_FD);

	if (fd >= 0)
		log_open(fd, is_stderr ? log_form_for_stderr() : LOG_TEXT);
}

/* Standard input, output and error; nothing else is handed on. */
static bool
localexec_stdio(const struct localspec *s, int sock, int err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(sock >= 0 ? sock : null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		return false;
	/* The flag belongs to the socket, which a CGI starter may have had before. */
	if (sock >= 0)
		fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) & ~O_NONBLOCK);
	if (close_range(LOCALEXEC_FD, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		for (int fd = LOCALEXEC_FD; fd < 65536; fd++)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	return sock < 0 || !s->is_announced || dup2(STDIN_FILENO, LOCALEXEC_FD) >= 0;
}

/* sd_listen_fds(3): the socket once more, as the first one after standard error. */
static void
localexec_announce(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
}

static _Noreturn void
localexec_child(const struct localspec *s, int sock, int err)
{
	const char *what = "";

	become_fresh();
	localexec_log();
	if (!localexec_stdio(s, sock, err))
		localexec_fail(s, "set up", "standard input and output");
	environ = (char **)(uintptr_t)s->envp;
	if (s->is_cgi)
		cgistart_exec(s);
	if (s->is_cgi)
		localexec_fail(s, "start", "the CGI starter");
	if (s->is_announced)
		localexec_announce();
	become_limit(&s->as);
	if (become_be(&s->as, &what) < 0)
		localexec_fail(s, "become", what);
	become_limit_memory(&s->as);
	execvp(s->argv[0], s->argv);
	localexec_fail(s, "execute", s->argv[0]);
}

pid_t
localexec_start(const struct localspec *s, int sock, int err)
{
	pid_t pid = fork();

	if (pid == 0)
		localexec_child(s, sock, err);
	return pid;
}

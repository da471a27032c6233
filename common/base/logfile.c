#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/logfile.h"

static const struct {
	struct str name;
	int fd;
} logfile_streams[] = {
	{ STR_INIT("stdout"), STDOUT_FILENO },
	{ STR_INIT("stderr"), STDERR_FILENO },
};

enum { LOGFILE_MODE = 0640, LOGFILE_PIPE_SIZE = 1 << 20 };

/* The child's side: never returns. Signals that the master ignores or blocks are as usual again;
   its own process group keeps a Ctrl-C from ending it before the last lines are written. */
static _Noreturn void
logfile_exec(const char *command, int fd)
{
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(126);
	close_range(3, ~0U, 0);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int
logfile_spawn(struct str command, pid_t *pid)
{
	char z[4096];
	int ends[2];

	if (command.n >= sizeof(z)) {
		errno = E2BIG;
		return -1;
	}
	memcpy(z, command.p, command.n);
	z[command.n] = '\0';
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	fcntl(ends[1], F_SETPIPE_SZ, LOGFILE_PIPE_SIZE); /* a hint: a smaller pipe works too */
	*pid = fork();
	if (*pid == 0)
		logfile_exec(z, ends[0]);
	close(ends[0]);
	if (*pid > 0)
		return ends[1];
	*pid = 0;
	close(ends[1]);
	return -1;
}

/* What was opened is something to write lines to, and nobody has put it there for us to write to.
 */
static bool
logfile_is_one(const struct safedir *d, int fd, char why[SAFEDIR_WHY])
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		snprintf(why, SAFEDIR_WHY, "%s", strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
		snprintf(why, SAFEDIR_WHY, "it is no regular file, FIFO or terminal");
		errno = EINVAL;
		return false;
	}
	if (S_ISREG(st.st_mode) && safedir_is_planted(d, &st)) {
		snprintf(why, SAFEDIR_WHY, "it is not ours, or has a second name, and %s",
		    d->is_shared ? "others may write its directory"
				 : "everybody may add files to its directory");
		errno = EPERM;
		return false;
	}
	return true;
}

/* Below the descriptor of its directory: see safedir.h. */
static int
logfile_open_in(const struct safedir *d, char why[SAFEDIR_WHY])
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, fd, error;

	/* O_NONBLOCK: opening a FIFO nobody reads must fail, not hang the master. */
	flags |= O_NONBLOCK | (d->is_kernels ? 0 : O_NOFOLLOW);
	fd = openat(d->fd, d->name, flags, LOGFILE_MODE);
	if (fd < 0) {
		snprintf(why, SAFEDIR_WHY, "%s", strerror(errno));
		return -1;
	}
	if (logfile_is_one(d, fd, why))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
logfile_open_path(struct str path, char why[SAFEDIR_WHY])
{
	char z[4096];
	struct safedir d;
	int fd;

	if (path.n >= sizeof(z)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(z, path.p, path.n);
	z[path.n] = '\0';
	if (safedir_open(&d, z, why) < 0)
		return -1;
	fd = logfile_open_in(&d, why);
	safedir_close(&d);
	return fd;
}

static int
logfile_open_any(struct str destination, pid_t *pid, char why[SAFEDIR_WHY])
{
	size_t n = sizeof(logfile_streams) / sizeof(logfile_streams[0]);
	struct str rest = destination;

	for (size_t i = 0; i < n; i++)
		if (str_eq(destination, logfile_streams[i].name))
			return fcntl(logfile_streams[i].fd, F_DUPFD_CLOEXEC, 3);
	if (str_eq(str_split(&rest, ':'), STR("syslog")))
		return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (destination.n && destination.p[0] == '|')
		return logfile_spawn(str_n(destination.p + 1, destination.n - 1), pid);
	return logfile_open_path(destination, why);
}

int
logfile_open(struct str destination, pid_t *pid, char why[SAFEDIR_WHY])
{
	int fd, error;

	*pid = 0;
	why[0] = '\0';
	fd = logfile_open_any(destination, pid, why);
	error = errno;
	if (fd < 0 && !why[0])
		snprintf(why, SAFEDIR_WHY, "%s", strerror(error));
	errno = error;
	return fd;
}

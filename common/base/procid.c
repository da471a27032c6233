#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/procid.h"

enum { PROCID_FIELD = 22, PROCID_STATE = 3 };

/* Reads field 3 (state) and 22 (start time) of the stat line. The name in field 2 may hold anything
   but is the last thing in parentheses. */
static bool
procid_parse(char *text, char *state, uint64_t *started)
{
	char *p = strrchr(text, ')');

	if (!p || p[1] != ' ' || !p[2])
		return false;
	*state = p[2];
	p += 2;
	for (int field = PROCID_STATE; field < PROCID_FIELD; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	*started = strtoull(p, NULL, 10);
	return true;
}

/* A file of /proc/PID, as much of it as there is room for. */
static bool
procid_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

static bool
procid_read(pid_t pid, char *state, uint64_t *started)
{
	char text[1024];

	return procid_file(pid, "stat", text, sizeof(text)) && procid_parse(text, state, started);
}

uint64_t
procid_starttime(pid_t pid)
{
	uint64_t started;
	char state;

	return procid_read(pid, &state, &started) ? started : 0;
}

void
procid_note(struct procid *id, pid_t child, uid_t uid)
{
	struct stat st;

	*id = (struct procid){ .pid = child, .uid = uid, .started = procid_starttime(child) };
	if (stat("/proc/self/exe", &st) == 0) {
		id->exe_dev = st.st_dev;
		id->exe_ino = st.st_ino;
	}
}

static bool
procid_is_started(const struct procid *id)
{
	uint64_t started;
	char state;

	return id->started && procid_read(id->pid, &state, &started) && started == id->started &&
	       state != 'Z' && state != 'X';
}

/* The real, effective, saved and file system's user. */
static bool
procid_users(pid_t pid, unsigned uids[4])
{
	char text[2048];
	const char *line;

	if (!procid_file(pid, "status", text, sizeof(text)))
		return false;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %u %u %u %u", uids, uids + 1, uids + 2, uids + 3) == 4;
}

static bool
procid_is_user(const struct procid *id)
{
	unsigned uids[4];

	if (!procid_users(id->pid, uids))
		return false;
	for (int i = 0; i < 4; i++)
		if (uids[i] != id->uid)
			return false;
	return true;
}

void
procid_look(struct procid *id, pid_t child)
{
	unsigned uids[4] = { 0 };
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)child);
	procid_users(child, uids);
	*id = (struct procid){ .pid = child, .uid = uids[0], .started = procid_starttime(child) };
	if (stat(path, &st) == 0) {
		id->exe_dev = st.st_dev;
		id->exe_ino = st.st_ino;
	}
}

/* Not everybody may look (a master without CAP_SYS_PTRACE whose workers are somebody else): then
   the time of the start decides. */
static bool
procid_is_program(const struct procid *id)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)id->pid);
	if (stat(path, &st) < 0)
		return errno == EACCES || errno == EPERM;
	return id->exe_ino == 0 || (st.st_dev == id->exe_dev && st.st_ino == id->exe_ino);
}

/* The descriptor comes first: if its process is there when all was looked at, it is what was looked
   at. */
int
procid_open(const struct procid *id)
{
	int fd;

	if (id->pid <= 1 || id->pid == getpid())
		return -1;
	fd = procid_open_child(id->pid);
	if (fd < 0)
		return -1;
	if (procid_is_started(id) && procid_is_user(id) && procid_is_program(id) &&
	    procid_signal(fd, 0))
		return fd;
	close(fd);
	return -1;
}

int
procid_open_child(pid_t pid)
{
	return pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

bool
procid_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0;
}

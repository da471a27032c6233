#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/procid.h"

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

static bool
procid_read(pid_t pid, char *state, uint64_t *started)
{
	char path[48], text[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return procid_parse(text, state, started);
}

uint64_t
procid_starttime(pid_t pid)
{
	uint64_t started;
	char state;

	return procid_read(pid, &state, &started) ? started : 0;
}

enum procid
procid_is(pid_t pid, uint64_t started)
{
	uint64_t now;
	char state;

	if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
		return PROCID_GONE;
	if (!procid_read(pid, &state, &now))
		return PROCID_UNKNOWN;
	if (state == 'Z' || state == 'X')
		return PROCID_GONE;
	if (!started)
		return PROCID_UNKNOWN;
	return now == started ? PROCID_SAME : PROCID_GONE;
}

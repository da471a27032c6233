/*
 * An accepted Unix socket has the name of the one that listens, and stands in /proc/net/unix with
 * its inode; which of them a process has open stands in its /proc/PID/fd.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/local/busy.h"

enum { LOCALBUSY_CONNECTED = 3 }; /* the column St: SS_CONNECTED */

struct localbusy_inodes {
	unsigned long *v;
	size_t n, room;
};

static void
localbusy_add(struct localbusy_inodes *all, unsigned long inode)
{
	if (all->n == all->room) {
		all->room = all->room * 2 + 64;
		all->v = must_realloc(all->v, all->room * sizeof(*all->v));
	}
	all->v[all->n++] = inode;
}

/* All connections of a listening socket's name. False when the table cannot be read. */
static bool
localbusy_read(struct localbusy_inodes *all, const char *path)
{
	FILE *f = fopen("/proc/self/net/unix", "re");
	char line[512];

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		unsigned long inode;
		unsigned state;
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*s %*s %*s %*s %*s %x %lu %n", &state, &inode, &at) == 2 && at &&
		    state == LOCALBUSY_CONNECTED && inode && strcmp(line + at, path) == 0)
			localbusy_add(all, inode);
	}
	fclose(f);
	return true;
}

static bool
localbusy_has(const struct localbusy_inodes *all, unsigned long inode)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i] == inode)
			return true;
	return false;
}

static int
localbusy_count(DIR *d, const struct localbusy_inodes *all)
{
	struct dirent *e;
	char target[64];
	int count = 0;

	while ((e = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
		unsigned long inode;

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) == 1)
			count += localbusy_has(all, inode);
	}
	return count;
}

int
localbusy_connections(pid_t pid, const char *path)
{
	struct localbusy_inodes all = { 0 };
	char dir[48];
	int count = -1;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	if (d && localbusy_read(&all, path))
		count = localbusy_count(d, &all);
	if (d)
		closedir(d);
	free(all.v);
	return count;
}

/* The value of a line of /proc/PID/status; empty when there is none. */
static void
localbusy_status(pid_t pid, const char *name, char *value, size_t len)
{
	char path[48], line[256];
	size_t n = strlen(name);
	FILE *f;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && !value[0] && fgets(line, sizeof(line), f))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			snprintf(value, len, "%s", line + n + 1 + strspn(line + n + 1, " \t"));
	if (f)
		fclose(f);
}

static bool
localbusy_has_signal(pid_t pid, const char *set, int signal)
{
	char value[64];

	localbusy_status(pid, set, value, sizeof(value));
	return !value[0] || (strtoull(value, NULL, 16) >> (signal - 1) & 1);
}

bool
localbusy_catches_term(pid_t pid)
{
	return localbusy_has_signal(pid, "SigCgt", SIGTERM) ||
	       localbusy_has_signal(pid, "SigIgn", SIGTERM) ||
	       localbusy_has_signal(pid, "SigBlk", SIGTERM);
}

bool
localbusy_is_frozen(pid_t pid)
{
	char value[64];

	localbusy_status(pid, "State", value, sizeof(value));
	return value[0] == 'T';
}

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/holder.h"

enum { HOLDER_LISTEN = 0x0a }; /* TCP_LISTEN in /proc/net/tcp */

/* The inode of a socket that listens on the port; 0: none. */
static unsigned long
holder_inode(const char *table, unsigned port)
{
	char line[512];
	unsigned local, state;
	unsigned long inode = 0, found = 0;
	FILE *f = fopen(table, "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local,
			&state, &inode) == 3 &&
		    local == port && state == HOLDER_LISTEN)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static int
holder_has(const char *pid, const char *wanted)
{
	char path[300], target[64];
	struct dirent *e;
	DIR *d;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d && !found && (e = readdir(d)) != NULL) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s/fd/%.20s", pid, e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	if (d)
		closedir(d);
	return found;
}

static void
holder_name(const char *pid, char *text, size_t len)
{
	char path[300], name[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
	snprintf(text, len, "%s (pid %.12s)", name[0] ? name : "a process", pid);
}

int
holder_of_port(unsigned port, char *text, size_t len)
{
	unsigned long inode = holder_inode("/proc/net/tcp", port);
	char wanted[48];
	struct dirent *e;
	int found = 0;
	DIR *d;

	if (!inode)
		inode = holder_inode("/proc/net/tcp6", port);
	if (!inode)
		return 0;
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	d = opendir("/proc");
	while (d && !found && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) || !holder_has(e->d_name, wanted))
			continue;
		holder_name(e->d_name, text, len);
		found = 1;
	}
	if (d)
		closedir(d);
	return found;
}

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/safedir.h"
#include "master/base/pidfile.h"

enum { PIDFILE_LEN = 24 };

static struct {
	char *path;
	pid_t pid;
} self;

void
pidfile_init(void)
{
	self.path = NULL;
	self.pid = 0;
}

/* The number in it; 0: it is empty, -1: it is something else. */
static long
pidfile_read(int fd)
{
	char text[PIDFILE_LEN + 1];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	char *end;
	long pid;

	if (n < 0 || n == (ssize_t)sizeof(text))
		return -1;
	text[n] = '\0';
	if (n == 0)
		return 0;
	pid = isdigit((unsigned char)text[0]) ? strtol(text, &end, 10) : -1;
	return pid > 0 && end[strspn(end, " \n")] == '\0' ? pid : -1;
}

/* A regular file, of which nobody has made the name a second one for something else. */
static int
pidfile_open(const struct safedir *d, int flags, char why[SAFEDIR_WHY])
{
	int fd = openat(d->fd, d->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0644);
	struct stat st;

	if (fd < 0) {
		snprintf(why, SAFEDIR_WHY, "%s", strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !safedir_is_planted(d, &st) &&
	    pidfile_read(fd) >= 0)
		return fd;
	snprintf(why, SAFEDIR_WHY, "there is something else of that name, which is left alone");
	close(fd);
	return -1;
}

static bool
pidfile_write(const char *path, pid_t pid, char why[SAFEDIR_WHY])
{
	struct safedir d;
	bool is_written;
	int fd;

	if (safedir_open(&d, path, why) < 0)
		return false;
	fd = pidfile_open(&d, O_CREAT, why);
	safedir_close(&d);
	if (fd < 0)
		return false;
	is_written = ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", (int)pid) > 0;
	if (!is_written)
		snprintf(why, SAFEDIR_WHY, "%s", strerror(errno));
	close(fd);
	return is_written;
}

void
pidfile_remove(void)
{
	char why[SAFEDIR_WHY];
	struct safedir d;
	int fd;

	if (!self.path || safedir_open(&d, self.path, why) < 0)
		return;
	fd = pidfile_open(&d, 0, why);
	if (fd >= 0 && pidfile_read(fd) == (long)self.pid)
		unlinkat(d.fd, d.name, 0);
	if (fd >= 0)
		close(fd);
	safedir_close(&d);
}

void
pidfile_set(const char *path, pid_t pid)
{
	char why[SAFEDIR_WHY];

	if (self.path && path && strcmp(self.path, path) == 0)
		return;
	pidfile_remove();
	free(self.path);
	self.path = path ? must_strdup(path) : NULL;
	self.pid = pid;
	if (path && !pidfile_write(path, pid, why))
		log_warnx("pid file %s: %s", path, why);
}

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/base/inherit.h"
#include "master/local/sock.h"

int
localsock_own(const char *path, const struct sockfile *file, const char *owner)
{
	struct passwd *pw = owner[0] ? getpwnam(owner) : NULL;
	struct sockfile_owner o = { pw ? pw->pw_uid : 0, (gid_t)-1, 0600 };

	return pw && geteuid() == 0 ? sockfile_give(path, file, &o) : 0;
}

/* The children of a master that was killed may serve for a while: they end, and their socket is
   nobody's. */
int
localsock_open(const char *path, const char *owner, struct sockfile *file, char why[SAFEDIR_WHY])
{
	pid_t holder;
	int fd = sockfile_bind(path, 0, SOCKFILE_CREATOR, file, &holder, why), saved;

	if (fd < 0)
		return -1;
	if (localsock_own(path, file, owner) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	saved = errno;
	snprintf(why, SAFEDIR_WHY, "%s", strerror(saved));
	sockfile_remove(path, file);
	close(fd);
	errno = saved;
	return -1;
}

void
localsock_bound(int fd, char *path, size_t len)
{
	struct sockaddr_un a = { 0 };
	socklen_t n = sizeof(a);

	path[0] = '\0';
	if (getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sun_family == AF_UNIX)
		snprintf(path, len, "%.*s", (int)sizeof(a.sun_path), a.sun_path);
}

bool
localsock_has_waiting(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* The stored socket has this path, or that from which it was renamed to this one. */
static bool
localsock_is_at(int fd, const char *path)
{
	char bound[128], next[128];
	socklen_t len = sizeof(int);
	int listens = 0;

	localsock_bound(fd, bound, sizeof(bound));
	snprintf(next, sizeof(next), "%s" LOCALSOCK_NEXT, path);
	return (strcmp(bound, path) == 0 || strcmp(bound, next) == 0) &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens;
}

int
localsock_take(const char *name, const char *path, struct sockfile *file)
{
	int fd = inherit_take(name);

	if (fd >= 0 && localsock_is_at(fd, path)) {
		sockfile_know(file, fd, path);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

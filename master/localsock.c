#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/inherit.h"
#include "master/localsock.h"

/* Whether the process that made the socket listen is still there. Its children may be, for a while,
   when a master was killed: they end, and their socket is nobody's. */
static bool
localsock_has_owner(int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0)
		return true;
	return cred.pid != getpid() && (kill(cred.pid, 0) == 0 || errno != ESRCH);
}

/* Removes the file of a socket that no living server has. 0, or -1 with errno. */
static int
localsock_clear(const struct sockaddr_un *a)
{
	struct stat st;
	bool is_taken;
	int fd;

	if (lstat(a->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		is_taken = localsock_has_owner(fd);
	else
		is_taken = errno != ECONNREFUSED;
	close(fd);
	errno = EADDRINUSE;
	return is_taken ? -1 : unlink(a->sun_path);
}

int
localsock_own(const char *path, const char *owner)
{
	struct passwd *pw = owner[0] ? getpwnam(owner) : NULL;

	if (!pw || geteuid() != 0)
		return 0;
	return lchown(path, pw->pw_uid, (gid_t)-1);
}

static int
localsock_bind(const struct sockaddr_un *a, const char *owner)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved, rc;
	mode_t before;

	if (fd < 0)
		return -1;
	before = umask(0177);
	rc = bind(fd, (const struct sockaddr *)a, sizeof(*a));
	umask(before);
	if (rc == 0 && localsock_own(a->sun_path, owner) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	saved = errno;
	if (rc == 0)
		unlink(a->sun_path);
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

/* The stored one has this path or the one that it was bound to before it got this. */
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
localsock_open(const char *name, const char *path, const char *owner)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = name ? inherit_take(name) : -1;

	if (fd >= 0 && localsock_is_at(fd, path))
		return fd;
	if (fd >= 0)
		close(fd);
	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	if (localsock_clear(&a) < 0)
		return -1;
	return localsock_bind(&a, owner);
}

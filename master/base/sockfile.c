#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/base/sockfile.h"

/* ---- which file ---- */

static bool
sockfile_is(const struct sockfile *f, const struct stat *st)
{
	return S_ISSOCK(st->st_mode) && f->ino != 0 && st->st_ino == f->ino && st->st_dev == f->dev;
}

/* The kernel says which file a socket was bound to, but only to root. Otherwise: the file of that
   name, if it can only be the one that we have just made there. */
static int
sockfile_find(const struct safedir *d, int sock, struct sockfile *f)
{
	struct stat st;
	int fd = ioctl(sock, SIOCUNIXFILE), rc;

	if (fd >= 0) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		rc = fstat(fd, &st);
		close(fd);
	} else {
		rc = fstatat(d->fd, d->name, &st, AT_SYMLINK_NOFOLLOW);
		if (rc == 0 && (st.st_uid != geteuid() || st.st_nlink != 1))
			rc = -1;
	}
	if (rc < 0 || !S_ISSOCK(st.st_mode))
		return -1;
	*f = (struct sockfile){ st.st_dev, st.st_ino };
	return 0;
}

/* A descriptor (O_PATH) of the file, if the name still is its. */
static int
sockfile_open(const struct safedir *d, const struct sockfile *f)
{
	int fd = openat(d->fd, d->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && sockfile_is(f, &st))
		return fd;
	close(fd);
	errno = ESTALE;
	return -1;
}

void
sockfile_know(struct sockfile *f, int sock, const char *path)
{
	char why[SAFEDIR_WHY];
	struct safedir d;

	*f = (struct sockfile){ 0 };
	if (safedir_open(&d, path, why) < 0)
		return;
	sockfile_find(&d, sock, f);
	safedir_close(&d);
}

/* ---- making room ---- */

/* Whether somebody serves on it. Asked at the file itself, which a name may leave meanwhile. */
static bool
sockfile_is_alive(int file, enum sockfile_live live, pid_t *holder)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_alive;

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d", file);
	if (fd < 0)
		return true;
	is_alive = connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
	if (!is_alive)
		is_alive = errno != ECONNREFUSED;
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		*holder = cred.pid;
	close(fd);
	if (live == SOCKFILE_CREATOR && *holder > 0)
		return *holder != getpid() && (kill(*holder, 0) == 0 || errno != ESRCH);
	return is_alive;
}

static int
sockfile_clear_in(
    const struct safedir *d, enum sockfile_live live, pid_t *holder, char why[SAFEDIR_WHY])
{
	struct stat st;
	struct sockfile f;
	bool is_alive;
	int fd;

	if (fstatat(d->fd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, SAFEDIR_WHY, "there is a file of that name which is not a socket");
		errno = EEXIST;
		return -1;
	}
	f = (struct sockfile){ st.st_dev, st.st_ino };
	fd = sockfile_open(d, &f);
	if (fd < 0)
		return -1;
	is_alive = sockfile_is_alive(fd, live, holder);
	close(fd);
	if (!is_alive)
		return unlinkat(d->fd, d->name, 0) < 0 && errno != ENOENT ? -1 : 0;
	snprintf(why, SAFEDIR_WHY, "another process serves there");
	errno = EADDRINUSE;
	return -1;
}

int
sockfile_clear(const char *path, enum sockfile_live live, pid_t *holder, char why[SAFEDIR_WHY])
{
	struct safedir d;
	int rc;

	*holder = 0;
	if (safedir_open(&d, path, why) < 0)
		return -1;
	rc = sockfile_clear_in(&d, live, holder, why);
	safedir_close(&d);
	return rc;
}

/* ---- binding ---- */

/* The address has to be the path, which others look for in it; that it led to the directory that
   we hold is seen afterwards. Without rights for anybody meanwhile. */
static int
sockfile_bind_in(const struct safedir *d, const char *path, int flags, struct sockfile *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), fd, error;
	mode_t before;

	if (sock < 0)
		return -1;
	memcpy(a.sun_path, path, strlen(path));
	before = umask(0177);
	error = bind(sock, (const struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
	umask(before);
	if (!error && sockfile_find(d, sock, f) < 0)
		error = ESTALE;
	fd = error ? -1 : sockfile_open(d, f);
	if (!error && fd < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (!error)
		return sock;
	close(sock);
	errno = error;
	return -1;
}

int
sockfile_bind(const char *path, int flags, enum sockfile_live live, struct sockfile *f,
    pid_t *holder, char why[SAFEDIR_WHY])
{
	struct safedir d;
	int fd = -1, error;

	*holder = 0;
	*f = (struct sockfile){ 0 };
	why[0] = '\0';
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(why, SAFEDIR_WHY, "the path is too long");
		errno = ENAMETOOLONG;
		return -1;
	}
	if (safedir_open(&d, path, why) < 0)
		return -1;
	if (sockfile_clear_in(&d, live, holder, why) == 0)
		fd = sockfile_bind_in(&d, path, flags, f);
	error = errno;
	safedir_close(&d);
	if (fd < 0 && !why[0])
		snprintf(why, SAFEDIR_WHY, "%s",
		    error == ESTALE ? "somebody has put another file in its place"
				    : strerror(error));
	errno = error;
	return fd;
}

/* ---- what is done with it ---- */

/* chmod(2) has no form for a descriptor of this kind but its name in /proc. */
static int
sockfile_give_fd(int fd, const struct sockfile_owner *o)
{
	char name[48];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (chmod(name, o->mode) < 0)
		return -1;
	if (o->uid == (uid_t)-1 && o->gid == (gid_t)-1)
		return 0;
	return fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH);
}

int
sockfile_give(const char *path, const struct sockfile *f, const struct sockfile_owner *o)
{
	char why[SAFEDIR_WHY];
	struct safedir d;
	int fd, rc, error;

	if (safedir_open(&d, path, why) < 0)
		return -1;
	fd = sockfile_open(&d, f);
	rc = fd < 0 ? -1 : sockfile_give_fd(fd, o);
	error = errno;
	if (fd >= 0)
		close(fd);
	safedir_close(&d);
	errno = error;
	return rc;
}

static int
sockfile_rename_in(const struct sockfile *f, const struct safedir *from, const struct safedir *to)
{
	int fd = sockfile_open(from, f);
	struct stat st;

	if (fd < 0)
		return -1;
	close(fd);
	if (fstatat(to->fd, to->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	return renameat(from->fd, from->name, to->fd, to->name);
}

int
sockfile_rename(const struct sockfile *f, const char *from, const char *to)
{
	char why[SAFEDIR_WHY];
	struct safedir a, b;
	int rc;

	if (safedir_open(&a, from, why) < 0)
		return -1;
	rc = safedir_open(&b, to, why);
	if (rc == 0)
		rc = sockfile_rename_in(f, &a, &b);
	safedir_close(&a);
	safedir_close(&b);
	return rc;
}

void
sockfile_remove(const char *path, const struct sockfile *f)
{
	char why[SAFEDIR_WHY];
	struct safedir d;
	int fd;

	if (f->ino == 0 || safedir_open(&d, path, why) < 0)
		return;
	fd = sockfile_open(&d, f);
	if (fd >= 0) {
		unlinkat(d.fd, d.name, 0);
		close(fd);
	}
	safedir_close(&d);
}

#include "modules/receive/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/beneath.h"

enum { STORE_PATH = RECEIVE_ID + 16 };

static int
store_fail(int err)
{
	errno = err;
	return -1;
}

void
receive_store_init(struct receive_upload *u, const struct receive_conf *c)
{
	*u = (struct receive_upload){
		.c = c, .root = -1, .hold = -1, .fd = -1, .length = -1, .final = -1, .pending = -1
	};
}

static void
store_shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static const char *
store_path(const struct receive_upload *u, const char *suffix, char path[STORE_PATH])
{
	snprintf(path, STORE_PATH, "%s.%s", u->id, suffix);
	return path;
}

void
receive_store_close(struct receive_upload *u)
{
	char path[STORE_PATH];

	/* A file without a name, where there are none. */
	if (u->is_named && u->kind == RECEIVE_PLAIN)
		unlinkat(u->hold, store_path(u, "part", path), 0);
	store_shut(&u->fd);
	store_shut(&u->hold);
	store_shut(&u->root);
	free(u->metadata);
	free(u->concat);
	u->metadata = u->concat = NULL;
	u->is_named = false;
}

int
receive_store_open(struct receive_upload *u)
{
	static const char hold[] = ".uploads";

	u->root = open(u->c->directory.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->root < 0)
		return -1;
	if (mkdirat(u->root, hold, 0700) < 0 && errno != EEXIST)
		return -1;
	u->hold = openat(u->root, hold, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return u->hold < 0 ? -1 : 0;
}

static const char *
store_name(const struct receive_upload *u)
{
	return u->name[0] ? u->name : u->id;
}

int
receive_store_look(struct receive_upload *u)
{
	int fd = beneath_open(u->root, str_of(store_name(u)), LINKS_NONE, O_PATH | O_NOFOLLOW);

	u->was_there = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : store_fail(errno == ELOOP ? EEXIST : errno);
	if (fstat(fd, &u->seen) == 0)
		u->was_there = true;
	close(fd);
	return u->was_there && !S_ISREG(u->seen.st_mode) ? store_fail(EISDIR) : 0;
}

/* --- locks: octet 0 of ID.part is held by who adds to it, octet 1 by who wants to --- */

static int
store_lock(int fd, int cmd, short type, off_t at, bool *is_held)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	int rc = fcntl(fd, cmd, &lock);

	if (is_held)
		*is_held = rc == 0 && lock.l_type != F_UNLCK;
	return rc;
}

int
receive_store_lock(struct receive_upload *u)
{
	if (store_lock(u->fd, F_OFD_SETLK, F_WRLCK, 0, NULL) == 0) {
		store_lock(u->fd, F_OFD_SETLK, F_UNLCK, 1, NULL);
		u->is_waiting = false;
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES)
		return -1;
	if (!u->is_waiting)
		u->is_waiting = store_lock(u->fd, F_OFD_SETLK, F_WRLCK, 1, NULL) == 0;
	return store_fail(EAGAIN);
}

bool
receive_store_is_wanted(const struct receive_upload *u)
{
	bool is_held;

	store_lock(u->fd, F_OFD_GETLK, F_WRLCK, 1, &is_held);
	return is_held;
}

/* --- making --- */

static int
store_id(struct receive_upload *u)
{
	unsigned char v[RECEIVE_ID / 2];

	if (getrandom(v, sizeof(v), 0) != (ssize_t)sizeof(v))
		return -1;
	for (size_t i = 0; i < sizeof(v); i++)
		snprintf(u->id + 2 * i, 3, "%02x", v[i]);
	return 0;
}

static int
store_make(struct receive_upload *u)
{
	char path[STORE_PATH];

	if (u->kind == RECEIVE_PLAIN) {
		u->fd = openat(u->hold, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (u->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
			return u->fd < 0 ? -1 : 0;
	}
	u->fd = openat(u->hold, store_path(u, "part", path),
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	u->is_named = u->fd >= 0;
	return u->fd < 0 ? -1 : receive_store_lock(u);
}

int
receive_store_create(struct receive_upload *u)
{
	char path[STORE_PATH];
	int64_t asked = u->length > 0 ? u->length : 0;
	bool is_good;

	if (store_id(u) < 0)
		return -1;
	/* Who makes one knows what all others have asked for. */
	if (u->c->quota > 0 && flock(u->hold, LOCK_EX) < 0)
		return -1;
	is_good =
	    u->c->quota == 0 ||
	    receive_hold_used(u) + (asked < RECEIVE_LEAST ? RECEIVE_LEAST : asked) <= u->c->quota;
	if (!is_good)
		errno = EDQUOT;
	is_good = is_good && store_make(u) == 0;
	if (is_good && u->c->quota > 0 && u->is_named && asked > 0 &&
	    fallocate(u->fd, FALLOC_FL_KEEP_SIZE, 0, asked) < 0)
		is_good = errno == EOPNOTSUPP;
	if (u->c->quota > 0)
		flock(u->hold, LOCK_UN);
	if (is_good && u->kind != RECEIVE_PLAIN)
		is_good = receive_info_write(u) == 0;
	if (!is_good && u->is_named) {
		int err = errno;

		unlinkat(u->hold, store_path(u, "part", path), 0);
		errno = err;
	}
	return is_good ? 0 : -1;
}

/* --- going on --- */

int
receive_store_find(struct receive_upload *u)
{
	char path[STORE_PATH];

	if (receive_store_open(u) < 0 || receive_info_read(u) < 0)
		return -1;
	u->fd = openat(u->hold, store_path(u, "part", path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	u->is_named = u->fd >= 0;
	if (u->fd < 0 && errno == ENOENT) /* it may just have been completed */
		return receive_info_read(u) < 0 || !u->is_complete ? store_fail(ENOENT) : 0;
	return u->fd < 0 ? -1 : 0;
}

int
receive_store_read(struct receive_upload *u)
{
	struct stat st;

	if (receive_info_read(u) < 0)
		return -1;
	if (u->is_complete)
		return 0;
	if (fstat(u->fd, &st) < 0)
		return -1;
	if (u->pending >= 0 && u->pending < st.st_size) {
		if (ftruncate(u->fd, u->pending) < 0)
			return -1;
		st.st_size = u->pending;
	}
	u->offset = st.st_size;
	return 0;
}

int
receive_store_save(struct receive_upload *u)
{
	return receive_info_write(u);
}

int
receive_store_sync(struct receive_upload *u)
{
	return u->c->sync && u->fd >= 0 ? fdatasync(u->fd) : 0;
}

/* --- completing --- */

static bool
store_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A name for it in the directory. */
static int
store_link_to(struct receive_upload *u, int dir, const char *name)
{
	char path[64];

	if (u->is_named)
		return linkat(u->hold, store_path(u, "part", path), dir, name, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

static int
store_link(struct receive_upload *u)
{
	const char *name = store_name(u);
	char fresh[STORE_PATH];
	struct stat own, st;

	if (fstat(u->fd, &own) < 0)
		return -1;
	if (fstatat(u->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
			return 0; /* who did this before us did not come further */
		if (u->was_there && !store_is_same(&st, &u->seen))
			return store_fail(ESTALE);
		if (!u->may_replace)
			return store_fail(EEXIST);
	} else if (u->was_there) {
		return store_fail(ESTALE);
	}
	if (!u->may_replace)
		return store_link_to(u, u->root, name);
	store_path(u, "link", fresh);
	unlinkat(u->hold, fresh, 0);
	if (store_link_to(u, u->hold, fresh) < 0)
		return -1;
	if (renameat(u->hold, fresh, u->root, name) == 0)
		return 0;
	unlinkat(u->hold, fresh, 0);
	return -1;
}

int
receive_store_keep(struct receive_upload *u)
{
	char path[STORE_PATH];
	int rc = -1;

	if (fchmod(u->fd, u->c->mode) < 0 ||
	    (u->c->gid >= 0 && fchown(u->fd, (uid_t)-1, (gid_t)u->c->gid) < 0) ||
	    (u->c->sync && fsync(u->fd) < 0) || flock(u->hold, LOCK_EX) < 0)
		return -1;
	if (u->c->quota > 0 && receive_hold_used(u) + (u->is_named ? 0 : u->offset) > u->c->quota)
		errno = EDQUOT;
	else
		rc = store_link(u);
	flock(u->hold, LOCK_UN);
	if (rc < 0 || (u->c->sync && fsync(u->root) < 0))
		return -1;
	u->is_complete = true;
	if (u->kind == RECEIVE_PLAIN)
		return 0; /* what has a name here loses it when it is closed */
	if (receive_info_write(u) < 0)
		return -1;
	unlinkat(u->hold, store_path(u, "part", path), 0);
	u->is_named = false;
	return 0;
}

/* --- removing --- */

int
receive_store_remove(struct receive_upload *u)
{
	char path[STORE_PATH];
	int rc = unlinkat(u->hold, store_path(u, "info", path), 0);

	unlinkat(u->hold, store_path(u, "part", path), 0);
	unlinkat(u->hold, store_path(u, "fresh", path), 0);
	unlinkat(u->hold, store_path(u, "link", path), 0);
	if (u->c->sync)
		fsync(u->hold);
	return rc;
}

int
receive_store_delete(struct receive_upload *u)
{
	struct stat st;
	int rc;

	if (flock(u->hold, LOCK_EX) < 0)
		return -1;
	rc = fstatat(u->root, store_name(u), &st, AT_SYMLINK_NOFOLLOW);
	if (rc == 0 && (!S_ISREG(st.st_mode) || !store_is_same(&st, &u->seen)))
		rc = store_fail(S_ISREG(st.st_mode) ? ESTALE : EISDIR);
	if (rc == 0)
		rc = unlinkat(u->root, store_name(u), 0);
	flock(u->hold, LOCK_UN);
	if (rc == 0 && u->c->sync)
		rc = fsync(u->root);
	return rc;
}

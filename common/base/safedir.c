#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/base/safedir.h"

enum { SAFEDIR_LINKS = 16 };

struct safedir_walk {
	struct safedir *d;
	struct stat st;       /* of the directory that was reached */
	char rest[PATH_MAX];  /* what is still to be walked */
	char place[PATH_MAX]; /* what was, for messages */
	unsigned links;
	bool is_absolute;
	char *why;
};

/* --- who may write --- */

static const char *
safedir_user(uid_t uid, char room[64])
{
	const struct passwd *pw = getpwuid(uid);

	if (pw)
		snprintf(room, 64, "%s", pw->pw_name);
	else
		snprintf(room, 64, "%u", (unsigned)uid);
	return room;
}

static const char *
safedir_group(gid_t gid, char room[64])
{
	const struct group *gr = getgrgid(gid);

	if (gr)
		snprintf(room, 64, "%s", gr->gr_name);
	else
		snprintf(room, 64, "%u", (unsigned)gid);
	return room;
}

/* A group of one's own (umask 0002 by default in many distributions) has nobody else in it. */
static bool
safedir_is_our_group(gid_t gid)
{
	return gid == 0 || (geteuid() != 0 && gid == getegid());
}

bool
safedir_is_others(const struct stat *st, char *by, size_t len)
{
	char room[64];

	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		if (by)
			snprintf(by, len, "belongs to user %s", safedir_user(st->st_uid, room));
		return true;
	}
	/* In a sticky directory names can be added, but not taken from their owners. */
	if (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX))
		return false;
	if (st->st_mode & S_IWOTH) {
		if (by)
			snprintf(by, len, "may be written by everybody");
		return true;
	}
	if ((st->st_mode & S_IWGRP) && !safedir_is_our_group(st->st_gid)) {
		if (by)
			snprintf(
			    by, len, "may be written by group %s", safedir_group(st->st_gid, room));
		return true;
	}
	return false;
}

/* --- the walk --- */

static int
safedir_refuse(struct safedir_walk *w, int error, const char *what)
{
	if (w->d->is_shared)
		snprintf(w->why, SAFEDIR_WHY,
		    "%.150s %s, and %.150s %s: chown root %.150s; chmod go-w %.150s", w->place,
		    what, w->d->shared, w->d->by, w->d->shared, w->d->shared);
	else
		snprintf(w->why, SAFEDIR_WHY, "%.300s %s", w->place, what);
	errno = error;
	return -1;
}

static int
safedir_failed(struct safedir_walk *w)
{
	int error = errno;

	snprintf(w->why, SAFEDIR_WHY, "%.300s: %s", w->place, strerror(error));
	errno = error;
	return -1;
}

/* The directory is where we are from now on. */
static int
safedir_enter(struct safedir_walk *w, int fd)
{
	struct safedir *d = w->d;

	if (fd < 0 || fstat(fd, &w->st) < 0) {
		safedir_failed(w);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (d->fd >= 0)
		close(d->fd);
	d->fd = fd;
	d->is_sticky = (w->st.st_mode & S_ISVTX) && (w->st.st_mode & (S_IWGRP | S_IWOTH));
	if (!d->is_shared && safedir_is_others(&w->st, d->by, sizeof(d->by))) {
		d->is_shared = true;
		snprintf(d->shared, sizeof(d->shared), "%.*s", (int)sizeof(d->shared) - 1,
		    w->place[0] ? w->place : "/");
	}
	return 0;
}

/* Where an absolute path, or a relative one, begins. */
static int
safedir_begin(struct safedir_walk *w, bool is_absolute)
{
	if (is_absolute) {
		w->place[0] = '\0';
		w->is_absolute = true;
	}
	return safedir_enter(w, open(is_absolute ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Takes the first part of the rest; false when there is none. */
static bool
safedir_part(struct safedir_walk *w, char part[NAME_MAX + 1], bool *is_last)
{
	char *p = w->rest + strspn(w->rest, "/"), *next;
	size_t n = strcspn(p, "/");

	if (n == 0 || n > NAME_MAX) {
		errno = n ? ENAMETOOLONG : EISDIR;
		return false;
	}
	memcpy(part, p, n);
	part[n] = '\0';
	next = p + n + strspn(p + n, "/");
	*is_last = *next == '\0';
	memmove(w->rest, next, strlen(next) + 1);
	return true;
}

/* The way so far and one part more, for messages; cut where it is longer than any path. */
static void
safedir_add_place(struct safedir_walk *w, const char *part)
{
	size_t n = strlen(w->place);

	snprintf(
	    w->place + n, sizeof(w->place) - n, "%s%s", n > 0 || w->is_absolute ? "/" : "", part);
}

static bool
safedir_is_proc(const struct safedir_walk *w)
{
	struct statfs fs;

	return fstatfs(w->d->fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Somebody who may only add names to the directory can have linked one of root's into it, which is
   why that must be its only name. */
static bool
safedir_trusts_link(const struct safedir_walk *w, const struct stat *link)
{
	bool is_ours = link->st_uid == 0 || link->st_uid == geteuid();

	return !w->d->is_shared && is_ours && (!w->d->is_sticky || link->st_nlink == 1);
}

/* What the link says stands before the rest, in the place of the link. */
static int
safedir_follow(struct safedir_walk *w, const char *part, const struct stat *link)
{
	char target[PATH_MAX], room[64], text[160];
	char *slash;
	ssize_t n;

	if (!safedir_trusts_link(w, link)) {
		snprintf(text, sizeof(text), "is a symbolic link of user %s, which is not followed",
		    safedir_user(link->st_uid, room));
		return safedir_refuse(w, ELOOP, text);
	}
	if (++w->links > SAFEDIR_LINKS)
		return safedir_refuse(w, ELOOP, "is one of too many symbolic links");
	n = readlinkat(w->d->fd, part, target, sizeof(target) - 1);
	if (n <= 0)
		return safedir_failed(w);
	target[n] = '\0';
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(w->rest)) {
		errno = ENAMETOOLONG;
		return safedir_failed(w);
	}
	memmove(w->rest + n + 1, w->rest, strlen(w->rest) + 1);
	memcpy(w->rest, target, (size_t)n);
	w->rest[n] = '/';
	slash = strrchr(w->place, '/');
	if (slash)
		*slash = '\0';
	return target[0] == '/' ? safedir_begin(w, true) : 0;
}

static int
safedir_down(struct safedir_walk *w, const char *part)
{
	if (strcmp(part, "..") == 0 && w->d->is_shared)
		return safedir_refuse(w, EXDEV, "leads out of a directory");
	return safedir_enter(
	    w, openat(w->d->fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/* One part of the path. 1: it was the last one. */
static int
safedir_step(struct safedir_walk *w)
{
	char part[NAME_MAX + 1];
	bool is_last, is_there, is_dots;
	struct stat st = { 0 };

	if (!safedir_part(w, part, &is_last))
		return safedir_failed(w);
	safedir_add_place(w, part);
	is_dots = strcmp(part, ".") == 0 || strcmp(part, "..") == 0;
	is_there = fstatat(w->d->fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!is_there && (errno != ENOENT || !is_last))
		return safedir_failed(w);
	if (is_last && !is_dots && S_ISLNK(st.st_mode) && !w->d->is_shared && safedir_is_proc(w))
		w->d->is_kernels = true;
	else if (S_ISLNK(st.st_mode))
		return safedir_follow(w, part, &st);
	if (!is_last || is_dots)
		return safedir_down(w, part);
	memcpy(w->d->name, part, strlen(part) + 1);
	return 1;
}

int
safedir_open(struct safedir *d, const char *path, char why[SAFEDIR_WHY])
{
	struct safedir_walk w = { .d = d, .why = why };
	int rc;

	*d = (struct safedir){ .fd = -1 };
	why[0] = '\0';
	if (strlen(path) >= sizeof(w.rest)) {
		snprintf(why, SAFEDIR_WHY, "%.300s...: %s", path, strerror(ENAMETOOLONG));
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(w.rest, path, strlen(path) + 1);
	rc = safedir_begin(&w, path[0] == '/');
	while (rc == 0)
		rc = safedir_step(&w);
	if (rc > 0)
		return 0;
	safedir_close(d);
	return -1;
}

bool
safedir_is_planted(const struct safedir *d, const struct stat *st)
{
	bool is_ours = st->st_uid == 0 || st->st_uid == geteuid();

	if (d->is_kernels || !(d->is_shared || d->is_sticky))
		return false;
	return st->st_nlink > 1 || (!d->is_shared && !is_ours);
}

void
safedir_close(struct safedir *d)
{
	int error = errno;

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	errno = error;
}

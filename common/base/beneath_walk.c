/*
 * Resolution of a name beneath a root without openat2(2), one component at a time, each opened with
 * O_NOFOLLOW relative to the descriptor of the one before: no component can be exchanged for a link
 * between a check and its use.
 *
 * Invariants: text[at..n) is what is left to resolve; links put their target in front of it. dirs
 * is a stack of the directories passed through, so that ".." in a link's text is a pop and never
 * asks the file system; its bottom is the root, which only the owner policy may leave.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include "common/base/beneath.h"

enum { WALK_DEPTH = 64, WALK_LINKS = 40 };

/* A link was followed: what stands left bytes before the end of the text must belong to uid. */
struct walk_owner {
	uid_t uid;
	size_t left;
};

struct walk {
	enum beneath_links links;
	char text[PATH_MAX]; /* what is left to resolve: text[at..n) */
	size_t at, n;
	int dirs[WALK_DEPTH]; /* dirs[0] is not ours while base_borrowed */
	int ndirs;
	bool base_borrowed; /* not a state: whose descriptor dirs[0] is */
	struct walk_owner owners[WALK_LINKS];
	int nowners;
	int nlinks;
};

static int
beneath_walk_fail(int err)
{
	errno = err;
	return -1;
}

static void
beneath_walk_pop(struct walk *wk)
{
	if (--wk->ndirs > 0 || !wk->base_borrowed)
		close(wk->dirs[wk->ndirs]);
}

static void
beneath_walk_fini(struct walk *wk)
{
	int err = errno;

	while (wk->ndirs)
		beneath_walk_pop(wk);
	errno = err;
}

/* What was resolved so far belongs to whom the links that led there belong to. */
static int
beneath_walk_owner(struct walk *wk, const struct stat *st)
{
	while (wk->nowners && wk->owners[wk->nowners - 1].left >= wk->n - wk->at)
		if (wk->owners[--wk->nowners].uid != st->st_uid)
			return beneath_walk_fail(ELOOP);
	return 0;
}

/* Puts a link's target in front of the text. */
static int
beneath_walk_prepend(struct walk *wk, const char *target, size_t n)
{
	size_t left = wk->n - wk->at;

	if (n + 1 + left >= sizeof(wk->text))
		return beneath_walk_fail(ENAMETOOLONG);
	memmove(wk->text + n + 1, wk->text + wk->at, left);
	memcpy(wk->text, target, n);
	wk->text[n] = '/';
	wk->at = 0;
	/* A slash at the end would ask for a directory where the link was the last component. */
	wk->n = left ? n + 1 + left : n;
	return 0;
}

static int
beneath_walk_rebase(struct walk *wk, int from, const char *name)
{
	int fd = openat(from, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (wk->ndirs)
		beneath_walk_pop(wk);
	wk->base_borrowed = false;
	wk->dirs[wk->ndirs++] = fd;
	return 0;
}

/* Follows the link that fd (O_PATH) is; takes fd. */
static int
beneath_walk_follow(struct walk *wk, int fd, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));

	close(fd);
	if (n < 0)
		return -1;
	if (n == 0 || n == sizeof(target))
		return beneath_walk_fail(ENAMETOOLONG);
	if (wk->links == LINKS_NONE || ++wk->nlinks > WALK_LINKS)
		return beneath_walk_fail(ELOOP);
	if (wk->links == LINKS_BENEATH && target[0] == '/')
		return beneath_walk_fail(EXDEV);
	if (wk->links == LINKS_OWNER)
		wk->owners[wk->nowners++] = (struct walk_owner){ st->st_uid, wk->n - wk->at };
	if (target[0] == '/' && beneath_walk_rebase(wk, AT_FDCWD, "/") < 0)
		return -1;
	return beneath_walk_prepend(wk, target, (size_t)n);
}

static int
beneath_walk_up(struct walk *wk)
{
	struct stat st;

	if (wk->ndirs > 1)
		beneath_walk_pop(wk);
	else if (wk->links != LINKS_OWNER)
		return beneath_walk_fail(EXDEV);
	else if (beneath_walk_rebase(wk, wk->dirs[0], "..") < 0)
		return -1;
	if (fstat(wk->dirs[wk->ndirs - 1], &st) < 0)
		return -1;
	return beneath_walk_owner(wk, &st);
}

/* Goes into the directory name, or follows it when it is a link. */
static int
beneath_walk_down(struct walk *wk, const char *name)
{
	int fd = openat(wk->dirs[wk->ndirs - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int err = ENOTDIR;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		err = errno;
	else if (S_ISLNK(st.st_mode))
		return beneath_walk_follow(wk, fd, &st);
	else if (S_ISDIR(st.st_mode) && wk->ndirs == WALK_DEPTH)
		err = ENAMETOOLONG;
	else if (S_ISDIR(st.st_mode)) {
		wk->dirs[wk->ndirs++] = fd;
		return beneath_walk_owner(wk, &st);
	}
	close(fd);
	return beneath_walk_fail(err);
}

/* Opens the last component; *fd stays -1 when it was a link and the walk goes on. */
static int
beneath_walk_last(struct walk *wk, const char *name, int flags, int *fd)
{
	int dir = wk->dirs[wk->ndirs - 1], link;
	struct stat st;

	link = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (link < 0)
		return -1;
	if (fstat(link, &st) < 0) {
		close(link);
		return -1;
	}
	if (S_ISLNK(st.st_mode))
		return beneath_walk_follow(wk, link, &st);
	close(link);
	/* Exchanged for a link by now: O_NOFOLLOW says ELOOP, or opens the link itself for O_PATH.
	 */
	*fd = openat(dir, name, flags | BENEATH_FLAGS | O_NOFOLLOW);
	if (*fd < 0)
		return -1;
	if (fstat(*fd, &st) == 0 && !S_ISLNK(st.st_mode) && beneath_walk_owner(wk, &st) == 0)
		return 0;
	close(*fd);
	return beneath_walk_fail(ELOOP);
}

/* One component of the text. 0: go on, or *fd is the result. */
static int
beneath_walk_step(struct walk *wk, int flags, int *fd)
{
	char name[NAME_MAX + 1];
	size_t n = 0;
	bool is_last;

	while (wk->at + n < wk->n && wk->text[wk->at + n] != '/')
		n++;
	if (n > NAME_MAX)
		return beneath_walk_fail(ENAMETOOLONG);
	memcpy(name, wk->text + wk->at, n);
	name[n] = '\0';
	wk->at += n;
	is_last = wk->at == wk->n;
	while (wk->at < wk->n && wk->text[wk->at] == '/')
		wk->at++;
	if (n == 0 || strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return beneath_walk_up(wk);
	return is_last ? beneath_walk_last(wk, name, flags, fd) : beneath_walk_down(wk, name);
}

int
beneath_walk(int root, struct str rel, enum beneath_links links, int flags)
{
	struct walk wk = { .links = links, .n = rel.n, .ndirs = 1, .base_borrowed = true };
	int fd = -1;

	if (rel.n >= sizeof(wk.text))
		return beneath_walk_fail(ENAMETOOLONG);
	memcpy(wk.text, rel.p, rel.n);
	if (rel.n && rel.p[rel.n - 1] == '/')
		flags |= O_DIRECTORY;
	wk.dirs[0] = root;
	while (fd < 0 && wk.at < wk.n) {
		if (beneath_walk_step(&wk, flags, &fd) < 0) {
			beneath_walk_fini(&wk);
			return -1;
		}
	}
	if (fd < 0)
		fd = openat(wk.dirs[wk.ndirs - 1], ".", flags | BENEATH_FLAGS);
	beneath_walk_fini(&wk);
	return fd;
}

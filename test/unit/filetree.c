/* See filetree.h. */
#include "test/unit/filetree.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static int fd = -1;

void
tree_make(void)
{
	strcpy(path, "/tmp/argand-tree-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chmod(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static int
tree_remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

void
tree_remove(void)
{
	close(fd);
	fd = -1;
	nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
tree_path(void)
{
	return path;
}

int
tree_fd(void)
{
	return fd;
}

static void
tree_parents(const char *name)
{
	char part[4096];

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name);
		mkdirat(fd, part, 0755);
	}
}

void
tree_file(const char *name, const void *octets, size_t n, long when)
{
	struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	int f;

	tree_parents(name);
	f = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(f, 0);
	ck_assert_int_eq(write(f, octets, n), (ssize_t)n);
	ck_assert_int_eq(futimens(f, times), 0);
	close(f);
}

void
tree_text(const char *name, const char *text)
{
	tree_file(name, text, strlen(text), TREE_TIME);
}

void
tree_dir(const char *name)
{
	tree_parents(name);
	ck_assert_int_eq(mkdirat(fd, name, 0755), 0);
}

void
tree_link(const char *name, const char *target)
{
	tree_parents(name);
	ck_assert_int_eq(symlinkat(target, fd, name), 0);
}

void
tree_fifo(const char *name)
{
	tree_parents(name);
	ck_assert_int_eq(mkfifoat(fd, name, 0644), 0);
}

void
tree_unlink(const char *name)
{
	ck_assert_int_eq(unlinkat(fd, name, 0), 0);
}

void
tree_touch(const char *name)
{
	struct timespec times[2] = { { .tv_sec = TREE_TIME }, { .tv_sec = TREE_TIME } };

	ck_assert_int_eq(utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

void
tree_rename(const char *from, const char *to)
{
	ck_assert_int_eq(renameat(fd, from, fd, to), 0);
}

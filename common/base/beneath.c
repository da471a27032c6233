/*
 * Opening files beneath a directory: openat2(2), where the kernel guarantees that resolution stays
 * inside, or beneath_walk.c.
 */
#include "common/base/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BENEATH_TRIES = 8 };

static int
beneath_fail(int err)
{
	errno = err;
	return -1;
}

static int
beneath_openat2(int root, const char *rel, enum beneath_links links, int flags)
{
	static const uint64_t resolve[] = {
		[LINKS_BENEATH] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
		[LINKS_NONE] = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
		[LINKS_ALL] = RESOLVE_NO_MAGICLINKS,
	};
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | BENEATH_FLAGS),
		.resolve = resolve[links] };
	int fd = -1;

	/* O_PATH takes only few companions; openat2 refuses what open would ignore. */
	if (flags & O_PATH)
		how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
	/* EAGAIN: something was renamed meanwhile and the kernel cannot be sure. */
	for (int i = 0; i < BENEATH_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, rel, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int
beneath_open(int root, struct str rel, enum beneath_links links, int flags)
{
	static _Atomic bool
	    has_no_openat2; /* found out once: an old kernel, or a filter on system calls */
	char z[PATH_MAX];
	int fd;

	if (rel.n >= sizeof(z))
		return beneath_fail(ENAMETOOLONG);
	if (rel.n && (rel.p[0] == '/' || memchr(rel.p, '\0', rel.n)))
		return beneath_fail(ENOENT);
	memcpy(z, rel.n ? rel.p : ".", rel.n ? rel.n : 1);
	z[rel.n ? rel.n : 1] = '\0';
	if (links != LINKS_OWNER && !has_no_openat2) {
		fd = beneath_openat2(root, z, links, flags);
		if (fd >= 0 || (errno != ENOSYS && errno != EAGAIN && errno != EPERM))
			return fd;
		has_no_openat2 = errno != EAGAIN;
	}
	if (links == LINKS_ALL)
		return openat(root, z, flags | BENEATH_FLAGS);
	return beneath_walk(root, rel, links, flags);
}

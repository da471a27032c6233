/*
 * The way to a file that a privileged process opens, makes or removes, where other users of the
 * machine may have a say. It is walked directory by directory, each held open, so that nobody can
 * put another in the place of one that was judged:
 *  - a symbolic link counts where root or our own user has made it and nobody else can replace it;
 *  - behind a directory that somebody else may write no link counts, and no "..": what is found is
 *    beneath that directory, whatever its owner does meanwhile.
 * All that is done with the name afterwards is done below the descriptor (openat(2) and its like),
 * with O_NOFOLLOW.
 */
#ifndef BASE_SAFEDIR_H
#define BASE_SAFEDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { SAFEDIR_WHY = 1024 };

struct safedir {
	int fd;                  /* O_PATH, of the directory that the name is in */
	char name[NAME_MAX + 1]; /* the last part of the path; no link when it was looked at */
	bool is_kernels;         /* but one of the kernel's in /proc, as /dev/stdout leads to */
	bool is_sticky;          /* others may add names to its directory, but not take ours away */
	bool is_shared;          /* others may write a directory on the way, the first of these: */
	char shared[512];
	char by[128]; /* who: "belongs to user x", "may be written by group x" */
};

/* 0, or -1 with errno and the reason in words. The name itself need not exist. */
int safedir_open(struct safedir *, const char *path, char why[SAFEDIR_WHY]);
void safedir_close(struct safedir *);
/* Whether what was found under the name may be one that somebody else has put there instead of us:
   a second name of a file of root's, or a file of theirs. */
bool safedir_is_planted(const struct safedir *, const struct stat *);
/* Whether somebody who is neither root nor our own user may change what has this owner and mode;
   by (not NULL): who. */
bool safedir_is_others(const struct stat *, char *by, size_t len);

#endif

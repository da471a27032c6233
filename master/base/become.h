/*
 * What a child of the master becomes before it executes somebody else's program: another user, in
 * another root, with limits of its own. Used on both sides of an exec.
 */
#ifndef BASE_BECOME_H
#define BASE_BECOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Texts are never NULL; an empty one leaves things as they are. */
struct become {
	const char *user, *group, *chroot;
	const char *directory;                     /* below chroot; empty: its top */
	int64_t max_memory;                        /* bytes; 0: as it is, here and below */
	int64_t max_files, max_cpu, max_processes; /* max_cpu: seconds */
	unsigned umask;
	pid_t parent; /* the process becomes an orphan with SIGTERM when it dies */
};

/* Whether this process could; why: what is in the way. */
bool become_check(const struct become *, char *why, size_t len);
/* Resource limits, while they can still be raised. They count for the process and all that it
   starts. Memory last, right before the program: what is set up until then may need more. */
void become_limit(const struct become *);
void become_limit_memory(const struct become *);
/* Does everything but the limits; it cannot be undone. -1 with errno, and *what: the step that
   failed. */
int become_be(const struct become *, const char **what);
/* Signals as they are in a fresh process, and a process group of its own. */
void become_fresh(void);

#endif

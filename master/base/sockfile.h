/*
 * The file of a listening Unix socket. Nothing but a socket is ever removed to make room for one,
 * and only if nobody serves on it; at the end only the very file that was bound here. Mode and
 * owner are changed through a descriptor of that file, never through a name that somebody may have
 * given to another one. The way to it is that of common/base/safedir.h.
 */
#ifndef BASE_SOCKFILE_H
#define BASE_SOCKFILE_H

#include <sys/types.h>

#include "common/base/safedir.h"

/* Which file it is. A socket that is open keeps it, so that no other gets its number. All zero: not
   known, and then it is left alone. */
struct sockfile {
	dev_t dev;
	ino_t ino;
};

/* Who may connect. */
struct sockfile_owner {
	uid_t uid; /* -1: stays */
	gid_t gid; /* -1: stays */
	mode_t mode;
};

enum sockfile_live {
	SOCKFILE_ANYBODY, /* a socket is alive when a connection is accepted into its queue */
	SOCKFILE_CREATOR, /* when the process that made it listen lives as well, and is not we */
};

/* Makes room: removes a socket that nobody serves on. 0: nothing is there (any more); -1 with errno
   and the reason in words: EADDRINUSE when it is alive (*holder: the process that made it listen, 0
   unknown), EEXIST when there is something else of that name, which is left alone. */
int sockfile_clear(const char *path, enum sockfile_live, pid_t *holder, char why[SAFEDIR_WHY]);
/* Makes room as above, then binds a new stream socket with these further flags (SOCK_NONBLOCK) and
   stores which file it is. Nobody can connect before it listens. -1 with errno and the reason. */
int sockfile_bind(const char *path, int flags, enum sockfile_live, struct sockfile *, pid_t *holder,
    char why[SAFEDIR_WHY]);
/* Sets mode and owner of the file. -1 with errno when path is not that file any more. */
int sockfile_give(const char *path, const struct sockfile *, const struct sockfile_owner *);
/* The file of a socket that was bound by somebody else or before (handed over, from the service
   manager). */
void sockfile_know(struct sockfile *, int sock, const char *path);
/* Another name of it, in the place of a socket or of nothing. -1 with errno. */
int sockfile_rename(const struct sockfile *, const char *from, const char *to);
/* Removes it, if it is still there. While the socket is open: see above. */
void sockfile_remove(const char *path, const struct sockfile *);

#endif

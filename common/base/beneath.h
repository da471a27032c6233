/*
 * Opening files beneath a directory: the one place where a name from a client or an application
 * meets the file system.
 */
#ifndef BASE_BENEATH_H
#define BASE_BENEATH_H

#include <fcntl.h>
#include <sys/stat.h>
#include "common/base/str.h"

/* Which symbolic links are followed. No policy lets ".." in the name itself leave the root. */
enum beneath_links {
	LINKS_BENEATH, /* relative ones that stay inside the root */
	LINKS_OWNER,   /* wherever they lead, when link and target have the same owner */
	LINKS_NONE,
	LINKS_ALL,
};

enum { BENEATH_FLAGS = O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

/* Opens rel (no leading slash; "" is the directory itself) beneath the directory root with flags
   (O_RDONLY or O_PATH, O_DIRECTORY); O_CLOEXEC, O_NOCTTY and O_NONBLOCK are added, so that neither
   a FIFO nor a device blocks. Returns the descriptor or -1 with errno: EXDEV for a way out of the
   root, ELOOP for a link that the policy does not follow. A symbolic link exchanged while this runs
   cannot lead elsewhere. */
int beneath_open(int root, struct str rel, enum beneath_links links, int flags);

/* The same without openat2(2), component by component; for LINKS_OWNER and old kernels. */
int beneath_walk(int root, struct str rel, enum beneath_links links, int flags);

#endif

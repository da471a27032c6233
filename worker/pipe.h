/*
 * Pipes through which bytes go from socket to socket without being copied (splice(2)): a few per
 * worker, lent one at a time, given back empty. At any time there may be none available: bytes are
 * read and written then. Bytes leave a pipe only through the functions here, so that `used` is
 * always right. A pipe that is given back with bytes in it is closed, so that no request ever gets
 * bytes of another.
 */
#ifndef WORKER_PIPE_H
#define WORKER_PIPE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/list.h"

enum { PIPE_ROOM = 65536 }; /* bytes of a pipe; as many are asked of the kernel */

struct pipe {
	struct link link; /* free list */
	int rd, wr;
	size_t used; /* bytes in it */
};

/* An empty one; NULL: read and write instead. */
struct pipe *pipe_get(void);
void pipe_put(struct pipe *);
/* At most max bytes from a socket, or into one. As read(2) and write(2): 0 is the end of input, -1
   with errno. Where the system does not permit splice(2): EAGAIN, and from then on pipe_get() gives
   none. */
ssize_t pipe_fill(struct pipe *, int fd, size_t max);
ssize_t pipe_send(struct pipe *, int fd, size_t max);
/* Reads n bytes, which must be in the pipe, into memory; dst NULL: drops them. False with errno:
   they are lost. */
bool pipe_take(struct pipe *, void *dst, size_t n);

/* How many this process may have at a time: 0 is none at all. */
void pipe_limit(unsigned max);
unsigned pipe_count(void);
/* Once a second: closes those that nobody needed since. */
void pipe_trim(void);

#endif

/*
 * Pipes that bytes go through from socket to socket without being copied (splice(2)): a few per
 * worker, lent one at a time, given back empty. There may be none to be had, at any time: bytes
 * are read and written then. Bytes leave a pipe only through the functions here, so that its count
 * is the truth; one that is given back with bytes in it is closed, and nobody ever gets another's.
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
/* At most max bytes from a socket, or into one. As read(2) and write(2): 0 is the end of input,
   -1 with errno. Where the system does not permit it: EAGAIN, and from then on there are no pipes.
 */
ssize_t pipe_fill(struct pipe *, int fd, size_t max);
ssize_t pipe_send(struct pipe *, int fd, size_t max);
/* Takes n bytes, which are there, into memory; dst NULL: drops them. False with errno: lost. */
bool pipe_take(struct pipe *, void *dst, size_t n);

/* How many this process may have at a time: 0 is none at all. */
void pipe_limit(unsigned max);
unsigned pipe_count(void);
/* Once a second: closes those that nobody needed since. */
void pipe_trim(void);

#endif

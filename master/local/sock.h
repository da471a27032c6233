/*
 * The socket that the processes of a pool share.
 */
#ifndef LOCAL_SOCK_H
#define LOCAL_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include "master/base/sockfile.h"

/* What a socket is bound to before it takes the place of another one: PATH and this. The kernel
   shows that name for it for ever. */
#define LOCALSOCK_NEXT ".next"

/* The socket of that name from the service manager's store, if it is at path. Stores which file it
   is. -1: none. */
int localsock_take(const char *name, const char *path, struct sockfile *);
/* A new one, listening, not non-blocking (its programs do not expect that). Only owner (empty: this
   user) may connect. Stores which file the socket is. -1 with errno and the reason: EADDRINUSE when
   a living server has it. */
int localsock_open(const char *path, const char *owner, struct sockfile *, char why[SAFEDIR_WHY]);
/* Lets owner connect, who may be another one than before. */
int localsock_own(const char *path, const struct sockfile *, const char *owner);
/* Where it was bound; empty when it was not. */
void localsock_bound(int fd, char *path, size_t len);
/* Whether a connection waits to be accepted. */
bool localsock_has_waiting(int fd);

#endif

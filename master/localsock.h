/*
 * The socket that the processes of a pool share.
 */
#ifndef MASTER_LOCALSOCK_H
#define MASTER_LOCALSOCK_H

/* One of name from the service manager's store if it is at path, else a new one, listening, not
   non-blocking (its programs do not expect that). Only owner (empty: this user) may connect. -1
   with errno: EADDRINUSE when a living server has it. */
int localsock_open(const char *name, const char *path, const char *owner);
/* Lets owner connect, who may be another one than before. */
int localsock_own(const char *path, const char *owner);

#endif

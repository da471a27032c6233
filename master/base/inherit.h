/*
 * Descriptors that this master was born with: from the service manager ($LISTEN_FDS: its store and
 * socket activation) or from the binary before it (handover.c). Each has a name; sockets are taken
 * out by name or by the address that they are bound to, never trusted without a look.
 */
#ifndef BASE_INHERIT_H
#define BASE_INHERIT_H

#include <stdbool.h>
#include <sys/socket.h>

void inherit_init(void);
/* Takes what $LISTEN_PID and $LISTEN_FDS say is ours, and clears these variables. */
void inherit_from_manager(void);
void inherit_add(int fd, const char *name);

/* The descriptor of that name, now the caller's; -1: none. */
int inherit_take(const char *name);
/* A listening socket of that name bound to addr; one that is not what its name says is closed. */
int inherit_take_listener(const char *name, const struct sockaddr *addr, socklen_t len);
/* A listening socket without a name of ours, bound to addr (socket activation). */
int inherit_take_address(const struct sockaddr *addr, socklen_t len);
/* How many names begin with prefix and go on with a number: the highest number + 1. */
unsigned inherit_count(const char *prefix);
/* Those not taken, one after the other: false at the end. */
bool inherit_rest(unsigned i, int *fd, const char **name);
/* Closes the rest and removes it from the manager's store. */
void inherit_close_rest(void);

/* Whether two addresses are the same. */
bool inherit_same(const struct sockaddr *, const struct sockaddr *);

#endif

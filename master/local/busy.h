/*
 * Looks into a process that serves a Unix socket: how many connections it has taken, and whether it
 * would end gracefully. From /proc, so all of this may be unknown.
 */
#ifndef LOCAL_BUSY_H
#define LOCAL_BUSY_H

#include <stdbool.h>
#include <sys/types.h>

/* Connections accepted from the socket at path that the process has open; -1: unknown. */
int localbusy_connections(pid_t, const char *path);
/* Whether it has a handler for SIGTERM (or ignores it). Unknown counts as yes. */
bool localbusy_catches_term(pid_t);
/* Whether it has been stopped by a signal. */
bool localbusy_is_frozen(pid_t);

#endif

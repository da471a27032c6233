/*
 * Finds out who has a port: for the message when it is in use.
 */
#ifndef MASTER_HOLDER_H
#define MASTER_HOLDER_H

#include <stddef.h>

/* "nginx (pid 812)" into text; false when nobody is found (another user's process, no /proc). */
int holder_of_port(unsigned port, char *text, size_t len);

#endif

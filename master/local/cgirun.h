/*
 * One connection of the CGI starter, and the script that it is given to.
 */
#ifndef LOCAL_CGIRUN_H
#define LOCAL_CGIRUN_H

#include "master/base/become.h"

void cgirun_init(void);
/* Takes the connection. command: the interpreter's, or none. */
void cgirun_open(int fd, char *const *command, const struct become *);
/* A child has ended. */
void cgirun_reap(pid_t, int status);
/* Connections that have, or are about to have, a script. */
unsigned cgirun_busy(void);
/* No connection is left, not even one that is only being closed. */
bool cgirun_is_empty(void);

#endif

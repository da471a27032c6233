/*
 * The file with the master's process id.
 */
#ifndef BASE_PIDFILE_H
#define BASE_PIDFILE_H

#include <sys/types.h>

void pidfile_init(void);
/* Where it stands from now on, and nowhere else; path NULL: nowhere. A failure is logged: a server
   serves without. What is there is written over only when it is a pid file (or empty). */
void pidfile_set(const char *path, pid_t);
/* Removes it, if it is still ours. */
void pidfile_remove(void);

#endif

/*
 * The file with the master's process id.
 */
#ifndef BASE_PIDFILE_H
#define BASE_PIDFILE_H

#include <sys/types.h>

void pidfile_init(void);
/* Writes the file at path, and removes the one written before; path NULL: no file. A failure is
   only logged: the server works without it. An existing file is overwritten only if it is a pid
   file (or empty). */
void pidfile_set(const char *path, pid_t);
/* Removes it, if it is still ours. */
void pidfile_remove(void);

#endif

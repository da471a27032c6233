/*
 * The chronicle: events that the master itself has seen, in a memory file that only the master
 * writes. Workers inherit a mapping that can never be made writable: no worker can forge events or
 * push others out, and what workers show of it is true. It passes through exec (binary upgrade) and
 * the service manager's store as "argand-events".
 */
#ifndef BASE_CHRONICLE_H
#define BASE_CHRONICLE_H

#include <sys/types.h>

#include "common/segment/history.h"

#define CHRONICLE_NAME "argand-events"

/* Takes the inherited one, or makes one. When neither works there is none, and the log says why. */
void chronicle_open(void);
/* Gives the chronicle up, in this process. */
void chronicle_close(void);
int chronicle_fd(void);

/* Adds an event; the same text again is counted. pid 0: it is about no process; seat -1: about no
   worker. Does nothing when there is no chronicle. */
void chronicle_add(enum history_kind, pid_t pid, int seat, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

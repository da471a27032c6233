/*
 * What the master itself knows to have happened, in a memory file that only it writes: workers are
 * born with a mapping that can never be made writable, so what they show of it is true, and nobody
 * pushes anything out of it. It passes through exec (binary upgrade) and the service manager's
 * store as "argand-events".
 */
#ifndef BASE_CHRONICLE_H
#define BASE_CHRONICLE_H

#include <sys/types.h>

#include "common/segment/history.h"

#define CHRONICLE_NAME "argand-events"

/* Takes the inherited one, or makes one. When neither works there is none, and the log says why. */
void chronicle_open(void);
/* There is none from here on, in this process. */
void chronicle_close(void);
int chronicle_fd(void);

/* Notes it; the same text again is counted. pid 0, seat -1: it is about no process, no worker. Does
   nothing when there is no chronicle. */
void chronicle_add(enum history_kind, pid_t pid, int seat, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

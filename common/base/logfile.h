/*
 * Log destinations: "/path", "stdout", "stderr", "|command with arguments", "syslog" or
 * "syslog:/path/of/socket". Opened by the master.
 */
#ifndef BASE_LOGFILE_H
#define BASE_LOGFILE_H

#include <sys/types.h>
#include "common/base/safedir.h"
#include "common/base/str.h"

/* Opens for appending (0640, created; parents are not); a command is started (by /bin/sh -c, in its
   own process group, its standard input the other end of a pipe); *pid is its process, 0 when there
   is none. Syslog: a datagram socket that is not connected, so that a syslog daemon may come and
   go. Paths and pipes are non-blocking. A path is a regular file, a FIFO or a character device; the
   way to it is that of safedir.h: no link that another user of the machine made is followed.
   Returns the descriptor (CLOEXEC) or -1 with errno and the reason in words. */
int logfile_open(struct str destination, pid_t *pid, char why[SAFEDIR_WHY]);

#endif

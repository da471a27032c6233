/*
 * Forks and executes one process of a pool.
 */
#ifndef LOCAL_EXEC_H
#define LOCAL_EXEC_H

#include "master/local/spec.h"

/* sock: what becomes its standard input, -1: none; err: its standard error. Both stay the caller's.
   The pid, or -1 with errno. What goes wrong after the fork is logged by the child, which ends with
   status 126 or 127. */
pid_t localexec_start(const struct localspec *, int sock, int err);

#endif

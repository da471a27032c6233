/*
 * Forks a worker: from here on in the child, what it must not have is closed, what it must not be
 * is shed, and worker_run() takes over.
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include "master/seat.h"

/* Forks the worker of a seat whose row is claimed and whose channel's other end is chan. Returns
   the pid, or -1 with errno. */
pid_t spawn_worker(struct seat *, int chan);
/* Who workers of that configuration are, after they have shed what they must not be. */
uid_t spawn_uid(const struct conf_process *);
/* Whether workers can be what conf wants them to be; a line in report when not. */
bool spawn_check(const struct conf *, struct text *report);

#endif

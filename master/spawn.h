/*
 * Forks a worker. The child closes what it must not have, gives up the rights that it must not
 * have, and then calls worker_run().
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include "master/seat.h"

/* Forks the worker of a seat whose row is claimed and whose channel's other end is chan. Returns
   the pid, or -1 with errno. */
pid_t spawn_worker(struct seat *, int chan);
/* The user that workers of that configuration run as, after they have given up root's rights. */
uid_t spawn_uid(const struct conf_process *);
/* Whether workers can be what conf wants them to be; a line in report when not. */
bool spawn_check(const struct conf *, struct text *report);

#endif

/*
 * What an operator says of backends while the server runs: `argand backend …`. It stands in the
 * segment, so that every worker follows at once, and reloads and upgrades keep it.
 */
#ifndef MASTER_BACKENDS_H
#define MASTER_BACKENDS_H

#include "common/base/text.h"
#include "common/segment/shm.h"

/* args, words separated by blanks, "--color" first or not:
       (nothing)                            all pools
       POOL                                 one pool
       POOL drain|disable|enable HOST
       POOL weight HOST 1..1000|configured
   Appends what there is to say; returns the exit status. args is cut in place. */
int backends_command(struct shm *, char *args, struct text *out);

#endif

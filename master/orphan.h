/*
 * Orphans: workers whose master was killed. The ledger names them; each is recognized by its start
 * time, its user and its program, and is watched and signalled through a pidfd. They go on serving
 * until a generation of ours does.
 */
#ifndef MASTER_ORPHAN_H
#define MASTER_ORPHAN_H

#include "common/segment/shm.h"

/* Mends the segment and makes generations of the workers that live. */
void orphan_adopt_all(struct shm *);
/* Asks workers to finish whose segment we do not have, because we could not watch what they do. */
void orphan_dismiss_rest(void);

#endif

/*
 * Workers that a master before this one has left: named by its ledger, known again by the time of
 * their start, their user and their program, watched and signalled through pidfds. They serve on
 * until a generation of ours does.
 */
#ifndef MASTER_ORPHAN_H
#define MASTER_ORPHAN_H

#include "common/segment/shm.h"

/* Mends the segment and makes generations of the workers that live. */
void orphan_adopt_all(struct shm *);
/* Workers whose segment we have not got are asked to finish: we could not follow them. */
void orphan_dismiss_rest(void);

#endif

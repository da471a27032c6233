/*
 * Workers that a master before this one has left: found in the segment, known again by the time of
 * their start, watched through pidfds. They serve on until a generation of ours does.
 */
#ifndef MASTER_ORPHAN_H
#define MASTER_ORPHAN_H

#include "common/shm.h"

/* Mends the segment and makes generations of the workers that live. */
void orphan_adopt_all(struct shm *);

#endif

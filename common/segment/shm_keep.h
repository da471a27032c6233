/*
 * What only the master does with the segment. It knows from its ledger which worker has which row;
 * it does not believe the rows, which any worker can write.
 */
#ifndef SEGMENT_SHM_KEEP_H
#define SEGMENT_SHM_KEEP_H

#include "common/segment/shm.h"

/* shm_attach() for a segment that is known to be of this binary's layout (shm_layout()) by the
   master's own record: its header, which any worker can write, is not looked at but written anew.
 */
struct shm *shm_attach_known(int fd, const char **why);
uint64_t shm_layout(void);
/* Whether this process made or attached it: the master. Workers have it from fork. */
bool shm_is_owner(const struct shm *);

/* Takes a row for a worker about to be forked: the first that is not taken, whatever stands in it;
   it is buried before where it is not clean. taken is what the master knows by itself (NULL: the
   states of the rows, which any worker can write). Returns the row or -1. */
int shm_worker_claim(
    struct shm *, const bool taken[SHM_WORKERS], unsigned generation, unsigned seat, uint64_t now);
/* Writes into the row that a worker of an earlier master has it, whatever the row said before. */
void shm_worker_restate(struct shm *, unsigned row, pid_t pid, unsigned generation, unsigned seat);
/* After the process is known to be gone: folds its counters into the retired ones, gives up its
   slots, clears its columns, frees the row. Idempotent; a master killed in the middle is finished
   by the next (shm_repair). */
void shm_worker_bury(struct shm *, unsigned row);
/* For a master that takes a segment over: finishes burials that were begun, and buries all rows but
   those of the living workers. lives is the master's own knowledge (NULL: there are none). */
void shm_repair(struct shm *, const bool lives[SHM_WORKERS]);

#endif

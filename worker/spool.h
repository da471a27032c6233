/*
 * Spooling: octets of a body that wait on disk. Files are unlinked from birth (O_TMPFILE, or
 * mkostemp and unlink), of at most SPOOL_FILE octets each, and closed as soon as the last of their
 * octets is consumed, so that disk use shrinks while a body is forwarded. Their descriptors are
 * shared by reference: a part of one costs no dup().
 *
 * Directories are tried in order; the next one when one is full (ENOSPC, EDQUOT) or fails.
 */
#ifndef WORKER_SPOOL_H
#define WORKER_SPOOL_H

#include "worker/body.h"

enum { SPOOL_FILE = 1 << 20, SPOOL_MEMORY = 65536 };

/* Options of the process: `spool.directories`, `spool.max` (octets on disk of this worker). */

struct spool {
	struct worker *w;
	struct spool_file *file; /* the one being written; NULL: none yet */
	int64_t on_disk;         /* octets written and not yet consumed */
	int64_t written;         /* octets ever written */
	int64_t max;             /* of on_disk; then spool_put says EFBIG. 0: no limit of its own */
	int err;                 /* of the last failure: ENOSPC (all directories), EFBIG, EIO … */
};

void spool_init(struct spool *, struct worker *, int64_t max);
void spool_fini(struct spool *); /* what is queued in bodies stays */

/* Writes up to max octets from the front of src to disk and queues them at the end of dst as file
   chunks; memory is given back. Returns the octets moved, or -1 (spool->err; logged once in ten
   seconds per cause), with src and dst as they were for what was not written. src may equal dst:
   then the whole queue's memory goes to disk in place. */
int64_t spool_move(struct spool *, struct body *dst, struct body *src, int64_t max);

/* Totals of this worker, for the status: octets on disk now. */
int64_t spool_total(void);

#endif

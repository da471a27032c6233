/*
 * Spooling: bytes of a body that wait on disk. Files are unlinked from birth (O_TMPFILE, or
 * mkostemp and unlink), of at most SPOOL_FILE bytes each, and closed as soon as the last of their
 * bytes is consumed, so that disk use shrinks while a body is forwarded (to a quarter of one).
 * Chunks share them by reference. None is ever written over: what sendfile handed to the kernel may
 * still be on its way.
 *
 * The directories are those of the option spool.directories, in order; one that is full or fails
 * is left out for a second. The limit over all bodies of all workers is spool.max: spoolroom.h.
 */
#ifndef WORKER_SPOOL_H
#define WORKER_SPOOL_H

#include "worker/body.h"

enum { SPOOL_FILE = 1 << 20, SPOOL_MEMORY = 65536 };

struct spool_file {
	struct link link;    /* in its spool */
	struct spool *owner; /* NULL: that is gone */
	unsigned refs;       /* chunks, and the spool that writes it */
	int fd;
	int64_t size; /* bytes written */
};

/* The files on disk of one body, or of two bodies that share chunks. */
struct spool {
	struct worker *w;
	uint64_t id; /* of the request; for the log */
	struct link files;
	struct spool_file *file; /* the one being written; NULL: none */
	size_t dir;              /* that it is in */
	bool can_wait;           /* without disk its bytes wait where they come from */
	int64_t on_disk;         /* bytes in files that are open */
	int64_t written;         /* bytes ever written */
};

/* When a worker begins: it knows nothing of its directories yet. */
void spool_start(void);

void spool_init(struct spool *, struct worker *, uint64_t request_id);
/* What is queued in bodies stays. */
void spool_fini(struct spool *);

/* Writes what the queue has in memory to disk, in place and in order; memory is given back. 0, or
   -1 with errno: ENOSPC when there is no room for it; what was not
   written is as it was. */
int spool_store(struct spool *, struct body *);

/* Writes nothing more to the present files: each of them, also a small one, is closed as soon as
   all its bytes are consumed. What is stored afterwards goes to a new file. */
void spool_seal(struct spool *);

/* Gives one reference back. */
void spool_file_put(struct spool_file *);

/* Bytes on disk of this worker now. */
int64_t spool_total(void);

/* Others keep n more bytes of a request on disk, or (n < 0) fewer: they count as spooled ones.
   False: spool.max does not let it; nothing was counted. */
bool spool_charge(struct worker *, uint64_t request_id, int64_t n);

#endif

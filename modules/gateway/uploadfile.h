/*
 * A file of an upload, from its first octet to the end of its request: without a name while it is
 * received, with one from when the request is complete, removed at the end unless the application
 * has renamed it.
 *
 * What happens to it when its worker dies: as long as it has no name the kernel removes it. A file
 * with a name is locked by its worker (an open file description lock on an octet far behind every
 * end, which no application meets); the kernel gives the lock back however the worker ends, and
 * workers that begin remove those of our names that nobody holds a lock on. So neither process ids
 * nor clocks are compared, and directories may be shared between servers and machines' restarts.
 */
#ifndef GATEWAY_UPLOADFILE_H
#define GATEWAY_UPLOADFILE_H

#include "modules/gateway/codec/upload_conf.h"
#include "worker/worker.h"

struct uploadfile {
	struct uploadfile *next; /* of the same upload */
	const struct upload_conf *conf;
	struct worker *w;
	uint64_t id; /* of the request; for the log */
	void *hash;  /* EVP_MD_CTX; NULL: it is complete */
	int fd;
	int64_t size;
	struct str field, name, type; /* what the client said; in the request's arena */
	char *path;                   /* in the request's arena; "": it has no name */
	char sha256[65];
};

/* 0 or an errno; then uploadfile_close() is not called for. EMFILE: uploads have a quarter of all
   descriptors that this worker may have, so that no form of many small files keeps it from
   accepting. */
int uploadfile_open(
    struct uploadfile *, struct arena *, struct worker *, uint64_t id, const struct upload_conf *);
/* Writes all of it. 0 or an errno: ENOSPC also beyond spool.max. */
int uploadfile_write(struct uploadfile *, const char *p, size_t n);
/* All has come: sha256 is there. */
void uploadfile_finish(struct uploadfile *);
/* Gives it its name, mode and group. 0 or an errno. */
int uploadfile_name(struct uploadfile *);
/* The request is over, or failed. */
void uploadfile_close(struct uploadfile *);

/* Removes from a directory what workers that died have left; beside the loop. */
void uploadfile_sweep(struct worker *, struct str directory);

#endif

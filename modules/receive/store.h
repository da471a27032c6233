/*
 * Uploads on disk: a directory of stored files, and in its ".uploads" what is not complete. All
 * calls may block and are for threads beside the loop, but those that say otherwise; none of them
 * touches a worker, a request or the log. -1 with errno is a failure.
 *
 * An upload that can go on is two files: ID.part has its octets, as many as its size says, and
 * ID.info, which is only ever replaced as a whole, what else is known. Who adds to it holds the
 * lock of ID.part, which the kernel gives back when its process dies; so any worker can go on with
 * any upload. One that cannot go on is a file without a name.
 */
#ifndef RECEIVE_STORE_H
#define RECEIVE_STORE_H

#include <sys/stat.h>
#include "modules/receive/conf.h"
#include "modules/receive/name.h"

enum { RECEIVE_METADATA_MAX = 4096 };
enum { RECEIVE_LEAST = 4096 }; /* octets that any file counts for */

enum receive_kind { RECEIVE_PLAIN, RECEIVE_TUS, RECEIVE_DRAFT };

struct receive_upload {
	const struct receive_conf *c;
	int root, hold, fd; /* the directory, its ".uploads", the octets; -1: not open */
	char id[RECEIVE_ID + 1];
	char name[RECEIVE_NAME_MAX + 1]; /* of the file that it becomes; "": its ID is */
	char *metadata;                  /* of tus, as sent; NULL: none */
	char *concat;                    /* of tus: "partial", "final;…" as sent; NULL: neither */
	bool is_named;                   /* there is an ID.part */
	bool is_waiting;                 /* this one has asked for the lock */
	bool may_replace;                /* a file of this name */
	bool was_there;                  /* and seen is what it was */
	struct stat seen;
	/* state; for those that can go on it is that of the disk when locked */
	enum receive_kind kind;
	int64_t offset; /* octets that are there */
	int64_t length; /* octets that it will have; -1: not said yet */
	int64_t final;  /* with so many it is complete; -1: not yet said that it will be */
	int64_t
	    pending; /* what stands behind has not been compared with its checksum; -1: all has */
	bool is_complete;
};

void receive_store_init(struct receive_upload *, const struct receive_conf *);
void receive_store_close(struct receive_upload *);

/* Opens the directories. */
int receive_store_open(struct receive_upload *);
/* What is there under the name: seen, was_there. 0, also when nothing is. */
int receive_store_look(struct receive_upload *);
/* A new upload, with room for length octets under the quota: EDQUOT. kind PLAIN: without a name. */
int receive_store_create(struct receive_upload *);
/* An upload by its ID. */
int receive_store_find(struct receive_upload *);
/* The state becomes what the disk says; when locked. */
int receive_store_read(struct receive_upload *);
/* ID.info becomes the state; when locked. */
int receive_store_save(struct receive_upload *);
int receive_store_sync(struct receive_upload *);
/* The upload becomes a file under its name: EEXIST, ESTALE (what was seen there is no longer),
   EDQUOT. Can be done again when it was not finished. */
int receive_store_keep(struct receive_upload *);
/* A part of an upload to come: it is never completed by itself. */
static inline bool
receive_store_is_partial(const struct receive_upload *u)
{
	return u->concat && strcmp(u->concat, "partial") == 0;
}
/* The upload becomes the parts that concat names, one after the other, and is kept; join.c.
   EINPROGRESS: one is not complete; EMSGSIZE: together they are too large. */
int receive_store_join(struct receive_upload *);
/* An upload, or the stored file of its name, goes. */
int receive_store_remove(struct receive_upload *);
int receive_store_delete(struct receive_upload *);

/* These do not block. EAGAIN: somebody else has it, who is told (is_wanted) and lets go. */
int receive_store_lock(struct receive_upload *);
bool receive_store_is_wanted(const struct receive_upload *);

/* Octets that the directory has in use; hold.c. */
int64_t receive_hold_used(const struct receive_upload *);
/* Removes what has expired. */
void receive_hold_tidy(const struct receive_conf *);

/* info.c */
int receive_info_read(struct receive_upload *);
int receive_info_write(struct receive_upload *);

#endif

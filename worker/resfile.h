/*
 * A file as the answer to a GET or HEAD: conditions (RFC 9110 13), ranges (14), HEAD, one part or
 * several. For all handlers that find their answer in a file.
 */
#ifndef WORKER_RESFILE_H
#define WORKER_RESFILE_H

#include <sys/stat.h>
#include <time.h>
#include "worker/res.h"

/* A representation (RFC 9110 3.2). Everything that it points to, and its descriptor, stays until
   the request ends. */
struct resfile {
	int fd;           /* -1 when the octets are in body */
	const char *body; /* NULL when they are not in memory */
	int64_t size;
	time_t modified;
	struct str etag, type;         /* of conditions; of the parts of several ranges */
	struct res_prepared whole;     /* fields of a 200 of all octets */
	struct res_prepared unchanged; /* of a 304 */
	int64_t max_ranges;            /* one request may ask for; more: the whole file; 0: none */
};

/* The whole answer. Fields that r has already go along; those that only content has do not with a
   304. */
void resfile_send(struct request *, const struct resfile *);
/* All of it with a status of which no part can be asked for, whatever the method and conditions. */
void resfile_send_as(struct request *, const struct resfile *, int status);

/* A strong entity tag (RFC 9110 8.8.3) from size and time: the same on every server that has the
   same copy. coding n 0: none. */
enum { RESFILE_ETAG = 96 };
void resfile_etag(char text[RESFILE_ETAG], const struct stat *, struct str coding);

#endif

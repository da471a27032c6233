/*
 * One request at work on one upload. What may block is done beside the loop (op_do), octets are
 * written as they come. The request may go at any time: what was written stays, and the upload is
 * closed, which gives its lock back.
 */
#ifndef RECEIVE_OP_H
#define RECEIVE_OP_H

#include <openssl/evp.h>
#include "modules/receive/store.h"
#include "modules/receive/value.h"
#include "worker/request.h"

struct receive_op {
	struct job job;
	struct timer timer;
	struct worker *w;
	struct request *r; /* NULL: gone */
	const struct receive_conf *c;
	struct receive_upload u;
	/* a task beside the loop, and what follows */
	int (*task)(struct receive_upload *);
	void (*then)(struct receive_op *);
	int result, err;
	bool is_working;
	/* the body */
	void (*arrived)(struct receive_op *);
	bool is_receiving;
	bool has_arrived; /* while a task was at work */
	bool is_ousted;   /* somebody newer goes on with the upload */
	int64_t start;    /* offset of the body's first octet */
	int64_t limit;    /* offset that the body must not pass */
	const char *limit_why;
	EVP_MD_CTX *md; /* of the body; NULL: nobody asks */
	struct receive_digest digest;
	/* the lock */
	uint64_t patience; /* ms: until when to wait for it */
	/* the protocol */
	const struct receive_version
	    *version;    /* of the draft; NULL: the client knows none of ours */
	bool is_final;   /* the body completes the upload */
	bool has_match;  /* If-Match or If-None-Match was sent */
	int64_t told;    /* offset last told by 104 */
	int64_t telling; /* offset that is being put on disk to be told */
	uint64_t told_at;
	struct str base; /* of the path as sent: what names and IDs are below */
};

struct receive_op *receive_op_new(struct request *, const struct receive_conf *, struct str base);

/* then(op) after task(&op->u), with its result and errno; not when the request has gone. */
void receive_op_do(
    struct receive_op *, int (*task)(struct receive_upload *), void (*then)(struct receive_op *));
/* Opens the upload of an ID, waits for its lock, reads its state; then is called with result 0, or
   -1 and ENOENT, EBUSY. */
void receive_op_find(struct receive_op *, struct str id, void (*then)(struct receive_op *));
/* Writes the body behind offset; arrived when all of it is there. */
void receive_op_receive(struct receive_op *, void (*arrived)(struct receive_op *));
/* Whether the digest of the body is what was asked for. */
bool receive_op_is_intact(struct receive_op *);

/* Answers. err: of a task. */
void receive_op_fail(struct receive_op *, int err);
void receive_op_answer(struct receive_op *, int status);
void receive_op_refuse(struct receive_op *, int status, const char *why);
void receive_op_number(struct receive_op *, struct str name, int64_t);
/* Of the file that was stored: ETag, Last-Modified. */
void receive_op_validators(struct receive_op *);
struct str receive_op_etag(struct request *, const struct stat *);
struct str receive_op_location(struct receive_op *);      /* of the upload */
struct str receive_op_file_location(struct receive_op *); /* of the file */

/* Completes the upload where that is due, or has its octets on disk. */
int receive_op_settle(struct receive_upload *);

#endif

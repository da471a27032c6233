/*
 * The body of a request on its way to a backend: when the backend may be contacted, and where the
 * octets wait until it takes them. The four policies differ in two questions only:
 *
 *   policy   the backend is contacted        what it cannot take yet
 *   BUFFER   when the body is complete       is all there: memory up to 64 KiB, else disk
 *   SPOOL    at once                         64 KiB in memory, beyond on disk
 *   STREAM   at once                         memory, bounded; then the client is not read from
 *   AUTO     by the rule below               as STREAM once contacted, as BUFFER before
 *
 * AUTO looks twice: while the first 256 KiB come, for at most 0.1 s, and once more a second later.
 * It contacts the backend when the rest is due within a second at the rate of the time just looked
 * at, or when that rate is at least 8 MiB/s; not before 64 KiB or 0.1 s. A body that did not pass
 * is waited for to its end, on disk, and holds no backend until it is complete.
 *
 * A body that is waited for gives its memory back: after 0.1 s without being complete it goes to
 * disk unless it is below 4 KiB, and what comes later goes there at once. Where a worker waits for
 * more than 64 at a time, slow ones do so from the beginning.
 */
#ifndef GATEWAY_REQBODY_H
#define GATEWAY_REQBODY_H

#include "modules/gateway/gateway.h"
#include "worker/request.h"
#include "worker/spool.h"

enum { REQBODY_MEMORY = SPOOL_MEMORY };

/* Embedded in its owner, who reads nothing but through the functions. */
struct reqbody {
	struct request *r;
	struct body held;  /* what has come and the codec has not taken: the source */
	struct body kept;  /* what came since is_ready, kept for retries; CANCELLED: given up */
	struct spool disk; /* where chunks of both wait */
	struct post ready;
	struct timer look;
	uint64_t look_ms; /* when the span that AUTO looks at began */
	int64_t look_at;  /* octets that had come then */
	int64_t came;     /* octets in all */
	int status;       /* 0, or what to answer with */
	const char *why;
	uint8_t policy; /* enum gateway_request */
	uint8_t looks;  /* of AUTO: how many there were */
	bool is_ready;  /* the backend may be contacted */
	bool is_whole;  /* is needed as a whole: its length is asked for and not known */
	bool is_made;   /* not the client's: reqbody_make() */
	bool is_slow;   /* waited for: its memory goes to disk */
};

/* Begins to read the body and calls ready(arg), posted, exactly once: when the backend may be
   contacted, or when the body failed before (reqbody_failed()). needs_length: the protocol cannot
   send a body of unknown length, which then is waited for whatever the policy. Also for requests
   without a body. */
void reqbody_start(struct reqbody *, struct request *, enum gateway_request policy,
    bool needs_length, void (*ready)(void *), void *arg);
/* A body of ours in place of the client's, which has been read to its end; octets live until the
   request ends. */
void reqbody_make(
    struct reqbody *, struct request *, struct str octets, void (*ready)(void *), void *arg);
/* Drops all. Harmless on a zeroed one, and twice. */
void reqbody_fini(struct reqbody *);

/* The body that codec->body() takes from. Set body_on_data() on it to learn of octets, the end or a
   failure, as with any body. It stays the same body for the life of the reqbody, also after a
   rewind. */
static inline struct body *
reqbody_source(struct reqbody *q)
{
	return &q->held;
}

/* Of the whole body; -1: unknown (only when not needs_length). */
int64_t reqbody_length(const struct reqbody *);

/* Another attempt can be given all of the body: it is whole in memory or on disk, or none of it was
   taken. What was taken is remembered for it until reqbody_commit(), at most 64 KiB of it in
   memory. */
bool reqbody_is_replayable(const struct reqbody *);
/* From the first octet again: the source has all that has come. Only when replayable. */
void reqbody_rewind(struct reqbody *);
/* There will be no other attempt (an octet of the answer came, or octets of a request went out that
   must not be sent twice): frees what was remembered for it; files are freed as soon as they are
   forwarded. */
void reqbody_commit(struct reqbody *);

/* 0, or the status to answer with: 413 larger than max_body, 400 malformed or incomplete, 408 too
   slow, 507 no room on any disk. Nothing is to be answered when r->is_begun: worker did. */
int reqbody_failed(const struct reqbody *, const char **why);

/* The backend has answered and wants no more of the body: cancels the source. What the client still
   sends is dropped after the answer, by the client's proto. */
void reqbody_stop(struct reqbody *);

#endif

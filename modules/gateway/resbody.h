/*
 * The body of a response on its way from a backend to the client: where octets wait that the client
 * has not taken yet, and when the backend is to pause.
 *
 *   policy   the client gets the head     what it has not taken waits
 *   SPOOL    at once                      in memory up to response_memory, then on disk up to
 *                                         response_disk; then the backend is paused
 *   STREAM   at once                      in memory up to response_memory; then it is paused
 *   BUFFER   when the body is complete,   as SPOOL; a body larger than that begins to be sent
 *            with its length              without its length
 *
 * The disk is for slow clients: only what the client has not taken within 0.1 s goes there, and
 * until then the backend is paused. A full disk pauses it as well, and fails nothing.
 */
#ifndef GATEWAY_RESBODY_H
#define GATEWAY_RESBODY_H

#include "modules/gateway/gateway.h"
#include "worker/request.h"
#include "worker/spool.h"

/* Embedded in its owner, who reads nothing but through the functions. */
struct resbody {
	struct request *r;
	struct body held;  /* what r->out_body does not take yet: memory and disk, in order */
	struct spool disk; /* where it waits */
	struct post resume;
	struct timer patience; /* runs while held is full and the client is not called slow */
	int64_t disk_max;
	int64_t came;   /* octets in all */
	int64_t length; /* as announced by the backend */
	int status;
	uint8_t policy; /* enum gateway_response */
	bool is_ended;  /* all of the body has come, or all that will */
	bool is_failed; /* not all of it */
	bool is_slow;   /* what held cannot take goes to disk */
	bool is_paused; /* the backend pauses: resume must be called some time */
};

/* The head of the response is known; its fields stand in r->fields. Calls res_begin(status, length)
   at once, or with BUFFER when the body has ended. length -1: unknown. resume(arg) is posted when a
   paused backend may go on. */
void resbody_start(struct resbody *, struct request *, const struct gateway_conf *,
    enum gateway_response policy, int status, int64_t length, void (*resume)(void *), void *arg);
/* Drops what has not reached r->out_body. Harmless on a zeroed one, and twice. */
void resbody_fini(struct resbody *);

/* Octets of a block; takes a reference of its own, copies nothing but small pieces. All of them are
   taken, also by a paused one. */
void resbody_put(struct resbody *, struct buf *, const char *, size_t);
/* The same for all of a pipe, which is taken. */
void resbody_put_pipe(struct resbody *, struct pipe *);
/* Whether octets may come in pipes: the client gets them as they are, and soon. */
bool resbody_takes_pipes(const struct resbody *);
/* Whether the backend must pause now; resume is called later. To be asked after each put. */
bool resbody_is_paused(struct resbody *);
/* The body is complete. What waits goes on to the client by itself, also after the backend is gone:
   the resbody must live until the request ends. */
void resbody_end(struct resbody *);
/* The body will never be complete. False: nothing was sent yet (BUFFER), and the caller answers
   with an error of its own. True: the answer was cut off where the body ended. */
bool resbody_fail(struct resbody *, const char *why);
/* Nothing is held any more: all that came was handed to r->out_body. */
static inline bool
resbody_is_drained(const struct resbody *s)
{
	return body_is_empty(&s->held);
}

#endif

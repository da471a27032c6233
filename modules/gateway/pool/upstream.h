/*
 * Connections to backends: made, kept and used again, each for one exchange at a time. Owns their
 * sockets, events and TLS; knows nothing of protocols, requests or choice of hosts.
 *
 * The read event is registered once and stays, over all requests of a kept connection; a write
 * event only after the socket was full. Nobody is called back from inside a call of this interface,
 * and a connection that was closed is freed by a notice.
 */
#ifndef POOL_UPSTREAM_H
#define POOL_UPSTREAM_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/fsm.h"
#include "modules/gateway/codec/codec.h"
#include "modules/gateway/pool/bpool.h"
#include "modules/gateway/pool/tls.h"

enum upstream_state {
	UPSTREAM_CONNECTING,
	UPSTREAM_SHAKING, /* TLS */
	UPSTREAM_BUSY,    /* with a request */
	UPSTREAM_ORPHAN,  /* its exchange is gone, the backend is to finish */
	UPSTREAM_IDLE,    /* kept, in its host's list */
	UPSTREAM_DEAD,    /* closed; freed by a notice */
	UPSTREAM_STATES,
};

struct pipe;

extern const struct fsm upstream_fsm; /* the table is in upstream.c */

struct upstream_events {
	void (*connected)(void *arg); /* octets may be put into u->out and flushed */
	/* Octets came; b holds them at p and belongs to the connection: take references. */
	void (*input)(void *arg, struct buf *b, const char *p, size_t n);
	/* Octets of u->plain came, in a pipe that is the callee's now. */
	void (*piped)(void *arg, struct pipe *);
	void (*eof)(void *arg);             /* the backend sends no more */
	void (*space)(void *arg);           /* all of out is written after a wait */
	void (*failed)(void *arg, int err); /* reading, writing, connecting or TLS; see u->why */
};

struct upstream {
	struct link link; /* in the host's idle list, or among the dead */
	struct bhost *host;
	struct worker *w;
	int fd;
	uint8_t state; /* enum upstream_state; only upstream_enter() changes it */
	bool is_reused, is_reading, is_armed /* wr is added */, is_eof;
	bool is_fast;   /* the last read was full */
	bool is_listed; /* rd is added; while not is_reading, until octets come all the same */
	unsigned nrequests;
	int64_t sent;    /* octets written for the current request */
	int64_t plain;   /* octets that may come in pipes: set by the owner after each input */
	uint64_t opened; /* worker_now_ns() when the connection was begun */
	const char *why; /* of a failure of TLS */
	struct body out; /* what is to be written */
	struct tls *tls;
	struct event rd, wr;
	struct post again;       /* reads on at once: what comes fast is mostly there */
	struct timer idle_timer; /* while it is kept, or an orphan */
	const struct upstream_events *events;
	void *arg;
	char codec[CODEC_STATE] __attribute__((aligned(16)));
};

/* A connection to the host: a kept one unless is_fresh, else a new one (state CONNECTING: connected
   or failed follows; or BUSY at once). is_checked: a kept one is asked first whether the backend
   has closed it meanwhile. NULL with errno when a new one fails at once. */
struct upstream *upstream_open(
    struct bhost *, const struct upstream_events *, void *arg, bool is_fresh, bool is_checked);

/* Writes what is in u->out as far as the socket takes it; the rest follows by itself, then space is
   called. False: writing failed (errno); what was received may still be read. */
bool upstream_flush(struct upstream *);
/* Whether flush waits for the socket. */
static inline bool
upstream_is_blocked(const struct upstream *u)
{
	return u->is_armed;
}
/* More of an answer is to come: what has come is acknowledged at once. A backend that writes its
   head and its body one after the other, with Nagle's algorithm, waits for that before it sends the
   body: 40 ms. */
void upstream_acknowledge(struct upstream *);
/* Stops and resumes reading. */
void upstream_read(struct upstream *, bool on);
/* Ends our direction. */
void upstream_shutdown(struct upstream *);
void upstream_close(struct upstream *);
/* The request is over: keeps the connection for the next one, or closes it where the pool says so.
 */
void upstream_keep(struct upstream *);
/* Separates the connection from its exchange, which ends while the backend may still finish: the
   connection itself gives the host back, when it is kept or closed. attempt_finish() or
   upstream_orphan() must follow and say what it waits for until then. */
void upstream_part(struct upstream *);
/* An orphan takes care of itself: sends what is queued (copied), reads and drops what comes until
   the backend has ended, and ends after ms. */
void upstream_orphan(struct upstream *, uint64_t ms);

#endif

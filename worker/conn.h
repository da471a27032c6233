/*
 * A client connection: the socket, its events, its state, its input buffer. What the bytes mean is
 * its proto's business.
 *
 * A state is a row of CONN_STATES; conn_enter() does everything that being in it means: list,
 * timer, gauge, trace. A connection between requests holds no buffer and no request: under half a
 * KiB.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/fsm.h"
#include "worker/body.h"
#include "worker/proto.h"
#include "worker/request.h"
#include "worker/transport.h"

/* STATE(id, name, timeout: which one of conf_core, or 0; why the connection ends when that timeout
   strikes; what is done when the socket is readable; the states that this one may follow).
   CONN_BY_OPEN and NULL: the proto decides. */
#define CONN_STATES(STATE)                                                                         \
	STATE(NEW, "new", 0, OPEN, NULL, 0)                                                        \
	STATE(PREFACE, "preface", 1, PREFACE, conn_preface, 1 << CONN_NEW)                         \
	STATE(IDLE, "idle", 2, KEEPALIVE, NULL,                                                    \
	    1 << CONN_NEW | 1 << CONN_PREFACE | 1 << CONN_HEAD | 1 << CONN_ACTIVE)                 \
	STATE(HEAD, "head", 1, OPEN, NULL, 1 << CONN_NEW | 1 << CONN_IDLE)                         \
	STATE(ACTIVE, "active", 0, OPEN, NULL, 1 << CONN_NEW | 1 << CONN_HEAD | 1 << CONN_IDLE)    \
	STATE(LINGER, "linger", 3, LINGERED, conn_linger_read,                                     \
	    1 << CONN_NEW | 1 << CONN_IDLE | 1 << CONN_HEAD | 1 << CONN_ACTIVE)                    \
	STATE(DEAD, "dead", 0, OPEN, conn_nothing, 0xff & ~(1 << CONN_DEAD))

enum conn_state {
#define STATE(id, name, timeout, expires, readable, from) CONN_##id,
	CONN_STATES(STATE)
#undef STATE
};

extern const struct fsm conn_fsm;

/* Why a connection ended: REASON(id, text, is_error, counter or CTR_MAX) */
#define CONN_REASONS(REASON)                                                                       \
	REASON(OPEN, "open", false, CTR_MAX)                                                       \
	REASON(CLIENT, "closed by the client", false, CTR_MAX)                                     \
	REASON(DONE, "last answer sent", false, CTR_MAX)                                           \
	REASON(KEEPALIVE, "idle for too long", false, CTR_MAX)                                     \
	REASON(DRAIN, "closed to drain", false, CTR_MAX)                                           \
	REASON(ROOM, "closed to make room", false, CTR_MAX)                                        \
	REASON(LINGERED, "lingering ended", false, CTR_MAX)                                        \
	REASON(HEAD_TIMEOUT, "request head too slow", true, CTR_TIMEOUTS)                          \
	REASON(BODY_TIMEOUT, "request body too slow", true, CTR_TIMEOUTS)                          \
	REASON(WRITE_TIMEOUT, "response not taken in time", true, CTR_TIMEOUTS)                    \
	REASON(RATE, "below the minimum rate", true, CTR_TIMEOUTS)                                 \
	REASON(ERROR, "socket error", true, CTR_MAX)                                               \
	REASON(CUT, "response could not be finished", true, CTR_MAX)                               \
	REASON(PREFACE, "no or broken PROXY header", true, CTR_BAD_REQUESTS)

enum conn_reason {
#define REASON(id, text, is_error, counter) CONN_BY_##id,
	CONN_REASONS(REASON)
#undef REASON
};

struct conn {
	struct event rd;  /* persistent EV_READ; registered once, when first needed */
	struct link link; /* list of its state */
	struct timer timer;
	struct worker *w;
	const struct transport *transport;
	const struct proto *proto;
	void *stream; /* proto's: what is only needed while not idle; NULL when idle */
	const struct conf_listen *listen;
	struct buf *in; /* bytes not yet used: data[in_at .. used); NULL: none */
	uint64_t id;
	uint32_t in_at;
	union {
		uint32_t nrequests; /* answered so far */
		uint32_t lingered;  /* in LINGER, where no request follows: bytes dropped */
	};
	uint32_t linger_until; /* of worker_now(), s: lingering ends at the latest */
	int fd;
	struct peer peer, via; /* client; the other end of the socket */
	struct peer local;     /* our end; see conn_local() */
	uint8_t state;         /* enum conn_state */
	uint8_t reason;        /* enum conn_reason */
	bool is_reading;       /* rd is added: orthogonal, any state may pause reading */
	bool is_eof;           /* the peer has sent its last byte; it may still read */
	bool is_tls;           /* as a PROXY header says */
	bool is_bulk;          /* transport->bulk() was called */
	bool is_fast;          /* its proto's: much is expected, a read gets a larger block */
	bool is_draining;      /* the next answer is the last: set while the worker drains */
};

/* Takes fd. */
struct conn *conn_open(struct worker *, int fd, const struct conf_listen *, const struct peer *);
/* The only way into a state: moves the connection to the state's list, sets its timer, counts and
   traces it. core: whose timeouts apply; NULL: those of the listener's default site. */
void conn_enter(struct conn *, enum conn_state, const struct conf_core *);
/* A request is over and no other has begun: enters CONN_IDLE, or begins its time anew where the
   connection was in it already (a request that was answered at once). */
void conn_idle(struct conn *);
/* Ends it, for one reason; freed at the end of the turn. Idempotent. */
void conn_close(struct conn *, enum conn_reason);
/* Closes the sending side and goes on reading for a while, dropping what comes. Closing at once,
   with a request body still unread, could destroy the answer before the client has it (RFC 9112
   9.6). */
void conn_linger(struct conn *);
void conn_read_on(struct conn *);
void conn_read_off(struct conn *);
/* Reads once from the socket into c->in, making room there. Returns the number of bytes; 0 when
   there are none now, or none will ever come (is_eof is set then); -1 when it closed the
   connection. */
ssize_t conn_fill(struct conn *);
/* The same, but reads at most max bytes into a pipe. c->in must be empty. */
ssize_t conn_fill_pipe(struct conn *, struct pipe *, size_t max);
/* Drops n bytes of c->in from the front, and the buffer when it is empty. */
void conn_used(struct conn *, size_t n);
void conn_drop_in(struct conn *);
void conn_reap(struct worker *);
/* Closes idle connections: all, or only the oldest one; returns how many. */
unsigned conn_close_idle(struct worker *, bool all, enum conn_reason);
/* Our end of the socket; the kernel is asked once. */
const struct peer *conn_local(struct conn *);
/* Closes connections that have not sent a byte yet. */
unsigned conn_close_silent(struct worker *);
const char *conn_reason_text(enum conn_reason);
const struct conf_core *conn_core(const struct conn *);

#endif

/*
 * An exchange: one request's way through the gateway, from its body to the last octet of the
 * answer, over one or several attempts, each on one connection. Owns what the policies say about
 * waiting, retrying and giving up; protocols are the codecs', sockets the upstream's.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "common/base/clock.h"
#include "common/base/fsm.h"
#include "modules/gateway/codec/codec.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/pool/bpool.h"
#include "modules/gateway/pool/upstream.h"
#include "modules/gateway/reqbody.h"
#include "modules/gateway/resbody.h"
#include "modules/gateway/term.h"

enum exchange_state {
	EXCHANGE_BODY,       /* waits for the request body */
	EXCHANGE_WAITING,    /* for a host */
	EXCHANGE_CONNECTING, /* to one */
	EXCHANGE_SENDING,    /* the request is under way; no answer yet */
	EXCHANGE_ANSWERING,  /* the answer has begun */
	EXCHANGE_TUNNEL,     /* raw octets both ways */
	EXCHANGE_DONE,       /* the backend is done with; the client may still take octets */
	EXCHANGE_STATES,
};

enum { EXCHANGE_TRIED = 8 };

struct exchange {
	struct request *r;
	struct worker *w;
	const struct gateway_conf *conf;
	const struct conf_pool *pool_conf;
	struct bpool *pool;
	const struct codec *codec;
	uint8_t state; /* enum exchange_state; only exchange_enter() changes it */
	bool is_authorizer;
	bool is_fresh;      /* use a new connection: a kept one was stale */
	bool is_idempotent; /* RFC 9110 9.2.2 */
	bool is_sent;       /* all of the request is in u->out or beyond */
	bool is_trial;      /* the attempt is the trial that shows whether its host is back */
	bool is_cut;        /* the backend takes no more of the request */
	bool is_asked_for;  /* the rest of the answer, see upstream_acknowledge() */
	bool has_first;     /* an octet of the answer has come */
	struct bhost *host; /* taken; given back when the attempt is over */
	struct upstream *u;
	struct reqbody *body;  /* NULL: the request has none */
	struct upload *upload; /* NULL: its body is not handed over as files */
	struct bpool_waiter waiter;
	uint64_t wait_until; /* worker_now() at which waiting is over; 0: has not waited */
	struct bhost *tried[EXCHANGE_TRIED];
	unsigned tried_index[EXCHANGE_TRIED];
	unsigned ntried, attempts;
	int status; /* to answer with when no attempt can be made any more */
	struct timer timer, total;
	int64_t moved; /* u->sent when the timer was set; -1: not for this connection yet */
	uint64_t started, mark; /* worker_now_ns(): of the exchange, of the phase */
	struct post pump;
	struct script script;
	struct codec_request ask;
	struct codec_response res;
	struct resbody answer;
	const struct sendfile *file; /* sent in place of the answer, when it has ended; or NULL */
	struct request_backend note;
};

/* Takes the request on: it is answered, or continued (an authorizer that agrees). script: of
   protocols that run one. */
void exchange_start(
    struct request *, const struct gateway_conf *, bool is_authorizer, const struct script *script);
/* Completes r->backend for the log hooks: the last times and how the request ended
   ($backend_term). */
void exchange_finish_note(struct request *);

/* --- between exchange.c, attempt.c, reply.c and tunnel.c --- */

/* Microseconds since then (clock_ns()). */
static inline int64_t
exchange_since(uint64_t then)
{
	return (int64_t)((clock_ns() - then) / 1000);
}

extern const struct fsm exchange_fsm;
/* The only way into a state: see the table in exchange.c. */
void exchange_enter(struct exchange *, enum exchange_state);
/* The timeout of its state begins anew. */
void exchange_clock(struct exchange *);
/* The connection is given up (kept when keep), and the host given back. */
void exchange_leave(struct exchange *, bool keep);
/* The connection goes on without the exchange, and gives the host back. */
void exchange_part(struct exchange *);
/* Sets the timer of the state to another time than the table says; ms 0: none. */
void exchange_timer(struct exchange *, int64_t ms);
/* The attempt failed before any of its answer was passed on: another one, or an error. */
void exchange_failed(
    struct exchange *, enum backend_cause, enum term_who, enum term_where, const char *why);
/* Ends with an error of our own. */
void exchange_refuse(
    struct exchange *, int status, enum term_who, enum term_where, const char *why);
/* Whether another attempt may be made, by the rules for retries other than those for connect
   failures. True has taken one retry from the pool's budget: exchange_retry() must follow, once. */
bool exchange_can_retry(struct exchange *);
void exchange_retry(struct exchange *, const char *why);

/* attempt.c: to the host that was taken. */
void attempt_connect(struct exchange *);
/* Moves the request on: body to frames, frames to the socket. */
void attempt_pump(void *exchange);
/* Sets the timer anew: call it after anything that may change whom the attempt waits for. */
void attempt_clock(struct exchange *, bool has_answered);
/* The client has all of the answer, but the end mark of the backend's protocol (END_REQUEST,
   END_RESPONSE) has not come yet: waits a moment for it, so that the connection can be kept. */
void attempt_finish(struct upstream *);
/* The backend's answer names a file: lets go of the backend, and sends that. */
void attempt_send_file(struct exchange *);
/* The request's body broke before all of it was sent. */
void attempt_body_broke(struct exchange *);

/* reply.c: the head of the answer is in x->res. False: the exchange has given the connection up (an
   error page, a retry, a continued request). */
bool reply_begin(struct exchange *);

/* tunnel.c: the protocol that the client asks for and the route permits (RFC 9110 7.8); n 0: none.
   In the request. */
struct str tunnel_protocol(const struct request *, const struct gateway_conf *);
/* Whether the fields of a 101 name just the protocol that was asked for. */
bool tunnel_is_agreed(const struct codec_request *, const struct fields *);
/* Both ways raw, from the octets that follow the head on. */
void tunnel_begin(struct exchange *);
void tunnel_input(struct exchange *, struct buf *, const char *, size_t);
void tunnel_eof(struct exchange *);
void tunnel_space(struct exchange *);

#endif

/*
 * A request and its response, the same for every HTTP version and without sockets: no hook ever
 * sees a connection. Both protocols fill in the first half and send the second.
 *
 * Life: proto parses a head -> request_start() -> route -> access hooks -> handle hooks -> the
 * handler calls res_begin() (once), which runs the filter hooks and lets proto send the head ->
 * body octets through r->out -> when the last octet is sent or the connection lost: log hooks,
 * deferred calls of the arena, gone. All of a request's memory is in its arena.
 *
 * Failure is a response: res_error(r, 502), not a return code.
 */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include "common/base/arena.h"
#include "common/base/http.h"
#include "common/config/conf.h"
#include "worker/body.h"
#include "worker/note.h"
#include "worker/peer.h"
#include "worker/res.h"
#include "worker/worker.h"

enum { HTTP_10 = 10, HTTP_11 = 11, HTTP_2 = 20 };

struct request {
	struct worker *w;
	const struct proto *proto;
	void *stream; /* proto's own: the connection or stream */

	/* what is asked */
	uint8_t version;  /* HTTP_11 … */
	uint8_t method;   /* enum http_method */
	bool is_tls;      /* the client's side is encrypted, here or at a trusted proxy */
	bool is_plain;    /* struct uri's, of the target */
	bool is_resolved; /* peer is what a trusted proxy said in a field */
	struct str method_name;
	struct str target;      /* as received */
	struct str host;        /* lower case, without port; from Host or the target */
	uint16_t port;          /* of the authority, or the listener's */
	struct str path;        /* decoded, dot segments removed; begins with '/' */
	struct str raw_path;    /* as received, without query: what gateways and redirects need */
	struct str query;       /* as received, without '?'; p NULL: there is none */
	struct fields in;       /* header fields in order */
	struct fields trailers; /* complete when the body has ended */
	int64_t length;         /* of the body: Content-Length, 0 when there is none, -1 unknown */
	struct peer peer;       /* the client: of the connection, or from a trusted proxy */
	struct peer via;        /* the connection's other end */
	const struct conf_listen *listen;
	const struct site *site; /* by host and listener; proto may know it already */
	const struct route *route;
	uint64_t id;          /* unique in this run; in logs and error pages as 16 hex digits */
	uint64_t started;     /* clock_ns() when the head was complete */
	struct str user;      /* authenticated; n 0: nobody */
	struct str path_info; /* what a handler split off the path */
	const void *rewrites; /* the list of rules that modules/rewrite.c applied last */
	const struct request_asked *asked;         /* NULL: all is as it was sent */
	const struct request_admission *admission; /* by a signed link; NULL: none was asked for */

	/* the answer */
	int status;           /* 0: none yet */
	struct fields fields; /* without Date, Server, Connection, framing: those are proto's */
	int64_t out_length;   /* octets of the body, -1 unknown */
	struct body *out;     /* what proto sends; filters may put another before it */
	int64_t sent;         /* octets of the body that were sent */
	int64_t sent_total;   /* head and framing included */
	int64_t received;     /* octets of the body read from the client */
	const struct res_prepared *prepared; /* the first fields are these; NULL: no longer */
	const char *why;    /* reason for an error, for the log and debug error pages */
	struct str handler; /* name of the module that answered */
	struct request_backend *backend;   /* NULL: no backend was asked */
	const struct fields *out_trailers; /* sent after a chunked body that has ended; or NULL */
	bool is_half_closed; /* the client sends no more, and has sent all of the request */
	bool is_last;        /* it has said that nothing follows on its connection (RFC 9112 9.6) */
	struct post client_end; /* see request_on_client_end() */
	bool is_tunnel;         /* see res_begin_tunnel() */

	/* private to request.c */
	uint8_t known[HF_MAX]; /* 1 + index in in.v of the first field of a kind */
	uint8_t phase, hook;
	uint8_t reroutes;   /* 0: path is the client's; modules may read it */
	bool is_begun;      /* res_begin() was called */
	bool is_running;    /* the hooks are on the stack */
	bool goes_on;       /* a hook asked to be continued while it was on the stack */
	bool is_rerouted;   /* a hook asked to start over while it was on the stack */
	bool is_error_page; /* the page for error_status is made; modules may read this one */
	bool is_exempt;     /* see request_is_exempt() */
	bool is_inside;     /* see request_is_inside() */
	int error_status;
	bool is_complete; /* proto has sent all of it */
	bool is_aborted;  /* the client is gone, or the answer had to be cut */
	bool wants_close; /* the connection ends with this answer */

	/* request_new() clears all members above at once; those below are set up one by one */
	struct arena arena;
	struct body body;     /* the request body; nothing is read before request_want_body() */
	struct body out_body; /* what the handler writes to */
	struct link link;     /* while it is free */
};

/* --- reading --- */

/* Value of the first header field of a kind; p NULL when there is none. */
static inline struct str
req_field(const struct request *r, enum http_field id)
{
	return r->known[id] ? r->in.v[r->known[id] - 1].value : (struct str){ NULL, 0 };
}
/* By name, any case; for kinds without a row. */
struct str req_field_named(const struct request *, struct str name);
/* All values of a kind joined by ", " (RFC 9110 5.3) in the arena. */
struct str req_field_all(struct request *, enum http_field id);

/* The handler wants the request body: sends 100 (Continue) when the client waits for it (RFC 9110
   10.1.1) and begins to read into r->body. A body that nobody asks for is dropped after the answer,
   within bounds. */
void request_want_body(struct request *);
/* fn(arg) is posted when the client closes its sending side after a complete request. Most clients
   have gone then; one that has announced its last request (is_last) may still wait for the answer.
   The caller must withdraw (fn NULL) before arg is freed, from a deferred call of the arena at the
   latest. Not for tunnels: there the body ends. */
static inline void
request_on_client_end(struct request *r, void (*fn)(void *), void *arg)
{
	if (!fn)
		post_cancel(&r->client_end);
	r->client_end.fn = fn;
	r->client_end.arg = arg;
	if (fn && r->is_half_closed)
		worker_post(r->w, &r->client_end);
}

/* The address of ours that the client has reached, not a wildcard; a Unix socket's path. */
struct str req_local(struct request *);
/* NULL when the client is on this machine, as far as that can be known; else why not, in words. */
const char *req_not_local(const struct request *);

/* The client asks for a protocol change that its connection can make (RFC 9110 7.8): HTTP/1.1, no
   request body, Upgrade, and Connection names it. See res_begin_tunnel(). */
bool req_can_tunnel(const struct request *);

/* --- answering: res.h; starting over: request_anew.h --- */

/* Called by a hook that has returned MINE without an answer: go on with the next module. */
void request_continue(struct request *);

#include "worker/request_anew.h"

#endif

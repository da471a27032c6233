/*
 * A codec: one protocol of backends, as pure functions between octets and meaning. It has no
 * sockets, timers or policy; the engine (exchange.c) owns those and is the same for all protocols.
 * Every decoder is resumable at each octet, bounded, and fuzzed.
 *
 * Life of one attempt on one connection: state zeroed -> head() -> body() whenever octets may be
 * sent -> input() for what comes -> CODEC_END or eof(). A connection that is kept is used again
 * with the state zeroed anew.
 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "common/config/conf_pool.h"
#include "modules/gateway/codec/script.h"
#include "worker/request.h"

struct gateway_conf;

enum { CODEC_STATE = 512 }; /* octets that a codec's state may have; in the connection */

/* What an attempt sends. Strings live until the request ends. */
struct codec_request {
	struct request *r;
	const struct gateway_conf *conf; /* of the route: environment, fields, mapping */
	const struct conf_pool *pool;
	const struct conf_host *host;
	const struct script *script;    /* CGI-like protocols: see script.h */
	const struct fields *variables; /* what an authorizer gave for the environment; or NULL */
	int64_t length; /* of the body that will be sent; -1: unknown (codecs with needs_length are
			   never asked so) */
	bool keep;      /* the connection is to stay open after it */
	bool is_authorizer;
	struct str
	    upgrade; /* the protocol that the client asks for and the route permits; n 0: none */
	struct str authority; /* http: of the backend, for `host = "backend"` */
};

/* What came back. Filled by input(); the engine resets it for each attempt. */
struct codec_response {
	struct arena *arena; /* what is kept of the input is copied here */
	uint32_t max_head;   /* octets; beyond: CODEC_ERROR */
	bool is_head;        /* the request was a HEAD: no body follows whatever the fields say */
	int status;
	struct fields fields;   /* end-to-end ones: hop-by-hop and framing are taken out */
	struct fields trailers; /* with CODEC_END */
	int64_t length;         /* of the body, -1: unknown */
	bool is_tunnel;         /* 101: from here on both ways are raw octets */
	bool keep;              /* with CODEC_END: the connection can be used again */
	struct str data;        /* CODEC_DATA: in the input; CODEC_STDERR: in the input */
	int64_t want;           /* CODEC_WANT: octets of body that the backend asks for (AJP13) */
	struct str local;   /* CGI: a redirect within the server (RFC 3875 6.2.2); p NULL: none */
	const char *why;    /* CODEC_ERROR: for the log */
	bool is_overloaded; /* CODEC_ERROR: it had no room and did nothing; others may */
};

enum codec_event {
	CODEC_MORE,    /* all was used; more is needed */
	CODEC_INTERIM, /* a 1xx but 101: status and fields */
	CODEC_HEAD,    /* status, fields, length are there */
	CODEC_DATA,    /* content octets */
	CODEC_STDERR,  /* text for the log */
	CODEC_WANT,    /* see want */
	CODEC_END,     /* the response is complete */
	CODEC_ERROR,   /* the backend broke the protocol */
};

struct codec {
	const char *name;
	bool can_keep;     /* several requests, one after the other, on a connection */
	bool needs_length; /* the body's length must be known before the head is sent */
	bool is_cgi;       /* needs codec_request.script */
	unsigned pipes;    /* octets of a pipe that body() moves undivided; 0: none */
	/* Composes everything before the body into out. 0, or the status to answer with and *why
	   (400: fields that collide; 431: too large for a packet …). */
	int (*head)(void *state, const struct codec_request *, struct body *out, const char **why);
	/* Moves what may be sent of src to out, framed, about max octets; called when src has
	   octets or has ended, and after CODEC_WANT. Puts the protocol's end mark once src is done;
	   also called, once, when there is no body at all. True when that was put: nothing follows.
	 */
	bool (*body)(void *state, struct body *out, struct body *src, int64_t max);
	/* One event of in[0..n); *used octets are done with (also with an event). Called again
	   while octets remain, and after each event but MORE, END and ERROR also when none do. */
	enum codec_event (*input)(
	    void *state, struct codec_response *, const char *in, size_t n, size_t *used);
	/* The backend closed its end. END: that was the end of the body; ERROR: it was not (why).
	 */
	enum codec_event (*eof)(void *state, struct codec_response *);
	/* plain(): how many octets of content come next that need not be given to input(); at least
	   one more octet of it follows them, which must be. 0, or NULL: none. passed(): n of them
	   were moved past the codec. */
	int64_t (*plain)(const void *state);
	void (*passed)(void *state, int64_t n);
	/* What to send so that the backend gives up the request; NULL or nothing put: close. */
	void (*abort)(void *state, struct body *out);
	/* A request and its answer that say whether a host is well, without an application: AJP13
	   CPing/CPong, FastCGI GET_VALUES. ping() puts octets, pong() 1 good, 0 more, -1 bad. NULL:
	   the protocol has none. */
	void (*ping)(struct body *out);
	int (*pong)(const char *in, size_t n);
};

extern const struct codec codec_fastcgi, codec_scgi, codec_uwsgi, codec_http, codec_ajp;
/* By enum pool_protocol; POOL_CGI is codec_scgi, spoken with the CGI starter. */
const struct codec *codec_of(int protocol);

#endif

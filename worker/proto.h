/*
 * What turns octets into requests and responses into octets. Instances: HTTP/1 (h1.c), later
 * HTTP/2, and a loopback without sockets in the tests, through which every module is tested.
 */
#ifndef WORKER_PROTO_H
#define WORKER_PROTO_H

struct conn;
struct fields;
struct request;

struct proto {
	const char *name;
	void (*open)(struct conn *);
	/* c->in has octets, or the peer has sent its last one (c->is_eof). */
	void (*input)(struct conn *);
	/* The socket takes octets again. */
	void (*output)(struct conn *);
	/* res_begin() was called: the head may be sent; r->out will have the body. With
	   r->is_tunnel: both bodies are raw octets from now on. */
	void (*head)(struct request *);
	/* An interim response (100, 103 …); fields may be NULL. */
	void (*interim)(struct request *, int status, const struct fields *);
	/* A handler wants the body. */
	void (*want_body)(struct request *);
	/* Our end of the request's connection; asked for where the listener is on all addresses. */
	const struct peer *(*local)(struct request *);
	/* The answer must be cut. */
	void (*abort)(struct request *);
	/* The worker drains: finish what is begun, take nothing new. */
	void (*drain)(struct conn *);
	/* The connection's timer struck, in a state other than those that conn.c ends itself. */
	void (*expired)(struct conn *);
	/* The connection is going away: end its requests. */
	void (*close)(struct conn *);
};

extern const struct proto proto_h1;

#endif

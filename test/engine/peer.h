/*
 * The other ends of the worker's connections, for schedules: backends that speak a protocol, and
 * clients. What each sends is planned from the seed and said in pieces; what each gets is compared
 * with what was sent, octet by octet.
 */
#ifndef TEST_ENGINE_PEER_H
#define TEST_ENGINE_PEER_H

#include "common/base/http.h"
#include "test/engine/vnet.h"

/* A request that a client makes. Its number stands in the path, so that a backend knows it. */
struct ask {
	enum http_method method;
	size_t length;   /* of its body */
	bool is_chunked; /* whose length is not told */
	bool is_upgrade;
};

enum { PEER_ASKS = 64 };
extern struct ask asks[PEER_ASKS];
extern unsigned nasks;

/* Octets of the body of a request, and of its answer, from the first one on. */
const char *peer_octets(unsigned id);

/* --- backends --- */
enum peer_after { PEER_STAYS, PEER_ENDS, PEER_GOES, PEER_RESETS };
struct backend {
	struct vsock *s;
	int protocol;       /* enum pool_protocol */
	bool is_good;       /* answers as it should */
	size_t begin;       /* in s->out: of the request that it has */
	size_t seen;        /* of s->out */
	bool has_served;    /* a request, not a probe */
	bool is_asked;      /* a head has come */
	bool is_whole;      /* and all of the body */
	bool is_planned;    /* its answer */
	bool is_open_ended; /* its answer ends with the connection: closing early cannot be told */
	bool wants_more;    /* AJP: a packet of the body was asked for */
	unsigned id;
	size_t got; /* octets of the body */
	struct text plan;
	size_t plan_at;
	enum peer_after after;
};
/* The one at the other end of the socket; made when it is asked for first. */
struct backend *backend_of(struct vsock *, int protocol);
/* Looks at what has come; plans an answer when it is time. */
void backend_look(struct backend *);
/* Says some of what is planned; all: all of it, and what comes after. */
void backend_speak(struct backend *, bool all);
void backend_free(struct backend *);

/* --- clients --- */
struct client {
	struct vsock *s;
	unsigned first, n; /* its requests */
	struct text plan;
	size_t plan_at;
	size_t ends[4]; /* in plan: of each request */
	bool is_left;   /* gone, or ended its side in the middle */
	bool is_slow;   /* its window was shut at a time */
};
struct client *client_new(bool has_tunnels);
void client_speak(struct client *, bool all);
/* Octets go out: the whole of each answer is right, and there is one for each request. */
void client_check(const struct client *, bool was_drained);
void client_free(struct client *);

#endif

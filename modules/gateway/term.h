/*
 * How a request to a backend ended: two letters, in the access log as $backend_term. The first says
 * who ended it, the second where it was; they are written once, at the first thing that ended it.
 * A request that went well is "--". The same table is in argand.conf(5), LOGGING.
 */
#ifndef GATEWAY_TERM_H
#define GATEWAY_TERM_H

enum term_who {
	TERM_NOBODY = '-',      /* it went well */
	TERM_CLIENT = 'C',      /* the client went away */
	TERM_CLIENT_SLOW = 'c', /* the client was too slow: sending its body, taking the answer */
	TERM_SERVER = 'S',      /* the backend refused, closed, reset or broke the protocol */
	TERM_SERVER_SLOW = 's', /* a timeout of the backend: connect, send, first_byte … */
	TERM_PROXY = 'P',       /* we ended it by a rule: too large, cannot be encoded, shutdown */
	TERM_QUEUE = 'Q',       /* no host had a place in time, or the queue was full */
	TERM_LOST = 'D',        /* every host had been down for too long to be waited for */
	TERM_RESOURCE = 'R',    /* something of ours ran out: disk, descriptors, memory */
};

enum term_where {
	TERM_DONE = '-',    /* all of it */
	TERM_REQUEST = 'R', /* the request body came from the client; no backend was asked yet */
	TERM_WAITING = 'Q', /* it waited for a host */
	TERM_CONNECT = 'C', /* the connection was made, TLS included */
	TERM_HEAD = 'H',    /* the request was sent, the response head awaited */
	TERM_DATA = 'D',    /* the response body came from the backend */
	TERM_LAST = 'L',    /* the backend was done; the client was still taking the answer */
};

/* dst is request_backend.termination. The first one stays. */
static inline void
term_set(char dst[3], enum term_who who, enum term_where where)
{
	if (dst[0])
		return;
	dst[0] = (char)who;
	dst[1] = (char)where;
	dst[2] = '\0';
}

#endif

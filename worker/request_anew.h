/*
 * Starting a request over, within the server. A part of request.h, which describes the life of a
 * request.
 */
#ifndef WORKER_REQUEST_ANEW_H
#define WORKER_REQUEST_ANEW_H

#include "common/base/http.h"
#include "worker/request.h"

/* Starts over with another path (decoded, normalised) and the query kept or replaced (p not NULL):
   routing, access, handle. For rewrites, try lists and index files; at most 10 times, then 508. The
   caller returns MINE. */
void request_reroute(struct request *, struct str path, struct str query);

/* The same with the site's own error page for a status, once a request. The page is for clients
   that were refused, so they must be allowed to get it: while the request is routed to the page's
   path, it is exempt from the modules that decide who may ask and where requests are sent
   (request_is_exempt). The exemption ends when the request starts over once more. */
void request_page(struct request *, int status, struct str path);
static inline bool
request_is_exempt(const struct request *r)
{
	return r->is_exempt;
}

/* The same as if the client had asked for the path, with GET (RFC 3875 6.2.2): every rule of it
   counts, also rewrites that were applied before. */
void request_ask(struct request *, struct str path, struct str query);

/* The same on behalf of an application, which may ask routes that answer nobody else (the option
   internal). What was a GET or HEAD is so still, with its conditions and ranges. That it comes from
   inside ends with the next page and with the next request_ask(); what such a route makes of the
   path (an index file) is inside too. */
void request_ask_inside(struct request *, struct str path, struct str query);
static inline bool
request_is_inside(const struct request *r)
{
	return r->is_inside;
}

/* Replaces the request's path (decoded, normalised) and query (p NULL: none), without routing it
   anew. The new target has one spelling, whatever the client's was: so what a module has removed
   from the target (a signature) reaches no handler, no backend and no log. */
void request_retarget(struct request *, struct str path, struct str query);

/* Says that a signed link has let the request in. It stays true when rewrites and index files
   change the request, but not after request_ask(). */
struct request_admission {
	const void *rules; /* which: they ask once */
	int64_t rate;      /* octets a second that the link grants; 0: as many as there are */
	struct str query;  /* as it was sent */
};

/* The query for sending the client from its path to one beside it: with its link. */
static inline struct str
request_sent_query(const struct request *r)
{
	return r->admission ? r->admission->query : r->query;
}

/* What the client sent, once the request has become another one: for logs. */
struct request_asked {
	uint8_t method;
	struct str method_name;
	struct fields in;
};
struct str request_asked_method(const struct request *);
/* A field of a kind, or, for kinds without a row, of a name; p NULL when there is none. */
struct str request_asked_field(const struct request *, enum http_field, struct str name);

#endif

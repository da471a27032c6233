/*
 * The response of a request: fields, the beginning, whole answers, interim ones, tunnels. Included
 * by request.h, which describes the life of a request.
 */
#ifndef WORKER_RES_H
#define WORKER_RES_H

#include "common/base/http.h"

struct request;

/* Adds a response field. name and value are borrowed until the request ends. */
void res_field(struct request *, enum http_field id, struct str value);
void res_field_named(struct request *, struct str name, struct str value);
/* Fields whose HTTP/1 form ("Name: value\r\n" one after the other) is at hand: what caches keep. */
struct res_prepared {
	const struct field *v;
	unsigned n;
	unsigned length_n; /* octets of the Content-Length of a body of length, behind text; or 0 */
	int64_t length;
	struct str text;
};
/* Adds such fields, borrowed until the request ends. They may be edited afterwards like all others:
   the text is used only while they are unchanged. */
void res_fields_prepared(struct request *, const struct res_prepared *);
/* Replaces all fields of a kind. */
void res_field_set(struct request *, enum http_field id, struct str value);
void res_field_del(struct request *, enum http_field id);
struct str res_field_get(const struct request *, enum http_field id);
/* Adds a token to Vary unless it is there. */
void res_vary(struct request *, struct str name);

/* Status and length of the body (-1: unknown) are known: runs the filter hooks, then the head may
   be sent. After it the handler puts the body into r->out_body and ends it. For HEAD, 204 and 304
   the body may be left out; what is put is dropped. Asserts that it is the first call. */
void res_begin(struct request *, int status, int64_t length);

/* An interim response (103 …; RFC 9110 15.2) with fields; borrowed for the call. Dropped for
   clients that do not know them (HTTP/1.0). Before res_begin only. */
void res_interim(struct request *, int status, const struct fields *);

/* Ends HTTP on this connection with 101 (RFC 9110 7.8): after the head r->body is open and has the
   client's octets until it ends them, and r->out_body goes out as it is; ending it ends the sending
   side only. The request is over when both have ended (r->body also by body_cancel()), or when the
   connection breaks. r->fields must have Upgrade; Connection is added; no filter hooks run. Only
   while req_can_tunnel(). Timeouts are the caller's, but that of a client that takes nothing. */
void res_begin_tunnel(struct request *);

/* Whole answers. res_error makes a page (HTML, JSON or text by Accept, or the route's own page),
   and may be called in place of res_begin by any hook; after res_begin it cuts the answer instead.
   why is for the log, and for loopback clients with debug on; NULL for none. */
void res_error(struct request *, int status, const char *why);
void res_error_fmt(struct request *, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A regular expression that decides what becomes of the request failed (regex_match): 500, and a
   line in the log, at most one a second. */
void res_undecided(struct request *);
void res_redirect(struct request *, int status, struct str location);
void res_text(struct request *, int status, struct str type, struct str text);
/* The answer cannot be finished: the client is made to notice (connection closed, RST_STREAM). */
void res_abort(struct request *, const char *why);

#endif

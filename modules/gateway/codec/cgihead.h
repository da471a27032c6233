/*
 * The response of a CGI-like application (RFC 3875 6): a head of fields, then content, as FastCGI,
 * SCGI, uwsgi and CGI have it. Pure, resumable at every octet, bounded.
 *
 * The head says "Status: 404 Not Found", or begins with a whole status line ("HTTP/1.1 404 Not
 * Found", what NPH scripts and uwsgi send; it outranks Status), or has neither: then it is 200, and
 * 302 with Location; when that is a path on this server, response.local has it (RFC 3875 6.2.2).
 * Lines end in CRLF or LF. 1xx heads may come before.
 *
 * Content is what follows, until Content-Length is reached, the chunked coding says so (an
 * application that announces Transfer-Encoding: chunked has coded its output), or the protocol ends
 * it.
 */
#ifndef CODEC_CGIHEAD_H
#define CODEC_CGIHEAD_H

#include "modules/gateway/codec/codec.h"
#include "worker/chunked.h"

struct cgihead {
	uint8_t phase;
	uint8_t line;     /* what the current line has: see cgihead.c */
	uint8_t interims; /* 1xx heads so far */
	bool may_switch;  /* set by the codec: 101 is a tunnel */
	bool is_chunked;
	uint32_t head_n, room; /* octets of the head so far, kept at head */
	char *head;
	int64_t remaining; /* octets of content to come; -1: until the end */
	struct chunked chunked;
};

_Static_assert(sizeof(struct cgihead) <= CODEC_STATE, "fits into a connection");

/* Hooks of codecs whose state is, or begins with, a struct cgihead. */

/* One event of in[0..n): MORE, INTERIM, HEAD, DATA, END (the content is complete; nothing of what
   follows is used), ERROR. */
enum codec_event cgihead_input(
    void *state, struct codec_response *, const char *in, size_t n, size_t *used);
/* The application has sent its last octet: END, or ERROR when something was missing. */
enum codec_event cgihead_eof(void *state, struct codec_response *);
/* A request body that is sent as it is. */
bool cgihead_body(void *state, struct body *out, struct body *src, int64_t max);

#endif

/*
 * HTTP/1.1 to a backend: what the two halves of the codec share. hcodec_head.c composes the head of
 * the request; hcodec.c frames its body and reads the response. The row is codec_http.
 */
#ifndef CODEC_HCODEC_H
#define CODEC_HCODEC_H

#include "modules/gateway/codec/codec.h"
#include "worker/chunked.h"

/* Interim responses before the final one; fields of one head. */
enum { HCODEC_MAX_INTERIMS = 16, HCODEC_MAX_FIELDS = 512 };

struct hcodec {
	const struct codec_request *q;
	/* of the request */
	int64_t to_send; /* octets of the body; -1: by chunks */
	bool is_sent;    /* all of it, the end mark included */
	bool is_upgrade;
	bool wants_keep; /* we let the connection stay open */
	/* of the response */
	bool keep; /* so does the backend, and the end of the response will be known */
	uint8_t phase;
	uint8_t interims;
	int64_t remaining; /* of a body with a length */
	struct chunked chunked;
	char *head; /* a head that comes in pieces: in the arena */
	uint32_t head_n, head_room;
	const char *why; /* what was wrong */
};

_Static_assert(sizeof(struct hcodec) <= CODEC_STATE, "the state fits into the connection");

/* codec.head */
int hcodec_head(void *state, const struct codec_request *, struct body *out, const char **why);

#endif

/*
 * The chunked transfer coding (RFC 9112 7.1), decoding and encoding. Pure, resumable at every
 * octet, bounded: chunk extensions are skipped up to a limit, trailer fields kept up to a limit.
 */
#ifndef WORKER_CHUNKED_H
#define WORKER_CHUNKED_H

#include <sys/types.h>
#include "common/base/arena.h"
#include "common/base/http.h"

struct chunked {
	uint8_t state;
	uint8_t digits;
	uint32_t ext;        /* octets of extensions so far, over the whole body */
	uint16_t trailers;   /* trailer fields so far */
	uint32_t trailer_n;  /* octets of the trailer section so far */
	uint32_t line_start; /* where the current line of it begins */
	uint64_t remaining;  /* octets of the current chunk still to come */
	char *trailer;       /* room in the arena, made when a trailer begins */
};

enum { CHUNKED_MAX_EXT = 16384, CHUNKED_MAX_TRAILER = 8192, CHUNKED_MAX_TRAILERS = 64 };

/* Zero-initialised state is the beginning. Takes octets from in[0..n) and returns how many were
   used. *data: the content octets among them, one run a call: call again while octets remain and
   *done is false. *done: the last chunk and the trailer section are complete; trailers then holds
   the trailer fields (in arena). Returns minus the status to answer with when the coding is broken
   (400) or too large (413, 431), and the same at every further call. Fields that have no business
   in a trailer section (RFC 9110 6.5.1) are dropped. */
ssize_t chunked_decode(struct chunked *, struct arena *, struct fields *trailers, const char *in,
    size_t n, struct str *data, bool *done);

/* Octets of the current chunk that are still to come, once the line of its size is complete. */
uint64_t chunked_announced(const struct chunked *);

/* The line before a chunk of n octets, at dst[18]; returns its length. */
size_t chunked_head(char dst[18], uint64_t n);
#define CHUNKED_LAST "0\r\n\r\n"

#endif

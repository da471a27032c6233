/*
 * Which fields of a backend's answer leave the server: one filter for final heads, interim heads
 * and trailers, over every protocol of backends.
 */
#ifndef CODEC_SIEVE_H
#define CODEC_SIEVE_H

#include "modules/gateway/codec/codec.h"
#include "modules/gateway/codec/conf.h"

enum sieve_part { SIEVE_HEAD = 1, SIEVE_INTERIM = 2, SIEVE_TRAILERS = 4 };

/* Removes the fields that must not leave the server, and maps those that name the backend (hmap.h).
   Every answer to a client passes here exactly once, also one that is kept to be sent later. */
void sieve_response(
    struct request *, const struct codec_request *, struct fields *, enum sieve_part);

/* Whether a name is of the family by which applications command the server before them:
   X-Accel-…, X-Sendfile… */
bool sieve_is_command(struct str name);
/* Whether a field may be in a trailer section, of requests and responses (RFC 9110 6.5.1). */
bool sieve_is_trailer(const struct field *);

#endif

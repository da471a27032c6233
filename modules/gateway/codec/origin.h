/*
 * The fields that say where a request came from: X-Forwarded-For, -Proto, -Host and Forwarded (RFC
 * 7239), the same over every protocol. We append to what a trusted proxy before us has sent; what
 * anybody else has sent is dropped, and the fields begin with us. So a backend may rely on them
 * without a list of trusted addresses of its own.
 */
#ifndef CODEC_ORIGIN_H
#define CODEC_ORIGIN_H

#include <netinet/in.h>
#include "modules/gateway/codec/passage.h"

enum { ORIGIN_FIELDS = 4 };

struct origin {
	struct field v[ORIGIN_FIELDS]; /* values in the request's arena, or here */
	unsigned n;
	size_t octets; /* of all names and values */
	size_t address_n;
	char address[INET6_ADDRSTRLEN]; /* of the hop before us */
};

/* By gateway.x_forwarded and gateway.forwarded; what is in the way of it is marked in the passage.
   client_host: what the client asked for (passage_client_host). */
void origin_make(struct origin *, struct passage *, struct str client_host);
/* All values of the client's fields of a kind before one of ours: "a, b, ours". */
struct str origin_continue(const struct passage *, enum http_field, struct str ours);

#endif

/*
 * Request fields by which a proxy in front of an application tells it what only that proxy knows:
 * from where the client came, with which scheme, for which host, prefix or URL, with which
 * certificate. Applications and frameworks believe them. So who may say them is decided before
 * backends: trusted_proxies, and nobody else.
 */
#ifndef GATEWAY_CLAIM_H
#define GATEWAY_CLAIM_H

#include "common/http.h"

enum claim {
	CLAIM_NONE = 0,
	CLAIM_FRONT = 1, /* a proxy's statement about the client or what it asked for */
	CLAIM_NEVER = 2, /* of the connection alone (RFC 9110 7.6.1, RFC 9113 3.1) */
	CLAIM_KNOWN = 4, /* no claim, but a name that has a row in http.def */
};

/* What a name is, folded. */
enum claim claim_of(struct str name);
enum claim claim_of_kind(enum http_field);

#endif

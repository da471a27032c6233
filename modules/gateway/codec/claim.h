/*
 * Claims: request fields by which a proxy in front of an application says what only that proxy
 * knows: from where the client came, with which scheme, for which host, prefix or URL, with which
 * certificate. Applications and frameworks believe them. So it is decided here, before a request
 * reaches a backend, who may send them: trusted_proxies, and nobody else.
 */
#ifndef CODEC_CLAIM_H
#define CODEC_CLAIM_H

#include "common/base/http.h"

enum claim {
	CLAIM_NONE = 0,
	CLAIM_FRONT = 1, /* a proxy's statement about the client or what it asked for */
	CLAIM_NEVER = 2, /* of the connection alone (RFC 9110 7.6.1, RFC 9113 3.1) */
	CLAIM_KNOWN = 4, /* no claim, but a name that has a row in http.def */
};

/* What a name is, folded. */
enum claim claim_of(struct str name);
enum claim claim_of_kind(enum http_field);

/* By the first letter of a name, the lengths of those that make a claim: a bit for each below 32.
 */
extern uint32_t claim_lengths[32];

/* False for nearly all names: the name has no row in http.def, and is certainly no claim. */
static inline bool
claim_is_possible(struct str name)
{
	return name.n >= 32 || claim_lengths[name.p[0] & 31] >> name.n & 1;
}

#endif

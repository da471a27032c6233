/*
 * Where a request comes from: from this machine, or through somebody who forwards. What modules may
 * ask is req_not_local() in request.h.
 */
#ifndef WORKER_MACHINE_H
#define WORKER_MACHINE_H

#include "worker/request.h"

/* Whether a field of the request shows that a proxy has forwarded it (RFC 9110 7.6.3, RFC 7239, and
   what was used before that). */
static inline bool
machine_is_forwarded(const struct request *r)
{
	uint32_t x; /* four that stand together in the table: asked at every request */

	_Static_assert(HF_X_FORWARDED_HOST == HF_X_FORWARDED_FOR + 1 &&
			   HF_X_FORWARDED_PROTO == HF_X_FORWARDED_FOR + 2 &&
			   HF_X_REAL_IP == HF_X_FORWARDED_FOR + 3,
	    "four fields in a row");
	memcpy(&x, &r->known[HF_X_FORWARDED_FOR], sizeof(x));
	return (x | r->known[HF_FORWARDED] | r->known[HF_VIA]) != 0;
}

/* For a routed request that a proxy has forwarded: warns in the log, once per listener, when
   proxies seem to connect there from this machine that are not among trusted_proxies. */
void machine_warn(const struct request *);

#endif

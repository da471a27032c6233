/*
 * What ties a request to a host: the key of consistent hashing, and the sticky cookie. The cookie's
 * value is made from pool and address, not from a place in a list, so that it means the same host
 * in every worker, after reloads and after restarts.
 */
#ifndef POOL_AFFINITY_H
#define POOL_AFFINITY_H

#include "common/config/conf_pool.h"
#include "modules/gateway/pool/bpool.h"
#include "worker/request.h"

/* The key for BALANCE_HASH: of URI, path, client address, header or cookie. */
uint64_t affinity_key(const struct conf_pool *, struct request *);
/* The hash of the host that the request's cookie names; 0: none. */
uint64_t affinity_host(const struct conf_pool *, const struct request *);
/* Adds the cookie for the host that answered, unless the client has it. */
void affinity_set(const struct conf_pool *, struct request *, const struct bhost *);

#endif

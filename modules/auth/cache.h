/*
 * What a worker remembers of correct passwords: a keyed hash (BLAKE2s, RFC 7693 2.9, with a key of
 * this process) and how long it is valid. Neither names nor passwords are kept.
 */
#ifndef AUTH_CACHE_H
#define AUTH_CACHE_H

#include "common/base/str.h"

enum { AUTH_MAC = 32, AUTH_CACHE_SETS = 256, AUTH_CACHE_WAYS = 4 };

/* Worker, once: makes the key. 0 or -1. */
int auth_cache_init(void);
void auth_cache_fini(void);

/* The hash of credentials ("name:password") for a version of a file of users. */
void auth_cache_mac(uint8_t mac[AUTH_MAC], uint64_t version, struct str credentials);

bool auth_cache_has(const uint8_t mac[AUTH_MAC], uint64_t now);
/* until: ms. Bounded: the entry that would end first makes room. */
void auth_cache_put(const uint8_t mac[AUTH_MAC], uint64_t now, uint64_t until);

#endif

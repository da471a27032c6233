/*
 * Sets of IP addresses and networks: "192.0.2.0/24", "2001:db8::/32", "192.0.2.7", "::1", and the
 * words "private" (RFC 1918, RFC 4193, loopback, link-local), "loopback", "unix" (any Unix socket
 * peer), "all". IPv4-mapped IPv6 addresses are compared as IPv4.
 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include "common/base/arena.h"

struct cidr {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: all */
	uint8_t bits;
	uint8_t addr[16];
};

struct cidr_set {
	struct cidr *v;
	size_t n;
};

/* Adds what text means; false when it means nothing, *why says what is allowed. */
bool cidr_add(struct cidr_set *, struct arena *, struct str text, const char **why);
/* addr: 4 or 16 bytes in network order by family. */
bool cidr_match(const struct cidr_set *, int family, const uint8_t *addr);
/* How narrow the narrowest matching element is: its prefix length, counted as in IPv6 (10.0.0.0/8
   is 104); 0 for "all"; -1 when none matches. */
int cidr_narrowest(const struct cidr_set *, int family, const uint8_t *addr);

#endif

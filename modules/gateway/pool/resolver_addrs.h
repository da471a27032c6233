/*
 * A set of addresses in a fixed order, IPv4 first: two lookups with the same answer give the same
 * octets whatever the order of the answer was. Pure.
 */
#ifndef POOL_RESOLVER_ADDRS_H
#define POOL_RESOLVER_ADDRS_H

#include <stdbool.h>
#include <sys/socket.h>

enum { RESOLVER_ADDRS = 64 };

struct resolver_addrs {
	struct sockaddr_storage v[RESOLVER_ADDRS]; /* all octets that are not used are 0 */
	unsigned n;
};

/* Adds an IPv4 or IPv6 address (in network order, by family) where it belongs; nothing happens when
   it is there, or for another family. When the set is full the last one goes. */
void resolver_addrs_add(struct resolver_addrs *, int family, const void *addr);
bool resolver_addrs_equal(const struct resolver_addrs *, const struct resolver_addrs *);

/* The numeric text, without port; the buffer has room for INET6_ADDRSTRLEN. */
const char *resolver_addrs_text(const struct sockaddr_storage *, char *text);

#endif

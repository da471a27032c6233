/*
 * Who is at the other end of a connection.
 */
#ifndef WORKER_PEER_H
#define WORKER_PEER_H

#include "common/base/arena.h"

struct peer {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX */
	uint16_t port;
	uint8_t addr[16]; /* network order */
};

struct sockaddr_storage;
/* An IPv4 address that is mapped into IPv6 (::ffff:192.0.2.1) becomes an IPv4 address. */
void peer_of(struct peer *, const struct sockaddr_storage *);

/* The peer's address as text ("192.0.2.1", "2001:db8::1", "unix:"); into the arena. */
struct str peer_text(struct arena *, const struct peer *);

#endif

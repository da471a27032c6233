/*
 * What vnet.c (sockets) and vloop.c (clock, chance, events) have in common; see vnet.h.
 */
#ifndef TEST_ENGINE_VNET_OWN_H
#define TEST_ENGINE_VNET_OWN_H

#include "test/engine/vnet.h"

/* A descriptor of ours is VNET_FD + its index and never used twice, so that whoever uses one after
   closing it is found out. */
enum { VNET_FD = 1 << 20, VNET_EVENTS = 4 };

/* All sockets since vnet_start(). */
struct vnet {
	bool is_on;
	struct vsock **v;
	unsigned n, room;
	unsigned accepted; /* index of the first client that may still be waiting */
	uint64_t moves;
};
extern struct vnet vnet;

void vloop_start(uint64_t seed);

static inline bool
vnet_is_ours(int fd)
{
	return fd >= VNET_FD;
}
/* One that is open: whoever names another has used a descriptor after closing it. */
struct vsock *vsock_of(int fd);
bool vsock_is_readable(const struct vsock *);
bool vsock_is_writable(const struct vsock *);

#endif

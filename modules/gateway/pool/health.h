/*
 * Finds out, without spending a request, whether a host is well: probes a host that is out and
 * whose time is over, and makes the active checks of its pool. Every worker looks at its hosts once
 * per tick; a lease in the segment lets exactly one act (common/balance/backend.h).
 *
 *   a host that is out for   comes back by
 *   refused, unreachable     a probe: the pool's check where it has one, else the protocol's ping,
 *                            else a connection (with TLS where the pool speaks it)
 *   overload, errors         a request, see balance.h
 *   check                    `rise` good checks; a probe where the pool has no checks any more
 */
#ifndef POOL_HEALTH_H
#define POOL_HEALTH_H

#include <sys/socket.h>
#include "common/balance/backend.h"
#include "worker/worker.h"

struct tls_pool;
struct health_run;

/* Embedded in whatever is the engine's host. All it points at outlives it. */
struct health_host {
	/* set by the owner before health_start() */
	struct worker *w;
	const struct conf_pool *pool;
	const struct conf_host *conf;
	const struct sockaddr *addr;
	socklen_t addr_len;
	unsigned row;
	struct tls_pool *tls; /* NULL: the pool speaks no TLS */
	/* A probe or check of this worker changed what may be done with the host: it came back, or
	   went out. Called from the loop, never from inside start or stop; it may stop the host. */
	void (*changed)(void *arg);
	void *arg;

	/* health.c's own */
	struct link link;
	struct health_run *run; /* what is under way */
};

void health_start(struct health_host *);
/* Harmless when it was not started. A probe under way is given back, for another worker to make. */
void health_stop(struct health_host *);

#endif

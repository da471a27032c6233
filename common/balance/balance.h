/*
 * Which host gets a request: one decision for all workers, made from the shared segment. Pure of
 * sockets and clocks (the caller says what time it is), so that many processes are simulated in
 * tests. A pick that succeeds has counted the request in the caller's column already; two workers
 * that decide at the same moment do not both take the last place: see balance.c.
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

#include "common/balance/backend.h"

enum { BALANCE_HOSTS = 256 }; /* of one pool, resolved addresses included */

/* One address that a request can go to. A name that resolves to three addresses is three. */
struct balance_host {
	unsigned row; /* in the segment */
	const struct conf_host *conf;
	uint64_t hash; /* of pool name and address: for consistent hashing and the sticky cookie */
};

struct balance {
	struct shm *shm;
	unsigned worker_row, pool_row;
	const struct conf_pool *conf;
	struct balance_host *hosts; /* in order of the configuration; replaced when names resolve
				       anew, then call balance_changed() */
	unsigned n;
	uint64_t random;             /* state of a small generator */
	struct balance_cache *cache; /* rings and schedules made from hosts; balance.c's */
};

struct balance_ask {
	uint64_t now; /* clock_ms() */
	bool has_key;
	uint64_t key;          /* BALANCE_HASH: hash of the key */
	uint64_t sticky;       /* hash of the host that the cookie names; 0: none */
	const unsigned *tried; /* indexes of hosts that are taken again only if there is no other */
	unsigned ntried;
	bool avoids_trial; /* cannot be repeated: makes a trial only when no other host is there */
};

enum balance_verdict {
	BALANCE_TAKEN, /* *host is the index; in flight is counted */
	BALANCE_TRIAL, /* the same, and this worker won the host's trial. Only hosts that are out
			  for CAUSE_OVERLOAD or CAUSE_ERRORS are tried with requests: the others
			  are tried by health.c with a connection of its own */
	BALANCE_FULL,  /* hosts are there but at their limits: wait. What other workers give back
			  is not told: ask again when this one releases, and at *when */
	BALANCE_DOWN,  /* every host is out: wait until one may be tried (*when, ms) */
	BALANCE_NONE,  /* the pool has no host (nothing resolved yet, all disabled) */
};

void balance_init(struct balance *, struct shm *, unsigned worker_row, const struct conf_pool *);
void balance_fini(struct balance *);
/* hosts or n changed. */
void balance_changed(struct balance *);
enum balance_verdict balance_pick(
    struct balance *, const struct balance_ask *, unsigned *host, uint64_t *when);
/* Whether every host is out, or there is none (BALANCE_DOWN, BALANCE_NONE); *ms: for how long. */
bool balance_is_out(struct balance *, uint64_t now, uint64_t *ms);
/* Whether a request that comes now would be allowed to make a trial, as of the last look at the
   hosts. */
bool balance_has_trial(const struct balance *, uint64_t now);
/* The request on this host is over (or never began). */
void balance_release(struct balance *, unsigned row);

#endif

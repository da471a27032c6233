/*
 * Pools at work in one worker: the hosts with their addresses and kept connections, the choice of a
 * host (common/balance/balance.h), and the requests that wait for one.
 */
#ifndef POOL_BPOOL_H
#define POOL_BPOOL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#include "common/balance/balance.h"
#include "modules/gateway/pool/health.h"
#include "worker/worker.h"

struct tls_pool;
struct bpool;

/* One address that requests can go to. Lives as long as connections to it (refs). */
struct bhost {
	struct bpool *pool;
	const struct conf_host *conf;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	struct str name;      /* "10.0.0.3:80": as the segment and the log call it */
	struct str authority; /* as in Host: without the scheme's own port */
	unsigned row;         /* in the segment */
	uint64_t hash;
	struct link idle; /* kept connections, the last used first */
	unsigned nidle;
	unsigned refs; /* upstreams, waiting exchanges and the pool itself */
	bool is_gone;  /* the name does not resolve to it any more */
	struct health_host health;
};

/* A request that waits for a host. fn(arg) is called, posted, with a host that is taken for it, or
   with NULL when the pool is lost while it waits. */
struct bpool_waiter {
	struct link link;
	struct balance_ask ask;
	uint64_t not_before; /* worker_now(): do not even try earlier */
	void (*fn)(void *arg, struct bhost *, enum balance_verdict);
	void *arg;
};

/* Makes the pools of this configuration; once per worker. -1: logged. */
int bpool_start(const struct conf *, struct worker *);
void bpool_stop(void);
struct bpool *bpool_of(const struct conf_pool *);
const struct conf_pool *bpool_conf(const struct bpool *);
unsigned bpool_row(const struct bpool *);
struct tls_pool *bpool_tls(const struct bpool *);

/* Takes a host: *host, to be given back with bpool_release. Other verdicts: none. */
enum balance_verdict bpool_acquire(struct bpool *, struct balance_ask *, struct bhost **host);
void bpool_release(struct bhost *);
/* Whether no host can get a request now; *ms: since how long. */
bool bpool_is_out(struct bpool *, uint64_t *ms);
/* Whether that has been so for so long (failover.grace) that requests do not wait for a host any
   more. */
bool bpool_is_lost(struct bpool *, uint64_t *ms);
/* Whether the pool is lost, and no request is needed to find out whether a host is back. */
bool bpool_is_hopeless(struct bpool *, uint64_t *ms);
/* Whether a request that met a lost pool may have a line of its own in the log: one a second may;
   the others since the last are counted in *more. */
bool bpool_may_log(struct bpool *, unsigned long *more);
/* Whether requests wait already: one that comes now waits behind them. */
bool bpool_has_queue(const struct bpool *);
/* A request waits; false when the queue is full. */
bool bpool_wait(struct bpool *, struct bpool_waiter *);
void bpool_unwait(struct bpool *, struct bpool_waiter *);
/* Whether the pool has more to try than n hosts: a host of local processes is another process at
   each attempt. */
bool bpool_has_more(const struct bpool *, unsigned n);
/* The index of a host for balance_ask.tried; -1 when it is gone. */
int bpool_index(const struct bpool *, const struct bhost *);

/* What requests report; is_trial: the verdict was BALANCE_TRIAL. why: detail for the log line of a
   transition. */
void bpool_failed(
    struct bhost *, bool is_trial, enum backend_cause, int64_t retry_after, const char *why);
void bpool_succeeded(struct bhost *, bool is_trial, uint64_t latency_us);
/* A trial ended without having shown whether the host is well. */
void bpool_untried(struct bhost *);

void bhost_ref(struct bhost *);
void bhost_unref(struct bhost *);

/* A hash that is the same in every worker and after every restart. */
uint64_t bpool_hash(struct str, uint64_t seed);

#endif

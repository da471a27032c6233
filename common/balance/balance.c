/*
 * A pick: the host that the cookie asks for; else the trial of a host whose time out is over; else
 * what the pool's method says of the hosts that can get requests.
 *
 * Hosts that the request has tried already come last, backups only when no other can be had:
 *     others not tried, backups not tried, others again, backups again;
 * the first of these that is not empty is asked, and when all in it are at their limit the request
 * waits. Where the answer depends on what is in flight it is confirmed (backend_column.c): of two
 * workers that take the same last place at the same moment one chooses again.
 */
#include <stdlib.h>

#include "common/balance/backend_outage.h"
#include "common/balance/balance_set.h"
#include "common/base/must.h"

enum { PICK_TRIES = 1000, PICK_POLL_MS = 10, PICK_TRIAL_MS = 1000 };

void
balance_init(struct balance *b, struct shm *s, unsigned worker_row, const struct conf_pool *conf)
{
	int pool_row = backend_pool_row(s, conf->name);

	*b = (struct balance){
		.shm = s,
		.worker_row = worker_row,
		.pool_row = pool_row < 0 ? BACKEND_POOLS : (unsigned)pool_row,
		.conf = conf,
		.random = (uint64_t)(worker_row + 1) << 32 | conf->index,
		.cache = must_calloc(1, sizeof(struct balance_cache)),
	};
}

void
balance_fini(struct balance *b)
{
	free(b->cache);
	b->cache = NULL;
}

void
balance_changed(struct balance *b)
{
	b->cache->until = 0;
}

static bool
pick_is_tried(const struct balance_ask *ask, unsigned host)
{
	for (unsigned i = 0; i < ask->ntried; i++)
		if (ask->tried[i] == host)
			return true;
	return false;
}

/* Counts the request against a host with a limit, if there is room. */
static bool
pick_take_one(struct balance *b, unsigned host)
{
	const struct balance_host *h = &b->hosts[host];
	int64_t limit = h->conf->max_requests;

	if (limit <= 0) {
		backend_take(b->shm, b->worker_row, h->row);
		return true;
	}
	for (unsigned i = 0; i < PICK_TRIES; i++) {
		uint64_t turn = backend_turn(b->shm, b->pool_row);

		if (backend_load(b->shm, h->row, turn) >= limit)
			return false;
		if (backend_take_in_turn(b->shm, b->worker_row, h->row, b->pool_row, turn))
			return true;
	}
	return false;
}

/* ---- sticky ---- */

/* A drained host still serves clients that have a session there. A host at its limit is waited for,
   because the session is on no other one. False: any host will do. */
static bool
pick_sticky(
    struct balance *b, const struct balance_ask *ask, unsigned *host, enum balance_verdict *verdict)
{
	enum backend_state state;
	unsigned i = 0;

	while (i < b->n && b->hosts[i].hash != ask->sticky)
		i++;
	if (i == b->n || pick_is_tried(ask, i))
		return false;
	state = backend_state_of(b->shm, b->hosts[i].row, NULL);
	if ((state != BACKEND_UP && state != BACKEND_SUSPECT) ||
	    backend_admin_of(b->shm, b->hosts[i].row) == ADMIN_DISABLE)
		return false;
	*host = i;
	*verdict = pick_take_one(b, i) ? BALANCE_TAKEN : BALANCE_FULL;
	return true;
}

/* ---- trials ---- */

/* Longer than the request that makes it can take to find out; who dies gives it back sooner. */
static uint64_t
pick_lease(const struct conf_pool *conf)
{
	int64_t ms = conf->timeout.connect + conf->timeout.send + conf->timeout.first_byte;

	return (uint64_t)(ms > 0 ? ms : 0) + PICK_TRIAL_MS;
}

static bool
pick_try(struct balance *b, unsigned host, uint64_t now)
{
	unsigned row = b->hosts[host].row;
	enum backend_cause cause = backend_cause_of(b->shm, row);

	if (cause != CAUSE_OVERLOAD && cause != CAUSE_ERRORS)
		return false;
	if (backend_admin_of(b->shm, row) != ADMIN_NONE)
		return false;
	if (!backend_try(b->shm, row, b->worker_row, pick_lease(b->conf), now))
		return false;
	if (pick_take_one(b, host))
		return true;
	backend_untry(b->shm, row, b->worker_row, now + PICK_POLL_MS);
	return false;
}

static bool
pick_trial(struct balance *b, const struct balance_ask *ask, unsigned *host)
{
	for (unsigned i = 0; i < b->n && i < BALANCE_HOSTS; i++) {
		if (pick_is_tried(ask, i) || !pick_try(b, i, ask->now))
			continue;
		*host = i;
		return true;
	}
	return false;
}

/* ---- the method's ---- */

/* The part of a set that has been tried, or that has not. */
static const struct balance_set *
pick_part(
    struct balance *b, const struct balance_set *set, const struct balance_ask *ask, bool is_tried)
{
	struct balance_set *part = &b->cache->picked;

	if (ask->ntried == 0)
		return is_tried ? NULL : set;
	balance_set_clear(part);
	for (unsigned i = 0; i < set->n; i++)
		if (pick_is_tried(ask, set->slots[i].host) == is_tried)
			balance_set_add(part, set->slots[i]);
	return part->n == set->n ? set : part;
}

/* Others were quicker so often that this is not worth more time: without a limit one more or less
   does not matter; with one the request waits a moment. */
static enum balance_verdict
pick_give_up(struct balance *b, unsigned host)
{
	if (b->hosts[host].conf->max_requests > 0)
		return BALANCE_FULL;
	backend_take(b->shm, b->worker_row, b->hosts[host].row);
	return BALANCE_TAKEN;
}

static enum balance_verdict
pick_from(struct balance *b, const struct balance_set *set, bool is_whole,
    const struct balance_ask *ask, unsigned *host)
{
	struct balance_choice c = { .b = b, .set = set, .ask = ask, .is_whole = is_whole };
	bool is_exact = balance_is_exact(b, set);

	for (unsigned i = 0; i < PICK_TRIES; i++) {
		const struct balance_slot *slot;
		int at;

		c.turn = is_exact ? backend_turn(b->shm, b->pool_row) : 0;
		at = balance_choose(&c);
		if (at < 0)
			return BALANCE_FULL;
		slot = &set->slots[at];
		*host = slot->host;
		if (!is_exact)
			backend_take(b->shm, b->worker_row, slot->row);
		else if (!backend_take_in_turn(
			     b->shm, b->worker_row, slot->row, b->pool_row, c.turn))
			continue;
		return BALANCE_TAKEN;
	}
	return pick_give_up(b, *host);
}

static enum balance_verdict
pick_any(struct balance *b, const struct balance_ask *ask, unsigned *host)
{
	for (int i = 0; i < 4; i++) {
		const struct balance_set *set = &b->cache->usable[i & 1];
		const struct balance_set *part = set->n ? pick_part(b, set, ask, i >= 2) : NULL;

		if (part && part->n)
			return pick_from(b, part, part == set, ask, host);
	}
	return b->cache->when == UINT64_MAX ? BALANCE_NONE : BALANCE_DOWN;
}

/* ---- all of it ---- */

static uint64_t
pick_when(const struct balance *b, enum balance_verdict verdict, uint64_t now)
{
	uint64_t soon = now + PICK_POLL_MS, when = b->cache->when;

	return verdict == BALANCE_DOWN && when > soon ? when : soon;
}

static enum balance_verdict
pick_once(struct balance *b, const struct balance_ask *ask, unsigned *host)
{
	bool is_usable = b->cache->usable[0].n + b->cache->usable[1].n > 0;
	enum balance_verdict verdict;

	if (ask->sticky && pick_sticky(b, ask, host, &verdict))
		return verdict;
	if (unlikely(ask->now >= b->cache->trial) && !(ask->avoids_trial && is_usable) &&
	    pick_trial(b, ask, host))
		return BALANCE_TRIAL;
	return pick_any(b, ask, host);
}

enum balance_verdict
balance_pick(struct balance *b, const struct balance_ask *ask, unsigned *host, uint64_t *when)
{
	enum balance_verdict verdict;

	balance_refresh(b, ask->now);
	verdict = pick_once(b, ask, host);
	if (verdict == BALANCE_TAKEN && !ask->sticky &&
	    unlikely(!backend_is_usable(b->shm, b->hosts[*host].row))) {
		/* It went out after this was looked at, and nobody could say so. */
		balance_release(b, b->hosts[*host].row);
		balance_changed(b);
		balance_refresh(b, ask->now);
		verdict = pick_once(b, ask, host);
	}
	if (verdict != BALANCE_TAKEN && verdict != BALANCE_TRIAL)
		*when = pick_when(b, verdict, ask->now);
	return verdict;
}

bool
balance_is_out(struct balance *b, uint64_t now, uint64_t *ms)
{
	*ms = 0;
	balance_refresh(b, now);
	if (b->cache->usable[0].n + b->cache->usable[1].n > 0)
		return false;
	/* Who has just ended it elsewhere saw another pool; the next look makes it agree. */
	backend_outage(b->shm, b->pool_row, now, ms);
	return true;
}

bool
balance_has_trial(const struct balance *b, uint64_t now)
{
	return now >= b->cache->trial;
}

void
balance_release(struct balance *b, unsigned row)
{
	backend_release(b->shm, b->worker_row, row);
}

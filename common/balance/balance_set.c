/*
 * Which hosts of a pool can get requests, with what weight, and the rotation made from that.
 *
 * A schedule holds each host as often as its weight says, spread evenly, and only hosts that are
 * usable: when one goes, the rotation closes over it and its load is shared by all. All workers
 * make the same one from the same rows, so that one cursor in the segment is one rotation.
 */
#include <stdlib.h>

#include "common/balance/backend_outage.h"
#include "common/balance/balance_set.h"
#include "common/base/must.h"

enum { SET_VALID_MS = 100 };

void
balance_set_add(struct balance_set *set, struct balance_slot slot)
{
	set->is_even = set->n == 0 || (set->is_even && set->slots[0].weight == slot.weight);
	set->is_limited |= slot.limit > 0;
	set->weight += slot.weight;
	set->slots[set->n++] = slot;
}

void
balance_set_clear(struct balance_set *set)
{
	set->n = 0;
	set->weight = 0;
	set->is_even = true;
	set->is_limited = false;
}

/* ---- the schedule ---- */

struct set_place {
	uint64_t at;
	unsigned slot;
};

static int
set_place_compare(const void *a, const void *b)
{
	const struct set_place *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return (x->slot > y->slot) - (x->slot < y->slot);
}

static uint64_t
set_gcd(const struct balance_set *set)
{
	uint64_t g = 0;

	for (unsigned i = 0; i < set->n; i++) {
		uint64_t v = set->slots[i].weight;

		while (v) {
			uint64_t rest = g % v;

			g = v;
			v = rest;
		}
	}
	return g ? g : 1;
}

/* How often a slot stands in the schedule: its weight in lowest terms, rounded where that would be
   too long. */
static unsigned
set_share(const struct balance_set *set, unsigned slot, uint64_t gcd)
{
	uint64_t whole = set->weight / gcd, part = set->slots[slot].weight / gcd;
	uint64_t most = BALANCE_SCHEDULE - BALANCE_HOSTS;

	if (whole > most)
		part = part * most / whole;
	return part ? (unsigned)part : 1;
}

/* A slot with w places stands in the middle of each of w equal parts of the round. */
static void
set_schedule(struct balance_set *set)
{
	struct set_place *places;
	uint64_t gcd = set_gcd(set);
	unsigned n = 0;

	set->scheduled = 0;
	if (set->is_even)
		return;
	places = must_calloc(BALANCE_SCHEDULE, sizeof(*places));
	for (unsigned i = 0; i < set->n; i++) {
		unsigned share = set_share(set, i, gcd);

		for (unsigned k = 0; k < share && n < BALANCE_SCHEDULE; k++)
			places[n++] = (struct set_place){
				.at = ((uint64_t)(2 * k + 1) << 32) / (2 * share),
				.slot = i,
			};
	}
	qsort(places, n, sizeof(*places), set_place_compare);
	for (unsigned i = 0; i < n; i++)
		set->schedule[i] = (uint16_t)places[i].slot;
	set->scheduled = n;
	free(places);
}

/* ---- making it anew ---- */

static int
set_slot_compare(const void *a, const void *b)
{
	const struct balance_slot *x = a, *y = b;

	if (x->row == y->row)
		return (x->host > y->host) - (x->host < y->host);
	return x->row > y->row ? 1 : -1;
}

static struct balance_slot
set_slot_of(const struct balance *b, unsigned host, uint64_t now)
{
	const struct balance_host *h = &b->hosts[host];
	unsigned set_by_operator = backend_weight(b->shm, h->row);
	int64_t weight = set_by_operator ? set_by_operator : h->conf->weight;

	if (weight < 1)
		weight = 1;
	if (weight > BACKEND_WEIGHT_MAX)
		weight = BACKEND_WEIGHT_MAX;
	return (struct balance_slot){
		.host = host,
		.row = h->row,
		.weight = (unsigned)weight * (backend_warmth(b->shm, h->row, b->conf, now) / 10),
		.limit = h->conf->max_requests > 0 ? (unsigned)h->conf->max_requests : 0,
	};
}

/* A host that is out: when may it be tried, and by a request? */
static void
set_note_out(struct balance_cache *cache, const struct backend_cell *c)
{
	struct backend_word w = backend_word_of(atomic_load(&c->word));

	if (atomic_load(&c->admin) != ADMIN_NONE)
		return;
	if (w.at < cache->when)
		cache->when = w.at;
	if ((w.cause == CAUSE_OVERLOAD || w.cause == CAUSE_ERRORS) && w.at < cache->trial)
		cache->trial = w.at;
}

/* A schedule is made only when what it is made from is not what it was. */
static void
set_finish(
    const struct balance *b, struct balance_set *set, const struct balance_slot *old, unsigned nold)
{
	if (b->conf->balance != BALANCE_STATIC)
		qsort(set->slots, set->n, sizeof(set->slots[0]), set_slot_compare);
	if (set->n != nold || memcmp(old, set->slots, nold * sizeof(*old)) != 0)
		set_schedule(set);
}

static void
set_make(struct balance *b, uint64_t now)
{
	struct balance_cache *cache = b->cache;
	struct balance_slot old[2][BALANCE_HOSTS];
	unsigned nold[2];

	for (int i = 0; i < 2; i++) {
		nold[i] = cache->usable[i].n;
		memcpy(old[i], cache->usable[i].slots, nold[i] * sizeof(old[i][0]));
		balance_set_clear(&cache->usable[i]);
	}
	cache->trial = cache->when = UINT64_MAX;
	for (unsigned i = 0; i < b->n && i < BALANCE_HOSTS; i++) {
		struct backend_cell *c = shm_backend(b->shm, b->hosts[i].row);

		if (!c)
			continue;
		if (backend_is_usable(b->shm, b->hosts[i].row))
			balance_set_add(
			    &cache->usable[b->hosts[i].conf->backup], set_slot_of(b, i, now));
		else
			set_note_out(cache, c);
	}
	for (int i = 0; i < 2; i++)
		set_finish(b, &cache->usable[i], old[i], nold[i]);
	backend_outage_note(b->shm, b->pool_row, cache->usable[0].n + cache->usable[1].n > 0, now);
}

void
balance_refresh(struct balance *b, uint64_t now)
{
	struct balance_cache *cache = b->cache;
	struct backend_pool *p = shm_backend_pool(b->shm, b->pool_row);
	uint64_t version = p ? atomic_load_explicit(&p->version, memory_order_acquire) : 0;

	if (likely(cache->version == version && now < cache->until &&
		   now + SET_VALID_MS >= cache->until))
		return;
	set_make(b, now);
	cache->version = version;
	cache->until = now + SET_VALID_MS;
}

/*
 * The methods: which of the hosts that can get a request gets it. They read the segment and change
 * nothing in it but the cursors of round robin.
 */
#include "common/balance/balance_set.h"
#include "common/base/must.h"

static unsigned
choose_load(const struct balance_choice *c, unsigned i)
{
	return backend_load(c->b->shm, c->set->slots[i].row, c->turn);
}

static bool
choose_is_full(const struct balance_choice *c, unsigned i)
{
	unsigned limit = c->set->slots[i].limit;

	return limit > 0 && choose_load(c, i) >= limit;
}

static uint64_t
choose_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static uint64_t
choose_random(struct balance *b)
{
	b->random += 0x9e3779b97f4a7c15u;
	return choose_mix(b->random);
}

/* The slot at a point of 0 .. 2^32 of the weights laid end to end. */
static unsigned
choose_at(const struct balance_set *set, uint32_t point)
{
	uint64_t at = set->weight * point >> 32;
	unsigned i = 0;

	if (set->is_even)
		return (unsigned)((uint64_t)set->n * point >> 32);
	while (i + 1 < set->n && at >= set->slots[i].weight)
		at -= set->slots[i++].weight;
	return i;
}

/* ---- round robin ---- */

/* Requests that cannot go where their turn is are spread over the others by weight: multiples of
   the golden ratio lie evenly, however many hosts are left. */
static int
choose_spare(const struct balance_choice *c)
{
	struct balance_set *left = &c->b->cache->spare;
	struct backend_pool *p = shm_backend_pool(c->b->shm, c->b->pool_row);
	uint64_t at = p ? atomic_fetch_add(&p->spare, 1) : choose_random(c->b);
	unsigned slot;

	balance_set_clear(left);
	for (unsigned i = 0; i < c->set->n; i++) {
		if (choose_is_full(c, i))
			continue;
		balance_set_add(left, c->set->slots[i]);
		left->slots[left->n - 1].host = i;
	}
	if (left->n == 0)
		return -1;
	slot = choose_at(left, (uint32_t)at * 0x9e3779b9u);
	return (int)left->slots[slot].host;
}

static int
choose_round_robin(struct balance_choice *c)
{
	struct backend_pool *p = shm_backend_pool(c->b->shm, c->b->pool_row);
	const struct balance_set *set = c->set;
	unsigned i;

	if (!c->is_whole || !p)
		return choose_spare(c);
	if (!c->has_drawn)
		c->drawn = atomic_fetch_add_explicit(&p->cursor, 1, memory_order_relaxed);
	c->has_drawn = true;
	i = set->scheduled ? set->schedule[c->drawn % set->scheduled]
			   : (unsigned)(c->drawn % set->n);
	return choose_is_full(c, i) ? choose_spare(c) : (int)i;
}

/* ---- least connections ---- */

/* The shortest queue for its weight; among equals each is first in its turn. */
static int
choose_least(struct balance_choice *c)
{
	const struct balance_slot *slots = c->set->slots;
	unsigned n = c->set->n, start = (unsigned)((uint32_t)c->turn % n);
	uint64_t best_load = 0;
	int best = -1;

	for (unsigned k = 0; k < n; k++) {
		unsigned i = start + k < n ? start + k : start + k - n;
		uint64_t load = choose_load(c, i);

		if (slots[i].limit && load >= slots[i].limit)
			continue;
		if (best >= 0 &&
		    (load + 1) * slots[best].weight >= (best_load + 1) * slots[i].weight)
			continue;
		best = (int)i;
		best_load = load;
	}
	return best;
}

/* ---- static ---- */

static int
choose_static(struct balance_choice *c)
{
	for (unsigned i = 0; i < c->set->n; i++)
		if (!choose_is_full(c, i))
			return (int)i;
	return -1;
}

/* ---- two choices ---- */

/* What one more request would cost there: the time of one, as often as there are before it. Load is
   relative to the mean weight, so that without load only latency counts. */
static double
choose_cost(const struct balance_choice *c, unsigned i, double latency)
{
	double mean = (double)c->set->weight / c->set->n;

	return latency * (1 + choose_load(c, i) * mean / c->set->slots[i].weight);
}

/* A host of which nothing is known is thought to be as quick as the other. */
static unsigned
choose_cheaper(const struct balance_choice *c, unsigned a, unsigned b)
{
	double x = (double)backend_ewma(c->b->shm, c->set->slots[a].row, c->ask->now);
	double y = (double)backend_ewma(c->b->shm, c->set->slots[b].row, c->ask->now);

	if (x <= 0 || y <= 0)
		x = y = x + y > 0 ? x + y : 1;
	return choose_cost(c, b, y) < choose_cost(c, a, x) ? b : a;
}

/* Both are drawn by weight. With even weights the second is another one than the first; else it may
   be the same, or two hosts would always be compared and the weight of an idle one mean nothing. */
static int
choose_two(struct balance_choice *c)
{
	const struct balance_set *set = c->set;
	uint64_t random = choose_random(c->b);
	unsigned a = choose_at(set, (uint32_t)random), b = choose_at(set, (uint32_t)(random >> 32));

	if (set->is_even && set->n > 1)
		b = (a + 1 + (unsigned)((random >> 32) * (set->n - 1) >> 32)) % set->n;
	if (choose_is_full(c, a))
		a = b;
	if (choose_is_full(c, b))
		b = a;
	if (choose_is_full(c, a))
		return choose_least(c);
	return a == b ? (int)a : (int)choose_cheaper(c, a, b);
}

/* ---- hash ---- */

/* -ln of a fraction of 2^64, without a library: the exponent, and a short series of the rest. */
static double
choose_minus_log(uint64_t u)
{
	unsigned zeros = (unsigned)__builtin_clzll(u | 1);
	double m = (double)((u | 1) << zeros) / 18446744073709551616.0; /* 0.5 .. 1 */
	double z = (1 - m) / (1 + m), z2 = z * z;
	double log = 2 * z * (1 + z2 * (1.0 / 3 + z2 * (1.0 / 5 + z2 * (1.0 / 7 + z2 / 9))));

	return zeros * 0.69314718055994531 + log;
}

/* Rendezvous: each host draws a number from its own hash and the key's, the best draw gets the key.
   When a host goes only its keys move, to all others by weight; when it comes back they return. */
static double
choose_score(const struct balance_choice *c, unsigned i)
{
	const struct balance_slot *slot = &c->set->slots[i];
	uint64_t u = choose_mix(choose_mix(c->ask->key) ^ c->b->hosts[slot->host].hash);

	return choose_minus_log(u) / slot->weight;
}

/* What a host may have at most, for all keys to be spread: hash_load percent of its part. */
static uint64_t
choose_bound(const struct balance_choice *c, unsigned i, uint64_t total)
{
	uint64_t percent = (uint64_t)c->b->conf->hash_load;
	uint64_t whole = 100 * c->set->weight;

	if (percent < 100)
		percent = 100;
	return ((total + 1) * percent * c->set->slots[i].weight + whole - 1) / whole;
}

static int
choose_hash(struct balance_choice *c)
{
	bool is_bound = c->b->conf->hash_load > 0;
	uint64_t total = 0;
	double best_score = 0;
	int best = -1;

	if (!c->ask->has_key)
		return choose_round_robin(c);
	for (unsigned i = 0; is_bound && i < c->set->n; i++)
		total += choose_load(c, i);
	for (unsigned i = 0; i < c->set->n; i++) {
		double score = choose_score(c, i);

		if ((best >= 0 && score >= best_score) || choose_is_full(c, i))
			continue;
		if (is_bound && choose_load(c, i) >= choose_bound(c, i, total))
			continue;
		best = (int)i;
		best_score = score;
	}
	return best;
}

/* ---- all of them ---- */

static const struct choose_method {
	int (*choose)(struct balance_choice *);
	bool is_exact;
} choose_methods[] = {
	[BALANCE_TWO_CHOICES] = { choose_two, false },
	[BALANCE_ROUND_ROBIN] = { choose_round_robin, false },
	[BALANCE_LEAST_CONNECTIONS] = { choose_least, true },
	[BALANCE_STATIC] = { choose_static, false },
	[BALANCE_HASH] = { choose_hash, false },
};

bool
balance_is_exact(const struct balance *b, const struct balance_set *set)
{
	return set->is_limited || choose_methods[b->conf->balance].is_exact ||
	       (b->conf->balance == BALANCE_HASH && b->conf->hash_load > 0);
}

int
balance_choose(struct balance_choice *c)
{
	return choose_methods[c->b->conf->balance].choose(c);
}

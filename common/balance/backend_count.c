/*
 * What is counted of hosts and pools: counters, latency, the budget of retries; and what an
 * operator says of them.
 */
#include "common/balance/backend_cell.h"
#include "common/base/clock.h"

void
backend_count(struct shm *s, unsigned row, enum pool_counter what)
{
	struct backend_cell *c = shm_backend(s, row);

	if (c && (unsigned)what < BACKEND_COUNTERS)
		atomic_fetch_add_explicit(&c->counters[what], 1, memory_order_relaxed);
}

void
backend_pool_count(struct shm *s, unsigned pool_row, enum pool_event what)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	_Static_assert((int)POOL_EVENTS <= (int)BACKEND_POOL_COUNTERS, "room for all");
	if (p && (unsigned)what < POOL_EVENTS)
		atomic_fetch_add_explicit(&p->counters[what], 1, memory_order_relaxed);
}

/* ---- latency ---- */

enum { EWMA_TAU_MS = 10000, EWMA_FAILED_US = 100000, EWMA_MOST_US = 60000000 };

/* Bucket i holds latencies below 64 us << i and not below half of that; the last one all beyond. */
static unsigned
count_bucket(uint64_t us)
{
	unsigned i = us < 64 ? 0 : 64 - (unsigned)__builtin_clzll(us >> 6);

	return i < BACKEND_BUCKETS ? i : BACKEND_BUCKETS - 1;
}

/* v times e^(-ms/tau), by the first terms of the series of its inverse. */
static uint64_t
count_decayed(uint64_t v, uint32_t ms)
{
	uint64_t x;

	if (ms >= 16 * EWMA_TAU_MS)
		return 0;
	x = ((uint64_t)ms << 10) / EWMA_TAU_MS;
	return (v << 10) / (1024 + x + (x * x >> 11) + (x * x / 6 * x >> 20));
}

/* Jumps up to a slower answer at once, and comes down over ten seconds: a host that has become slow
   is left alone before its connections pile up. A race between two answers loses one of them. */
void
backend_latency(struct shm *s, unsigned row, uint64_t us, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen, value, base;

	if (!c)
		return;
	atomic_fetch_add_explicit(&c->buckets[count_bucket(us)], 1, memory_order_relaxed);
	if (us > UINT32_MAX)
		us = UINT32_MAX;
	seen = atomic_load_explicit(&c->ewma, memory_order_relaxed);
	value = seen >> 32;
	base = us;
	if (value > us)
		base = us + count_decayed(value - us, (uint32_t)now - (uint32_t)seen);
	if (base == 0)
		base = 1;
	atomic_compare_exchange_strong_explicit(&c->ewma, &seen, base << 32 | (uint32_t)now,
	    memory_order_relaxed, memory_order_relaxed);
}

void
backend_latency_failed(struct shm *s, unsigned row, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t value = 2 * backend_ewma(s, row, now);

	if (!c)
		return;
	if (value < EWMA_FAILED_US)
		value = EWMA_FAILED_US;
	if (value > EWMA_MOST_US)
		value = EWMA_MOST_US;
	atomic_store_explicit(&c->ewma, value << 32 | (uint32_t)now, memory_order_relaxed);
}

/* A host that gets nothing because it was slow is thought of as quicker and quicker, until it is
   tried again. */
uint64_t
backend_ewma(struct shm *s, unsigned row, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen = c ? atomic_load_explicit(&c->ewma, memory_order_relaxed) : 0, v;

	if (seen >> 32 == 0)
		return 0;
	v = count_decayed(seen >> 32, (uint32_t)now - (uint32_t)seen);
	return v ? v : 1;
}

/* ---- the budget of retries ---- */

/* Spent: hundredths of a retry, up to BUDGET_MOST; a request gives back `budget` of them. So as
   long as retries are few nothing is written. FREE of a second are not counted: a pool with little
   traffic may retry too. */
enum { BUDGET_MOST = 100 * 1000, BUDGET_ONE = 100, BUDGET_FREE = 3 };

struct count_budget {
	uint32_t spent, second;
	unsigned used; /* of the free ones in this second */
};

static struct count_budget
count_budget_of(uint64_t v)
{
	return (struct count_budget){ (uint32_t)v, v >> 32 & 0xffffff, (unsigned)(v >> 56) };
}

static uint64_t
count_budget_pack(struct count_budget b)
{
	return b.spent | (uint64_t)(b.second & 0xffffff) << 32 | (uint64_t)b.used << 56;
}

void
backend_budget_add(struct shm *s, unsigned pool_row, const struct conf_pool *conf)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint64_t seen = p ? atomic_load_explicit(&p->budget, memory_order_relaxed) : 0;
	struct count_budget b = count_budget_of(seen);
	uint32_t gets = conf->retry.budget > 0 ? (uint32_t)conf->retry.budget : 0;

	if (b.spent == 0)
		return;
	b.spent = b.spent > gets ? b.spent - gets : 0;
	/* Lost in a race with another request: the next one gives its part. */
	atomic_compare_exchange_strong(&p->budget, &seen, count_budget_pack(b));
}

static bool
count_budget_spend(struct count_budget *b, uint32_t second)
{
	if (b->second != second)
		b->used = 0;
	b->second = second;
	if (b->used < BUDGET_FREE) {
		b->used++;
		return true;
	}
	if (b->spent + BUDGET_ONE > BUDGET_MOST)
		return false;
	b->spent += BUDGET_ONE;
	return true;
}

bool
backend_budget_take(struct shm *s, unsigned pool_row, const struct conf_pool *conf, uint64_t now)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint32_t second = (uint32_t)(now / 1000) & 0xffffff;
	uint64_t seen = p ? atomic_load(&p->budget) : 0;
	struct count_budget b;
	bool is_taken;

	if (!p)
		return false;
	do {
		b = count_budget_of(seen);
		/* Without a budget only the free ones are left. */
		if (conf->retry.budget <= 0)
			b.spent = BUDGET_MOST;
		is_taken = count_budget_spend(&b, second);
	} while (!atomic_compare_exchange_weak(&p->budget, &seen, count_budget_pack(b)));
	backend_pool_count(s, pool_row, is_taken ? POOL_RETRY : POOL_RETRY_DENIED);
	return is_taken;
}

/* ---- the operator ---- */

bool
backend_admin_set(struct shm *s, unsigned row, enum backend_admin admin)
{
	struct backend_cell *c = shm_backend(s, row);

	if (!c || atomic_load(&c->key) == 0 || (unsigned)admin > ADMIN_DISABLE)
		return false;
	/* It was left alone for a while, and may have to warm up. */
	if (admin == ADMIN_NONE && atomic_load(&c->admin) != ADMIN_NONE)
		atomic_store(&c->came, clock_ms());
	atomic_store(&c->admin, (uint32_t)admin);
	backend_changed(s, atomic_load(&c->pool_row));
	return true;
}

bool
backend_weight_set(struct shm *s, unsigned row, unsigned weight)
{
	struct backend_cell *c = shm_backend(s, row);

	if (!c || atomic_load(&c->key) == 0 || weight > BACKEND_WEIGHT_MAX)
		return false;
	atomic_store(&c->weight, weight);
	backend_changed(s, atomic_load(&c->pool_row));
	return true;
}

unsigned
backend_weight(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);
	uint32_t weight = c ? atomic_load_explicit(&c->weight, memory_order_relaxed) : 0;

	return weight <= BACKEND_WEIGHT_MAX ? weight : 0;
}

enum backend_admin
backend_admin_of(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);
	uint32_t admin = c ? atomic_load_explicit(&c->admin, memory_order_relaxed) : ADMIN_NONE;

	return admin <= ADMIN_DISABLE ? (enum backend_admin)admin : ADMIN_DISABLE;
}

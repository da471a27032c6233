/*
 * The tables of hosts and of pools: rows by name (common/segment/shm_keyed.h), what becomes of them
 * when nobody uses them, and what is carried over into another segment.
 *
 * The hosts of a pool lie side by side where they can, so that their cells in a worker's column
 * share cache lines.
 */
#include "common/balance/backend_cell.h"
#include "common/balance/backend_outage.h"
#include "common/balance/backend_view.h"
#include "common/base/clock.h"
#include "common/config/conf.h"
#include "common/segment/shm_keyed.h"

enum { ROW_CLUSTER = 8, BUCKETS_MS = 60000 };
/* How many rows a name counts for: it may resolve to several addresses. There are a few more rows,
   for hosts of the configuration before and for those that an operator adds. */
enum { ROW_ADDRESSES = 64, ROW_POOL_MOST = 256, ROW_SPARE = 64 };

/* ---- hosts ---- */

/* The pool's row comes first: who claims for a host finds it there. */
static void
row_host_fill(struct shm *s, unsigned row, const struct str texts[SHM_KEYED_TEXTS])
{
	int pool_row = backend_pool_row(s, texts[0]);

	atomic_store(
	    &shm_backend(s, row)->pool_row, pool_row < 0 ? BACKEND_POOLS : (uint32_t)pool_row);
}

static bool
row_host_is_busy(struct shm *s, unsigned row)
{
	return backend_in_flight(s, row) > 0;
}

static void
row_carry_counters(
    _Atomic uint64_t *to, const char *from, size_t at, size_t bytes, unsigned counters)
{
	for (unsigned i = 0; i < counters && at + 8 <= bytes; i++, at += 8) {
		uint64_t v;

		memcpy(&v, from + at, sizeof(v));
		atomic_store(&to[i], v);
	}
}

/* A trial was that of a worker of the other segment: here the host is out, to be tried at once. */
static uint64_t
row_carry_word(uint64_t v)
{
	struct backend_word w = backend_word_of(v);

	if (w.state == BACKEND_TRIAL) {
		w.state = w.cause == CAUSE_OVERLOAD ? BACKEND_OVERLOADED : BACKEND_DOWN;
		w.n = 0;
		w.at = 0;
	}
	return backend_word_pack(w);
}

static void
row_host_carry(struct shm *to, unsigned row, const void *old, size_t bytes)
{
	struct backend_cell *mine = shm_backend(to, row);
	const struct backend_cell *c = old;

	atomic_store(&mine->came, atomic_load(&c->came));
	atomic_store(&mine->since, atomic_load(&c->since));
	atomic_store(&mine->admin, atomic_load(&c->admin));
	atomic_store(&mine->weight, atomic_load(&c->weight));
	atomic_store(&mine->streak, atomic_load(&c->streak));
	row_carry_counters(
	    mine->counters, old, offsetof(struct backend_cell, counters), bytes, BACKEND_COUNTERS);
	atomic_store(&mine->word, row_carry_word(atomic_load(&c->word)));
}

static const struct shm_keyed row_hosts = {
	.table = TABLE_BACKENDS,
	.row = sizeof(struct backend_cell),
	.touched = offsetof(struct backend_cell, touched),
	.texts = { { offsetof(struct backend_cell, pool), BACKEND_POOL_NAME },
	    { offsetof(struct backend_cell, host), BACKEND_NAME } },
	.cluster = ROW_CLUSTER,
	.fill = row_host_fill,
	.is_busy = row_host_is_busy,
	.carry = row_host_carry,
};

int
backend_row(struct shm *s, struct str pool, struct str address)
{
	if (backend_pool_row(s, pool) < 0)
		return -1;
	return shm_keyed_get(s, &row_hosts, pool, address);
}

void
backend_touch(struct shm *s, unsigned row, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t aged;

	if (!shm_keyed_touch(s, &row_hosts, row, now))
		return;
	aged = atomic_load(&c->aged);
	if (now < aged + BUCKETS_MS || !atomic_compare_exchange_strong(&c->aged, &aged, now))
		return;
	/* What is seen of latency is that of the last minutes. */
	for (unsigned i = 0; i < BACKEND_BUCKETS; i++)
		atomic_fetch_sub(&c->buckets[i], atomic_load(&c->buckets[i]) / 2);
}

/* ---- pools ---- */

static bool
row_pool_is_busy(struct shm *s, unsigned pool_row)
{
	unsigned reach = backend_reach(s);

	for (unsigned row = 0; row < reach; row++) {
		struct backend_cell *c = shm_backend(s, row);

		if (c && atomic_load(&c->key) && atomic_load(&c->pool_row) == pool_row)
			return true;
	}
	return backend_queued(s, pool_row) > 0;
}

static void
row_pool_carry(struct shm *to, unsigned row, const void *old, size_t bytes)
{
	struct backend_pool *mine = shm_backend_pool(to, row);
	const struct backend_pool *p = old;

	atomic_store(&mine->cursor, atomic_load(&p->cursor));
	atomic_store(&mine->budget, atomic_load(&p->budget));
	row_carry_counters(
	    mine->counters, old, offsetof(struct backend_pool, counters), bytes, POOL_EVENTS);
	backend_outage_carry(to, row, old, bytes);
}

static const struct shm_keyed row_pools = {
	.table = TABLE_POOLS,
	.row = sizeof(struct backend_pool),
	.touched = offsetof(struct backend_pool, touched),
	.texts = { { offsetof(struct backend_pool, name), BACKEND_POOL_NAME } },
	.is_busy = row_pool_is_busy,
	.carry = row_pool_carry,
};

int
backend_pool_row(struct shm *s, struct str pool)
{
	return shm_keyed_get(s, &row_pools, pool, STR(""));
}

void
backend_pool_touch(struct shm *s, unsigned pool_row, uint64_t now)
{
	shm_keyed_touch(s, &row_pools, pool_row, now);
}

unsigned
backend_reach(const struct shm *s)
{
	return shm_table_extent(s, TABLE_BACKENDS).reach;
}

unsigned
backend_pool_reach(const struct shm *s)
{
	return shm_table_extent(s, TABLE_POOLS).reach;
}

/* ---- after a death ---- */

/* Trials and leases of checks that the worker held are free for others at once. */
static void
row_clear_hosts(struct shm *s, unsigned worker_row)
{
	unsigned reach = backend_reach(s);

	for (unsigned row = 0; row < reach; row++) {
		struct backend_cell *c = shm_backend(s, row);
		uint64_t lease;

		if (!c || atomic_load_explicit(&c->key, memory_order_relaxed) == 0)
			continue;
		backend_untry(s, row, worker_row, 0);
		lease = atomic_load(&c->check);
		if (lease && (lease & 255) == worker_row)
			atomic_compare_exchange_strong(&c->check, &lease, 0);
	}
}

/* ---- the tables ---- */

/* Twice what is there: a reload may bring as many others. */
static unsigned
row_hosts_wanted(const struct conf *conf)
{
	unsigned n = 0;

	for (size_t i = 0; i < conf->npools; i++) {
		const struct conf_pool *p = &conf->pools[i];
		unsigned of_pool = 0;

		for (size_t k = 0; k < p->nhosts; k++)
			of_pool +=
			    p->hosts[k].is_unix || p->hosts[k].is_numeric ? 1 : ROW_ADDRESSES;
		n += of_pool < ROW_POOL_MOST ? of_pool : ROW_POOL_MOST;
	}
	return 2 * n + ROW_SPARE;
}

static unsigned
row_pools_wanted(const struct conf *conf)
{
	return 2 * (unsigned)conf->npools + ROW_SPARE;
}

static void
row_carry_hosts(struct shm *to, const struct shm *from)
{
	shm_keyed_carry(to, from, &row_hosts);
}

static void
row_sweep_hosts(struct shm *s, uint64_t now, uint64_t ms)
{
	shm_keyed_sweep(s, &row_hosts, now, ms);
}

static void
row_sweep_pools(struct shm *s, uint64_t now, uint64_t ms)
{
	shm_keyed_sweep(s, &row_pools, now, ms);
}

static void
row_carry_pools(struct shm *to, const struct shm *from)
{
	shm_keyed_carry(to, from, &row_pools);
}

const struct shm_table backend_table_pools = {
	.name = "pools",
	.row = sizeof(struct backend_pool),
	.rows = BACKEND_POOLS,
	.least = offsetof(struct backend_pool, running),
	.wanted = row_pools_wanted,
	.carry = row_carry_pools,
	.sweep = row_sweep_pools,
	.dump = backend_pool_view_dump,
};

const struct shm_table backend_table_hosts = {
	.name = "backends",
	.row = sizeof(struct backend_cell),
	.rows = BACKEND_ROWS,
	.least = offsetof(struct backend_cell, ewma),
	.wanted = row_hosts_wanted,
	.carry = row_carry_hosts,
	.clear = row_clear_hosts,
	.sweep = row_sweep_hosts,
	.dump = backend_view_dump,
};

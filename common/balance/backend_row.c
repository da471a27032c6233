/*
 * Which row belongs to which host and pool: found by key, claimed, kept by touching, swept.
 *
 * A row's key is 0 (free), a hash with bit 63 clear (in use), or a claim with bit 63 set. Claims
 * and sweeps are made by one process at a time, who holds the word `claiming` for at most CLAIM_MS;
 * a holder that is gone or too slow loses it. The key is stored last, and only if the row is still
 * claimed by the same: so a row that somebody finds is complete, and one whose claimer was killed
 * counts as free for the next. Who finds a row compares the text as well.
 *
 * Workers wait for each other, for at most CLAIM_TRIES pauses. The master never waits: what it
 * cannot have now it asks for again at its next look, and if it is refused for CLAIM_FORCE_MS,
 * longer than anybody honest holds the word, it takes it.
 *
 * The hosts of a pool lie side by side where they can, so that their cells in a worker's column
 * share cache lines.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "common/balance/backend_cell.h"
#include "common/balance/backend_outage.h"
#include "common/base/clock.h"
#include "common/base/must.h"
#include "common/segment/shm_keep.h"

enum { CLAIM_MS = 100, CLAIM_TRIES = 300, CLAIM_PAUSE_NS = 1000000, ROW_CLUSTER = 8 };
enum { CLAIM_FORCE_MS = 2 * CLAIM_MS };
enum { TOUCH_MS = 500, BUCKETS_MS = 60000, ROW_UNUSED_MS = 10000 };

static const uint64_t ROW_CLAIMED = (uint64_t)1 << 63;

struct row_name {
	struct str pool, host;
	uint64_t key, start;
};

/* What differs between the two tables. */
struct row_kind {
	unsigned rows;
	_Atomic uint64_t *(*key)(struct shm *, unsigned row); /* NULL: no such row */
	_Atomic uint64_t *(*touched)(struct shm *, unsigned row);
	bool (*is)(struct shm *, unsigned row, const struct row_name *);
	void (*fill)(struct shm *, unsigned row, const struct row_name *, uint64_t now);
	void (*sweep)(struct shm *, uint64_t now, uint64_t ms, uint64_t mine);
	void (*name)(struct shm *, unsigned row, char *pool, char *host, struct row_name *);
};

static uint64_t
row_hash(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h = (h ^ 0xff) * 0x100000001b3u;
	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15u;
}

static struct row_name
row_name_of(struct str pool, struct str host)
{
	struct row_name n = { .pool = pool, .host = host };

	n.start = row_hash(0xcbf29ce484222325u, pool);
	n.key = row_hash(n.start, host);
	n.start = (n.start >> 16) * ROW_CLUSTER;
	n.key &= ~ROW_CLAIMED;
	if (n.key == 0)
		n.key = 1;
	return n;
}

/* A text in a row may be damaged, or without its end. */
static bool
row_text_is(const char *text, size_t size, struct str s)
{
	size_t n = s.n < size ? s.n : size - 1;

	return memcmp(text, s.p, n) == 0 && text[n] == 0;
}

static void
row_text_set(char *text, size_t size, struct str s)
{
	size_t n = s.n < size ? s.n : size - 1;

	memcpy(text, s.p, n);
	text[n] = 0;
}

static _Atomic uint64_t *
row_host_key(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);

	return c ? &c->key : NULL;
}

static _Atomic uint64_t *
row_host_touched(struct shm *s, unsigned row)
{
	return &shm_backend(s, row)->touched;
}

static bool
row_host_is(struct shm *s, unsigned row, const struct row_name *n)
{
	const struct backend_cell *c = shm_backend(s, row);

	return row_text_is(c->pool, sizeof(c->pool), n->pool) &&
	       row_text_is(c->host, sizeof(c->host), n->host);
}

static void
row_host_fill(struct shm *s, unsigned row, const struct row_name *n, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	int pool_row = backend_pool_row(s, n->pool);

	memset((char *)c + offsetof(struct backend_cell, word), 0,
	    sizeof(*c) - offsetof(struct backend_cell, word));
	shm_point("row: cleared");
	row_text_set(c->pool, sizeof(c->pool), n->pool);
	shm_point("row: pool");
	row_text_set(c->host, sizeof(c->host), n->host);
	shm_point("row: host");
	atomic_store(&c->pool_row, pool_row < 0 ? BACKEND_POOLS : (uint32_t)pool_row);
	atomic_store(&c->touched, now);
	shm_point("row: touched");
}

static _Atomic uint64_t *
row_pool_key(struct shm *s, unsigned row)
{
	struct backend_pool *p = shm_backend_pool(s, row);

	return p ? &p->key : NULL;
}

static _Atomic uint64_t *
row_pool_touched(struct shm *s, unsigned row)
{
	return &shm_backend_pool(s, row)->touched;
}

static bool
row_pool_is(struct shm *s, unsigned row, const struct row_name *n)
{
	const struct backend_pool *p = shm_backend_pool(s, row);

	return row_text_is(p->name, sizeof(p->name), n->pool);
}

static void
row_pool_fill(struct shm *s, unsigned row, const struct row_name *n, uint64_t now)
{
	struct backend_pool *p = shm_backend_pool(s, row);

	memset((char *)p + offsetof(struct backend_pool, touched), 0,
	    sizeof(*p) - offsetof(struct backend_pool, touched));
	shm_point("row: cleared");
	row_text_set(p->name, sizeof(p->name), n->pool);
	shm_point("row: name");
	atomic_store(&p->touched, now);
	shm_point("row: touched");
}

/* ---- who may claim ---- */

static bool
row_claiming_is_over(uint64_t word, uint64_t now)
{
	pid_t pid = (pid_t)(word >> 32 & 0x7fffffff);

	if (word == 0 || (int32_t)((uint32_t)now - (uint32_t)word) >= 0)
		return true;
	/* Damaged, when it promises more than anybody takes. */
	if ((uint32_t)word - (uint32_t)now > CLAIM_MS || pid <= 0)
		return true;
	/* Nobody comes here while it holds the word itself. */
	return pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH);
}

static uint64_t
row_claiming_word(uint64_t now)
{
	return (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)(now + CLAIM_MS);
}

/* The master's: at once or not at all. */
static uint64_t
row_claiming_take_now(struct backend_common *common)
{
	static uint64_t refused; /* since when; 0: the last time it was not */
	uint64_t now = clock_ms(), seen = atomic_load(&common->claiming), mine;

	mine = row_claiming_word(now);
	if (refused && now - refused >= CLAIM_FORCE_MS) {
		atomic_store(&common->claiming, mine);
	} else if (!row_claiming_is_over(seen, now) ||
		   !atomic_compare_exchange_strong(&common->claiming, &seen, mine)) {
		refused = refused ? refused : now;
		return 0;
	}
	refused = 0;
	shm_point("claiming: taken");
	return mine;
}

/* The word that says that we may, 0 when others do for too long. */
static uint64_t
row_claiming_take(struct shm *s)
{
	struct backend_common *common = shm_backend_common(s);
	struct timespec pause = { 0, CLAIM_PAUSE_NS };

	if (common && shm_is_owner(s))
		return row_claiming_take_now(common);
	for (unsigned i = 0; common && i < CLAIM_TRIES; i++) {
		uint64_t now = clock_ms(), seen = atomic_load(&common->claiming), mine;

		mine = row_claiming_word(now);
		if (row_claiming_is_over(seen, now) &&
		    atomic_compare_exchange_strong(&common->claiming, &seen, mine)) {
			shm_point("claiming: taken");
			return mine;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void
row_claiming_give(struct shm *s, uint64_t mine)
{
	atomic_compare_exchange_strong(&shm_backend_common(s)->claiming, &mine, 0);
	shm_point("claiming: given");
}

/* ---- finding and claiming ---- */

/* Everybody who uses the row says so; one store is enough. */
static bool
row_touch(_Atomic uint64_t *touched, uint64_t now)
{
	if (now <= atomic_load(touched) + TOUCH_MS)
		return false;
	atomic_store(touched, now);
	return true;
}

static int
row_find(struct shm *s, const struct row_kind *kind, const struct row_name *n)
{
	for (unsigned i = 0; i < kind->rows; i++) {
		unsigned row = (unsigned)((n->start + i) % kind->rows);
		_Atomic uint64_t *key = kind->key(s, row);

		if (!key || atomic_load(key) != n->key || !kind->is(s, row, n))
			continue;
		/* A sweep that is about to free it sees this, or we see that it did. */
		row_touch(kind->touched(s, row), clock_ms());
		if (atomic_load(key) == n->key)
			return (int)row;
	}
	return -1;
}

/* With the right to claim. */
static int
row_claim(struct shm *s, const struct row_kind *kind, const struct row_name *n, uint64_t mine)
{
	for (unsigned i = 0; i < kind->rows; i++) {
		unsigned row = (unsigned)((n->start + i) % kind->rows);
		_Atomic uint64_t *key = kind->key(s, row);
		uint64_t seen = key ? atomic_load(key) : 1, claim = ROW_CLAIMED | mine;

		if (seen != 0 && !(seen & ROW_CLAIMED))
			continue;
		if (!atomic_compare_exchange_strong(key, &seen, claim))
			continue;
		shm_point("row: claimed");
		kind->fill(s, row, n, clock_ms());
		if (!atomic_compare_exchange_strong(key, &claim, n->key))
			return -1;
		shm_point("row: in use");
		return (int)row;
	}
	return -1;
}

/* ---- keeping and sweeping ---- */

void
backend_touch(struct shm *s, unsigned row, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t aged;

	if (!c || !row_touch(&c->touched, now))
		return;
	aged = atomic_load(&c->aged);
	if (now < aged + BUCKETS_MS || !atomic_compare_exchange_strong(&c->aged, &aged, now))
		return;
	/* What is seen of latency is that of the last minutes. */
	for (unsigned i = 0; i < BACKEND_BUCKETS; i++)
		atomic_fetch_sub(&c->buckets[i], atomic_load(&c->buckets[i]) / 2);
}

void
backend_pool_touch(struct shm *s, unsigned pool_row, uint64_t now)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	if (p)
		row_touch(&p->touched, now);
}

static bool
row_is_stale(_Atomic uint64_t *touched, uint64_t now, uint64_t ms)
{
	uint64_t at = atomic_load(touched);

	/* Far in the future: damaged. */
	return (now > at ? now - at : at - now) >= ms;
}

/* Nobody can find it while it is claimed; who found it just before has touched it. */
static void
row_free(_Atomic uint64_t *key, _Atomic uint64_t *touched, uint64_t now, uint64_t ms, uint64_t mine)
{
	uint64_t was = atomic_load(key), claim = ROW_CLAIMED | mine;

	if (was == 0)
		return;
	if (!(was & ROW_CLAIMED) && !row_is_stale(touched, now, ms))
		return;
	if (!atomic_compare_exchange_strong(key, &was, claim))
		return;
	shm_point("sweep: claimed");
	if (!(was & ROW_CLAIMED) && !row_is_stale(touched, now, ms))
		atomic_compare_exchange_strong(key, &claim, was);
	else
		atomic_compare_exchange_strong(key, &claim, 0);
	shm_point("sweep: free");
}

static void
row_host_sweep(struct shm *s, uint64_t now, uint64_t ms, uint64_t mine)
{
	for (unsigned row = 0; row < BACKEND_ROWS; row++) {
		struct backend_cell *c = shm_backend(s, row);

		if (c && backend_in_flight(s, row) == 0)
			row_free(&c->key, &c->touched, now, ms, mine);
	}
}

static void
row_pool_sweep(struct shm *s, uint64_t now, uint64_t ms, uint64_t mine)
{
	uint64_t used[BACKEND_POOLS / 64] = { 0 };

	for (unsigned row = 0; row < BACKEND_ROWS; row++) {
		struct backend_cell *c = shm_backend(s, row);
		uint32_t p = c && atomic_load(&c->key) ? atomic_load(&c->pool_row) : BACKEND_POOLS;

		if (p < BACKEND_POOLS)
			used[p / 64] |= (uint64_t)1 << p % 64;
	}
	for (unsigned row = 0; row < BACKEND_POOLS; row++) {
		struct backend_pool *p = shm_backend_pool(s, row);
		bool is_used = used[row / 64] >> row % 64 & 1;

		if (p && !is_used && backend_queued(s, row) == 0)
			row_free(&p->key, &p->touched, now, ms, mine);
	}
}

void
backend_sweep(struct shm *s, uint64_t now, uint64_t ms)
{
	uint64_t mine = row_claiming_take(s);

	if (mine == 0)
		return;
	row_host_sweep(s, now, ms, mine);
	row_pool_sweep(s, now, ms, mine);
	row_claiming_give(s, mine);
}

/* ---- rows that nobody can find ---- */

static struct str
row_text(char *to, const char *from, size_t size)
{
	memcpy(to, from, size);
	return str_n(to, strnlen(to, size));
}

static void
row_host_name(struct shm *s, unsigned row, char *pool, char *host, struct row_name *n)
{
	struct backend_cell *c = shm_backend(s, row);

	*n = row_name_of(
	    row_text(pool, c->pool, sizeof(c->pool)), row_text(host, c->host, sizeof(c->host)));
}

static void
row_pool_name(struct shm *s, unsigned row, char *pool, char *host, struct row_name *n)
{
	struct backend_pool *p = shm_backend_pool(s, row);

	(void)host;
	*n = row_name_of(row_text(pool, p->name, sizeof(p->name)), STR(""));
}

/* The first of its name, if its key is the name's. */
static bool
row_is_sound(struct shm *s, const struct row_kind *kind, unsigned row, const struct row_name *n)
{
	if (atomic_load(kind->key(s, row)) != n->key)
		return false;
	for (unsigned i = 0; i < kind->rows; i++) {
		unsigned at = (unsigned)((n->start + i) % kind->rows);

		if (at == row)
			return true;
		if (atomic_load(kind->key(s, at)) == n->key && kind->is(s, at, n))
			return false;
	}
	return false;
}

/* The table is full of what was used just now: what nobody can find cannot be. It is there only
   when somebody writes where he should not. With the right to claim. */
static void
row_weed(struct shm *s, const struct row_kind *kind, uint64_t mine)
{
	for (unsigned row = 0; row < kind->rows && kind->key(s, row); row++) {
		char pool[BACKEND_POOL_NAME], host[BACKEND_NAME];
		uint64_t was = atomic_load(kind->key(s, row));
		struct row_name n;

		kind->name(s, row, pool, host, &n);
		if (was && was != (ROW_CLAIMED | mine) && !row_is_sound(s, kind, row, &n))
			atomic_compare_exchange_strong(kind->key(s, row), &was, 0);
	}
}

/* ---- the row of a name ---- */

static const struct row_kind row_host = {
	BACKEND_ROWS,
	row_host_key,
	row_host_touched,
	row_host_is,
	row_host_fill,
	row_host_sweep,
	row_host_name,
};
static const struct row_kind row_pool = {
	BACKEND_POOLS,
	row_pool_key,
	row_pool_touched,
	row_pool_is,
	row_pool_fill,
	row_pool_sweep,
	row_pool_name,
};

/* Names that move from address to address may fill the table: then what nobody uses goes sooner. */
static int
row_get(struct shm *s, const struct row_kind *kind, const struct row_name *n)
{
	int row = row_find(s, kind, n);
	uint64_t mine;

	if (row >= 0)
		return row;
	mine = row_claiming_take(s);
	if (mine == 0)
		return -1;
	row = row_find(s, kind, n);
	if (row < 0)
		row = row_claim(s, kind, n, mine);
	if (row < 0) {
		kind->sweep(s, clock_ms(), ROW_UNUSED_MS, mine);
		row = row_claim(s, kind, n, mine);
	}
	if (row < 0) {
		row_weed(s, kind, mine);
		row = row_claim(s, kind, n, mine);
	}
	row_claiming_give(s, mine);
	return row;
}

int
backend_pool_row(struct shm *s, struct str pool)
{
	struct row_name n = row_name_of(pool, STR(""));

	return row_get(s, &row_pool, &n);
}

/* The pool's row comes first: who claims for a host finds it there. */
int
backend_row(struct shm *s, struct str pool, struct str address)
{
	struct row_name n = row_name_of(pool, address);

	if (backend_pool_row(s, pool) < 0)
		return -1;
	return row_get(s, &row_host, &n);
}

/* ---- from a segment of another layout ---- */

/* The row's key, if the row is sound. */
static uint64_t
row_old_key(struct str pool, struct str host, uint64_t key)
{
	struct row_name n = row_name_of(pool, host);

	return key == n.key ? key : 0;
}

static void
row_carry_counters(
    _Atomic uint64_t *to, const char *from, size_t at, size_t octets, unsigned counters)
{
	for (unsigned i = 0; i < counters && at + 8 <= octets; i++, at += 8) {
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
row_carry_host(struct shm *to, const struct backend_cell *c, size_t octets)
{
	char texts[BACKEND_POOL_NAME + BACKEND_NAME];
	struct str pool = row_text(texts, c->pool, sizeof(c->pool));
	struct str host = row_text(texts + BACKEND_POOL_NAME, c->host, sizeof(c->host));
	struct backend_cell *mine;
	int row;

	if (!row_old_key(pool, host, atomic_load(&c->key)))
		return;
	row = backend_row(to, pool, host);
	if (row < 0)
		return;
	mine = shm_backend(to, (unsigned)row);
	atomic_store(&mine->came, atomic_load(&c->came));
	atomic_store(&mine->since, atomic_load(&c->since));
	atomic_store(&mine->admin, atomic_load(&c->admin));
	atomic_store(&mine->weight, atomic_load(&c->weight));
	atomic_store(&mine->streak, atomic_load(&c->streak));
	row_carry_counters(mine->counters, (const char *)c, offsetof(struct backend_cell, counters),
	    octets, BACKEND_COUNTERS);
	atomic_store(&mine->word, row_carry_word(atomic_load(&c->word)));
	shm_point("carry: host");
}

static void
row_carry_pool(struct shm *to, const struct backend_pool *p, size_t octets)
{
	char text[BACKEND_POOL_NAME];
	struct str name = row_text(text, p->name, sizeof(p->name));
	struct backend_pool *mine;
	int row;

	if (!row_old_key(name, STR(""), atomic_load(&p->key)))
		return;
	row = backend_pool_row(to, name);
	if (row < 0)
		return;
	mine = shm_backend_pool(to, (unsigned)row);
	atomic_store(&mine->cursor, atomic_load(&p->cursor));
	atomic_store(&mine->budget, atomic_load(&p->budget));
	row_carry_counters(mine->counters, (const char *)p, offsetof(struct backend_pool, counters),
	    octets, POOL_EVENTS);
	backend_outage_carry(to, (unsigned)row, p, octets);
	shm_point("carry: pool");
}

static void
row_carry_pools(struct shm *to, const struct shm *from)
{
	const struct backend_pool *p;
	size_t octets;

	for (unsigned row = 0; (p = shm_table_old(from, TABLE_POOLS, row, &octets)) != NULL; row++)
		row_carry_pool(to, p, octets);
}

static void
row_carry_hosts(struct shm *to, const struct shm *from)
{
	const struct backend_cell *c;
	size_t octets;

	for (unsigned row = 0; (c = shm_table_old(from, TABLE_BACKENDS, row, &octets)) != NULL;
	     row++)
		row_carry_host(to, c, octets);
}

/* ---- after a death ---- */

/* Trials and leases of checks that the worker held are free for others at once. */
static void
row_clear_hosts(struct shm *s, unsigned worker_row)
{
	for (unsigned row = 0; row < BACKEND_ROWS; row++) {
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

const struct shm_table backend_table_pools = {
	.name = "pools",
	.row = sizeof(struct backend_pool),
	.rows = BACKEND_POOLS,
	.least = offsetof(struct backend_pool, running),
	.carry = row_carry_pools,
};

const struct shm_table backend_table_hosts = {
	.name = "backends",
	.row = sizeof(struct backend_cell),
	.rows = BACKEND_ROWS,
	.least = offsetof(struct backend_cell, ewma),
	.carry = row_carry_hosts,
	.clear = row_clear_hosts,
};

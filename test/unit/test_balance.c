/*
 * Which host gets a request: each method alone by table, and four processes that pick at the same
 * time from one segment, checked by what they took.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/balance/backend_cell.h"
#include "common/balance/balance.h"
#include "common/base/log.h"
#include "test/unit/unit.h"

enum { HOSTS = 8, WORKERS = 4, NOW = 1000000 };

static struct shm *shm;
static struct conf_pool pool;
static struct conf_host conf_hosts[HOSTS];
static struct balance_host hosts[HOSTS];
static struct balance balance;

/* ck_assert_msg() writes a mark for each call: too slow for what is checked a million times. */
#define check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

static void
setup(void)
{
	static char names[HOSTS][24];

	log_level = LOG_ERROR_;
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	pool = (struct conf_pool){
		.name = STR("app"),
		.failover = { .threshold = 3,
		    .window = 10000,
		    .refused = 1000,
		    .unreachable = 1000,
		    .overload = 1000,
		    .errors = 1000,
		    .max = 60000,
		    .eject = 50 },
		.retry = { .budget = 20 },
		.hosts = conf_hosts,
	};
	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(names[i], sizeof(names[i]), "10.0.0.%u:80", i);
		conf_hosts[i] = (struct conf_host){ .address = str_of(names[i]), .weight = 1 };
		hosts[i].conf = &conf_hosts[i];
		hosts[i].row = (unsigned)backend_row(shm, pool.name, conf_hosts[i].address);
		hosts[i].hash = 0x9e3779b97f4a7c15u * (i + 1);
	}
}

static void
teardown(void)
{
	balance_fini(&balance);
	shm_close(shm);
}

static void
use(enum pool_balance method, unsigned n)
{
	balance_fini(&balance);
	pool.balance = method;
	balance_init(&balance, shm, 0, &pool);
	balance.hosts = hosts;
	balance.n = n;
}

/* The host, or -1 - verdict. */
static int
pick_with(const struct balance_ask *ask)
{
	unsigned host = ~0u;
	uint64_t when = 0;
	enum balance_verdict v = balance_pick(&balance, ask, &host, &when);

	if (v != BALANCE_TAKEN)
		return -1 - (int)v;
	return (int)host;
}

static int
pick(uint64_t now)
{
	return pick_with(&(struct balance_ask){ .now = now });
}

static void
put_down(unsigned host, enum backend_cause cause, uint64_t now)
{
	struct backend_at at = { .row = hosts[host].row, .conf = &pool, .trial = -1 };
	bool is_down = false;

	for (int i = 0; i < 3 && !is_down; i++)
		is_down = backend_failed(shm, &at, cause, 0, now);
	ck_assert(is_down);
}

static void
counts_of(unsigned n, unsigned counts[HOSTS], uint64_t now)
{
	memset(counts, 0, HOSTS * sizeof(counts[0]));
	for (unsigned i = 0; i < n; i++) {
		int host = pick(now);

		ck_assert_int_ge(host, 0);
		counts[host]++;
		balance_release(&balance, hosts[host].row);
	}
}

/* ---- round robin ---- */

static const struct {
	int64_t weights[3];
	unsigned picks, expected[3];
	unsigned longest; /* run of the same host */
} weight_rows[] = {
	{ { 1, 1, 1 }, 9, { 3, 3, 3 }, 1 },
	{ { 2, 1, 1 }, 8, { 4, 2, 2 }, 2 },
	{ { 5, 1, 1 }, 70, { 50, 10, 10 }, 5 },
	{ { 10, 20, 30 }, 60, { 10, 20, 30 }, 2 },
	{ { 1000, 1, 1 }, 1002, { 1000, 1, 1 }, 1000 },
};

START_TEST(test_round_robin_weights)
{
	unsigned counts[3] = { 0 }, run = 0, longest = 0;
	int last = -1;

	for (unsigned i = 0; i < 3; i++)
		conf_hosts[i].weight = weight_rows[_i].weights[i];
	use(BALANCE_ROUND_ROBIN, 3);
	for (unsigned i = 0; i < weight_rows[_i].picks; i++) {
		int host = pick(NOW);

		ck_assert_int_ge(host, 0);
		counts[host]++;
		run = host == last ? run + 1 : 1;
		longest = run > longest ? run : longest;
		last = host;
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(counts[i], weight_rows[_i].expected[i]);
	ck_assert_uint_le(longest, weight_rows[_i].longest);
}
END_TEST

/* A host that is out leaves the rotation: its part goes to all others, not to its neighbour. */
START_TEST(test_round_robin_closes_over_a_gap)
{
	unsigned counts[HOSTS];

	use(BALANCE_ROUND_ROBIN, 4);
	put_down(1, CAUSE_REFUSED, NOW);
	counts_of(300, counts, NOW);
	ck_assert_uint_eq(counts[0], 100);
	ck_assert_uint_eq(counts[1], 0);
	ck_assert_uint_eq(counts[2], 100);
	ck_assert_uint_eq(counts[3], 100);
}
END_TEST

/* One that is full does not double its neighbour's load either. */
START_TEST(test_round_robin_spreads_what_a_full_host_leaves)
{
	unsigned counts[HOSTS] = { 0 };

	conf_hosts[1].max_requests = 1;
	use(BALANCE_ROUND_ROBIN, 4);
	for (int i = 0; i < 4; i++)
		pick(NOW);
	for (int i = 0; i < 400; i++)
		counts[pick(NOW)]++;
	ck_assert_uint_eq(counts[1], 0);
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			ck_assert_msg(
			    counts[i] >= 125 && counts[i] <= 142, "host %u: %u", i, counts[i]);
}
END_TEST

/* ---- the other methods ---- */

static unsigned
load(unsigned host)
{
	return backend_in_flight(shm, hosts[host].row);
}

static void
release(unsigned host)
{
	balance_release(&balance, hosts[host].row);
}

START_TEST(test_least_connections)
{
	unsigned loads[4] = { 0 };

	conf_hosts[3].weight = 3;
	use(BALANCE_LEAST_CONNECTIONS, 4);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_int_ge(pick(NOW), 0);
	for (unsigned i = 0; i < 4; i++)
		loads[i] = load(i);
	ck_assert_uint_eq(loads[0], 10);
	ck_assert_uint_eq(loads[1], 10);
	ck_assert_uint_eq(loads[2], 10);
	ck_assert_uint_eq(loads[3], 30);
	for (unsigned i = 0; i < 5; i++)
		release(1);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pick(NOW), 1);
	/* What another worker has counts. */
	for (unsigned i = 0; i < 5; i++)
		backend_take(shm, 7, hosts[1].row);
	ck_assert_int_ne(pick(NOW), 1);
}
END_TEST

/* An idle pool is used in turn, not its first host alone. */
START_TEST(test_least_connections_of_idle_hosts)
{
	unsigned counts[HOSTS];

	use(BALANCE_LEAST_CONNECTIONS, 3);
	counts_of(300, counts, NOW);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(counts[i], 100);
}
END_TEST

START_TEST(test_static)
{
	conf_hosts[0].max_requests = 2;
	use(BALANCE_STATIC, 3);
	ck_assert_int_eq(pick(NOW), 0);
	ck_assert_int_eq(pick(NOW), 0);
	ck_assert_int_eq(pick(NOW), 1);
	release(0);
	ck_assert_int_eq(pick(NOW), 0);
	put_down(1, CAUSE_REFUSED, NOW);
	ck_assert_int_eq(pick(NOW), 2);
}
END_TEST

static const struct {
	int64_t weights[3];
	uint64_t latency_us[3];
	unsigned most[3], least[3]; /* of 3000 requests, one at a time */
} two_rows[] = {
	{ { 1, 1, 1 }, { 0, 0, 0 }, { 1100, 1100, 1100 }, { 900, 900, 900 } },
	{ { 1, 1, 1 }, { 500, 500, 500 }, { 1100, 1100, 1100 }, { 900, 900, 900 } },
	{ { 1, 1, 2 }, { 500, 500, 500 }, { 850, 850, 1700 }, { 650, 650, 1300 } },
	/* The slowest of three loses both of its comparisons, the middle one one of two. */
	{ { 1, 1, 1 }, { 500, 900, 9000 }, { 2150, 1150, 0 }, { 1850, 850, 0 } },
};

START_TEST(test_two_choices)
{
	unsigned counts[HOSTS];

	for (unsigned i = 0; i < 3; i++) {
		conf_hosts[i].weight = two_rows[_i].weights[i];
		if (two_rows[_i].latency_us[i])
			backend_latency(shm, hosts[i].row, two_rows[_i].latency_us[i], NOW);
	}
	use(BALANCE_TWO_CHOICES, 3);
	counts_of(3000, counts, NOW);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(
		    counts[i] <= two_rows[_i].most[i] && counts[i] >= two_rows[_i].least[i],
		    "host %u: %u", i, counts[i]);
}
END_TEST

/* Load counts as latency does: a host that is ten times as slow gets its share of a flood, not
   more. */
START_TEST(test_two_choices_under_load)
{
	use(BALANCE_TWO_CHOICES, 2);
	backend_latency(shm, hosts[0].row, 1000, NOW);
	backend_latency(shm, hosts[1].row, 10000, NOW);
	for (unsigned i = 0; i < 110; i++)
		ck_assert_int_ge(pick(NOW), 0);
	ck_assert_msg(load(1) >= 9 && load(1) <= 11, "the slow host has %u", load(1));
}
END_TEST

static int
pick_key(uint64_t key)
{
	int host = pick_with(&(struct balance_ask){ .now = NOW, .has_key = true, .key = key });

	if (host >= 0)
		release((unsigned)host);
	return host;
}

enum { KEYS = 10000 };

static void
keys_of(int8_t where[KEYS], unsigned counts[HOSTS])
{
	memset(counts, 0, HOSTS * sizeof(counts[0]));
	for (unsigned i = 0; i < KEYS; i++) {
		int host = pick_key(i);

		check(host >= 0, "key %u: %d", i, host);
		where[i] = (int8_t)host;
		counts[host]++;
	}
}

START_TEST(test_hash_is_consistent)
{
	static int8_t before[KEYS], after[KEYS];
	unsigned was[HOSTS], is[HOSTS];

	conf_hosts[4].weight = 3;
	use(BALANCE_HASH, 5);
	keys_of(before, was);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_msg(was[i] > 1300 && was[i] < 1560, "host %u has %u", i, was[i]);
	ck_assert(was[4] > 4100 && was[4] < 4500);
	put_down(2, CAUSE_REFUSED, NOW);
	keys_of(after, is);
	ck_assert_uint_eq(is[2], 0);
	for (unsigned i = 0; i < KEYS; i++)
		check(before[i] == 2 || after[i] == before[i], "key %u moved for nothing", i);
	/* What it had is spread by weight. */
	for (unsigned i = 0; i < 5; i++)
		ck_assert_msg(
		    i == 2 || is[i] * 100 / was[i] > 110, "host %u got %u more", i, is[i] - was[i]);
}
END_TEST

/* One key that everybody wants does not drown one host. */
START_TEST(test_hash_bounded_load)
{
	struct balance_ask ask = { .now = NOW, .has_key = true, .key = 42 };
	unsigned most = 0;

	pool.hash_load = 125;
	use(BALANCE_HASH, 4);
	for (unsigned i = 0; i < 400; i++)
		ck_assert_int_ge(pick_with(&ask), 0);
	for (unsigned i = 0; i < 4; i++)
		most = load(i) > most ? load(i) : most;
	ck_assert_msg(most >= 124 && most <= 126, "the fullest has %u", most);
}
END_TEST

START_TEST(test_hash_without_a_key)
{
	unsigned counts[HOSTS];

	use(BALANCE_HASH, 3);
	counts_of(300, counts, NOW);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(counts[i], 100);
}
END_TEST

/* ---- what goes before the method, and what is left when it has nothing ---- */

START_TEST(test_sticky)
{
	struct balance_ask ask = { .now = NOW, .sticky = hosts[1].hash };
	unsigned tried = 1;

	conf_hosts[1].max_requests = 3;
	use(BALANCE_STATIC, 3);
	ck_assert_int_eq(pick_with(&ask), 1);
	backend_admin_set(shm, hosts[1].row, ADMIN_DRAIN);
	ck_assert_int_eq(pick_with(&ask), 1);
	ck_assert_int_eq(pick_with(&ask), 1);
	ck_assert_int_eq(pick_with(&ask), -1 - BALANCE_FULL);
	release(1);
	ask.tried = &tried;
	ask.ntried = 1;
	ck_assert_int_eq(pick_with(&ask), 0);
	ask.ntried = 0;
	backend_admin_set(shm, hosts[1].row, ADMIN_DISABLE);
	ck_assert_int_eq(pick_with(&ask), 0);
	backend_admin_set(shm, hosts[1].row, ADMIN_NONE);
	put_down(1, CAUSE_REFUSED, NOW);
	ck_assert_int_eq(pick_with(&ask), 0);
	ask.sticky = 99;
	ck_assert_int_eq(pick_with(&ask), 0);
}
END_TEST

START_TEST(test_backups)
{
	unsigned tried[3] = { 0, 1, 2 };
	struct balance_ask ask = { .now = NOW, .tried = tried };

	conf_hosts[1].backup = conf_hosts[2].backup = true;
	conf_hosts[0].max_requests = 2;
	use(BALANCE_ROUND_ROBIN, 3);
	ck_assert_int_eq(pick(NOW), 0);
	ck_assert_int_eq(pick(NOW), 0);
	/* It is full, not out. */
	ck_assert_int_eq(pick(NOW), -1 - BALANCE_FULL);
	ask.ntried = 1;
	ck_assert_int_ge(pick_with(&ask), 1);
	/* All tried: the first again. */
	release(0);
	ask.ntried = 3;
	ck_assert_int_eq(pick_with(&ask), 0);
	put_down(0, CAUSE_REFUSED, NOW);
	ask.ntried = 2;
	ck_assert_int_eq(pick_with(&ask), 2);
	ck_assert_int_ge(pick(NOW), 1);
}
END_TEST

START_TEST(test_tried_are_avoided)
{
	unsigned tried[3] = { 2, 0, 1 };
	struct balance_ask ask = { .now = NOW, .tried = tried, .ntried = 2 };

	for (int method = 0; method <= BALANCE_HASH; method++) {
		use((enum pool_balance)method, 3);
		for (unsigned i = 0; i < 20; i++)
			ck_assert_int_eq(pick_with(&ask), 1);
	}
	ask.ntried = 3;
	ck_assert_int_ge(pick_with(&ask), 0);
}
END_TEST

START_TEST(test_limits)
{
	unsigned sum = 0;

	conf_hosts[0].max_requests = 3;
	conf_hosts[1].max_requests = 5;
	use((enum pool_balance)_i, 2);
	while (pick(NOW) >= 0)
		sum++;
	ck_assert_uint_eq(sum, 8);
	ck_assert_uint_eq(load(0), 3);
	ck_assert_uint_eq(load(1), 5);
	ck_assert_int_eq(pick(NOW), -1 - BALANCE_FULL);
	release(1);
	ck_assert_int_eq(pick(NOW), 1);
}
END_TEST

/* A trial by a request: for overload and errors, for one. */
START_TEST(test_trial)
{
	struct balance_ask ask = { .now = NOW + 999 };
	struct backend_at at = { .row = hosts[1].row, .conf = &pool, .trial = 0 };
	unsigned host = 9;
	uint64_t when;

	use(BALANCE_STATIC, 3);
	put_down(1, CAUSE_OVERLOAD, NOW);
	put_down(2, CAUSE_REFUSED, NOW);
	ck_assert_int_eq(pick_with(&ask), 0);
	ask.now = NOW + 1000;
	ask.avoids_trial = true;
	ck_assert_int_eq(pick_with(&ask), 0);
	ask.avoids_trial = false;
	ck_assert_int_eq(balance_pick(&balance, &ask, &host, &when), BALANCE_TRIAL);
	ck_assert_uint_eq(host, 1);
	ck_assert_uint_eq(load(1), 1);
	ck_assert_int_eq(pick_with(&ask), 0);
	/* Not even with a lease in hand is it chosen by the method. */
	put_down(0, CAUSE_REFUSED, NOW + 1000);
	ck_assert_int_eq(pick_with(&ask), -1 - BALANCE_DOWN);
	release(1);
	ck_assert(backend_succeeded(shm, &at, 0, NOW + 1001));
	ask.now = NOW + 1002;
	ck_assert_int_eq(pick_with(&ask), 1);
}
END_TEST

START_TEST(test_nothing_to_have)
{
	struct balance_ask ask = { .now = NOW + 100 };
	unsigned host;
	uint64_t when = 0;

	use(BALANCE_TWO_CHOICES, 0);
	ck_assert_int_eq(balance_pick(&balance, &ask, &host, &when), BALANCE_NONE);
	use(BALANCE_TWO_CHOICES, 2);
	put_down(0, CAUSE_REFUSED, NOW);
	put_down(1, CAUSE_UNREACHABLE, NOW + 50);
	ck_assert_int_eq(balance_pick(&balance, &ask, &host, &when), BALANCE_DOWN);
	ck_assert_uint_eq(when, NOW + 1000);
	backend_admin_set(shm, hosts[0].row, ADMIN_DISABLE);
	ck_assert_int_eq(balance_pick(&balance, &ask, &host, &when), BALANCE_DOWN);
	ck_assert_uint_eq(when, NOW + 1050);
	backend_admin_set(shm, hosts[1].row, ADMIN_DRAIN);
	ck_assert_int_eq(balance_pick(&balance, &ask, &host, &when), BALANCE_NONE);
}
END_TEST

/* ---- many workers ---- */

/* What the workers of a simulation tell: how often each host was taken, and what went wrong. */
struct tally {
	_Atomic unsigned arrived, taken[HOSTS], full, wrong, worst;
	_Atomic int balance[HOSTS]; /* taken and not released, by the tally's own count */
};

static struct tally *tally;

static void
tally_worst(unsigned v)
{
	unsigned seen = atomic_load(&tally->worst);

	while (v > seen && !atomic_compare_exchange_weak(&tally->worst, &seen, v))
		;
}

/* Each worker is a process with a balance of its own on the same segment. */
static void
simulate(unsigned n, void (*work)(unsigned me))
{
	tally =
	    mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(tally != MAP_FAILED);
	for (unsigned i = 0; i < WORKERS; i++) {
		if (fork() != 0)
			continue;
		balance_fini(&balance);
		balance_init(&balance, shm, i, &pool);
		balance.hosts = hosts;
		balance.n = n;
		atomic_fetch_add(&tally->arrived, 1);
		while (atomic_load(&tally->arrived) < WORKERS)
			;
		work(i);
		_exit(0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
}

enum { PICKS = 20000, HELD = 8 };

static void
work_release(unsigned host)
{
	atomic_fetch_sub(&tally->balance[host], 1);
	release(host);
}

/* Takes and releases, the oldest of HELD first, as requests do. */
static void
work_pick(unsigned me)
{
	unsigned held[HELD], n = 0;

	for (unsigned i = 0; i < PICKS; i++) {
		int host;

		if (n == HELD || (n && (i * 7 + me) % 3 == 0)) {
			work_release(held[0]);
			memmove(held, held + 1, --n * sizeof(held[0]));
		}
		if (i % 64 == 0)
			sched_yield();
		host = pick(NOW);
		if (host == -1 - BALANCE_FULL) {
			atomic_fetch_add(&tally->full, 1);
			continue;
		}
		if (host < 0) {
			atomic_fetch_add(&tally->wrong, 1);
			continue;
		}
		held[n++] = (unsigned)host;
		atomic_fetch_add(&tally->taken[host], 1);
		tally_worst((unsigned)atomic_fetch_add(&tally->balance[host], 1) + 1);
	}
	while (n)
		work_release(held[--n]);
}

START_TEST(test_workers_round_robin)
{
	use(BALANCE_ROUND_ROBIN, 3);
	simulate(3, work_pick);
	ck_assert_uint_eq(tally->wrong, 0);
	for (unsigned i = 0; i < 3; i++) {
		unsigned part = WORKERS * PICKS / 3;

		ck_assert_msg(tally->taken[i] - part <= 1, "host %u: %u of %u", i,
		    (unsigned)tally->taken[i], part);
		ck_assert_uint_eq(load(i), 0);
	}
}
END_TEST

/* Limits hold over all workers: at no moment has a host more than it may. The tally counts after
   the pick and gives back before the release, so it never shows more than there is. */
START_TEST(test_workers_limits)
{
	for (unsigned i = 0; i < 3; i++)
		conf_hosts[i].max_requests = 2;
	use((enum pool_balance)_i, 3);
	simulate(3, work_pick);
	ck_assert_uint_eq(tally->wrong, 0);
	ck_assert_uint_gt(tally->full, 0);
	ck_assert_msg(tally->worst <= 2, "a host had %u", (unsigned)tally->worst);
	ck_assert_uint_eq(tally->worst, 2);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(load(i), 0);
}
END_TEST

/* The time that a request takes at least between two picks. Without any the process that has the
   cache lines would win every time. */
static void
work_else(void)
{
	for (volatile int i = 0; i < 500; i++)
		;
}

/* Takes only: however the picks interleave, no host is ever more than one above another. */
static void
work_fill(unsigned me)
{
	for (unsigned i = 0; i < PICKS / 4; i++) {
		work_else();
		if (pick(NOW) < 0)
			atomic_fetch_add(&tally->wrong, 1);
	}
	(void)me;
}

START_TEST(test_workers_least_connections)
{
	unsigned whole = WORKERS * (PICKS / 4);

	use(BALANCE_LEAST_CONNECTIONS, 3);
	simulate(3, work_fill);
	ck_assert_uint_eq(tally->wrong, 0);
	ck_assert_uint_eq(load(0) + load(1) + load(2), whole);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(load(i) - whole / 3 <= 1, "host %u has %u", i, load(i));
}
END_TEST

/* One host never answers; the others do, in turn. It is never more than one above them. */
static void
work_slow(unsigned me)
{
	for (unsigned i = 0; i < PICKS / 4; i++) {
		int host = pick(NOW);

		if (host == 0) {
			unsigned others = load(1) < load(2) ? load(1) : load(2);

			/* Seen by one who may be late: others release meanwhile. */
			tally_worst(load(0) > others ? load(0) - others : 0);
		} else if (host > 0) {
			atomic_fetch_add(&tally->taken[host], 1);
			release((unsigned)host);
		}
	}
	(void)me;
}

START_TEST(test_workers_slow_host)
{
	use(BALANCE_LEAST_CONNECTIONS, 3);
	simulate(3, work_slow);
	/* Each worker has at most one request at a fast host, so the slow one gets no more than one
	   above the most that they can have together. */
	ck_assert_msg(load(0) <= WORKERS, "the slow host has %u", load(0));
	/* Who has what share of the rest is up to the kernel: a process that loses its processor
	   holds its host for as long as others pick thousands of times. */
	ck_assert_uint_eq(
	    load(0) + tally->taken[1] + tally->taken[2], WORKERS * (unsigned)(PICKS / 4));
}
END_TEST

/* The same in turns that a seed decides: so the shares are known, and every pick is the best. */
START_TEST(test_turns_slow_host)
{
	struct balance workers[WORKERS] = { 0 };
	unsigned held[WORKERS] = { 0 }, taken[3] = { 0 };
	uint64_t when;

	srand((unsigned)_i + 1);
	use(BALANCE_LEAST_CONNECTIONS, 3);
	for (unsigned i = 0; i < WORKERS; i++) {
		balance_init(&workers[i], shm, i, &pool);
		workers[i].hosts = hosts;
		workers[i].n = 3;
	}
	for (unsigned i = 0; i < PICKS; i++) {
		unsigned me = (unsigned)rand() % WORKERS, host = held[me];
		struct balance_ask ask = { .now = NOW + i / 20 };

		if (host > 0) {
			balance_release(&workers[me], hosts[host].row);
			held[me] = 0;
			continue;
		}
		check(balance_pick(&workers[me], &ask, &host, &when) == BALANCE_TAKEN, "no host");
		for (unsigned k = 0; k < 3; k++)
			check(load(host) <= load(k) + 1, "host %u has %u, host %u has %u", host,
			    load(host), k, load(k));
		held[me] = host; /* 0 is never given back */
		taken[host]++;
	}
	ck_assert_uint_le(taken[0], WORKERS);
	/* Where both have as much they are taken in turn; the turns of the slow one are the next's.
	 */
	for (unsigned i = 1; i < 3; i++)
		check(5 * taken[i] >= 2 * (taken[1] + taken[2]), "%u and %u", taken[1], taken[2]);
	for (unsigned i = 0; i < WORKERS; i++)
		balance_fini(&workers[i]);
}
END_TEST

Suite *
suite_balance(void)
{
	Suite *s = suite_create("balance");
	TCase *methods = tcase_create("methods"), *picks = tcase_create("picks");
	TCase *workers = tcase_create("workers");

	tcase_add_checked_fixture(methods, setup, teardown);
	tcase_add_loop_test(methods, test_round_robin_weights, 0, UNIT_COUNT(weight_rows));
	tcase_add_test(methods, test_round_robin_closes_over_a_gap);
	tcase_add_test(methods, test_round_robin_spreads_what_a_full_host_leaves);
	tcase_add_test(methods, test_least_connections);
	tcase_add_test(methods, test_least_connections_of_idle_hosts);
	tcase_add_test(methods, test_static);
	tcase_add_loop_test(methods, test_two_choices, 0, UNIT_COUNT(two_rows));
	tcase_add_test(methods, test_two_choices_under_load);
	tcase_add_test(methods, test_hash_is_consistent);
	tcase_add_test(methods, test_hash_bounded_load);
	tcase_add_test(methods, test_hash_without_a_key);
	suite_add_tcase(s, methods);
	tcase_add_checked_fixture(picks, setup, teardown);
	tcase_add_test(picks, test_sticky);
	tcase_add_test(picks, test_backups);
	tcase_add_test(picks, test_tried_are_avoided);
	tcase_add_loop_test(picks, test_limits, 0, BALANCE_HASH + 1);
	tcase_add_test(picks, test_trial);
	tcase_add_test(picks, test_nothing_to_have);
	suite_add_tcase(s, picks);
	tcase_add_checked_fixture(workers, setup, teardown);
	tcase_set_timeout(workers, 120);
	tcase_add_test(workers, test_workers_round_robin);
	tcase_add_loop_test(workers, test_workers_limits, 0, BALANCE_HASH + 1);
	tcase_add_test(workers, test_workers_least_connections);
	tcase_add_test(workers, test_workers_slow_host);
	tcase_add_loop_test(workers, test_turns_slow_host, 0, 8);
	suite_add_tcase(s, workers);
	return s;
}

/*
 * Which host gets a request: each method alone by table, and four processes that pick at the same
 * time from one segment, checked by what they took.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/balance.h"
#include "common/backend_view.h"
#include "common/clock.h"
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
	static char names[HOSTS][16];

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

Suite *
suite_balance(void)
{
	Suite *s = suite_create("balance");
	TCase *methods = tcase_create("methods");

	tcase_add_checked_fixture(methods, setup, teardown);
	tcase_add_loop_test(methods, test_round_robin_weights, 0, UNIT_COUNT(weight_rows));
	tcase_add_test(methods, test_round_robin_closes_over_a_gap);
	tcase_add_test(methods, test_round_robin_spreads_what_a_full_host_leaves);
	suite_add_tcase(s, methods);
	return s;
}

/*
 * Outages: since when a pool has had no usable host, as told by transitions, by looks at all hosts,
 * by an operator's doings, from another segment, and after somebody has written what he
 * likes.
 */
#include <stdlib.h>

#include "common/balance/backend_outage.h"
#include "common/balance/balance.h"
#include "common/base/clock.h"
#include "common/status/snap.h"
#include "test/unit/scene.h"

Suite *suite_backend_outage(void);

enum { LATER = 700 };

static struct conf_host conf_hosts[2];
static struct balance_host hosts[2];
static struct balance balance;

static unsigned
pool_row(void)
{
	return (unsigned)backend_pool_row(scene.shm, scene.pool.name);
}

static void
setup(void)
{
	scene_setup();
	for (unsigned i = 0; i < 2; i++) {
		conf_hosts[i] = (struct conf_host){ .weight = 1 };
		hosts[i] = (struct balance_host){ scene_host(i), &conf_hosts[i], i + 1 };
	}
	balance_init(&balance, scene.shm, 0, &scene.pool);
	balance.hosts = hosts;
	balance.n = 2;
}

static void
teardown(void)
{
	balance_fini(&balance);
	scene_teardown();
}

/* How old it is for this worker, -1: there is none. */
static int64_t
age(uint64_t now)
{
	uint64_t ms;

	return balance_is_out(&balance, now, &ms) ? (int64_t)ms : -1;
}

static uint64_t
word(void)
{
	return atomic_load(&shm_backend_pool(scene.shm, pool_row())->out_since);
}

static bool
come_back(unsigned row, uint64_t now)
{
	struct backend_at at = scene_at(row, 4);

	return backend_try(scene.shm, row, 4, 1000, now) &&
	       backend_succeeded(scene.shm, &at, 0, now);
}

START_TEST(test_transitions)
{
	uint64_t ms;

	ck_assert_int_eq(age(NOW), -1);
	scene_out(hosts[0].row, CAUSE_REFUSED, NOW);
	ck_assert_uint_eq(word(), 0);
	ck_assert(!backend_outage(scene.shm, pool_row(), NOW, &ms));
	/* Refused and overloaded ones count alike. */
	scene_out(hosts[1].row, CAUSE_OVERLOAD, NOW + 100);
	ck_assert_uint_eq(word(), NOW + 100);
	ck_assert_int_eq(age(NOW + 100), 0);
	ck_assert_int_eq(age(NOW + 800), 700);
	/* A trial is no host yet, and one that fails does not make the outage a new one. */
	ck_assert(backend_try(scene.shm, hosts[1].row, 4, 1000, NOW + 900));
	ck_assert_int_eq(age(NOW + 900), 800);
	backend_failed(scene.shm, &(struct backend_at){ hosts[1].row, &scene.pool, 4, 0 },
	    CAUSE_OVERLOAD, 0, NOW + 950);
	ck_assert_int_eq(age(NOW + 1000), 900);
	ck_assert(come_back(hosts[0].row, NOW + 5000));
	ck_assert_uint_eq(word(), 0);
	ck_assert_int_eq(age(NOW + 5000), -1);
	/* The next one begins when it begins. */
	scene_out(hosts[0].row, CAUSE_REFUSED, NOW + 6000);
	ck_assert_int_eq(age(NOW + 6001), 1);
}
END_TEST

START_TEST(test_checks)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < 3; k++) {
			struct backend_at at = scene_at(hosts[i].row, -1);

			backend_checked(scene.shm, &at, false, NOW + i);
		}
	ck_assert_int_eq(age(NOW + 10), 9);
	for (unsigned k = 0; k < 2; k++) {
		struct backend_at at = scene_at(hosts[0].row, -1);

		backend_checked(scene.shm, &at, true, NOW + 20);
	}
	ck_assert_int_eq(age(NOW + 20), -1);
}
END_TEST

/* Nobody makes a transition: the next pick sees it. */
START_TEST(test_looks)
{
	backend_admin_set(scene.shm, hosts[0].row, ADMIN_DISABLE);
	ck_assert_int_eq(age(NOW), -1);
	backend_admin_set(scene.shm, hosts[1].row, ADMIN_DRAIN);
	ck_assert_int_eq(age(NOW + 1), 0);
	ck_assert_int_eq(age(NOW + 500), 499);
	/* What comes back but is drained serves nobody. */
	scene_out(hosts[1].row, CAUSE_REFUSED, NOW + 600);
	ck_assert(come_back(hosts[1].row, NOW + 5000));
	ck_assert_int_ge(age(NOW + 5000), 4400);
	backend_admin_set(scene.shm, hosts[0].row, ADMIN_NONE);
	ck_assert_int_eq(age(NOW + 5001), -1);
	ck_assert_uint_eq(word(), 0);
	/* No host at all: a name without an address. */
	balance.n = 0;
	balance_changed(&balance);
	ck_assert_int_eq(age(NOW + 6000), 0);
	ck_assert_int_eq(age(NOW + 6007), 7);
	balance.n = 2;
	balance_changed(&balance);
	ck_assert_int_eq(age(NOW + 6008), -1);
}
END_TEST

/* Only a host that is out for overload or errors is tried with requests, when its time is over. */
START_TEST(test_trials)
{
	scene_out(hosts[0].row, CAUSE_OVERLOAD, NOW);
	scene_out(hosts[1].row, CAUSE_REFUSED, NOW);
	ck_assert_int_eq(age(NOW + 499), 499);
	ck_assert(!balance_has_trial(&balance, NOW + 499));
	ck_assert(balance_has_trial(&balance, NOW + 500));
	ck_assert(backend_try(scene.shm, hosts[0].row, 4, 1000, NOW + 500));
	ck_assert_int_eq(age(NOW + 501), 501);
	ck_assert(!balance_has_trial(&balance, NOW + 501));
	/* Who had it is silent: another may. */
	ck_assert_int_eq(age(NOW + 1600), 1600);
	ck_assert(balance_has_trial(&balance, NOW + 1600));
}
END_TEST

/* Who should have said that an outage is over was killed: nobody believes it for longer than a
   tenth of a second, and the next outage is as old as it is. */
START_TEST(test_stale)
{
	backend_outage_begin(scene.shm, pool_row(), 1);
	ck_assert_int_eq(age(NOW), -1);
	ck_assert_uint_eq(word(), 0);
	backend_outage_begin(scene.shm, pool_row(), 1);
	scene_out(hosts[0].row, CAUSE_REFUSED, NOW);
	scene_out(hosts[1].row, CAUSE_REFUSED, NOW);
	ck_assert_int_eq(age(NOW + 3), 3);
}
END_TEST

static const struct {
	uint64_t word;
	int64_t age;
} hostile_rows[] = {
	{ 0, 0 }, /* the look makes it begin */
	{ 1, NOW + LATER - 1 },
	{ NOW, LATER },
	{ NOW + LATER, 0 },
	{ NOW + LATER + 1, 0 },
	{ INT64_MAX, 0 },
	{ UINT64_MAX, 0 },
};

START_TEST(test_hostile)
{
	struct backend_pool *p = shm_backend_pool(scene.shm, pool_row());
	struct backend_pool_view v;
	uint64_t ms, before;

	scene_out(hosts[0].row, CAUSE_REFUSED, NOW);
	scene_out(hosts[1].row, CAUSE_REFUSED, NOW);
	atomic_store(&p->out_since, hostile_rows[_i].word);
	balance_changed(&balance);
	ck_assert_int_eq(age(NOW + LATER), hostile_rows[_i].age);
	atomic_store(&p->out_since, hostile_rows[_i].word);
	before = clock_ms();
	ck_assert(backend_pool_view(scene.shm, pool_row(), &v));
	ck_assert_uint_le(v.down_ms, clock_ms());
	if (hostile_rows[_i].word > clock_ms() || hostile_rows[_i].word == 0)
		ck_assert_uint_eq(v.down_ms, 0);
	else
		ck_assert_uint_ge(v.down_ms, before - hostile_rows[_i].word);
	/* Where a host is usable it means nothing. */
	ck_assert(come_back(hosts[0].row, NOW + 5000));
	atomic_store(&p->out_since, hostile_rows[_i].word);
	ck_assert_int_eq(age(NOW + 5000), -1);
	ck_assert(!backend_outage(scene.shm, BACKEND_POOLS, NOW, &ms));
}
END_TEST

/* Rows of a segment of before there was such a word. */
START_TEST(test_carried_from_without)
{
	static const struct backend_pool old = { .out_since = 1 };

	backend_outage_begin(scene.shm, pool_row(), NOW);
	backend_outage_carry(
	    scene.shm, pool_row(), &old, offsetof(struct backend_pool, out_since) + 7);
	ck_assert_uint_eq(word(), NOW);
	backend_outage_carry(
	    scene.shm, pool_row(), &old, offsetof(struct backend_pool, out_since) + 8);
	ck_assert_uint_eq(word(), 1);
}
END_TEST

/* The status says it only where no host is usable: the word may be a moment behind. */
START_TEST(test_status)
{
	uint64_t now = clock_ms();
	struct statussnap *s;

	scene_out(hosts[0].row, CAUSE_REFUSED, now);
	scene_out(hosts[1].row, CAUSE_REFUSED, now);
	backend_outage_begin(scene.shm, pool_row(), now - 5000);
	s = statussnap_take(scene.shm);
	ck_assert_uint_eq(s->npools, 1);
	ck_assert_uint_ge(s->pools[0].view.down_ms, 5000);
	free(s);
	ck_assert(come_back(hosts[0].row, now + 2000));
	backend_outage_begin(scene.shm, pool_row(), now - 5000);
	s = statussnap_take(scene.shm);
	ck_assert_uint_eq(s->pools[0].view.down_ms, 0);
	free(s);
}
END_TEST

Suite *
suite_backend_outage(void)
{
	Suite *s = suite_create("backend_outage");
	TCase *c = tcase_create("backend_outage");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_transitions);
	tcase_add_test(c, test_checks);
	tcase_add_test(c, test_looks);
	tcase_add_test(c, test_trials);
	tcase_add_test(c, test_stale);
	tcase_add_loop_test(c, test_hostile, 0, UNIT_COUNT(hostile_rows));
	tcase_add_test(c, test_carried_from_without);
	tcase_add_test(c, test_status);
	suite_add_tcase(s, c);
	return s;
}

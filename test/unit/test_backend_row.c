/*
 * Eight processes that see the same thing at the same moment, and crash consistency, as in
 * test_shm.c: a child is killed at its first, second, third … write of each operation, after which
 * everybody else must be able to go on and nothing may have been counted that nobody has.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "test/unit/crash.h"
#include "test/unit/scene.h"

enum { PROCESSES = 8, ROUNDS = 1000 };

Suite *suite_backend_row(void);

/* ---- eight at a time ---- */

struct board {
	_Atomic unsigned arrived, failed[ROUNDS], tried[ROUNDS], back[ROUNDS];
};

static void
meet(struct board *b, unsigned *turn)
{
	unsigned all = ++*turn * PROCESSES;

	atomic_fetch_add(&b->arrived, 1);
	while (atomic_load(&b->arrived) < all)
		sched_yield();
}

/* A round: the host goes out by failures that all see, everybody wants the trial, who holds it says
   that it is back; what the others say does not count. */
static void
race(struct board *b, unsigned me, unsigned row)
{
	unsigned turn = 0;

	shm_failpoint = crash_yield;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now = NOW + (uint64_t)i * 1000000;
		struct backend_at at = scene_at(row, -1);

		meet(b, &turn);
		if (backend_failed(scene.shm, &at, CAUSE_REFUSED, 0, now))
			atomic_fetch_add(&b->failed[i], 1);
		meet(b, &turn);
		if (backend_try(scene.shm, row, me, 1000000, now + 100000)) {
			atomic_fetch_add(&b->tried[i], 1);
			at.trial = (int)me;
		}
		meet(b, &turn);
		if (backend_succeeded(scene.shm, &at, 0, now + 100001))
			atomic_fetch_add(&b->back[i], 1);
	}
}

START_TEST(test_exactly_one)
{
	struct board *b =
	    mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned row = scene_host(1);
	pid_t pids[PROCESSES];
	struct backend_view v;

	scene.pool.failover.threshold = 3;
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			race(b, i, row);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		scene_check(b->failed[i] == 1 && b->tried[i] == 1 && b->back[i] == 1,
		    "round %u: %u out, %u tried, %u back", i, (unsigned)b->failed[i],
		    (unsigned)b->tried[i], (unsigned)b->back[i]);
	ck_assert(backend_view(scene.shm, row, &v));
	ck_assert_uint_eq(v.counters[BACKEND_EJECTIONS], ROUNDS);
	munmap(b, sizeof(*b));
}
END_TEST

/* Eight processes claim the same hundred hosts in different orders. */
START_TEST(test_claims_race)
{
	unsigned used = 0;

	for (unsigned p = 0; p < PROCESSES; p++) {
		if (fork() == 0) {
			shm_failpoint = crash_yield;
			for (unsigned i = 0; i < 100; i++)
				scene_host((i * 37 + p * 11) % 100);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	for (unsigned row = 0; row < BACKEND_ROWS; row++) {
		struct backend_view v;

		used += backend_view(scene.shm, row, &v);
	}
	ck_assert_uint_eq(used, 100);
	for (unsigned i = 0; i < 100; i++)
		scene_host(i);
}
END_TEST

/* ---- a claim that is never given back ---- */

static uint64_t
claim_of(pid_t pid)
{
	return (uint64_t)(uint32_t)pid << 32 | (uint32_t)(clock_ms() + 90);
}

/* A worker that lives keeps its claim fresh. The master is refused, at once, and has what it needs
   after a fifth of a second of that; without this it slept 300 times in each call. */
START_TEST(test_master_waits_for_nobody)
{
	_Atomic uint64_t *claiming = &shm_table_room(scene.shm, TABLE_POOLS)->claiming;
	pid_t pid = fork();
	uint64_t begun = clock_ms(), before, longest = 0;
	unsigned refused = 0;
	int row = -1;

	if (pid == 0)
		for (;;)
			atomic_store(claiming, claim_of(getpid()));
	while (atomic_load(claiming) == 0)
		sched_yield();
	while (row < 0 && clock_ms() - begun < 5000) {
		before = clock_ms();
		row = backend_row(scene.shm, STR("new pool"), STR("new host"));
		longest = clock_ms() - before > longest ? clock_ms() - before : longest;
		refused += row < 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_ge(row, 0);
	ck_assert_uint_gt(refused, 0);
	/* Of two CPUs the other process has one: a time slice or two may pass. */
	ck_assert_msg(longest < 100, "%llu ms", (unsigned long long)longest);
	ck_assert_uint_lt(clock_ms() - begun, 2500);
	shm_table_sweep(scene.shm, clock_ms(), 60000);
	ck_assert_int_eq(backend_row(scene.shm, STR("new pool"), STR("new host")), row);
}
END_TEST

/* A worker has filled both tables, just now, with copies of one row, noise, and other people's
   claims: none of it can be found, so there is room at once. What is sound stays. */
START_TEST(test_tables_full_of_nonsense)
{
	unsigned pool = (unsigned)backend_pool_row(scene.shm, scene.pool.name), row = scene_host(1);
	uint64_t now = clock_ms();

	for (unsigned i = 0; i < BACKEND_ROWS; i++) {
		struct backend_cell *c = shm_backend(scene.shm, i);

		if (i == row)
			continue;
		memcpy(c, shm_backend(scene.shm, row), sizeof(*c));
		c->touched = now;
		if (i % 3)
			memset(c->host, (int)i, sizeof(c->host));
	}
	for (unsigned i = 0; i < BACKEND_POOLS; i++) {
		struct backend_pool *p = shm_backend_pool(scene.shm, i);

		if (i == pool)
			continue;
		memset(p, 0x41, sizeof(*p));
		p->touched = now;
	}
	ck_assert_int_ge(backend_row(scene.shm, STR("new pool"), STR("new host")), 0);
	for (unsigned i = 0; i < 200; i++)
		scene_host(i);
	ck_assert_int_eq(backend_pool_row(scene.shm, scene.pool.name), (int)pool);
}
END_TEST

/* A claim in the master's own name is nobody's: it is not there while it holds one. */
START_TEST(test_claim_in_our_name)
{
	atomic_store(&shm_table_room(scene.shm, TABLE_POOLS)->claiming, claim_of(getpid()));
	ck_assert_int_ge(backend_row(scene.shm, STR("new pool"), STR("new host")), 0);
}
END_TEST

/* ---- crash consistency ---- */

enum { VICTIM = 2 }; /* the worker row of who is killed */

static void
do_claim(void)
{
	backend_row(scene.shm, STR("new pool"), STR("new host"));
}

static void
do_claim_host(void)
{
	scene_host(50);
}

static void
do_take(void)
{
	unsigned p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);

	for (unsigned i = 0; i < 4; i++)
		backend_take_in_turn(
		    scene.shm, VICTIM, scene_host(i), p, backend_turn(scene.shm, p));
	backend_take(scene.shm, VICTIM, scene_host(1));
	backend_queue(scene.shm, VICTIM, p, 2);
	crash_point("queued");
	backend_release(scene.shm, VICTIM, scene_host(1));
	crash_point("released");
}

static void
do_fail(void)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 3; k++)
			scene_fail(scene_host(i), i & 1 ? CAUSE_ERRORS : CAUSE_REFUSED, clock_ms());
}

static void
do_trial(void)
{
	struct backend_at at = scene_at(scene_host(8), VICTIM);

	backend_try(scene.shm, at.row, VICTIM, 60000, clock_ms());
	backend_untry(scene.shm, at.row, VICTIM, clock_ms());
	backend_try(scene.shm, at.row, VICTIM, 60000, clock_ms());
	backend_succeeded(scene.shm, &at, 100, clock_ms());
}

static void
do_trial_fails(void)
{
	struct backend_at at = scene_at(scene_host(8), VICTIM);

	backend_try(scene.shm, at.row, VICTIM, 60000, clock_ms());
	backend_failed(scene.shm, &at, CAUSE_ERRORS, 0, clock_ms());
}

static void
do_check(void)
{
	struct backend_at at = scene_at(scene_host(3), -1);

	for (unsigned i = 0; i < 8; i++) {
		if (backend_check_take(scene.shm, at.row, VICTIM, clock_ms(), 60000))
			backend_checked(scene.shm, &at, i > 4, clock_ms());
		crash_point("checked");
		atomic_store(&shm_backend(scene.shm, at.row)->check, 0);
	}
}

static void
do_sweep(void)
{
	shm_table_sweep(scene.shm, clock_ms() + 100, 50);
}

static void
do_clear(void)
{
	shm_table_clear(scene.shm, 1);
}

static const struct {
	const char *name;
	void (*op)(void);
	unsigned at_least; /* fail points that it must have been killed at */
} crash_ops[] = {
	{ "claim", do_claim, 12 },
	{ "claim a host", do_claim_host, 7 },
	{ "take", do_take, 13 },
	{ "fail", do_fail, 24 },
	{ "trial", do_trial, 10 },
	{ "trial that fails", do_trial_fails, 4 },
	{ "check", do_check, 12 },
	{ "sweep", do_sweep, 10 },
	{ "clear", do_clear, 8 },
};

/* Hosts 0..9 of the pool; 8 is out and may be tried, 9 busy by worker 1, which is dead. */
static void
crash_scene(void)
{
	unsigned p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);

	for (unsigned i = 0; i < 10; i++)
		scene_host(i);
	scene_fail(scene_host(8), CAUSE_OVERLOAD, 1);
	for (unsigned i = 4; i < 10; i++)
		backend_take(scene.shm, 1, scene_host(i));
	backend_take(scene.shm, 0, scene_host(7));
	backend_queue(scene.shm, 1, p, 7);
	backend_queue(scene.shm, 0, p, 1);
}

/* Each host has one row, and each row that is in use one host; nothing is left claimed once
   somebody else has claimed. */
static void
check_rows(const char *what)
{
	unsigned used = 0, found[64] = { 0 };

	for (unsigned i = 0; i < 52; i++)
		found[i] = scene_host(i);
	found[52] = (unsigned)backend_row(scene.shm, STR("new pool"), STR("new host"));
	for (unsigned row = 0; row < BACKEND_ROWS; row++) {
		struct backend_view v;

		used += backend_view(scene.shm, row, &v);
		scene_check(!(atomic_load(&shm_backend(scene.shm, row)->key) >> 63),
		    "%s: row %u is still claimed", what, row);
	}
	scene_check(used == 53, "%s: %u rows in use", what, used);
	for (unsigned i = 0; i < 53; i++)
		for (unsigned k = 0; k < i; k++)
			scene_check(
			    found[i] != found[k], "%s: hosts %u and %u have one row", what, i, k);
}

/* The dead are buried: what they had is gone, what others have is there. */
static void
check_columns(const char *what)
{
	unsigned p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);

	shm_table_clear(scene.shm, 1);
	shm_table_clear(scene.shm, VICTIM);
	for (unsigned i = 0; i < 10; i++)
		scene_check(backend_in_flight(scene.shm, scene_host(i)) == (i == 7),
		    "%s: host %u has %u", what, i, backend_in_flight(scene.shm, scene_host(i)));
	scene_check(
	    backend_queued(scene.shm, p) == 1, "%s: %u queued", what, backend_queued(scene.shm, p));
	scene_check(shm_backend_common(scene.shm)->live[0] == 1, "%s: columns %llx are live", what,
	    (unsigned long long)shm_backend_common(scene.shm)->live[0]);
	/* The next one takes exactly one place. */
	scene_check(
	    backend_take_in_turn(scene.shm, 0, scene_host(0), p, backend_turn(scene.shm, p)),
	    "%s: take", what);
	scene_check(backend_in_flight(scene.shm, scene_host(0)) == 1, "%s: taken", what);
}

/* Every host can be had again, by the ordinary way. */
static void
check_states(const char *what)
{
	uint64_t now = clock_ms() + 100000;

	for (unsigned i = 0; i < 10; i++)
		backend_touch(scene.shm, scene_host(i), now);
	for (unsigned i = 0; i < 10; i++) {
		struct backend_at at = scene_at(scene_host(i), 0);
		enum backend_state state = backend_state_of(scene.shm, at.row, NULL);

		scene_check(state != BACKEND_TRIAL, "%s: host %u is in trial", what, i);
		if (state != BACKEND_DOWN && state != BACKEND_OVERLOADED)
			continue;
		scene_check(backend_try(scene.shm, at.row, 0, 100, now),
		    "%s: host %u cannot be tried", what, i);
		scene_check(
		    backend_succeeded(scene.shm, &at, 0, now), "%s: host %u stays out", what, i);
	}
	/* The right to take out a host for errors is free, at the latest after its time. */
	scene_check(!scene_fail(scene_host(9), CAUSE_ERRORS, now) &&
			!scene_fail(scene_host(9), CAUSE_ERRORS, now) &&
			scene_fail(scene_host(9), CAUSE_ERRORS, now),
	    "%s: nothing goes out for errors any more", what);
}

START_TEST(test_crash_everywhere)
{
	char what[64];
	unsigned k = 1;

	for (;; k++) {
		shm_close(scene.shm);
		scene_setup();
		crash_scene();
		bool killed = crash_at(crash_ops[_i].op, k);

		snprintf(what, sizeof(what), "%s killed at %u", crash_ops[_i].name, k);
		if (crash_ops[_i].op == do_sweep)
			crash_scene();
		check_rows(what);
		if (crash_ops[_i].op != do_sweep)
			check_columns(what);
		check_states(what);
		if (!killed)
			break;
	}
	ck_assert_msg(k - 1 >= crash_ops[_i].at_least, "%s: only %u fail points were met",
	    crash_ops[_i].name, k - 1);
}
END_TEST

Suite *
suite_backend_row(void)
{
	Suite *s = suite_create("backend_row");
	TCase *c = tcase_create("backend_row");

	tcase_add_checked_fixture(c, scene_setup, scene_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_exactly_one);
	tcase_add_test(c, test_claims_race);
	tcase_add_test(c, test_master_waits_for_nobody);
	tcase_add_test(c, test_claim_in_our_name);
	tcase_add_test(c, test_tables_full_of_nonsense);
	tcase_add_loop_test(c, test_crash_everywhere, 0, UNIT_COUNT(crash_ops));
	suite_add_tcase(s, c);
	return s;
}

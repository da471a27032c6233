/*
 * What all workers know of backends: rows and columns, what is counted and told, and what of it is
 * found again in a segment of another layout.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/segment/shm_keep.h"
#include "test/unit/scene.h"

Suite *suite_backend(void);

/* ---- rows ---- */

START_TEST(test_rows_are_found_again)
{
	int a = backend_row(scene.shm, STR("app"), STR("a:80")),
	    b = backend_row(scene.shm, STR("app"), STR("b:80"));
	int other = backend_row(scene.shm, STR("api"), STR("a:80"));

	ck_assert(a >= 0 && b >= 0 && other >= 0 && a != b && a != other && b != other);
	ck_assert_int_eq(backend_row(scene.shm, STR("app"), STR("a:80")), a);
	ck_assert_int_eq(backend_row(scene.shm, STR("api"), STR("a:80")), other);
	ck_assert_int_eq(
	    backend_pool_row(scene.shm, STR("app")), backend_pool_row(scene.shm, STR("app")));
	ck_assert_int_ne(
	    backend_pool_row(scene.shm, STR("app")), backend_pool_row(scene.shm, STR("api")));
	/* What belongs to the pool and what to the host is told apart. */
	ck_assert_int_ne(backend_row(scene.shm, STR("ap"), STR("pa:80")), a);
}
END_TEST

START_TEST(test_rows_long_names)
{
	char host[400], pool_name[200];

	memset(host, 'h', sizeof(host));
	memset(pool_name, 'p', sizeof(pool_name));
	for (size_t n = 1; n < sizeof(host); n += 57) {
		struct str p = str_n(pool_name, n / 2), h = str_n(host, n);
		int row = backend_row(scene.shm, p, h);
		struct backend_view v;

		ck_assert_int_ge(row, 0);
		ck_assert_int_eq(backend_row(scene.shm, p, h), row);
		ck_assert(backend_view(scene.shm, (unsigned)row, &v));
		ck_assert_uint_eq(strlen(v.host), n < BACKEND_NAME ? n : BACKEND_NAME - 1);
	}
}
END_TEST

START_TEST(test_rows_run_out)
{
	char name[16];

	for (unsigned i = 0; i < BACKEND_ROWS; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		ck_assert_int_ge(backend_row(scene.shm, STR("app"), str_of(name)), 0);
	}
	ck_assert_int_eq(backend_row(scene.shm, STR("app"), STR("one more")), -1);
	ck_assert_int_ge(backend_row(scene.shm, STR("app"), STR("h77")), 0);
	for (unsigned i = 1; i < BACKEND_POOLS; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		ck_assert_int_ge(backend_pool_row(scene.shm, str_of(name)), 0);
	}
	ck_assert_int_eq(backend_pool_row(scene.shm, STR("one more")), -1);
}
END_TEST

/* A name that moves from address to address: what it left makes room. */
START_TEST(test_rows_make_room)
{
	unsigned used = scene_host(1);
	char name[16];

	for (unsigned i = 0; i < BACKEND_ROWS - 1; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		int row = backend_row(scene.shm, STR("app"), str_of(name));

		ck_assert_int_ge(row, 0);
		if (i < 3)
			shm_backend(scene.shm, (unsigned)row)->touched = 1;
	}
	ck_assert_int_ge(backend_row(scene.shm, STR("app"), STR("one more")), 0);
	ck_assert_int_ge(backend_row(scene.shm, STR("app"), STR("two more")), 0);
	ck_assert_int_ge(backend_row(scene.shm, STR("app"), STR("three more")), 0);
	ck_assert_int_eq(backend_row(scene.shm, STR("app"), STR("four more")), -1);
	ck_assert_uint_eq(scene_host(1), used);
}
END_TEST

START_TEST(test_rows_are_swept)
{
	uint64_t now = clock_ms();
	unsigned touched = scene_host(1), busy = scene_host(2), idle = scene_host(3);
	int gone = backend_row(scene.shm, STR("gone"), STR("x"));
	int gone_pool = backend_pool_row(scene.shm, STR("gone"));
	struct backend_pool_view pv;
	struct backend_view v;

	backend_take(scene.shm, 5, busy);
	now += 61000;
	backend_touch(scene.shm, touched, now);
	shm_table_sweep(scene.shm, now, 60000);
	ck_assert(backend_view(scene.shm, touched, &v));
	ck_assert(backend_view(scene.shm, busy, &v));
	ck_assert(!backend_view(scene.shm, idle, &v));
	ck_assert(!backend_view(scene.shm, (unsigned)gone, &v));
	ck_assert(!backend_pool_view(scene.shm, (unsigned)gone_pool, &pv));
	/* A pool stays as long as a host of it does. */
	ck_assert(backend_pool_view(
	    scene.shm, (unsigned)backend_pool_row(scene.shm, scene.pool.name), &pv));
	ck_assert_uint_eq(pv.hosts, 2);
	backend_release(scene.shm, 5, busy);
	shm_table_sweep(scene.shm, now, 60000);
	ck_assert(!backend_view(scene.shm, busy, &v));
}
END_TEST

/* A row that was in use before is as a new one is. */
START_TEST(test_rows_are_clean)
{
	unsigned row = scene_host(1);
	struct backend_view v;

	scene_out(row, CAUSE_REFUSED, NOW);
	backend_weight_set(scene.shm, row, 7);
	backend_admin_set(scene.shm, row, ADMIN_DRAIN);
	shm_table_sweep(scene.shm, clock_ms() + 2, 1);
	ck_assert(!backend_view(scene.shm, row, &v));
	row = scene_host(1);
	ck_assert(backend_view(scene.shm, row, &v));
	ck_assert_int_eq(v.state, BACKEND_UP);
	ck_assert_int_eq(v.admin, ADMIN_NONE);
	ck_assert_uint_eq(v.weight, 0);
	ck_assert_uint_eq(v.counters[BACKEND_FAILURES], 0);
}
END_TEST

START_TEST(test_bounds)
{
	static const unsigned beyond[] = { BACKEND_ROWS, SHM_WORKERS + BACKEND_ROWS, ~0u };

	for (int i = 0; i < UNIT_COUNT(beyond); i++) {
		struct backend_at at = scene_at(beyond[i], 0);
		struct backend_view v;
		struct backend_pool_view pv;

		ck_assert(!backend_failed(scene.shm, &at, CAUSE_REFUSED, 0, NOW));
		ck_assert(!backend_succeeded(scene.shm, &at, 5, NOW));
		ck_assert(!backend_checked(scene.shm, &at, false, NOW));
		ck_assert(!backend_try(scene.shm, beyond[i], 0, 1, NOW));
		ck_assert(!backend_check_take(scene.shm, beyond[i], 0, NOW, 1));
		ck_assert(!backend_view(scene.shm, beyond[i], &v));
		ck_assert(!backend_pool_view(scene.shm, beyond[i], &pv));
		ck_assert(!backend_admin_set(scene.shm, beyond[i], ADMIN_DRAIN));
		ck_assert(!backend_weight_set(scene.shm, beyond[i], 1));
		ck_assert(!backend_budget_take(scene.shm, beyond[i], &scene.pool, NOW));
		backend_untry(scene.shm, beyond[i], 0, NOW);
		backend_take(scene.shm, 0, beyond[i]);
		backend_take(scene.shm, beyond[i], 0);
		backend_release(scene.shm, beyond[i], beyond[i]);
		backend_queue(scene.shm, beyond[i], beyond[i], 1);
		backend_queue(scene.shm, 0, beyond[i], 1);
		backend_count(scene.shm, beyond[i], BACKEND_REQUESTS);
		shm_table_clear(scene.shm, beyond[i]);
		ck_assert_uint_eq(backend_in_flight(scene.shm, beyond[i]), 0);
		ck_assert_uint_eq(backend_queued(scene.shm, beyond[i]), 0);
		ck_assert(!backend_is_usable(scene.shm, beyond[i]));
	}
}
END_TEST

START_TEST(test_columns)
{
	unsigned row = scene_host(1), p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);

	for (unsigned w = 0; w < SHM_WORKERS; w += 51) {
		backend_take(scene.shm, w, row);
		backend_take(scene.shm, w, row);
		backend_queue(scene.shm, w, p, 3);
	}
	ck_assert_uint_eq(backend_in_flight(scene.shm, row), 12);
	ck_assert_uint_eq(backend_queued(scene.shm, p), 18);
	backend_release(scene.shm, 51, row);
	backend_queue(scene.shm, 51, p, -5);
	ck_assert_uint_eq(backend_in_flight(scene.shm, row), 11);
	ck_assert_uint_eq(backend_queued(scene.shm, p), 15);
	shm_table_clear(scene.shm, 255);
	shm_table_clear(scene.shm, 255);
	ck_assert_uint_eq(backend_in_flight(scene.shm, row), 9);
	ck_assert_uint_eq(backend_queued(scene.shm, p), 12);
	backend_release(scene.shm, 255, row);
	ck_assert_uint_eq(backend_in_flight(scene.shm, row), 9);
}
END_TEST

/* ---- what is counted ---- */

START_TEST(test_latency)
{
	unsigned row = scene_host(1);
	uint64_t now = clock_ms();
	struct backend_view v;

	for (unsigned i = 0; i < 90; i++)
		backend_latency(scene.shm, row, 1000, now);
	for (unsigned i = 0; i < 10; i++)
		backend_latency(scene.shm, row, 100000, now);
	ck_assert(backend_view(scene.shm, row, &v));
	ck_assert(v.latency_us[0] > 512 && v.latency_us[0] <= 1024);
	ck_assert(v.latency_us[1] > 512 && v.latency_us[1] <= 1024);
	ck_assert(v.latency_us[2] > 65536 && v.latency_us[2] <= 131072);
	backend_latency(scene.shm, row, UINT64_MAX, now);
	backend_latency(scene.shm, row, 0, now);
}
END_TEST

START_TEST(test_ewma)
{
	unsigned row = scene_host(1);
	uint64_t before = 0;

	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 0);
	backend_latency(scene.shm, row, 1000, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 1000);
	backend_latency(scene.shm, row, 50000, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 50000);
	backend_latency(scene.shm, row, 1000, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 50000);
	/* e^-1 and e^-3 within a tenth; it only ever falls. */
	ck_assert_uint_le(backend_ewma(scene.shm, row, NOW + 10000), 20300);
	ck_assert_uint_ge(backend_ewma(scene.shm, row, NOW + 10000), 16500);
	ck_assert_uint_le(backend_ewma(scene.shm, row, NOW + 30000), 4200);
	before = UINT64_MAX;
	for (unsigned ms = 0; ms < 400000; ms += 77) {
		uint64_t v = backend_ewma(scene.shm, row, NOW + ms);

		ck_assert(v <= before && v >= 1);
		before = v;
	}
}
END_TEST

/* Whoever fails at once and may not be taken out is no bargain. */
START_TEST(test_ewma_of_failures)
{
	unsigned row = scene_host(1);

	backend_latency(scene.shm, row, 1000, NOW);
	scene_fail(row, CAUSE_ERRORS, NOW);
	scene_fail(row, CAUSE_ERRORS, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 1000);
	scene_fail(row, CAUSE_ERRORS, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 100000);
	for (unsigned i = 0; i < 60; i++)
		scene_fail(row, CAUSE_ERRORS, NOW);
	ck_assert_uint_eq(backend_ewma(scene.shm, row, NOW), 60000000);
	ck_assert_uint_le(backend_ewma(scene.shm, row, NOW + 160000), 1);
}
END_TEST

START_TEST(test_budget)
{
	unsigned p = (unsigned)backend_pool_row(scene.shm, scene.pool.name), taken = 0;
	struct backend_pool_view v;

	while (backend_budget_take(scene.shm, p, &scene.pool, NOW))
		taken++;
	ck_assert_uint_eq(taken, 1000 + 3);
	/* Three in each second are free. */
	for (unsigned i = 0; i < 10; i++)
		taken += backend_budget_take(scene.shm, p, &scene.pool, NOW + 1000);
	ck_assert_uint_eq(taken, 1006);
	/* Ten requests give two. */
	for (unsigned i = 0; i < 10; i++)
		backend_budget_add(scene.shm, p, &scene.pool);
	for (unsigned i = 0; i < 10; i++)
		taken += backend_budget_take(scene.shm, p, &scene.pool, NOW + 1000);
	ck_assert_uint_eq(taken, 1008);
	ck_assert(backend_pool_view(scene.shm, p, &v));
	ck_assert_uint_eq(v.retries, 1008);
	ck_assert_uint_eq(v.retries_denied, 1 + 7 + 8);
	scene.pool.retry.budget = 0;
	p = (unsigned)backend_pool_row(scene.shm, STR("none"));
	taken = 0;
	for (unsigned i = 0; i < 10; i++)
		taken += backend_budget_take(scene.shm, p, &scene.pool, NOW);
	ck_assert_uint_eq(taken, 3);
}
END_TEST

START_TEST(test_view)
{
	unsigned row = scene_host(4), p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);
	struct backend_local local = { 4, 5, 2, 8, 9, 3, 256, 77 };
	struct backend_pool_view pv;
	struct backend_view v;

	backend_take(scene.shm, 1, row);
	scene_out(row, CAUSE_UNREACHABLE, clock_ms());
	backend_pool_publish_local(scene.shm, p, &local);
	backend_pool_count(scene.shm, p, POOL_QUEUE_FULL);
	ck_assert(backend_view(scene.shm, row, &v));
	ck_assert_str_eq(v.pool, "app");
	ck_assert_str_eq(v.host, "10.0.0.4:80");
	ck_assert_str_eq(backend_state_name(v.state), "down");
	ck_assert_str_eq(backend_cause_name(v.cause), "unreachable");
	ck_assert(v.until > v.since && v.until - v.since <= 2000);
	ck_assert_uint_eq(v.in_flight, 1);
	ck_assert_uint_eq(v.failures, 3);
	ck_assert_uint_eq(v.counters[BACKEND_FAILURES], 3);
	ck_assert_uint_eq(v.counters[BACKEND_EJECTIONS], 1);
	ck_assert(backend_pool_view(scene.shm, p, &pv));
	ck_assert_uint_eq(pv.hosts, 1);
	ck_assert_uint_eq(pv.in_flight, 1);
	ck_assert_uint_eq(pv.queue_full, 1);
	ck_assert_uint_eq(pv.local.running, 4);
	ck_assert_uint_eq(pv.local.most, 8);
	ck_assert_uint_eq(pv.local.deaths, 3);
	ck_assert_int_eq(pv.local.last_status, 256);
	ck_assert_int_eq(pv.local.last_death, 77);
}
END_TEST

/* ---- another layout ---- */

/* The same octets under a header that this binary takes for another layout. */
static struct shm *
as_old(struct shm *s, unsigned tables)
{
	size_t size = (size_t)lseek(shm_fd(s), 0, SEEK_END);
	int fd = memfd_create("old", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *octets = malloc(size);
	const char *why = "";
	struct shm *old;

	ck_assert_int_eq(pread(shm_fd(s), octets, size, 0), (ssize_t)size);
	memcpy(octets + 12, &tables, sizeof(tables));
	octets[24] ^= 1; /* the layout's hash */
	ck_assert_int_eq(write(fd, octets, size), (ssize_t)size);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	free(octets);
	ck_assert_ptr_null(shm_attach(fd, &why));
	ck_assert_str_eq(why, "another layout");
	old = shm_attach_old(fd, &why);
	ck_assert_msg(old != NULL, "%s", why);
	return old;
}

START_TEST(test_carry)
{
	unsigned down = scene_host(1), trial = scene_host(2), other, p;
	struct shm *old;
	struct backend_view v, was;
	struct backend_pool_view pv;
	uint64_t until, old_until;

	scene_out(down, CAUSE_REFUSED, NOW);
	scene_out(trial, CAUSE_UNREACHABLE, NOW);
	ck_assert(backend_try(scene.shm, trial, 3, 5000, NOW + 2000));
	backend_weight_set(scene.shm, down, 9);
	backend_admin_set(scene.shm, down, ADMIN_DRAIN);
	backend_take(scene.shm, 0, down);
	backend_pool_count(
	    scene.shm, (unsigned)backend_pool_row(scene.shm, scene.pool.name), POOL_QUEUED);
	backend_view(scene.shm, down, &was);
	backend_state_of(scene.shm, down, &old_until);
	old = as_old(scene.shm, 9);
	/* There the rows are elsewhere. */
	shm_close(scene.shm);
	scene.shm = shm_create();
	other = (unsigned)backend_row(scene.shm, scene.pool.name, STR("new"));
	shm_carry(scene.shm, old);
	down = scene_host(1);
	ck_assert_uint_ne(down, other);
	ck_assert(backend_view(scene.shm, down, &v));
	ck_assert_int_eq(backend_state_of(scene.shm, down, &until), BACKEND_DOWN);
	ck_assert_uint_eq(until, old_until);
	ck_assert_int_eq(v.cause, CAUSE_REFUSED);
	ck_assert_int_eq(v.admin, ADMIN_DRAIN);
	ck_assert_uint_eq(v.weight, 9);
	ck_assert_uint_eq(v.level, was.level);
	ck_assert_int_eq(v.since, was.since);
	ck_assert(memcmp(v.counters, was.counters, sizeof(v.counters)) == 0);
	ck_assert_uint_eq(v.in_flight, 0);
	/* The trial is that of a worker that is not here. */
	trial = scene_host(2);
	ck_assert_int_eq(backend_state_of(scene.shm, trial, NULL), BACKEND_DOWN);
	ck_assert(backend_try(scene.shm, trial, 0, 5, NOW));
	p = (unsigned)backend_pool_row(scene.shm, scene.pool.name);
	ck_assert(backend_pool_view(scene.shm, p, &pv));
	ck_assert_uint_eq(pv.queued_total, 1);
	ck_assert_uint_eq(atomic_load(&shm_backend_pool(scene.shm, p)->out_since), NOW);
	shm_close(old);
}
END_TEST

/* A segment of before there were backends. */
START_TEST(test_carry_from_without)
{
	struct shm *old = as_old(scene.shm, 5);
	int row = shm_worker_claim(old, NULL, 1, 0, 1);

	shm_carry(scene.shm, old);
	ck_assert_int_eq(backend_row(old, scene.pool.name, STR("x")), -1);
	ck_assert_int_eq(backend_pool_row(old, scene.pool.name), -1);
	backend_take(old, (unsigned)row, 0);
	shm_table_sweep(old, NOW, 1);
	shm_worker_bury(old, (unsigned)row);
	shm_repair(old, NULL);
	ck_assert_int_eq(shm_worker(old, (unsigned)row)->state, ROW_FREE);
	shm_close(old);
}
END_TEST

Suite *
suite_backend(void)
{
	Suite *s = suite_create("backend");
	TCase *c = tcase_create("backend");

	tcase_add_checked_fixture(c, scene_setup, scene_teardown);
	tcase_add_test(c, test_rows_are_found_again);
	tcase_add_test(c, test_rows_long_names);
	tcase_add_test(c, test_rows_run_out);
	tcase_add_test(c, test_rows_make_room);
	tcase_add_test(c, test_rows_are_swept);
	tcase_add_test(c, test_rows_are_clean);
	tcase_add_test(c, test_bounds);
	tcase_add_test(c, test_columns);
	tcase_add_test(c, test_latency);
	tcase_add_test(c, test_ewma);
	tcase_add_test(c, test_ewma_of_failures);
	tcase_add_test(c, test_budget);
	tcase_add_test(c, test_view);
	tcase_add_test(c, test_carry);
	tcase_add_test(c, test_carry_from_without);
	suite_add_tcase(s, c);
	return s;
}

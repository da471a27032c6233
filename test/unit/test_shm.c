/*
 * The segment: rows and slots by table, damaged segments, and crash consistency: for each operation
 * a child process is killed (SIGKILL, by itself, at the fail point) at its first, second, third …
 * write; afterwards every invariant of shm.c must hold, and what was counted must have been counted
 * exactly once.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/procid.h"
#include "common/segment/shm.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_table.h"
#include "test/unit/crash.h"

Suite *suite_shm(void);

static struct shm *shm;

/* ck_assert_msg() writes a mark for each call: too slow for what is checked a million times. */
#define check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

static void
setup(void)
{
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
}

static void
teardown(void)
{
	shm_failpoint = NULL;
	shm_close(shm);
}

/* ---- invariants ---- */

static void
assert_free_row_is_clean(unsigned row, const char *what)
{
	struct shm_worker *w = shm_worker(shm, row);

	check(w->pid == 0, "%s: free row %u has pid %d", what, row, (int)w->pid);
	for (unsigned c = 0; c < CTR_MAX; c++)
		check(
		    w->counters[c] == 0, "%s: free row %u has %s", what, row, counter_info[c].name);
	for (size_t i = 0; i < SHM_WORDS; i++)
		check(w->words[i] == 0, "%s: free row %u has last words", what, row);
	for (unsigned s = 0; s < SHM_SLOTS; s++)
		check(shm_slot_owner(shm, s) != row + 1, "%s: free row %u owns slot %u", what, row,
		    s);
}

/* What holds after shm_repair(), whatever happened before. */
static void
assert_invariants(const char *what)
{
	for (unsigned row = 0; row < SHM_WORKERS; row++) {
		struct shm_worker *w = shm_worker(shm, row);

		check(w->state <= ROW_DRAINING, "%s: row %u in state %u", what, row,
		    (unsigned)w->state);
		if (w->state == ROW_FREE)
			assert_free_row_is_clean(row, what);
	}
	for (unsigned s = 0; s < SHM_SLOTS; s++) {
		uint64_t owner = shm_slot_owner(shm, s);

		check(owner <= SHM_WORKERS, "%s: slot %u has owner %llu", what, s,
		    (unsigned long long)owner);
	}
}

static unsigned
rows_in_use(void)
{
	unsigned n = 0;

	for (unsigned row = 0; row < SHM_WORKERS; row++)
		n += shm_worker(shm, row)->state != ROW_FREE;
	return n;
}

/* ---- rows and slots ---- */

START_TEST(test_claim_fills_and_runs_out)
{
	for (unsigned i = 0; i < SHM_WORKERS; i++)
		ck_assert_int_eq(shm_worker_claim(shm, NULL, 3, i, 1000), (int)i);
	ck_assert_int_eq(shm_worker_claim(shm, NULL, 3, 0, 1000), -1);
	shm_worker_bury(shm, 17);
	ck_assert_int_eq(shm_worker_claim(shm, NULL, 4, 5, 2000), 17);
	ck_assert_uint_eq(shm_worker(shm, 17)->generation, 4);
	ck_assert_uint_eq(shm_worker(shm, 17)->seat, 5);
	ck_assert_uint_eq(shm_worker(shm, 17)->started, 2000);
	ck_assert_uint_eq(shm_worker(shm, 17)->state, ROW_STARTING);
}
END_TEST

START_TEST(test_bounds)
{
	ck_assert_ptr_null(shm_worker(shm, SHM_WORKERS));
	ck_assert_ptr_null(shm_worker(shm, ~0u));
	ck_assert_ptr_null(shm_slot(shm, SHM_SLOTS));
	ck_assert(!shm_slot_claim(shm, SHM_SLOTS, 0, 0));
	ck_assert(!shm_slot_claim(shm, 0, 0, SHM_WORKERS));
	ck_assert_uint_eq(shm_slot_owner(shm, ~0u), 0);
	ck_assert(!shm_worker_enter(shm, SHM_WORKERS, 1));
	shm_worker_bury(shm, SHM_WORKERS);
	ck_assert_uint_eq(shm_total(shm, CTR_MAX), 0);
}
END_TEST

START_TEST(test_enter)
{
	int row = shm_worker_claim(shm, NULL, 1, 0, 1);
	struct shm_worker *w = shm_worker(shm, (unsigned)row);

	ck_assert(shm_worker_enter(shm, (unsigned)row, getpid()));
	w->pid = 1;
	w->state = 99;
	ck_assert(shm_worker_enter(shm, (unsigned)row, getpid()));
	ck_assert_int_eq(w->pid, getpid());
	ck_assert_uint_eq(w->starttime, procid_starttime(getpid()));
}
END_TEST

/* A worker has filled every row: those that the master knows to be free are taken all the same, as
   clean as ever, and nobody else's is. */
START_TEST(test_claim_by_force)
{
	static const uint32_t states[] = { ROW_STARTING, ROW_READY, ROW_DRAINING, ROW_DEAD, 5,
		UINT32_MAX, ROW_FREE };
	bool taken[SHM_WORKERS] = { [0] = true, [2] = true };
	struct shm_worker *w;

	for (unsigned i = 0; i < SHM_WORKERS; i++) {
		w = shm_worker(shm, i);
		w->state = states[(unsigned)_i];
		w->pid = 1;
		w->generation = ~0u;
		w->counters[CTR_CONNECTIONS] = 77;
		memset(w->words, 'x', sizeof(w->words));
		shm_slot(shm, i)->owner = i + 1;
	}
	for (unsigned i = 0; i < SHM_WORKERS - 2; i++) {
		int row = shm_worker_claim(shm, taken, 4, i, 1000);

		ck_assert_int_eq(row, i == 0 ? 1 : (int)i + 2);
		w = shm_worker(shm, (unsigned)row);
		check(w->state == ROW_STARTING && w->generation == 4 && w->seat == i, "row");
		check(w->pid == 0 && w->words[0] == 0, "what was there");
		check(w->counters[CTR_CONNECTIONS] == 0, "counters");
		check(shm_slot_owner(shm, (unsigned)row) == 0, "slots");
		taken[row] = true;
	}
	ck_assert_int_eq(shm_worker_claim(shm, taken, 4, 0, 1000), -1);
	ck_assert_uint_eq(shm_worker(shm, 0)->state, states[_i]);
	ck_assert_uint_eq(shm_slot_owner(shm, 2), 3);
}
END_TEST

static const struct {
	enum row_state is, from, to;
	bool moves;
} move_rows[] = {
	{ ROW_STARTING, ROW_STARTING, ROW_READY, true },
	{ ROW_READY, ROW_STARTING, ROW_READY, false },
	{ ROW_READY, ROW_READY, ROW_DRAINING, true },
	{ ROW_DEAD, ROW_READY, ROW_DRAINING, false },
	{ ROW_FREE, ROW_FREE, ROW_STARTING, true },
};

START_TEST(test_move)
{
	struct shm_worker *w = shm_worker(shm, 0);

	w->state = move_rows[_i].is;
	ck_assert_int_eq(
	    shm_worker_move(w, move_rows[_i].from, move_rows[_i].to), move_rows[_i].moves);
	ck_assert_uint_eq(w->state, move_rows[_i].moves ? move_rows[_i].to : move_rows[_i].is);
}
END_TEST

START_TEST(test_totals_outlive_workers)
{
	int a = shm_worker_claim(shm, NULL, 1, 0, 1), b = shm_worker_claim(shm, NULL, 1, 1, 1);

	ctr_add(shm_worker(shm, (unsigned)a), CTR_REQUESTS, 10);
	ctr_add(shm_worker(shm, (unsigned)b), CTR_REQUESTS, 5);
	ctr_add(shm_worker(shm, (unsigned)a), CTR_CONNECTIONS, 3);
	ctr_add(shm_worker(shm, (unsigned)b), CTR_CONNECTIONS, 2);
	ck_assert_uint_eq(shm_total(shm, CTR_REQUESTS), 15);
	ck_assert_uint_eq(shm_total(shm, CTR_CONNECTIONS), 5);
	shm_worker_bury(shm, (unsigned)a);
	shm_worker_bury(shm, (unsigned)a);
	ck_assert_uint_eq(shm_total(shm, CTR_REQUESTS), 15);
	ck_assert_uint_eq(shm_total(shm, CTR_CONNECTIONS), 2);
	assert_free_row_is_clean((unsigned)a, "buried");
}
END_TEST

START_TEST(test_slots)
{
	ck_assert(shm_slot_claim(shm, 7, 0, 2));
	ck_assert_uint_eq(shm_slot_owner(shm, 7), 3);
	ck_assert(!shm_slot_claim(shm, 7, 0, 4));
	ck_assert(shm_slot_claim(shm, 7, 3, 4));
	ck_assert_uint_eq(shm_slot_owner(shm, 7), 5);
}
END_TEST

START_TEST(test_carry)
{
	struct shm *other = shm_create();
	int row = shm_worker_claim(shm, NULL, 9, 0, 1);

	ck_assert_ptr_nonnull(other);
	ctr_add(shm_worker(shm, (unsigned)row), CTR_REQUESTS, 7);
	ctr_add(shm_worker(shm, (unsigned)row), CTR_CONNECTIONS, 7);
	shm_master(shm)->retired[CTR_REQUESTS] = 100;
	shm_master(shm)->generation = 9;
	shm_master(shm)->deaths = 4;
	shm_carry(other, shm);
	ck_assert_uint_eq(shm_total(other, CTR_REQUESTS), 107);
	ck_assert_uint_eq(shm_total(other, CTR_CONNECTIONS), 0);
	ck_assert_uint_eq(shm_master(other)->generation, 9);
	ck_assert_uint_eq(shm_master(other)->deaths, 4);
	shm_close(other);
}
END_TEST

/* ---- attaching ---- */

START_TEST(test_attach_shares)
{
	const char *why = NULL;
	struct shm *other = shm_attach(dup(shm_fd(shm)), &why);

	ck_assert_msg(other != NULL, "%s", why);
	shm_master(shm)->generation = 42;
	ck_assert_uint_eq(shm_master(other)->generation, 42);
	shm_close(other);
}
END_TEST

START_TEST(test_attach_needs_seals)
{
	const char *why = NULL;
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_ptr_null(shm_attach(fd, &why));
	ck_assert_str_eq(why, "not a sealed memory file");
	close(fd);
	ck_assert_int_lt(ftruncate(shm_fd(shm), 0), 0);
	ck_assert_int_lt(ftruncate(shm_fd(shm), 1 << 25), 0);
}
END_TEST

/* What follows the first n octets is zeros. */
static int
damaged_copy(size_t size, const unsigned char *octets, size_t n)
{
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(pwrite(fd, octets, n, 0), (ssize_t)n);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

/* Whatever is attached, everything may be called on it. */
static void
use_all_of(struct shm *s)
{
	shm_repair(s, NULL);
	for (unsigned c = 0; c < CTR_MAX; c++)
		(void)shm_total(s, (enum counter)c);
	for (unsigned i = 0; i < SHM_WORKERS + 2; i++) {
		(void)shm_worker(s, i);
		shm_slot_claim(s, i, shm_slot_owner(s, i), 1);
	}
	shm_carry(shm, s);
	shm_close(s);
}

/* Every octet of the header set to values that hurt, one at a time; attached either way it is
   refused or harmless. */
START_TEST(test_attach_damaged_header)
{
	static const unsigned char values[] = { 0x00, 0xff, 0x80, 0x01 };
	size_t size = (size_t)lseek(shm_fd(shm), 0, SEEK_END), head = 32 + 32 * SHM_TABLES;
	unsigned char *octets = malloc(size);
	const char *why;
	unsigned refused = 0;

	ck_assert_int_eq(pread(shm_fd(shm), octets, size, 0), (ssize_t)size);
	/* Of the directory's entries that nothing uses, some octets. */
	for (size_t at = 0; at < head; at += at < 32 + 32 * TABLES ? 1 : 17) {
		unsigned char was = octets[at];

		octets[at] = values[at % 4] == was ? 0x7f : values[at % 4];
		int fd = damaged_copy(size, octets, 4 * 4096);
		struct shm *s = shm_attach(fd, &why);

		ck_assert_msg(s == NULL, "octet %zu changed and nobody noticed", at);
		ck_assert_ptr_nonnull(why);
		/* Where the master knows what it is, nothing that stands there matters. */
		if (at % 16 == 0) {
			s = shm_attach_known(dup(fd), &why);
			ck_assert_msg(s != NULL, "%s", why);
			shm_close(s);
			s = shm_attach(dup(fd), &why);
			ck_assert_msg(s != NULL, "%s", why);
			shm_close(s);
			close(fd);
			fd = damaged_copy(size, octets, 4 * 4096);
		}
		s = shm_attach_old(fd, &why);
		if (s)
			use_all_of(s);
		else
			close(fd);
		refused += s == NULL;
		octets[at] = was;
	}
	ck_assert_uint_gt(refused, 0);
	free(octets);
}
END_TEST

/* The tables full of noise: nothing is trusted as an index or a length. */
START_TEST(test_attach_damaged_tables)
{
	size_t size = (size_t)lseek(shm_fd(shm), 0, SEEK_END);
	unsigned char *octets = malloc(size);
	const char *why = "";

	srand((unsigned)_i + 1);
	ck_assert_int_eq(pread(shm_fd(shm), octets, size, 0), (ssize_t)size);
	for (size_t at = 4096; at < size; at++)
		octets[at] = (unsigned char)(_i == 0 ? 0xff : rand());
	struct shm *s = shm_attach(damaged_copy(size, octets, size), &why);

	ck_assert_msg(s != NULL, "%s", why);
	use_all_of(s);
	free(octets);
}
END_TEST

/* ---- crash consistency ---- */

/* The operations, as a worker (in row 0, seat of generation 1) and as the master do them. */

static void
do_claim(void)
{
	shm_worker_claim(shm, NULL, 2, 1, clock_ms());
}

static void
do_enter(void)
{
	int row = shm_worker_claim(shm, NULL, 2, 1, clock_ms());

	shm_worker_enter(shm, (unsigned)row, getpid());
}

/* A worker's whole life up to the loop: enter, ready, slots of its seat, counters, draining. */
static void
do_life(void)
{
	int row = shm_worker_claim(shm, NULL, 2, 1, clock_ms());
	struct shm_worker *w = shm_worker(shm, (unsigned)row);

	shm_worker_enter(shm, (unsigned)row, getpid());
	shm_worker_move(w, ROW_STARTING, ROW_READY);
	for (unsigned s = 1; s < 16; s += 2)
		shm_slot_claim(shm, s, shm_slot_owner(shm, s), (unsigned)row);
	for (unsigned i = 0; i < 20; i++) {
		ctr_add(w, CTR_CONNECTIONS, 1);
		crash_point("connection");
		ctr_add(w, CTR_REQUESTS, 1);
		crash_point("request");
	}
	shm_worker_move(w, ROW_READY, ROW_DRAINING);
}

static void
do_adopt(void)
{
	for (unsigned s = 0; s < 8; s++)
		shm_slot_claim(shm, s, shm_slot_owner(shm, s), 3);
}

/* The master buries the worker in row 0, which has counted and owns slots. */
static void
do_bury(void)
{
	shm_worker_bury(shm, 0);
}

static void
do_bury_all(void)
{
	for (unsigned row = 0; row < 4; row++)
		shm_worker_bury(shm, row);
}

static void
do_repair(void)
{
	shm_repair(shm, NULL);
}

static const struct {
	const char *name;
	void (*op)(void);
	unsigned at_least; /* fail points that it must have been killed at */
} crash_ops[] = {
	{ "claim", do_claim, 7 },
	{ "enter", do_enter, 10 },
	{ "life", do_life, 60 },
	{ "adopt", do_adopt, 16 },
	{ "bury", do_bury, 3 * CTR_MAX },
	{ "bury all", do_bury_all, 12 * CTR_MAX },
	{ "repair", do_repair, 12 * CTR_MAX },
};

/* Rows 0..3: workers that are gone, each with counters and slots; totals known. */
static void
crash_scene(void)
{
	for (unsigned i = 0; i < 4; i++) {
		int row = shm_worker_claim(shm, NULL, 1, i, 1);
		struct shm_worker *w = shm_worker(shm, (unsigned)row);

		w->pid = 0x3fffff00 + (int)i; /* beyond any pid_max: nobody */
		w->starttime = 77;
		shm_worker_move(w, ROW_STARTING, ROW_READY);
		ctr_add(w, CTR_REQUESTS, 1000 + i);
		ctr_add(w, CTR_BYTES_OUT, 5);
		ctr_add(w, CTR_CONNECTIONS, 9);
		memcpy(w->words, "last words", 11);
		for (unsigned s = i; s < 16; s += 4)
			shm_slot_claim(shm, s, 0, (unsigned)row);
	}
	shm_master(shm)->retired[CTR_REQUESTS] = 50;
	shm_master(shm)->retired[CTR_BYTES_OUT] = 1;
}

enum { SCENE_REQUESTS = 50 + 4 * 1000 + 6, SCENE_BYTES = 1 + 4 * 5 };

static void
crash_check(const char *name, unsigned k, uint64_t requests_before, bool is_life)
{
	uint64_t requests = shm_total(shm, CTR_REQUESTS), bytes = shm_total(shm, CTR_BYTES_OUT);
	char what[64];

	snprintf(what, sizeof(what), "%s killed at %u", name, k);
	/* Before anything is mended: readers are right already. */
	check(requests >= requests_before && (is_life || requests == requests_before),
	    "%s: requests %llu", what, (unsigned long long)requests);
	check(bytes == SCENE_BYTES, "%s: bytes %llu", what, (unsigned long long)bytes);
	shm_repair(shm, NULL);
	assert_invariants(what);
	check(rows_in_use() == 0, "%s: rows are left", what);
	check(shm_total(shm, CTR_REQUESTS) == requests, "%s: counted %llu, was %llu", what,
	    (unsigned long long)shm_total(shm, CTR_REQUESTS), (unsigned long long)requests);
	check(shm_total(shm, CTR_BYTES_OUT) == SCENE_BYTES, "%s: bytes", what);
	check(shm_total(shm, CTR_CONNECTIONS) == 0, "%s: connections left", what);
	for (unsigned s = 0; s < SHM_SLOTS; s++)
		check(shm_slot_owner(shm, s) == 0, "%s: slot %u is owned", what, s);
	shm_repair(shm, NULL);
	check(shm_total(shm, CTR_REQUESTS) == requests, "%s: twice", what);
}

START_TEST(test_crash_everywhere)
{
	unsigned k = 1;

	for (;; k++) {
		shm_close(shm);
		setup();
		crash_scene();
		bool killed = crash_at(crash_ops[_i].op, k);

		crash_check(crash_ops[_i].name, k, SCENE_REQUESTS, crash_ops[_i].op == do_life);
		if (!killed)
			break;
	}
	ck_assert_msg(k - 1 >= crash_ops[_i].at_least, "%s: only %u fail points were met",
	    crash_ops[_i].name, k - 1);
}
END_TEST

/* The one that mends is killed as well, at every point of mending what is left at every eighth. */
START_TEST(test_crash_of_the_repair)
{
	for (unsigned first = 1;; first += 8) {
		bool killed = false;

		for (unsigned second = 1;; second += 5) {
			shm_close(shm);
			setup();
			crash_scene();
			killed = crash_at(do_bury, first);
			bool again = crash_at(do_repair, second);

			crash_check("repair after bury", second, SCENE_REQUESTS, false);
			if (!again)
				break;
		}
		if (!killed)
			break;
	}
}
END_TEST

/* A reader that looks at every single point of a burial sees the same total each time. */
static uint64_t seen_requests;
static unsigned seen_points;

static void
point_look(const char *name)
{
	uint64_t requests = shm_total(shm, CTR_REQUESTS);

	ck_assert_msg(requests == seen_requests, "%s: %llu, expected %llu", name,
	    (unsigned long long)requests, (unsigned long long)seen_requests);
	seen_points++;
}

START_TEST(test_totals_never_waver)
{
	crash_scene();
	seen_requests = SCENE_REQUESTS;
	shm_failpoint = point_look;
	do_bury_all();
	ck_assert_uint_gt(seen_points, 12 * CTR_MAX);
}
END_TEST

/* The rows that the master says are alive survive repair, whatever stands in them; no other does.
 */
START_TEST(test_repair_knows_the_living)
{
	int row = shm_worker_claim(shm, NULL, 1, 0, clock_ms());
	bool lives[SHM_WORKERS] = { false };

	shm_worker_enter(shm, (unsigned)row, getpid());
	shm_slot_claim(shm, 0, 0, (unsigned)row);
	lives[row] = true;
	shm_repair(shm, lives);
	ck_assert_uint_eq(shm_worker(shm, (unsigned)row)->state, ROW_STARTING);
	ck_assert_uint_eq(shm_slot_owner(shm, 0), (unsigned)row + 1);
	shm_worker(shm, (unsigned)row)->state = ROW_DEAD;
	shm_worker(shm, (unsigned)row)->pid = 1;
	shm_repair(shm, lives);
	shm_worker_restate(shm, (unsigned)row, getpid(), 3, 9);
	ck_assert_int_eq(shm_worker(shm, (unsigned)row)->pid, getpid());
	ck_assert_uint_eq(shm_worker(shm, (unsigned)row)->state, ROW_DRAINING);
	ck_assert_uint_eq(shm_worker(shm, (unsigned)row)->generation, 3);
	ck_assert_uint_eq(shm_worker(shm, (unsigned)row)->seat, 9);
	ck_assert_uint_eq(shm_slot_owner(shm, 0), (unsigned)row + 1);
	shm_repair(shm, NULL);
	ck_assert_uint_eq(shm_worker(shm, (unsigned)row)->state, ROW_FREE);
	ck_assert_uint_eq(shm_slot_owner(shm, 0), 0);
}
END_TEST

Suite *
suite_shm(void)
{
	Suite *s = suite_create("shm");
	TCase *rows = tcase_create("rows"), *attach = tcase_create("attach");
	TCase *crash = tcase_create("crash");
	int moves = sizeof(move_rows) / sizeof(move_rows[0]);
	int ops = sizeof(crash_ops) / sizeof(crash_ops[0]);

	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_test(rows, test_claim_fills_and_runs_out);
	tcase_add_test(rows, test_bounds);
	tcase_add_test(rows, test_enter);
	tcase_add_loop_test(rows, test_claim_by_force, 0, 7);
	tcase_add_loop_test(rows, test_move, 0, moves);
	tcase_add_test(rows, test_totals_outlive_workers);
	tcase_add_test(rows, test_slots);
	tcase_add_test(rows, test_carry);
	suite_add_tcase(s, rows);
	tcase_add_checked_fixture(attach, setup, teardown);
	tcase_set_timeout(attach, 60);
	tcase_add_test(attach, test_attach_shares);
	tcase_add_test(attach, test_attach_needs_seals);
	tcase_add_test(attach, test_attach_damaged_header);
	tcase_add_loop_test(attach, test_attach_damaged_tables, 0, 8);
	suite_add_tcase(s, attach);
	tcase_add_checked_fixture(crash, setup, teardown);
	tcase_set_timeout(crash, 120);
	tcase_add_loop_test(crash, test_crash_everywhere, 0, ops);
	tcase_add_test(crash, test_crash_of_the_repair);
	tcase_add_test(crash, test_totals_never_waver);
	tcase_add_test(crash, test_repair_knows_the_living);
	suite_add_tcase(s, crash);
	return s;
}

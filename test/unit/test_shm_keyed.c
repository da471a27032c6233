/*
 * Rows by name: a table of its own in the place of one of the segment's. Looks and claims by table;
 * eight processes at once; a process killed at every write, and at any moment while others go on;
 * rows that somebody has filled with nonsense.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_keyed.h"
#include "test/unit/crash.h"
#include "test/unit/unit.h"

enum { ROWS = 64, PROCESSES = 8, NAMES = 40, VALUE = 0x5a5a5a5a };

Suite *suite_shm_keyed(void);

struct item {
	_Atomic uint64_t key, touched;
	char site[16], name[24];
	_Atomic uint64_t value;
	_Atomic uint32_t busy;
} __attribute__((aligned(64)));

static struct shm *shm;
static struct item *items;

#define check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

static void
item_fill(struct shm *s, unsigned row, const struct str texts[SHM_KEYED_TEXTS])
{
	(void)s;
	(void)texts;
	items[row].value = VALUE;
}

static bool
item_is_busy(struct shm *s, unsigned row)
{
	(void)s;
	return items[row].busy;
}

static void
item_carry(struct shm *to, unsigned row, const void *old, size_t octets)
{
	(void)to;
	check(octets >= sizeof(struct item), "octets");
	items[row].value = ((const struct item *)old)->value;
}

static struct shm_keyed keyed = {
	.table = TABLE_POOLS,
	.row = sizeof(struct item),
	.touched = offsetof(struct item, touched),
	.texts = { { offsetof(struct item, site), sizeof(items->site) },
	    { offsetof(struct item, name), sizeof(items->name) } },
	.fill = item_fill,
	.is_busy = item_is_busy,
	.carry = item_carry,
};

static void
setup(void)
{
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	items = mmap(
	    NULL, ROWS * sizeof(*items), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(items, MAP_FAILED);
	shm->own[TABLE_POOLS] = (struct shm_place){ (char *)items, sizeof(*items), ROWS };
	keyed.window = keyed.cluster = 0;
}

static void
teardown(void)
{
	shm_failpoint = NULL;
	munmap(items, ROWS * sizeof(*items));
	shm_close(shm);
}

static int
item_get(unsigned i)
{
	char name[24];

	snprintf(name, sizeof(name), "item %u", i);
	return shm_keyed_get(shm, &keyed, STR("site"), str_of(name));
}

static unsigned
items_used(void)
{
	unsigned n = 0;

	for (unsigned row = 0; row < ROWS; row++)
		n += shm_keyed_is_used(items[row].key);
	return n;
}

static void
items_age(void)
{
	for (unsigned row = 0; row < ROWS; row++)
		items[row].touched = 1;
}

/* ---- one process ---- */

START_TEST(test_names)
{
	static const struct {
		const char *site, *name;
	} names[] = {
		{ "a", "x" },
		{ "a", "y" },
		{ "ax", "" },
		{ "", "ax" },
		{ "a", "" },
		{ "a text that is too long for its place, one", "x" },
		{ "a text that is too long for its place, two", "x" },
		{ "a", "another text that is too long for its place, 1" },
		{ "a", "another text that is too long for its place, 2" },
	};
	int rows[UNIT_COUNT(names)];

	for (int i = 0; i < UNIT_COUNT(names); i++) {
		struct str site = str_of(names[i].site), name = str_of(names[i].name);

		ck_assert_int_eq(shm_keyed_find(shm, &keyed, site, name), -1);
		rows[i] = shm_keyed_get(shm, &keyed, site, name);
		ck_assert_int_ge(rows[i], 0);
		ck_assert_uint_eq(items[rows[i]].value, VALUE);
		for (int k = 0; k < i; k++)
			ck_assert_int_ne(rows[i], rows[k]);
	}
	for (int i = 0; i < UNIT_COUNT(names); i++) {
		struct str site = str_of(names[i].site), name = str_of(names[i].name);

		ck_assert_int_eq(shm_keyed_find(shm, &keyed, site, name), rows[i]);
		ck_assert_int_eq(shm_keyed_get(shm, &keyed, site, name), rows[i]);
	}
}
END_TEST

START_TEST(test_full_and_free)
{
	int row;

	for (unsigned i = 0; i < ROWS; i++)
		ck_assert_int_ge(item_get(i), 0);
	ck_assert_int_eq(item_get(ROWS), -1);
	/* What is in use stays, what is only old goes, at once when there is need. */
	items_age();
	row = item_get(0);
	items[row].value = 7;
	items[item_get(1)].busy = 1;
	items[item_get(1)].touched = 1;
	ck_assert_int_ge(item_get(ROWS), 0);
	ck_assert_uint_eq(items_used(), 3);
	ck_assert_int_eq(item_get(0), row);
	ck_assert_uint_eq(items[row].value, 7);
	/* A row that was another's holds nothing of it. */
	for (unsigned i = 2; i < ROWS - 1; i++)
		ck_assert_uint_eq(items[item_get(i)].value, VALUE);
}
END_TEST

START_TEST(test_touch_and_sweep)
{
	uint64_t now = clock_ms();
	int kept = item_get(1), left = item_get(2), busy = item_get(3);

	ck_assert(!shm_keyed_touch(shm, &keyed, (unsigned)kept, now));
	ck_assert(!shm_keyed_touch(shm, &keyed, ROWS, now + 60000));
	ck_assert(shm_keyed_touch(shm, &keyed, (unsigned)kept, now + 60000));
	items[busy].busy = 1;
	shm_keyed_sweep(shm, &keyed, now + 60000, 50000);
	ck_assert_uint_eq(items_used(), 2);
	ck_assert_uint_eq(items[left].key, 0);
	items[busy].busy = 0;
	/* Touched far in the future: damaged. */
	items[kept].touched = UINT64_MAX;
	shm_keyed_sweep(shm, &keyed, now + 60000, 50000);
	ck_assert_uint_eq(items_used(), 0);
}
END_TEST

/* A look costs the same whatever the size; a full window does not reach beyond itself. */
START_TEST(test_window)
{
	unsigned refused = 0;

	keyed.window = 4;
	for (unsigned i = 0; i < 1000; i++)
		refused += item_get(i) < 0;
	ck_assert_uint_gt(refused, 1000 - ROWS - 1);
	ck_assert_uint_gt(items_used(), ROWS / 2);
	items_age();
	for (unsigned i = 2000; i < 2000 + ROWS / 8; i++)
		ck_assert_int_ge(item_get(i), 0);
	ck_assert_uint_gt(items_used(), ROWS / 8);
}
END_TEST

START_TEST(test_cluster)
{
	int rows[8], low = ROWS, high = 0;

	keyed.cluster = 8;
	for (unsigned i = 0; i < 8; i++) {
		rows[i] = item_get(i);
		low = rows[i] < low ? rows[i] : low;
		high = rows[i] > high ? rows[i] : high;
	}
	ck_assert_int_eq(high - low, 7);
	ck_assert_int_eq(low % 8, 0);
}
END_TEST

/* Noise, texts without an end, copies, claims of nobody: whatever stands there, names find room. */
START_TEST(test_nonsense)
{
	int row = item_get(0);
	struct item sound = items[row];

	srand((unsigned)_i + 1);
	for (unsigned i = 0; i < ROWS; i++) {
		unsigned char *p = (unsigned char *)&items[i];

		for (size_t at = 0; at < sizeof(struct item); at++)
			p[at] = (unsigned char)(_i ? rand() : 0xff);
		items[i].touched = clock_ms();
		if (i % 3 == 0)
			items[i] = sound;
		if (i % 7 == 0)
			items[i].key |= (uint64_t)1 << 63;
		items[i].busy = i % 5;
	}
	for (unsigned i = 0; i < ROWS / 2; i++)
		ck_assert_int_ge(item_get(i), 0);
	for (unsigned i = 0; i < ROWS / 2; i++)
		for (unsigned k = 0; k < i; k++)
			ck_assert_int_ne(item_get(i), item_get(k));
	shm_keyed_sweep(shm, &keyed, clock_ms() + 100000, 1000);
}
END_TEST

/* ---- carried over ---- */

START_TEST(test_carry)
{
	struct shm *from = shm;
	struct item *old = items;

	for (unsigned i = 0; i < 10; i++)
		items[item_get(i)].value = 100 + i;
	items[item_get(10)].key++;        /* not that of its name */
	items[item_get(11)].name[0] ^= 1; /* the same */
	items[item_get(12)].key |= (uint64_t)1 << 63;
	memset(items[item_get(13)].name, 'x', sizeof(items->name));
	from->any[TABLE_POOLS] = from->own[TABLE_POOLS];
	setup();
	item_get(5);
	item_get(77);
	shm_keyed_carry(shm, from, &keyed);
	ck_assert_uint_eq(items_used(), 11);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(items[item_get(i)].value, 100 + i);
	/* Rows too short for the name. */
	from->any[TABLE_POOLS].row = offsetof(struct item, name) + 8;
	shm_keyed_carry(shm, from, &keyed);
	ck_assert_uint_eq(items_used(), 11);
	munmap(old, ROWS * sizeof(*old));
	shm_close(from);
}
END_TEST

/* ---- many processes ---- */

static void
wait_all(void)
{
	int status;

	while (wait(&status) > 0)
		ck_assert_int_eq(status, 0);
}

/* Each name has one row, each row that is in use one name, and nothing is left claimed once
   somebody else has claimed all. */
static void
assert_rows(const char *what, unsigned names)
{
	bool seen[ROWS] = { false };

	for (unsigned i = 0; i < names; i++) {
		int row = item_get(i);

		check(row >= 0 && row < ROWS, "%s: item %u has no row", what, i);
		check(!seen[row], "%s: row %d is that of two", what, row);
		check(items[row].value == VALUE, "%s: item %u is not complete", what, i);
		seen[row] = true;
	}
	for (unsigned row = 0; row < ROWS; row++)
		check(seen[row] || !shm_keyed_is_used(items[row].key), "%s: row %u is nobody's",
		    what, row);
}

START_TEST(test_eight_at_once)
{
	for (unsigned p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			shm_failpoint = crash_yield;
			for (unsigned i = 0; i < NAMES; i++)
				item_get((i * 37 + p * 11) % NAMES);
			_exit(0);
		}
	wait_all();
	ck_assert_uint_eq(items_used(), NAMES);
	assert_rows("eight", NAMES);
}
END_TEST

static void
do_get(void)
{
	for (unsigned i = 0; i < 5; i++)
		item_get(100 + i);
}

static void
do_sweep(void)
{
	shm_keyed_sweep(shm, &keyed, clock_ms() + 100000, 1000);
}

static void
do_full(void)
{
	for (unsigned i = 0; i < ROWS + 3; i++)
		item_get(i);
	items_age();
	item_get(ROWS + 3);
}

static const struct {
	const char *name;
	void (*op)(void);
	unsigned at_least;
} crash_ops[] = {
	{ "get", do_get, 5 * 8 },
	{ "sweep", do_sweep, 2 * 10 + 2 },
	{ "full", do_full, 8 * ROWS },
};

START_TEST(test_crash_everywhere)
{
	char what[64];

	for (unsigned k = 1;; k++) {
		bool is_killed;

		teardown();
		setup();
		for (unsigned i = 0; i < 10; i++)
			item_get(i * 3);
		is_killed = crash_at(crash_ops[_i].op, k);
		snprintf(what, sizeof(what), "%s killed at %u", crash_ops[_i].name, k);
		/* Who comes next. What nobody uses any more is old by then. */
		items_age();
		for (unsigned i = 0; i < NAMES; i++)
			item_get(i);
		shm_keyed_sweep(shm, &keyed, clock_ms() + 1000, 5000);
		check(items_used() == NAMES, "%s: %u rows", what, items_used());
		assert_rows(what, NAMES);
		if (is_killed)
			continue;
		check(k - 1 >= crash_ops[_i].at_least, "%s: only %u fail points",
		    crash_ops[_i].name, k - 1);
		break;
	}
}
END_TEST

/* Looks, claims and sweeps, forever. What it finds must be complete and its own. */
static void
life(unsigned seed)
{
	shm_failpoint = crash_yield;
	for (;;) {
		unsigned i = (unsigned)rand_r(&seed) % NAMES;
		char name[24];
		int row = item_get(i);

		snprintf(name, sizeof(name), "item %u", i);
		if (row >= 0 && strcmp(items[row].name, name) != 0)
			_exit(3);
		if (rand_r(&seed) % 4 == 0)
			shm_keyed_sweep(shm, &keyed, clock_ms(), 10000);
	}
}

static pid_t
life_start(unsigned seed)
{
	pid_t pid = fork();

	if (pid == 0)
		life(seed);
	ck_assert_int_gt(pid, 0);
	return pid;
}

/* Of four processes one is killed again and again, wherever it is. */
START_TEST(test_killed_at_any_moment)
{
	pid_t pids[4];
	int status;

	for (unsigned i = 0; i < 4; i++)
		pids[i] = life_start(i);
	for (unsigned i = 0; i < 300; i++) {
		unsigned who = i % 4;

		for (unsigned k = 0; k < 20 + i % 50; k++)
			sched_yield();
		kill(pids[who], SIGKILL);
		ck_assert_int_eq(waitpid(pids[who], &status, 0), pids[who]);
		ck_assert_msg(WIFSIGNALED(status), "a row was another's: %x", (unsigned)status);
		pids[who] = life_start(100 + i);
	}
	for (unsigned i = 0; i < 4; i++) {
		kill(pids[i], SIGKILL);
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
	}
	for (unsigned i = 0; i < NAMES; i++)
		item_get(i);
	assert_rows("killed", NAMES);
}
END_TEST

Suite *
suite_shm_keyed(void)
{
	Suite *s = suite_create("shm_keyed");
	TCase *c = tcase_create("shm_keyed");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, test_names);
	tcase_add_test(c, test_full_and_free);
	tcase_add_test(c, test_touch_and_sweep);
	tcase_add_test(c, test_window);
	tcase_add_test(c, test_cluster);
	tcase_add_loop_test(c, test_nonsense, 0, 8);
	tcase_add_test(c, test_carry);
	tcase_add_test(c, test_eight_at_once);
	tcase_add_loop_test(c, test_crash_everywhere, 0, UNIT_COUNT(crash_ops));
	tcase_add_test(c, test_killed_at_any_moment);
	suite_add_tcase(s, c);
	return s;
}

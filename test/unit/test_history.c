/*
 * The ring of events: order, counts, the share of each kind; writers killed at every single write,
 * and several that are killed at any time while somebody reads; rows full of nonsense.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/utf8.h"
#include "common/segment/history.h"
#include "common/segment/shm_keep.h"
#include "test/unit/unit.h"

Suite *suite_history(void);

/* ck_assert_msg() writes a mark for each call: too slow for what is checked a million times. */
#define check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

enum { TIME = 1000000, ME = 4711 };

static struct history_row *rows;
static struct history_entry out[HISTORY_ROWS];

static void
setup(void)
{
	size_t size = HISTORY_ROWS * sizeof(*rows);

	rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(rows, MAP_FAILED);
}

static void
teardown(void)
{
	shm_failpoint = NULL;
	munmap(rows, HISTORY_ROWS * sizeof(*rows));
}

static void
add(enum history_kind kind, uint64_t key, int64_t time, const char *text)
{
	struct history_event e = { .kind = kind, .key = key, .time = time, .pid = 5, .worker = 2 };

	snprintf(e.text, sizeof(e.text), "%s", text);
	history_add(rows, &e, ME);
}

static unsigned
taken(enum history_by by)
{
	return history_read(rows, by, TIME * 1000LL, out);
}

/* ---- one writer ---- */

START_TEST(test_order)
{
	static const char *const texts[] = { "a", "b", "c" };

	add(HISTORY_HOST_DOWN, 1, TIME, "a");
	add(HISTORY_HOST_UP, 1, TIME + 1, "b");
	add(HISTORY_POOL_OUT, 0, TIME - 5, "c"); /* a clock that was set back */
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_str_eq(out[i].event.text, texts[i]);
		ck_assert_uint_eq(out[i].sequence, i + 1);
		ck_assert_uint_eq(out[i].event.times, 1);
		ck_assert_int_eq(out[i].event.pid, 5);
		ck_assert_uint_eq(out[i].event.worker, 2);
	}
	ck_assert_int_eq(out[1].event.time, TIME + 1);
	ck_assert_int_eq(out[1].event.first, TIME + 1);
}
END_TEST

START_TEST(test_every_kind_has_words)
{
	for (unsigned i = 0; i < HISTORY_KINDS; i++) {
		ck_assert_ptr_nonnull(history_info[i].word);
		ck_assert_uint_gt(strlen(history_info[i].help), 10);
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(history_info[i].word, history_info[k].word);
	}
}
END_TEST

/* The last ones stay, whichever of several kinds they are. */
START_TEST(test_turns)
{
	char text[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		add((enum history_kind)(HISTORY_START + i % 8), 0, TIME + i, text);
	}
	ck_assert_uint_eq(taken(HISTORY_BY_MASTER), HISTORY_ROWS);
	for (int i = 0; i < HISTORY_ROWS; i++)
		ck_assert_int_eq(atoi(out[i].event.text), 1000 - HISTORY_ROWS + i);
}
END_TEST

START_TEST(test_again)
{
	for (int i = 0; i < 12; i++) {
		add(HISTORY_HOST_DOWN, 7, TIME + i, i == 11 ? "the last" : "before");
		add(HISTORY_HOST_UP, 7, TIME + i, "up");
	}
	add(HISTORY_HOST_DOWN, 8, TIME + 20, "another");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 3);
	ck_assert_str_eq(out[0].event.text, "the last");
	ck_assert_uint_eq(out[0].event.times, 12);
	ck_assert_int_eq(out[0].event.first, TIME);
	ck_assert_int_eq(out[0].event.time, TIME + 11);
	ck_assert_uint_eq(out[1].event.times, 12);
	ck_assert_str_eq(out[2].event.text, "another");
	ck_assert_uint_eq(out[2].event.times, 1);
}
END_TEST

/* Long after, or where nothing says that it is the same, it is told once more. */
START_TEST(test_not_again)
{
	add(HISTORY_HOST_DOWN, 7, TIME, "first");
	add(HISTORY_HOST_DOWN, 7, TIME + HISTORY_AGAIN_MS + 1, "second");
	add(HISTORY_COMMAND, 0, TIME, "a");
	add(HISTORY_COMMAND, 0, TIME, "a");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 2);
	ck_assert_uint_eq(out[1].event.times, 1);
	ck_assert_uint_eq(taken(HISTORY_BY_MASTER), 2);
}
END_TEST

/* What happens often pushes out only what is like it. */
START_TEST(test_share)
{
	add(HISTORY_RELOAD, 0, TIME, "reload");
	add(HISTORY_POOL_OUT, 3, TIME, "pool");
	for (uint64_t i = 0; i < 5000; i++) {
		add(HISTORY_HOST_DOWN, i + 1, TIME + (int64_t)i, "down");
		add(HISTORY_HOST_UP, i + 1, TIME + (int64_t)i, "up");
	}
	ck_assert_uint_eq(taken(HISTORY_BY_MASTER), 1);
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 2 * HISTORY_QUOTA + 1);
	ck_assert_str_eq(out[0].event.text, "pool");
	ck_assert_int_eq(out[2 * HISTORY_QUOTA].event.time, TIME + 4999);
}
END_TEST

/* A text that is too long is cut between characters. */
START_TEST(test_cut)
{
	struct history_event e = { .kind = HISTORY_COMMAND, .time = TIME };

	for (unsigned i = 0; i + 1 < sizeof(e.text); i += 2)
		memcpy(e.text + i, "\xc3\xa4", 2);
	history_add(rows, &e, ME);
	ck_assert_uint_eq(taken(HISTORY_BY_MASTER), 1);
	ck_assert_uint_eq(strlen(out[0].event.text), HISTORY_TEXT - 2);
	ck_assert_ptr_null(strchr(out[0].event.text, '?'));
}
END_TEST

/* ---- writers that are killed ---- */

static int kill_at;

static void
kill_here(const char *name)
{
	(void)name;
	if (kill_at-- == 0)
		raise(SIGKILL);
}

/* An addition in a child that is killed at its n-th write; false: it came to its end before. */
static bool
add_killed(int n, uint64_t key, pid_t *pid)
{
	int status;

	*pid = fork();
	ck_assert_int_ge(*pid, 0);
	if (*pid == 0) {
		struct history_event e = { .kind = HISTORY_HOST_DOWN, .key = key, .time = TIME };

		snprintf(e.text, sizeof(e.text), "killed");
		kill_at = n;
		shm_failpoint = kill_here;
		history_add(rows, &e, getpid());
		_exit(0);
	}
	ck_assert_int_eq(waitpid(*pid, &status, 0), *pid);
	return WIFSIGNALED(status);
}

/* What must be there whatever became of the one that was killed. */
static void
assert_others(int n, uint64_t key, unsigned times)
{
	unsigned have = taken(HISTORY_BY_WORKER), found = 0, counted = 0;

	for (unsigned i = 0; i < have; i++) {
		found += out[i].event.kind == HISTORY_HOST_UP;
		if (out[i].event.kind == HISTORY_HOST_DOWN && out[i].event.key == key &&
		    out[i].event.times > counted)
			counted = out[i].event.times;
		check(strcmp(out[i].event.text, "killed") == 0 ||
			  strcmp(out[i].event.text, "whole") == 0,
		    "killed at %d: a torn text", n);
	}
	check(found == 60, "killed at %d: %u of 60 others", n, found);
	check(counted >= times, "killed at %d: %u times, not %u", n, counted, times);
}

/* _i: with an event that was there before, of which it is a repetition. */
START_TEST(test_killed_anywhere)
{
	bool was_killed = true;
	unsigned writes = 0;
	pid_t pid;

	for (int n = 0; was_killed; n++) {
		memset(rows, 0, HISTORY_ROWS * sizeof(*rows));
		for (uint64_t i = 0; i < 60; i++)
			add(HISTORY_HOST_UP, 100 + i, TIME, "whole");
		for (unsigned i = 0; _i && i < 5; i++)
			add(HISTORY_HOST_DOWN, 9, TIME, "whole");
		was_killed = add_killed(n, 9, &pid);
		writes += was_killed;
		assert_others(n, 9, _i ? 5 : 0);
		/* Others go on, before and after the master has looked. */
		add(HISTORY_HOST_DOWN, 77, TIME, "whole");
		assert_others(n, 77, 1);
		history_clear(rows, pid);
		for (unsigned i = 0; i < HISTORY_ROWS; i++)
			check((rows[i].mark & 0x3fffff) == 0, "killed at %d: row %u stays", n, i);
		assert_others(n, 77, 1);
	}
	ck_assert_uint_gt(writes, HISTORY_WORDS / 8);
}
END_TEST

/* A row that is being written is not taken by anybody else, however long that lasts. */
START_TEST(test_stopped_writer)
{
	rows[3].mark = (uint64_t)1 << 28 | (uint64_t)HISTORY_HOST_DOWN << 22 | 99;
	for (uint64_t i = 0; i < 3 * HISTORY_ROWS; i++)
		add((enum history_kind)(HISTORY_HOST_DOWN + i % 4), 0, TIME, "x");
	ck_assert_uint_eq(rows[3].mark & 0x3fffff, 99);
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), HISTORY_ROWS - 1);
	history_clear(rows, 99);
	add(HISTORY_HOST_DOWN, 0, TIME, "x");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), HISTORY_ROWS);
}
END_TEST

/* Every row is claimed by somebody who is gone: an event is lost, nothing waits. */
START_TEST(test_no_row)
{
	for (unsigned i = 0; i < HISTORY_ROWS; i++)
		rows[i].mark = (uint64_t)(i + 1) << 28 | 77;
	add(HISTORY_HOST_DOWN, 1, TIME, "lost");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 0);
	history_clear(rows, 77);
	add(HISTORY_HOST_DOWN, 1, TIME, "not lost");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 1);
}
END_TEST

enum { WRITERS = 4, WRITER_DEATHS = 40 };

/* A text of one letter whose length, letter and key belong together. */
static void
write_one(uint64_t key)
{
	struct history_event e = {
		.kind = (uint32_t)(HISTORY_HOST_DOWN + key % 4), .key = key, .time = TIME
	};

	memset(e.text, (int)('a' + e.key % 26), 1 + e.key % (HISTORY_TEXT - 1));
	history_add(rows, &e, getpid());
}

static void
write_forever(void)
{
	for (uint64_t i = (uint64_t)getpid() << 20;; i++)
		write_one(i + 1);
}

static pid_t
start_writer(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		write_forever();
	return pid;
}

static void
assert_not_torn(const struct history_event *e)
{
	size_t n = 1 + e->key % (HISTORY_TEXT - 1);

	check(strlen(e->text) == n, "key %llu: %zu letters, not %zu", (unsigned long long)e->key,
	    strlen(e->text), n);
	for (size_t i = 0; i < n; i++)
		check(e->text[i] == (char)('a' + e->key % 26), "key %llu: letter %zu is %c",
		    (unsigned long long)e->key, i, e->text[i]);
}

enum { OVERTAKEN = 20 };

static unsigned overtaken;

/* Somebody writes all rows anew while one is half read. */
static void
overtake(const char *name)
{
	static uint64_t key = 1000;

	if (strcmp(name, "history: half read") != 0)
		return;
	shm_failpoint = NULL;
	for (unsigned i = 0; i < HISTORY_ROWS; i++)
		write_one(++key);
	overtaken++;
	shm_failpoint = overtaken < OVERTAKEN ? overtake : NULL;
}

START_TEST(test_overtaken_reader)
{
	unsigned n;

	for (unsigned i = 0; i < HISTORY_ROWS; i++)
		write_one(i + 1);
	overtaken = 0;
	shm_failpoint = overtake;
	n = taken(HISTORY_BY_WORKER);
	for (unsigned i = 0; i < n; i++)
		assert_not_torn(&out[i].event);
	ck_assert_uint_eq(overtaken, OVERTAKEN);
	ck_assert_uint_eq(n, HISTORY_ROWS - OVERTAKEN);
}
END_TEST

/* Reads until this writer's words are there, which the machine may take a while to come to. */
static unsigned
read_until(pid_t pid)
{
	bool is_there = false;
	unsigned seen = 0;

	while (!is_there) {
		unsigned n = taken(HISTORY_BY_WORKER);

		for (unsigned i = 0; i < n; i++) {
			assert_not_torn(&out[i].event);
			is_there |= out[i].event.key >> 20 == (uint64_t)pid;
		}
		seen += n;
	}
	return seen;
}

START_TEST(test_many_writers)
{
	pid_t pids[WRITERS];
	unsigned seen = 0, n;

	for (unsigned i = 0; i < WRITERS; i++)
		pids[i] = start_writer();
	for (unsigned i = 0; i < WRITER_DEATHS; i++) {
		unsigned victim = i % WRITERS;

		seen += read_until(pids[victim]);
		kill(pids[victim], SIGKILL);
		ck_assert_int_eq(waitpid(pids[victim], NULL, 0), pids[victim]);
		history_clear(rows, pids[victim]);
		pids[victim] = start_writer();
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		history_clear(rows, pids[i]);
	}
	n = taken(HISTORY_BY_WORKER);
	ck_assert_uint_gt(n, HISTORY_ROWS - 2 * WRITERS);
	for (unsigned i = 1; i < n; i++)
		check(out[i - 1].sequence <= out[i].sequence, "order");
	ck_assert_uint_gt(seen, 1000);
}
END_TEST

/* ---- nonsense ---- */

START_TEST(test_nonsense)
{
	unsigned char *p = (unsigned char *)rows;
	unsigned n;

	srand((unsigned)_i);
	for (size_t i = 0; i < HISTORY_ROWS * sizeof(*rows); i++)
		p[i] = (unsigned char)(rand() >> 5);
	for (unsigned i = 0; i < HISTORY_ROWS; i += 2) /* some of it in a frame that is sound */
		rows[i].mark = (uint64_t)(i + 1) << 28 | (uint64_t)(i % HISTORY_KINDS) << 22;
	n = history_read(rows, HISTORY_BY_WORKER, TIME, out);
	for (unsigned i = 0; i < n; i++) {
		const struct history_event *e = &out[i].event;
		const unsigned char *t = (const unsigned char *)e->text, *end = t + strlen(e->text);

		check(strlen(e->text) < HISTORY_TEXT, "text");
		while (t < end) {
			unsigned len = utf8_plain(t, end);

			check(len > 0, "a text that is not plain");
			t += len;
		}
		check(e->time >= 0 && e->time <= TIME && e->first <= e->time, "time");
		check(e->pid >= 0 && e->worker <= SHM_WORKERS && e->times > 0, "who");
		check(history_info[e->kind].by == HISTORY_BY_WORKER, "kind");
	}
	history_repair(rows);
	for (unsigned i = 0; i < 3 * HISTORY_ROWS; i++)
		add((enum history_kind)(HISTORY_HOST_DOWN + i % 4), 0, TIME, "x");
	n = taken(HISTORY_BY_WORKER);
	ck_assert_uint_gt(n, 0);
	ck_assert_str_eq(out[n - 1].event.text, "x");
}
END_TEST

/* A worker says what only the master can know. */
START_TEST(test_forged)
{
	add(HISTORY_RELOAD, 1, TIME, "never");
	add(HISTORY_HOST_UP, 1, TIME, "so");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 1);
	ck_assert_str_eq(out[0].event.text, "so");
}
END_TEST

/* The last number is taken: the next look of the master makes room for others. */
START_TEST(test_last_sequence)
{
	rows[7].mark = ((uint64_t)1 << 35) << 28 | (uint64_t)HISTORY_HOST_DOWN << 22;
	add(HISTORY_HOST_DOWN, 1, TIME, "x");
	history_repair(rows);
	add(HISTORY_HOST_DOWN, 2, TIME, "y");
	ck_assert_uint_eq(taken(HISTORY_BY_WORKER), 1);
	ck_assert_str_eq(out[0].event.text, "y");
	ck_assert_uint_eq(rows[7].mark & 0x3fffff, 0);
}
END_TEST

START_TEST(test_carry)
{
	struct history_row *to = mmap(NULL, HISTORY_ROWS * sizeof(*to), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t now = history_now();
	unsigned n;

	add(HISTORY_HOST_DOWN, 1, now, "a\x1b[31m");
	add(HISTORY_HOST_UP, 1, now, "b");
	add(HISTORY_HOST_UP, 1, now, "b");
	rows[9].mark = (uint64_t)9 << 28 | 77; /* its writer was killed */
	history_carry(to, rows, HISTORY_ROWS);
	n = history_read(to, HISTORY_BY_WORKER, now, out);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(out[0].event.text, "a?[31m");
	ck_assert_uint_eq(out[1].event.times, 2);
	ck_assert_uint_eq(to[9].mark, 0);
	munmap(to, HISTORY_ROWS * sizeof(*to));
}
END_TEST

/* Into another segment, as a new master does. */
START_TEST(test_carry_segment)
{
	struct shm *from = shm_create(), *to = shm_create();
	unsigned n;

	ck_assert(from && to);
	history_say(from, HISTORY_HOST_DOWN, 1, "before");
	history_say(from, HISTORY_HOST_UP, 1, "after");
	shm_carry(to, from);
	history_say(to, HISTORY_POOL_OUT, 1, "later");
	n = history_read(history_rows(to), HISTORY_BY_WORKER, history_now(), out);
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(out[0].event.text, "before");
	ck_assert_str_eq(out[2].event.text, "later");
	ck_assert_uint_eq(out[2].sequence, 3);
	shm_close(from);
	shm_close(to);
}
END_TEST

/* The dead are known by their rows; who writes without one is given up by the next look. */
START_TEST(test_buried)
{
	struct shm *shm = shm_create();
	struct history_row *r = history_rows(shm);
	int row = shm_worker_claim(shm, NULL, 1, 0, 1);

	ck_assert(shm_worker_enter(shm, (unsigned)row, 4000001));
	r[1].mark = (uint64_t)1 << 28 | 4000001;
	r[2].mark = (uint64_t)2 << 28 | 4000002;
	shm_repair(shm, (bool[SHM_WORKERS]){ [0] = true });
	ck_assert_int_eq(history_writer(&r[1]), 4000001);
	ck_assert_int_eq(history_writer(&r[2]), 0);
	shm_worker_bury(shm, (unsigned)row);
	ck_assert_int_eq(history_writer(&r[1]), 0);
	shm_close(shm);
}
END_TEST

/* ---- both rings ---- */

/* Neither side's words push the other's from a list. */
START_TEST(test_take)
{
	static struct history_row masters[HISTORY_ROWS];
	struct shm *shm = shm_create();
	struct history_entry *list;
	unsigned n, said = 0;

	ck_assert_ptr_nonnull(shm);
	for (uint64_t i = 0; i < 20; i++) {
		struct history_event e = { .kind = HISTORY_RELOAD, .time = (int64_t)i };

		history_add(masters, &e, ME);
	}
	history_set_master(masters);
	for (uint64_t i = 0; i < 50; i++)
		history_say(shm, HISTORY_HOST_DOWN, i + 1, "host %u", (unsigned)i);
	list = history_take(shm, 10, &n);
	ck_assert_uint_eq(n, 10);
	for (unsigned i = 0; i < n; i++) {
		said += list[i].by == HISTORY_BY_WORKER;
		ck_assert(i == 0 || list[i - 1].event.time <= list[i].event.time);
	}
	ck_assert_uint_eq(said, 5);
	ck_assert_int_eq(list[4].event.time, 19);
	ck_assert_str_eq(list[9].event.text, "host 49");
	ck_assert_int_eq(list[9].event.pid, getpid());
	free(list);
	list = history_take(shm, 256, &n);
	ck_assert_uint_eq(n, 70);
	free(list);
	list = history_take(shm, 60, &n);
	ck_assert_uint_eq(n, 60);
	ck_assert_uint_eq(list[0].event.kind, HISTORY_RELOAD);
	free(list);
	history_set_master(NULL);
	list = history_take(shm, 60, &n);
	ck_assert_uint_eq(n, 50);
	free(list);
	shm_close(shm);
}
END_TEST

Suite *
suite_history(void)
{
	Suite *s = suite_create("history");
	TCase *tc = tcase_create("ring");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_every_kind_has_words);
	tcase_add_test(tc, test_turns);
	tcase_add_test(tc, test_again);
	tcase_add_test(tc, test_not_again);
	tcase_add_test(tc, test_share);
	tcase_add_test(tc, test_cut);
	tcase_add_loop_test(tc, test_killed_anywhere, 0, 2);
	tcase_add_test(tc, test_stopped_writer);
	tcase_add_test(tc, test_no_row);
	tcase_add_test(tc, test_overtaken_reader);
	tcase_add_test(tc, test_many_writers);
	tcase_add_loop_test(tc, test_nonsense, 0, 20);
	tcase_add_test(tc, test_forged);
	tcase_add_test(tc, test_last_sequence);
	tcase_add_test(tc, test_carry);
	tcase_add_test(tc, test_carry_segment);
	tcase_add_test(tc, test_buried);
	tcase_add_test(tc, test_take);
	suite_add_tcase(s, tc);
	return s;
}

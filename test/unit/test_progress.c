/*
 * Rows of uploads in the segment: what is found, what gives way, what a reader gets while writers
 * in other processes go on, and what nonsense does. Killed writers are in test_shm_tables.c.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/config/conf_server.h"
#include "common/segment/progress.h"
#include "common/segment/shm_dump.h"
#include "common/segment/shm_keep.h"
#include "test/unit/unit.h"

enum { WORKERS = 4, KEEP = 60000 };

Suite *suite_progress(void);

static struct shm *shm;

#define check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

static void
setup(void)
{
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	for (unsigned i = 0; i < WORKERS; i++)
		shm_worker_enter(shm, (unsigned)shm_worker_claim(shm, NULL, 1, i, 1), getpid());
}

static void
teardown(void)
{
	shm_close(shm);
}

/* Room for n uploads, as the configuration would say. */
static void
resize(unsigned rows)
{
	shm->extent[TABLE_PROGRESS].size = rows + 1;
	if (shm->extent[TABLE_PROGRESS].reach < rows + 1)
		shm->extent[TABLE_PROGRESS].reach = rows + 1;
}

static bool
begin_at(const char *site, const char *id, bool may_evict, struct progress_claim *c)
{
	struct progress_new new = { str_of(site), str_of(id), 1000, KEEP, 0, may_evict };

	return progress_begin(shm, &new, c);
}

static struct progress_claim
begin(const char *id)
{
	struct progress_claim c;

	check(begin_at("a", id, true, &c), "no room for %s", id);
	return c;
}

static void
put(const struct progress_claim *c, int64_t n, enum progress_state state)
{
	struct progress_figures f = { n, n, n, state, state >= PROGRESS_DONE ? 200 : 0 };

	if (state >= PROGRESS_DONE)
		progress_end(shm, c, &f);
	else
		progress_put(shm, c, &f);
}

static bool
find(const char *id, struct progress_view *v)
{
	return progress_find(shm, STR("a"), str_of(id), v);
}

START_TEST(test_ids)
{
	char long_id[130];

	memset(long_id, 'x', sizeof(long_id));
	ck_assert(progress_is_id(STR("a")));
	ck_assert(progress_is_id(STR("AZaz09_-")));
	ck_assert(progress_is_id(str_n(long_id, 128)));
	ck_assert(!progress_is_id(str_n(long_id, 129)));
	ck_assert(!progress_is_id(STR("")));
	for (int c = 1; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b' };
		bool is_fine = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-",
				   c) != NULL;

		check(progress_is_id(str_n(text, 3)) == is_fine, "octet %d", c);
	}
}
END_TEST

START_TEST(test_life)
{
	struct progress_claim c = begin("one");
	struct progress_view v;

	ck_assert(find("one", &v));
	ck_assert_int_eq(v.figures.state, PROGRESS_STARTING);
	ck_assert_int_eq(v.size, 1000);
	ck_assert(v.is_live);
	ck_assert_str_eq(v.site, "a");
	put(&c, 10, PROGRESS_UPLOADING);
	ck_assert(find("one", &v));
	ck_assert_int_eq(v.figures.received, 10);
	put(&c, 1000, PROGRESS_DONE);
	ck_assert(find("one", &v) && !v.is_live);
	ck_assert_int_eq(v.figures.state, PROGRESS_DONE);
	ck_assert_int_eq(v.figures.status, 200);
	/* It is over: what its worker says now is nobody's. */
	put(&c, 5, PROGRESS_UPLOADING);
	ck_assert(find("one", &v) && v.figures.received == 1000);
	/* Another site's, or another's, it is not. */
	ck_assert(!progress_find(shm, STR("b"), STR("one"), &v));
	ck_assert(!progress_find(shm, STR("a"), STR("on"), &v));
	ck_assert(!progress_find(shm, STR("a"), STR("onee"), &v));
	ck_assert(!progress_find(shm, STR("a"), STR("o/e"), &v));
	/* When its time is over it is forgotten, seen or not. */
	progress_row(shm, c.row)->until = clock_ms();
	ck_assert(!find("one", &v));
	progress_table.sweep(shm, clock_ms(), 0);
	ck_assert_uint_eq(progress_row(shm, c.row)->mark, 0);
}
END_TEST

/* A site's name may be longer than what stands in a row. */
START_TEST(test_long_sites)
{
	char one[101], other[101];
	struct progress_claim c;
	struct progress_view v;

	memset(one, 'x', 100);
	memset(other, 'x', 100);
	one[99] = '1';
	other[99] = '2';
	one[100] = other[100] = '\0';
	ck_assert(begin_at(one, "id", true, &c));
	ck_assert(progress_find(shm, str_of(one), STR("id"), &v));
	ck_assert(!progress_find(shm, str_of(other), STR("id"), &v));
}
END_TEST

START_TEST(test_newest_wins)
{
	struct progress_claim old = begin("id"), new;
	struct progress_view v;

	put(&old, 900, PROGRESS_UPLOADING);
	new = begin("id");
	ck_assert(find("id", &v) && v.figures.received == 0);
	put(&old, 950, PROGRESS_UPLOADING);
	put(&new, 1, PROGRESS_UPLOADING);
	ck_assert(find("id", &v) && v.figures.received == 1);
	put(&old, 1000, PROGRESS_DONE);
	ck_assert(find("id", &v) && v.figures.received == 1);
	ck_assert_uint_eq(progress_row(shm, old.row)->mark, 0);
	put(&new, 1000, PROGRESS_DONE);
	new = begin("id");
	ck_assert(find("id", &v) && v.figures.state == PROGRESS_STARTING);
	ck_assert_uint_eq(shm_dump_table(shm, TABLE_PROGRESS, NULL), 1);
}
END_TEST

/* The oldest that has ended goes; what is in progress never does. */
START_TEST(test_full)
{
	struct progress_claim c[PROGRESS_WINDOW], more;
	struct progress_view v;
	char id[16];

	resize(PROGRESS_WINDOW);
	for (int i = 0; i < PROGRESS_WINDOW; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		c[i] = begin(id);
	}
	ck_assert(!begin_at("a", "more", true, &more));
	put(&c[7], 1000, PROGRESS_DONE);
	put(&c[3], 1000, PROGRESS_DONE);
	progress_row(shm, c[7].row)->ended = clock_ms() - 5;
	progress_row(shm, c[3].row)->ended = clock_ms() - 9;
	ck_assert(!begin_at("a", "refused", false, &more));
	ck_assert(begin_at("a", "more", true, &more));
	ck_assert_uint_eq(more.row, c[3].row);
	ck_assert(!find("id3", &v));
	ck_assert(find("id7", &v) && find("more", &v));
	ck_assert(begin_at("a", "last", true, &more));
	ck_assert_uint_eq(more.row, c[7].row);
	ck_assert(!begin_at("a", "none", true, &more));
	for (int i = 0; i < PROGRESS_WINDOW; i++) {
		snprintf(id, sizeof(id), "id%d", i);
		check(find(id, &v) == (i != 3 && i != 7), "%s", id);
	}
}
END_TEST

/* 10,000 at once: all are found, as fast as a few. */
START_TEST(test_many)
{
	enum { MANY = 10000 };
	struct progress_view v;
	uint64_t few, many;
	char id[24];

	resize(32768);
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "upload-%d", i);
		begin(id);
		if (i == 9 || i == MANY - 1) {
			uint64_t at = clock_ns();

			for (int k = 0; k < 20000; k++)
				check(find("upload-3", &v), "not found");
			*(i == 9 ? &few : &many) = clock_ns() - at;
		}
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof(id), "upload-%d", i);
		check(find(id, &v), "%s is lost", id);
	}
	/* The same work; what else runs on the machine is allowed for. */
	check(many < 5 * few, "%llu ns instead of %llu", (unsigned long long)many / 20000,
	    (unsigned long long)few / 20000);
}
END_TEST

/* Another size of the table is another place: what is there is found as long as it stays. */
START_TEST(test_sizes)
{
	static const unsigned sizes[] = { 64, 4096, 128, 32768, 32, 1024 };
	struct progress_claim c[6];
	struct progress_view v;
	char id[16];

	for (int i = 0; i < 6; i++) {
		resize(sizes[i]);
		snprintf(id, sizeof(id), "id%d", i);
		c[i] = begin(id);
		for (int k = 0; k <= i; k++) {
			snprintf(id, sizeof(id), "id%d", k);
			check(find(id, &v), "%s is lost at size %u", id, sizes[i]);
		}
	}
	/* The newest of an ID is it in whatever place the earlier one is. */
	c[5] = begin("id1");
	put(&c[5], 77, PROGRESS_UPLOADING);
	ck_assert(find("id1", &v) && v.figures.received == 77);
	resize(4096);
	ck_assert(find("id1", &v) && v.figures.received == 77);
	progress_table.sweep(shm, clock_ms(), 0);
	ck_assert(find("id1", &v) && v.figures.received == 77);
}
END_TEST

/* Writers that never rest; every answer is of one moment, and none is from before the one before.
 */
START_TEST(test_readers)
{
	enum { ROUNDS = 100000 };
	pid_t pids[WORKERS];
	int64_t last[WORKERS] = { 0 };
	struct progress_view v;
	char id[16];

	for (unsigned i = 0; i < WORKERS; i++) {
		struct progress_claim c;

		snprintf(id, sizeof(id), "w%u", i);
		c = begin(id);
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] > 0)
			continue;
		for (int64_t n = 1;; n++) /* until it is killed */
			put(&c, n % 1000 == 0 ? 1000 : n % 1000, PROGRESS_UPLOADING);
	}
	for (int k = 0; k < ROUNDS; k++) {
		unsigned i = (unsigned)k % WORKERS;

		snprintf(id, sizeof(id), "w%u", i);
		check(find(id, &v), "%s is unknown", id);
		check(v.figures.received == v.figures.forwarded &&
			  v.figures.received == v.figures.rate && v.size == 1000,
		    "figures of two moments");
		last[i] += v.figures.received > 0;
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGKILL);
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
		ck_assert_int_gt(last[i], 0);
		snprintf(id, sizeof(id), "w%u", i);
		ck_assert(find(id, &v) && v.figures.received == v.figures.rate);
	}
}
END_TEST

/* Many processes that begin the same and other uploads at once, killed wherever they are. */
START_TEST(test_begin_at_once)
{
	pid_t pids[WORKERS];
	struct progress_view v;
	unsigned live = 0;

	resize(PROGRESS_WINDOW);
	begin("same");
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] > 0)
			continue;
		for (unsigned k = 0;; k++) {
			struct progress_new new = { STR("a"), k % 2 ? STR("same") : STR("other"),
				1000, KEEP, i, true };
			struct progress_claim c;

			if (progress_begin(shm, &new, &c) && k % 3)
				put(&c, 1000, PROGRESS_DONE);
			if (k % 8 == 0)
				progress_table.clear(shm, i);
		}
	}
	for (int k = 0; k < 20000; k++)
		if (find(k % 2 ? "same" : "other", &v))
			check(v.size == 1000 && v.figures.received <= 1000, "nonsense");
	for (unsigned i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
		progress_table.clear(shm, i);
	}
	for (unsigned row = 1; row < progress_reach(shm); row++)
		live += (progress_row(shm, row)->mark & 255) % PROGRESS_FINISHED != 0;
	ck_assert_uint_eq(live, 0);
}
END_TEST

/* Whatever somebody writes into a row, what is read is within bounds, and the master tidies up. */
START_TEST(test_nonsense)
{
	struct progress_claim c;
	struct progress_row *p;
	struct progress_view v;

	resize(PROGRESS_WINDOW);
	c = begin("id");
	p = progress_row(shm, c.row);
	srandom(7);
	for (int k = 0; k < 100000; k++) {
		size_t at = (size_t)random() % sizeof(*p);

		((unsigned char *)p)[at] = (unsigned char)random();
		if (k % 64 == 0)
			p->mark = c.mark;
		if (!progress_at(shm, c.row, &v))
			continue;
		check(v.size >= -1 && v.size <= PROGRESS_OCTETS_MAX, "size");
		check(v.figures.received >= 0 && v.figures.forwarded >= 0 && v.figures.rate >= 0,
		    "negative");
		check(v.size < 0 || v.figures.received <= v.size, "more than all");
		check(v.figures.forwarded <= v.figures.received, "forwarded");
		check(v.figures.state < PROGRESS_STATES && v.figures.status < 1000, "state");
		check(strnlen(v.site, sizeof(v.site)) < sizeof(v.site), "no end");
		progress_table.repair(shm);
	}
	p->mark = c.mark | 255;
	progress_table.repair(shm);
	ck_assert_uint_eq(p->mark, 0);
	/* A worker that there is not. */
	p->mark = (uint64_t)99 << 16 | 200 << 8 | PROGRESS_LIVE;
	progress_table.repair(shm);
	ck_assert(!progress_at(shm, c.row, &v) || !v.is_live);
}
END_TEST

START_TEST(test_wanted)
{
	struct conf conf = { .npools = 0 };

	ck_assert_uint_eq(progress_table.wanted(&conf), PROGRESS_WINDOW + 1);
	ck_assert_int_eq(conf_server_int(&conf, PROGRESS_UPLOADS_OPTION, 7), 7);
}
END_TEST

Suite *
suite_progress(void)
{
	Suite *s = suite_create("progress");
	TCase *c = tcase_create("progress");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_ids);
	tcase_add_test(c, test_life);
	tcase_add_test(c, test_long_sites);
	tcase_add_test(c, test_newest_wins);
	tcase_add_test(c, test_full);
	tcase_add_test(c, test_many);
	tcase_add_test(c, test_sizes);
	tcase_add_test(c, test_readers);
	tcase_add_test(c, test_begin_at_once);
	tcase_add_test(c, test_nonsense);
	tcase_add_test(c, test_wanted);
	suite_add_tcase(s, c);
	return s;
}

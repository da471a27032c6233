/*
 * Every registered table: its descriptor; what becomes of it in a segment of another layout, by
 * version; and crash consistency. For the last a table says here how it is filled, what processes
 * do with it, and what must hold afterwards. A process is killed at every single write of that, of
 * a burial, of a repair and of carrying all over; then the dead are buried, the segment is mended,
 * and what each table promises must hold for all of them.
 *
 * The scene has three workers: one that lives, in row ALIVE, one that is gone, in row DEAD, and the
 * VICTIM, which is killed. A new table adds a line to `tables`; without one a test fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/config/conf.h"
#include "common/segment/history.h"
#include "common/segment/progress.h"
#include "common/segment/shm_dump.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_keyed.h"
#include "test/unit/crash.h"
#include "test/unit/scene.h"

enum { ALIVE, DEAD, VICTIM, HOSTS = 6, REQUESTS = 50 + 1000 + 1001 + 1002 };

Suite *suite_shm_tables(void);

/* The workers of this segment are those of the scene; in one that was carried over there are none.
 */
static bool is_carried;

static unsigned
pool_row(void)
{
	int row = backend_pool_row(scene.shm, scene.pool.name);

	scene_check(row >= 0, "the pool has no row");
	return (unsigned)row;
}

/* ---- the segment's own ---- */

static void
workers_fill(void)
{
	for (unsigned i = 0; i < 3; i++) {
		int row = shm_worker_claim(scene.shm, NULL, 1, i, 1);
		struct shm_worker *w = shm_worker(scene.shm, (unsigned)row);

		shm_worker_enter(scene.shm, (unsigned)row, 0x3fffff00 + (int)i); /* nobody */
		shm_worker_move(w, ROW_STARTING, ROW_READY);
		ctr_add(w, CTR_REQUESTS, 1000 + i);
		ctr_add(w, CTR_CONNECTIONS, 9);
		memcpy(w->words, "last words", 11);
	}
	shm_master(scene.shm)->retired[CTR_REQUESTS] = 50;
	shm_master(scene.shm)->generation = 7;
}

static void
master_do(void)
{
	shm_worker_bury(scene.shm, DEAD);
}

static void
master_hold(const char *what)
{
	uint64_t requests = shm_total(scene.shm, CTR_REQUESTS);

	scene_check(shm_master(scene.shm)->generation == 7, "%s: generation", what);
	/* A life counts up to ten more. */
	scene_check(requests >= REQUESTS && requests <= REQUESTS + 10, "%s: %llu requests", what,
	    (unsigned long long)requests);
}

static void
workers_do(void)
{
	struct shm_worker *w = shm_worker(scene.shm, VICTIM);
	int row = shm_worker_claim(scene.shm, NULL, 2, 1, clock_ms());

	shm_worker_enter(scene.shm, (unsigned)row, getpid());
	for (unsigned i = 0; i < 10; i++) {
		ctr_add(w, CTR_REQUESTS, 1);
		crash_point("request");
	}
	shm_worker_move(w, ROW_READY, ROW_DRAINING);
}

static void
workers_hold(const char *what)
{
	for (unsigned row = 0; row < SHM_WORKERS; row++) {
		struct shm_worker *w = shm_worker(scene.shm, row);

		if (row == ALIVE && !is_carried) {
			scene_check(w->state == ROW_READY && w->counters[CTR_CONNECTIONS] == 9 &&
					w->counters[CTR_REQUESTS] == 1000,
			    "%s: who lives", what);
			continue;
		}
		scene_check(w->state == ROW_FREE && w->pid == 0 && w->words[0] == 0,
		    "%s: row %u is not free", what, row);
		for (unsigned c = 0; c < CTR_MAX; c++)
			scene_check(w->counters[c] == 0, "%s: row %u counts", what, row);
	}
}

static void
slots_fill(void)
{
	for (unsigned i = 0; i < 9; i++)
		shm_slot_claim(scene.shm, i, 0, i % 3);
}

static void
slots_do(void)
{
	for (unsigned i = 1; i < 12; i++)
		shm_slot_claim(scene.shm, i, i % 3 == DEAD ? DEAD + 1 : 0, VICTIM);
}

static void
slots_hold(const char *what)
{
	for (unsigned i = 0; i < SHM_SLOTS; i++) {
		bool is_alive = i < 9 && i % 3 == ALIVE && !is_carried;

		scene_check(shm_slot_owner(scene.shm, i) == (is_alive ? ALIVE + 1 : 0),
		    "%s: slot %u has owner %llu", what, i,
		    (unsigned long long)shm_slot_owner(scene.shm, i));
	}
}

static void
burial_do(void)
{
	shm_worker_bury(scene.shm, VICTIM);
	shm_worker_bury(scene.shm, DEAD);
}

static void
burial_hold(const char *what)
{
	uint64_t word = *(_Atomic uint64_t *)scene.shm->own[TABLE_BURIAL].base;

	scene_check((word & 0xffffffff) == 0, "%s: a burial is not finished", what);
}

/* What a segment carries over is done by name. */
static void
names_do(void)
{
	struct shm *fresh = shm_create();

	shm_carry(fresh, scene.shm);
}

static void
names_hold(const char *what)
{
	scene_check(shm_dump_table(scene.shm, TABLE_NAMES, NULL) == CTR_MAX, "%s: names", what);
}

static void
rooms_do(void)
{
	scene.shm->owner = getpid(); /* the child is the master */
	shm_table_reach(scene.shm, TABLE_BACKENDS, 100);
	shm_table_repair(scene.shm);
	backend_pool_row(scene.shm, STR("another"));
}

/* Nobody has the right to claim for longer than he lives. */
static void
rooms_hold(const char *what)
{
	for (unsigned i = 0; i < TABLES; i++) {
		struct shm_extent e = shm_table_extent(scene.shm, (enum shm_table_id)i);

		scene_check(e.size > 0 && e.size <= e.reach && e.reach <= shm_tables[i]->rows,
		    "%s: %s has size %u, reach %u", what, shm_tables[i]->name, e.size, e.reach);
	}
	scene_check(backend_pool_row(scene.shm, STR("one more")) >= 0, "%s: no claim", what);
}

/* ---- backends ---- */

static void
pools_fill(void)
{
	backend_pool_count(scene.shm, pool_row(), POOL_QUEUED);
}

static void
pools_do(void)
{
	backend_pool_row(scene.shm, STR("another"));
	backend_budget_take(scene.shm, pool_row(), &scene.pool, clock_ms());
	crash_point("budget");
	shm_table_sweep(scene.shm, clock_ms() + 100, 100000);
}

static void
pools_hold(const char *what)
{
	static const char *const names[] = { "another", "and one", "app" };
	struct backend_pool_view v;
	int rows[3];

	for (unsigned i = 0; i < 3; i++) {
		rows[i] = backend_pool_row(scene.shm, str_of(names[i]));
		scene_check(rows[i] >= 0, "%s: pool %s has no row", what, names[i]);
		for (unsigned k = 0; k < i; k++)
			scene_check(rows[i] != rows[k], "%s: two pools have one row", what);
	}
	for (unsigned row = 0; row < backend_pool_reach(scene.shm); row++)
		scene_check(shm_backend_pool(scene.shm, row)->key >> 63 == 0,
		    "%s: row %u is still claimed", what, row);
	scene_check(backend_pool_view(scene.shm, pool_row(), &v) && v.queued_total == 1,
	    "%s: the pool's counter", what);
}

/* Host 5 is out, and may be tried. */
static void
hosts_fill(void)
{
	for (unsigned i = 0; i < HOSTS; i++)
		scene_host(i);
	backend_weight_set(scene.shm, scene_host(1), 7);
	scene_fail(scene_host(5), CAUSE_OVERLOAD, 1);
	backend_check_take(scene.shm, scene_host(2), DEAD, clock_ms(), 600000);
}

static void
hosts_do(void)
{
	struct backend_at at = scene_at(scene_host(5), VICTIM);

	backend_try(scene.shm, at.row, VICTIM, 600000, clock_ms());
	backend_check_take(scene.shm, scene_host(3), VICTIM, clock_ms(), 600000);
	crash_point("check");
	scene_host(50);
	scene_out(scene_host(4), CAUSE_REFUSED, clock_ms());
	backend_succeeded(scene.shm, &at, 100, clock_ms());
}

static void
hosts_hold(const char *what)
{
	bool seen[BACKEND_ROWS] = { false };

	for (unsigned i = 0; i < HOSTS + 2; i++) {
		unsigned row = scene_host(i < HOSTS ? i : 44 + i);
		enum backend_state state = backend_state_of(scene.shm, row, NULL);

		scene_check(!seen[row], "%s: two hosts have one row", what);
		scene_check(state != BACKEND_TRIAL, "%s: host %u is in trial", what, i);
		scene_check(shm_backend(scene.shm, row)->check == 0, "%s: a lease", what);
		seen[row] = true;
	}
	for (unsigned row = 0; row < backend_reach(scene.shm); row++)
		scene_check(shm_backend(scene.shm, row)->key >> 63 == 0,
		    "%s: row %u is still claimed", what, row);
	scene_check(backend_weight(scene.shm, scene_host(1)) == 7, "%s: the weight", what);
}

static void
columns_fill(void)
{
	for (unsigned w = ALIVE; w <= VICTIM; w++) {
		backend_take(scene.shm, w, scene_host(w));
		backend_queue(scene.shm, w, pool_row(), 1);
	}
}

static void
columns_do(void)
{
	unsigned p = pool_row();

	for (unsigned i = 0; i < HOSTS; i++)
		backend_take_in_turn(
		    scene.shm, VICTIM, scene_host(i), p, backend_turn(scene.shm, p));
	backend_release(scene.shm, VICTIM, scene_host(1));
	crash_point("released");
	backend_queue(scene.shm, VICTIM, p, 3);
	crash_point("queued");
}

static void
columns_hold(const char *what)
{
	for (unsigned i = 0; i < HOSTS; i++)
		scene_check(
		    backend_in_flight(scene.shm, scene_host(i)) == (i == ALIVE && !is_carried),
		    "%s: host %u has %u in flight", what, i,
		    backend_in_flight(scene.shm, scene_host(i)));
	scene_check(backend_queued(scene.shm, pool_row()) == !is_carried, "%s: queued", what);
}

static void
common_hold(const char *what)
{
	struct backend_common *c = shm_backend_common(scene.shm);

	for (unsigned i = 0; i < SHM_WORKERS / 64; i++)
		scene_check(c->live[i] == (i == 0 && !is_carried), "%s: columns %llx are live",
		    what, (unsigned long long)c->live[i]);
}

/* ---- events ---- */

static void
events_fill(void)
{
	for (unsigned i = 0; i < 3; i++)
		history_say(scene.shm, HISTORY_HOST_DOWN, 1, "flaps");
	history_say(scene.shm, HISTORY_HOST_UP, 1, "is up");
}

static void
events_do(void)
{
	history_say(scene.shm, HISTORY_HOST_DOWN, 1, "flaps");
	history_say(scene.shm, HISTORY_POOL_OUT, 2, "is out");
	history_table.clear(scene.shm, VICTIM);
	history_table.repair(scene.shm);
}

/* Whoever was killed has lost his own at most; nothing is half there. */
static void
events_hold(const char *what)
{
	static struct history_entry all[HISTORY_ROWS];
	const struct history_row *rows = history_rows(scene.shm);
	unsigned n = history_read(rows, HISTORY_BY_WORKER, history_now(), all), times = 0, up = 0;

	for (unsigned i = 0; i < HISTORY_ROWS; i++)
		scene_check(history_writer(&rows[i]) == 0, "%s: row %u is being written", what, i);
	for (unsigned i = 0; i < n; i++) {
		const struct history_event *e = &all[i].event;

		if (e->kind == HISTORY_HOST_DOWN && e->times > times)
			times = e->times;
		up += e->kind == HISTORY_HOST_UP && strcmp(e->text, "is up") == 0;
		scene_check(strcmp(e->text, "flaps") == 0 || strcmp(e->text, "is up") == 0 ||
				strcmp(e->text, "is out") == 0,
		    "%s: an event says \"%s\"", what, e->text);
	}
	scene_check(times >= 3 && times <= 4 && up == 1, "%s: %u times, %u up", what, times, up);
}

/* ---- uploads ---- */

enum { UPLOAD = 1000 };

static struct progress_claim upload_claims[4];

static struct progress_new
upload_new(const char *id, unsigned worker)
{
	return (struct progress_new){ STR("a.example"), str_of(id), UPLOAD, 60000, worker, true };
}

/* What belongs together is the same number. */
static struct progress_figures
upload_figures(int64_t n, enum progress_state state)
{
	return (struct progress_figures){ n, n, n, state, state >= PROGRESS_DONE ? 200 : 0 };
}

static void
upload_begin(const char *id, unsigned worker, struct progress_claim *claim)
{
	struct progress_new new = upload_new(id, worker);

	scene_check(progress_begin(scene.shm, &new, claim), "no room for %s", id);
}

static void
upload_put(const struct progress_claim *claim, int64_t n, bool is_end)
{
	struct progress_figures f = upload_figures(n, is_end ? PROGRESS_DONE : PROGRESS_UPLOADING);

	if (is_end)
		progress_end(scene.shm, claim, &f);
	else
		progress_put(scene.shm, claim, &f);
}

static void
uploads_fill(void)
{
	upload_begin("alive", ALIVE, &upload_claims[0]);
	upload_put(&upload_claims[0], 100, false);
	upload_begin("finished", ALIVE, &upload_claims[1]);
	upload_put(&upload_claims[1], UPLOAD, true);
	upload_begin("victims", VICTIM, &upload_claims[2]);
	upload_put(&upload_claims[2], 1, false);
	upload_begin("dead", DEAD, &upload_claims[3]);
	upload_put(&upload_claims[3], 50, false);
}

/* Its uploads go on, one ends, one is sent again, the master looks after the table. */
static void
uploads_do(void)
{
	struct progress_claim again, other;

	upload_put(&upload_claims[2], 2, false);
	upload_put(&upload_claims[2], 3, false);
	upload_begin("other", VICTIM, &other);
	upload_put(&other, 500, false);
	upload_begin("victims", VICTIM, &again);
	upload_put(&upload_claims[2], 4, false);
	upload_put(&again, 5, false);
	upload_put(&upload_claims[2], UPLOAD, true);
	upload_put(&other, UPLOAD, true);
	progress_table.clear(scene.shm, DEAD);
	progress_table.repair(scene.shm);
	progress_table.sweep(scene.shm, clock_ms(), 60000);
}

static void
upload_hold(const char *what, const char *id, bool must_be, enum progress_state state, int64_t n)
{
	struct progress_view v;
	bool is_there = progress_find(scene.shm, STR("a.example"), str_of(id), &v);

	scene_check(is_there || !must_be, "%s: %s is unknown", what, id);
	if (!is_there)
		return;
	scene_check(v.size == UPLOAD && v.figures.received == v.figures.forwarded &&
			(v.figures.rate == v.figures.received || v.figures.rate == 0),
	    "%s: the figures of %s do not belong together", what, id);
	scene_check(v.figures.state == state ||
			(state == PROGRESS_ERROR && v.figures.state == PROGRESS_DONE &&
			    v.figures.received == UPLOAD),
	    "%s: %s is %s", what, id, progress_state_name(v.figures.state));
	scene_check(n < 0 || v.figures.received == n, "%s: %s has %lld", what, id,
	    (long long)v.figures.received);
}

/* Whoever was killed has errors, at once; who lives goes on; what has ended stays. In another
   segment those are known that had ended. */
static void
uploads_hold(const char *what)
{
	upload_hold(what, "finished", true, PROGRESS_DONE, UPLOAD);
	upload_hold(what, "alive", !is_carried, PROGRESS_UPLOADING, 100);
	upload_hold(what, "dead", !is_carried, PROGRESS_ERROR, 50);
	upload_hold(what, "victims", !is_carried, PROGRESS_ERROR, -1);
	upload_hold(what, "other", false, PROGRESS_ERROR, -1);
	for (unsigned row = 1; row < progress_reach(scene.shm); row++) {
		uint64_t mark = progress_row(scene.shm, row)->mark;
		unsigned phase = mark & 255, worker = (mark >> 8) & 255;

		scene_check(phase == PROGRESS_FREE || phase == PROGRESS_FINISHED ||
				(phase == PROGRESS_LIVE && worker == ALIVE),
		    "%s: row %u is left in phase %u", what, row, phase);
	}
}

/* ---- the tables ---- */

static const struct {
	void (*fill)(void);             /* the scene, as the master or any worker */
	void (*act)(void);              /* what is done with it, by VICTIM or the master */
	void (*hold)(const char *what); /* what holds when the dead are buried */
	unsigned at_least;              /* fail points of act */
} tables[TABLES] = {
	[TABLE_MASTER] = { NULL, master_do, master_hold, 3 * CTR_MAX },
	[TABLE_WORKERS] = { workers_fill, workers_do, workers_hold, 20 },
	[TABLE_SLOTS] = { slots_fill, slots_do, slots_hold, 22 },
	[TABLE_BURIAL] = { NULL, burial_do, burial_hold, 6 * CTR_MAX },
	[TABLE_NAMES] = { NULL, names_do, names_hold, 50 },
	[TABLE_ROOMS] = { NULL, rooms_do, rooms_hold, 20 },
	[TABLE_POOLS] = { pools_fill, pools_do, pools_hold, 12 },
	[TABLE_BACKENDS] = { hosts_fill, hosts_do, hosts_hold, 20 },
	[TABLE_COLUMNS] = { columns_fill, columns_do, columns_hold, 20 },
	[TABLE_COMMON] = { NULL, columns_do, common_hold, 20 },
	[TABLE_HISTORY] = { events_fill, events_do, events_hold, 18 },
	[TABLE_PROGRESS] = { uploads_fill, uploads_do, uploads_hold, 60 },
};

static void
tables_fill(void)
{
	is_carried = false;
	for (unsigned i = 0; i < TABLES; i++)
		if (tables[i].fill)
			tables[i].fill();
}

static void
tables_hold(const char *what)
{
	for (unsigned i = 0; i < TABLES; i++)
		tables[i].hold(what);
}

/* ---- descriptors ---- */

START_TEST(test_descriptor)
{
	const struct shm_table *t = shm_tables[_i];

	ck_assert_uint_gt(strnlen(t->name, sizeof(t->name)), 0);
	ck_assert_uint_lt(strnlen(t->name, sizeof(t->name)), sizeof(t->name));
	for (int i = 0; i < _i; i++)
		ck_assert_str_ne(t->name, shm_tables[i]->name);
	ck_assert_uint_eq(t->row % 8, 0);
	ck_assert_uint_gt(t->row, 0);
	ck_assert_uint_gt(t->rows, 0);
	ck_assert_uint_le(t->least, t->row);
	ck_assert_msg(t->dump != NULL, "table %s has no dump", t->name);
	ck_assert_msg(tables[_i].act && tables[_i].hold,
	    "table %s has no crash test: add a line to this file", t->name);
}
END_TEST

/* Everything that stands there is told, as JSON, whatever it is. */
START_TEST(test_dump)
{
	struct text out = { 0 };

	tables_fill();
	shm_dump(scene.shm, &out);
	text_add(&out, "", 1);
	for (unsigned i = 0; i < TABLES; i++) {
		char line[64];

		snprintf(line, sizeof(line), "{\"table\":\"%s\",\"version\":%u,",
		    shm_tables[i]->name, shm_tables[i]->version);
		ck_assert_ptr_nonnull(strstr(out.p, line));
	}
	ck_assert_ptr_nonnull(strstr(out.p, "\"pool\":\"app\",\"host\":\"10.0.0.5:80\""));
	ck_assert_ptr_nonnull(strstr(out.p, "\"words\":\"last words\""));
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_WORKERS, NULL), 3);
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_SLOTS, NULL), 9);
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_POOLS, NULL), 1);
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_BACKENDS, NULL), HOSTS);
	text_free(&out);
}
END_TEST

/* ---- sizes ---- */

static struct conf_host size_hosts[CONF_POOL_HOSTS];
static struct conf_pool size_pools[CONF_POOLS];

/* A configuration of so many pools with so many hosts each. */
static void
resize(unsigned npools, unsigned nhosts, bool is_numeric, bool may_shrink)
{
	struct conf conf = { .pools = size_pools, .npools = npools };

	for (unsigned i = 0; i < CONF_POOL_HOSTS; i++)
		size_hosts[i].is_numeric = is_numeric;
	for (unsigned i = 0; i < npools; i++)
		size_pools[i] = (struct conf_pool){ .hosts = size_hosts, .nhosts = nhosts };
	shm_table_resize(scene.shm, &conf, may_shrink);
}

static struct shm_extent
hosts_extent(void)
{
	return shm_table_extent(scene.shm, TABLE_BACKENDS);
}

START_TEST(test_sizes)
{
	unsigned rows[100];

	resize(1, 3, true, false);
	ck_assert_uint_eq(hosts_extent().size, 70);
	ck_assert_uint_eq(hosts_extent().reach, 70);
	for (unsigned i = 0; i < 70; i++)
		rows[i] = scene_host(i);
	ck_assert_int_eq(backend_row(scene.shm, scene.pool.name, STR("one more")), -1);
	/* A name is many addresses, but a pool has an end. */
	resize(2, 5, false, false);
	ck_assert_uint_eq(hosts_extent().size, 2 * 2 * 256 + 64);
	ck_assert_int_ge(backend_row(scene.shm, scene.pool.name, STR("one more")), 0);
	for (unsigned i = 70; i < 100; i++)
		rows[i] = scene_host(i);
	/* While the generation before serves nothing shrinks. */
	resize(1, 3, true, false);
	ck_assert_uint_eq(hosts_extent().size, 2 * 2 * 256 + 64);
	resize(1, 3, true, true);
	ck_assert_uint_eq(hosts_extent().size, 70);
	ck_assert_uint_eq(hosts_extent().reach, 2 * 2 * 256 + 64);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(scene_host(i), rows[i]);
	shm_table_sweep(scene.shm, clock_ms() + 120000, 60000);
	ck_assert_uint_eq(hosts_extent().reach, 70);
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_BACKENDS, NULL), 0);
	/* As many as there are, at most. */
	resize(CONF_POOLS, CONF_POOL_HOSTS, false, true);
	ck_assert_uint_eq(hosts_extent().size, BACKEND_ROWS);
	ck_assert_uint_eq(shm_table_extent(scene.shm, TABLE_POOLS).size, BACKEND_POOLS);
}
END_TEST

/* What was claimed before anybody has said how many there are is found. */
START_TEST(test_sizes_come_late)
{
	unsigned pool = pool_row(), rows[100];

	for (unsigned i = 0; i < 100; i++)
		rows[i] = scene_host(i);
	resize(1, 3, true, false);
	ck_assert_uint_eq(hosts_extent().size, 70);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_uint_eq(scene_host(i), rows[i]);
	ck_assert_uint_eq(pool_row(), pool);
}
END_TEST

/* What a worker writes about sizes bounds nobody's looks and leads nobody out of a table: the
   master has its own, and says it again. */
START_TEST(test_sizes_of_somebody_else)
{
	static const uint32_t values[] = { 0, 1, 69, 71, BACKEND_ROWS, BACKEND_ROWS + 1,
		UINT32_MAX };
	struct shm_room *room = shm_table_room(scene.shm, TABLE_BACKENDS);

	resize(1, 3, true, false);
	for (int i = 0; i < UNIT_COUNT(values); i++)
		for (int k = 0; k < UNIT_COUNT(values); k++) {
			struct shm_extent e;

			room->size = values[i];
			room->reach = values[k];
			ck_assert_uint_eq(hosts_extent().size, 70);
			scene.shm->owner++; /* as a worker */
			e = hosts_extent();
			scene_host(1);
			scene.shm->owner--;
			ck_assert_uint_gt(e.size, 0);
			ck_assert_uint_le(e.size, e.reach);
			ck_assert_uint_le(e.reach, BACKEND_ROWS);
			shm_table_repair(scene.shm);
			ck_assert_uint_eq(room->size, 70);
			ck_assert_uint_eq(room->reach, 70);
			ck_assert_int_ge(scene_host(2), 0);
		}
}
END_TEST

/* Rows that are carried over lie within the size that they had. */
START_TEST(test_sizes_are_carried)
{
	struct shm *from = scene.shm;

	resize(1, 3, true, false);
	for (unsigned i = 0; i < 60; i++)
		scene_host(i);
	scene.shm = shm_create();
	shm_carry(scene.shm, from);
	ck_assert_uint_eq(hosts_extent().reach, 70);
	resize(2, 3, true, false);
	ck_assert_uint_eq(hosts_extent().reach, 76);
	for (unsigned i = 0; i < 60; i++)
		ck_assert_uint_eq(
		    shm_backend(scene.shm, scene_host(i))->pool_row, (unsigned)pool_row());
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_POOLS, NULL), 1);
	ck_assert_uint_eq(shm_dump_table(scene.shm, TABLE_BACKENDS, NULL), 60);
	shm_close(from);
}
END_TEST

/* ---- another layout ---- */

enum { ENTRY = 32, ENTRY_VERSION = 12 }; /* struct shm_entry of shm_map.c */

/* The same octets as another binary would have left them, whose version of one table (TABLES: of
   none) is another. */
static struct shm *
as_old(unsigned table)
{
	size_t size = (size_t)lseek(shm_fd(scene.shm), 0, SEEK_END);
	int fd = memfd_create("old", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *octets = malloc(size);
	const char *why = "";
	struct shm *old;

	ck_assert_int_eq(pread(shm_fd(scene.shm), octets, size, 0), (ssize_t)size);
	octets[24] ^= 1; /* the layout's hash */
	if (table < TABLES)
		octets[32 + ENTRY * table + ENTRY_VERSION] ^= 1;
	ck_assert_int_eq(write(fd, octets, size), (ssize_t)size);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	free(octets);
	old = shm_attach_old(fd, &why);
	if (table < TABLES && shm_tables[table]->is_needed) {
		ck_assert_ptr_null(old);
		ck_assert_str_eq(why, "a table is missing");
		close(fd);
	} else
		ck_assert_msg(old != NULL, "%s", why);
	return old;
}

/* A table of another version begins empty, and is left alone in the old segment; the others are
   carried. */
START_TEST(test_version)
{
	unsigned carried[TABLES], table = (unsigned)_i;
	struct shm *old, *fresh = shm_create();

	tables_fill();
	old = as_old(TABLES);
	shm_carry(fresh, old);
	for (unsigned i = 0; i < TABLES; i++)
		carried[i] = shm_dump_table(fresh, i, NULL);
	ck_assert_uint_eq(carried[TABLE_POOLS], 1);
	ck_assert_uint_eq(carried[TABLE_BACKENDS], HOSTS);
	shm_close(fresh);
	shm_close(old);
	old = as_old(table);
	if (!old)
		return;
	fresh = shm_create();
	shm_carry(fresh, old);
	for (unsigned i = 0; i < TABLES; i++)
		/* Hosts bring their pool. */
		if (i != table)
			ck_assert_uint_eq(shm_dump_table(fresh, i, NULL), carried[i]);
		else if (i != TABLE_POOLS)
			ck_assert_uint_eq(shm_dump_table(fresh, i, NULL), 0);
	ck_assert_uint_eq(shm_dump_table(old, table, NULL), 0);
	shm_repair(old, NULL);
	shm_close(fresh);
	shm_close(old);
}
END_TEST

/* ---- crash consistency ---- */

static struct shm *fresh;

static void
do_bury(void)
{
	shm_worker_bury(scene.shm, VICTIM);
	shm_worker_bury(scene.shm, DEAD);
}

static void
do_repair(void)
{
	bool lives[SHM_WORKERS] = { [ALIVE] = true };

	shm_repair(scene.shm, lives);
}

/* Nothing is old; what a claimer left goes. */
static void
do_sweep(void)
{
	shm_table_sweep(scene.shm, clock_ms(), 60000);
}

static void
do_carry(void)
{
	shm_carry(fresh, scene.shm);
}

static void
do_claim(void)
{
	bool taken[SHM_WORKERS] = { [ALIVE] = true };

	/* Both rows are cleaned of what stands there, whatever that is. */
	for (unsigned i = 0; i < 2; i++)
		taken[shm_worker_claim(scene.shm, taken, 3, i, clock_ms())] = true;
}

static const struct {
	const char *name;
	void (*op)(void);
	unsigned at_least;
} ops[] = {
	{ "burials", do_bury, 3 * CTR_MAX },
	{ "repair", do_repair, 3 * CTR_MAX },
	{ "claims", do_claim, 3 * CTR_MAX },
	{ "carry", do_carry, 50 },
	{ "sweep", do_sweep, 4 },
};

static void
scene_anew(void)
{
	static const struct conf conf = { .npools = 0 };

	shm_close(scene.shm);
	scene_setup();
	shm_table_resize(scene.shm, &conf, true);
	tables_fill();
}

static void
assert_all(const char *name, unsigned k)
{
	bool lives[SHM_WORKERS] = { [ALIVE] = true };
	char what[64];

	snprintf(what, sizeof(what), "%s killed at %u", name, k);
	shm_repair(scene.shm, lives);
	tables_hold(what);
	shm_repair(scene.shm, lives);
	tables_hold(what);
}

/* What each table's processes do. */
START_TEST(test_crash_of_a_table)
{
	const char *name = shm_tables[_i]->name;

	for (unsigned k = 1;; k++) {
		bool is_killed;

		scene_anew();
		is_killed = crash_at(tables[_i].act, k);
		assert_all(name, k);
		if (is_killed)
			continue;
		ck_assert_msg(k - 1 >= tables[_i].at_least, "%s: only %u fail points", name, k - 1);
		break;
	}
}
END_TEST

/* Long rows of the same write, as a burial's: of what is far in them a part is enough where every
   point is met elsewhere. */
static unsigned
step(unsigned k)
{
	return k < 2 * CTR_MAX ? k + 1 : k + 5;
}

/* What the master does with all of them, after VICTIM was killed in the middle of each. */
START_TEST(test_crash_of_the_master)
{
	for (unsigned k = 1;; k = step(k)) {
		bool is_killed;

		scene_anew();
		fresh = shm_create();
		for (unsigned i = 0; i < TABLES; i++)
			crash_at(tables[i].act, 1 + k % tables[i].at_least);
		is_killed = crash_at(ops[_i].op, k);
		shm_close(fresh);
		assert_all(ops[_i].name, k);
		if (is_killed)
			continue;
		ck_assert_msg(
		    k - 1 >= ops[_i].at_least, "%s: only %u fail points", ops[_i].name, k - 1);
		break;
	}
}
END_TEST

/* A master killed while it carries over leaves a segment that nobody knows; the next one begins
   again, from one that a worker may have been killed in. */
START_TEST(test_crash_then_carry)
{
	bool is_killed = true;

	for (unsigned k = 1; is_killed; k = step(k)) {
		struct shm *from;
		char what[64];

		scene_anew();
		is_killed = crash_at(tables[_i].act, k);
		snprintf(what, sizeof(what), "%s killed at %u, carried", shm_tables[_i]->name, k);
		from = scene.shm;
		scene.shm = shm_create();
		is_carried = true;
		shm_carry(scene.shm, from);
		tables_hold(what);
		shm_repair(scene.shm, NULL);
		tables_hold(what);
		shm_close(from);
	}
}
END_TEST

Suite *
suite_shm_tables(void)
{
	Suite *s = suite_create("shm_tables");
	TCase *c = tcase_create("shm_tables"), *crash = tcase_create("crash");

	tcase_add_checked_fixture(c, scene_setup, scene_teardown);
	tcase_add_loop_test(c, test_descriptor, 0, TABLES);
	tcase_add_test(c, test_dump);
	tcase_add_test(c, test_sizes);
	tcase_add_test(c, test_sizes_come_late);
	tcase_add_test(c, test_sizes_of_somebody_else);
	tcase_add_test(c, test_sizes_are_carried);
	tcase_add_loop_test(c, test_version, 0, TABLES);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(crash, scene_setup, scene_teardown);
	tcase_set_timeout(crash, 120);
	tcase_add_loop_test(crash, test_crash_of_a_table, 0, TABLES);
	tcase_add_loop_test(crash, test_crash_of_the_master, 0, UNIT_COUNT(ops));
	tcase_add_loop_test(crash, test_crash_then_carry, 0, TABLES);
	suite_add_tcase(s, crash);
	return s;
}

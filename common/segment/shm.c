/*
 * The segment's own tables: the master's words, workers, slots, burials; and every write to them
 * that is more than one store.
 *
 * Invariants, which hold at every instruction, whoever is killed there:
 *  - a FREE row has pid 0, counters 0, no words, and owns no slot;
 *  - a row leaves FREE only by shm_worker_claim and becomes FREE again only at the end of
 *    shm_worker_bury;
 *  - a worker's counters are added to the retired ones exactly once. The sums are first prepared in
 *    the burial table, then the word that names the row makes them count (one store), then they
 *    are copied and the row's own are zeroed, which may be done any number of times;
 *  - shm_total() is right at every point of that.
 *
 * What stands before `counters` in struct shm_worker and before `retired` in struct shm_master
 * keeps its place as long as SHM_VERSION is the same; that is what shm_attach_old() relies on.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "common/base/procid.h"
#include "common/segment/shm_dump.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_map.h"

enum { SHM_READ_TRIES = 64 };

/* The sums of retired and dying counters, valid while the low half of word names a row (row + 1).
   The high half counts, so that a reader notices a change. */
struct shm_burial {
	_Atomic uint64_t word;
	_Atomic uint64_t fold[CTR_MAX];
} __attribute__((aligned(64)));

const struct counter_info counter_info[CTR_MAX] = {
#define COUNTER(id, name, kind, help) [CTR_##id] = { name, kind, help },
#include "common/segment/counters.def"
#undef COUNTER
};

void (*shm_failpoint)(const char *name);

void
shm_point(const char *name)
{
	if (unlikely(shm_failpoint != NULL))
		shm_failpoint(name);
}

static bool
shm_is_gauge(enum counter c)
{
	return counter_info[c].kind[0] == 'g';
}

static struct shm_burial *
shm_burial(const struct shm *s)
{
	return shm_map_row(s, TABLE_BURIAL, 0);
}

struct shm_master *
shm_master(struct shm *s)
{
	struct shm_master *m = shm_map_row(s, TABLE_MASTER, 0);

	must(m != NULL);
	return m;
}

struct shm_worker *
shm_worker(struct shm *s, unsigned row)
{
	return shm_map_row(s, TABLE_WORKERS, row);
}

struct shm_slot *
shm_slot(struct shm *s, unsigned slot)
{
	return shm_map_row(s, TABLE_SLOTS, slot);
}

/* ---- rows ---- */

/* As a burial leaves it. */
static bool
shm_worker_is_clean(struct shm *s, unsigned row)
{
	struct shm_worker *w = shm_worker(s, row);

	if (atomic_load(&w->state) != ROW_FREE || atomic_load(&w->pid))
		return false;
	if (!s->is_old && w->words[0])
		return false;
	for (unsigned c = 0; c < CTR_MAX && !s->is_old; c++)
		if (ctr_get(w, c))
			return false;
	for (unsigned i = 0; i < s->any[TABLE_SLOTS].rows; i++)
		if (shm_slot_owner(s, i) == row + 1)
			return false;
	return true;
}

/* What the row says stands before the transition that makes it count. */
int
shm_worker_claim(
    struct shm *s, const bool taken[SHM_WORKERS], unsigned generation, unsigned seat, uint64_t now)
{
	for (unsigned i = 0; i < s->any[TABLE_WORKERS].rows; i++) {
		struct shm_worker *w = shm_worker(s, i);

		if (taken ? taken[i] : atomic_load(&w->state) != ROW_FREE)
			continue;
		shm_point("claim: row found");
		if (!shm_worker_is_clean(s, i)) {
			atomic_store(&w->state, ROW_DEAD);
			shm_worker_bury(s, i);
		}
		shm_table_clear(s, i);
		atomic_store(&w->generation, generation);
		shm_point("claim: generation");
		atomic_store(&w->seat, seat);
		shm_point("claim: seat");
		atomic_store(&w->started, now);
		shm_point("claim: started");
		atomic_store(&w->heartbeat, now);
		shm_point("claim: heartbeat");
		/* If it does not move somebody writes where he should not. */
		if (!shm_worker_move(w, ROW_FREE, ROW_STARTING))
			atomic_store(&w->state, ROW_STARTING);
		return (int)i;
	}
	return -1;
}

bool
shm_worker_enter(struct shm *s, unsigned row, pid_t pid)
{
	struct shm_worker *w = shm_worker(s, row);

	if (!w)
		return false;
	shm_point("enter: row checked");
	atomic_store(&w->pid, (int32_t)pid);
	shm_point("enter: pid");
	atomic_store(&w->starttime, procid_starttime(pid));
	shm_point("enter: starttime");
	return true;
}

void
shm_worker_restate(struct shm *s, unsigned row, pid_t pid, unsigned generation, unsigned seat)
{
	struct shm_worker *w = shm_worker(s, row);
	uint32_t state;

	if (!w)
		return;
	atomic_store(&w->pid, (int32_t)pid);
	atomic_store(&w->generation, generation);
	atomic_store(&w->seat, seat);
	state = atomic_load(&w->state);
	if (state == ROW_FREE || state >= ROW_DEAD)
		atomic_store(&w->state, ROW_DRAINING);
}

bool
shm_worker_move(struct shm_worker *w, enum row_state from, enum row_state to)
{
	uint32_t expected = from;
	bool moved;

	shm_point("move: before");
	moved = atomic_compare_exchange_strong(&w->state, &expected, to);
	shm_point("move: after");
	return moved;
}

/* Whether the burial table names a row, and which; -1 when not, or when what it says is damaged. */
static int
shm_burial_row(struct shm *s)
{
	unsigned n = (unsigned)(atomic_load(&shm_burial(s)->word) & 0xffffffff);
	struct shm_worker *w = n ? shm_worker(s, n - 1) : NULL;

	return w && atomic_load(&w->state) == ROW_DEAD ? (int)(n - 1) : -1;
}

static void
shm_burial_set(struct shm *s, unsigned n)
{
	struct shm_burial *b = shm_burial(s);
	uint64_t turn = (atomic_load(&b->word) >> 32) + 1;

	atomic_store(&b->word, turn << 32 | n);
}

static void
shm_burial_prepare(struct shm *s, unsigned row)
{
	struct shm_burial *b = shm_burial(s);
	struct shm_worker *w = shm_worker(s, row);

	for (unsigned c = 0; c < CTR_MAX; c++) {
		uint64_t own = shm_is_gauge(c) ? 0 : ctr_get(w, c);

		atomic_store(&b->fold[c], atomic_load(&shm_master(s)->retired[c]) + own);
		shm_point("bury: prepare");
	}
}

/* From here on the prepared sums count; may be done again from any point. */
static void
shm_burial_finish(struct shm *s, unsigned row)
{
	struct shm_burial *b = shm_burial(s);
	struct shm_worker *w = shm_worker(s, row);

	for (unsigned c = 0; c < CTR_MAX; c++) {
		atomic_store(&shm_master(s)->retired[c], atomic_load(&b->fold[c]));
		shm_point("bury: retire");
	}
	for (unsigned c = 0; c < CTR_MAX; c++) {
		atomic_store(&w->counters[c], 0);
		shm_point("bury: clear counter");
	}
	shm_burial_set(s, 0);
	shm_point("bury: counted");
}

static void
shm_worker_fold(struct shm *s, unsigned row)
{
	int unfinished = shm_burial_row(s);

	if (unfinished >= 0)
		shm_burial_finish(s, (unsigned)unfinished);
	if (unfinished == (int)row)
		return;
	shm_burial_prepare(s, row);
	shm_burial_set(s, row + 1);
	shm_point("bury: committed");
	shm_burial_finish(s, row);
}

static void
shm_slots_clear(struct shm *s, unsigned row)
{
	for (unsigned i = 0; i < s->any[TABLE_SLOTS].rows; i++) {
		uint64_t mine = (uint64_t)row + 1;

		if (atomic_compare_exchange_strong(&shm_slot(s, i)->owner, &mine, 0))
			shm_point("bury: slot");
	}
}

void
shm_worker_bury(struct shm *s, unsigned row)
{
	struct shm_worker *w = shm_worker(s, row);

	if (!w || atomic_load(&w->state) == ROW_FREE)
		return;
	atomic_store(&w->state, ROW_DEAD);
	shm_point("bury: dead");
	if (!s->is_old)
		shm_worker_fold(s, row);
	if (!s->is_old)
		memset(w->words, 0, sizeof(w->words));
	shm_point("bury: words");
	shm_table_clear(s, row);
	shm_point("bury: tables");
	atomic_store(&w->starttime, 0);
	shm_point("bury: starttime");
	atomic_store(&w->pid, 0);
	shm_point("bury: pid");
	atomic_store(&w->state, ROW_FREE);
}

/* A slot whose owner word is damaged, or names a row that nobody has, belongs to nobody. */
static void
shm_slots_repair(struct shm *s)
{
	for (unsigned i = 0; i < s->any[TABLE_SLOTS].rows; i++) {
		struct shm_slot *slot = shm_slot(s, i);
		uint64_t owner = atomic_load(&slot->owner);
		struct shm_worker *w = NULL;

		if (owner == 0)
			continue;
		if (owner <= s->any[TABLE_WORKERS].rows)
			w = shm_worker(s, (unsigned)owner - 1);
		if (!w || atomic_load(&w->state) == ROW_FREE)
			atomic_compare_exchange_strong(&slot->owner, &owner, 0);
	}
}

void
shm_repair(struct shm *s, const bool lives[SHM_WORKERS])
{
	int unfinished = s->is_old ? -1 : shm_burial_row(s);

	if (unfinished >= 0 && !(lives && lives[unfinished]))
		shm_worker_bury(s, (unsigned)unfinished);
	else if (!s->is_old && (atomic_load(&shm_burial(s)->word) & 0xffffffff))
		shm_burial_set(s, 0);
	for (unsigned i = 0; i < s->any[TABLE_WORKERS].rows; i++) {
		if (!(lives && lives[i]))
			shm_worker_bury(s, i);
	}
	shm_table_repair(s);
}

/* ---- sums ---- */

static uint64_t
shm_sum(struct shm *s, enum counter c, unsigned folded)
{
	uint64_t sum = 0;

	if (folded && folded <= SHM_WORKERS)
		sum = atomic_load(&shm_burial(s)->fold[c]);
	else
		sum = atomic_load(&shm_master(s)->retired[c]);
	for (unsigned i = 0; i < s->any[TABLE_WORKERS].rows; i++) {
		struct shm_worker *w = shm_worker(s, i);
		uint32_t state = atomic_load(&w->state);

		if (state == ROW_FREE || i + 1 == folded)
			continue;
		if (state == ROW_DEAD && shm_is_gauge(c))
			continue;
		sum += ctr_get(w, c);
	}
	return sum;
}

uint64_t
shm_total(struct shm *s, enum counter c)
{
	uint64_t before, sum = 0;

	if ((unsigned)c >= CTR_MAX || s->is_old)
		return 0;
	for (int try = 0; try < SHM_READ_TRIES; try++) {
		before = atomic_load(&shm_burial(s)->word);
		sum = shm_sum(s, c, (unsigned)(before & 0xffffffff));
		if (atomic_load(&shm_burial(s)->word) == before)
			break;
	}
	return sum;
}

/* The row whose burial is committed in a segment that may be of another layout, + 1; 0: none. */
static uint64_t
shm_carry_folded(const struct shm *from)
{
	uint64_t word = atomic_load(&shm_burial(from)->word) & 0xffffffff;

	return word <= from->any[TABLE_WORKERS].rows ? word : 0;
}

/* A number of a row, at that offset; 0 where the row is shorter. */
static uint64_t
shm_carry_number(const struct shm *from, enum shm_table_id id, unsigned row, size_t at)
{
	const char *p = shm_map_row(from, id, row);
	uint64_t v = 0;

	if (p && at + sizeof(v) <= from->any[id].row)
		memcpy(&v, p + at, sizeof(v));
	return v;
}

/* The totals of one counter in a segment of another layout, where it stands at index i: as
   shm_sum() has them. A master that was killed may have left a burial half done. */
static uint64_t
shm_carry_total(const struct shm *from, unsigned i)
{
	uint64_t folded = shm_carry_folded(from), sum;

	i *= sizeof(uint64_t);
	if (folded)
		sum =
		    shm_carry_number(from, TABLE_BURIAL, 0, offsetof(struct shm_burial, fold) + i);
	else
		sum = shm_carry_number(
		    from, TABLE_MASTER, 0, offsetof(struct shm_master, retired) + i);
	for (unsigned r = 0; r < from->any[TABLE_WORKERS].rows; r++)
		if (r + 1 != folded)
			sum += shm_carry_number(
			    from, TABLE_WORKERS, r, offsetof(struct shm_worker, counters) + i);
	return sum;
}

/* Counters are matched by name: another binary may have others, elsewhere. */
static void
shm_carry_counters(struct shm *to, const struct shm *from)
{
	unsigned n = (unsigned)(from->any[TABLE_NAMES].rows);

	for (unsigned i = 0; i < n; i++) {
		const struct shm_name *name = shm_map_row(from, TABLE_NAMES, i);

		for (unsigned c = 0; c < CTR_MAX; c++)
			if (!shm_is_gauge(c) &&
			    strncmp(name->name, counter_info[c].name, SHM_NAME) == 0)
				atomic_store(&shm_master(to)->retired[c], shm_carry_total(from, i));
	}
}

static void
shm_carry_master(struct shm *to, const struct shm *from)
{
	/* What stands before the counters is the same in every layout of this version. */
	memcpy(shm_master(to), shm_map_row(from, TABLE_MASTER, 0),
	    offsetof(struct shm_master, retired));
	atomic_store(&shm_master(to)->hung, 0);
	if (atomic_load(&shm_master(to)->started) > (uint64_t)clock_wall())
		atomic_store(&shm_master(to)->started, 0); /* nonsense: as if it was the first */
}

void
shm_carry(struct shm *to, const struct shm *from)
{
	shm_table_carry(to, from);
}

/* ---- slots ---- */

bool
shm_slot_claim(struct shm *s, unsigned slot, uint64_t expected, unsigned row)
{
	struct shm_slot *cell = shm_slot(s, slot);
	bool claimed;

	if (!cell || row >= s->any[TABLE_WORKERS].rows)
		return false;
	shm_point("slot: before");
	claimed = atomic_compare_exchange_strong(&cell->owner, &expected, (uint64_t)row + 1);
	shm_point("slot: after");
	return claimed;
}

uint64_t
shm_slot_owner(struct shm *s, unsigned slot)
{
	struct shm_slot *cell = shm_slot(s, slot);

	return cell ? atomic_load(&cell->owner) : 0;
}

/* ---- the tables ---- */

static bool
shm_burial_dump(struct shm *s, unsigned row, struct json *j)
{
	uint64_t word = atomic_load(&shm_burial(s)->word);

	(void)row;
	json_u64(j, "buried", word >> 32);
	if (word & 0xffffffff)
		json_u64(j, "unfinished", (word & 0xffffffff) - 1);
	return word != 0;
}

const struct shm_table shm_table_master = {
	.name = "master",
	.row = sizeof(struct shm_master),
	.rows = 1,
	.least = offsetof(struct shm_master, retired),
	.is_needed = true,
	.carry = shm_carry_master,
	.dump = shm_dump_master,
};

const struct shm_table shm_table_workers = {
	.name = "workers",
	.row = sizeof(struct shm_worker),
	.rows = SHM_WORKERS,
	.least = offsetof(struct shm_worker, counters),
	.is_needed = true,
	.dump = shm_dump_worker,
};

const struct shm_table shm_table_slots = {
	.name = "slots",
	.row = sizeof(struct shm_slot),
	.rows = SHM_SLOTS,
	.least = sizeof(uint64_t),
	.is_needed = true,
	.clear = shm_slots_clear,
	.repair = shm_slots_repair,
	.dump = shm_dump_slot,
};

const struct shm_table shm_table_burial = {
	.name = "burial",
	.row = sizeof(struct shm_burial),
	.rows = 1,
	.least = sizeof(uint64_t),
	.is_needed = true,
	.dump = shm_burial_dump,
};

const struct shm_table shm_table_names = {
	.name = "names",
	.row = sizeof(struct shm_name),
	.rows = CTR_MAX,
	.least = SHM_NAME,
	.is_needed = true,
	.carry = shm_carry_counters,
	.dump = shm_dump_name,
};

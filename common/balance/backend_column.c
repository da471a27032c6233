/*
 * Requests in flight and in queues: a column per worker, written by that worker alone, so that its
 * death leaks nothing.
 *
 * A pick that must be exact (the shortest queue, the last place of a host) goes in turns of its
 * pool: read the turn's number, add up the columns, choose, note the choice in the own column as
 * unsure with that number, and confirm by moving the turn on (compare-and-swap). One of all that
 * decided in the same turn wins; the others take their note back and look again. An unsure note
 * counts for others only if that worker has won the note's turn; the turn's word has the winners of
 * the last three turns. Older unsure notes (of a worker that was stopped between two instructions)
 * count.
 */
#include "common/balance/backend_cell.h"

enum { CELL_COUNT = (1 << 20) - 1, CELL_UNSURE = 1 << 20, CELL_TURN = 24, TURN_WINNERS = 3 };
enum { TURN_BITS = 40 };

static const uint64_t TURN_MASK = ((uint64_t)1 << TURN_BITS) - 1;

/* The worker's cell for a row; its column is marked as one that may hold something. */
static struct backend_column *
column_own(struct shm *s, unsigned worker_row)
{
	struct backend_column *col = shm_backend_column(s, worker_row);
	struct backend_common *common = shm_backend_common(s);
	uint64_t bit = (uint64_t)1 << worker_row % 64;

	if (!col || !common)
		return NULL;
	if (!(atomic_load_explicit(&common->live[worker_row / 64], memory_order_relaxed) & bit)) {
		atomic_fetch_or(&common->live[worker_row / 64], bit);
		shm_point("column: live");
	}
	return col;
}

static uint64_t
column_live(struct shm *s, unsigned i)
{
	struct backend_common *common = shm_backend_common(s);

	return common ? atomic_load_explicit(&common->live[i], memory_order_relaxed) : 0;
}

void
backend_take(struct shm *s, unsigned worker_row, unsigned row)
{
	struct backend_column *col = column_own(s, worker_row);
	uint64_t n;

	if (!col || row >= BACKEND_ROWS)
		return;
	n = atomic_load_explicit(&col->in_flight[row], memory_order_relaxed) & CELL_COUNT;
	if (n < CELL_COUNT)
		atomic_store_explicit(&col->in_flight[row], n + 1, memory_order_release);
}

void
backend_release(struct shm *s, unsigned worker_row, unsigned row)
{
	struct backend_column *col = shm_backend_column(s, worker_row);
	uint64_t n;

	if (!col || row >= BACKEND_ROWS)
		return;
	n = atomic_load_explicit(&col->in_flight[row], memory_order_relaxed) & CELL_COUNT;
	if (n > 0)
		atomic_store_explicit(&col->in_flight[row], n - 1, memory_order_release);
}

uint64_t
backend_turn(struct shm *s, unsigned pool_row)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	return p ? atomic_load(&p->turn) : 0;
}

/* Whether a note of that turn counts now. */
static bool
column_counts(uint64_t cell, uint64_t turn, unsigned worker_row)
{
	uint64_t ago = (turn - (cell >> CELL_TURN)) & TURN_MASK;

	if (!(cell & CELL_UNSURE) || ago == 0)
		return false;
	return ago > TURN_WINNERS || (turn >> (TURN_BITS + 8 * (ago - 1)) & 255) == worker_row;
}

unsigned
backend_load(struct shm *s, unsigned row, uint64_t turn)
{
	unsigned sum = 0;

	if (row >= BACKEND_ROWS)
		return 0;
	for (unsigned i = 0; i < SHM_WORKERS / 64; i++) {
		for (uint64_t live = column_live(s, i); live; live &= live - 1) {
			unsigned w = i * 64 + (unsigned)__builtin_ctzll(live);
			struct backend_column *col = shm_backend_column(s, w);
			uint64_t cell;

			if (!col)
				continue;
			cell = atomic_load_explicit(&col->in_flight[row], memory_order_acquire);
			sum += (unsigned)(cell & CELL_COUNT) + column_counts(cell, turn, w);
		}
	}
	return sum;
}

bool
backend_take_in_turn(
    struct shm *s, unsigned worker_row, unsigned row, unsigned pool_row, uint64_t turn)
{
	struct backend_column *col = column_own(s, worker_row);
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint64_t n, next, seen = turn;

	if (!col || !p || row >= BACKEND_ROWS)
		return false;
	n = atomic_load_explicit(&col->in_flight[row], memory_order_relaxed) & CELL_COUNT;
	if (n == CELL_COUNT)
		return false;
	next = (turn >> TURN_BITS << 8 | (worker_row & 255)) << TURN_BITS;
	next |= (turn + 1) & TURN_MASK;
	atomic_store_explicit(&col->in_flight[row],
	    n | CELL_UNSURE | (turn & TURN_MASK) << CELL_TURN, memory_order_release);
	shm_point("take: unsure");
	if (atomic_compare_exchange_strong(&p->turn, &seen, next)) {
		shm_point("take: confirmed");
		n++;
	}
	atomic_store_explicit(&col->in_flight[row], n, memory_order_release);
	shm_point("take: sure");
	return seen == turn;
}

unsigned
backend_in_flight(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);

	return c ? backend_load(s, row, backend_turn(s, atomic_load(&c->pool_row))) : 0;
}

void
backend_queue(struct shm *s, unsigned worker_row, unsigned pool_row, int delta)
{
	struct backend_column *col = column_own(s, worker_row);
	uint32_t n;

	if (!col || pool_row >= BACKEND_POOLS)
		return;
	n = atomic_load_explicit(&col->queued[pool_row], memory_order_relaxed);
	if (delta < 0 && n < (uint32_t)-delta)
		delta = -(int)n;
	atomic_store_explicit(&col->queued[pool_row], n + (uint32_t)delta, memory_order_release);
}

unsigned
backend_queued(struct shm *s, unsigned pool_row)
{
	unsigned sum = 0;

	if (pool_row >= BACKEND_POOLS)
		return 0;
	for (unsigned i = 0; i < SHM_WORKERS / 64; i++) {
		for (uint64_t live = column_live(s, i); live; live &= live - 1) {
			unsigned w = i * 64 + (unsigned)__builtin_ctzll(live);
			struct backend_column *col = shm_backend_column(s, w);

			sum += col ? atomic_load(&col->queued[pool_row]) : 0;
		}
	}
	return sum;
}

/* ---- after a death ---- */

static void
column_clear(struct shm *s, struct backend_column *col)
{
	unsigned reach = backend_reach(s), pools = backend_pool_reach(s);

	for (unsigned i = 0; i < reach; i++) {
		if (atomic_load_explicit(&col->in_flight[i], memory_order_relaxed) == 0)
			continue;
		atomic_store(&col->in_flight[i], 0);
		shm_point("column: in flight");
	}
	for (unsigned i = 0; i < pools; i++) {
		if (atomic_load_explicit(&col->queued[i], memory_order_relaxed) == 0)
			continue;
		atomic_store(&col->queued[i], 0);
		shm_point("column: queued");
	}
}

static void
column_clear_row(struct shm *s, unsigned worker_row)
{
	struct backend_column *col = shm_backend_column(s, worker_row);

	if (col)
		column_clear(s, col);
}

/* Goes last: until then somebody may come and clear the column again. */
static void
column_clear_live(struct shm *s, unsigned worker_row)
{
	struct backend_common *common = shm_backend_common(s);

	atomic_fetch_and(&common->live[worker_row / 64], ~((uint64_t)1 << worker_row % 64));
	shm_point("column: not live");
}

/* A burial was not finished, or somebody writes where he should not. */
static void
column_repair(struct shm *s)
{
	for (unsigned row = 0; row < SHM_WORKERS; row++) {
		struct shm_worker *w = shm_worker(s, row);
		uint64_t live = column_live(s, row / 64) >> row % 64 & 1;

		if (w && live && atomic_load(&w->state) == ROW_FREE)
			shm_table_clear(s, row);
	}
}

/* What the worker has altogether: a cell for each host would be a long line. Rows that were never
   live are not looked at: that would cost memory. */
static bool
column_dump(struct shm *s, unsigned worker_row, struct json *j)
{
	struct backend_column *col = shm_backend_column(s, worker_row);
	unsigned reach = backend_reach(s), pools = backend_pool_reach(s);
	uint64_t in_flight = 0, unsure = 0, queued = 0;

	if (!(column_live(s, worker_row / 64) >> worker_row % 64 & 1))
		return false;
	for (unsigned i = 0; col && i < reach; i++) {
		uint64_t cell = atomic_load(&col->in_flight[i]);

		in_flight += cell & CELL_COUNT;
		unsure += (cell & CELL_UNSURE) != 0;
	}
	for (unsigned i = 0; col && i < pools; i++)
		queued += atomic_load(&col->queued[i]);
	json_u64(j, "in_flight", in_flight);
	json_u64(j, "unsure", unsure);
	json_u64(j, "queued", queued);
	return true;
}

static bool
column_dump_live(struct shm *s, unsigned row, struct json *j)
{
	uint64_t any = 0;

	(void)row;
	json_array(j, "live");
	for (unsigned i = 0; i < SHM_WORKERS / 64; i++) {
		any |= column_live(s, i);
		for (uint64_t live = column_live(s, i); live; live &= live - 1)
			json_u64(j, NULL, i * 64 + (unsigned)__builtin_ctzll(live));
	}
	json_array_end(j);
	return any != 0;
}

const struct shm_table backend_table_columns = {
	.name = "columns",
	.row = sizeof(struct backend_column),
	.rows = SHM_WORKERS,
	.clear = column_clear_row,
	.dump = column_dump,
};

const struct shm_table backend_table_common = {
	.name = "common",
	.row = sizeof(struct backend_common),
	.rows = 1,
	.clear = column_clear_live,
	.repair = column_repair,
	.dump = column_dump_live,
};

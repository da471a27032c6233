/* The table of uploads as the segment's core sees it, see progress.h. */
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/config/conf_server.h"
#include "common/segment/progress.h"

/* Twice as many rows as uploads, so that a window is hardly ever full; powers of two, and the first
   row. Nothing is tracked: the least. */
static unsigned
progress_table_wanted(const struct conf *conf)
{
	int64_t uploads = conf_server_int(conf, PROGRESS_UPLOADS_OPTION, 0);
	unsigned rows = PROGRESS_WINDOW;

	while (rows < PROGRESS_ROWS - 1 && rows < 2 * uploads)
		rows *= 2;
	return rows + 1;
}

static void
progress_table_carry(struct shm *to, const struct shm *from)
{
	unsigned rows =
	    from->own[TABLE_PROGRESS].rows ? progress_reach(from) : from->any[TABLE_PROGRESS].rows;

	for (unsigned i = 1; i < rows; i++) {
		size_t bytes;
		const struct progress_row *old = shm_table_old(from, TABLE_PROGRESS, i, &bytes);

		if (old && bytes >= sizeof(*old))
			progress_copy(to, old);
	}
}

static void
progress_table_clear(struct shm *s, unsigned worker_row)
{
	unsigned reach = progress_reach(s);

	if (!progress_had(s, worker_row))
		return;
	for (unsigned row = 1; row < reach; row++)
		progress_bury(s, row, worker_row);
	progress_forget(s, worker_row);
}

static void
progress_table_repair(struct shm *s)
{
	uint64_t now = clock_ms();
	unsigned reach = progress_reach(s);

	for (unsigned row = 1; row < reach; row++) {
		struct progress_row *p = progress_row(s, row);
		unsigned worker = (unsigned)(atomic_load(&p->mark) >> 8) & 255;
		struct shm_worker *w = shm_worker(s, worker);

		if (!progress_tidy(s, row, now))
			continue;
		if (!w || atomic_load(&w->state) == ROW_FREE)
			progress_bury(s, row, worker);
	}
}

/* Those of a size that the table had are gone when nobody uses them any more. */
static void
progress_table_sweep(struct shm *s, uint64_t now, uint64_t ms)
{
	unsigned reach = progress_reach(s), used = 1;

	(void)ms;
	if (reach == 0)
		return;
	for (unsigned row = 1; row < reach; row++)
		if (progress_tidy(s, row, now))
			used = row + 1;
	shm_table_reach(s, TABLE_PROGRESS, used);
}

/* Without the ID: who has it may read what its owner does. */
static bool
progress_table_dump(struct shm *s, unsigned row, struct json *j)
{
	struct progress_view v;

	if (!progress_at(s, row, &v))
		return false;
	json_str(j, "site", str_of(v.site));
	json_str(j, "state", str_of(progress_state_name(v.figures.state)));
	json_bool(j, "live", v.is_live);
	json_u64(j, "worker", v.worker);
	json_i64(j, "received", v.figures.received);
	json_i64(j, "size", v.size);
	json_i64(j, "forwarded", v.figures.forwarded);
	json_i64(j, "status", v.figures.status);
	json_u64(j, "age_ms", v.age_ms);
	return true;
}

const struct shm_table progress_table = {
	.name = "uploads",
	.row = sizeof(struct progress_row),
	.rows = PROGRESS_ROWS,
	.least = sizeof(struct progress_row),
	.wanted = progress_table_wanted,
	.carry = progress_table_carry,
	.clear = progress_table_clear,
	.repair = progress_table_repair,
	.sweep = progress_table_sweep,
	.dump = progress_table_dump,
};

/*
 * The two rings as one: what the master has said, which this process can only read, and what
 * workers say, which stands in the segment. A list is in the order of time; within a ring, in that
 * of the ring. Neither ring can push the other's entries out of it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/must.h"
#include "common/segment/history.h"
#include "common/segment/shm_table.h"

static const struct history_row *history_master;

void
history_set_master(const struct history_row *rows)
{
	history_master = rows;
}

struct history_row *
history_rows(const struct shm *shm)
{
	return shm_table_row(shm, TABLE_HISTORY, sizeof(struct history_row), 0);
}

/* ---- the table ---- */

/* The seat of a worker + 1; 0: it is none. */
static uint32_t
history_seat(struct shm *shm, pid_t pid)
{
	for (unsigned row = 0; row < SHM_WORKERS; row++) {
		struct shm_worker *w = shm_worker(shm, row);

		if (w && atomic_load(&w->pid) == (int32_t)pid)
			return atomic_load(&w->seat) + 1;
	}
	return 0;
}

/* Its length is the same in every version: old rows are found from the first. */
static void
history_table_carry(struct shm *to, const struct shm *from)
{
	size_t bytes;
	const struct history_row *old = shm_table_old(from, TABLE_HISTORY, 0, &bytes);
	const struct history_row *last =
	    shm_table_old(from, TABLE_HISTORY, HISTORY_ROWS - 1, &bytes);

	if (old && last && bytes == sizeof(*old))
		history_carry(history_rows(to), old, HISTORY_ROWS);
}

static void
history_table_clear(struct shm *shm, unsigned worker_row)
{
	struct shm_worker *w = shm_worker(shm, worker_row);
	pid_t pid = w ? (pid_t)atomic_load(&w->pid) : 0;

	if (pid > 0)
		history_clear(history_rows(shm), pid);
}

/* Only workers write here: a writer without a row in the table of workers is dead, or was none. */
static void
history_table_repair(struct shm *shm)
{
	struct history_row *rows = history_rows(shm);

	history_repair(rows);
	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		pid_t writer = history_writer(&rows[i]);

		if (writer && !history_seat(shm, writer))
			history_clear(rows, writer);
	}
}

void
history_json(struct json *j, const struct history_entry *entry)
{
	const struct history_event *e = &entry->event;

	json_u64(j, "sequence", entry->sequence);
	json_str(j, "by", entry->by == HISTORY_BY_MASTER ? STR("master") : STR("worker"));
	json_str(j, "kind", str_of(history_info[e->kind].word));
	json_i64(j, "time_ms", e->time);
	json_i64(j, "first_ms", e->first);
	json_u64(j, "times", e->times);
	if (e->pid)
		json_i64(j, "pid", e->pid);
	else
		json_null(j, "pid");
	if (e->worker)
		json_u64(j, "worker", e->worker - 1);
	else
		json_null(j, "worker");
	json_str(j, "text", str_of(e->text));
}

static bool
history_table_dump(struct shm *shm, unsigned row, struct json *j)
{
	struct history_entry one = { .by = HISTORY_BY_WORKER };

	if (row >= HISTORY_ROWS || !history_get(&history_rows(shm)[row], history_now(), &one))
		return false;
	history_json(j, &one);
	return true;
}

const struct shm_table history_table = {
	.name = "events",
	.row = sizeof(struct history_row),
	.rows = HISTORY_ROWS,
	.least = sizeof(struct history_row),
	.carry = history_table_carry,
	.clear = history_table_clear,
	.repair = history_table_repair,
	.dump = history_table_dump,
};

/* ---- saying ---- */

void
history_say(struct shm *shm, enum history_kind kind, uint64_t key, const char *fmt, ...)
{
	struct history_row *rows = history_rows(shm);
	struct history_event e = { .key = key, .kind = kind, .time = history_now() };
	va_list ap;

	if (!rows)
		return;
	e.pid = (int32_t)getpid();
	e.worker = history_seat(shm, getpid());
	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	history_add(rows, &e, getpid());
}

bool
history_was_last(struct shm *shm, enum history_kind kind, enum history_kind other, uint64_t key)
{
	struct history_row *rows = history_rows(shm);
	uint64_t last[HISTORY_KINDS] = { 0 };
	int64_t now = history_now();
	struct history_entry one;

	for (unsigned i = 0; rows && i < HISTORY_ROWS; i++)
		if (history_get(&rows[i], now, &one) && one.event.key == key &&
		    one.sequence > last[one.event.kind])
			last[one.event.kind] = one.sequence;
	return last[kind] > last[other];
}

/* ---- both rings as one ---- */

/* How many of a's entries are shown when b has some as well. */
static unsigned
history_share(unsigned a, unsigned b, unsigned most)
{
	unsigned half = most / 2, left = b < most ? most - b : 0;
	unsigned share = left > half ? left : half;

	return a < share ? a : share;
}

/* Takes from the end of each what is shown, and puts both in the order of time. */
static unsigned
history_merge(struct history_entry *out, const struct history_entry *a, unsigned na,
    const struct history_entry *b, unsigned nb)
{
	unsigned i = 0, k = 0;

	while (i < na || k < nb) {
		bool is_a = k == nb || (i < na && a[i].event.time <= b[k].event.time);

		out[i + k] = is_a ? a[i] : b[k];
		i += is_a;
		k += !is_a;
	}
	return na + nb;
}

struct history_entry *
history_take(struct shm *shm, unsigned most, unsigned *n)
{
	struct history_entry *all = must_calloc(2 * HISTORY_ROWS, sizeof(*all)), *out;
	struct history_entry *said = all + HISTORY_ROWS;
	const struct history_row *rows = history_rows(shm);
	int64_t now = history_now();
	unsigned nall = 0, nsaid = 0, shown, shown_said;

	if (history_master)
		nall = history_read(history_master, HISTORY_BY_MASTER, now, all);
	if (rows)
		nsaid = history_read(rows, HISTORY_BY_WORKER, now, said);
	shown = history_share(nall, nsaid, most);
	shown_said = history_share(nsaid, shown, most);
	out = must_calloc(shown + shown_said, sizeof(*out));
	*n = history_merge(out, all + nall - shown, shown, said + nsaid - shown_said, shown_said);
	free(all);
	return out;
}

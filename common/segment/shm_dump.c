/* The segment as text, see shm_dump.h. */
#include <string.h>

#include "common/base/plain.h"
#include "common/segment/shm_dump.h"
#include "common/segment/shm_map.h"

/* ---- the walk ---- */

static bool
shm_dump_row(struct shm *s, unsigned table, unsigned row, struct text *out)
{
	size_t before = out->n;
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "table", str_of(shm_tables[table]->name));
	json_u64(&j, "row", row);
	if (!shm_tables[table]->dump(s, row, &j)) {
		out->n = before;
		return false;
	}
	json_object_end(&j);
	text_add(out, "\n", 1);
	return true;
}

unsigned
shm_dump_table(struct shm *s, unsigned table, struct text *out)
{
	unsigned rows = shm_table_extent(s, (enum shm_table_id)table).reach, used = 0;
	struct text none = { 0 };

	for (unsigned row = 0; shm_tables[table]->dump && row < rows; row++) {
		used += shm_dump_row(s, table, row, out ? out : &none);
		none.n = 0;
	}
	text_free(&none);
	return used;
}

static void
shm_dump_head(struct shm *s, unsigned table, unsigned used, struct text *out)
{
	const struct shm_table *t = shm_tables[table];
	struct shm_extent e = shm_table_extent(s, (enum shm_table_id)table);
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "table", str_of(t->name));
	json_u64(&j, "version", t->version);
	json_u64(&j, "octets", t->row);
	json_u64(&j, "rows", s->own[table].rows);
	json_u64(&j, "size", e.size);
	json_u64(&j, "reach", e.reach);
	if (t->dump)
		json_u64(&j, "used", used);
	json_object_end(&j);
	text_add(out, "\n", 1);
}

void
shm_dump(struct shm *s, struct text *out)
{
	for (unsigned i = 0; i < TABLES; i++) {
		struct text rows = { 0 };
		unsigned used = shm_dump_table(s, i, &rows);

		shm_dump_head(s, i, used, out);
		text_add(out, rows.p, rows.n);
		text_free(&rows);
	}
}

/* ---- the segment's own tables ---- */

static void
shm_dump_text(struct json *j, const char *name, const char *from, size_t size)
{
	char text[SHM_WORDS];

	plain_copy(text, from, size < sizeof(text) ? size : sizeof(text));
	if (*text)
		json_str(j, name, str_of(text));
}

bool
shm_dump_master(struct shm *s, unsigned row, struct json *j)
{
	struct shm_master *m = shm_master(s);

	(void)row;
	json_i64(j, "pid", atomic_load(&m->pid));
	json_u64(j, "generation", atomic_load(&m->generation));
	json_u64(j, "workers", atomic_load(&m->workers));
	json_u64(j, "slots", atomic_load(&m->slots));
	json_u64(j, "started", atomic_load(&m->started));
	json_u64(j, "stopping", atomic_load(&m->stopping));
	json_u64(j, "hung", atomic_load(&m->hung));
	shm_dump_text(j, "reload_error", m->reload_error, sizeof(m->reload_error));
	for (unsigned c = 0; c < CTR_MAX; c++)
		if (atomic_load(&m->retired[c]))
			json_u64(j, counter_info[c].name, atomic_load(&m->retired[c]));
	return true;
}

bool
shm_dump_worker(struct shm *s, unsigned row, struct json *j)
{
	struct shm_worker *w = shm_worker(s, row);

	if (!w || atomic_load(&w->state) == ROW_FREE)
		return false;
	json_u64(j, "state", atomic_load(&w->state));
	json_i64(j, "pid", atomic_load(&w->pid));
	json_u64(j, "generation", atomic_load(&w->generation));
	json_u64(j, "seat", atomic_load(&w->seat));
	json_u64(j, "heartbeat", atomic_load(&w->heartbeat));
	json_u64(j, "started", atomic_load(&w->started));
	shm_dump_text(j, "words", w->words, sizeof(w->words));
	for (unsigned c = 0; c < CTR_MAX; c++)
		if (ctr_get(w, (enum counter)c))
			json_u64(j, counter_info[c].name, ctr_get(w, (enum counter)c));
	return true;
}

bool
shm_dump_slot(struct shm *s, unsigned row, struct json *j)
{
	uint64_t owner = shm_slot_owner(s, row);

	if (owner)
		json_u64(j, "owner", owner - 1);
	return owner != 0;
}

bool
shm_dump_name(struct shm *s, unsigned row, struct json *j)
{
	const struct shm_name *n = shm_map_row(s, TABLE_NAMES, row);

	if (n)
		shm_dump_text(j, "name", n->name, sizeof(n->name));
	return n && n->name[0];
}

bool
shm_dump_room(struct shm *s, unsigned row, struct json *j)
{
	struct shm_room *room = row < TABLES ? shm_table_room(s, (enum shm_table_id)row) : NULL;

	if (!room || (!atomic_load(&room->claiming) && !atomic_load(&room->size)))
		return false;
	json_str(j, "of", str_of(shm_tables[row]->name));
	json_u64(j, "claiming", atomic_load(&room->claiming));
	json_u64(j, "size", atomic_load(&room->size));
	json_u64(j, "reach", atomic_load(&room->reach));
	return true;
}

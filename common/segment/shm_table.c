/* The tables of the segment as a list: walks over their descriptors, see shm_table.h. */
#include "common/segment/shm_dump.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_table.h"

const struct shm_table *const shm_tables[TABLES] = {
#define TABLE(id, descriptor) [TABLE_##id] = &(descriptor),
#include "common/segment/shm_tables.def"
#undef TABLE
};

const void *
shm_table_old(const struct shm *s, enum shm_table_id id, unsigned row, size_t *bytes)
{
	const struct shm_place *p = &s->any[id];

	*bytes = p->row;
	return row < p->rows ? p->base + (size_t)row * p->row : NULL;
}

/* Rows that are found by name were spread over the size that the table had there: with another size
   a few rows could lie far apart. The size in the other segment is only a hint. */
static void
shm_extent_carry(struct shm *to, const struct shm *from, unsigned i)
{
	struct shm_room *room = shm_table_room(from, (enum shm_table_id)i);
	unsigned rows = room ? atomic_load(&room->size) : 0;

	if (shm_tables[i]->wanted && from->any[i].rows && to->extent[i].size == 0)
		to->extent[i].size = rows && rows < from->any[i].rows ? rows : from->any[i].rows;
}

void
shm_table_carry(struct shm *to, const struct shm *from)
{
	/* All before any: rows of one table may bring those of another. */
	for (unsigned i = 0; i < TABLES; i++)
		shm_extent_carry(to, from, i);
	for (unsigned i = 0; i < TABLES; i++)
		if (shm_tables[i]->carry && from->any[i].rows && to->own[i].rows)
			shm_tables[i]->carry(to, from);
}

void
shm_table_clear(struct shm *s, unsigned worker_row)
{
	for (unsigned i = 0; i < TABLES && worker_row < SHM_WORKERS; i++)
		if (shm_tables[i]->clear && s->own[i].rows)
			shm_tables[i]->clear(s, worker_row);
}

void
shm_table_repair(struct shm *s)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (shm_tables[i]->repair && s->own[i].rows)
			shm_tables[i]->repair(s);
}

void
shm_table_sweep(struct shm *s, uint64_t now, uint64_t ms)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (shm_tables[i]->sweep && s->own[i].rows)
			shm_tables[i]->sweep(s, now, ms);
}

/* ---- how much of them is in use ---- */

/* Nonsense, or a segment where nobody has said: all. */
static struct shm_extent
shm_extent_bound(struct shm_extent e, unsigned rows)
{
	if (e.size == 0 || e.size > rows)
		e.size = rows;
	if (e.reach < e.size || e.reach > rows)
		e.reach = e.reach < e.size ? e.size : rows;
	return e;
}

struct shm_extent
shm_table_extent(const struct shm *s, enum shm_table_id id)
{
	struct shm_room *room = shm_table_room(s, id);
	struct shm_extent e = s->extent[id];

	if (room && !shm_is_owner(s))
		e = (struct shm_extent){ atomic_load(&room->size), atomic_load(&room->reach) };
	return shm_extent_bound(e, s->own[id].rows);
}

static void
shm_room_publish(struct shm *s, enum shm_table_id id)
{
	struct shm_room *room = shm_table_room(s, id);
	struct shm_extent e = shm_table_extent(s, id);

	if (!room || !shm_is_owner(s))
		return;
	/* Larger before, smaller after: nobody claims where nobody looks. */
	if (atomic_load(&room->reach) < e.reach)
		atomic_store(&room->reach, e.reach);
	shm_point("room: reach");
	atomic_store(&room->size, e.size);
	shm_point("room: size");
	atomic_store(&room->reach, e.reach);
}

void
shm_table_resize(struct shm *s, const struct conf *conf, bool may_shrink)
{
	for (unsigned i = 0; i < TABLES; i++) {
		const struct shm_table *t = shm_tables[i];
		struct shm_extent *e = &s->extent[i];
		unsigned n = t->wanted ? t->wanted(conf) : 0, rows = s->own[i].rows;

		if (n == 0)
			continue;
		n = n < rows ? n : rows;
		/* In one that was taken over rows may stand anywhere. */
		if (e->size == 0 && s->is_taken)
			e->reach = rows;
		if (e->size == 0 || n > e->size || may_shrink)
			e->size = n;
		if (e->reach < e->size)
			e->reach = e->size;
		shm_room_publish(s, (enum shm_table_id)i);
	}
}

void
shm_table_claimed(struct shm *s, enum shm_table_id id, unsigned row)
{
	if (s->extent[id].size == 0 && s->extent[id].reach <= row)
		s->extent[id].reach = row + 1;
}

void
shm_table_reach(struct shm *s, enum shm_table_id id, unsigned n)
{
	s->extent[id].reach = n;
	shm_room_publish(s, id);
}

static void
shm_rooms_repair(struct shm *s)
{
	for (unsigned i = 0; i < TABLES; i++)
		shm_room_publish(s, (enum shm_table_id)i);
}

const struct shm_table shm_table_rooms = {
	.name = "rooms",
	.row = sizeof(struct shm_room),
	.rows = SHM_TABLES,
	.repair = shm_rooms_repair,
	.dump = shm_dump_room,
};

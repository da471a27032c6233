/* The tables of the segment as a list: walks over their descriptors, see shm_table.h. */
#include "common/segment/shm_table.h"

const struct shm_table *const shm_tables[TABLES] = {
#define TABLE(id, descriptor) [TABLE_##id] = &(descriptor),
#include "common/segment/shm_tables.def"
#undef TABLE
};

const void *
shm_table_old(const struct shm *s, enum shm_table_id id, unsigned row, size_t *octets)
{
	const struct shm_place *p = &s->any[id];

	*octets = p->row;
	return row < p->rows ? p->base + (size_t)row * p->row : NULL;
}

void
shm_table_carry(struct shm *to, const struct shm *from)
{
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

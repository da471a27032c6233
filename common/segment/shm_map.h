/*
 * How the segment lies in memory: for shm.c. Its header and directory are shm_map.c's alone.
 */
#ifndef SEGMENT_SHM_MAP_H
#define SEGMENT_SHM_MAP_H

#include "common/segment/shm_table.h"

/* The counters by name, for a binary that has others. */
enum { SHM_NAME = 32 };
struct shm_name {
	char name[SHM_NAME];
};

/* A row as long as it is in this segment; NULL when out of bounds. */
static inline void *
shm_map_row(const struct shm *s, enum shm_table_id id, unsigned row)
{
	const struct shm_place *p = &s->any[id];

	return row < p->rows ? p->base + (size_t)row * p->row : NULL;
}

#endif

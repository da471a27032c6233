/*
 * A table of the shared segment: one constant descriptor, as a module has one. The segment's core
 * (shm.c shm_map.c) lays tables out, walks over their descriptors and knows nothing of what stands
 * in them. To add one: a file with its descriptor, and a line in shm_tables.def.
 *
 * A row is a struct of atomics, aligned to 64 bytes where workers write beside each other. Rows
 * begin as zeros, and all zeros means free. The rules of shm.h hold for every table, for each of
 * its hooks as well: a process may be killed at any instruction, and a worker that was taken over
 * may have written anything: call shm_point() between two writes that belong together, and do not
 * follow what stands in a row without a bound.
 *
 * In a segment of another layout (of an older or newer binary) tables are found by name. Where the
 * version is the same, the members that both know stand at the same place: new ones are appended.
 * A change of another kind is a new version; then nothing is carried over and the table begins
 * empty.
 */
#ifndef SEGMENT_SHM_TABLE_H
#define SEGMENT_SHM_TABLE_H

#include "common/base/json.h"
#include "common/segment/shm.h"

struct conf;

enum { SHM_TABLE_NAME = 12 };

struct shm_table {
	char name[SHM_TABLE_NAME]; /* in the segment's directory, with its end */
	uint32_t version;          /* see above; 0 is the first */
	uint32_t row;              /* bytes of a row, a multiple of 8 */
	uint32_t rows;             /* the most that there can be; untouched ones cost no memory */
	uint32_t least; /* bytes of a row that carry relies on; shorter ones are not carried */
	bool is_needed; /* a segment of another layout without it (or a shorter one) is refused */

	/* Every hook may be absent. None is called for a segment that has not the table; clear and
	   repair only where version and size of rows are this binary's. */

	/* How many rows the configuration asks for; as many as there are, at most. Absent: all. */
	unsigned (*wanted)(const struct conf *);
	/* Takes over what is sound in a segment of another layout (shm_table_old()) or of another
	   master (the same layout): by key, not by place. to is fresh. */
	void (*carry)(struct shm *to, const struct shm *from);
	/* The worker of that row is dead, or a new one will get the row: undoes what it had in
	   flight and gives back what it held. Called any number of times. */
	void (*clear)(struct shm *, unsigned worker_row);
	/* The master, once a second and when it takes a segment over: mends what a process that was
	   killed in the middle, or a hostile writer, has left behind. Workers go on using the table
	   meanwhile. */
	void (*repair)(struct shm *);
	/* The master, every few seconds: frees rows that no process has used for ms. now is
	   clock_ms(). */
	void (*sweep)(struct shm *, uint64_t now, uint64_t ms);
	/* Writes the row's members into an open object; false: the row is free. What stands there
	   may be anything, and change meanwhile. */
	bool (*dump)(struct shm *, unsigned row, struct json *);
};

enum shm_table_id {
#define TABLE(id, descriptor) TABLE_##id,
#include "common/segment/shm_tables.def"
#undef TABLE
	TABLES
};
_Static_assert((int)TABLES <= (int)SHM_TABLES, "the directory has room for all tables");

#define TABLE(id, descriptor) extern const struct shm_table descriptor;
#include "common/segment/shm_tables.def"
#undef TABLE
extern const struct shm_table *const shm_tables[TABLES];

/* Where a table lies. */
struct shm_place {
	char *base;
	uint32_t row, rows; /* bytes of a row; 0 rows: there is none */
};

struct shm_extent {
	unsigned size, reach;
};

struct shm {
	/* own: the tables whose version and rows are this binary's, so that a row is known by its
	   struct. any: all that were found, checked: they lie inside. */
	struct shm_place own[TABLES], any[TABLES];
	struct shm_extent extent[TABLES]; /* as the master knows it */
	/* of shm.c and shm_map.c only */
	int fd;
	bool is_old;   /* another layout: counters and words are not where this binary thinks */
	bool is_taken; /* attached, not made */
	uint64_t id;
	pid_t owner;
	char *base;
	size_t size;
};

/* A row of a table whose rows have that size; NULL when out of bounds or when the segment has no
   such table. For each table an inline function with its struct calls this: nothing is looked up.
 */
static inline void *
shm_table_row(const struct shm *s, enum shm_table_id id, size_t size, unsigned row)
{
	const struct shm_place *p = &s->own[id];

	return row < p->rows ? p->base + row * size : NULL;
}

/* For carry: a row of a segment that may be of another layout, and how many bytes of it there are,
   at least `least`; NULL: none. */
const void *shm_table_old(const struct shm *, enum shm_table_id, unsigned row, size_t *bytes);

/* How much of a table is in use, and who may claim in it. Rows from 0 to size are claimed, rows up
   to reach may be in use: beyond it nobody needs to look, and no memory is spent. */
struct shm_room {
	_Atomic uint64_t claiming; /* see shm_keyed.h: pid 31, until (ms) 32 */
	_Atomic uint32_t size, reach;
} __attribute__((aligned(64)));

/* NULL: the segment has none. */
static inline struct shm_room *
shm_table_room(const struct shm *s, enum shm_table_id id)
{
	return shm_table_row(s, TABLE_ROOMS, sizeof(struct shm_room), (unsigned)id);
}

/* How much of the table is in use; never more than its rows, whatever somebody wrote. For the
   master: what it knows itself. */
struct shm_extent shm_table_extent(const struct shm *, enum shm_table_id);
/* Master: as many rows as the configuration asks for. Tables grow before the new workers start, and
   shrink afterwards; rows beyond the size can still be found as long as somebody uses them. */
void shm_table_resize(struct shm *, const struct conf *, bool may_shrink);
/* A row was claimed. Until the table's size is known, the master remembers the highest row. */
void shm_table_claimed(struct shm *, enum shm_table_id, unsigned row);
/* Master: the rows from n on are free. */
void shm_table_reach(struct shm *, enum shm_table_id, unsigned n);

/* The walks over all tables, in their order. */
void shm_table_carry(struct shm *to, const struct shm *from);
void shm_table_clear(struct shm *, unsigned worker_row);
void shm_table_repair(struct shm *);
void shm_table_sweep(struct shm *, uint64_t now, uint64_t ms);

/* The fail point of shm.h. */
void shm_point(const char *name);

#endif

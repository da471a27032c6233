/*
 * The content of the segment, for finding faults: every table and every row in use, as the table's
 * descriptor writes it (shm_table.h).
 */
#ifndef SEGMENT_SHM_DUMP_H
#define SEGMENT_SHM_DUMP_H

#include "common/base/json.h"

struct shm;

/* A line of JSON for each table and for each of its rows that is in use. */
void shm_dump(struct shm *, struct text *out);
/* How many rows of the table are in use; out: their lines, or NULL. */
unsigned shm_dump_table(struct shm *, unsigned table, struct text *out);

/* Of the segment's own tables, for their descriptors. */
bool shm_dump_master(struct shm *, unsigned row, struct json *);
bool shm_dump_worker(struct shm *, unsigned row, struct json *);
bool shm_dump_slot(struct shm *, unsigned row, struct json *);
bool shm_dump_name(struct shm *, unsigned row, struct json *);
bool shm_dump_room(struct shm *, unsigned row, struct json *);

#endif

/*
 * The ledger: who our workers are, in a memory file that only the master has. Any worker can write
 * to the shared segment, so the master takes from here which processes it may signal and adopt, and
 * which rows are taken. It passes through exec (binary upgrade) and the service manager's store as
 * "argand-ledger", and to nobody else: its mapping does not pass through fork, its descriptor is
 * closed in every child before that sheds its rights.
 */
#ifndef MASTER_LEDGER_H
#define MASTER_LEDGER_H

#include "common/base/procid.h"
#include "common/segment/shm.h"

#define LEDGER_NAME "argand-ledger"

/* A worker. is_used is written last. */
struct ledger_entry {
	_Atomic uint32_t is_used;
	uint32_t row, generation, seat;
	uint64_t segment; /* shm_id() of the segment that has the row */
	struct procid who;
};

void ledger_init(void);
/* Takes the inherited one, or makes one. -1 with errno. */
int ledger_open(void);
/* Whether it was inherited. If so, it names all workers of earlier masters: a process that is not
   in it is none. */
bool ledger_is_inherited(void);
int ledger_fd(void);

/* Notes a worker, before it does anything; false when there is no room. */
bool ledger_add(const struct ledger_entry *);
/* The worker in this row of the segment is gone. */
void ledger_del(uint64_t segment, unsigned row);
/* The i-th entry; NULL when it is not used. */
struct ledger_entry *ledger_at(unsigned i);
struct ledger_entry *ledger_find(uint64_t segment, unsigned row);
/* Which rows of the segment somebody has. */
void ledger_taken(uint64_t segment, bool taken[SHM_WORKERS]);

/* The segment that the workers of generations to come have, and that it is of this binary's layout.
 */
void ledger_set_shm(const struct shm *);
/* Attaches the segment: by what the ledger says of it; without an entry, by the segment's own
   header. */
struct shm *ledger_attach_shm(int fd, const char **why);

/* The highest number that a generation ever had, and that of the one that serves. */
unsigned ledger_last(void);
void ledger_set_last(unsigned);
unsigned ledger_serving(void);
void ledger_set_serving(unsigned);

enum { LEDGER_ENTRIES = 2 * SHM_WORKERS }; /* of this segment, and of one of another layout */

#endif

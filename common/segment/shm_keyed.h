/*
 * A table whose rows belong to names: found by key in every process, claimed by whoever asks first,
 * kept by touching, free when nobody has used them for a while. A row begins with its key; it has
 * room for one or two texts, the name, and for the time at which it was touched.
 *
 * A key is 0 (free), a hash with bit 63 clear (in use), or a claim with bit 63 set. Claims and
 * sweeps of a table are made by one process at a time, who holds the word `claiming` for at most a
 * tenth of a second; a holder that is gone or too slow loses it. The key is stored last, and only
 * if the row is still claimed by the same: so a row that somebody finds is complete, and one whose
 * claimer was killed counts as free for the next. Who finds a row compares the text as well.
 *
 * Workers wait for each other, for a fraction of a second. The master never waits: what it cannot
 * have now it asks for again at its next look, and if it is refused for longer than anybody honest
 * holds the word, it takes it.
 */
#ifndef SEGMENT_SHM_KEYED_H
#define SEGMENT_SHM_KEYED_H

#include "common/segment/shm_table.h"

enum { SHM_KEYED_TEXTS = 2, SHM_KEYED_TEXT = 256 };

struct shm_keyed {
	enum shm_table_id table;
	uint32_t row;     /* bytes of a row; its first 8 are an _Atomic uint64_t, the key */
	uint32_t touched; /* offset of an _Atomic uint64_t, clock_ms() */
	struct {
		uint32_t at, size; /* with its end; a longer text is cut. 0: none */
	} texts[SHM_KEYED_TEXTS];
	/* Rows whose first text is the same lie within this many where they can; 0: anywhere. */
	unsigned cluster;
	/* How many rows are looked at for a key; 0: all. With a window a look costs the same
	   whatever the size; but a full one turns names away though there is room elsewhere, and
	   when the table's size changes names begin anew. */
	unsigned window;

	/* Absent: nothing else to set. The row is claimed and all zeros but for its texts. */
	void (*fill)(struct shm *, unsigned row, const struct str texts[SHM_KEYED_TEXTS]);
	/* Absent: never. Such a row is not freed, however long nobody has touched it. */
	bool (*is_busy)(struct shm *, unsigned row);
	/* For shm_keyed_carry(): from the sound row of another segment, of which there are so many
	   bytes, at least the descriptor's `least`. Absent: the name alone. */
	void (*carry)(struct shm *to, unsigned row, const void *old, size_t bytes);
};

/* The row of a name, claimed when there is none yet (any process may); -1 when the table is full,
   or for the master, which waits for nobody, when another process claims just now. second: empty
   where a name is one text. */
int shm_keyed_get(struct shm *, const struct shm_keyed *, struct str first, struct str second);
/* The same without claiming; -1: there is none. */
int shm_keyed_find(struct shm *, const struct shm_keyed *, struct str first, struct str second);
/* A live process uses the row: at least once a second. True when it had to be written down. */
bool shm_keyed_touch(struct shm *, const struct shm_keyed *, unsigned row, uint64_t now);
/* For shm_table.sweep: frees rows that no live process has touched for ms. */
void shm_keyed_sweep(struct shm *, const struct shm_keyed *, uint64_t now, uint64_t ms);
/* For shm_table.carry. */
void shm_keyed_carry(struct shm *to, const struct shm *from, const struct shm_keyed *);

/* Whether a row with that key is in use. */
static inline bool
shm_keyed_is_used(uint64_t key)
{
	return key != 0 && !(key >> 63);
}

#endif

/*
 * A table whose rows belong to names: every process finds a row by its key, the first that asks for
 * a name claims a row for it, touching keeps the row, and it is freed when nobody has used it for a
 * while. A row begins with its key; it has room for one or two texts, the name, and for the time at
 * which it was touched.
 *
 * A key is 0 (free), a hash with bit 63 clear (in use), or a claim with bit 63 set. Only one
 * process at a time claims or sweeps rows of a table. It holds the word `claiming` for at most a
 * tenth of a second; a holder that dies or is too slow loses it. The key is stored last, and only
 * if the row is still claimed by the same process: so every row that can be found by its key is
 * complete, and a row whose claimer was killed counts as free. Since different names may have the
 * same key, the text is compared as well.
 *
 * Workers wait for each other, for a fraction of a second. The master never waits: it tries again
 * at its next look. When the word has been held for longer than any honest process holds it, the
 * master takes it.
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
	/* How many rows are looked at for a key; 0: all. With a window the cost of a look does not
	   depend on the table's size. But a name gets no row when its window is full, even though
	   others are free, and when the table's size changes all names lose their rows. */
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

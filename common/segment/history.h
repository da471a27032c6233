/*
 * What happened to the server: the last events, in rows of a fixed size that are used in turn.
 * There are two such rings: the master's own stands in a memory file that workers can only read
 * (master/base/chronicle.h); what workers say stands in the segment, which any of them can write,
 * and is shown as their word (common/segment/history_table.c).
 *
 * A ring has any number of writers, none of which waits: a row is claimed by compare-and-swap of
 * its mark, written, and made whole by another. Whoever is killed meanwhile loses his event and
 * nothing else; a row that is not whole is never shown. The same again, soon after, is one event
 * with a count; and no kind has more than a quarter of the rows: whatever happens often pushes out
 * only what is like it.
 */
#ifndef SEGMENT_HISTORY_H
#define SEGMENT_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/str.h"

enum {
	HISTORY_ROWS = 256,
	HISTORY_QUOTA = HISTORY_ROWS / 4, /* rows of one kind */
	HISTORY_TEXT = 336,
	HISTORY_AGAIN_MS = 600000, /* the same within so long is counted */
};

enum history_kind {
#define HISTORY(id, by, tone, word, help) HISTORY_##id,
#include "common/segment/history.def"
#undef HISTORY
	HISTORY_KINDS
};

enum history_by { HISTORY_BY_MASTER, HISTORY_BY_WORKER };
enum history_tone { HISTORY_PLAIN, HISTORY_GOOD, HISTORY_WARN, HISTORY_BAD };

struct history_info {
	enum history_by by;
	enum history_tone tone;
	const char *word, *help;
};
extern const struct history_info history_info[HISTORY_KINDS];

/* As it stands in a row. */
struct history_event {
	uint64_t key;        /* with the kind: what is the same event again; 0: none is */
	int64_t time, first; /* wall ms: of the last time, of the first */
	uint32_t kind, times;
	int32_t pid;     /* whom it is about, or, of a worker, who says so; 0: nobody */
	uint32_t worker; /* its seat + 1; 0: no worker */
	char text[HISTORY_TEXT];
};

enum { HISTORY_WORDS = sizeof(struct history_event) / sizeof(uint64_t) };

struct history_row {
	_Atomic uint64_t mark; /* sequence | kind | pid of who writes it now; see history.c */
	_Atomic uint64_t words[HISTORY_WORDS];
} __attribute__((aligned(64)));

/* As it is shown: bounded, plain text, no time in the future. */
struct history_entry {
	struct history_event event;
	uint64_t sequence; /* within its ring */
	enum history_by by;
};

/* Adds it, as pid's. times, first and an end of the text are seen to. */
void history_add(struct history_row rows[HISTORY_ROWS], struct history_event *, pid_t pid);
/* What a row says, as of now (wall ms); false: nothing whole. */
bool history_get(const struct history_row *, int64_t now, struct history_entry *);
/* Copies what is whole to out, the oldest first; returns how many. now: wall ms. */
unsigned history_read(const struct history_row rows[HISTORY_ROWS], enum history_by, int64_t now,
    struct history_entry out[HISTORY_ROWS]);
/* What this process, which is dead, had begun is given up; 0: whoever had, they are all dead. */
void history_clear(struct history_row rows[HISTORY_ROWS], pid_t pid);
/* Who is writing it; 0: nobody. */
pid_t history_writer(const struct history_row *);
/* Rows that nobody can have written, and sequences that have come to their end, are cleared. */
void history_repair(struct history_row rows[HISTORY_ROWS]);
/* What is whole in a ring of another segment. */
void history_carry(struct history_row to[HISTORY_ROWS], const struct history_row *from, unsigned n);

/* Names the same thing by a text, for event.key; never 0. */
uint64_t history_key(struct str);
/* Wall time, ms. */
int64_t history_now(void);

/* ---- the table of the segment ---- */

struct shm;

/* What workers say; NULL: a segment that has no such table. */
struct history_row *history_rows(const struct shm *);

/* Its members, into an open object. */
struct json;
void history_json(struct json *, const struct history_entry *);

/* Both rings as one, the oldest first: at most most entries, of which each ring has its half if it
   has so many. Allocated; free() it. */
struct history_entry *history_take(struct shm *, unsigned most, unsigned *n);

/* Whether, of what workers have said of that key, a kind came after another, or alone. */
bool history_was_last(struct shm *, enum history_kind, enum history_kind other, uint64_t key);

/* The ring that the master has written, as this process has it; NULL: it has none. */
void history_set_master(const struct history_row *rows);

/* A worker says so: into the segment. key: of what it is about. */
void history_say(struct shm *, enum history_kind, uint64_t key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

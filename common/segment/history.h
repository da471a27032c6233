/*
 * History: the last events of the server, in a ring of rows of a fixed size. There are two such
 * rings: the master's own is a memory file that workers can only read (master/base/chronicle.h);
 * events that workers report are in the segment, which any worker can write, and are therefore
 * shown as reported by workers (common/segment/history_table.c).
 *
 * A ring has any number of writers, and none of them waits: a writer claims a row by
 * compare-and-swap of the row's mark, writes it, and completes it by a second compare-and-swap. If
 * the writer is killed in between, only its event is lost; a row that is not complete is never
 * shown. The same event again, soon after, is counted in the row of the first. No kind of event has
 * more than a quarter of the rows, so that frequent events push out only events of their own kind.
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
	uint64_t key;        /* events of one kind and key are the same event again; 0: of none */
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

/* Adds an event; pid is its writer. Sets times and first, and ends the text with a NUL. */
void history_add(struct history_row rows[HISTORY_ROWS], struct history_event *, pid_t pid);
/* The event in a row, as of now (wall ms); false: the row has no complete one. */
bool history_get(const struct history_row *, int64_t now, struct history_entry *);
/* Copies all complete events to out, the oldest first; returns how many. now: wall ms. */
unsigned history_read(const struct history_row rows[HISTORY_ROWS], enum history_by, int64_t now,
    struct history_entry out[HISTORY_ROWS]);
/* Frees rows that process pid, which is dead, had begun to write; pid 0: those of any process (all
   writers are dead). */
void history_clear(struct history_row rows[HISTORY_ROWS], pid_t pid);
/* Who is writing it; 0: nobody. */
pid_t history_writer(const struct history_row *);
/* Clears rows that no honest writer can have made, and all rows when the sequence numbers come to
   their end. */
void history_repair(struct history_row rows[HISTORY_ROWS]);
/* Copies the complete events of a ring in another segment. */
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

/* Both rings as one, the oldest first: at most `most` entries. Each ring gets half of them, or more
   where the other one has fewer. Allocated; free() it. */
struct history_entry *history_take(struct shm *, unsigned most, unsigned *n);

/* Whether, among the events of workers with that key, the last one of `kind` came after the last
   one of `other` (or there is none of `other`). */
bool history_was_last(struct shm *, enum history_kind, enum history_kind other, uint64_t key);

/* The ring that the master has written, as this process has it; NULL: it has none. */
void history_set_master(const struct history_row *rows);

/* Adds an event of a worker, to the segment's ring. key: see history_event. */
void history_say(struct shm *, enum history_kind, uint64_t key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif

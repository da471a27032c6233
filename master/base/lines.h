/*
 * Lines out of a stream of bytes that somebody else writes: bounded in length, and bounded in how
 * many there are in a second. Computes only.
 */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include "common/base/str.h"

enum { LINES_MAX = 1000, LINES_RATE = 200 };

/* { 0 } is an empty one. */
struct lines {
	char text[LINES_MAX];
	unsigned n;
	bool is_cut; /* the line was longer: its rest is left out */
};

/* Calls put for each line that p completes, without its end; empty ones are left out. A NUL is an
   end as well: in a text that is printed it would hide what follows. One that is
   longer than LINES_MAX is cut there and ends with "...". */
void lines_feed(
    struct lines *, const char *p, size_t n, void (*put)(void *arg, struct str line), void *arg);
/* The stream has ended: its rest is a line too. */
void lines_flush(struct lines *, void (*put)(void *arg, struct str line), void *arg);

/* { 0 } is a fresh one. */
struct lines_rate {
	uint64_t since, reported; /* ms */
	unsigned n;
	unsigned long lost;
};

/* Whether one more line may be logged now; one that may not is counted. */
bool lines_may(struct lines_rate *, uint64_t now);
/* How many were left out since it was asked last; asked more than once a second: 0. */
unsigned long lines_lost(struct lines_rate *, uint64_t now);

#endif

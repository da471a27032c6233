/*
 * Memory with one lifetime: bump allocation, freed all at once in arena_fini/arena_reset, deferred
 * calls run in reverse order first. Allocation does not fail (see must.h).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include "common/base/str.h"

struct arena_block;
struct arena_defer;

struct arena {
	char *at, *end;
	struct arena_block *blocks; /* malloc'ed, newest first; the first room is not among them */
	struct arena_defer *defers;
	char *first, *first_end;
};

/* first/len: room owned by the caller that is used before any block is allocated; may be NULL/0. */
void arena_init(struct arena *, void *first, size_t len);

/* Runs the deferred calls, gives the blocks back; the arena is as after arena_init. */
void arena_reset(struct arena *);
void arena_fini(struct arena *);

void *arena_alloc_slow(struct arena *, size_t n);

/* n bytes, 16-aligned, not cleared. */
static inline void *
arena_alloc(struct arena *a, size_t n)
{
	char *p = a->at;

	n = (n + 15) & ~(size_t)15;
	if ((size_t)(a->end - p) < n)
		return arena_alloc_slow(a, n);
	a->at = p + n;
	return p;
}

void *arena_calloc(struct arena *, size_t n);

/* Copies; the copy is NUL-terminated (the NUL is not counted). */
struct str arena_str(struct arena *, struct str);
char *arena_strdup(struct arena *, const char *);
struct str arena_printf(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *, const char *fmt, va_list ap);

/* fn(arg) runs when the arena is reset or ended, last deferred first. */
void arena_defer(struct arena *, void (*fn)(void *), void *arg);

#endif

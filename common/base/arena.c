#include <stdio.h>
#include <stdlib.h>
#include "common/base/arena.h"
#include "common/base/must.h"

enum { ARENA_BLOCK = 4096 - 64, ARENA_ALIGN = 16 };

struct arena_block {
	struct arena_block *next;
	_Alignas(ARENA_ALIGN) char data[];
};

struct arena_defer {
	struct arena_defer *next;
	void (*fn)(void *);
	void *arg;
};

void
arena_init(struct arena *a, void *first, size_t len)
{
	uintptr_t odd = -(uintptr_t)first & (ARENA_ALIGN - 1);

	*a = (struct arena){ 0 };
	if (!first || len < odd)
		return;
	a->first = (char *)first + odd;
	a->first_end = (char *)first + len;
	a->at = a->first;
	a->end = a->first_end;
}

void
arena_reset(struct arena *a)
{
	struct arena_defer *d;
	struct arena_block *b;

	/* A deferred call may allocate and defer again. */
	while ((d = a->defers)) {
		a->defers = d->next;
		d->fn(d->arg);
	}
	while ((b = a->blocks)) {
		a->blocks = b->next;
		free(b);
	}
	a->at = a->first;
	a->end = a->first_end;
}

void
arena_fini(struct arena *a)
{
	arena_reset(a);
	*a = (struct arena){ 0 };
}

/* n is a multiple of ARENA_ALIGN. */
void *
arena_alloc_slow(struct arena *a, size_t n)
{
	/* What is large gets a block of its own, and the rest of the current block stays in use. */
	bool is_large = n > ARENA_BLOCK / 4;
	struct arena_block *b;

	must(n <= PTRDIFF_MAX - sizeof(*b));
	b = must_malloc(sizeof(*b) + (is_large ? n : ARENA_BLOCK));
	b->next = a->blocks;
	a->blocks = b;
	if (is_large)
		return b->data;
	a->at = b->data + n;
	a->end = b->data + ARENA_BLOCK;
	return b->data;
}

void *
arena_calloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return n > 0 ? memset(p, 0, n) : p;
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return str_n(p, s.n);
}

char *
arena_strdup(struct arena *a, const char *z)
{
	size_t n = strlen(z) + 1;

	return memcpy(arena_alloc(a, n), z, n);
}

struct str
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	must(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	return str_n(p, (size_t)n);
}

struct str
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	struct str s;

	va_start(ap, fmt);
	s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct arena_defer *d = arena_alloc(a, sizeof(*d));

	*d = (struct arena_defer){ .next = a->defers, .fn = fn, .arg = arg };
	a->defers = d;
}

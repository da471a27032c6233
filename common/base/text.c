#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/must.h"
#include "common/base/text.h"

enum { TEXT_FIRST = 4096 };

char *
text_room(struct text *t, size_t n)
{
	if (t->room - t->n < n) {
		size_t room = t->room ? t->room : TEXT_FIRST;

		while (room - t->n < n)
			room *= 2;
		t->p = must_realloc(t->p, room);
		t->room = room;
	}
	return t->p + t->n;
}

void
text_add(struct text *t, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(text_room(t, n), p, n);
	t->n += n;
}

void
text_add_str(struct text *t, struct str s)
{
	text_add(t, s.p, s.n);
}

void
text_add_u64(struct text *t, uint64_t v)
{
	t->n += str_from_u64(text_room(t, 20), v);
}

void
text_printf(struct text *t, const char *fmt, ...)
{
	size_t room = 256;
	va_list ap;
	int n;

	for (;;) {
		char *dst = text_room(t, room);

		va_start(ap, fmt);
		n = vsnprintf(dst, room, fmt, ap);
		va_end(ap);
		must(n >= 0);
		if ((size_t)n < room)
			break;
		room = (size_t)n + 1;
	}
	t->n += (size_t)n;
}

void
text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){ 0 };
}

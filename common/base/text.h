/*
 * A text that grows: for documents that are made whole before they are sent (status pages, replies
 * of the control socket). Not for the request path's bodies, see worker/body.h.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "common/base/str.h"

/* { 0 } is an empty one; p is not NUL-terminated. text_free gives the memory back. */
struct text {
	char *p;
	size_t n, room;
};

void text_add(struct text *, const void *p, size_t n);
void text_add_str(struct text *, struct str);
void text_printf(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_u64(struct text *, uint64_t);
/* Room for n more bytes at p + n; the caller adds what it used to n. */
char *text_room(struct text *, size_t n);
void text_free(struct text *);

static inline struct str
text_str(const struct text *t)
{
	return (struct str){ t->p, t->n };
}

#endif

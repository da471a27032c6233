/*
 * The variables of FastCGI, SCGI and uwsgi, read back from their octets (told.h).
 */
#ifndef TEST_FUZZ_TOLD_VARIABLES_H
#define TEST_FUZZ_TOLD_VARIABLES_H

#include "test/fuzz/told_octets.h"

static inline void
told_scgi(struct told *t)
{
	const unsigned char *colon = memchr(t->p, ':', (size_t)(t->end - t->p));
	uint64_t n;

	must(colon != NULL);
	must(str_to_u64(told_take(t, (size_t)(colon - t->p)), 1 << 24, &n));
	told_take(t, 1);
	must((size_t)(t->end - t->p) == n + 1 && t->p[n] == ',');
	t->end--;
	while (t->p < t->end) {
		struct str name = str_of((const char *)t->p), value;

		told_take(t, name.n + 1);
		value = str_of((const char *)t->p);
		told_take(t, value.n + 1);
		told_add(t, name, value);
	}
}

static inline struct str
told_uwsgi_str(struct told *t)
{
	unsigned low = told_u8(t);

	return told_take(t, low | told_u8(t) << 8);
}

static inline void
told_uwsgi(struct told *t)
{
	unsigned n;

	must(told_u8(t) == 0);
	n = told_u8(t);
	n |= told_u8(t) << 8;
	must(told_u8(t) == 0 && (size_t)(t->end - t->p) == n);
	while (t->p < t->end) {
		struct str name = told_uwsgi_str(t);

		told_add(t, name, told_uwsgi_str(t));
	}
}

static inline size_t
told_fastcgi_length(struct told *t)
{
	size_t n = told_u8(t);

	if (n < 128)
		return n;
	n = (n & 127) << 8 | told_u8(t);
	return n << 16 | told_u16(t);
}

/* The content of all PARAMS records is one stream. */
static inline void
told_fastcgi(struct told *t)
{
	char *stream = arena_alloc(t->arena, (size_t)(t->end - t->p) + 1);
	size_t n = 0;

	while (t->p < t->end) {
		struct str head = told_take(t, 8);
		size_t length = (size_t)(unsigned char)head.p[4] << 8 | (unsigned char)head.p[5];
		struct str content = told_take(t, length);

		must(head.p[0] == 1 && head.p[6] == 0);
		if (head.p[1] == 4 && length > 0) {
			memcpy(stream + n, content.p, length);
			n += length;
		}
	}
	t->p = (unsigned char *)stream;
	t->end = t->p + n;
	while (t->p < t->end) {
		size_t name = told_fastcgi_length(t), value = told_fastcgi_length(t);
		struct str s = told_take(t, name);

		told_add(t, s, told_take(t, value));
	}
}

#endif

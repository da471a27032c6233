/*
 * The octets of a head while they are read back (told.h), and the fields found so far. What is not
 * there is a failure.
 */
#ifndef TEST_FUZZ_TOLD_OCTETS_H
#define TEST_FUZZ_TOLD_OCTETS_H

#include "common/base/arena.h"
#include "common/base/http.h"
#include "common/base/must.h"

struct told {
	const unsigned char *p, *end;
	struct arena *arena;
	struct fields fields;
};

static inline struct str
told_take(struct told *t, size_t n)
{
	struct str s = { (const char *)t->p, n };

	must((size_t)(t->end - t->p) >= n);
	t->p += n;
	return s;
}

static inline unsigned
told_u8(struct told *t)
{
	return (unsigned char)*told_take(t, 1).p;
}

static inline unsigned
told_u16(struct told *t)
{
	unsigned high = told_u8(t);

	return high << 8 | told_u8(t);
}

static inline void
told_add(struct told *t, struct str name, struct str value)
{
	*fields_add(&t->fields, t->arena) =
	    (struct field){ name, value, (uint8_t)http_field_of(name) };
}

#endif

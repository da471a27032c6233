/*
 * What all fuzz drivers need: an input in which the first octets choose, and a check that stays on.
 */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include "common/base/arena.h"
#include "common/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Whether s lies in buf[0..n), or is empty. */
static inline bool
fuzz_is_inside(struct str s, const char *buf, size_t n)
{
	return s.n == 0 || (s.p >= buf && s.p + s.n <= buf + n);
}

/* Takes one octet from the front of the input; 0 at its end. */
static inline uint8_t
fuzz_take(const uint8_t **data, size_t *n)
{
	if (*n == 0)
		return 0;
	(*n)--;
	return *(*data)++;
}

#endif

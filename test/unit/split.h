/*
 * The same octets in every way they can arrive: whole, octet by octet, and in two parts split at
 * every position. A parser's verdict must not depend on it.
 */
#ifndef TEST_UNIT_SPLIT_H
#define TEST_UNIT_SPLIT_H

#include <stddef.h>

/* One way: step octets at a time (0: all), the first part first octets long. */
struct split {
	size_t first, step;
};

/* How many of n octets are there after those at have been. */
static inline size_t
split_next(const struct split *way, size_t at, size_t n)
{
	size_t next = at == 0 && way->first ? way->first : way->step ? at + way->step : n;

	return next < n ? next : n;
}

#define SPLIT_EACH(way, n)                                                                         \
	for (struct split way = { 0, 0 }; split_more(&way, (n)); split_advance(&way))

static inline int
split_more(const struct split *way, size_t n)
{
	return way->step == 1 || way->first < n || way->first == 0;
}

/* Whole, then octet by octet, then two parts. */
static inline void
split_advance(struct split *way)
{
	if (way->first == 0 && way->step == 0) {
		way->step = 1;
		return;
	}
	way->step = 0;
	way->first++;
}

#endif

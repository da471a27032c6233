/*
 * What every subject of an expression begins or ends with, as far as its text says so plainly:
 * "\.php$" asks for four bytes at the end. Most paths of most sites are decided by them, for a few
 * instructions instead of the hundreds that a call of PCRE2 costs.
 */
#ifndef CONFIG_REGEX_ENDS_H
#define CONFIG_REGEX_ENDS_H

#include "common/base/str.h"

enum { REGEX_END = 11 }; /* bytes of an end: of a longer one these many are looked at */

/* All zero: nothing is known, and everything fits. */
struct regex_ends {
	uint8_t lead_n, tail_n;
	char lead[REGEX_END], tail[REGEX_END];
};

/* source compiles (regex_compile); anything in it that is not understood leaves both ends empty. */
struct regex_ends regex_ends_of(struct str source);

/* False: the expression cannot match. */
static inline bool
regex_ends_fit(const struct regex_ends *e, struct str subject)
{
	if (subject.n < e->tail_n || subject.n < e->lead_n)
		return false;
	for (size_t n = e->tail_n, at = subject.n; n > 0;)
		if (subject.p[--at] != e->tail[--n])
			return false;
	for (size_t n = 0; n < e->lead_n; n++)
		if (subject.p[n] != e->lead[n])
			return false;
	return true;
}

#endif

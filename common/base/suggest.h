/*
 * "Did you mean": the nearest of the words offered to what somebody wrote, and what other servers
 * call the things that Argand calls differently.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include "common/base/str.h"

struct suggest {
	struct str wanted;
	struct str best; /* n 0: nothing near enough was offered */
	unsigned distance;
};

void suggest_init(struct suggest *, struct str wanted);
/* word is kept by reference. */
void suggest_offer(struct suggest *, struct str word);

/* Edits (insert, delete, replace, swap of neighbours) that make b of a, without regard to case;
   limit
   + 1 when there are more than limit. */
unsigned suggest_distance(struct str a, struct str b, unsigned limit);

/* Our names for a foreign word: the i-th one, NULL when there are no more. */
const char *suggest_synonym(struct str foreign, unsigned i);

#endif

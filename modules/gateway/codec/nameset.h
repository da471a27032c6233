/*
 * A set of field names that are compared folded (fold.h): as many as a head can have, at a cost
 * that grows with their octets and not with their square. Names are pointed at, not copied.
 */
#ifndef CODEC_NAMESET_H
#define CODEC_NAMESET_H

#include "common/base/arena.h"
#include "common/base/fold.h"

enum { NAMESET_MAX = 255 };

struct nameset {
	unsigned n, max, mask;
	uint16_t *slots; /* 1 + index in names, under bits of the hash; 0: free */
	struct str *names;
};

/* For at most max names; its room is in the arena. */
void nameset_init(struct nameset *, struct arena *, unsigned max);
/* The index of the name that folds together with this one, which is added when there is none: then
   the index is the n before. */
unsigned nameset_put(struct nameset *, struct str name);
bool nameset_has(const struct nameset *, struct str name);

#endif

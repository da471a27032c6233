/*
 * Links that are good for all that is below a path. Pure.
 */
#ifndef LINKS_BELOW_H
#define LINKS_BELOW_H

#include "common/base/arena.h"

/* The first n segments of a normalised path that begins with '/': "/a/b" of "/a/b/c" for 2; "/" for
   0. p NULL: it has fewer. */
struct str links_below_front(struct str path, uint64_t n);
/* How many segments a path has that may end with '/'. */
uint64_t links_below_count(struct str path);

/* Whether some reader may take what stands behind the front for a way out of it: by decoding it
   again, taking backslashes for slashes, stripping parameters, cutting it. */
bool links_below_leaves(struct arena *, struct str rest);

#endif

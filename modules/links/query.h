/*
 * Parameters of a query by their decoded names. Pure.
 */
#ifndef LINKS_QUERY_H
#define LINKS_QUERY_H

#include "common/base/arena.h"

/* The value of the parameter as sent; p NULL: there is none. Returns how often it is there. */
unsigned links_query_get(struct str query, struct str name, struct str *value);
/* The query without it, however its name is spelled; p NULL when nothing is left. */
struct str links_query_cut(struct arena *, struct str query, struct str name);
/* s with its percent-escapes decoded; p NULL: one is malformed. */
struct str links_query_decode(struct arena *, struct str s);
/* query with "name=value" behind it. */
struct str links_query_add(struct arena *, struct str query, struct str name, struct str value);

#endif

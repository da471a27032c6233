/*
 * Request bodies that come fast: private to h1.c. Content that nobody looks into on the way goes
 * through pipes, and the socket is waited for until much has come.
 */
#ifndef WORKER_H1_BULK_H
#define WORKER_H1_BULK_H

#include "common/base/must.h"
#include "worker/h1.h"

/* Reads as conn_fill() does, or into pipes. */
ssize_t h1_bulk_fill(struct h1 *);
/* n octets of a body came: is it fast? */
void h1_bulk_came(struct h1 *, ssize_t n);
/* One octet makes the socket readable again. */
void h1_bulk_over(struct h1 *);
static inline void
h1_bulk_end(struct h1 *h)
{
	if (unlikely(link_is_on(&h->bulk_link)))
		h1_bulk_over(h);
}

#endif

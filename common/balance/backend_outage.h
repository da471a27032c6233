/*
 * Outages: since when no host of a pool could get requests. One word of the pool's row, for all
 * workers, kept over reloads and upgrades. What stands in it decides only whether a request waits
 * for a host or is answered with 503 at once, and only while there is none: whatever a hostile
 * worker writes there costs no more.
 */
#ifndef BALANCE_BACKEND_OUTAGE_H
#define BALANCE_BACKEND_OUTAGE_H

#include "common/segment/shm.h"

/* The last usable host has just gone; a host has come. */
void backend_outage_begin(struct shm *, unsigned pool_row, uint64_t now);
void backend_outage_end(struct shm *, unsigned pool_row);
/* Called by whoever has just looked at all hosts: corrects the word. The two functions above do not
   see every change, since hosts also come and go by an operator's command, a reload or a name that
   resolves otherwise, and their callers may be killed. */
void backend_outage_note(struct shm *, unsigned pool_row, bool has_usable, uint64_t now);
/* True while there is one; *ms: how old it is. A time in the future counts as now. */
bool backend_outage(struct shm *, unsigned pool_row, uint64_t now, uint64_t *ms);
/* From a segment of another layout: the row there, and how many bytes of it there are. */
void backend_outage_carry(struct shm *to, unsigned pool_row, const void *from, size_t bytes);

#endif

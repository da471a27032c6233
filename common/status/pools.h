/*
 * Pools and their hosts in each form of the status but HTML: what doc.h makes has them, and
 * `argand backend` prints one of them.
 */
#ifndef STATUS_POOLS_H
#define STATUS_POOLS_H

#include "common/base/json.h"
#include "common/status/snap.h"
#include "common/status/style.h"

/* The member "pools" of an open object. */
void statuspools_json(struct json *, const struct statussnap *);
/* Metrics by pool and by pool and host; none when there are no pools. */
void statuspools_prometheus(struct text *, const struct statussnap *);
/* A table of one pool, with an empty line before it. */
void statuspools_text(struct text *, const struct statussnap *, const struct statussnap_pool *,
    const struct statusstyle *);

/* "refused (3 failures), for 12s, tried again in 3s"; n 0: there is nothing to say. */
void statuspools_detail(struct text *, const struct statussnap *, const struct backend_view *);
/* "3 of 2..8 processes, 12 started, 1 died (killed by signal 9, 14s ago)"; nothing without any. */
void statuspools_local(struct text *, const struct statussnap *, const struct backend_local *);
/* Percent of the requests that went over a kept connection; -1: there were none. */
int statuspools_reused(const struct backend_view *);

#endif

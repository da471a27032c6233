/*
 * What becomes of hosts and pools, among the events of the server (common/segment/history.h).
 */
#ifndef BALANCE_BACKEND_EVENT_H
#define BALANCE_BACKEND_EVENT_H

#include "common/balance/backend.h"

/* The transition that this process has just made. why: detail, or "". */
void backend_event(struct shm *, const struct backend_at *, const char *why);

#endif

/*
 * Live reports: Server-Sent Events (the HTML standard, 9.2), one for each change, until the upload
 * has ended.
 */
#ifndef PROGRESS_LIVE_H
#define PROGRESS_LIVE_H

#include "worker/request.h"

/* Content-Type and the like are set. */
void live_begin(struct request *, struct str id);
/* Looks at all; whether there are any. */
bool live_tick(struct worker *);

#endif

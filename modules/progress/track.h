/*
 * The uploads of this worker that are tracked: each is looked at by the clock (tick.h), and what
 * has changed is written to its row in the segment. Nothing stands on the way of the octets.
 */
#ifndef PROGRESS_TRACK_H
#define PROGRESS_TRACK_H

#include "modules/progress/conf.h"
#include "worker/request.h"

/* The request is to be handled: from here on it is tracked, if it is an upload with an ID. Asked
   again after a rewrite it changes nothing. */
void track_begin(struct request *, const struct progress_conf *);
/* The request is over. One that was refused before it could be tracked is told of as well. */
void track_refused(struct request *, const struct progress_conf *);
/* Looks at all; whether there are any. */
bool track_tick(struct worker *);

#endif

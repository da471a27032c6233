/*
 * The rows of the status page's table of events.
 */
#ifndef STATUS_HTML_EVENTS_H
#define STATUS_HTML_EVENTS_H

#include "common/base/text.h"
#include "common/status/snap.h"

/* A row for each, the latest first. */
void status_events_html(struct text *, const struct statussnap *);

#endif

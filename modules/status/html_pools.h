/*
 * The rows of the status page's table of backends.
 */
#ifndef STATUS_HTML_POOLS_H
#define STATUS_HTML_POOLS_H

#include "common/base/text.h"
#include "common/status/snap.h"

/* A row for the pool, one for each host, and one below it where there is something to explain. */
void status_pools_html(struct text *, const struct statussnap *, const struct statussnap_pool *);

/* Text from outside, inside an element or a quoted attribute. */
void status_pools_escape(struct text *, struct str);

#endif

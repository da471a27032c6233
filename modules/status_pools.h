/*
 * The rows of the status page's table of backends.
 */
#ifndef MODULES_STATUS_POOLS_H
#define MODULES_STATUS_POOLS_H

#include "common/statussnap.h"
#include "common/text.h"

/* A row for the pool, one for each host, and one below it where there is something to explain. */
void status_pools_html(struct text *, const struct statussnap *, const struct statussnap_pool *);

/* Text from outside, inside an element or a quoted attribute. */
void status_pools_escape(struct text *, struct str);

#endif

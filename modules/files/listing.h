/*
 * Directory listings: read, sorted and rendered beside the event loop, bounded by listing.max.
 */
#ifndef FILES_LISTING_H
#define FILES_LISTING_H

#include "modules/files/route.h"
#include "worker/request.h"

/* The whole answer to a GET or HEAD of a directory; name is beneath the route's root. */
void files_listing(struct request *, const struct files_route *, struct str name);
/* After the last request. */
void files_listing_stop(void);

#endif

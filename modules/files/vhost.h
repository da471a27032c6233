/*
 * Roots that differ by host name (root = "/srv/www/$host"): one route, many directories.
 */
#ifndef FILES_VHOST_H
#define FILES_VHOST_H

#include "modules/files/route.h"

enum { FILES_VHOSTS = 10000 /* per worker, over all routes */ };

/* The route like this one whose root is the host's directory; NULL when there is none, or the name
   is not one that a directory may be made of. */
const struct files_route *files_vhost_get(const struct files_route *, struct str host);
void files_vhost_stop(void);

/* Whether a host name can do no harm in a path: letters, digits, dots and dashes, no empty label.
 */
bool files_vhost_is_safe(struct str host);

#endif

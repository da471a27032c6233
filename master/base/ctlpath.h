/*
 * Where the control socket is: the same for the server and for those who look for it.
 */
#ifndef BASE_CTLPATH_H
#define BASE_CTLPATH_H

#include <stdbool.h>
#include <stddef.h>
#include "common/config/conf.h"

/* Candidate i, best first: what is configured; when that is the default and not for this user,
   $XDG_RUNTIME_DIR/argand.sock, then /tmp/argand-UID.sock. False: no more. */
bool ctlpath_candidate(struct str configured, unsigned i, char *path, size_t len);
/* Server: the first whose directory can be written to (root makes it). */
void ctlpath_for_server(struct str configured, char *path, size_t len);
/* Client: `process.control` of a configuration file, also of one that has errors elsewhere. */
struct str ctlpath_configured(const char *file, char *room, size_t len);

#endif

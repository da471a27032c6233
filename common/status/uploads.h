/*
 * Tracked uploads in progress, in the forms of the status. Without their IDs: who has one may read
 * what its owner does.
 */
#ifndef STATUS_UPLOADS_H
#define STATUS_UPLOADS_H

#include "common/base/json.h"
#include "common/segment/shm.h"
#include "common/status/style.h"

enum { STATUSUPLOADS_MOST = 100, STATUSUPLOADS_FEW = 10 };

/* A member "uploads" of an open object: at most STATUSUPLOADS_MOST, the oldest first; and
   "uploads_more", how many there are besides. */
void statusuploads_json(struct json *, struct shm *);
/* A line for each of the first STATUSUPLOADS_FEW; nothing when there are none. */
void statusuploads_text(struct text *, struct shm *, const struct statusstyle *);

#endif

/*
 * tus 1.0: core, creation, creation-with-upload, creation-defer-length, termination, checksum,
 * expiration, concatenation.
 */
#ifndef RECEIVE_TUS_H
#define RECEIVE_TUS_H

#include "modules/receive/op.h"

/* Whether the request speaks it. */
bool receive_tus_is(struct request *);
void receive_tus_options(struct receive_op *);
void receive_tus_create(struct receive_op *);
/* method: HEAD, PATCH or DELETE, also from X-HTTP-Method-Override. */
void receive_tus_resource(struct receive_op *, struct str id, struct str method);

#endif

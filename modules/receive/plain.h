/*
 * Uploads in one request: PUT, POST of a file's octets, DELETE.
 */
#ifndef RECEIVE_PLAIN_H
#define RECEIVE_PLAIN_H

#include "modules/receive/op.h"

/* name n 0: one that is made. is_put: conditions of the request are about the file. */
void receive_plain_store(struct receive_op *, struct str name, bool is_put);
void receive_plain_delete(struct receive_op *, struct str name);

/* Takes the name of what is to be stored; what is wrong is answered. */
bool receive_plain_name(struct receive_op *, struct str name);
/* The conditions of a request for the file that is or is not there (RFC 9110 13.2). False:
   answered. */
bool receive_plain_conditions(struct receive_op *);
/* receive_store_open and look; create */
int receive_plain_look(struct receive_upload *);
/* 201 or 204 for what is stored. */
void receive_plain_stored(struct receive_op *);

#endif

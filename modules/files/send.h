/*
 * Answers from a file: the representation by Accept-Encoding, conditions (RFC 9110 13), ranges
 * (14).
 */
#ifndef FILES_SEND_H
#define FILES_SEND_H

#include "modules/files/entry.h"
#include "worker/request.h"

/* The whole answer to a GET or HEAD for an entry of kind FILES_FILE, pinned by the request. */
void files_send(struct request *, const struct files_entry *);

/* The representation for an Accept-Encoding value (p NULL: no such field): the coding with the
   highest quality, the first among equals; the file itself when none is acceptable or the client
   says that it prefers "identity". */
const struct files_rep *files_send_choose(const struct files_entry *, struct str accept);

#endif

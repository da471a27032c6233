/*
 * Hand-off of uploads: the server takes a request's body to its end and keeps it in files, and the
 * application is told of each in place of its octets. No backend is held meanwhile, and what it is
 * sent is small and at hand for another attempt. The mirror image of X-Sendfile.
 *
 *   multipart/form-data  files go to the directory; the application gets a form in
 *                        application/x-www-form-urlencoded: the other fields as they were, and for
 *                        the file number i, from 0, argand_upload[i][field], [name], [type],
 *                        [size], [sha256] and [path]
 *   anything else        one file; the application gets no body, and X-Upload-Path, -Size,
 *                        -Sha256, -Type and -Name (percent-encoded)
 *
 * Both have X-Upload-Files: the number of files. A form is encoded anew, not copied with gaps: so
 * no reader behind us takes its parts otherwise than we did. What a client sends under these names,
 * in whatever spelling, as a field of its head, of its form or of its query, never arrives: fields
 * are dropped (passage.h), the others refused.
 */
#ifndef GATEWAY_UPLOAD_H
#define GATEWAY_UPLOAD_H

#include "modules/gateway/gateway.h"
#include "worker/request.h"

struct upload;

/* Begins to read the body and calls ready(arg), posted, exactly once: when all of it is stored, or
   when it failed. In the request's arena; files are removed when that ends. */
struct upload *upload_start(
    struct request *, const struct gateway_conf *, void (*ready)(void *), void *arg);
/* 0, or the status to answer with: 400, 408, 413, 415, 500, 503, 507. */
int upload_failed(const struct upload *, const char **why);
/* What the backend is told: the route's configuration with fields of this request, and the body;
   n 0: none. Until the request ends. */
const struct gateway_conf *upload_conf(struct upload *);
struct str upload_form(const struct upload *);
/* Nothing more is read or told; the files go when the request ends. */
void upload_stop(struct upload *);

/* Whether a query has a name that an application could take for one of ours. */
bool upload_is_forged(struct request *);

#endif

/*
 * The pages that the server makes itself when a request fails, in the form that the client prefers:
 * HTML for browsers, application/problem+json (RFC 9457) for programs that name JSON, plain text
 * for all others. Each carries the request's id, which also stands in the logs.
 */
#ifndef WORKER_ERRPAGE_H
#define WORKER_ERRPAGE_H

#include "common/base/str.h"

struct request;

/* Makes the page for status in the request's arena, and its media type. The octets live as long as
   the request. why is shown (escaped) unless NULL: the caller decides whether this client may see
   it. Depends on Accept: the caller adds Vary. */
void errpage_make(
    struct request *, int status, const char *why, struct str *type, struct str *text);

#endif

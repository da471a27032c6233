/*
 * The life of a request, for protocols: what makes, starts and ends it. Modules see request.h only.
 */
#ifndef WORKER_REQLIFE_H
#define WORKER_REQLIFE_H

#include "worker/request.h"

struct proto;

/* A new request with its arena, from the worker's free list; proto fills in what is asked. */
struct request *request_new(struct worker *, const struct proto *, void *stream);
/* The head is complete: routes it and runs the hooks. */
void request_start(struct request *);
/* The head is not acceptable: answers with a status in place of request_start(). */
void request_refuse(struct request *, int status, const char *why);
/* Everything was sent, or the peer is gone (aborted): logs, then frees it. */
void request_end(struct request *, bool aborted);
/* The path has changed: routes the request anew, at once or when the hook on the stack has
   returned. */
void request_rerun(struct request *);
/* Once a second: memory that was not needed goes to the kernel. */
void request_trim(void);

#endif

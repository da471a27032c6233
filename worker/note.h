/*
 * What happens to a request on its way to a backend, for logs.
 */
#ifndef WORKER_NOTE_H
#define WORKER_NOTE_H

#include "common/base/http.h"

/* What the log and the status say of a request to a backend; made by the gateway, in the request's
   arena. Times in microseconds, -1: not reached. */
struct request_backend {
	struct str pool, host; /* the last host tried; empty: none was reached */
	unsigned attempts;     /* hosts tried */
	struct str failures; /* why each attempt but the last failed: "10.0.0.3:80 refused, …" */
	int64_t queue, connect, first_byte, total;
	int64_t forwarded;   /* octets of the request body that the last host was given */
	char termination[3]; /* two letters, see argand.conf(5), logging */
	bool is_reused;      /* the last attempt went over a kept connection */
	bool is_retried;
	const struct fields *variables; /* what an authorizer said of the request; or NULL */
};

#endif

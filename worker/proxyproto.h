/*
 * The PROXY protocol, versions 1 and 2 (the receiver's side). Pure.
 */
#ifndef WORKER_PROXYPROTO_H
#define WORKER_PROXYPROTO_H

#include <sys/types.h>
#include "worker/request.h"

struct proxyproto {
	bool is_local; /* LOCAL / UNKNOWN: keep the connection's own addresses */
	bool is_tls;   /* v2 PP2_TYPE_SSL says the client's side was encrypted */
	struct peer client, server;
};

enum { PROXYPROTO_MAX = 4096 };

/* Looks at buf[0..n): length of the header; 0: more is needed; -1: it is none. */
ssize_t proxyproto_parse(const char *buf, size_t n, struct proxyproto *out);

#endif

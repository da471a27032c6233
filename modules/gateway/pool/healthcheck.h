/*
 * What an active check or a probe sends to a host, and how it judges the answer. Pure: octets to a
 * verdict; the socket, the time and the lease are health.c's.
 */
#ifndef POOL_HEALTHCHECK_H
#define POOL_HEALTHCHECK_H

#include "common/base/text.h"
#include "modules/gateway/codec/codec.h"

enum healthcheck_verdict { HEALTHCHECK_BAD = -1, HEALTHCHECK_MORE, HEALTHCHECK_GOOD };
enum healthcheck_kind {
	HEALTHCHECK_CONNECT, /* a connection is enough */
	HEALTHCHECK_PING,    /* the protocol's own question: AJP13, FastCGI */
	HEALTHCHECK_REQUEST, /* a request for health.path */
};

struct healthcheck {
	const struct conf_pool *pool;
	const struct codec *codec;
	enum healthcheck_kind kind;
	struct text out; /* to be sent */
	struct text in;  /* of a ping: all that came; of a request: the body, as far as looked at */
	struct arena arena; /* of the response */
	struct codec_response response;
	char state[CODEC_STATE] __attribute__((aligned(16)));
	char why[160]; /* with HEALTHCHECK_BAD */
};

/* Composes what is to be sent into out: nothing for HEALTHCHECK_CONNECT. */
void healthcheck_init(
    struct healthcheck *, struct worker *, const struct conf_pool *, const struct conf_host *);
void healthcheck_fini(struct healthcheck *);
/* Octets came; the backend closed its end; nothing (more) came in time. The last two give no
   HEALTHCHECK_MORE. */
enum healthcheck_verdict healthcheck_input(struct healthcheck *, const char *p, size_t n);
enum healthcheck_verdict healthcheck_eof(struct healthcheck *);
enum healthcheck_verdict healthcheck_silence(struct healthcheck *);

#endif

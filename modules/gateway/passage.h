/*
 * Which fields of a client's request go to an HTTP or AJP13 backend as they are: not the
 * connection's own (RFC 9110 7.6.1), not those that Connection names, not what frames the message,
 * and not what the route removes or sets anew. And the Host that goes with them.
 */
#ifndef GATEWAY_PASSAGE_H
#define GATEWAY_PASSAGE_H

#include "modules/gateway/codec.h"
#include "modules/gateway/gateway.h"

/* Why a field is not passed on: the codec writes it, the route removes it, the route sets it. */
enum { PASSAGE_OURS = 1, PASSAGE_REMOVED = 2, PASSAGE_SET = 4 };

struct passage {
	const struct request *r;
	const struct gateway_conf *conf;
	uint8_t marks[HF_MAX]; /* PASSAGE_… by kind; a codec may add some */
	bool has_named;        /* Connection names fields */
	bool has_others;       /* the route removes or sets fields of kinds without a row */
};

void passage_init(struct passage *, const struct request *, const struct gateway_conf *);
bool passage_lets(const struct passage *, const struct field *);
/* Whether a route can set a field: not Host and what frames the message. */
bool passage_may_set(struct str name);

/* The authority that the client asked for: as it wrote it, or from a target in absolute-form, which
   counts more than Host (RFC 9112 3.2.2). May be empty: HTTP/1.0. */
struct str passage_client_host(struct request *);
/* What the backend is told as Host, by gateway.host; client_host as above. */
struct str passage_host(const struct codec_request *, struct str client_host);

/* Whether a Connection field of these names a field of this name. */
bool passage_is_named(const struct fields *, struct str name);
/* Whether a Connection value names fields at all: not just "close", "keep-alive", "upgrade" and
   "TE", which are always left out. */
bool passage_names_some(struct str connection);

#endif

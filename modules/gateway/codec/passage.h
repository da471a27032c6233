/*
 * Which fields of a client's request go to a backend: one rule for all protocols, for heads and for
 * trailers. See passage.c. And the Host that goes with them.
 */
#ifndef CODEC_PASSAGE_H
#define CODEC_PASSAGE_H

#include "modules/gateway/codec/codec.h"
#include "modules/gateway/codec/conf.h"

struct nameset;
struct passage_spellings;

/* Why a field is not passed on: the codec writes it or it is the connection's, the route removes
   it, the route sets it, it is for a trusted proxy to say, Connection names it. */
enum {
	PASSAGE_OURS = 1,
	PASSAGE_REMOVED = 2,
	PASSAGE_SET = 4,
	PASSAGE_CLAIMED = 8,
	PASSAGE_NAMED = 16,
};

struct passage {
	struct request *r;
	const struct gateway_conf *conf;
	struct nameset *named; /* what Connection names, of kinds without a row; or NULL */
	struct passage_spellings *spellings; /* see passage.c; NULL: not made yet */
	struct peer hop;                     /* the hop before us */
	uint64_t lengths;      /* of the names in set and remove: a bit for each, modulo 64 */
	bool is_trusted;       /* it may speak for the client: trusted_proxies */
	uint8_t refused;       /* enum claim: what is not passed on */
	uint8_t marks[HF_MAX]; /* PASSAGE_… by kind; a codec may add some */
};

/* 0, or the status to refuse the request with and *why. */
int passage_init(struct passage *, const struct codec_request *, const char **why);
/* Of a field of the request's head, by its place there. */
bool passage_lets(struct passage *, const struct field *);
/* Of a field of its trailer section: plain names only, and no claims (RFC 9110 6.5.1). */
bool passage_lets_trailer(struct passage *, const struct field *);
/* Whether a route can set a field: not Host and what frames the message. */
bool passage_may_set(struct str name);
/* What the route sets a field to, by its index in conf->set; n 0: nothing. */
struct str passage_value(const struct passage *, size_t i);

/* The authority that the client asked for: as it wrote it, or from a target in absolute-form, which
   counts more than Host (RFC 9112 3.2.2). May be empty: HTTP/1.0. */
struct str passage_client_host(struct request *);
/* The Host that the backend gets, by gateway.host; client_host as above. */
struct str passage_host(const struct codec_request *, struct str client_host);

/* Gathers what Connection fields name (RFC 9110 7.6.1): kinds with a row are marked, what else
   there is goes into a set in the arena. False: it names more than any honest client does, and the
   request is refused. */
enum { PASSAGE_OPTIONS = 32, PASSAGE_CONNECTION = 1024 }; /* options; octets */
struct passage_options {
	struct nameset *named; /* NULL: nothing */
	uint8_t *marks;        /* [HF_MAX] */
	unsigned n;
	size_t octets;
};
bool passage_gather(struct passage_options *, struct arena *, struct str connection);

#endif

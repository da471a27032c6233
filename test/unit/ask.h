/*
 * A request for a codec of the gateway, without a server: made from the text of its head, with a
 * configuration that the test fills in. What comes back is written down as a text that does not
 * depend on how the octets arrived.
 */
#ifndef TEST_UNIT_ASK_H
#define TEST_UNIT_ASK_H

#include "modules/gateway/codec/codec.h"
#include "modules/gateway/gateway.h"
#include "test/unit/split.h"
#include "worker/state.h"

struct ask {
	struct worker w;
	struct conf conf;
	struct conf_listen listen;
	struct conf_pool pool;
	struct conf_host host;
	struct gateway_conf gw;
	struct arena arena; /* of the configuration */
	struct request r;
	struct codec_request q;
	struct body out, src;
	_Alignas(16) unsigned char state[CODEC_STATE];
};

/* head: complete, with its empty line; the client is 192.0.2.1. The rest is zero but for q.keep. */
void ask_open(struct ask *, const char *head);
void ask_close(struct ask *);
/* "192.0.2.0/24" … as trusted_proxies. */
void ask_trust(struct ask *, const char *network);
/* An address for r.peer or r.via. */
struct peer ask_peer(const char *address);
/* A pair of conf->set; at most four. */
void ask_set(struct ask *, const char *name, const char *value);
/* One name, as a list of names. */
struct cfg_strs ask_names(struct ask *, const char *name);
/* All that is in out, taken; "-" shows as octets. In the request's arena. */
struct str ask_sent(struct ask *);

/* Feeds a response to a codec, in pieces as way says, and then eof unless it ended:
   "INTERIM 103 [Link: x] HEAD 200 length 5 [A: b] DATA hello END keep [T: v]"; with "ERROR", and
   why at *why (may be NULL). In the request's arena. */
struct str ask_feed(struct ask *, const struct codec *, struct codec_response *rsp, struct str in,
    const struct split *way, const char **why);

#endif

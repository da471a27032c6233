/*
 * Codecs without an engine: a request made of texts, what a codec sends as octets, and what it
 * reads as a line of text, in whatever pieces the octets come.
 */
#ifndef TEST_UNIT_CODEC_FAKE_H
#define TEST_UNIT_CODEC_FAKE_H

#include "modules/gateway/codec/codec.h"
#include "modules/gateway/gateway.h"
#include "test/unit/split.h"

struct codec_fake {
	struct request r;
	struct codec_request q;
	struct gateway_conf conf;
	struct script script;
	struct body out;
	char sent[600000];
	size_t sent_n;
};

/* A GET of target with fields "Name: value" on lines of their own, from 192.0.2.7 port 40000 to
   198.51.100.1:8080 (our end's own address is 198.51.100.9); script "/i.php" below /srv. */
void codec_fake_init(struct codec_fake *, const char *target, const char *fields);
void codec_fake_fini(struct codec_fake *);
/* A body of so many octets, which are in r.body. */
void codec_fake_body(struct codec_fake *, const char *octets, size_t n);
/* head() and all of body() into sent; head()'s status. */
int codec_fake_send(struct codec_fake *, const struct codec *, void *state, const char **why);

/* What the codec makes of the octets, then (unless it has ended) of the end of the connection:
   "interim 103 (Link=x) 200 (A=b,C=d) length 5 \"content\" stderr \"text\" end keep", "error: why".
   state has been through head(), or is zero. */
struct codec_fake_in {
	const struct codec *codec;
	void *state; /* CODEC_STATE octets, used up */
	uint32_t max_head;
	bool is_head;
	bool is_open; /* the connection is not closed at the end */
};
void codec_fake_read(const struct codec_fake_in *, const char *in, size_t n,
    const struct split *way, char *text, size_t room);

#endif

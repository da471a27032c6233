/*
 * What a codec's decoder makes of octets, as a digest; what no decoder may make of any is a
 * failure.
 */
#ifndef TEST_FUZZ_CODEC_OUTCOME_H
#define TEST_FUZZ_CODEC_OUTCOME_H

#include "common/base/must.h"
#include "modules/gateway/codec/codec.h"

struct codec_outcome {
	uint64_t digest;  /* of all that was said, in order */
	uint64_t content; /* octets of content */
	size_t used;
	int64_t length; /* as announced; -1: unknown */
	enum codec_event last;
	bool has_head, keep, is_tunnel;
	enum codec_event run; /* the kind of content that goes on: pieces do not count */
};

static inline void
codec_digest(struct codec_outcome *o, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		o->digest = (o->digest ^ b[i]) * 0x100000001b3;
}

static inline void
codec_digest_str(struct codec_outcome *o, struct str s)
{
	codec_digest(o, &s.n, sizeof(s.n));
	codec_digest(o, s.p, s.n);
}

static inline void
codec_digest_fields(struct codec_outcome *o, const struct fields *fields)
{
	for (unsigned i = 0; i < fields->n; i++) {
		must(http_is_token(fields->v[i].name));
		must(http_is_field_value(fields->v[i].value));
		must(fields->v[i].id == http_field_of(fields->v[i].name));
		must(fields->v[i].id != HF_CONTENT_LENGTH &&
		     fields->v[i].id != HF_TRANSFER_ENCODING && fields->v[i].id != HF_CONNECTION);
		codec_digest_str(o, fields->v[i].name);
		codec_digest_str(o, fields->v[i].value);
	}
}

static inline void
codec_head(struct codec_outcome *o, const struct codec_response *res, enum codec_event ev)
{
	must(res->status >= 100 && res->status <= 999);
	must((ev == CODEC_INTERIM) == (res->status < 200 && !res->is_tunnel));
	must(!o->has_head);
	o->has_head = ev == CODEC_HEAD;
	o->length = res->length;
	o->is_tunnel = res->is_tunnel;
	codec_digest(o, &res->status, sizeof(res->status));
	codec_digest(o, &res->length, sizeof(res->length));
	codec_digest_fields(o, &res->fields);
}

static inline void
codec_note(struct codec_outcome *o, const struct codec_response *res, enum codec_event ev)
{
	if (ev == CODEC_MORE)
		return;
	o->last = ev;
	if (ev == CODEC_DATA || ev == CODEC_STDERR) {
		must(res->data.n > 0);
		must(ev == CODEC_STDERR || o->has_head);
		if (o->run != ev)
			codec_digest(o, &ev, sizeof(ev));
		o->run = ev;
		codec_digest(o, res->data.p, res->data.n);
		o->content += ev == CODEC_DATA ? res->data.n : 0;
		return;
	}
	o->run = ev;
	codec_digest(o, &ev, sizeof(ev));
	if (ev == CODEC_HEAD || ev == CODEC_INTERIM)
		codec_head(o, res, ev);
	if (ev == CODEC_WANT)
		codec_digest(o, &res->want, sizeof(res->want));
	if (ev == CODEC_ERROR)
		codec_digest_str(o, str_of(res->why));
	if (ev == CODEC_END)
		codec_digest_fields(o, &res->trailers);
	o->keep = ev == CODEC_END && res->keep;
}

#endif

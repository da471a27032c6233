/*
 * A codec's decoder fed with the same octets in different pieces: what it makes of them, as a
 * digest. Octets are in memory of their own, so that a sanitizer sees who looks beyond them, and
 * are gone after the call, so that it sees who keeps them.
 */
#ifndef TEST_FUZZ_CODEC_H
#define TEST_FUZZ_CODEC_H

#include <stdlib.h>
#include "modules/gateway/codec/codec.h"
#include "test/fuzz/fuzz.h"

struct codec_outcome {
	uint64_t digest;  /* of all that was said, in order */
	uint64_t content; /* octets of content */
	size_t used;
	int64_t length; /* as announced; -1: unknown */
	enum codec_event last;
	bool has_head, keep, is_tunnel;
	enum codec_event run; /* the kind of content that goes on: pieces do not count */
};

/* What one way of feeding is. */
struct codec_feed {
	const struct codec *codec;
	const void *state; /* as it is at the beginning; CODEC_STATE octets, or zero when NULL */
	uint32_t max_head;
	bool is_head;
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

/* All that one piece gives; false when it is over. */
static inline bool
codec_piece(const struct codec_feed *f, void *state, struct codec_response *res,
    struct codec_outcome *o, const uint8_t *in, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);
	enum codec_event ev;
	size_t at = 0;

	memcpy(copy, in, n);
	do {
		size_t used = n + 1;

		ev = f->codec->input(state, res, copy + at, n - at, &used);
		must(used <= n - at);
		must(ev != CODEC_MORE || at + used == n);
		must((ev != CODEC_DATA && ev != CODEC_STDERR) ||
		     fuzz_is_inside(res->data, copy + at, used));
		at += used;
		codec_note(o, res, ev);
	} while (ev != CODEC_MORE && ev != CODEC_END && ev != CODEC_ERROR);
	o->used += at;
	memset(copy, '#', n);
	free(copy);
	return ev == CODEC_MORE;
}

/* The first piece has first octets, those after it step octets each (0: all that is left). */
static inline struct codec_outcome
codec_run(const struct codec_feed *f, const uint8_t *in, size_t n, size_t first, size_t step)
{
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	struct codec_outcome o = { .digest = 0xcbf29ce484222325, .length = -1 };
	struct codec_response res = { .max_head = f->max_head, .is_head = f->is_head };
	struct arena arena;
	size_t at = 0, next = first;
	bool goes_on = true;

	if (f->state)
		memcpy(state, f->state, sizeof(state));
	arena_init(&arena, NULL, 0);
	res.arena = &arena;
	res.length = -1;
	while (goes_on && at < n) {
		goes_on = codec_piece(f, state, &res, &o, in + at, next - at);
		at = next;
		next = step && at + step < n ? at + step : n;
	}
	if (goes_on)
		codec_note(&o, &res, f->codec->eof(state, &res));
	must(o.last == CODEC_END || o.last == CODEC_ERROR);
	arena_fini(&arena);
	return o;
}

/* The outcome does not depend on the pieces, and content is what was announced. */
static inline void
codec_check(const struct codec_feed *f, const uint8_t *in, size_t n, size_t cut)
{
	struct codec_outcome whole = codec_run(f, in, n, n, 0), o;
	const size_t ways[][2] = { { 1, 1 }, { 1 + cut % n, 0 }, { 1 + cut % 7, 1 + cut % 13 } };

	must(whole.last != CODEC_END || whole.length < 0 || f->is_head || whole.is_tunnel ||
	     whole.content == (uint64_t)whole.length || whole.content == 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		o = codec_run(f, in, n, ways[i][0] < n ? ways[i][0] : n, ways[i][1]);
		must(o.digest == whole.digest && o.last == whole.last);
		must(o.content == whole.content && o.is_tunnel == whole.is_tunnel);
		must(o.last != CODEC_END || o.used == whole.used);
		/* What follows the end is seen only by who has it. */
		must(o.used < n || o.keep == whole.keep);
	}
}

#endif

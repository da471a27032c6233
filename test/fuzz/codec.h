/*
 * The decoder of a codec is fed with the same octets in different pieces, and must make the same of
 * them. Octets are in memory of their own, so that a sanitizer sees who looks beyond them, and are
 * gone after the call, so that it sees who keeps them.
 */
#ifndef TEST_FUZZ_CODEC_H
#define TEST_FUZZ_CODEC_H

#include <stdlib.h>
#include "test/fuzz/codec_outcome.h"
#include "test/fuzz/fuzz.h"

/* What one way of feeding is. */
struct codec_feed {
	const struct codec *codec;
	const void *state; /* as it is at the beginning; CODEC_STATE octets, or zero when NULL */
	uint32_t max_head;
	bool is_head;
};

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

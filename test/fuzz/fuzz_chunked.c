/*
 * Chunked bodies: the same content, trailers, end and verdict however the octets arrive; what we
 * encode is decoded to what it was.
 */
#include <stdlib.h>
#include "test/fuzz/fuzz.h"
#include "worker/chunked.h"

struct outcome {
	ssize_t status; /* octets used in all, or minus the status */
	bool is_done;
	uint64_t octets, digest;
};

static void
digest(struct outcome *o, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		o->digest = o->digest * 31 + (unsigned char)s.p[i];
	o->octets += s.n;
}

static void
digest_trailers(struct outcome *o, const struct fields *trailers)
{
	for (unsigned i = 0; i < trailers->n; i++) {
		const struct field *f = &trailers->v[i];

		must(http_is_token(f->name) && http_is_field_value(f->value));
		must(f->id != HF_CONTENT_LENGTH && f->id != HF_TRANSFER_ENCODING &&
		     f->id != HF_HOST);
		digest(o, f->name);
		digest(o, f->value);
	}
	must(trailers->n <= CHUNKED_MAX_TRAILERS);
}

/* All that one buffer of n octets gives; false when it is over. */
static bool
feed(struct chunked *c, struct arena *a, struct fields *trailers, const char *in, size_t n,
    struct outcome *o)
{
	size_t at = 0;

	while (at < n && !o->is_done) {
		struct str data;
		ssize_t used = chunked_decode(c, a, trailers, in + at, n - at, &data, &o->is_done);

		if (used < 0) {
			o->status = used;
			return false;
		}
		must(used > 0 && (size_t)used <= n - at);
		must(fuzz_is_inside(data, in + at, (size_t)used));
		digest(o, data);
		at += (size_t)used;
		o->status += used;
	}
	return !o->is_done;
}

static struct outcome
run(const uint8_t *in, size_t n, size_t first, size_t step)
{
	struct outcome o = { 0 };
	struct chunked c = { 0 };
	struct fields trailers = { 0 };
	struct arena arena;
	size_t at = 0, next = first;
	bool goes_on = true;

	arena_init(&arena, NULL, 0);
	while (goes_on && at < n) {
		char *buf = malloc(next - at);

		memcpy(buf, in + at, next - at);
		goes_on = feed(&c, &arena, &trailers, buf, next - at, &o);
		free(buf);
		at = next;
		next = step && at + step < n ? at + step : n;
	}
	if (o.status >= 0)
		digest_trailers(&o, &trailers);
	arena_fini(&arena);
	return o;
}

/* Encodes the octets as chunks of up to size, and decodes them. */
static void
round_trip(const uint8_t *data, size_t n, size_t size)
{
	char *wire = malloc(n * 21 + 16);
	struct outcome o, want = { 0 };
	size_t len = 0;

	for (size_t at = 0; at < n; at += size) {
		size_t part = n - at < size ? n - at : size;

		len += chunked_head(wire + len, part);
		memcpy(wire + len, data + at, part);
		memcpy(wire + len + part, "\r\n", 2);
		len += part + 2;
	}
	memcpy(wire + len, CHUNKED_LAST, 5);
	len += 5;
	digest(&want, str_n((const char *)data, n));
	o = run((uint8_t *)wire, len, len, 0);
	must(o.status == (ssize_t)len && o.is_done);
	must(o.octets == want.octets && o.digest == want.digest);
	free(wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	struct outcome whole, octets, parts;

	if (n == 0 || n > 20000)
		return 0;
	whole = run(data, n, n, 0);
	octets = run(data, n, 1, 1);
	parts = run(data, n, 1 + choice % n, 0);
	must(whole.status == octets.status && whole.is_done == octets.is_done);
	must(whole.status == parts.status && whole.is_done == parts.is_done);
	must(whole.octets == octets.octets && whole.digest == octets.digest);
	must(whole.octets == parts.octets && whole.digest == parts.digest);
	if (n < 2000)
		round_trip(data, n, 1 + choice);
	return 0;
}

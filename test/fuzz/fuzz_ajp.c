/*
 * Packets of servlet containers: the same events however the octets arrive, also when the container
 * asks for the body again and again. And content in packets comes out as it was.
 */
#include "modules/gateway/codec/ajp.h"
#include "test/fuzz/codec.h"

/* What is asked for is given at once. */
static enum codec_event
give(void *state, struct codec_response *rsp, const char *in, size_t n, size_t *used)
{
	enum codec_event event = codec_ajp.input(state, rsp, in, n, used);

	if (event == CODEC_WANT)
		((struct ajp *)state)->is_asked = false;
	return event;
}

static enum codec_event
end(void *state, struct codec_response *rsp)
{
	return codec_ajp.eof(state, rsp);
}

static const struct codec giving = { .name = "ajp", .input = give, .eof = end };

static uint8_t *
put_packet(uint8_t *p, uint8_t type, const void *content, size_t n)
{
	const uint8_t head[] = { 'A', 'B', (uint8_t)((n + 1) >> 8), (uint8_t)(n + 1), type };

	return mempcpy(mempcpy(p, head, sizeof(head)), content, n);
}

static void
round_trip(const struct codec_feed *f, const uint8_t *data, size_t n)
{
	uint8_t *wire = malloc(n * 10 + 64), *p = wire, chunk[128];
	struct codec_outcome o;

	p = put_packet(p, 4, "\0\xc8\0\2OK\0\0\0", 9);
	for (size_t at = 0; at < n;) {
		size_t part = 1 + data[at] % 61;

		if (part > n - at)
			part = n - at;
		chunk[0] = 0;
		chunk[1] = (uint8_t)part;
		memcpy(chunk + 2, data + at, part);
		chunk[part + 2] = 0;
		p = put_packet(p, 3, chunk, part + 2 + (data[at] & 1));
		at += part;
	}
	p = put_packet(p, 5, "\1", 1);
	o = codec_run(f, wire, (size_t)(p - wire), 1 + n % 50, 1 + n % 17);
	must(o.last == CODEC_END && o.used == (size_t)(p - wire) && o.keep);
	must(o.content == (f->is_head ? 0 : n));
	free(wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	const struct ajp s = { .wants_keep = true };
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	const struct codec_feed feed = { .codec = choice & 2 ? &codec_ajp : &giving,
		.state = state,
		.max_head = choice & 4 ? 64 : 8192,
		.is_head = choice & 1 };
	int whole, last = 0;

	if (n == 0 || n > 70000)
		return 0;
	memcpy(state, &s, sizeof(s));
	codec_check(&feed, data, n, choice);
	if (n < 2000)
		round_trip(&feed, data, n);
	for (size_t i = 0; i <= n && i < 20; i++) {
		whole = codec_ajp.pong((const char *)data, i);
		must(last == 0 || whole == last || (last == 1 && i == 6));
		last = whole;
	}
	return 0;
}

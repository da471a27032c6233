/*
 * Responses of HTTP backends: the same events however the octets arrive. And content that we chunk
 * as requests are chunked comes out as it was.
 */
#include "modules/gateway/codec/hcodec.h"
#include "test/fuzz/codec.h"

static void
round_trip(const struct codec_feed *f, const uint8_t *data, size_t n)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	char *wire = malloc(sizeof(head) + n * 21 + 16), *p = mempcpy(wire, head, sizeof(head) - 1);
	struct codec_outcome o;

	for (size_t at = 0; at < n;) {
		size_t part = 1 + data[at] % 61;

		if (part > n - at)
			part = n - at;
		p += chunked_head(p, part);
		p = mempcpy(p, data + at, part);
		p = mempcpy(p, "\r\n", 2);
		at += part;
	}
	p = mempcpy(p, CHUNKED_LAST, 5);
	o = codec_run(f, (uint8_t *)wire, (size_t)(p - wire), 1 + n % 50, 1 + n % 17);
	must(o.last == CODEC_END && o.content == n && o.used == (size_t)(p - wire));
	must(o.keep && o.length == -1);
	free(wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	const struct hcodec s = { .is_upgrade = choice & 2, .wants_keep = true, .is_sent = true };
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	struct codec_feed feed = { .codec = &codec_http,
		.state = state,
		.max_head = choice & 4 ? 100 : 8192,
		.is_head = choice & 1 };

	if (n == 0 || n > 20000)
		return 0;
	memcpy(state, &s, sizeof(s));
	codec_check(&feed, data, n, choice);
	feed.is_head = false;
	if (n < 2000 && feed.max_head > 100)
		round_trip(&feed, data, n);
	return 0;
}

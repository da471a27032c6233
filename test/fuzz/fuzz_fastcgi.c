/*
 * FastCGI responses: the same events however the octets arrive. And the other way round: content
 * put into records of sizes and paddings that the input chooses comes out as it was.
 */
#include "test/fuzz/codec.h"

static uint8_t *
put_record(uint8_t *p, uint8_t type, const uint8_t *content, size_t n, uint8_t padding)
{
	const uint8_t head[] = { 1, type, 0, 1, (uint8_t)(n >> 8), (uint8_t)n, padding, 0 };

	p = mempcpy(p, head, sizeof(head));
	if (n > 0)
		p = mempcpy(p, content, n);
	memset(p, 'p', padding);
	return p + padding;
}

/* The octets as content behind a head, each of them deciding about the next record. */
static void
round_trip(const struct codec_feed *f, const uint8_t *data, size_t n)
{
	static const char head[] = "X: y\r\n\r\n";
	uint8_t *wire = malloc(n * 300 + 400), *p;
	struct codec_outcome o, want = { .digest = 0xcbf29ce484222325 };

	p = put_record(wire, 6, (const uint8_t *)head, sizeof(head) - 1, 3);
	for (size_t at = 0; at < n;) {
		size_t part = 1 + data[at] % 61;

		if (part > n - at)
			part = n - at;
		p = put_record(p, 6, data + at, part, data[at] & 7 ? 0 : data[at]);
		at += part;
	}
	p = put_record(p, 6, NULL, 0, 0);
	p = put_record(p, 3, (const uint8_t *)"\0\0\0\0\0\0\0\0", 8, 1);
	o = codec_run(f, wire, (size_t)(p - wire), 1 + n % 50, 1 + n % 17);
	must(o.last == CODEC_END && o.has_head && o.length == -1);
	must(o.used == (size_t)(p - wire) && o.content == (f->is_head ? 0 : n));
	codec_note(&want,
	    &(struct codec_response){ .status = 200,
		.length = -1,
		.fields = { .v = &(struct field){ .name = STR("X"), .value = STR("y") }, .n = 1 } },
	    CODEC_HEAD);
	if (n > 0 && !f->is_head)
		codec_note(&want, &(struct codec_response){ .data = { (const char *)data, n } },
		    CODEC_DATA);
	codec_note(&want, &(struct codec_response){ .status = 0 }, CODEC_END);
	must(o.digest == want.digest);
	free(wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	const struct codec_feed feed = {
		.codec = &codec_fastcgi, .max_head = choice & 4 ? 64 : 8192, .is_head = choice & 1
	};
	int whole, last = 0;

	if (n == 0 || n > 70000)
		return 0;
	codec_check(&feed, data, n, choice);
	if (n < 2000)
		round_trip(&feed, data, n);
	/* An answer to GET_VALUES: the verdict never changes once it is there. */
	for (size_t i = 0; i <= n && i < 600; i++) {
		whole = codec_fastcgi.pong((const char *)data, i);
		must(last == 0 || whole == last);
		last = whole;
	}
	return 0;
}

/*
 * Responses of CGI-like applications: the same head, content, end and verdict however the octets
 * arrive.
 */
#include "modules/gateway/codec/cgihead.h"
#include "test/fuzz/codec.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct codec codec = { .input = cgihead_input, .eof = cgihead_eof };
	uint8_t choice = fuzz_take(&data, &n);
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	const struct codec_feed feed = { .codec = &codec,
		.state = state,
		.max_head = choice & 4 ? 64 : 8192,
		.is_head = choice & 1 };

	((struct cgihead *)state)->may_switch = choice & 2;
	if (n > 0 && n <= 20000)
		codec_check(&feed, data, n, choice);
	return 0;
}

/*
 * PROXY headers: no octet beyond the end is read, "more" never becomes wrong, and a header is the
 * same whatever follows it.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include "test/fuzz/fuzz.h"
#include "worker/proxyproto.h"

static ssize_t
parse(const uint8_t *data, size_t n, struct proxyproto *out)
{
	char *buf = malloc(n > 0 ? n : 1);
	ssize_t len;

	memcpy(buf, data, n);
	len = proxyproto_parse(buf, n, out);
	free(buf);
	must(len >= -1 && len <= (ssize_t)n && len <= PROXYPROTO_MAX);
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct proxyproto whole, part;
	ssize_t verdict, len = 0;

	if (n > 6000)
		return 0;
	verdict = parse(data, n, &whole);
	/* Octet by octet up to where the header ends, or as far as a line goes. */
	for (size_t i = 0; i <= n && i < 300 && len == 0; i++)
		len = parse(data, i, &part);
	must(len == 0 || len == verdict);
	if (verdict <= 0)
		return 0;
	must(parse(data, (size_t)verdict, &part) == verdict);
	must(part.is_local == whole.is_local && part.is_tls == whole.is_tls);
	must(memcmp(part.client.addr, whole.client.addr, 16) == 0);
	must(whole.is_local || whole.client.family == AF_INET || whole.client.family == AF_INET6 ||
	     whole.client.family == AF_UNIX);
	return 0;
}

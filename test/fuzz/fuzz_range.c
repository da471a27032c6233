/*
 * Ranges: those given out lie within the representation, hold something, and are together no longer
 * than it; joined ones do not touch.
 */
#include <stdlib.h>
#include "test/fuzz/fuzz.h"
#include "worker/cond.h"

static void
check(const struct range *r, int n, int64_t size)
{
	int64_t sum = 0;

	must(n <= RANGE_MAX);
	for (int i = 0; i < n; i++) {
		must(r[i].first >= 0 && r[i].len > 0);
		must(r[i].first < size && r[i].len <= size - r[i].first);
		must(r[i].len <= size - sum);
		sum += r[i].len;
		for (int k = 0; k < i && n > 2; k++)
			must(r[i].first > r[k].first + r[k].len ||
			     r[k].first > r[i].first + r[i].len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int64_t sizes[] = { 0, 1, 2, 10, 1000, 65536, 1LL << 40, INT64_MAX };
	uint8_t choice = fuzz_take(&data, &n);
	int64_t size = sizes[choice % 8] - (choice >= 128 && choice % 8);
	struct range r[RANGE_MAX];
	char *buf;
	int count;

	if (n > 4000)
		return 0;
	buf = malloc(n + 6);
	memcpy(buf, "bytes=", 6);
	memcpy(buf + 6, data, n);
	count = range_parse(str_n(buf, n + 6), size, r);
	must(count >= -1 && (size > 0 || count == 0));
	check(r, count, size);
	count = range_parse(str_n(buf + 6, n), size, r);
	check(r, count, size);
	free(buf);
	return 0;
}

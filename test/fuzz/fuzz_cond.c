/*
 * Conditions, weights, dates and forwarded addresses: verdicts within their range, a strong match
 * is a weak one, dates go round, If-None-Match outranks If-Modified-Since.
 */
#include <stdlib.h>
#include "common/base/clock.h"
#include "common/base/forwarded.h"
#include "test/fuzz/fuzz.h"
#include "worker/cond.h"

enum { PARTS = 8 };

static void
check_date(struct str s)
{
	char text[29];
	time_t t, again;

	if (!clock_parse_http_date(s, &t))
		return;
	clock_http_date(text, t);
	must(clock_parse_http_date(str_n(text, sizeof(text)), &again) && again == t);
}

static void
check_conditions(const struct str part[PARTS], uint8_t choice)
{
	struct conditions c = { part[0], part[1], part[2], part[3], part[4], part[5] };
	struct validators v = { part[6], choice & 1 ? 784111777 : 0, choice & 2 };
	enum http_method method = choice & 4 ? M_GET : M_PUT;
	int status = cond_check(&c, &v, method), without;

	must(status == 0 || status == 412 || (status == 304 && method == M_GET));
	if (c.if_none_match.p) {
		c.if_modified_since = (struct str){ NULL, 0 };
		without = cond_check(&c, &v, method);
		must(status == without);
	}
	if (c.if_match.p) {
		c.if_unmodified_since = (struct str){ NULL, 0 };
		must(status == cond_check(&c, &v, method));
	}
	cond_if_range(&c, &v);
	must(!etag_strong_eq(part[0], part[1]) || etag_weak_eq(part[0], part[1]));
	must(etag_weak_eq(part[0], part[1]) == etag_weak_eq(part[1], part[0]));
}

static void
check_forwarded(struct str value)
{
	struct forwarded f;
	unsigned n = 0;

	while (forwarded_for(value, n, &f))
		n++;
	must(n <= value.n && !forwarded_for(value, n + 1, &f));
	for (unsigned i = 0; forwarded_nth(value, i, &f); i++) {
		must(i < n);
		must(fuzz_is_inside(f.proto, value.p, value.n));
		must(fuzz_is_inside(f.host, value.p, value.n));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	struct str part[PARTS] = { { NULL, 0 } }, rest;
	char *buf;
	int q;

	if (n > 2000)
		return 0;
	buf = malloc(n > 0 ? n : 1);
	memcpy(buf, data, n);
	rest = str_n(buf, n);
	for (int i = 0; i < PARTS && rest.p; i++)
		part[i] = str_split(&rest, '\n');
	check_conditions(part, choice);
	for (int i = 0; i < PARTS; i++)
		check_date(part[i]);
	q = accept_encoding_q(part[0], part[1]);
	must(q >= 0 && q <= 1000);
	q = accept_q(part[0], part[1]);
	must(q >= 0 && q <= 1000);
	if (part[0].n < 200) /* each look from the right is one over the whole list */
		check_forwarded(part[0]);
	free(buf);
	return 0;
}

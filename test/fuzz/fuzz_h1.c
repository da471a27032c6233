/*
 * Heads of requests: the verdict does not depend on how the octets arrive, what is accepted lies
 * within the head and keeps the rules that everything behind relies on.
 */
#include <stdlib.h>
#include "test/fuzz/fuzz.h"
#include "worker/h1_parse.h"

struct verdict {
	ssize_t status; /* length of the head, 0, or minus the status */
	uint64_t digest;
};

static void
digest(struct verdict *v, struct str s)
{
	v->digest = v->digest * 31 + str_hash(s) + s.n;
}

static void
check_head(struct verdict *v, const struct h1_head *h, const char *buf, size_t n)
{
	must(h->fields.n <= H1_MAX_FIELDS);
	must(h->target.n > 0 && fuzz_is_inside(h->target, buf, n));
	must(str_find(h->target, ' ') < 0);
	must(http_is_token(h->method_name) && h->method_name.n <= H1_MAX_METHOD);
	must(h->version == 10 || (h->version == 11 && h->known[HF_HOST]));
	must(!h->is_chunked ||
	     (h->length == -1 && !h->known[HF_CONTENT_LENGTH] && h->version == 11));
	must(h->is_chunked || h->length >= 0);
	must(h->is_chunked || !h->known[HF_TRANSFER_ENCODING]);
	for (unsigned i = 0; i < h->fields.n; i++) {
		const struct field *f = &h->fields.v[i];

		must(fuzz_is_inside(f->name, buf, n) && fuzz_is_inside(f->value, buf, n));
		must(http_is_token(f->name) && http_is_field_value(f->value));
		must(str_eq(str_trim(f->value), f->value));
		must(f->id == http_field_of(f->name));
		must(f->id == HF_OTHER || (h->known[f->id] > 0 && h->known[f->id] <= i + 1));
		digest(v, f->name);
		digest(v, f->value);
	}
	digest(v, h->target);
	digest(v, h->host);
	v->digest +=
	    (uint64_t)h->length * 7 + h->port + h->keep_alive * 2u + h->expects_continue * 4u;
}

static void
parse(struct verdict *v, const struct h1_limits *l, const char *buf, size_t n, size_t skip,
    bool is_seen)
{
	struct field room[4];
	uint8_t known[HF_MAX] = { 0 };
	struct h1_head h = { .fields = { room, 0, 4 }, .known = known };
	struct arena arena;
	const char *why = NULL;
	int status;

	if (is_seen) { /* "Host: a" of the seeds was seen before: that changes nothing */
		h.seen = STR("a");
		h.seen_host_n = 1;
	}
	arena_init(&arena, NULL, 0);
	status = h1_parse(&h, l, &arena, buf, n, &why);
	must(status == 0 || (status <= -400 && why));
	v->status = status ? status : (ssize_t)(n + skip);
	if (status == 0)
		check_head(v, &h, buf, n);
	arena_fini(&arena);
}

/* first octets, then step at a time (0: the rest). */
static struct verdict
run(const struct h1_limits *l, const uint8_t *data, size_t n, size_t first, size_t step)
{
	struct verdict v = { 0, 0 };
	struct h1_scan scan = { 0 };
	size_t skip = 0, at = first;
	ssize_t len = 0;

	while (len == 0) {
		char *buf = malloc(at > 0 ? at : 1);

		memcpy(buf, data, at);
		len = h1_scan(&scan, l, buf, at, &skip);
		must(len <= (ssize_t)at && (len >= 0 || scan.why));
		v.status = len;
		if (len > 0)
			parse(&v, l, buf + skip, (size_t)len - skip, skip, step || first < n);
		free(buf);
		if (at == n)
			break;
		at = step && at + step < n ? at + step : n;
	}
	return v;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	struct h1_limits l = { .line = 8192, .head = 32768, .fields = 100 };
	struct verdict whole, octets, parts;

	if (choice & 0x80)
		l = (struct h1_limits){
			.line = 40 + choice % 16, .head = 100 + choice % 32, .fields = 3
		};
	if (n == 0 || n > 2000)
		return 0;
	whole = run(&l, data, n, n, 0);
	octets = run(&l, data, n, 1, 1);
	parts = run(&l, data, n, 1 + choice % n, 0);
	must(whole.status == octets.status && whole.digest == octets.digest);
	must(whole.status == parts.status && whole.digest == parts.digest);
	return 0;
}

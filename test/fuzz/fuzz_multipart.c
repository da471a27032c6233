/*
 * Forms with files: the same parts, contents and verdict however the octets arrive; nothing of a
 * name leads anywhere; every length is within its bounds.
 */
#include <stdlib.h>
#include "modules/gateway/codec/formpart.h"
#include "modules/gateway/codec/multipart.h"
#include "test/fuzz/fuzz.h"

struct told {
	uint64_t digest; /* of all that was told */
	size_t octets;
	int status;
};

enum { ROOM = 128, NAME = 64 };

static void
tell(struct told *t, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		t->digest = (t->digest ^ (unsigned char)p[i]) * 0x100000001b3ull;
	t->octets += n;
}

/* What can be said of a name that an application is given. */
static void
check_part(struct told *t, struct str head)
{
	struct arena a;
	struct formpart f;
	const char *why = NULL;
	int status;

	arena_init(&a, NULL, 0);
	status = formpart_read(&f, &a, head, NAME, &why);
	must(status == 0 || (status == 400 && why));
	if (status == 0) {
		must(f.name.n > 0 && f.name.n <= NAME && f.filename.n <= NAME);
		must(!formpart_is_ours(f.name));
		for (size_t i = 0; i < f.name.n; i++)
			must((unsigned char)f.name.p[i] >= 0x20);
		for (size_t i = 0; i < f.filename.n; i++) {
			char c = f.filename.p[i];

			must((unsigned char)c >= 0x20 && c != '/' && c != '\\' && c != 0x7f);
		}
		must(f.filename.n == 0 || *f.filename.p != '.');
		tell(t, f.name.p, f.name.n);
	}
	tell(t, head.p, head.n);
	arena_fini(&a);
}

static enum multipart_event
feed(struct multipart *m, struct told *t, const uint8_t *data, size_t n)
{
	char *copy = malloc(n + 1), *p = copy;
	enum multipart_event ev = MULTIPART_PART;
	size_t left = n;

	must(copy);
	memcpy(copy, data, n);
	while (left > 0 || (ev != MULTIPART_MORE && ev != MULTIPART_ERROR)) {
		size_t used = 0;

		ev = multipart_input(m, p, left, &used);
		must(used <= left);
		must(ev != MULTIPART_MORE || used == left);
		p += used;
		left -= used;
		if (ev == MULTIPART_ERROR)
			break;
		if (ev == MULTIPART_DATA) {
			must(m->data.n > 0);
			must(fuzz_is_inside(m->data, copy, n) ||
			     fuzz_is_inside(m->data, m->delimiter, m->n));
			tell(t, m->data.p, m->data.n);
			continue;
		}
		if (ev == MULTIPART_PART)
			check_part(t, m->head);
		if (ev != MULTIPART_MORE)
			tell(t, (const char *)&ev, 1);
	}
	free(copy);
	return ev;
}

static struct told
run(const uint8_t *data, size_t n, struct str boundary, size_t step)
{
	struct told t = { .digest = 1 };
	struct multipart m;
	char room[ROOM];
	bool is_well = true;

	multipart_init(&m, boundary, room, sizeof(room));
	for (size_t at = 0; is_well && at < n; at += step) {
		size_t part = step < n - at ? step : n - at;

		is_well = feed(&m, &t, data + at, part) != MULTIPART_ERROR;
	}
	if (is_well)
		is_well = multipart_eof(&m);
	must(is_well || (m.why && (m.status == 400 || m.status == 413)));
	t.status = is_well ? 0 : m.status;
	must(t.octets <= 2 * n + 8 * sizeof(m.delimiter) + 64 || !is_well);
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct str boundaries[] = { STR_INIT("b"), STR_INIT("----x"), STR_INIT("-"),
		STR_INIT(
		    "0123456789012345678901234567890123456789012345678901234567890123456789") };
	uint8_t choice = fuzz_take(&data, &n);
	struct str boundary = boundaries[choice & 3];
	struct told whole, pieces;
	struct arena a;
	const char *why;

	if (n > 20000)
		return 0;
	whole = run(data, n, boundary, n ? n : 1);
	for (size_t step = 1; step <= 3; step++) {
		pieces = run(data, n, boundary, step);
		must(whole.digest == pieces.digest && whole.status == pieces.status);
	}
	pieces = run(data, n, boundary, (size_t)(choice >> 2) + 4);
	must(whole.digest == pieces.digest && whole.status == pieces.status);
	arena_init(&a, NULL, 0);
	multipart_boundary(str_n((const char *)data, n), &why);
	formpart_query_has_ours(&a, str_n((const char *)data, n));
	arena_fini(&a);
	return 0;
}

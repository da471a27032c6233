#include "master/base/lines.h"

#include "common/base/utf8.h"

enum { LINES_SECOND = 1000 };

static void
lines_put(struct lines *l, void (*put)(void *arg, struct str line), void *arg)
{
	size_t n = l->n;

	while (n > 0 && l->text[n - 1] == '\r' && !l->is_cut)
		n--;
	if (l->is_cut) {
		n = utf8_cut(l->text, sizeof(l->text) - 3);
		memcpy(l->text + n, "...", 3);
		n += 3;
	}
	if (n > 0)
		put(arg, str_n(l->text, n));
	l->n = 0;
	l->is_cut = false;
}

static void
lines_add(struct lines *l, const char *p, size_t n)
{
	size_t room = sizeof(l->text) - l->n, take = n < room ? n : room;

	memcpy(l->text + l->n, p, take);
	l->n += (unsigned)take;
	l->is_cut |= take < n;
}

void
lines_feed(
    struct lines *l, const char *p, size_t n, void (*put)(void *arg, struct str line), void *arg)
{
	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		const char *nul = memchr(p, '\0', end ? (size_t)(end - p) : n);
		size_t part;

		end = nul ? nul : end;
		part = end ? (size_t)(end - p) : n;
		lines_add(l, p, part);
		if (!end)
			return;
		lines_put(l, put, arg);
		p += part + 1;
		n -= part + 1;
	}
}

void
lines_flush(struct lines *l, void (*put)(void *arg, struct str line), void *arg)
{
	lines_put(l, put, arg);
}

bool
lines_may(struct lines_rate *r, uint64_t now)
{
	if (now - r->since >= LINES_SECOND) {
		r->since = now;
		r->n = 0;
	}
	if (r->n < LINES_RATE) {
		r->n++;
		return true;
	}
	r->lost++;
	return false;
}

unsigned long
lines_lost(struct lines_rate *r, uint64_t now)
{
	unsigned long lost = r->lost;

	if (!lost || now - r->reported < LINES_SECOND)
		return 0;
	r->reported = now;
	r->lost = 0;
	return lost;
}

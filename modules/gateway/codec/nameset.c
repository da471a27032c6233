#include "common/base/must.h"
#include "modules/gateway/codec/nameset.h"

void
nameset_init(struct nameset *s, struct arena *a, unsigned max)
{
	must(max <= NAMESET_MAX);
	s->n = 0;
	s->max = max;
	s->mask = 15;
	while (s->mask + 1 < 3 * max)
		s->mask = s->mask * 2 + 1;
	s->names = arena_alloc(a, max * sizeof(*s->names) + s->mask + 1);
	s->slots = (uint8_t *)(s->names + max);
	memset(s->slots, 0, s->mask + 1);
}

/* The slot of the name, or the free one where it would be. */
static unsigned
nameset_slot(const struct nameset *s, struct str name)
{
	unsigned at = (unsigned)fold_hash(name) & s->mask;

	while (s->slots[at] > 0 && !fold_eq(s->names[s->slots[at] - 1], name))
		at = (at + 1) & s->mask;
	return at;
}

unsigned
nameset_put(struct nameset *s, struct str name)
{
	unsigned at = nameset_slot(s, name);

	if (s->slots[at] == 0) {
		must(s->n < s->max);
		s->names[s->n++] = name;
		s->slots[at] = (uint8_t)s->n;
	}
	return s->slots[at] - 1u;
}

bool
nameset_has(const struct nameset *s, struct str name)
{
	return s->n > 0 && s->slots[nameset_slot(s, name)] > 0;
}

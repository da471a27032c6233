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
	s->names = arena_alloc(a, max * sizeof(*s->names) + (s->mask + 1) * sizeof(*s->slots));
	s->slots = (uint16_t *)(s->names + max);
	memset(s->slots, 0, (s->mask + 1) * sizeof(*s->slots));
}

/* The slot of the name, or the free one where it would be. Names are only compared where bits of
   their hashes are equal that do not choose the slot. */
static unsigned
nameset_slot(const struct nameset *s, struct str name, unsigned *bits)
{
	uint64_t hash = fold_hash(name);
	unsigned at = (unsigned)hash & s->mask, slot;

	*bits = (unsigned)(hash >> 32) & 0xff00;
	for (; (slot = s->slots[at]) > 0; at = (at + 1) & s->mask)
		if ((slot & 0xff00) == *bits && fold_eq(s->names[(slot & 0xff) - 1], name))
			break;
	return at;
}

unsigned
nameset_put(struct nameset *s, struct str name)
{
	unsigned bits, at = nameset_slot(s, name, &bits);

	if (s->slots[at] == 0) {
		must(s->n < s->max);
		s->names[s->n++] = name;
		s->slots[at] = (uint16_t)(bits | s->n);
	}
	return (s->slots[at] & 0xffu) - 1;
}

bool
nameset_has(const struct nameset *s, struct str name)
{
	unsigned bits;

	return s->n > 0 && s->slots[nameset_slot(s, name, &bits)] > 0;
}

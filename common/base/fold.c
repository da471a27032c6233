/*
 * A name that is no multiple of a step has a last one that overlaps the one before; one of less
 * than a step is laid out by fold_load().
 */
#include "common/base/fold.h"

static inline bool
fold_step_eq(octets_vec a, octets_vec b)
{
	return octets_mask((octets_vec)(fold_vec(a) == fold_vec(b))) == 0xffff;
}

bool
fold_eq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	if (a.n <= FOLD_STEP)
		return fold_step_eq(fold_load(a.p, a.n), fold_load(b.p, b.n));
	for (size_t at = 0; at + FOLD_STEP < a.n; at += FOLD_STEP)
		if (!fold_step_eq(octets_load(a.p + at), octets_load(b.p + at)))
			return false;
	return fold_step_eq(octets_load(a.p + a.n - FOLD_STEP), octets_load(b.p + b.n - FOLD_STEP));
}

/* Letters may differ by 0x20, the rest by nothing. */
static inline bool
fold_step_is_alike(octets_vec a, octets_vec b)
{
	octets_vec differ = (a ^ b) & ~(fold_alnum(a) & 0x20);

	return octets_mask((octets_vec)(differ == 0)) == 0xffff;
}

bool
fold_is_alike(struct str a, struct str b)
{
	if (a.n <= FOLD_STEP)
		return fold_step_is_alike(fold_load(a.p, a.n), fold_load(b.p, b.n));
	for (size_t at = 0; at + FOLD_STEP < a.n; at += FOLD_STEP)
		if (!fold_step_is_alike(octets_load(a.p + at), octets_load(b.p + at)))
			return false;
	return fold_step_is_alike(
	    octets_load(a.p + a.n - FOLD_STEP), octets_load(b.p + b.n - FOLD_STEP));
}

bool
fold_has_prefix(struct str name, struct str prefix)
{
	return name.n >= prefix.n && fold_eq(str_n(name.p, prefix.n), prefix);
}

/* Secret: they follow from the key of this process. */
struct fold_keys {
	uint64_t low, high;
};

/* The product of two halves that are unknown to those who choose the names, its own halves laid
   together. */
static inline uint64_t
fold_hash_step(uint64_t h, octets_vec v, const struct fold_keys *k)
{
	octets_pair w = (octets_pair)fold_vec(v);
	unsigned __int128 m = (unsigned __int128)(w[0] ^ k->low ^ h) * (w[1] ^ k->high);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t
fold_hash(struct str name)
{
	static struct fold_keys keys;
	uint64_t h = name.n * 0x9e3779b97f4a7c15;
	size_t at = 0;

	if (__builtin_expect(keys.low == 0, 0)) {
		keys.high = str_hash(STR("ends of names"));
		keys.low = str_hash(STR("names of fields")) | 1;
	}
	if (__builtin_expect(name.n <= FOLD_STEP, 1))
		return fold_hash_step(h, fold_load(name.p, name.n), &keys);
	for (; at + FOLD_STEP < name.n; at += FOLD_STEP)
		h = fold_hash_step(h, octets_load(name.p + at), &keys);
	return fold_hash_step(h, octets_load(name.p + name.n - FOLD_STEP), &keys);
}

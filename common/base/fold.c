/*
 * Words of eight octets: a comparison of each octet with a bound is an addition that reaches the
 * octet's highest bit. A name that is no multiple of eight has a last word that overlaps the one
 * before; one of less than eight is spread over a word, some octets of it twice.
 */
#include "common/base/fold.h"

const uint8_t fold_plain[256] = {
	['-'] = 1,
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
};

#define FOLD_EACH(c) (0x0101010101010101u * (uint64_t)(c))

static inline uint64_t
fold_load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

/* A name of less than eight octets. */
static inline uint64_t
fold_load_short(struct str s)
{
	uint32_t low, high;

	if (s.n >= 4) {
		memcpy(&low, s.p, 4);
		memcpy(&high, s.p + s.n - 4, 4);
		return (uint64_t)high << 32 | low;
	}
	if (s.n == 0)
		return FOLD_EACH('-');
	return (FOLD_EACH('-') & ~(uint64_t)0xffffff) | (uint64_t)(unsigned char)s.p[0] << 16 |
	       (uint64_t)(unsigned char)s.p[s.n / 2] << 8 | (unsigned char)s.p[s.n - 1];
}

/* 0x80 in each octet that is at least c, and below 0x80. */
static inline uint64_t
fold_from(uint64_t w, unsigned c)
{
	return ((w & FOLD_EACH(0x7f)) + FOLD_EACH(0x80 - c)) & ~w & FOLD_EACH(0x80);
}

/* 0x80 in each octet that is a letter or a digit. */
static inline uint64_t
fold_alnum(uint64_t w)
{
	uint64_t low = w | FOLD_EACH(0x20);

	return (fold_from(low, 'a') & ~fold_from(low, 'z' + 1)) |
	       (fold_from(w, '0') & ~fold_from(w, '9' + 1));
}

/* Letters in lower case, digits, and 0 for the rest. */
static inline uint64_t
fold_word(uint64_t w)
{
	return (w | FOLD_EACH(0x20)) & ((fold_alnum(w) >> 7) * 0xff);
}

bool
fold_eq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	if (a.n < 8)
		return fold_word(fold_load_short(a)) == fold_word(fold_load_short(b));
	for (size_t i = 0; i + 8 < a.n; i += 8) {
		if (fold_word(fold_load(a.p + i)) != fold_word(fold_load(b.p + i)))
			return false;
	}
	return fold_word(fold_load(a.p + a.n - 8)) == fold_word(fold_load(b.p + b.n - 8));
}

/* Letters may differ by 0x20, the rest by nothing. */
static inline bool
fold_word_is_alike(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~(fold_alnum(a) >> 2)) == 0;
}

bool
fold_is_alike(struct str a, struct str b)
{
	if (a.n < 8)
		return fold_word_is_alike(fold_load_short(a), fold_load_short(b));
	for (size_t i = 0; i + 8 < a.n; i += 8) {
		if (!fold_word_is_alike(fold_load(a.p + i), fold_load(b.p + i)))
			return false;
	}
	return fold_word_is_alike(fold_load(a.p + a.n - 8), fold_load(b.p + b.n - 8));
}

bool
fold_has_prefix(struct str name, struct str prefix)
{
	return name.n >= prefix.n && fold_eq(str_n(name.p, prefix.n), prefix);
}

/* A polynomial over the words with a secret base, whose high bits are mixed into the low ones,
   which tables use. The base follows from the key of this process. */
uint64_t
fold_hash(struct str name)
{
	static uint64_t base;
	uint64_t h = name.n;

	if (base == 0)
		base = str_hash(STR("names of fields")) | 1;
	for (size_t i = 0; i + 8 < name.n; i += 8) {
		h = (h + fold_word(fold_load(name.p + i))) * base;
		h ^= h >> 32;
	}
	h += fold_word(name.n < 8 ? fold_load_short(name) : fold_load(name.p + name.n - 8));
	h *= base;
	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

/*
 * Names of fields as careless readers take them. Behind CGI, WSGI, Rack and PHP, and in many a
 * framework, a field is a variable: letters have one case, and whatever is neither letter nor digit
 * is "_". There X_Real.IP is X-Real-IP. Two names fold together when such a reader could take one
 * for the other. Pure; sixteen bytes at a time, since every unknown name of a head is looked at.
 */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include "common/base/octets.h"
#include "common/base/str.h"

enum { FOLD_STEP = OCTETS_STEP };

/* Of a name of at most a step all, of a longer one only this: its first half and its last, which
   overlap; of less than eight bytes both are the same, with some bytes in it twice. Names of one
   length are laid out alike. */
static inline octets_vec
fold_load(const char *p, size_t n)
{
	octets_pair w;
	uint32_t low, high;

	if (n >= 8) {
		memcpy(&w, p, 8);
		memcpy((char *)&w + 8, p + n - 8, 8);
	} else if (n >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		w = (octets_pair){ 0 } + ((uint64_t)high << 32 | low);
	} else if (n > 0) {
		w = (octets_pair){ 0 } +
		    ((uint64_t)0x2d2d2d2d2d000000 | (uint64_t)(unsigned char)p[0] << 16 |
			(uint64_t)(unsigned char)p[n / 2] << 8 | (unsigned char)p[n - 1]);
	} else {
		w = (octets_pair){ 0 } + 0x2d2d2d2d2d2d2d2d;
	}
	return (octets_vec)w;
}

/* Letters and digits. */
static inline octets_vec
fold_alnum(octets_vec v)
{
	return (octets_vec)((v | 0x20) - 'a' < 26) | (octets_vec)(v - '0' < 10);
}

/* Letters in lower case, digits, and 0 for the rest. */
static inline octets_vec
fold_vec(octets_vec v)
{
	return (v | 0x20) & fold_alnum(v);
}

static inline bool
fold_step_is_plain(octets_vec v)
{
	return octets_mask(fold_alnum(v) | octets_is(v, '-')) == 0xffff;
}

/* Whether a name has nothing but letters, digits and "-". */
static inline bool
fold_is_plain(struct str name)
{
	size_t at = 0;

	if (name.n <= FOLD_STEP)
		return fold_step_is_plain(fold_load(name.p, name.n));
	for (; at + FOLD_STEP < name.n; at += FOLD_STEP)
		if (!fold_step_is_plain(octets_load(name.p + at)))
			return false;
	return fold_step_is_plain(octets_load(name.p + name.n - FOLD_STEP));
}

/* Whether two names fold together. */
bool fold_eq(struct str, struct str);
/* Whether two names that fold together are one, case aside. */
bool fold_is_alike(struct str, struct str);
/* Whether the beginning of a name folds together with prefix. */
bool fold_has_prefix(struct str name, struct str prefix);
/* The same for names that fold together; keyed, so that no client can choose names that fall
   together otherwise. */
uint64_t fold_hash(struct str name);

/* A letter in lower case, a digit, or "-". */
static inline unsigned char
fold_octet(char c)
{
	unsigned char low = (unsigned char)((unsigned char)c | 0x20);

	if ((unsigned)low - 'a' < 26)
		return low;
	return (unsigned)(unsigned char)c - '0' < 10 ? (unsigned char)c : '-';
}

#endif

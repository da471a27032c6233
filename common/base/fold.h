/*
 * Names of fields as careless readers take them. Behind CGI, WSGI, Rack and PHP, and in many a
 * framework, a field is a variable: letters have one case, and whatever is neither letter nor digit
 * is "_". There X_Real.IP is X-Real-IP. Two names fold together when such a reader could take one
 * for the other. Pure; eight octets at a time, since every unknown name of a head is looked at.
 */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include "common/base/str.h"

/* 1: letters, digits and "-". */
extern const uint8_t fold_plain[256];

/* Whether a name has nothing else. */
static inline bool
fold_is_plain(struct str name)
{
	const unsigned char *p = (const unsigned char *)name.p;
	size_t n = name.n;
	unsigned is = 1;

	for (; n >= 4; n -= 4, p += 4)
		is &= fold_plain[p[0]] & fold_plain[p[1]] & fold_plain[p[2]] & fold_plain[p[3]];
	for (; n > 0; n--)
		is &= fold_plain[*p++];
	return is;
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

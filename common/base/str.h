/*
 * Strings that are a pointer and a length. They own nothing; the header of whoever hands one out
 * says how long the bytes live. A str is not NUL-terminated unless its documentation says so.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_INIT(lit)                                                                              \
	{                                                                                          \
		(lit), sizeof(lit) - 1                                                             \
	}
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str
str_of(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}

static inline struct str
str_n(const char *p, size_t n)
{
	return (struct str){ p, n };
}

static inline bool
str_eq(struct str a, struct str b)
{
	/* An absent str has p NULL, which memcmp does not take even with 0 bytes. */
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Whether s begins with prefix. */
static inline bool
str_has_prefix(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool
str_has_suffix(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* ASCII lower case of one byte; others unchanged. */
static inline unsigned char
str_lower(unsigned char c)
{
	return (unsigned)c - 'A' < 26 ? (unsigned char)(c | 0x20) : c;
}

/* Equality without regard to ASCII case. */
bool str_caseeq(struct str a, struct str b);

/* s without leading and trailing SP and HTAB (OWS, RFC 9110 5.6.3). */
struct str str_trim(struct str s);

/* Splits *s at the first sep: returns what stands before it and leaves the rest in *s. When there
   is no sep, returns all of *s and sets s->p to NULL (so a loop runs while s->p). */
struct str str_split(struct str *s, char sep);

/* First position of c in s, or -1. */
ptrdiff_t str_find(struct str s, char c);

/* Next element of a comma-separated list (RFC 9110 5.6.1), trimmed, empty elements skipped,
   commas inside quoted strings respected. False at the end. */
bool str_list_next(struct str *rest, struct str *item);

/* Whether a comma-separated list holds token, without regard to case. */
bool str_list_has(struct str list, struct str token);

/* All of s as decimal digits into *out: false when empty, not digits, or above max. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* Writes v in decimal at dst (at least 20 bytes); returns the length. No NUL. */
size_t str_from_u64(char *dst, uint64_t v);

/* Fast 64-bit hash for tables whose keys are chosen by clients: keyed SipHash-1-3.
   str_hash_seed() sets the key of this process from the kernel's random source. */
uint64_t str_hash(struct str s);
void str_hash_seed(void);
/* The same with the caller's key: for tables that several processes share. */
uint64_t str_hash_keyed(const uint64_t key[2], struct str s);

#endif

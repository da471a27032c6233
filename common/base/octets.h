/*
 * Finding octets in a run, sixteen at a time, by the compiler's vectors. The one place with #ifdef
 * outside the platform's header: one machine's instruction for octets_mask halves the cost of all.
 */
#ifndef BASE_OCTETS_H
#define BASE_OCTETS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { OCTETS_STEP = 16 };

typedef uint8_t octets_vec __attribute__((vector_size(OCTETS_STEP)));
typedef int8_t octets_signed __attribute__((vector_size(OCTETS_STEP)));
typedef uint64_t octets_pair __attribute__((vector_size(OCTETS_STEP)));

static inline octets_vec
octets_load(const char *p)
{
	octets_vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Bit i is set where octet i of the result of a comparison is. */
static inline unsigned
octets_mask(octets_vec m)
{
#ifdef __SSE2__
	return (unsigned)_mm_movemask_epi8((__m128i)m);
#else
	octets_pair w = (octets_pair)m & 0x8080808080808080;
	/* The product brings the eight top bits together in the highest octet. */
	uint64_t lo = le64toh(w[0]) * 0x0002040810204081, hi = le64toh(w[1]) * 0x0002040810204081;

	return (unsigned)(lo >> 56 | hi >> 56 << 8);
#endif
}

static inline octets_vec
octets_is(octets_vec v, char c)
{
	return (octets_vec)(v == (uint8_t)c);
}

/* Control characters, and octets above 0x7f: in two instructions, because 0x7f + 1 and those are
   negative. */
static inline octets_vec
octets_is_odd(octets_vec v, char unused)
{
	(void)unused;
	return (octets_vec)((octets_signed)(v + 1) < 0x21);
}

/* Where the first octet of p..end that passes stands, or end. What lies between lo and p may be
   read, and spares the last step from going octet by octet; lo == p where nothing is known. */
static inline __attribute__((always_inline)) const char *
octets_search(
    const char *lo, const char *p, const char *end, char c, octets_vec (*passes)(octets_vec, char))
{
	char last[OCTETS_STEP] = { 0 };
	ptrdiff_t left = end - p;
	unsigned m;

	for (; left >= OCTETS_STEP; left -= OCTETS_STEP, p += OCTETS_STEP) {
		m = octets_mask(passes(octets_load(p), c));
		if (m)
			return p + __builtin_ctz(m);
	}
	if (__builtin_expect(end - lo >= OCTETS_STEP, 1)) {
		m = octets_mask(passes(octets_load(end - OCTETS_STEP), c)) >> (OCTETS_STEP - left);
	} else {
		for (ptrdiff_t i = 0; i < left; i++)
			last[i] = p[i];
		m = octets_mask(passes(octets_load(last), c)) & ((1u << left) - 1);
	}
	return m ? p + __builtin_ctz(m) : end;
}

/* Where the first control character but HTAB (RFC 9110 5.5) stands in p..end, or end; lo as above.
 */
static inline __attribute__((always_inline)) const char *
octets_find_ctl(const char *lo, const char *p, const char *end)
{
	for (;; p++) {
		unsigned char c;

		p = octets_search(lo, p, end, 0, octets_is_odd);
		if (p == end)
			return p;
		c = (unsigned char)*p;
		if (__builtin_expect(c < 0x80 && c != '\t', 1))
			return p;
	}
}

/* Where c stands first in p..end, or end. */
static inline const char *
octets_find(const char *p, const char *end, char c)
{
	return octets_search(p, p, end, c, octets_is);
}

/* The octet behind the first CRLF CRLF that begins within a step from p, or NULL; looks at
   OCTETS_STEP + 3 octets. */
static inline const char *
octets_empty_line_at(const char *p)
{
	octets_vec cr = octets_is(octets_load(p), '\r') & octets_is(octets_load(p + 2), '\r');

	for (unsigned m = octets_mask(cr); __builtin_expect(m != 0, 0); m &= m - 1) {
		const char *at = p + __builtin_ctz(m);

		if (at[1] == '\n' && at[3] == '\n')
			return at + 4;
	}
	return NULL;
}

/* The octet behind the first empty line (CRLF CRLF) in p..end, or NULL; also where there is too
   little to look at in steps. */
static inline const char *
octets_find_empty_line(const char *p, const char *end)
{
	enum { SPAN = OCTETS_STEP + 3 };
	const char *at;

	if (end - p < SPAN)
		return NULL;
	for (; end - p > SPAN; p += OCTETS_STEP) {
		at = octets_empty_line_at(p);
		if (at)
			return at;
	}
	return octets_empty_line_at(end - SPAN);
}

#endif

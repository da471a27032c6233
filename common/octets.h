/*
 * Finding an octet in a run, sixteen at a time. The compiler's vectors, so no machine is named
 * here; nothing is read beyond the end.
 */
#ifndef COMMON_OCTETS_H
#define COMMON_OCTETS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { OCTETS_STEP = 16 };

typedef uint8_t octets_vec __attribute__((vector_size(OCTETS_STEP)));
typedef uint64_t octets_pair __attribute__((vector_size(OCTETS_STEP)));

static inline octets_vec
octets_load(const char *p)
{
	octets_vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Position of the first octet of m that is not zero; OCTETS_STEP when all are. */
static inline unsigned
octets_first(octets_vec m)
{
	octets_pair w = (octets_pair)m;
	uint64_t lo = le64toh(w[0]), hi = le64toh(w[1]);

	if (lo)
		return (unsigned)__builtin_ctzll(lo) / 8;
	return hi ? 8 + (unsigned)__builtin_ctzll(hi) / 8 : OCTETS_STEP;
}

/* Where c stands first in p..end, or end. */
static inline const char *
octets_find(const char *p, const char *end, char c)
{
	for (; end - p >= OCTETS_STEP; p += OCTETS_STEP) {
		unsigned at = octets_first((octets_vec)(octets_load(p) == (uint8_t)c));

		if (at < OCTETS_STEP)
			return p + at;
	}
	while (p < end && *p != c)
		p++;
	return p;
}

/* Where the first control character but HTAB stands in p..end, or end. */
static inline const char *
octets_find_ctl(const char *p, const char *end)
{
	for (; end - p >= OCTETS_STEP; p += OCTETS_STEP) {
		octets_vec v = octets_load(p);
		octets_vec bad = (octets_vec)((v < 0x20) & (v != '\t')) | (octets_vec)(v == 0x7f);
		unsigned at = octets_first(bad);

		if (at < OCTETS_STEP)
			return p + at;
	}
	for (; p < end; p++) {
		uint8_t c = (uint8_t)*p;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			break;
	}
	return p;
}

#endif

/*
 * Strings that are a pointer and a length: comparing, splitting, lists, numbers, and the keyed hash
 * of this process. Nothing here allocates or changes the bytes; an absent str (p NULL) is an empty
 * one.
 */
#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>
#include "common/base/must.h"
#include "common/base/str.h"

bool
str_caseeq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	if (str_eq(a, b))
		return true;
	for (size_t i = 0; i < a.n; i++) {
		if (str_lower((unsigned char)a.p[i]) != str_lower((unsigned char)b.p[i]))
			return false;
	}
	return true;
}

static bool
str_is_ows(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && str_is_ows(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && str_is_ows(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str
str_split(struct str *s, char sep)
{
	struct str head = *s;
	ptrdiff_t at = str_find(*s, sep);

	if (at < 0) {
		*s = (struct str){ NULL, 0 };
		return head;
	}
	head.n = (size_t)at;
	s->p += at + 1;
	s->n -= (size_t)at + 1;
	return head;
}

ptrdiff_t
str_find(struct str s, char c)
{
	const char *p = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return p ? p - s.p : -1;
}

/* Bytes before the first comma outside a quoted string (RFC 9110 5.6.4). */
static size_t
str_element_len(struct str s)
{
	bool is_quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			is_quoted = !is_quoted;
		else if (s.p[i] == '\\' && is_quoted)
			i++;
		else if (s.p[i] == ',' && !is_quoted)
			return i;
	}
	return s.n;
}

bool
str_list_next(struct str *rest, struct str *item)
{
	while (rest->n > 0) {
		size_t len = str_element_len(*rest);
		size_t used = len < rest->n ? len + 1 : len;

		*item = str_trim(str_n(rest->p, len));
		rest->p += used;
		rest->n -= used;
		/* RFC 9110 5.6.1.2: empty elements do not count. */
		if (item->n > 0)
			return true;
	}
	return false;
}

bool
str_list_has(struct str list, struct str token)
{
	struct str item;

	while (str_list_next(&list, &item)) {
		if (str_caseeq(item, token))
			return true;
	}
	return false;
}

bool
str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9 || v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit)
			return false;
		v = v * 10 + digit;
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

size_t
str_from_u64(char *dst, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char tmp[20];
	size_t at = sizeof(tmp);

	if (likely(v < 10000)) { /* most lengths and all statuses */
		const char *high = pairs + v / 100 * 2, *low = pairs + v % 100 * 2;
		size_t n = v >= 1000 ? 4 : v >= 100 ? 3 : v >= 10 ? 2 : 1;
		char four[8] = { high[0], high[1], low[0], low[1] };

		memcpy(dst, four + 4 - n, 4);
		return n;
	}
	for (; v >= 100; v /= 100)
		memcpy(tmp + (at -= 2), pairs + v % 100 * 2, 2);
	if (v >= 10)
		memcpy(tmp + (at -= 2), pairs + v * 2, 2);
	else
		tmp[--at] = (char)('0' + v);
	memcpy(dst, tmp + at, sizeof(tmp) - at);
	return sizeof(tmp) - at;
}

/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012; one compression round, three of finalisation): the key
 * is secret, so a client cannot choose keys that fall together.
 */
static uint64_t str_hash_key[2];

void
str_hash_seed(void)
{
	must(getrandom(str_hash_key, sizeof(str_hash_key), 0) == sizeof(str_hash_key));
}

static inline uint64_t
str_rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void
str_hash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = str_rotate(v[1], 13) ^ v[0];
	v[3] = str_rotate(v[3], 16) ^ v[2];
	v[0] = str_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = str_rotate(v[1], 17) ^ v[2];
	v[3] = str_rotate(v[3], 21) ^ v[0];
	v[2] = str_rotate(v[2], 32);
}

/* n < 8 bytes, the first one lowest. */
static inline uint64_t
str_hash_tail(const char *p, size_t n)
{
	uint64_t m = 0;

	for (size_t i = 0; i < n; i++)
		m |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return m;
}

static inline __attribute__((always_inline)) uint64_t
str_hash_with(uint64_t k0, uint64_t k1, struct str s)
{
	uint64_t m;
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573 };
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i, 8);
		m = le64toh(m);
		v[3] ^= m;
		str_hash_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)s.n << 56;
	if (i < s.n)
		m |= str_hash_tail(s.p + i, s.n - i);
	v[3] ^= m;
	str_hash_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	str_hash_round(v);
	str_hash_round(v);
	str_hash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
str_hash(struct str s)
{
	return str_hash_with(str_hash_key[0], str_hash_key[1], s);
}

uint64_t
str_hash_keyed(const uint64_t key[2], struct str s)
{
	return str_hash_with(key[0], key[1], s);
}

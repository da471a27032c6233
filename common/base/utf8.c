#include "common/base/utf8.h"

/* One row per form of UTF-8 (RFC 3629 section 4): the first octet's range, that of the second. */
static const struct {
	unsigned char first, last, low, high, len;
} utf8_forms[] = {
	{ 0x00, 0x7f, 0x00, 0xff, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* What is no plain text: first and last code point. */
static const struct {
	uint32_t first, last;
} utf8_odd[] = {
	{ 0x0000, 0x001f }, /* C0 */
	{ 0x007f, 0x009f }, /* DEL, C1 */
	{ 0x061c, 0x061c }, /* Bidi_Control: ALM */
	{ 0x200e, 0x200f }, /* LRM, RLM */
	{ 0x2028, 0x202e }, /* separators; embeddings and overrides */
	{ 0x2066, 0x2069 }, /* isolates */
};

enum { UTF8_FORMS = sizeof(utf8_forms) / sizeof(utf8_forms[0]) };

unsigned
utf8_len(const unsigned char *p, const unsigned char *end)
{
	for (size_t i = 0; i < UTF8_FORMS; i++) {
		unsigned len = utf8_forms[i].len;

		if (*p < utf8_forms[i].first || *p > utf8_forms[i].last)
			continue;
		if ((size_t)(end - p) < len)
			return 0;
		if (len > 1 && (p[1] < utf8_forms[i].low || p[1] > utf8_forms[i].high))
			return 0;
		for (unsigned k = 2; k < len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return len;
	}
	return 0;
}

uint32_t
utf8_point(const unsigned char *p, unsigned len)
{
	uint32_t point = len == 1 ? p[0] : p[0] & (0x7fU >> len);

	for (unsigned k = 1; k < len; k++)
		point = point << 6 | (p[k] & 0x3f);
	return point;
}

unsigned
utf8_plain(const unsigned char *p, const unsigned char *end)
{
	unsigned len = utf8_len(p, end);
	uint32_t point;

	if (len == 0)
		return 0;
	point = utf8_point(p, len);
	for (size_t i = 0; i < sizeof(utf8_odd) / sizeof(utf8_odd[0]); i++)
		if (point >= utf8_odd[i].first && point <= utf8_odd[i].last)
			return 0;
	return len;
}

char *
utf8_escape(char *dst, unsigned char c)
{
	static const char hex[16] = "0123456789ABCDEF";

	dst[0] = '\\';
	dst[1] = 'x';
	dst[2] = hex[c >> 4];
	dst[3] = hex[c & 15];
	return dst + 4;
}

size_t
utf8_cut(const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;

	/* The first octet of a sequence that needs more than is left lies among the last three. */
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = s[n - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if ((c >= 0xc2 && back < 2) || (c >= 0xe0 && back < 3) || (c >= 0xf0 && back < 4))
			return n - back;
		break;
	}
	return n;
}

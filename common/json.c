/*
 * The JSON writer: a text it appends to, a depth, and a bit per depth that says whether a comma is
 * due. Invariants: names and values go through one escape; nothing is written that RFC 8259 does
 * not allow, whatever the caller passes; depth is bounded by must().
 */
#include <math.h>

#include "common/json.h"
#include "common/must.h"

static const char json_hex[16] = "0123456789abcdef";

/* What follows the backslash in the short escapes of RFC 8259 section 7; 0: there is none. */
static const char json_short[0x60] = {
	['"'] = '"',
	['\\'] = '\\',
	['\b'] = 'b',
	['\f'] = 'f',
	['\n'] = 'n',
	['\r'] = 'r',
	['\t'] = 't',
};

/* One row per form of UTF-8 (RFC 3629 section 4): the first octet's range, that of the second. */
static const struct {
	unsigned char first, last, low, high, len;
} json_utf8_forms[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

unsigned
json_utf8(const unsigned char *p, const unsigned char *end)
{
	if (*p < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(json_utf8_forms) / sizeof(json_utf8_forms[0]); i++) {
		unsigned len = json_utf8_forms[i].len;

		if (*p < json_utf8_forms[i].first || *p > json_utf8_forms[i].last)
			continue;
		if ((size_t)(end - p) < len || p[1] < json_utf8_forms[i].low ||
		    p[1] > json_utf8_forms[i].high)
			return 0;
		for (unsigned k = 2; k < len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return len;
	}
	return 0;
}

/* \u00XX, or the short form. */
static char *
json_escape_octet(char *d, unsigned char c)
{
	*d++ = '\\';
	if (c < sizeof(json_short) && json_short[c]) {
		*d++ = json_short[c];
		return d;
	}
	memcpy(d, "u00", 3);
	d[3] = json_hex[c >> 4];
	d[4] = json_hex[c & 15];
	return d + 5;
}

size_t
json_escape(char *dst, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	char *d = dst;

	while (p < end) {
		unsigned len = json_utf8(p, end);

		if (len == 0 || *p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\') {
			d = json_escape_octet(d, *p++);
			continue;
		}
		memcpy(d, p, len);
		d += len;
		p += len;
	}
	return (size_t)(d - dst);
}

void
json_init(struct json *j, struct text *out)
{
	*j = (struct json){ .out = out };
}

static void
json_string(struct json *j, struct str s)
{
	char *d = text_room(j->out, 6 * s.n + 2);
	size_t n;

	d[0] = '"';
	n = json_escape(d + 1, s);
	d[n + 1] = '"';
	j->out->n += n + 2;
}

/* The comma and the name that go before a value. */
static void
json_member(struct json *j, const char *name)
{
	uint32_t bit = 1U << j->depth;

	if (j->has_member & bit)
		text_add(j->out, ",", 1);
	j->has_member |= bit;
	if (!name)
		return;
	json_string(j, str_of(name));
	text_add(j->out, ":", 1);
}

static void
json_open(struct json *j, const char *name, char c)
{
	json_member(j, name);
	must(j->depth < 31);
	j->depth++;
	j->has_member &= ~(1U << j->depth);
	text_add(j->out, &c, 1);
}

static void
json_close(struct json *j, char c)
{
	must(j->depth > 0);
	j->depth--;
	text_add(j->out, &c, 1);
}

void
json_object(struct json *j, const char *name)
{
	json_open(j, name, '{');
}

void
json_array(struct json *j, const char *name)
{
	json_open(j, name, '[');
}

void
json_object_end(struct json *j)
{
	json_close(j, '}');
}

void
json_array_end(struct json *j)
{
	json_close(j, ']');
}

void
json_str(struct json *j, const char *name, struct str s)
{
	json_member(j, name);
	json_string(j, s);
}

void
json_u64(struct json *j, const char *name, uint64_t v)
{
	json_member(j, name);
	text_add_u64(j->out, v);
}

void
json_i64(struct json *j, const char *name, int64_t v)
{
	json_member(j, name);
	if (v < 0)
		text_add(j->out, "-", 1);
	text_add_u64(j->out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
json_double(struct json *j, const char *name, double v)
{
	if (!isfinite(v)) {
		json_null(j, name);
		return;
	}
	json_member(j, name);
	text_printf(j->out, "%.3f", v);
}

void
json_bool(struct json *j, const char *name, bool v)
{
	json_member(j, name);
	text_add_str(j->out, v ? STR("true") : STR("false"));
}

void
json_null(struct json *j, const char *name)
{
	json_member(j, name);
	text_add_str(j->out, STR("null"));
}

/*
 * The JSON writer: a text it appends to, a depth, and a bit per depth that says whether a comma is
 * due. Invariants: names and values go through one escape; nothing is written that RFC 8259 does
 * not allow, whatever the caller passes; depth is bounded by must().
 */
#include <math.h>

#include "common/base/json.h"
#include "common/base/must.h"
#include "common/base/utf8.h"

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

/* \uXXXX, or the short form. */
static char *
json_escape_point(char *d, uint32_t c)
{
	*d++ = '\\';
	if (c < sizeof(json_short) && json_short[c]) {
		*d++ = json_short[c];
		return d;
	}
	d[0] = 'u';
	for (int i = 0; i < 4; i++)
		d[1 + i] = json_hex[c >> (12 - 4 * i) & 15];
	return d + 5;
}

/* What is escaped is one of the first 65536 characters; of what is no character, each byte. */
size_t
json_escape(char *dst, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	char *d = dst;

	while (p < end) {
		unsigned len = utf8_len(p, end);

		if (len == 0 || *p == '"' || *p == '\\') {
			d = json_escape_point(d, *p++);
			continue;
		}
		if (utf8_plain(p, end)) {
			memcpy(d, p, len);
			d += len;
		} else {
			d = json_escape_point(d, utf8_point(p, len));
		}
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

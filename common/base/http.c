/*
 * The vocabulary of HTTP, from the rows of http.def. Names are looked up through small hash tables
 * that are filled once, before main(), so that a new row stays one row. The hash functions were
 * chosen so that the rows of today fall on places of their own; should a later one collide, that
 * costs a second comparison and nothing else.
 */
#include "common/base/arena.h"
#include "common/base/http.h"
#include "common/base/must.h"
#include "common/base/octets.h"

#define METHOD(id, name, flags)
#define STATUS(code, reason)
#define FIELD(id, name)

/* RFC 9110 5.6.2: "!#$%&'*+-.^_`|~" / DIGIT / ALPHA */
const uint8_t http_tchar[256] = {
	['!'] = 1,
	['#'] = 1,
	['$'] = 1,
	['%'] = 1,
	['&'] = 1,
	['\''] = 1,
	['*'] = 1,
	['+'] = 1,
	['-'] = 1,
	['.'] = 1,
	['^'] = 1,
	['_'] = 1,
	['`'] = 1,
	['|'] = 1,
	['~'] = 1,
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
};

bool
http_is_token(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = s.n;

	for (; n >= 4; n -= 4, p += 4) {
		if (!(http_tchar[p[0]] & http_tchar[p[1]] & http_tchar[p[2]] & http_tchar[p[3]]))
			return false;
	}
	for (; n > 0; n--) {
		if (!http_tchar[*p++])
			return false;
	}
	return s.n > 0;
}

bool
http_is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		/* RFC 9110 5.5: HTAB / SP / VCHAR / obs-text. */
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

void
fields_grow(struct fields *f, struct arena *a)
{
	unsigned room = f->room < 8 ? 16 : f->room * 2;
	struct field *v = arena_alloc(a, room * sizeof(*v));

	if (f->n > 0)
		memcpy(v, f->v, f->n * sizeof(*v));
	f->v = v;
	f->room = room;
}

/* --- methods --- */

#undef METHOD
#define METHOD(id, name, flags) [M_##id] = STR_INIT(name),
static const struct str http_methods[M_MAX] = {
#include "common/base/http.def"
};
#undef METHOD
#define METHOD(id, name, flags) [M_##id] = (flags),
static const uint8_t http_flags[M_MAX] = {
#include "common/base/http.def"
};
#undef METHOD
#define METHOD(id, name, flags)

enum { HTTP_METHOD_PLACES = 64, HTTP_FIELD_PLACES = 256, HTTP_NAME_MAX = 32 };

/* 1 + enum http_method; 0: free. */
static uint8_t http_method_at[HTTP_METHOD_PLACES];

static inline unsigned
http_method_hash(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return ((unsigned)s.n * 3 + p[0] + p[s.n / 2] + p[s.n - 1] * 2u) % HTTP_METHOD_PLACES;
}

enum http_method
http_method_of(struct str name)
{
	if (unlikely(name.n == 0))
		return M_OTHER;
	for (unsigned h = http_method_hash(name);; h = (h + 1) % HTTP_METHOD_PLACES) {
		unsigned id = http_method_at[h];

		if (id == 0)
			return M_OTHER;
		if (str_eq(http_methods[id - 1], name))
			return id - 1;
	}
}

struct str
http_method_name(enum http_method m)
{
	return m < M_OTHER ? http_methods[m] : STR("");
}

int
http_method_flags(enum http_method m)
{
	return m < M_OTHER ? http_flags[m] : 0;
}

/* --- fields --- */

#undef FIELD
#define FIELD(id, name) [HF_##id] = STR_INIT(name),
static const struct str http_fields[HF_MAX] = {
#include "common/base/http.def"
};
#undef FIELD
#define FIELD(id, name)

/* What is at a place of the hash table: n 0, nothing. */
static struct http_place {
	uint8_t id, n;
} http_places[HTTP_FIELD_PLACES];

/* A row as it is compared: the name, and a mask that has 0x20 wherever case makes no difference. */
static struct http_row {
	char name[HTTP_NAME_MAX], mask[HTTP_NAME_MAX];
} http_rows[HF_MAX];

static inline unsigned
http_field_hash(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return ((unsigned)s.n * 4 + (p[0] | 0x20) * 50u + (p[s.n / 2] | 0x20) +
		   (p[s.n - 1] | 0x20)) %
	       HTTP_FIELD_PLACES;
}

static inline uint64_t
http_load_8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static inline uint32_t
http_load_4(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* What differs between 8 (4) octets of a name and a row's, case aside; zero: nothing. */
static inline uint64_t
http_differs_8(const struct http_row *row, const char *p, size_t at)
{
	return (http_load_8(p + at) ^ http_load_8(row->name + at)) & ~http_load_8(row->mask + at);
}

static inline uint32_t
http_differs_4(const struct http_row *row, const char *p, size_t at)
{
	return (http_load_4(p + at) ^ http_load_4(row->name + at)) & ~http_load_4(row->mask + at);
}

/* s.n is the row's. The last word overlaps the one before it. */
static inline __attribute__((always_inline)) bool
http_row_is(const struct http_row *row, struct str s)
{
	if (s.n >= 8) {
		uint64_t d = http_differs_8(row, s.p, s.n - 8);

		for (size_t i = 0; i + 8 < s.n; i += 8)
			d |= http_differs_8(row, s.p, i);
		return d == 0;
	}
	if (s.n >= 4)
		return (http_differs_4(row, s.p, 0) | http_differs_4(row, s.p, s.n - 4)) == 0;
	return str_caseeq(s, str_n(row->name, s.n));
}

static inline __attribute__((always_inline)) enum http_field
http_field_find(struct str name)
{
	if (unlikely(name.n == 0))
		return HF_OTHER;
	for (unsigned h = http_field_hash(name);; h = (h + 1) % HTTP_FIELD_PLACES) {
		struct http_place place = http_places[h];

		if (place.n == name.n && http_row_is(&http_rows[place.id], name))
			return place.id;
		if (place.n == 0)
			return HF_OTHER;
	}
}

enum http_field
http_field_of(struct str name)
{
	return http_field_find(name);
}

static bool
http_is_folded(struct str line)
{
	/* RFC 9112 5.2: obs-fold is refused. */
	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* Why a line has no colon. */
static const char *
http_line_fault(struct str line)
{
	return http_is_folded(line) ? "a folded field line" : "a field line without a colon";
}

/* Why the part of a line before the colon is not a name. */
static const char *
http_name_fault(struct str name)
{
	char last = name.n > 0 ? name.p[name.n - 1] : ':';

	if (last == ':')
		return "empty field name";
	if (http_is_folded(name))
		return "a folded field line";
	/* RFC 9112 5.1: no white space between name and colon. */
	if (last == ' ' || last == '\t')
		return "white space before the colon of a field";
	return "a field name is not a token";
}

const char *
http_field_split(struct str line, const char *colon, struct field *out)
{
	const char *end = line.p + line.n, *value = colon + 1;

	if (unlikely(colon >= end))
		return http_line_fault(line);
	out->name = str_n(line.p, (size_t)(colon - line.p));
	out->id = (uint8_t)http_field_find(out->name);
	if (out->id == HF_OTHER && !http_is_token(out->name))
		return http_name_fault(out->name);
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	out->value = str_n(value, (size_t)(end - value));
	return NULL;
}

const char *
http_field_line(struct str line, struct field *out)
{
	return http_field_split(line, octets_find(line.p, line.p + line.n, ':'), out);
}

struct str
http_field_name(enum http_field id)
{
	return id < HF_MAX && id != HF_OTHER ? http_fields[id] : STR("");
}

static void
http_row_add(unsigned id)
{
	struct str name = http_fields[id];
	unsigned h = http_field_hash(name);
	struct http_row *row = &http_rows[id];

	must(name.n > 0 && name.n <= HTTP_NAME_MAX);
	while (http_places[h].n > 0)
		h = (h + 1) % HTTP_FIELD_PLACES;
	http_places[h] = (struct http_place){ (uint8_t)id, (uint8_t)name.n };
	memcpy(row->name, name.p, name.n);
	for (size_t i = 0; i < name.n; i++)
		row->mask[i] = (unsigned)(name.p[i] | 0x20) - 'a' < 26 ? 0x20 : 0;
}

static void
http_method_add(unsigned id)
{
	unsigned h = http_method_hash(http_methods[id]);

	while (http_method_at[h] > 0)
		h = (h + 1) % HTTP_METHOD_PLACES;
	http_method_at[h] = (uint8_t)(id + 1);
}

_Static_assert(M_MAX < HTTP_METHOD_PLACES / 2 && HF_MAX < HTTP_FIELD_PLACES / 2,
    "the hash tables are at most half full");

__attribute__((constructor)) static void
http_fill(void)
{
	for (unsigned id = 0; id < M_OTHER; id++)
		http_method_add(id);
	for (unsigned id = HF_OTHER + 1; id < HF_MAX; id++)
		http_row_add(id);
}

/* --- status codes --- */

enum { HTTP_STATUS_MIN = 100, HTTP_STATUS_MAX = 599 };

#undef STATUS
#define STATUS(code, reason)                                                                       \
	[(code)-HTTP_STATUS_MIN] = STR_INIT("HTTP/1.1 " #code " " reason "\r\n"),
static const struct str http_lines[HTTP_STATUS_MAX - HTTP_STATUS_MIN + 1] = {
#include "common/base/http.def"
};

/* RFC 9110 15: the first digit says the class. */
static const struct str http_classes[] = {
	[1] = STR_INIT("Informational"),
	[2] = STR_INIT("Success"),
	[3] = STR_INIT("Redirection"),
	[4] = STR_INIT("Client Error"),
	[5] = STR_INIT("Server Error"),
};

struct str
http_status_line(int status)
{
	if (status < HTTP_STATUS_MIN || status > HTTP_STATUS_MAX)
		return STR("");
	return http_lines[status - HTTP_STATUS_MIN];
}

struct str
http_reason(int status)
{
	static const size_t before = sizeof("HTTP/1.1 200 ") - 1;
	struct str line = http_status_line(status);

	if (line.n > 0)
		return str_n(line.p + before, line.n - before - 2);
	if (status < HTTP_STATUS_MIN || status > HTTP_STATUS_MAX)
		return STR("Unknown");
	return http_classes[status / 100];
}

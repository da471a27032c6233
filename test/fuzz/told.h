/*
 * What a backend is told by the head of a request, read back from the octets of each codec: the
 * fields of HTTP and AJP13, the variables of FastCGI, SCGI and uwsgi. A head that cannot be read is
 * a failure.
 */
#ifndef TEST_FUZZ_TOLD_H
#define TEST_FUZZ_TOLD_H

#include "common/base/arena.h"
#include "common/base/http.h"
#include "common/base/must.h"
#include "modules/gateway/codec/codec.h"

struct told {
	const unsigned char *p, *end;
	struct arena *arena;
	struct fields fields;
};

static inline struct str
told_take(struct told *t, size_t n)
{
	struct str s = { (const char *)t->p, n };

	must((size_t)(t->end - t->p) >= n);
	t->p += n;
	return s;
}

static inline unsigned
told_u8(struct told *t)
{
	return (unsigned char)*told_take(t, 1).p;
}

static inline unsigned
told_u16(struct told *t)
{
	unsigned high = told_u8(t);

	return high << 8 | told_u8(t);
}

static inline void
told_add(struct told *t, struct str name, struct str value)
{
	*fields_add(&t->fields, t->arena) =
	    (struct field){ name, value, (uint8_t)http_field_of(name) };
}

static inline void
told_http(struct told *t)
{
	struct str text = told_take(t, (size_t)(t->end - t->p)), line;

	must(str_has_suffix(text, STR("\r\n\r\n")));
	str_split(&text, '\n');
	for (;;) {
		struct field f;

		line = str_split(&text, '\n');
		must(line.n > 0 && line.p[--line.n] == '\r');
		if (line.n == 0)
			break;
		must(http_field_line(line, &f) == NULL && http_is_field_value(f.value));
		told_add(t, f.name, f.value);
	}
	must(text.n == 0);
}

static inline struct str
told_ajp_str(struct told *t)
{
	struct str s = told_take(t, told_u16(t));

	must(told_u8(t) == 0);
	return s;
}

static inline struct str
told_ajp_name(struct told *t)
{
	static const char *const names[] = { NULL, "Accept", "Accept-Charset", "Accept-Encoding",
		"Accept-Language", "Authorization", "Connection", "Content-Type", "Content-Length",
		"Cookie", "Cookie2", "Host", "Pragma", "Referer", "User-Agent" };

	if (*t->p != 0xa0)
		return told_ajp_str(t);
	told_u8(t);
	must(*t->p >= 1 && *t->p <= 14);
	return str_of(names[told_u8(t)]);
}

static inline void
told_ajp(struct told *t)
{
	unsigned n;

	must(told_u16(t) == 0x1234);
	must(told_u16(t) == (size_t)(t->end - t->p));
	told_u16(t);                  /* type, method */
	for (int i = 0; i < 5; i++) { /* protocol, path, address, name, server */
		told_ajp_str(t);
	}
	told_u16(t); /* port */
	told_u8(t);  /* TLS */
	for (n = told_u16(t); n > 0; n--) {
		struct str name = told_ajp_name(t);

		told_add(t, name, told_ajp_str(t));
	}
}

static inline void
told_scgi(struct told *t)
{
	const unsigned char *colon = memchr(t->p, ':', (size_t)(t->end - t->p));
	uint64_t n;

	must(colon != NULL);
	must(str_to_u64(told_take(t, (size_t)(colon - t->p)), 1 << 24, &n));
	told_take(t, 1);
	must((size_t)(t->end - t->p) == n + 1 && t->p[n] == ',');
	t->end--;
	while (t->p < t->end) {
		struct str name = str_of((const char *)t->p), value;

		told_take(t, name.n + 1);
		value = str_of((const char *)t->p);
		told_take(t, value.n + 1);
		told_add(t, name, value);
	}
}

static inline struct str
told_uwsgi_str(struct told *t)
{
	unsigned low = told_u8(t);

	return told_take(t, low | told_u8(t) << 8);
}

static inline void
told_uwsgi(struct told *t)
{
	unsigned n;

	must(told_u8(t) == 0);
	n = told_u8(t);
	n |= told_u8(t) << 8;
	must(told_u8(t) == 0 && (size_t)(t->end - t->p) == n);
	while (t->p < t->end) {
		struct str name = told_uwsgi_str(t);

		told_add(t, name, told_uwsgi_str(t));
	}
}

static inline size_t
told_fastcgi_length(struct told *t)
{
	size_t n = told_u8(t);

	if (n < 128)
		return n;
	n = (n & 127) << 8 | told_u8(t);
	return n << 16 | told_u16(t);
}

/* The content of all PARAMS records is one stream. */
static inline void
told_fastcgi(struct told *t)
{
	char *stream = arena_alloc(t->arena, (size_t)(t->end - t->p) + 1);
	size_t n = 0;

	while (t->p < t->end) {
		struct str head = told_take(t, 8);
		size_t length = (size_t)(unsigned char)head.p[4] << 8 | (unsigned char)head.p[5];
		struct str content = told_take(t, length);

		must(head.p[0] == 1 && head.p[6] == 0);
		if (head.p[1] == 4 && length > 0) {
			memcpy(stream + n, content.p, length);
			n += length;
		}
	}
	t->p = (unsigned char *)stream;
	t->end = t->p + n;
	while (t->p < t->end) {
		size_t name = told_fastcgi_length(t), value = told_fastcgi_length(t);
		struct str s = told_take(t, name);

		told_add(t, s, told_take(t, value));
	}
}

/* Reads the octets of a head, without a body. */
static inline struct fields
told_read(const struct codec *codec, struct arena *arena, struct str octets)
{
	struct told t = { .p = (const unsigned char *)octets.p, .arena = arena };

	t.end = t.p + octets.n;
	if (codec == &codec_http)
		told_http(&t);
	else if (codec == &codec_ajp)
		told_ajp(&t);
	else if (codec == &codec_scgi)
		told_scgi(&t);
	else if (codec == &codec_uwsgi)
		told_uwsgi(&t);
	else
		told_fastcgi(&t);
	return t.fields;
}

#endif

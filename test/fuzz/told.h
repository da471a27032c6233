/*
 * What a backend is told by the head of a request, read back from the octets of each codec: the
 * fields of HTTP and AJP13, the variables of FastCGI, SCGI and uwsgi. A head that cannot be read is
 * a failure.
 */
#ifndef TEST_FUZZ_TOLD_H
#define TEST_FUZZ_TOLD_H

#include "modules/gateway/codec/codec.h"
#include "test/fuzz/told_variables.h"

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

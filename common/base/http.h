/*
 * The vocabulary of HTTP: methods, status codes and the field names that the server itself reads
 * or writes. One row each in http.def; adding one is one row.
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include "common/base/str.h"

enum http_method {
#define METHOD(id, name, flags) M_##id,
#define STATUS(code, reason)
#define FIELD(id, name)
#include "common/base/http.def"
#undef METHOD
#undef STATUS
#undef FIELD
	M_OTHER, /* a valid token that has no row: its name is request.method_name */
	M_MAX
};

enum { METHOD_SAFE = 1, METHOD_IDEMPOTENT = 2 };

enum http_field {
	HF_OTHER, /* a name that has no row */
#define METHOD(id, name, flags)
#define STATUS(code, reason)
#define FIELD(id, name) HF_##id,
#include "common/base/http.def"
#undef METHOD
#undef STATUS
#undef FIELD
	HF_MAX
};

/* A header or trailer field. For ids other than HF_OTHER, name is http_field_name(id) or the
   spelling received. Values are without leading and trailing white space. */
struct field {
	struct str name, value;
	uint8_t id; /* enum http_field */
};

/* An ordered list of fields; v has room for room of them and grows in an arena. */
struct arena;
struct fields {
	struct field *v;
	unsigned n, room;
};
void fields_grow(struct fields *, struct arena *);
/* Makes room for one more and returns it, not filled in. */
static inline struct field *
fields_add(struct fields *f, struct arena *a)
{
	if (__builtin_expect(f->n == f->room, 0))
		fields_grow(f, a);
	return &f->v[f->n++];
}

enum http_method http_method_of(struct str name);
struct str http_method_name(enum http_method);
int http_method_flags(enum http_method); /* METHOD_SAFE | METHOD_IDEMPOTENT, RFC 9110 9.2 */

/* Case-insensitive; HF_OTHER when there is no row. */
enum http_field http_field_of(struct str name);
struct str http_field_name(enum http_field);

/* "Not Found" for 404; the generic reason of its class for a code without a row. */
struct str http_reason(int status);
/* The whole "HTTP/1.1 404 Not Found\r\n", ready to copy; n == 0 for a code without a row. */
struct str http_status_line(int status);

/* tchar of RFC 9110 5.6.2. */
extern const uint8_t http_tchar[256];
bool http_is_token(struct str);

/* A field value as RFC 9110 5.5 allows it: no CTL but HTAB. */
bool http_is_field_value(struct str);

/* Splits a field line, without its CRLF, into name, trimmed value and id (RFC 9112 5). Returns
   NULL, or what is wrong with it. The octets of the value are not looked at: see
   http_is_field_value. */
const char *http_field_line(struct str line, struct field *out);
/* The same when the first colon is known; it stands at or beyond the end of line: there is none. */
const char *http_field_split(struct str line, const char *colon, struct field *out);

#endif

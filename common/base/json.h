/*
 * Writes JSON (RFC 8259): commas, nesting and escaping are its business, so what comes out is valid
 * whatever goes in. Bytes that are not UTF-8 become \u0080..\u00ff, one for each; characters that
 * are no plain text (common/base/utf8.h) are escaped by their code point.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "common/base/text.h"

struct json {
	struct text *out;
	unsigned depth;      /* open objects and arrays, at most 30 */
	uint32_t has_member; /* bit per depth: a comma goes before the next member */
};

void json_init(struct json *, struct text *out);

/* name: the member's name inside an object, NULL inside an array and at the top. */
void json_object(struct json *, const char *name);
void json_array(struct json *, const char *name);
/* Closes the object resp. the array opened last. */
void json_object_end(struct json *);
void json_array_end(struct json *);

void json_str(struct json *, const char *name, struct str);
void json_u64(struct json *, const char *name, uint64_t);
void json_i64(struct json *, const char *name, int64_t);
void json_double(struct json *, const char *name, double); /* three decimals; NaN, inf: null */
void json_bool(struct json *, const char *name, bool);
void json_null(struct json *, const char *name);

/* Escapes s for a string's inside into dst, which has room for 6 * s.n bytes; returns the length.
 */
size_t json_escape(char *dst, struct str s);

#endif

/*
 * Media types by file name: a built-in table for what the web needs, then the system's mime.types
 * for the rest. The built-in rows win, because the system's file knows ".ts" as a translation
 * source and does not know ".br" or ".jxl" at all. A configuration's own rules win over both.
 */
#ifndef BASE_MIME_H
#define BASE_MIME_H

#include "common/base/arena.h"

struct mime;

struct mime_rule {
	struct str ext,
	    type; /* ext in lower case without its dot; "*": names that nothing else knows */
};

struct mime_rules {
	struct mime_rule *v;
	size_t n;
};

/* The built-in table. Never NULL; for the life of the process or until mime_free. */
struct mime *mime_new(void);
void mime_free(struct mime *);

/* Adds what file says about extensions that have no row yet. 0, or -1 with errno. */
int mime_load(struct mime *, const char *file);
/* The same from text, which is copied. */
void mime_load_text(struct mime *, struct str text);

/* Adds the rules that "ext type" (or "type ext ext …") means; texts point into the arena. False
   when it means nothing, *why says what is allowed. */
bool mime_rules_add(struct mime_rules *, struct arena *, struct str text, const char **why);

/* The type for the last component of path; "application/octet-stream" when nothing is known. */
struct str mime_type_of(const struct mime *, const struct mime_rules *, struct str path);

#endif

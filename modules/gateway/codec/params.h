/*
 * Parameters of a field such as Content-Disposition and Content-Type: "; name=value", where the
 * value is a token or stands in quotes. Pure.
 */
#ifndef CODEC_PARAMS_H
#define CODEC_PARAMS_H

#include "common/base/arena.h"

struct param {
	struct str name;
	struct str value; /* between the quotes, as it stands there */
	bool is_quoted;
};

/* The next one of what stands behind the first ";". 1; 0: there is none any more; -1: malformed. */
int params_next(struct str *rest, struct param *);

/* The value as the sender meant it. Programs escape '"' and '\' with a backslash (RFC 9110 5.6.4),
   browsers write %22 and leave a backslash alone (the WHATWG's multipart/form-data encoding, and
   older ones send "C:\dir\name"): so only \" and \\ are escapes, and %22 is a quote. */
struct str params_text(struct arena *, const struct param *);

/* RFC 8187 3.2: UTF-8''%e2%82%ac. p NULL: it is no such value. */
struct str params_extended(struct arena *, struct str value);

#endif

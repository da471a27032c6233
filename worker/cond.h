/*
 * Conditional requests (RFC 9110 13) and ranges (RFC 9110 14): decisions from field values, pure.
 */
#ifndef WORKER_COND_H
#define WORKER_COND_H

#include <time.h>
#include "common/base/http.h"

/* What is known of the selected representation. etag as sent ("\"abc\"" or "W/\"abc\""), n 0: none.
   modified 0: none. */
struct validators {
	struct str etag;
	time_t modified;
	bool exists;
};

struct conditions { /* field values as received; p NULL: absent */
	struct str if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, range;
};

/* In the order of precedence of RFC 9110 13.2.2. Returns 0: go on; 304; 412. */
int cond_check(const struct conditions *, const struct validators *, enum http_method);

/* Whether If-Range (13.1.5) lets the Range field stand: true when there is no If-Range. */
bool cond_if_range(const struct conditions *, const struct validators *);

struct range {
	int64_t first, len;
};

enum { RANGE_MAX = 16 };

/* Byte ranges of a representation of size octets. Returns the number of satisfiable ranges in out
   (in the order asked; overlapping and adjacent ones joined when there are more than two), 0:
   ignore the field (absent, another unit, malformed, or a flood: more than RANGE_MAX after joining,
   or together longer than the representation), -1: none can be satisfied (416). */
int range_parse(struct str value, int64_t size, struct range out[RANGE_MAX]);

/* Weak and strong comparison of RFC 9110 8.8.3.2. */
bool etag_weak_eq(struct str a, struct str b);
bool etag_strong_eq(struct str a, struct str b);

/* Quality (0..1000) that an Accept-Encoding or Accept value gives to a coding or media type, by the
   rules of RFC 9110 12.4.2, 12.5.1, 12.5.3; absent (p NULL) means anything goes (1000), but
   "identity" is always acceptable unless excluded: 1, the last resort, when it is not named. */
int accept_encoding_q(struct str value, struct str coding);
int accept_q(struct str value, struct str media_type);
/* The part of such a value that counts: its first elements, up to 512 octets. Browsers send less
   than half of that. The limit bounds how much work a client can cause. */
struct str accept_some(struct str value);

#endif

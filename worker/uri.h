/*
 * Request targets (RFC 9112 3.2) and URI paths (RFC 3986 3.3, 5.2.4, 6.2). Pure.
 */
#ifndef WORKER_URI_H
#define WORKER_URI_H

#include "common/base/arena.h"
#include "common/base/http.h"

struct uri {
	struct str scheme;   /* absolute-form only; else n 0 */
	struct str host;     /* as uri_authority gives it; n 0 when there is none */
	uint16_t port;       /* 0: none given */
	struct str raw_path; /* as received, without the query; "*" for OPTIONS * */
	struct str path;     /* percent-decoded once, dot segments and double slashes removed */
	struct str query;    /* as received, without '?'; p NULL: there is none */
	bool is_asterisk;
	/* path equals raw_path and has no ';', and neither path nor query has an octet that RFC
	   3986 excludes: every reader understands them in the same way, and they can be handed on
	   as they are. */
	bool is_plain;
};

/* Splits and normalises a target for the method. Returns 0 or the status to answer with: 400 for
   control characters, space and '#', bad percent-encoding, an encoded NUL or, after decoding, a
   control character; a path that leaves the root. "%2F" stays encoded as received ("%2F" in path),
   so that it never makes a segment. Octets that RFC 3986 excludes but clients send unencoded (above
   0x7f, and <>[\]^`{|} and the double quote) are accepted; code that hands raw_path or query on
   must encode them. Does not copy when nothing has to change: results point into target or the
   arena. */
int uri_parse(struct str target, enum http_method method, struct arena *, struct uri *out);

/* Checks and splits host[:port] of a Host field (RFC 9110 7.2). host: in lower case (in arena when
   it must change), an IPv6 address with its brackets, a name without its final dot; may be empty.
   port: 0 when there is none. False when it is malformed. */
bool uri_authority(struct str s, struct arena *, struct str *host, uint16_t *port);

/* Percent-encodes a path for a Location field or a link: all but unreserved, sub-delims, ":@/". */
struct str uri_encode_path(struct arena *, struct str path);

/* A normalised path (uri_parse's) encoded for a target, always in the same spelling:
   percent-encoded as above, but a "%2F" in it, which is data, stays. uri_parse() makes the same
   path of the result. */
struct str uri_spell(struct arena *, struct str path);

/* Percent-encodes the octets that a URI must not have (RFC 3986 2, 3.3, 3.4), in a path or a query
   that is encoded already: each '%' stays. Returns s itself when there are none. */
struct str uri_encode_excluded(struct arena *, struct str);

/* Normalises a decoded path in place of the rewrite's result; false when it leaves the root. */
bool uri_normalise(struct arena *, struct str path, struct str *out);

#endif

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
	/* path is raw_path, without a ';' too, and neither it nor the query has an octet that
	   RFC 3986 excludes: no reader takes it for anything else, and it can be handed on. */
	bool is_plain;
};

/* Splits and normalises a target for the method. Returns 0 or the status to answer with: 400 for
   control characters, space and '#', bad percent-encoding, an encoded NUL or, after decoding, a
   control character; a path that leaves the root. "%2F" stays encoded as received ("%2F" in path),
   so that it never makes a segment. Octets that RFC 3986 excludes but agents send as they are
   (above 0x7f, and <>[\]^`{|} and the double quote) stand for themselves; who hands raw_path or
   query on encodes them. Does not copy when nothing has to change: results point into target or the
   arena. */
int uri_parse(struct str target, enum http_method method, struct arena *, struct uri *out);

/* Checks and splits host[:port] of a Host field (RFC 9110 7.2). host: in lower case (in arena when
   it must change), an IPv6 address with its brackets, a name without its final dot; may be empty.
   port: 0 when there is none. False when it is malformed. */
bool uri_authority(struct str s, struct arena *, struct str *host, uint16_t *port);

/* Percent-encodes a path for a Location field or a link: all but unreserved, sub-delims, ":@/". */
struct str uri_encode_path(struct arena *, struct str path);

/* A normalised path (uri_parse's) as it stands in a target, in one spelling for all that it may
   have come from: percent-encoded as above, but "%2F", which is data of it, stays. uri_parse()
   makes the same path of it. */
struct str uri_spell(struct arena *, struct str path);

/* Percent-encodes what must not stand in a URI as it is (RFC 3986 2, 3.3, 3.4), in a path or a
   query that is encoded already: its '%' stay. In s itself when there is nothing of it. */
struct str uri_encode_excluded(struct arena *, struct str);

/* Normalises a decoded path in place of the rewrite's result; false when it leaves the root. */
bool uri_normalise(struct arena *, struct str path, struct str *out);

#endif

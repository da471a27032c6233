/*
 * The path and the query that a backend gets: those that our rules have judged, in the client's own
 * encoding, and always valid parts of a URI (RFC 3986 3.3, 3.4), whatever octets the client used.
 * Every part of a target that is handed on comes from here, for every protocol. Results are in the
 * request or its arena; a plain target is neither copied nor looked at.
 */
#ifndef CODEC_HPATH_H
#define CODEC_HPATH_H

#include "worker/request.h"

/* Whether the path is the client's, and plain (struct uri). */
static inline bool
hpath_is_plain(const struct request *r)
{
	return r->is_plain && r->path.p == r->raw_path.p && r->path.n == r->raw_path.n;
}

/* The path that the client asked for, decoded and normalised as uri.h says; false: it is none. */
bool hpath_asked(struct request *, struct str *path);
/* The same as it can be handed on: without dot segments, one slash in front, percent-encoded. */
struct str hpath_own(struct request *);
/* The path that is asked for now: the client's own, or after a rewrite the new one, encoded. "*"
   stays. */
struct str hpath_source(struct request *);
/* The query without '?', p NULL: there is none. */
struct str hpath_query(struct request *);
/* The client's own path and query, also after a rewrite: REQUEST_URI. */
struct str hpath_uri(struct request *);

/* from as a prefix of an encoded path that may spell it with escapes and more slashes: the octets
   it takes there, or -1. */
ptrdiff_t hpath_prefix(struct str path, struct str from);
/* A path without all but one of the slashes in its front. */
struct str hpath_one_slash(struct str path);

#endif

/*
 * Names that differ on both sides of the gateway: a path prefix (path_from, path_to) and the
 * authority. hmap_path() maps what goes to the backend, hmap_response() what comes back.
 */
#ifndef CODEC_HMAP_H
#define CODEC_HMAP_H

#include "modules/gateway/codec/codec.h"
#include "modules/gateway/codec/conf.h"

/* The path for the backend, without query: hpath_source() with path_from replaced, which counts as
   a prefix where a segment ends. In the request or its arena. */
struct str hmap_path(struct request *, const struct gateway_conf *);

/* For heads, final and interim, of any protocol (sieve.c calls it): adds Via where the route wants
   it, and maps Location, Content-Location and Refresh, and Path and Domain of cookies. New values
   are in the request's arena. codec_request.authority may be empty: then only paths are mapped. */
void hmap_response(struct request *, const struct codec_request *, struct fields *);

/* The prefix `from` of a path replaced by `to`; false when the path is not below it. A slash at the
   end of either means nothing. In the arena. */
bool hmap_prefix(struct arena *, struct str path, struct str from, struct str to, struct str *out);

#endif

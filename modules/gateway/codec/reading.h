/*
 * Whether a backend can understand a path differently from our rules, which have judged it.
 */
#ifndef CODEC_READING_H
#define CODEC_READING_H

#include "modules/gateway/codec/conf.h"
#include "modules/gateway/codec/script.h"
#include "worker/request.h"

/* 0, or 400 and *why, and then a line in the log. Asked once, before any backend is: authorizers
   too. The script is what of the path is run (path_info: what follows it; may be empty). has_uri:
   the protocol also hands on what the client asked for before a rewrite (REQUEST_URI). */
int reading_check(struct request *, const struct gateway_conf *, const struct script *,
    bool has_uri, const char **why);

#endif

/*
 * The fields by which an application says "send this file in place of my answer", and what stands
 * in them. Pure: whether a path may be sent is decided by sendfile.c.
 */
#ifndef CODEC_SENDCMD_H
#define CODEC_SENDCMD_H

#include "common/base/arena.h"
#include "common/base/http.h"

/* Of several in one answer the first in this order counts. */
enum sendcmd {
	SENDCMD_REDIRECT, /* X-Accel-Redirect: a URI of an internal route (nginx) */
	SENDCMD_PARTS,    /* X-Sendfile2: files and ranges of them (lighttpd) */
	SENDCMD_FILE,     /* X-Sendfile (lighttpd, Apache's mod_xsendfile) */
	SENDCMD_LIGHTTPD, /* X-LIGHTTPD-send-file */
	SENDCMD_BODY,     /* X-Send-Response-Body (lighttpd, before 1.4.4) */
	SENDCMD_TEMPFILE, /* X-LIGHTTPD-send-tempfile (lighttpd 1.5) */
	SENDCMD_NONE,
};

extern const struct sendcmd_row {
	struct str name;
	bool is_encoded; /* percent-encoded, in those servers that had it first */
} sendcmd_rows[SENDCMD_NONE];

/* By the field's very name, in any case. */
enum sendcmd sendcmd_of(struct str name);

enum { SENDCMD_PATH = 4095, SENDCMD_PARTS_MAX = 64 };

/* All of these return NULL or, in words, why the value is none. */

/* A path without "." and empty segments; a slash at its end stays. Refused: control characters
   (also encoded ones), "..", none at all, more than SENDCMD_PATH octets. A '%' before anything but
   two hexadecimal digits stands for itself. Relative ones come out without a slash in front. */
const char *sendcmd_path(struct arena *, struct str value, bool is_encoded, struct str *path);

/* A path of this server (decoded, normalised) and a query (encoded; p NULL: none). */
const char *sendcmd_target(struct arena *, struct str value, struct str *path, struct str *query);

struct sendcmd_part {
	struct str path;
	int64_t first, last; /* inclusive; last -1: to the end; first - 1: nothing */
};

/* "path begin-[end], path begin-[end] …" */
const char *sendcmd_parts(
    struct arena *, struct str value, struct sendcmd_part v[SENDCMD_PARTS_MAX], unsigned *n);

/* What of path lies below dir, both without empty segments; n 0: it does not. */
struct str sendcmd_below(struct str path, struct str dir);

#endif

/*
 * Our own links. One parameter of the query, by default "link":
 *
 *	v1~KEY~EXPIRES~METHODS~SEGMENTS~NETWORK~RATE~SIGNATURE
 *
 * KEY names the secret; EXPIRES is in seconds since 1970, and the last one that counts; METHODS is
 * a list ("GET,PUT"), empty: GET; HEAD goes with GET. SEGMENTS empty: the link is good for one path
 * and its query; else for everything below the first so many segments of it, with any query.
 * NETWORK and RATE (octets a second) may be empty. All may be percent-encoded as a whole.
 *
 * SIGNATURE is HMAC-SHA-256 in base64url without padding, under the secret, of three lines with LF
 * between them: all of the above in front of its last "~"; the path, decoded and normalised (an
 * encoded slash stays "%2F"), or its first SEGMENTS segments; the rest of the query as it is sent,
 * or nothing. None of them can hold an LF, so no two links have one text.
 */
#ifndef LINKS_ARGAND_H
#define LINKS_ARGAND_H

#include "modules/links/rule.h"

void links_argand_check(const struct links_rule *, const struct links_ask *, struct links_said *);
bool links_argand_sign(const struct links_rule *, const struct links_secret *,
    const struct links_terms *, struct links_made *, const char **why);

#endif

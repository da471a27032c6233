/*
 * Links that stand in the path: lighttpd's mod_secdownload and nginx's secure_link_secret. What
 * follows the signature is what is asked for.
 *
 *	secdownload         BASE/MAC/TIME/rest  TIME: when it was made, hexadecimal, 1 to 16 digits
 *	secure_link_secret  BASE/MAC/rest       for ever
 *
 * Weak ones, for what exists: MD5 of secret and text one after the other. An extension of such a
 * text (secdownload's md5) has zero octets in it, which no path has here. Path and time stand side
 * by side in it: zeros in front of the time are refused, because they could be the end of another
 * path. secure_link_secret never ends, and its secret stands behind the path: who can choose names
 * that are signed can have one link for two of them, because MD5 has collisions.
 */
#ifndef LINKS_PATHFORM_H
#define LINKS_PATHFORM_H

#include "modules/links/rule.h"

void links_pathform_md5(const struct links_rule *, const struct links_ask *, struct links_said *);
void links_pathform_sha1(const struct links_rule *, const struct links_ask *, struct links_said *);
void links_pathform_sha256(
    const struct links_rule *, const struct links_ask *, struct links_said *);
void links_pathform_word(const struct links_rule *, const struct links_ask *, struct links_said *);

bool links_pathform_sign(const struct links_rule *, const struct links_secret *,
    const struct links_terms *, struct links_made *, const char **why);

#endif

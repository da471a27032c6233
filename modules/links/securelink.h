/*
 * nginx's secure_link with secure_link_md5: two parameters of the query, by default "md5" and
 * "expires". The first is the MD5 of an expression in base64url; the second, in seconds since 1970,
 * is the last one that counts. Without a name for it links never end.
 */
#ifndef LINKS_SECURELINK_H
#define LINKS_SECURELINK_H

#include "modules/links/rule.h"

void links_securelink_check(
    const struct links_rule *, const struct links_ask *, struct links_said *);
bool links_securelink_sign(const struct links_rule *, const struct links_secret *,
    const struct links_terms *, struct links_made *, const char **why);

#endif

/*
 * What signatures are made of: hashes of a text under a secret, written as links carry them.
 */
#ifndef LINKS_MAC_H
#define LINKS_MAC_H

#include "common/base/arena.h"

enum links_hash { LINKS_MD5, LINKS_HMAC_SHA1, LINKS_HMAC_SHA256 };

/* The longest: HMAC-SHA-256 in base64url. */
enum { LINKS_MAC_TEXT = 43 };

struct links_mac {
	char text[LINKS_MAC_TEXT];
	size_t n;
};

/* The MD5 of a text in which the secret stands already: 32 hexadecimal digits in lower case, or 22
   characters of base64url (RFC 4648 5) without padding. */
void links_mac_md5(struct links_mac *, struct str text, bool is_hex);
/* HMAC (RFC 2104) in base64url without padding. */
void links_mac_hmac(struct links_mac *, enum links_hash, struct str secret, struct str text);
/* Whether it is what was sent; takes as long for each that has the right length. */
bool links_mac_is(const struct links_mac *, struct str sent);

#endif

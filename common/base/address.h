/*
 * Addresses of others, as they stand in a configuration: "10.0.0.3:80", "[2001:db8::1]:80",
 * "app.example:80", "unix:/run/php.sock", and the URLs "http://10.0.0.3:80",
 * "fastcgi://unix:/run/php.sock". Nothing is looked up.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "common/base/arena.h"

struct address {
	struct str text; /* canonical: equal addresses have equal texts */
	struct str host; /* numeric without brackets, a name in lower case, or the path */
	int64_t port;
	bool is_unix, is_numeric, is_v6; /* neither unix nor numeric: a name */
};

/* dir: where relative paths of sockets begin; NULL: they are refused. port: the one that counts
   when none is given; 0: one must be given. False: *why says what is allowed ("a port, as in …").
 */
bool address_parse(struct arena *, struct str text, const char *dir, int64_t port, struct address *,
    const char **why);

/* A numeric address in its shortest form, without brackets; p NULL when it is none. */
struct str address_numeric(struct arena *, struct str host, bool *is_v6);

/* Takes "scheme://" off the front of *text; n 0 when there is none. */
struct str address_scheme(struct str *text);

#endif

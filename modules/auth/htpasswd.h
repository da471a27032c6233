/*
 * Files of names and password hashes as htpasswd(1) writes them: parsing, looking up, verifying.
 * Knows nothing of requests and workers; verifying is slow on purpose and may run in any thread.
 */
#ifndef AUTH_HTPASSWD_H
#define AUTH_HTPASSWD_H

#include "common/base/str.h"

enum { HTPASSWD_NAME_MAX = 255, HTPASSWD_HASH_MAX = 255, HTPASSWD_PASSWORD_MAX = 511 };

struct htpasswd;

/* What is wrong with a line (from 1). The line itself is skipped. */
typedef void htpasswd_complain(void *arg, int line, const char *what);

/* Never NULL; text is copied. */
struct htpasswd *htpasswd_parse(struct str text, htpasswd_complain *, void *arg);
void htpasswd_free(struct htpasswd *);
size_t htpasswd_count(const struct htpasswd *);

/* The hash for a name, NUL-terminated; NULL when nobody is called so. */
const char *htpasswd_find(const struct htpasswd *, struct str name);
/* Another user's hash, chosen by the name: for a name that no user has, verify the password against
   it, so that it takes as long as for a real user. NULL when the file is empty. */
const char *htpasswd_decoy(const struct htpasswd *, struct str name);

/* Whether password is the one that hash was made of. Any thread; takes up to seconds. */
bool htpasswd_verify(const char *hash, const char *password);

#endif

/*
 * Regular expressions (PCRE2), compiled when the configuration is loaded and matched on octets: no
 * UTF mode, "$" matches only at the very end. Work per match is bounded, so that no subject that a
 * client chooses can stall a worker; a match that hits the bound counts as none.
 */
#ifndef COMMON_REGEX_H
#define COMMON_REGEX_H

#include "common/cfg.h"

enum { REGEX_CAPTURES = 10 }; /* $0 (the whole match) to $9 */

/* Compiles source (which is kept by reference). False when it is malformed: *why says what is wrong
   (valid until the next call), *offset where in source. */
bool regex_compile(struct cfg_regex *, struct str source, const char **why, size_t *offset);
void regex_free(struct cfg_regex *);
void regex_code_free(void *code); /* for arena_defer() */

/* Whether the expression matches somewhere in subject. captures may be NULL; all REGEX_CAPTURES are
   set, to parts of subject; p is NULL for one that took no part. An expression that is not set
   (code NULL) never matches. One thread per process may match. */
bool regex_match(const struct cfg_regex *, struct str subject, struct str captures[REGEX_CAPTURES]);

/* Number of capturing groups. */
unsigned regex_groups(const struct cfg_regex *);

#endif

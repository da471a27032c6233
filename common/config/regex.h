/*
 * Regular expressions (PCRE2), compiled when the configuration is loaded and matched on bytes: no
 * UTF mode, "$" matches only at the very end. Work and memory per match are bounded, so that no
 * subject that a client chooses can stall a worker. A match that hits a bound is neither a match
 * nor a mismatch: who asks must not go on as with either.
 */
#ifndef CONFIG_REGEX_H
#define CONFIG_REGEX_H

#include "common/config/cfg.h"

enum { REGEX_CAPTURES = 10 }; /* $0 (the whole match) to $9 */

/* Compiles source (which is kept by reference). False when it is malformed: *why says what is wrong
   (valid until the next call), *offset where in source. */
bool regex_compile(struct cfg_regex *, struct str source, const char **why, size_t *offset);
void regex_free(struct cfg_regex *);
void regex_code_free(void *code); /* for arena_defer() */

/* A struct, so that it cannot be taken for a truth value: all three are to be dealt with. */
enum regex_verdict { REGEX_MISMATCH, REGEX_MATCH, REGEX_FAILED };
struct regex_result {
	enum regex_verdict is;
};

/* As regex_match, with PCRE2 for every subject, also for one that its ends decide. */
struct regex_result regex_search(const struct cfg_regex *, struct str subject,
    struct str captures[REGEX_CAPTURES]) __attribute__((warn_unused_result));

/* Whether the expression matches somewhere in subject. captures may be NULL; after a match all
   REGEX_CAPTURES are set, to parts of subject; p is NULL for one that took no part. An expression
   that is not set (code NULL) never matches. One thread per process may match. */
static inline __attribute__((warn_unused_result)) struct regex_result
regex_match(const struct cfg_regex *re, struct str subject, struct str captures[REGEX_CAPTURES])
{
	if (!regex_ends_fit(&re->ends, subject))
		return (struct regex_result){ REGEX_MISMATCH };
	return regex_search(re, subject, captures);
}

/* The expression that failed last, and at what; for the log. */
const struct cfg_regex *regex_failed(const char **why);

/* Number of capturing groups. */
unsigned regex_groups(const struct cfg_regex *);

/* Compiles as where memory must not become executable: for tests, and for what is used once. */
extern bool regex_is_interpreted;

#endif

/*
 * The formats of links, one row each.
 */
#ifndef LINKS_FORMAT_H
#define LINKS_FORMAT_H

#include "modules/links/rule.h"

struct links_format {
	const char *name;
	/* Options of a rule that it has, a bit each. */
	unsigned options;
	/* Says what a rule of this format makes of a request. */
	void (*check)(const struct links_rule *, const struct links_ask *, struct links_said *);
	/* False: *why says what it cannot promise. */
	bool (*sign)(const struct links_rule *, const struct links_secret *,
	    const struct links_terms *, struct links_made *, const char **why);
};

enum {
	LINKS_HAS_PARAMETER = 1,
	LINKS_HAS_EXPIRES = 2,
	LINKS_HAS_MD5 = 4,
	LINKS_HAS_PREFIX = 8,
	LINKS_HAS_TIMEOUT = 16,
	LINKS_HAS_SEGMENTS = 32,
	LINKS_HAS_QUERY = 64,
};

enum { LINKS_FORMATS = 6 };
extern const struct links_format links_formats[LINKS_FORMATS];
/* Their names, NULL-terminated: for the option. */
extern const char *const links_format_names[LINKS_FORMATS + 1];

/* What all rules of a route make of a request: the first that takes it; else what says most about
   why none does. *rule (may be NULL): whose words these are. */
void links_format_ask(const struct links_rule *, size_t n, const struct links_ask *,
    struct links_said *, const struct links_rule **rule);
/* The answer to what is not GOOD. */
int links_format_status(const struct links_said *);
/* The query without any parameter that a rule reads: for the error pages of a refusal. */
struct str links_format_strip(
    const struct links_rule *, size_t n, struct arena *, struct str query);

#endif

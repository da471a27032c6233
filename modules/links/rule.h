/*
 * A rule of signed_links: one format of links with its secrets, and what is asked of it. A format
 * is a row of a table (format.h): it takes a link apart and says whether it is good, and makes one.
 * Both are pure: they see a path, a query and a time, no request.
 */
#ifndef LINKS_RULE_H
#define LINKS_RULE_H

#include "common/config/cfg.h"

struct links_secret {
	struct str id;   /* the file's name up to the first dot */
	struct str text; /* what stands in it, without the line's end */
	const char *path;
};

struct links_rule {
	/* options */
	int kind; /* of links_formats */
	struct cfg_strs files;
	struct str parameter, expires, md5, prefix;
	int64_t timeout, segments;
	bool hash_query;
	/* derived */
	const struct links_format *format;
	struct str name;                    /* of the parameter, where the format has one */
	const struct links_secret *secrets; /* the first one signs, all are taken */
	size_t nsecrets;
	struct str base; /* the prefix without a slash at its end: "" or "/dl" */
};

/* What is asked for. */
struct links_ask {
	struct arena *arena;
	struct str method, path, query; /* path: decoded, normalised; query as sent, p NULL: none */
	struct str host, scheme;
	struct str client;   /* the address as text; n 0: not known (argand explain) */
	int family;          /* AF_INET …; */
	const uint8_t *addr; /* NULL: not known */
	int64_t now;         /* seconds since 1970 */
};

enum links_is {
	LINKS_ABSENT, /* no link of this format is there */
	LINKS_BROKEN, /* one that could never be good */
	LINKS_WRONG,  /* the signature is of something else, or made with another secret */
	LINKS_EXPIRED,
	LINKS_ELSEWHERE, /* for another method or client */
	LINKS_GOOD,
};

struct links_said {
	enum links_is is;
	const char *why;        /* in words */
	struct str path, query; /* GOOD: what is asked for, without the link */
	int64_t rate;           /* GOOD: octets a second, 0: any */
	int64_t until;          /* GOOD: seconds since 1970; 0: for ever */
	struct str text;        /* WRONG: what had to be signed; without the secret */
};

/* What a link is to be good for. */
struct links_terms {
	struct arena *arena;
	struct str path, query;     /* as in links_ask */
	struct str methods;         /* "GET,PUT"; n 0: GET */
	struct str network, client; /* n 0: for everybody */
	struct str host, scheme;
	bool is_prefix; /* for all that is below the path */
	int64_t rate, now, until;
	bool is_until; /* until was asked for, and is not only what is usual */
};

/* A link: path and query of a URL, decoded and encoded as in links_ask. */
struct links_made {
	struct str path, query;
};

#endif

/*
 * `argand sign`: a URL that a route which asks for signed ones will let in.
 */
#ifndef CONFIG_CONF_SIGN_H
#define CONFIG_CONF_SIGN_H

#include "common/config/conf_print.h"

struct conf_sign {
	struct conf_ask ask; /* what it is to be for; client: for whom, where the format wants it */
	struct str format;   /* n 0: the first of the route */
	struct str key;      /* the secret; n 0: the first of the rule */
	struct str methods;  /* "GET,PUT"; n 0: GET */
	struct str network;  /* n 0: for all */
	bool is_prefix;      /* for all that is below the path */
	int64_t rate;        /* bytes a second; 0: any */
	int64_t expires;     /* seconds from now; 0: what is usual */
	struct str path, query; /* the answer: path decoded, query encoded */
};

/* Finds the route as a request does. NULL, or why there is none, in words. */
const char *conf_sign(const struct conf *, struct conf_sign *, struct arena *);

#endif

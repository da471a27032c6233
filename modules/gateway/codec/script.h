/*
 * What CGI calls the script: the path of a request split into SCRIPT_NAME and PATH_INFO, and the
 * environment made of the request (RFC 3875, and what PHP needs beyond it). Shared by FastCGI,
 * SCGI, uwsgi, AJP13's attributes and CGI.
 */
#ifndef CODEC_SCRIPT_H
#define CODEC_SCRIPT_H

#include "worker/request.h"

struct gateway_conf;
struct codec_request;

struct script {
	struct str name;      /* SCRIPT_NAME: decoded path up to the script */
	struct str path_info; /* what follows it; may be empty */
	struct str filename;  /* SCRIPT_FILENAME, empty: none (the backend is no file runner) */
	struct str root;      /* DOCUMENT_ROOT as the backend sees it */
	bool is_split; /* gateway.split found it: path_info is a page that the script makes */
};

/* The path is not a script's but, with gateway.check, perhaps that of a file or directory: the next
   handler is asked. */
enum { SCRIPT_NONE = -1 };

/* Splits the request's path by the route's options, the first that fits: gateway.split (the first
   segment with a suffix that is a file), gateway.prefix, gateway.index, gateway.front, the whole
   path. 0, SCRIPT_NONE, or a status to answer with (404: no such script) and *why. Sets
   r->path_info. */
int script_find(struct script *, struct request *, const struct gateway_conf *, const char **why);

/* The environment in its order, without duplicates: fields as passage.c lets them, what the server
   says of the client (origin.h), what the route adds, which comes last and wins. 0 or a
   status and *why; a second call (a retry) gives the same. The variables stand in the first room of
   the struct, so that a usual request costs its arena nothing for them, or else in the arena. */
struct script_env {
	struct script_var {
		struct str name, value;
	} * v;
	unsigned n, room;
	size_t octets; /* of all names and values */
	struct script_var first[64];
};
int script_env_make(struct script_env *, const struct codec_request *, const char **why);

#endif

/*
 * A protocol without sockets: requests go in as values, responses come out as values. Every module
 * is tested through it, with a real configuration, a real worker loop, and no network.
 *
 *	struct loopback *lo = lo_open("sites = ( { host = \"*\"; respond = \"hi\"; } );");
 *	struct lo_response *s = lo_get(lo, "/x", "Accept: text/html", NULL);
 *	ck_assert_int_eq(s->status, 200);
 *	lo_close(lo);
 */
#ifndef TEST_UNIT_LOOPBACK_H
#define TEST_UNIT_LOOPBACK_H

#include "worker/request.h"

struct loopback;

struct lo_response {
	int status;           /* 0: none came */
	int64_t length;       /* as announced, -1: unknown */
	struct fields fields; /* borrowed from arena */
	struct str body;      /* all that was taken */
	bool is_complete, is_aborted;
	int interims; /* interim responses: 100 */
	struct str handler, user, why;
	struct arena arena;
};

struct lo_request {
	const char *method; /* NULL: GET */
	const char *target;
	const char *host;          /* NULL: "localhost" */
	const char *peer;          /* NULL: 127.0.0.1 */
	const char *const *fields; /* "Name: value", NULL-terminated; NULL: none */
	const char *body;          /* NULL: none */
	bool body_chunked;         /* length unknown to the handler */
	bool body_fails;           /* the client leaves after body */
	size_t take;               /* octets of the response taken per turn, 0: all there is */
	size_t leave_after; /* the client leaves after so many octets of the response, 0: never */
	int max_turns;      /* 0: 2000; then the request is given up */
	int turn_ms;        /* wait so long for events in a turn, 0: not at all */
};

/* A worker with this configuration; the test fails when it is wrong. Relative paths in it are taken
   from the working directory. */
struct loopback *lo_open(const char *conf_text);
void lo_close(struct loopback *);
struct worker *lo_worker(struct loopback *);

/* One request from beginning to end; the response is owned by lo and lives until the next one. */
struct lo_response *lo_send(struct loopback *, const struct lo_request *);
/* GET of a target with fields "Name: value", ended by NULL. */
struct lo_response *lo_get(struct loopback *, const char *target, ...) __attribute__((sentinel));
/* Value of a response field by name; p NULL when it is not there. */
struct str lo_field(const struct lo_response *, const char *name);
/* Turns of the loop, to let timers and jobs go on. */
void lo_turns(struct loopback *, int n, int ms);

#endif

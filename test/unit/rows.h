/*
 * Tables of requests and answers for modules: a row is a configuration, a request, and what must
 * come back. Runs through the loopback.
 */
#ifndef TEST_UNIT_ROWS_H
#define TEST_UNIT_ROWS_H

#include "test/unit/loopback.h"

struct row {
	const char *conf; /* what stands in the one site, or "server: …" before it, see site */
	const char *method, *target, *host, *peer; /* NULL: as struct lo_request */
	const char *fields[4];                     /* "Name: value" of the request */
	int status;
	const char *name, *value; /* a response field; value NULL: must not be there */
	const char *body;         /* NULL: not looked at */
};

/* Opens a server with one site for all hosts, "site" its settings, "server" those of the server
   (NULL: none); both are text of a configuration. */
struct loopback *rows_open(const char *server, const char *site);

/* Sends one row's request and checks the answer; conf is not looked at. */
void rows_send(struct loopback *, const struct row *);

/* Opens the row's configuration, sends, closes. */
void rows_check(const char *server, const struct row *);

/* The configuration must be refused (is_error) or warned of, with a message that holds all of the
   texts. */
void rows_refuse(const char *site, bool is_error, const char *text, const char *more);

#endif

/*
 * The head of an HTTP/1 request, octets to structure (RFC 9112 2-3, 5-7; RFC 9110 5, 7). Pure: no
 * I/O, no state but the parser's, bounded by its limits, resumable at every octet. Strict where
 * leniency is a smuggling risk.
 */
#ifndef WORKER_H1_PARSE_H
#define WORKER_H1_PARSE_H

#include <sys/types.h>
#include "common/base/arena.h"
#include "common/base/http.h"

struct h1_limits {
	uint32_t line;   /* octets of the request line: 414 beyond */
	uint32_t head;   /* octets of the whole head: 431 */
	uint32_t fields; /* 431 */
};

/* The index of known fields has eight bits: a limit of fields beyond this means this. A longer
   method than this is a 501. */
enum { H1_MAX_FIELDS = 254, H1_MAX_METHOD = 32, H1_MAX_OPTIONS = 100 };

/* How far a head that is not complete has been looked at. Zero to begin. */
struct h1_scan {
	uint32_t pos, line_start, lines;
	uint32_t checked, checked_lines; /* what was looked at line by line, as pos and lines */
	const char *why;                 /* the reason for a negative verdict */
};

/* Looks for the end of the head in buf[0..n), which holds the same octets as at the last call and
   perhaps more (it may have moved). Returns the length of the head with its empty line, 0 when more
   is needed, or minus the status to answer with (400, 414, 431, 505 …) as soon as it is certain.
   Empty lines before the request line are skipped (RFC 9112 2.2): *skip octets, part of the length.
 */
ssize_t h1_scan(
    struct h1_scan *, const struct h1_limits *, const char *buf, size_t n, size_t *skip);

/* Whether what came, of a head complete or not, begins a HEAD request. Whatever it then gets, and
   whatever is wrong with the rest of its head, has no content (RFC 9110 9.3.2). */
bool h1_says_head(const char *buf, size_t n);

/* All but what the caller sets is set by h1_parse: what the request line says, only if it is one.
 */
struct h1_head {
	uint8_t method;        /* enum http_method */
	uint8_t version;       /* 10 or 11; a higher minor version counts as 11 */
	bool is_chunked;       /* body framed by chunks */
	bool keep_alive;       /* the client lets the connection stay open (RFC 9112 9.3) */
	bool expects_continue; /* RFC 9110 10.1.1; never for version 10 */
	bool has_upgrade;      /* Upgrade, and Connection names it */
	bool is_seen;          /* authority is what the caller gave in seen */
	struct str method_name, target;
	struct str authority; /* the Host field, trimmed and checked; p NULL when there is none */
	struct str host;      /* its host part as uri_authority gives it, and the port; 0: none */
	uint16_t port;
	int64_t length;       /* Content-Length; 0 when there is none; -1 with is_chunked */
	struct fields fields; /* v, room set by the caller; names and values point into buf */
	/* Set by the caller, or n 0: a Host value that was found well-formed before, its host (the
	   first octets of it, in lower case) and port. It is not taken apart again. */
	struct str seen;
	size_t seen_host_n;
	uint16_t seen_port;
	uint8_t *known; /* caller's, HF_MAX octets, zeroed: 1 + index of first of a kind */
};

/* Parses the complete head in buf[0..n) (n as h1_scan returned less the skipped octets) and checks
   all that can be checked without configuration: request line, field syntax, Host rules (RFC 9112
   3.2), Content-Length and Transfer-Encoding (RFC 9112 6), Connection, Expect (417 for anything but
   100-continue). Returns 0, or minus the status; *why (never NULL then) says the reason. */
int h1_parse(struct h1_head *, const struct h1_limits *, struct arena *, const char *buf, size_t n,
    const char **why);

#endif

/*
 * Formats of access log lines: a text with $variables, compiled once when the configuration is
 * loaded, and run for each request. Computes only: no I/O, no allocation per line.
 */
#ifndef LOG_FORMAT_H
#define LOG_FORMAT_H

#include <time.h>
#include "common/base/arena.h"

struct request;
struct logformat;

/* What a line needs beside the request. */
struct logformat_now {
	time_t wall;     /* seconds: this loop turn's */
	unsigned worker; /* process id */
	bool has_colour; /* $colour and $plain give escape sequences */
};

/* format: the name of a preset ("combined", "common", "gateway", "json", "short") or a text with
   $variables. A text that begins with '{' is JSON: values are escaped for JSON strings, and what is
   absent is empty instead of "-". prefix (may be empty) goes before each line as it is, but
   "$syslog_time" in it is known too. NULL: *why (in the arena) says what is wrong. */
const struct logformat *logformat_compile(
    struct arena *, struct str prefix, struct str format, const char **why);

/* Writes a line with its '\n' at dst; 0: room may not be enough (nothing is promised about dst). */
size_t logformat_put(const struct logformat *, const struct request *, const struct logformat_now *,
    char *dst, size_t room);

/* Name of the i-th variable, NULL at the end: for the test that the manual has them all. */
const char *logformat_variable(size_t i);

#endif

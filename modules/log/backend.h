/*
 * The variables of access log formats about backends (struct request_backend). A value that is not
 * known is "-", in JSON formats null; for a request without a backend all of them are.
 */
#ifndef LOG_BACKEND_H
#define LOG_BACKEND_H

#include "modules/log/var.h"

char *logbackend_put_host(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_pool(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_tries(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_failures(char *p, const struct logline *, const struct logstep *);
/* Microseconds: waiting for a host; until connected; until the first byte of the answer, both from
   the start of the last attempt; from the first thing done to the last byte of the answer. */
char *logbackend_put_queue(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_connect(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_first(char *p, const struct logline *, const struct logstep *);
char *logbackend_put_total(char *p, const struct logline *, const struct logstep *);
/* Two letters, see modules/gateway/term.h. */
char *logbackend_put_term(char *p, const struct logline *, const struct logstep *);
/* 1 or 0. */
char *logbackend_put_reused(char *p, const struct logline *, const struct logstep *);
/* All of them as one JSON object, or null, whatever the format. */
char *logbackend_put_json(char *p, const struct logline *, const struct logstep *);

#endif

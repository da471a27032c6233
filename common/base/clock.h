/*
 * Time, read once per loop turn. Monotonic milliseconds for timeouts and heartbeats (the same in
 * all processes of the machine), wall time for dates, and the texts made from it once a second.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>
#include "common/base/str.h"

/* CLOCK_MONOTONIC now, in ms resp. ns. A vDSO call, no system call. */
uint64_t clock_ms(void);
uint64_t clock_ns(void);

/* Wall time: seconds since the epoch. */
time_t clock_wall(void);

/* IMF-fixdate (RFC 9110 5.6.7) of t at dst[29]; no NUL. */
void clock_http_date(char dst[29], time_t t);

/* Any of the three forms of HTTP-date (RFC 9110 5.6.7); false when it is none. */
bool clock_parse_http_date(struct str s, time_t *out);

#endif

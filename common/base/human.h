/*
 * Numbers for eyes: a few columns, with a unit. Each writes to dst and returns it.
 */
#ifndef BASE_HUMAN_H
#define BASE_HUMAN_H

#include <stdint.h>

enum { HUMAN_MAX = 24 };

/* "999", "1.2k", "45M" */
const char *human_count(char dst[HUMAN_MAX], double v);
/* Powers of 1024: "999", "1.2k", "45M" */
const char *human_bytes(char dst[HUMAN_MAX], double v);
/* The two largest units: "3d 4h", "4h 5m", "5m 6s", "6s" */
const char *human_time(char dst[HUMAN_MAX], uint64_t ms);
/* Short times, at most five columns up to a day: "812us", "1.2ms", "345ms", "1.2s", "90s". */
const char *human_us(char dst[HUMAN_MAX], uint64_t us);

#endif

/* What this process has used: for its row in the shared segment. */
#ifndef BASE_PROCSELF_H
#define BASE_PROCSELF_H

#include <stdint.h>

/* CPU time in ms, user and system, all threads. */
uint64_t procself_cpu_ms(void);
/* Resident memory in bytes; 0 when /proc cannot be read. */
uint64_t procself_rss(void);

#endif

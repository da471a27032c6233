/*
 * Who a process is, beyond its number: numbers are used again, a number together with the time of
 * its start is not.
 */
#ifndef COMMON_PROCID_H
#define COMMON_PROCID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/PID/stat (clock ticks since boot); 0 when it cannot be read. */
uint64_t procid_starttime(pid_t);

enum procid { PROCID_GONE, PROCID_SAME, PROCID_UNKNOWN };

/* Whether the process that started then is still there. UNKNOWN: some process has this number and
   /proc does not tell which (hidepid, or started was 0). */
enum procid procid_is(pid_t, uint64_t started);

#endif

/*
 * Crash consistency: an operation on a shared segment, made by a child that kills itself (SIGKILL)
 * at the k-th write of it. Link the scene that it needs to a variable before: the child has it from
 * fork.
 */
#ifndef TEST_UNIT_CRASH_H
#define TEST_UNIT_CRASH_H

#include <stdbool.h>

/* Whether it was killed; false: it has fewer than k fail points, and was done. */
bool crash_at(void (*op)(void), unsigned k);
/* For fail points of the operation itself, between calls. */
void crash_point(const char *name);
/* shm_failpoint: between any two steps another process may come. */
void crash_yield(const char *name);

#endif

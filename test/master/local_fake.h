/*
 * Sockets of pools without files: which of them stands at which path, who waits at it, and what a
 * process has open.
 */
#ifndef TEST_MASTER_LOCAL_FAKE_H
#define TEST_MASTER_LOCAL_FAKE_H

#include <stdbool.h>
#include <sys/types.h>

/* Before a run: no paths. */
void local_fake_begin(void);
/* Whether a path leads to a socket. */
bool local_fake_leads(const char *path, int fd);
unsigned local_fake_paths(void);

extern bool (*local_fake_waits)(int fd);  /* whether a connection waits; NULL: never */
extern bool (*local_fake_is_busy)(pid_t); /* whether it has a connection; NULL: never */
extern bool (*local_fake_catches)(pid_t); /* whether it handles SIGTERM; NULL: all do */
extern int local_fake_fails;              /* openings: so many of the next ones */

#endif

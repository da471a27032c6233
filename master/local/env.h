/*
 * What the pools of local processes need of the supervisor above them; it gives this to
 * local_init().
 */
#ifndef LOCAL_ENV_H
#define LOCAL_ENV_H

#include "common/segment/shm.h"

struct local_env {
	struct shm *(*shm)(void); /* the segment, where figures of pools stand */
	pid_t parent;             /* this process: what it starts ends with it */
	const char *exe;          /* this program's file: the CGI starter is the same program */
	/* Whether workers of a generation before this number still run. */
	bool (*has_before)(unsigned generation);
	/* A process is missing and no configuration is loaded that says how to start it. */
	void (*heal)(void);
	/* The last process has ended while all of them were to end. */
	void (*idle)(void);
};

extern struct local_env local_env; /* in local.c */

#endif

/*
 * The master process as a whole.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "common/base/text.h"
#include "common/config/conf.h"
#include "common/segment/shm.h"

struct master {
	pid_t pid;
	const char *file; /* the configuration: absolute; NULL with text */
	const char *text; /* of `argand serve` */
	const char *name; /* of text, in messages */
	char **argv;
	char *exe; /* what an upgrade executes: the path that the server was started with */
	struct shm *shm;
	struct shm *shm_old; /* of a master before this one, or of a binary with another layout,
				while its workers live; or NULL */
	bool is_quiet;       /* argand serve: no notices about daily business */
	void (*on_ready)(const struct conf *); /* once, when the first generation serves */
};

extern struct master master;

/* Runs the server until it is stopped; returns the exit status. The members above are set. */
int master_run(void);
/* Reads the configuration. NULL with everything that is wrong in report; else the warnings. */
struct conf *master_conf(struct text *report);
/* The number of the generation that is started next. */
unsigned master_next_generation(void);
/* Sends the server's state to the service manager. */
void master_notify(void);
/* A generation of this master serves: the segment is kept for the next one. */
void master_keep_shm(void);
/* The line of a report that gives the reason: its first error, else its first line. */
struct str master_reason(struct str report);
/* The first generation did not come up: the server ends with status. */
void master_fail(int status, struct str why);
void master_stop(bool fast);
bool master_is_stopping(void);
/* A generation has ended. */
void master_idle(void);

#endif

/*
 * A child process that is asked one question and may crash over it: its output (bounded) and how it
 * ended are the answer.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#include <stdio.h>
#include "common/base/text.h"
#include "master/base/loop.h"

struct probe {
	pid_t pid; /* 0: none is running */
	int fd, status;
	struct text out;
	struct watch watch;
	struct alarm alarm;
	/* status: the exit status, or 128 + signal. out: freed afterwards. */
	void (*done)(int status, struct text *out);
};

void probe_init(void);
/* Runs fn in a child; what it prints to the stream comes back, what it returns is the status. */
int probe_call(struct probe *, int (*fn)(FILE *));
/* Executes a program; its stdout and stderr come back. */
int probe_exec(struct probe *, const char *path, char *const argv[]);
/* True when pid was a probe. */
bool probe_reap(pid_t pid, int status);
/* The master ends: those that run are killed. */
void probe_fini(void);

#endif

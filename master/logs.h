/*
 * The log files of all generations: each destination is opened once, by the master, and kept while
 * a generation writes to it. Reopened on SIGUSR1; a piped command that ends is started again.
 */
#ifndef MASTER_LOGS_H
#define MASTER_LOGS_H

#include "common/base/safedir.h"
#include "common/base/text.h"
#include "common/config/conf.h"
#include "master/base/loop.h"

struct logdest {
	struct link link;
	char *name;
	int fd;
	pid_t pid;      /* of a command, else 0 */
	unsigned users; /* generations */
	uint64_t started;
	struct alarm again;
};

/* What one generation writes to: in the order of conf->log_files. */
struct logs {
	struct logdest **v;
	size_t n;
};

void logs_init(void);
/* The error log of the master itself, and of all workers: "stderr" or a path. -1 with errno and
   the reason in words. */
int logs_open_error(struct str destination, char why[SAFEDIR_WHY]);
/* 0, or -1 with a line in report for each destination that could not be opened. */
int logs_open(struct logs *, const struct conf *, struct text *report);
void logs_close(struct logs *);
/* Opens the files anew and sends the workers the new descriptors. */
void logs_reopen(void);
/* True when pid was a command of ours. */
bool logs_reap(pid_t pid, int status);
/* For the hand-over to another binary: all destinations; and taking them over. */
const struct link *logs_list(void);
struct logdest *logs_adopt(const char *name, int fd, pid_t pid);
const char *logs_error_name(void);
void logs_adopt_error(const char *name, int fd);
/* One more destination, by the name of one that is open; false when there is none. */
bool logs_add(struct logs *, const char *name);

#endif

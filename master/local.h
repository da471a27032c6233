/*
 * Local backends: the processes of the pools that have a `spawn`, started and watched by the
 * master, and the sockets that they share. Order of a reload: local_open() before the new workers
 * start, then local_commit() when they serve, or local_rollback() when they never will.
 */
#ifndef MASTER_LOCAL_H
#define MASTER_LOCAL_H

#include <stdio.h>
#include "common/conf.h"
#include "common/text.h"
#include "master/backoff.h"
#include "master/localproc.h"

/* One pool; of one socket, so one that moves to another is two for a while. */
struct local {
	struct link link;
	char *name, *path;      /* path NULL: its processes bind for themselves */
	int sock;               /* -1 */
	struct localspec *spec; /* what is started; NULL: handed over, not yet known */
	struct localspec *next; /* of the configuration that is being loaded, or NULL */
	bool is_named;          /* by the configuration that is being loaded */
	bool is_committed;      /* a configuration that served had it */
	bool is_stored;         /* the service manager keeps the socket */
	unsigned leaving;       /* no configuration since this generation has it; 0: one has */
	bool is_ending;         /* its processes are to end, and no others to be started */
	struct link procs;
	struct localscale scale;
	struct backoff backoff;
	struct lines_rate rate;
	struct alarm alarm;
	unsigned long starts, deaths;
	int last_status;    /* of the last death */
	int64_t last_death; /* wall ms */
};

void local_init(void);
/* Sockets of all pools of conf; processes of those that are new. 0, or an exit status with the
   reasons in report; what was opened stays until local_rollback(). */
int local_open(const struct conf *, struct text *report);
void local_rollback(void);
/* Generation serves with the configuration that was opened: pools whose settings have changed are
   rolled over, pools that it has not end when the workers before it have. */
void local_commit(unsigned generation);
/* True when pid was a process of a pool. */
bool local_reap(pid_t, int status);
/* All processes end: gracefully, within 5 s, or at once. */
enum local_hurry { LOCAL_GRACEFUL, LOCAL_SOON, LOCAL_NOW };
void local_stop(enum local_hurry);
unsigned local_processes(void);
/* Removes the files of the sockets, at the very end. */
void local_unlink(void);

/* From localproc.c. Whether it has ended of its own will after having been of use (programs that
   serve so many requests and then leave). */
bool local_is_well(struct local *, const struct localproc *, int status);
/* It has died; is_well: nobody need worry. */
void local_died(struct local *, struct localproc *, int status, bool is_well);
/* Requests that the pool has had. */
uint64_t local_served(struct local *);

/* For the hand-over to another binary: all of them, and one more that has no spec yet. */
struct link *local_list(void);
struct local *local_new(const char *name, const char *path);

#endif

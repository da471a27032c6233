/*
 * Local backends: the processes of the pools that have a `spawn`, started and watched by the
 * master, and the sockets that they share. Order of a reload: local_open() before the new workers
 * start, then local_commit() when they serve, or local_rollback() when they never will.
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include <stdio.h>
#include "common/base/text.h"
#include "common/config/conf.h"
#include "master/base/backoff.h"
#include "master/base/sockfile.h"
#include "master/local/proc.h"

enum local_state {
	LOCAL_NEW,     /* the configuration that is being loaded has it; none has served */
	LOCAL_SERVING, /* its socket is the one that workers find */
	LOCAL_COMING,  /* other settings for one that serves: takes its place when they have proved
			  themselves */
	LOCAL_RETIRED, /* whose place was taken: ends when nobody waits at its socket any more */
	LOCAL_LEAVING, /* no configuration has it: ends when the workers that know it have */
	LOCAL_ENDING,  /* its processes were asked to end */
	LOCAL_STATES,
};

/* The processes of one pool with the same settings, and their socket. */
struct local_pool {
	struct link link;
	enum local_state state;
	char *name, *path;      /* path NULL: its processes bind for themselves */
	int sock;               /* -1 */
	struct sockfile file;   /* of sock */
	uint64_t digest;        /* of its settings */
	struct localspec *spec; /* NULL: handed over, its configuration is not known yet */
	struct localspec *next; /* of the configuration that is being loaded, or NULL */
	unsigned leaving;       /* LEAVING: the first generation that does not know it */
	bool is_stored;         /* the service manager keeps its socket */
	bool was_empty;         /* RETIRED: nobody waited at the look before */
	struct link procs;
	struct localscale scale;
	struct backoff backoff;
	struct lines_rate rate;
	struct alarm alarm;
	unsigned long starts, deaths;
	int last_status;    /* of the last death */
	int64_t last_death; /* wall ms */
	uint64_t since;     /* ms, in this state */
};

struct local_env;

void local_init(const struct local_env *);
/* conf.c. Sockets of all pools of conf; processes of those that are new. 0, or an exit status
   with the reasons in report; what was opened stays until local_rollback(). */
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
/* Whether one that was handed over lacks processes, and nobody knows how to start them. */
bool local_lacks(void);
/* Removes the files of the sockets, at the very end, and forgets all. */
void local_unlink(void);

/* From proc.c. Whether it has ended of its own will after having been of use (programs that
   serve so many requests and then leave). */
bool local_is_well(struct local_pool *, const struct localproc *, int status);
/* It has died; is_well: that is no fault. */
void local_died(struct local_pool *, struct localproc *, int status, bool is_well);
/* Requests that the pool has had. */
uint64_t local_served(struct local_pool *);

/* All of them; a new one without settings; the one of that name and path in that state, or NULL. */
struct link *local_list(void);
struct local_pool *local_new(const char *name, const char *path, enum local_state);
struct local_pool *local_find(const char *name, const char *path, enum local_state);
void local_free(struct local_pool *);
void local_enter(struct local_pool *, enum local_state);
/* Looks at it now. */
void local_look(struct local_pool *);
/* Its processes end; its socket is closed and, unless another one has its place, removed. */
void local_end(struct local_pool *);
/* How the service manager's store calls its socket. */
enum { LOCAL_NAME = 160 };
void local_store_name(const struct local_pool *, char name[LOCAL_NAME]);

#endif

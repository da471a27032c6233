/*
 * A seat: the place of one worker in its generation. The worker may die and be replaced, the seat
 * stays. Its states are the rows of a table in seat.c; seat_enter() is the only way into one.
 */
#ifndef MASTER_SEAT_H
#define MASTER_SEAT_H

#include <sys/types.h>
#include "common/segment/shm.h"
#include "master/base/loop.h"

struct generation;

enum seat_state {
	SEAT_EMPTY,    /* no process, none wanted yet */
	SEAT_WAITING,  /* no process, one will be started when the back-off is over */
	SEAT_STARTING, /* forked, not ready */
	SEAT_SERVING,
	SEAT_LEAVING, /* was sent a message to drain or stop */
	SEAT_DYING,   /* sent a deadly signal */
	SEAT_GONE,    /* no process, none wanted any more */
	SEAT_STATES,
};

struct seat {
	struct generation *gen;
	unsigned index;
	enum seat_state state;
	struct shm *shm; /* where its row is */
	int row;
	pid_t pid;
	int chan;            /* -1: none (a worker of a master that was killed) */
	int pidfd;           /* what signals go through; -1 */
	bool is_child;       /* else its end is seen at the pidfd. Orthogonal to the states */
	uint64_t since;      /* ms, in this state */
	uint64_t born;       /* ms, when the process was started */
	uint64_t beat;       /* its heartbeat as last seen, */
	uint64_t beat_at;    /* and since when that has not changed; 0: never looked */
	uint64_t hung_since; /* 0: its heart beats. Not a state: any process may hang */
	unsigned young;      /* deaths in a row soon after birth */
	struct watch chan_watch, pid_watch;
	struct alarm alarm;
};

void seat_init(struct seat *, struct generation *, unsigned index, struct shm *);
void seat_start(struct seat *);
/* Takes over a process that stands in the ledger: a child of the binary before this one (chan may
   be -1), or not even our child. pidfd: of exactly that process, now the seat's. */
void seat_adopt(struct seat *, unsigned row, pid_t pid, int chan, int pidfd, bool is_child);
bool seat_has_process(const struct seat *);
const char *seat_state_name(const struct seat *);

void seat_send(struct seat *, char what);
void seat_send_index(struct seat *, char what, unsigned index);
void seat_send_reopen(struct seat *, unsigned index, int fd);
/* Asks its process to stop gracefully: through the channel, or by SIGQUIT where there is none. */
void seat_stop(struct seat *);
/* Its worker shall drain and end; a seat without a process is gone at once. */
void seat_leave(struct seat *);
/* It has no process and shall have none. */
void seat_end(struct seat *);
/* Sends a deadly signal; after a grace the one that cannot be ignored. */
void seat_kill(struct seat *, int signal);
/* The process is known to be gone. status: as of waitpid, or -1. */
void seat_reap(struct seat *, int status);
/* Looks at the heartbeat: reports and in the end kills a worker that hangs. */
void seat_check(struct seat *, uint64_t now);
bool seat_is_fresh(struct seat *, uint64_t now);
/* Closes what the seat has; its process is not touched. */
void seat_fini(struct seat *);

#endif

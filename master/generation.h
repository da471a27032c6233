/*
 * A generation: the workers of one configuration. At most one starts, one serves, and several older
 * ones drain.
 */
#ifndef MASTER_GENERATION_H
#define MASTER_GENERATION_H

#include "common/config/conf.h"
#include "master/logs.h"
#include "master/seat.h"

enum gen_state {
	GEN_STARTING,
	GEN_SERVING,
	GEN_DRAINING, /* its workers finish what they have */
	GEN_CUT,      /* the same, in a hurry: there are too many older ones */
	GEN_STOPPING, /* the server stops, gracefully */
	GEN_ENDING,   /* the server stops, soon */
	GEN_TERM,     /* time is up: SIGTERM */
	GEN_KILL,     /* SIGKILL */
	GEN_STATES,
};

struct generation {
	struct link link;
	unsigned number;
	enum gen_state state;
	struct conf *conf; /* NULL: of another binary or master; its workers cannot be replaced */
	uint64_t digest;   /* of the configuration */
	uid_t uid;         /* what its workers become */
	struct logs logs;
	struct seat *seats;
	unsigned nseats, ready;
	uint64_t since; /* ms, in this state */
	struct alarm alarm;
};

void generation_init(void);
/* The caller's until it is started; takes conf and logs. */
struct generation *generation_new(unsigned number, unsigned nseats, struct conf *, struct logs *);
/* Forks all workers; reload_ready() or reload_failed() follows. */
void generation_start(struct generation *);
/* Starts workers for seats that have none (of a generation that was handed over). */
void generation_refill(struct generation *);
/* The only way into a state: its time limit begins, and its workers get the message for it. */
void generation_enter(struct generation *, enum gen_state);
/* The same in two steps, for a generation that was handed over: generation_take() before its seats
   are taken over, generation_resume() after. */
void generation_take(struct generation *, enum gen_state);
void generation_resume(struct generation *);
/* Its time in this state ends at `due` (clock_ms()) at the latest. */
void generation_limit(struct generation *, uint64_t due);
/* Limits the time of draining generations to what the configuration that serves now says. */
void generation_limit_drains(void);
/* Frees it if it has no processes any more. */
void generation_settle(struct generation *);

/* What seats report. */
void generation_seat_ready(struct seat *);
/* The worker of a seat is gone. Returns whether another one shall take the seat. */
bool generation_seat_lost(struct seat *, const char *why);

struct generation *generation_serving(void);
struct generation *generation_find_starting(void);
struct generation *generation_find(unsigned number);
/* Whether there is one with a lower number. */
bool generation_is_before(unsigned number);
/* The highest number in use; 0: none. */
unsigned generation_last(void);
struct link *generation_list(void);
/* Generations that are neither starting nor serving; cuts the oldest if there are too many. */
unsigned generation_draining(void);
void generation_bound(unsigned most);
/* All generations enter a state (of stopping), except those that are in a later one already. */
void generation_enter_all(enum gen_state);
/* Whether one of its seats has no process. */
bool generation_lacks(const struct generation *);
/* Processes of all generations. */
unsigned generation_processes(void);
/* True when pid was a worker. */
bool generation_reap(pid_t pid, int status);
void generation_check(void);
/* Whether a worker of the serving generation is alive and well. */
bool generation_is_fresh(void);
/* A destination was opened anew: sends the descriptor to the workers that write to it. */
void generation_send_log(const struct logdest *);
void generation_send_reopen(unsigned index, int fd);
/* Drops the segment of the workers of an earlier binary or master when the last of them is gone. */
void generation_drop_old_shm(void);
/* Makes the workers of g the owners of the slots of their seats. */
void generation_give_slots(struct generation *g);
/* Sends the workers of g, before they begin to drain, which of their addresses are not in next. */
void generation_send_leaving(struct generation *g, const struct conf *next);

#endif

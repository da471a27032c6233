/*
 * A machine that is made up, for master_run() to run in as a whole. Its processes are entries of a
 * table, its time passes only while the master waits in poll(2), and the binary that is executed is
 * this one again. The build gives us the calls that the master makes of the kernel (MASTER_WRAP in
 * the Makefile); all else is real: the loop, the segment, the ledger, channels, the control
 * socket's clients, the hand-over record.
 *
 * What happens and when is the caller's: a script, or chance.
 */
#ifndef TEST_MASTER_WORLD_H
#define TEST_MASTER_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/base/clock.h"

enum { WORLD_PROCS = 1024, WORLD_CLIENTS = 64, WORLD_START = 100000 /* ms */ };

#define NEVER UINT64_MAX

enum proc_kind {
	PROC_WORKER,
	PROC_CHECK, /* a probe: asked one question */
	PROC_POOL,  /* of a local backend */
	PROC_KINDS,
};

/* What a process is going to do. Times are ms from its birth, but where something is said. */
struct plan {
	uint64_t ready;   /* a worker says that it is; NEVER */
	uint64_t dies;    /* by itself; NEVER. A check always ends then */
	uint64_t drains;  /* from when it is told to leave until it ends; NEVER: until it must */
	uint64_t hangs;   /* from then on it does nothing, and takes SIGKILL only; NEVER */
	int status;       /* as of waitpid(2), when it dies by itself */
	bool is_deaf;     /* to SIGTERM, and to being told to stop */
	const char *says; /* a check's output */
};

struct proc {
	enum proc_kind kind;
	pid_t pid;
	bool is_child, is_alive, is_waited;
	bool is_frozen; /* by SIGSTOP */
	bool is_noted;  /* a worker that was told to go on */
	bool is_ready;  /* has said so */
	bool has_served;
	int fd;    /* the other end of its channel, or of its output; -1 */
	int pidfd; /* readable when it is dead */
	int status;
	uint64_t born, leaving; /* since when it leaves; NEVER */
	struct plan plan;
};

struct world {
	bool is_on;
	uint64_t now; /* ms */
	uint64_t seed;
	unsigned turns;
	struct proc procs[WORLD_PROCS];
	unsigned nprocs;
	int clients[WORLD_CLIENTS]; /* our ends of the control socket's clients; -1: answered */
	uint64_t asked[WORLD_CLIENTS];
	unsigned nclients, nanswered, nfailed;
	char answer[4096]; /* the last one */
	int fails_fork;    /* so many of the next ones; -n: the n-th from now on, once */
	bool fails_exec, may_exec;
	bool is_jumbled; /* events come late and in any order */
	unsigned execs, crashes;
	bool is_managed; /* there is a service manager, which keeps descriptors */
	/* the caller's */
	void (*born)(struct proc *, enum proc_kind); /* sets its plan */
	void (*act)(void);     /* whenever the master waits: does what is due */
	uint64_t (*due)(void); /* when act wants to be called again; NEVER */
	void (*look)(void);    /* whenever the master waits: whether all is as it must be */
	void (*passes)(void);  /* between two binaries */
	void (*struck)(const struct proc *, int signal); /* the master signals a living process */
};

extern struct world world;

/* Runs the master until it ends, with that configuration; its exit status. After world_seed(). */
int world_run(const char *conf);
/* The configuration is another one from now on. */
void world_edit(const char *conf);
/* The master is killed where it stands, and started anew by the service manager. From world.act;
   does not come back. */
void world_crash(void);
/* To the master. */
void world_signal(int signal);
/* To a process, as from somebody outside. */
void world_kill(struct proc *, int status);
/* A line to the control socket; the answer is counted when it comes. */
void world_ask(const char *line);
struct proc *world_find(pid_t);
/* Whether it does nothing any more. */
bool world_hangs(const struct proc *);
unsigned world_count(enum proc_kind); /* alive */
/* How often a text stands in the log of the master. */
unsigned world_says(const char *text);
/* Chance begins anew; world_run() goes on from there. */
void world_seed(uint64_t);
/* Below n, evenly. */
unsigned world_any(unsigned n);
bool world_chance(unsigned percent);
/* Ends the test with the seed and the end of the log. */
void world_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define world_must(cond, ...) ((cond) ? (void)0 : world_fail(__VA_ARGS__))

#endif

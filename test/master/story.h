/*
 * Stories of the master as tables: what happens at which time, and what is expected then.
 */
#ifndef TEST_MASTER_STORY_H
#define TEST_MASTER_STORY_H

#include "test/master/world.h"

/* The configuration of so many workers, with more options of the server. */
#define STORY_CONF(workers, more)                                                                  \
	"server: { listen = \"127.0.0.1:8080\"; log_level = \"debug\"; workers = " #workers        \
	"; " more " }; sites = ( { host = \"*\"; root = \"/tmp\"; } );"

/* The same with a pool of so many processes of our own. */
#define STORY_POOL(workers, processes, more)                                                       \
	"server: { listen = \"127.0.0.1:8080\"; log_level = \"debug\"; workers = " #workers        \
	"; drain_timeout = \"5s\"; }; backends = { app = { protocol = \"scgi\"; spawn = { "        \
	"command = [ "                                                                             \
	"\"/bin/true\" ]; processes = \"" #processes "\"; " more                                   \
	" }; }; }; sites = ( { host = \"*\"; root = \"/tmp\"; } );"

struct step {
	uint64_t at; /* ms since the start */
	void (*act)(int n, const char *text);
	int n;
	const char *text;
};

/* AT(1000, kill, 1): story_kill(1, NULL) a second after the start. */
#define AT(ms, what, ...)                                                                          \
	{                                                                                          \
		.at = (ms), .act = story_##what, __VA_ARGS__                                       \
	}

enum { STORY_STEPS = 24 };

struct story {
	const char *what, *conf;
	void (*born)(struct proc *, enum proc_kind);
	int status;    /* of the master, at its end */
	int left;      /* workers that live then */
	int no_fork;   /* so many of the first ones fail */
	int no_listen; /* the status of opening addresses at the start */
	bool may_exec, is_managed;
	void (*passes)(void); /* between two binaries */
	struct step steps[STORY_STEPS];
};

void story_run(const struct story *);
/* Which worker it is, in the order of their birth. */
unsigned story_nth(const struct proc *);

/* What happens. */
void story_signal(int n, const char *); /* to the master */
void story_ask(int, const char *line);  /* the control socket */
void story_edit(int, const char *conf);
void story_kill(int n, const char *);      /* worker n of the generation that serves, SIGSEGV */
void story_kill_new(int n, const char *);  /* of the one that starts */
void story_kill_old(int n, const char *);  /* of the oldest one */
void story_no_fork(int n, const char *);   /* the next n */
void story_no_listen(int n, const char *); /* the status of opening addresses */
void story_no_exec(int n, const char *);

void story_crash(int, const char *); /* the master is killed, and started anew */

/* What is expected. */
void story_serves(int n, const char *);    /* so many workers of the generation that serves */
void story_number(int n, const char *);    /* of that generation */
void story_drains(int n, const char *);    /* so many older generations */
void story_processes(int n, const char *); /* workers that live */
void story_says(int n, const char *text);  /* so often in the log */
void story_answered(int n, const char *);  /* clients so far */
void story_refused(int n, const char *);   /* of these */
void story_born(int n, const char *);      /* the newest worker, at that time */
void story_execs(int n, const char *);
void story_runs(int n, const char *);      /* processes of pools that live */
void story_pools(int n, const char *);     /* sets of them */
void story_paths(int n, const char *);     /* files of their sockets */
void story_kill_pool(int n, const char *); /* the n-th that lives */
void story_no_sock(int n, const char *);   /* the next n */

#endif

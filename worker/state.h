/*
 * The worker's own state, for the files of this folder only; modules see worker.h.
 */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "worker/worker.h"

enum { TIMER_CLASSES = 256, TICK_MS = 100, STALE_MS = 250, CONN_STATES_MAX = 8 };

enum worker_state {
	WORKER_WAITING, /* ready, but its generation does not serve yet */
	WORKER_SERVING,
	WORKER_DRAINING, /* takes no new connections; finishes what it has */
	WORKER_DONE,
};

struct acceptor;
struct offload;

struct timer_class {
	int64_t ms;
	struct link timers;       /* in the order of their due times */
	struct timer_class *next; /* of its bucket */
	bool is_idle;             /* had no timer at the last tick, and nobody asked for it since */
};

/* The last Host field and its meaning: most requests have the same Host as the one before. */
struct authority {
	const struct conf_listen *listen;
	const struct site *site;
	uint16_t port;
	uint8_t n, host_n; /* of text; its first octets are the host, as it is (lower case) */
	char text[44];
};

#define WORKER_OK "HTTP/1.1 200 OK\r\n" /* what most answers begin with */
enum { STAMP_LINE = sizeof(WORKER_OK) - 1 };

struct worker {
	const struct heritage *h;
	const struct conf *conf;
	struct shm *shm;
	struct shm_worker *row;
	struct event_base *base;
	enum worker_state state;

	/* time, read once per loop turn */
	bool is_fresh;
	uint64_t now, now_ns;
	int64_t wall_ms_off; /* wall clock minus monotonic, ms */
	time_t wall;
	char stamp[208]; /* STAMP_LINE, then "Date: …\r\nServer: …\r\n", made once a second */
	size_t stamp_n, stamp_date_n; /* without the line */

	struct link posts, posts_running;
	struct link dead;                   /* connections to free at the end of the turn */
	struct link conns[CONN_STATES_MAX]; /* by state, oldest first */
	struct pool free_conns;
	unsigned nreads; /* connections read from in this turn */
	unsigned nconns;
	uint64_t next_id, next_conn;

	struct authority authority;
	struct timer_class **classes, *class_of[256]; /* all; by the hash of their length */
	unsigned nclasses, class_hand;
	struct timer_class *last_class; /* that conn.c asked for */
	struct event tick, chan, offload_ev, sigterm, sigquit;
	uint64_t tick_due, second_due, lag_max, serving_since, drain_since, drain_until;
	bool is_stopping; /* drains because the server stops: nobody takes its slots over */

	struct acceptor *acceptors;
	size_t nacceptors;
	bool is_paused; /* at the connection limit, or out of descriptors */
	uint64_t pause_until;
	struct offload *offload;
};

/* Reads the clock if this loop turn has not yet. Every event callback begins with it. */
void worker_touch_slow(struct worker *);
static inline void
worker_touch(struct worker *w)
{
	if (!w->is_fresh)
		worker_touch_slow(w);
}

/* A worker without listeners: what worker_run and the loopback tests share. */
struct worker *worker_new(const struct heritage *);
void worker_free(struct worker *);
/* One turn: events (waiting for one if wait), then notices, then the dead. */
void worker_turn(struct worker *, bool wait);
/* Runs what is posted: at the end of a turn, and between two events of one. */
void worker_run_posts(struct worker *);
void worker_drain(struct worker *);

void timer_run(struct worker *);
void timer_fini(struct worker *);

/* accept.c: makes the events; claims, adopts and leaves slots (each tick); pauses for ms, or until
   a connection ends; leaves everything. */
void accept_open(struct worker *);
void accept_claim(struct worker *);
void accept_tick(struct worker *);
void accept_pause(struct worker *, uint64_t ms);
void accept_resume(struct worker *);
/* The address listens[listen] leaves the configuration (CHAN_LEAVE); whether one still does. */
void accept_leave(struct worker *, unsigned listen);
bool accept_is_leaving(const struct worker *);
void accept_close(struct worker *);

/* offload.c */
void offload_done(struct worker *);
void offload_fini(struct worker *);

#endif

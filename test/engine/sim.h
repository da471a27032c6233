/*
 * A worker with a configuration on the kernel of vnet.h: real connections, HTTP/1, requests,
 * gateway, pools, timers and tick; the test plays the clients, the backends, the master and time.
 */
#ifndef TEST_ENGINE_SIM_H
#define TEST_ENGINE_SIM_H

#include "common/balance/backend_view.h"
#include "test/engine/vnet.h"
#include "worker/state.h"

/* How the last request to a backend ended, as the log hooks see it. */
struct sim_end {
	char termination[3];
	unsigned attempts;
	int status;
};

enum { SIM_HOSTS = 16 };
struct sim {
	struct worker *w;
	struct shm *shm;
	unsigned hosts[SIM_HOSTS], nhosts, pool; /* rows in the segment; the one pool */
	/* counted as the log hooks run */
	unsigned ends, attempts;
	struct sim_end last;
};
extern struct sim sim;

/* The text is a whole configuration. The worker serves. */
void sim_open(const char *conf, uint64_t seed);
/* The worker ends, with whatever it still has, and must leave no socket and nothing on disk. */
void sim_close(void);
/* Turns of the loop until nothing is left to do at this time. */
void sim_settle(void);
/* Time passes, the loop turns at each due time. */
void sim_pass(int64_t ms);
/* Another generation serves from now on: this worker drains. */
void sim_drain(void);

uint64_t sim_counter(enum counter);
/* Requests at hosts, and in the queue. */
unsigned sim_in_flight(void);
unsigned sim_queued(void);
/* Sum of a counter over all hosts. */
uint64_t sim_hosts(enum pool_counter);
struct backend_pool_view sim_pool(void);
/* Whether the worker has nothing under way: no request, nothing at a host or in a queue. */
bool sim_is_quiet(void);

/* --- HTTP from the client's side --- */
struct sim_answer {
	int status; /* 0: none has come, or not all of its head */
	bool is_complete, is_chunked, closes;
	unsigned interims;
	struct str head; /* in the stream */
	struct text body;
	size_t n; /* octets of the stream that it takes, when it is complete */
};
/* What the stream holds from its first octet on; is_closed: nothing follows. */
void sim_answer(struct sim_answer *, const char *p, size_t n, bool is_head, bool is_closed);

#endif

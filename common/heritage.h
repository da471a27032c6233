/*
 * Everything that a worker is born with: what the master hands over at fork, and nothing else.
 */
#ifndef COMMON_HERITAGE_H
#define COMMON_HERITAGE_H

#include "common/conf.h"
#include "common/shm.h"

/* All sockets of one address: slots descriptors, SO_REUSEPORT, listening, non-blocking. A Unix
   socket has one descriptor, which stands at every slot. */
struct heritage_listen {
	const struct conf_listen *conf;
	const int *fds;
	unsigned slots;
};

struct heritage {
	const struct conf *conf;
	struct shm *shm;
	unsigned row, generation, seat, workers;
	const struct heritage_listen *listens;
	size_t nlistens;
	int chan; /* SOCK_SEQPACKET to the master, see below; -1 when there is none (tests) */
};

/* Messages on the channel, one octet each, with at most one descriptor attached (SCM_RIGHTS). */
enum {
	CHAN_REOPEN = 'r', /* master -> worker: open log files anew; descriptor: the error log */
	CHAN_STOP = 'q',   /* master -> worker: graceful stop now */
	CHAN_QUIT = 't',   /* master -> worker: exit at once */
	CHAN_CUT = 'c',    /* master -> worker: end idle connections now, shorten the drain */
	CHAN_READY = 'R',  /* worker -> master: serving */
};

#endif

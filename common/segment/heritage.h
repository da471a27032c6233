/*
 * Everything that a worker is born with: what the master hands over at fork, and nothing else.
 */
#ifndef SEGMENT_HERITAGE_H
#define SEGMENT_HERITAGE_H

#include "common/config/conf.h"
#include "common/segment/shm.h"

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
	const int *log_fds; /* one per conf->log_files entry; see logfile.h */
	int chan; /* SOCK_SEQPACKET to the master, see below; -1 when there is none (tests) */
};

/* Messages on the channel: one byte, the kind. CHAN_REOPEN has a second byte, the index of the log
   file (255: the error log), and the new descriptor attached (SCM_RIGHTS), which the worker dup2()s
   over the old one, so that the descriptor's number stays valid everywhere. */
enum {
	CHAN_REOPEN = 'r', /* master -> worker: a log file was opened anew */
	CHAN_STOP = 'q',   /* master -> worker: graceful stop now */
	CHAN_QUIT = 't',   /* master -> worker: exit at once */
	CHAN_CUT = 'c',    /* master -> worker: end idle connections now, shorten the drain */
	CHAN_LEAVE = 'l',  /* master -> worker, before a drain: a byte with the index in listens[]
			      of  an address that leaves the configuration. Nobody else accepts from
			      it: go  on for 3 s, then close its descriptors */
	CHAN_GO = 'g',     /* master -> worker, the first message: it is in the ledger now */
	CHAN_READY = 'R',  /* worker -> master: serving. A worker sends nothing else */
};

#endif

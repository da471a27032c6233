/*
 * Writes batches of log lines to a destination, whatever it is: file, pipe, terminal, stream or
 * datagram socket. May block up to a given time; runs beside the loop.
 */
#ifndef LOG_WRITE_H
#define LOG_WRITE_H

#include <sys/un.h>
#include "common/base/list.h"
#include "common/base/str.h"

/* A batch of whole lines. */
struct logbuf {
	struct link link;
	size_t at; /* bytes written so far; only at a line's end unless a write was cut short */
	size_t used, room;
	unsigned lines;
	unsigned refused; /* lines that the destination will never take (too long for a datagram) */
	char data[];
};

/* Writes from b->at on and advances it. 0: all is written. EAGAIN: the reader had no room until the
   deadline (clock_ms). Else errno. Regular files are not bounded by the deadline. to: where lines
   go as datagrams, NULL when fd is no datagram socket. */
int logwrite_buf(int fd, const struct sockaddr_un *to, struct logbuf *b, uint64_t deadline);

#endif

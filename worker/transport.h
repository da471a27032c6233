/*
 * How bytes reach the peer: plain here; TLS will be another row. read and write return the bytes
 * moved, 0 at the end of input, -1 with errno (EAGAIN: later).
 */
#ifndef WORKER_TRANSPORT_H
#define WORKER_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct conn;
struct pipe;

struct transport {
	const char *name;
	ssize_t (*read)(struct conn *, void *dst, size_t max);
	/* more: the caller has more to write at once (MSG_MORE). */
	ssize_t (*writev)(struct conn *, const struct iovec *, int n, bool more);
	/* At most max bytes of a file from *off, which is advanced; 0: the file ended before. A
	   transport that cannot (TLS) reads and writes inside. */
	ssize_t (*sendfile)(struct conn *, int fd, int64_t *off, size_t max);
	/* As read and writev, between the socket and a pipe, without looking at the bytes. NULL:
	   the bytes must be looked at (TLS). */
	ssize_t (*fill)(struct conn *, struct pipe *, size_t max);
	ssize_t (*drain)(struct conn *, struct pipe *);
	/* From now on the socket counts as readable only when so many bytes have come, or the end.
	   NULL: one byte is always enough. */
	void (*await)(struct conn *, unsigned bytes);
	/* Much is about to be sent: called once for a connection. */
	void (*bulk)(struct conn *);
	/* Ends the sending direction. */
	void (*shutdown)(struct conn *);
};

extern const struct transport transport_plain;

#endif

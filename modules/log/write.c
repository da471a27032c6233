/*
 * Writing of log batches. Invariants: lines of several workers never mix, and none is torn: a
 * regular file takes a whole batch in one write(2) with O_APPEND; where a write may be cut short
 * because a reader is slow (pipes, terminals, stream sockets), the workers take turns by a record
 * lock on the destination, which the kernel gives back when a worker dies; a datagram is one line.
 * What a write left over is kept at b->at and goes first the next time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "modules/log/write.h"

enum {
	LOGWRITE_LOCK_PAUSE = 1, /* ms between two attempts at the lock */
	LOGWRITE_PATIENCE = 100, /* ms that a reader has at least, once it is our turn */
	LOGWRITE_LOCK_WAIT =
	    1000, /* ms to wait for it: whoever has it gives it up sooner, even when the
		     reader is stalled, and a worker that never had its turn would lose lines */
};

/* How one kind of destination is written to. */
struct logwrite_way {
	ssize_t (*put)(int fd, const void *p, size_t n);
	size_t piece; /* at most that many bytes at once */
};

static ssize_t
logwrite_send(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static const struct logwrite_way logwrite_file = { write, SSIZE_MAX };
static const struct logwrite_way logwrite_stream = { logwrite_send, SSIZE_MAX };
/* Blocking descriptors that we share with others (standard output): poll() promises room for this
   much only. */
static const struct logwrite_way logwrite_careful = { write, PIPE_BUF };

/* Waits for room until the deadline; 0 or EAGAIN. */
static int
logwrite_wait(int fd, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t now = clock_ms();

	return poll(&p, 1, now < deadline ? (int)(deadline - now) : 0) > 0 ? 0 : EAGAIN;
}

static int
logwrite_all(int fd, const struct logwrite_way *way, struct logbuf *b, uint64_t deadline)
{
	while (b->at < b->used) {
		size_t n = b->used - b->at;
		ssize_t done;

		if (way == &logwrite_careful && logwrite_wait(fd, deadline) != 0)
			return EAGAIN;
		done = way->put(fd, b->data + b->at, n < way->piece ? n : way->piece);
		if (done >= 0)
			b->at += (size_t)done;
		else if (errno == EAGAIN && logwrite_wait(fd, deadline) != 0)
			return EAGAIN;
		else if (errno != EAGAIN && errno != EINTR)
			return errno;
	}
	return 0;
}

static bool
logwrite_lock(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &l) == 0 || (errno != EAGAIN && errno != EACCES);
}

/* The workers' turns: 0 with the lock, EAGAIN without. A destination that knows no locks is written
   to without. */
static int
logwrite_turn(int fd, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = LOGWRITE_LOCK_PAUSE * 1000000L };

	deadline += LOGWRITE_LOCK_WAIT;
	while (!logwrite_lock(fd, F_WRLCK)) {
		if (clock_ms() >= deadline)
			return EAGAIN;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int
logwrite_in_turn(int fd, bool is_socket, struct logbuf *b, uint64_t deadline)
{
	const struct logwrite_way *way = &logwrite_file;
	int err;

	if (is_socket)
		way = &logwrite_stream;
	else if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
		way = &logwrite_careful;
	err = logwrite_turn(fd, deadline);
	if (err)
		return err;
	/* The time spent waiting for the turn is not the reader's. */
	if (deadline < clock_ms() + LOGWRITE_PATIENCE)
		deadline = clock_ms() + LOGWRITE_PATIENCE;
	err = logwrite_all(fd, way, b, deadline);
	logwrite_lock(fd, F_UNLCK);
	return err;
}

/* One line as one datagram: 0 or errno. */
static int
logwrite_datagram(int fd, const struct sockaddr_un *to, struct str line, uint64_t deadline)
{
	while (sendto(fd, line.p, line.n, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)to,
		   sizeof(*to)) < 0) {
		if (errno == EAGAIN && logwrite_wait(fd, deadline) != 0)
			return EAGAIN;
		if (errno == EAGAIN && clock_ms() >= deadline)
			return EAGAIN;
		if (errno != EAGAIN && errno != EINTR)
			return errno;
	}
	return 0;
}

static int
logwrite_datagrams(int fd, const struct sockaddr_un *to, struct logbuf *b, uint64_t deadline)
{
	while (b->at < b->used) {
		struct str rest = str_n(b->data + b->at, b->used - b->at);
		struct str line = str_split(&rest, '\n');
		int err = logwrite_datagram(fd, to, line, deadline);

		if (err == EMSGSIZE)
			b->refused++;
		else if (err)
			return err;
		b->at += line.n + 1;
	}
	return 0;
}

int
logwrite_buf(int fd, const struct sockaddr_un *to, struct logbuf *b, uint64_t deadline)
{
	struct stat st;

	if (to)
		return logwrite_datagrams(fd, to, b, deadline);
	if (fstat(fd, &st) < 0)
		return errno;
	if (S_ISREG(st.st_mode))
		return logwrite_all(fd, &logwrite_file, b, deadline);
	return logwrite_in_turn(fd, S_ISSOCK(st.st_mode), b, deadline);
}

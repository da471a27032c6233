#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/loop.h"
#include "master/base/notify.h"

enum { NOTIFY_QUEUE = 8192, NOTIFY_FLUSH_MS = 1000 };

/* A message that the manager has not had time to take yet. */
struct notice {
	struct link link;
	int fd; /* its own duplicate, or -1 */
	size_t n;
	char text[];
};

static struct {
	int fd;
	struct sockaddr_un addr;
	socklen_t len;
	struct link queue;
	unsigned queued;
	struct watch watch;
} self = { .fd = -1 };

/* A path, or "@name" in the abstract namespace. */
void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	self.fd = -1;
	self.queued = 0;
	if (n < 2 || n >= sizeof(self.addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	self.addr.sun_family = AF_UNIX;
	memcpy(self.addr.sun_path, path, n);
	if (path[0] == '@')
		self.addr.sun_path[0] = '\0';
	self.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	list_init(&self.queue);
	self.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Connected: only then poll() reports when there is room in the manager's queue. */
	if (self.fd >= 0 && connect(self.fd, (struct sockaddr *)&self.addr, self.len) == 0)
		return;
	log_warn("the service manager's socket %s", path);
	if (self.fd >= 0)
		close(self.fd);
	self.fd = -1;
}

bool
notify_is_on(void)
{
	return self.fd >= 0;
}

/* 0; -1 with errno EAGAIN when it has to wait. */
static int
notify_write(const char *text, size_t n, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	}
	if (sendmsg(self.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS)
		return -1;
	log_warn("cannot tell the service manager");
	return 0;
}

static void
notify_drop(struct notice *q)
{
	list_del(&q->link);
	self.queued--;
	if (q->fd >= 0)
		close(q->fd);
	free(q);
}

static void
notify_flush(void *arg, short revents)
{
	(void)arg;
	(void)revents;
	while (!list_is_empty(&self.queue)) {
		struct notice *q = container_of(list_first(&self.queue), struct notice, link);

		if (notify_write(q->text, q->n, q->fd) < 0)
			return;
		notify_drop(q);
	}
	watch_del(&self.watch);
}

/* In the order they came; the master never waits for the manager. */
static void
notify_put(const char *text, size_t n, int fd)
{
	struct notice *q;

	if (list_is_empty(&self.queue) && notify_write(text, n, fd) == 0)
		return;
	if (self.queued == NOTIFY_QUEUE) {
		log_errorx("the service manager does not listen");
		return;
	}
	q = must_malloc(sizeof(*q) + n);
	*q = (struct notice){ .n = n };
	memcpy(q->text, text, n);
	q->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	list_add_tail(&self.queue, &q->link);
	self.queued++;
	watch_add(&self.watch, self.fd, POLLOUT, notify_flush, NULL);
}

void
notify_fini(void)
{
	struct pollfd p = { .fd = self.fd, .events = POLLOUT };

	if (self.fd < 0)
		return;
	while (!list_is_empty(&self.queue) && poll(&p, 1, NOTIFY_FLUSH_MS) > 0)
		notify_flush(NULL, 0);
}

void
notify_send(const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	if (self.fd < 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		notify_put(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, -1);
}

void
notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
}

/* FDPOLL=0: the manager must not drop a descriptor because it polls as "hung up". */
void
notify_store(const char *name, int fd)
{
	char text[320];
	int n;

	if (self.fd < 0)
		return;
	n = snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%.255s", name);
	notify_put(text, (size_t)n, fd);
}

void
notify_unstore(const char *name)
{
	notify_send("FDSTOREREMOVE=1\nFDNAME=%.255s", name);
}

unsigned
notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long n = usec ? strtoull(usec, NULL, 10) : 0;

	if (!n || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return n / 2000 > 3600000 ? 3600000 : (unsigned)(n / 2000) + (n < 2000);
}

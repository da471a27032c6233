#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "master/notify.h"

static struct {
	int fd;
	struct sockaddr_un addr;
	socklen_t len;
} self = { .fd = -1 };

/* A path, or "@name" in the abstract namespace. */
void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(self.addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	self.addr.sun_family = AF_UNIX;
	memcpy(self.addr.sun_path, path, n);
	if (path[0] == '@')
		self.addr.sun_path[0] = '\0';
	self.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	self.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (self.fd < 0)
		log_warn("no socket for the service manager");
}

bool
notify_is_on(void)
{
	return self.fd >= 0;
}

static void
notify_put(const char *text, size_t n, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, n };
	struct msghdr m = {
		.msg_name = &self.addr, .msg_namelen = self.len, .msg_iov = &iov, .msg_iovlen = 1
	};

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	}
	if (sendmsg(self.fd, &m, MSG_NOSIGNAL) < 0)
		log_warn("cannot tell the service manager");
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

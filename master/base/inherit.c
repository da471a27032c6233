#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"

enum { INHERIT_FIRST = 3, INHERIT_MAX = 16384 };

struct inherited {
	int fd;
	char *name;
};

static struct {
	struct inherited *v;
	unsigned n, room;
} self;

void
inherit_init(void)
{
	self.n = 0;
}

void
inherit_add(int fd, const char *name)
{
	if (self.n == self.room) {
		self.room = self.room * 2 + 16;
		self.v = must_realloc(self.v, self.room * sizeof(*self.v));
	}
	self.v[self.n++] = (struct inherited){ fd, must_strdup(name) };
}

static void
inherit_unset(void)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

void
inherit_from_manager(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *list = getenv("LISTEN_FDNAMES");
	long n = fds ? strtol(fds, NULL, 10) : 0;
	char *names = must_strdup(list ? list : ""), *rest = names;

	if (pid && strtol(pid, NULL, 10) == (long)getpid() && n > 0 && n <= INHERIT_MAX)
		for (int fd = INHERIT_FIRST; fd < INHERIT_FIRST + n; fd++) {
			const char *name = strsep(&rest, ":");

			fcntl(fd, F_SETFD, FD_CLOEXEC);
			inherit_add(fd, name ? name : "unknown");
		}
	free(names);
	inherit_unset();
}

bool
inherit_same(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	if (a->sa_family == AF_INET6)
		return a6->sin6_port == b6->sin6_port &&
		       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
	return a->sa_family == AF_UNIX && strcmp(((const struct sockaddr_un *)a)->sun_path,
					      ((const struct sockaddr_un *)b)->sun_path) == 0;
}

/* A stream socket that listens, at this very address. */
static bool
inherit_is_listener(int fd, const struct sockaddr *addr)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_storage room;
		char end[sizeof(struct sockaddr_storage) + 1];
	} is = { 0 };
	socklen_t len = sizeof(is.room), n = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || !listens)
		return false;
	return getsockname(fd, &is.sa, &len) == 0 && inherit_same(&is.sa, addr);
}

static int
inherit_out(unsigned i)
{
	int fd = self.v[i].fd;

	free(self.v[i].name);
	self.v[i] = self.v[--self.n];
	return fd;
}

int
inherit_take(const char *name)
{
	for (unsigned i = 0; i < self.n; i++)
		if (strcmp(self.v[i].name, name) == 0)
			return inherit_out(i);
	return -1;
}

int
inherit_take_listener(const char *name, const struct sockaddr *addr, socklen_t len)
{
	int fd = inherit_take(name);

	(void)len;
	if (fd < 0 || inherit_is_listener(fd, addr))
		return fd;
	log_warnx("the descriptor stored as \"%s\" is not what its name says: closed", name);
	close(fd);
	return -1;
}

int
inherit_take_address(const struct sockaddr *addr, socklen_t len)
{
	(void)len;
	for (unsigned i = 0; i < self.n; i++)
		if (strncmp(self.v[i].name, "argand.", 7) != 0 &&
		    inherit_is_listener(self.v[i].fd, addr))
			return inherit_out(i);
	return -1;
}

unsigned
inherit_count(const char *prefix)
{
	size_t n = strlen(prefix);
	unsigned count = 0;

	for (unsigned i = 0; i < self.n; i++) {
		unsigned long k;
		char *end;

		if (strncmp(self.v[i].name, prefix, n) != 0)
			continue;
		k = strtoul(self.v[i].name + n, &end, 10);
		if (*end == '\0' && k < INHERIT_MAX && k + 1 > count)
			count = (unsigned)k + 1;
	}
	return count;
}

bool
inherit_rest(unsigned i, int *fd, const char **name)
{
	if (i >= self.n)
		return false;
	*fd = self.v[i].fd;
	*name = self.v[i].name;
	return true;
}

void
inherit_close_rest(void)
{
	while (self.n > 0) {
		log_info("nothing listens on descriptor \"%s\" any more: closed", self.v[0].name);
		notify_unstore(self.v[0].name);
		close(inherit_out(0));
	}
}

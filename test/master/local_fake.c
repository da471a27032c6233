#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/base/inherit.h"
#include "master/local/busy.h"
#include "master/local/sock.h"
#include "test/master/local_fake.h"
#include "test/master/world.h"

enum { LOCAL_FAKES = 512, LOCAL_FAKE_PATHS = 16 };

static struct {
	struct {
		char bound[128]; /* what it says of itself */
		ino_t file;
	} socks[LOCAL_FAKES];
	unsigned nsocks;
	struct {
		char path[128]; /* empty: free */
		ino_t file;
	} paths[LOCAL_FAKE_PATHS];
} self;

bool (*local_fake_waits)(int fd);
bool (*local_fake_is_busy)(pid_t);
bool (*local_fake_catches)(pid_t);
int local_fake_fails;

void
local_fake_begin(void)
{
	memset(&self, 0, sizeof(self));
	local_fake_waits = NULL;
	local_fake_is_busy = local_fake_catches = NULL;
	local_fake_fails = 0;
}

/* Its place; -1: it has none. An empty path: a free one. */
static int
path_find(const char *path)
{
	for (int i = 0; i < LOCAL_FAKE_PATHS; i++)
		if (strcmp(self.paths[i].path, path) == 0)
			return i;
	world_must(*path, "too many paths");
	return -1;
}

static void
path_set(const char *path, ino_t file)
{
	int i = path_find(path);

	if (i < 0)
		i = path_find("");
	snprintf(self.paths[i].path, sizeof(self.paths[i].path), "%s", path);
	self.paths[i].file = file;
}

static ino_t
sock_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

bool
local_fake_leads(const char *path, int fd)
{
	int i = path_find(path);

	return i >= 0 && self.paths[i].file == sock_file(fd);
}

unsigned
local_fake_paths(void)
{
	unsigned n = 0;

	for (int i = 0; i < LOCAL_FAKE_PATHS; i++)
		n += self.paths[i].path[0] != '\0';
	return n;
}

/* ---- master/local/sock.h ---- */

int
localsock_take(const char *name, const char *path, struct sockfile *file)
{
	int fd = inherit_take(name);

	(void)path;
	*file = (struct sockfile){ .ino = fd >= 0 ? sock_file(fd) : 0 };
	return fd;
}

int
localsock_open(const char *path, const char *owner, struct sockfile *file, char why[SAFEDIR_WHY])
{
	int fd = -1;

	(void)owner;
	if (local_fake_fails > 0) {
		local_fake_fails--;
		snprintf(why, SAFEDIR_WHY, "somebody has it");
		errno = EADDRINUSE;
		return -1;
	}
	if (fd < 0) {
		/* One that listens, at a name that the kernel chooses. */
		sa_family_t family = AF_UNIX;

		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		world_must(fd >= 0, "no socket");
		world_must(bind(fd, (void *)&family, sizeof(family)) == 0 && listen(fd, 1) == 0,
		    "no socket that listens");
		world_must(self.nsocks < LOCAL_FAKES, "too many sockets");
		snprintf(self.socks[self.nsocks].bound, sizeof(self.socks[0].bound), "%s", path);
		self.socks[self.nsocks++].file = sock_file(fd);
		path_set(path, sock_file(fd));
	}
	*file = (struct sockfile){ .ino = sock_file(fd) };
	return fd;
}

int
localsock_own(const char *path, const struct sockfile *file, const char *owner)
{
	int i = path_find(path);

	(void)owner;
	return i >= 0 && self.paths[i].file == file->ino ? 0 : -1;
}

void
localsock_bound(int fd, char *path, size_t len)
{
	path[0] = '\0';
	for (unsigned i = 0; i < self.nsocks; i++)
		if (self.socks[i].file == sock_file(fd))
			snprintf(path, len, "%s", self.socks[i].bound);
}

bool
localsock_has_waiting(int fd)
{
	return local_fake_waits && local_fake_waits(fd);
}

/* ---- master/base/sockfile.h ---- */

int
sockfile_clear(const char *path, enum sockfile_live live, pid_t *holder, char why[SAFEDIR_WHY])
{
	(void)path;
	(void)live;
	(void)holder;
	(void)why;
	return 0;
}

int
sockfile_bind(const char *path, int flags, enum sockfile_live live, struct sockfile *file,
    pid_t *holder, char why[SAFEDIR_WHY])
{
	(void)flags;
	(void)live;
	(void)file;
	(void)holder;
	(void)why;
	world_fail("a socket at %s", path);
}

int
sockfile_give(const char *path, const struct sockfile *file, const struct sockfile_owner *owner)
{
	(void)path;
	(void)file;
	(void)owner;
	return 0;
}

void
sockfile_know(struct sockfile *file, int sock, const char *path)
{
	(void)path;
	*file = (struct sockfile){ .ino = sock_file(sock) };
}

int
sockfile_rename(const struct sockfile *file, const char *from, const char *to)
{
	int i = path_find(from);

	errno = ENOENT;
	if (i < 0 || self.paths[i].file != file->ino)
		return -1;
	self.paths[i].path[0] = '\0';
	path_set(to, file->ino);
	return 0;
}

void
sockfile_remove(const char *path, const struct sockfile *file)
{
	int i = path_find(path);

	if (i >= 0 && self.paths[i].file == file->ino)
		self.paths[i].path[0] = '\0';
}

/* ---- master/local/busy.h ---- */

int
localbusy_connections(pid_t pid, const char *path)
{
	(void)path;
	return local_fake_is_busy && local_fake_is_busy(pid);
}

bool
localbusy_catches_term(pid_t pid)
{
	return !local_fake_catches || local_fake_catches(pid);
}

bool
localbusy_is_frozen(pid_t pid)
{
	struct proc *p = world_find(pid);

	return p && p->is_frozen;
}

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/chronicle.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"

#define CHRONICLE_MAGIC "ArgandE\n"

enum { CHRONICLE_VERSION = 1, CHRONICLE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct chronicle {
	char magic[8];
	uint32_t version, size;
	struct history_row rows[HISTORY_ROWS];
};

static struct {
	int fd;
	struct chronicle *at; /* NULL: there is none */
	const struct chronicle *shown;
} self = { .fd = -1 };

/* A mapping that passes to workers through fork. Its descriptor was opened for reading, so that
   mprotect(2) refuses to make it writable; it needs /proc. */
static void
chronicle_show(int fd)
{
	char path[32];
	int reader;
	void *p;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	p = reader < 0 ? MAP_FAILED
		       : mmap(NULL, sizeof(struct chronicle), PROT_READ, MAP_SHARED, reader, 0);
	if (p == MAP_FAILED)
		log_warn("workers cannot show the master's events: %s", path);
	else
		self.shown = p;
	if (reader >= 0)
		close(reader);
	history_set_master(self.shown ? self.shown->rows : NULL);
}

/* The master's own mapping: without MADV_DONTFORK every worker would have it. */
static struct chronicle *
chronicle_map(int fd)
{
	void *p = mmap(NULL, sizeof(struct chronicle), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, sizeof(struct chronicle), MADV_DONTFORK) == 0)
		return p;
	munmap(p, sizeof(struct chronicle));
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *
chronicle_attach(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct chronicle *c;
	struct stat st;

	if (seals < 0 || (seals & CHRONICLE_SEALS) != CHRONICLE_SEALS || fstat(fd, &st) < 0)
		return "not a sealed memory file";
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return "others may write it";
	if (st.st_size != (off_t)sizeof(struct chronicle))
		return "another size";
	c = chronicle_map(fd);
	if (!c)
		return "it cannot be mapped";
	if (memcmp(c->magic, CHRONICLE_MAGIC, sizeof(c->magic)) != 0 ||
	    c->version != CHRONICLE_VERSION || c->size != sizeof(*c)) {
		munmap(c, sizeof(*c));
		return "another version";
	}
	/* Only masters write, and those before this one are no more. */
	history_clear(c->rows, 0);
	history_repair(c->rows);
	self.at = c;
	self.fd = fd;
	return NULL;
}

static bool
chronicle_create(void)
{
	int fd = memfd_create(CHRONICLE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return false;
	if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)sizeof(struct chronicle)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, CHRONICLE_SEALS) == 0)
		self.at = chronicle_map(fd);
	if (!self.at) {
		close(fd);
		return false;
	}
	memcpy(self.at->magic, CHRONICLE_MAGIC, sizeof(self.at->magic));
	self.at->version = CHRONICLE_VERSION;
	self.at->size = sizeof(*self.at);
	self.fd = fd;
	return true;
}

void
chronicle_open(void)
{
	int fd = inherit_take(CHRONICLE_NAME);
	const char *why = fd >= 0 ? chronicle_attach(fd) : NULL;

	if (why) {
		log_warnx("the descriptor stored as \"%s\" is not used: %s", CHRONICLE_NAME, why);
		close(fd);
	}
	if (!self.at && !chronicle_create()) {
		log_warn("there is no memory for the server's events");
		return;
	}
	if (self.fd != fd) {
		notify_unstore(CHRONICLE_NAME);
		notify_store(CHRONICLE_NAME, self.fd);
	}
	chronicle_show(self.fd);
}

void
chronicle_close(void)
{
	history_set_master(NULL);
	if (self.shown)
		munmap((void *)(uintptr_t)self.shown, sizeof(struct chronicle));
	if (self.at)
		munmap(self.at, sizeof(struct chronicle));
	if (self.fd >= 0)
		close(self.fd);
	self.at = NULL;
	self.shown = NULL;
	self.fd = -1;
}

int
chronicle_fd(void)
{
	return self.fd;
}

void
chronicle_add(enum history_kind kind, pid_t pid, int seat, const char *fmt, ...)
{
	struct history_event e = { .kind = kind,
		.time = history_now(),
		.pid = (int32_t)pid,
		.worker = (uint32_t)(seat + 1) };
	va_list ap;

	if (!self.at)
		return;
	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	e.key = history_key(str_of(e.text));
	history_add(self.at->rows, &e, getpid());
}

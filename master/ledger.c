/*
 * One page's worth of head and a table, mapped once and for good. The master is the only writer,
 * and one at a time: no atomics but for the word that makes an entry count, so that a master that
 * is killed leaves whole entries.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"
#include "master/ledger.h"

#define LEDGER_MAGIC "ArgandL\n"

enum { LEDGER_VERSION = 1, LEDGER_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct ledger {
	char magic[8];
	uint32_t version, size;
	_Atomic uint32_t last, serving;
	_Atomic uint64_t segment, layout; /* shm_id(), shm_layout() */
	struct ledger_entry entries[LEDGER_ENTRIES];
};

static struct {
	int fd;
	bool is_inherited;
	struct ledger *at;
} self = { .fd = -1 };

void
ledger_init(void)
{
	self.fd = -1;
	self.is_inherited = false;
	self.at = NULL;
}

/* Without MADV_DONTFORK every worker would have it. */
static bool
ledger_map(int fd)
{
	void *p = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	if (madvise(p, sizeof(struct ledger), MADV_DONTFORK) < 0) {
		munmap(p, sizeof(struct ledger));
		return false;
	}
	self.at = p;
	self.fd = fd;
	return true;
}

/* NULL, or what is wrong with it. */
static const char *
ledger_attach(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & LEDGER_SEALS) != LEDGER_SEALS || fstat(fd, &st) < 0)
		return "not a sealed memory file";
	if (st.st_uid != geteuid())
		return "somebody else has made it";
	if (st.st_size != (off_t)sizeof(struct ledger))
		return "another size";
	if (!ledger_map(fd))
		return "it cannot be mapped";
	if (memcmp(self.at->magic, LEDGER_MAGIC, sizeof(self.at->magic)) == 0 &&
	    self.at->version == LEDGER_VERSION && self.at->size == sizeof(struct ledger))
		return NULL;
	munmap(self.at, sizeof(struct ledger));
	self.at = NULL;
	self.fd = -1;
	return "not a ledger of this version";
}

static int
ledger_create(void)
{
	int fd = memfd_create(LEDGER_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)sizeof(struct ledger)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, LEDGER_SEALS) == 0 && ledger_map(fd)) {
		memcpy(self.at->magic, LEDGER_MAGIC, sizeof(self.at->magic));
		self.at->version = LEDGER_VERSION;
		self.at->size = sizeof(struct ledger);
		return 0;
	}
	close(fd);
	return -1;
}

int
ledger_open(void)
{
	int fd = inherit_take(LEDGER_NAME);
	const char *why = fd >= 0 ? ledger_attach(fd) : NULL;

	self.is_inherited = fd >= 0 && !why;
	if (self.is_inherited)
		return 0;
	if (why) {
		log_warnx("the descriptor stored as \"%s\" is not used: %s", LEDGER_NAME, why);
		close(fd);
	}
	if (ledger_create() < 0)
		return -1;
	notify_unstore(LEDGER_NAME);
	notify_store(LEDGER_NAME, self.fd);
	return 0;
}

bool
ledger_is_inherited(void)
{
	return self.is_inherited;
}

int
ledger_fd(void)
{
	return self.fd;
}

/* ---- entries ---- */

struct ledger_entry *
ledger_at(unsigned i)
{
	struct ledger_entry *e = i < LEDGER_ENTRIES ? &self.at->entries[i] : NULL;

	return e && e->is_used && e->row < SHM_WORKERS ? e : NULL;
}

struct ledger_entry *
ledger_find(uint64_t segment, unsigned row)
{
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = ledger_at(i);

		if (e && e->segment == segment && e->row == row)
			return e;
	}
	return NULL;
}

bool
ledger_add(const struct ledger_entry *entry)
{
	must(entry->row < SHM_WORKERS);
	ledger_del(entry->segment, entry->row);
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = &self.at->entries[i];

		if (ledger_at(i))
			continue;
		e->is_used = 0;
		e->row = entry->row;
		e->generation = entry->generation;
		e->seat = entry->seat;
		e->segment = entry->segment;
		e->who = entry->who;
		e->is_used = 1;
		return true;
	}
	return false;
}

void
ledger_del(uint64_t segment, unsigned row)
{
	struct ledger_entry *e = ledger_find(segment, row);

	if (e)
		e->is_used = 0;
}

void
ledger_taken(uint64_t segment, bool taken[SHM_WORKERS])
{
	memset(taken, 0, SHM_WORKERS * sizeof(*taken));
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = ledger_at(i);

		if (e && e->segment == segment)
			taken[e->row] = true;
	}
}

/* ---- the segment ---- */

void
ledger_set_shm(const struct shm *shm)
{
	self.at->segment = 0;
	self.at->layout = shm_layout();
	self.at->segment = shm_id(shm);
}

struct shm *
ledger_attach_shm(int fd, const char **why)
{
	struct stat st;

	if (self.at->layout == shm_layout() && fstat(fd, &st) == 0 &&
	    self.at->segment == (uint64_t)st.st_ino)
		return shm_attach_known(fd, why);
	return shm_attach(fd, why);
}

/* ---- generations ---- */

unsigned
ledger_last(void)
{
	return self.at->last;
}

void
ledger_set_last(unsigned number)
{
	self.at->last = number;
}

unsigned
ledger_serving(void)
{
	return self.at->serving;
}

void
ledger_set_serving(unsigned number)
{
	self.at->serving = number;
}

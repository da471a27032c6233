/*
 * The segment as a file: its header with the directory of tables, then the tables, each on a page
 * of its own; made once, sealed in size, mapped by the master and, through fork, by all workers.
 * The directory is checked once, when the segment is attached, and never read again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_map.h"

#define SHM_MAGIC "Argand\r\n"

enum {
	SHM_PAGE = 4096,
	SHM_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	SHM_SIZE_MAX = 64 << 20,
};

/* The name is not longer than its version leaves room for: before there were versions it was. */
struct shm_entry {
	char name[SHM_TABLE_NAME];
	uint32_t version;
	uint32_t row, rows; /* bytes of a row, number of rows */
	uint64_t offset;    /* from the beginning of the segment */
};

struct shm_head {
	char magic[8];
	uint32_t version, tables;
	uint64_t size, layout;
	struct shm_entry table[SHM_TABLES];
};

static uint64_t
shm_hash(uint64_t h, const void *p, size_t n)
{
	for (const unsigned char *s = p; n > 0; n--, s++)
		h = (h ^ *s) * 0x100000001b3u;
	return h;
}

/* Tells layouts apart: tables, sizes, and which counter stands where. */
uint64_t
shm_layout(void)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < TABLES; i++) {
		const struct shm_table *t = shm_tables[i];

		h = shm_hash(h, t->name, strlen(t->name));
		h = shm_hash(h, &t->version, sizeof(t->version));
		h = shm_hash(h, &t->row, sizeof(t->row));
		h = shm_hash(h, &t->rows, sizeof(t->rows));
	}
	for (unsigned c = 0; c < CTR_MAX; c++)
		h = shm_hash(h, counter_info[c].name, strlen(counter_info[c].name) + 1);
	return h;
}

static uint64_t
shm_round(uint64_t n)
{
	return (n + SHM_PAGE - 1) & ~(uint64_t)(SHM_PAGE - 1);
}

static void
shm_head_fill(struct shm_head *h)
{
	uint64_t at = shm_round(sizeof(*h));

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, SHM_MAGIC, sizeof(h->magic));
	h->version = SHM_VERSION;
	h->tables = TABLES;
	h->layout = shm_layout();
	for (int i = 0; i < TABLES; i++) {
		struct shm_entry *e = &h->table[i];

		memcpy(e->name, shm_tables[i]->name, sizeof(e->name));
		e->version = shm_tables[i]->version;
		e->row = shm_tables[i]->row;
		e->rows = shm_tables[i]->rows;
		e->offset = at;
		at = shm_round(at + (uint64_t)e->row * e->rows);
	}
	h->size = at;
}

static const struct shm_entry *
shm_entry_of(const struct shm_head *h, const struct shm_table *t)
{
	for (uint32_t i = 0; i < h->tables; i++)
		if (strncmp(h->table[i].name, t->name, sizeof(t->name)) == 0)
			return &h->table[i];
	return NULL;
}

/* Why no row of the table can be where the entry says; NULL: they can. */
static const char *
shm_entry_check(const struct shm *s, const struct shm_entry *e, const struct shm_table *t)
{
	if (!e->row || !e->rows || e->offset % 64 || e->row % (t->row % 64 ? 8 : 64))
		return "a table has rows of an impossible size";
	if (e->offset < sizeof(struct shm_head) || e->offset > s->size ||
	    (uint64_t)e->row * e->rows > s->size - e->offset)
		return "a table lies outside";
	return NULL;
}

/* Finds the tables in a directory and checks that each lies inside the segment. */
static const char *
shm_tables_find(struct shm *s, const struct shm_head *h)
{
	for (unsigned i = 0; i < TABLES; i++) {
		const struct shm_table *t = shm_tables[i];
		const struct shm_entry *e = shm_entry_of(h, t);
		const char *why = e ? shm_entry_check(s, e, t) : NULL;
		struct shm_place p = { .row = 0 };

		if (why)
			return why;
		if (e && e->version == t->version && e->row >= t->least)
			p = (struct shm_place){ s->base + e->offset, e->row,
				e->rows < t->rows ? e->rows : t->rows };
		if (t->is_needed && p.rows == 0)
			return "a table is missing";
		s->any[i] = p;
		s->own[i] = p.row == t->row ? p : (struct shm_place){ .row = 0 };
	}
	return NULL;
}

/* The tables of this binary's own layout stand where shm_head_fill() puts them, all of them. */
static const char *
shm_head_check(struct shm *s, const struct shm_head *h)
{
	struct shm_head mine;

	if (memcmp(h->magic, SHM_MAGIC, sizeof(h->magic)) != 0)
		return "not a segment of argand";
	if (h->version != SHM_VERSION)
		return "another version";
	if (h->size != s->size || h->tables > SHM_TABLES)
		return "the header is damaged";
	if (s->is_old)
		return shm_tables_find(s, h);
	shm_head_fill(&mine);
	if (memcmp(&mine, h, sizeof(mine)) != 0)
		return "another layout";
	return shm_tables_find(s, &mine);
}

static struct shm *
shm_map(int fd, size_t size, bool is_old)
{
	struct stat st;
	struct shm *s;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED || fstat(fd, &st) < 0)
		return NULL;
	s = must_calloc(1, sizeof(*s));
	*s = (struct shm){ .fd = fd,
		.is_old = is_old,
		.id = st.st_ino,
		.owner = getpid(),
		.base = p,
		.size = size };
	return s;
}

static void
shm_unmap(struct shm *s)
{
	munmap(s->base, s->size);
	free(s);
}

/* Until the header is there the segment is known to nobody else. */
static struct shm *
shm_create_in(int fd)
{
	struct shm_head head;
	struct shm *s;

	shm_head_fill(&head);
	if (ftruncate(fd, (off_t)head.size) < 0 || fcntl(fd, F_ADD_SEALS, SHM_SEALS) < 0)
		return NULL;
	s = shm_map(fd, head.size, false);
	if (!s)
		return NULL;
	memcpy(s->base, &head, sizeof(head));
	must(shm_tables_find(s, &head) == NULL);
	for (unsigned c = 0; c < CTR_MAX; c++) {
		struct shm_name *n = shm_map_row(s, TABLE_NAMES, c);

		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): below CTR_MAX */
		strncpy(n->name, counter_info[c].name, sizeof(n->name) - 1);
	}
	return s;
}

struct shm *
shm_create(void)
{
	int fd = memfd_create("argand", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct shm *s;
	int saved;

	if (fd < 0)
		return NULL;
	s = shm_create_in(fd);
	if (s)
		return s;
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

enum shm_kind { SHM_OURS, SHM_KNOWN, SHM_OLD };

static struct shm *
shm_attach_as(int fd, enum shm_kind kind, const char **why)
{
	struct shm_head head;
	struct stat st;
	struct shm *s;
	int seals = fcntl(fd, F_GET_SEALS);

	/* Without the seals whoever else holds it could make our reads fault. */
	*why = "not a sealed memory file";
	if (seals < 0 || (seals & SHM_SEALS) != SHM_SEALS || fstat(fd, &st) < 0)
		return NULL;
	*why = "an impossible size";
	shm_head_fill(&head);
	if (st.st_size < (off_t)sizeof(head) || st.st_size > SHM_SIZE_MAX ||
	    (kind == SHM_KNOWN && (uint64_t)st.st_size != head.size))
		return NULL;
	*why = "it cannot be mapped";
	s = shm_map(fd, (size_t)st.st_size, kind == SHM_OLD);
	if (!s)
		return NULL;
	if (kind == SHM_KNOWN)
		memcpy(s->base, &head, sizeof(head));
	else
		memcpy(&head, s->base, sizeof(head));
	/* The copy of the directory is checked and used: a process that has the segment mapped
	   could change the original between the check and the use. */
	*why = shm_head_check(s, &head);
	s->is_taken = true;
	if (!*why)
		return s;
	shm_unmap(s);
	return NULL;
}

struct shm *
shm_attach(int fd, const char **why)
{
	return shm_attach_as(fd, SHM_OURS, why);
}

struct shm *
shm_attach_known(int fd, const char **why)
{
	return shm_attach_as(fd, SHM_KNOWN, why);
}

struct shm *
shm_attach_old(int fd, const char **why)
{
	return shm_attach_as(fd, SHM_OLD, why);
}

void
shm_close(struct shm *s)
{
	if (!s)
		return;
	close(s->fd);
	shm_unmap(s);
}

int
shm_fd(const struct shm *s)
{
	return s->fd;
}

uint64_t
shm_id(const struct shm *s)
{
	return s->id;
}

bool
shm_is_owner(const struct shm *s)
{
	return s->owner == getpid();
}

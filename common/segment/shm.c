/*
 * The shared segment. Owns its layout: a header with a directory of tables, then the tables, each
 * on a page of its own; and every write to it that is more than one store.
 *
 * Invariants, which hold at every instruction, whoever is killed there:
 *  - a FREE row has pid 0, counters 0, no words, and owns no slot;
 *  - a row leaves FREE only by shm_worker_claim and becomes FREE again only at the end of
 *    shm_worker_bury;
 *  - a worker's counters are added to the retired ones exactly once. The sums are first prepared in
 *    the burial table, then the word that names the row makes them count (one store), then they
 *    are copied and the row's own are zeroed, which may be done any number of times;
 *  - shm_total() is right at every point of that.
 *
 * What stands before `counters` in struct shm_worker and before `retired` in struct shm_master
 * keeps its place as long as SHM_VERSION is the same; that is what shm_attach_old() relies on. The
 * directory is checked once, when the segment is attached, and never read again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/balance/backend_cell.h"
#include "common/base/clock.h"
#include "common/base/must.h"
#include "common/base/procid.h"
#include "common/segment/shm.h"
#include "common/segment/shm_keep.h"

#define SHM_MAGIC "Argand\r\n"

enum {
	SHM_PAGE = 4096,
	SHM_NAME = 32,
	SHM_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	SHM_SIZE_MAX = 64 << 20,
	SHM_READ_TRIES = 64,
};

struct shm_table {
	char name[16];
	uint32_t row, rows; /* octets of a row, number of rows */
	uint64_t offset;    /* from the beginning of the segment */
};

struct shm_head {
	char magic[8];
	uint32_t version, tables;
	uint64_t size, layout;
	struct shm_table table[SHM_TABLES];
};

/* The sums of retired and dying counters, valid while the low half of word names a row (row + 1).
   The high half counts, so that a reader notices a change. */
struct shm_burial {
	_Atomic uint64_t word;
	_Atomic uint64_t fold[CTR_MAX];
} __attribute__((aligned(64)));

struct shm_name {
	char name[SHM_NAME];
};

enum shm_table_id {
	T_MASTER,
	T_WORKERS,
	T_SLOTS,
	T_BURIAL,
	T_NAMES,
	T_BACKENDS,
	T_POOLS,
	T_COLUMNS,
	T_COMMON,
	T_MAX
};

/* least: octets of a row that must be there in a segment of another layout; 0: it may be without.
 */
static const struct {
	const char *name;
	size_t row, least, rows;
} shm_tables[T_MAX] = {
	[T_MASTER] = { "master", sizeof(struct shm_master), offsetof(struct shm_master, retired),
	    1 },
	[T_WORKERS] = { "workers", sizeof(struct shm_worker), offsetof(struct shm_worker, counters),
	    SHM_WORKERS },
	[T_SLOTS] = { "slots", sizeof(struct shm_slot), sizeof(uint64_t), SHM_SLOTS },
	[T_BURIAL] = { "burial", sizeof(struct shm_burial), 8, 1 },
	[T_NAMES] = { "names", sizeof(struct shm_name), SHM_NAME, CTR_MAX },
	[T_BACKENDS] = { "backends", sizeof(struct backend_cell), 0, BACKEND_ROWS },
	[T_POOLS] = { "pools", sizeof(struct backend_pool), 0, BACKEND_POOLS },
	[T_COLUMNS] = { "columns", sizeof(struct backend_column), 0, SHM_WORKERS },
	[T_COMMON] = { "common", sizeof(struct backend_common), 0, 1 },
};

struct shm {
	int fd;
	bool is_old; /* another layout: counters and words are not where this binary thinks */
	uint64_t id;
	pid_t owner;
	char *base;
	size_t size;
	struct shm_table t[T_MAX]; /* checked copies of the directory's entries */
};

const struct counter_info counter_info[CTR_MAX] = {
#define COUNTER(id, name, kind, help) [CTR_##id] = { name, kind, help },
#include "common/segment/counters.def"
#undef COUNTER
};

void (*shm_failpoint)(const char *name);

void
shm_point(const char *name)
{
	if (unlikely(shm_failpoint != NULL))
		shm_failpoint(name);
}

static bool
shm_is_gauge(enum counter c)
{
	return counter_info[c].kind[0] == 'g';
}

/* ---- layout ---- */

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

	for (int i = 0; i < T_MAX; i++) {
		h = shm_hash(h, shm_tables[i].name, strlen(shm_tables[i].name));
		h = shm_hash(h, &shm_tables[i].row, sizeof(shm_tables[i].row));
		h = shm_hash(h, &shm_tables[i].rows, sizeof(shm_tables[i].rows));
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
	h->tables = T_MAX;
	h->layout = shm_layout();
	for (int i = 0; i < T_MAX; i++) {
		struct shm_table *t = &h->table[i];

		strncpy(t->name, shm_tables[i].name, sizeof(t->name) - 1);
		t->row = (uint32_t)shm_tables[i].row;
		t->rows = (uint32_t)shm_tables[i].rows;
		t->offset = at;
		at = shm_round(at + (uint64_t)t->row * t->rows);
	}
	h->size = at;
}

static void *
shm_at(const struct shm *s, enum shm_table_id id, unsigned row)
{
	return row < s->t[id].rows ? s->base + s->t[id].offset + (size_t)row * s->t[id].row : NULL;
}

static struct shm_burial *
shm_burial(const struct shm *s)
{
	return shm_at(s, T_BURIAL, 0);
}

/* Finds the tables in a directory and checks that each lies inside the segment. */
static const char *
shm_tables_find(struct shm *s, const struct shm_head *h)
{
	for (int i = 0; i < T_MAX; i++) {
		const struct shm_table *t = NULL;

		for (uint32_t k = 0; k < h->tables && !t; k++)
			if (strncmp(h->table[k].name, shm_tables[i].name, 16) == 0)
				t = &h->table[k];
		s->t[i] = (struct shm_table){ .row = 0 };
		if (!t && shm_tables[i].least == 0)
			continue;
		if (!t)
			return "a table is missing";
		if (t->row < shm_tables[i].least || !t->rows || t->offset % 64 ||
		    t->row % (shm_tables[i].row % 64 ? 8 : 64))
			return "a table has rows of an impossible size";
		if (t->offset < sizeof(*h) || t->offset > s->size ||
		    (uint64_t)t->row * t->rows > s->size - t->offset)
			return "a table lies outside";
		s->t[i] = *t;
		if (t->rows > shm_tables[i].rows)
			s->t[i].rows = (uint32_t)shm_tables[i].rows;
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
		struct shm_name *n = shm_at(s, T_NAMES, c);

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
	/* The copy: who has it mapped could change it between a check and what is done then. */
	*why = shm_head_check(s, &head);
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

struct shm_master *
shm_master(struct shm *s)
{
	struct shm_master *m = shm_at(s, T_MASTER, 0);

	must(m != NULL);
	return m;
}

struct shm_worker *
shm_worker(struct shm *s, unsigned row)
{
	return shm_at(s, T_WORKERS, row);
}

struct shm_slot *
shm_slot(struct shm *s, unsigned slot)
{
	return shm_at(s, T_SLOTS, slot);
}

static void *
shm_backend_at(const struct shm *s, enum shm_table_id id, unsigned row)
{
	return s->t[id].row == shm_tables[id].row ? shm_at(s, id, row) : NULL;
}

struct backend_cell *
shm_backend(const struct shm *s, unsigned row)
{
	return shm_backend_at(s, T_BACKENDS, row);
}

struct backend_pool *
shm_backend_pool(const struct shm *s, unsigned row)
{
	return shm_backend_at(s, T_POOLS, row);
}

struct backend_column *
shm_backend_column(const struct shm *s, unsigned worker_row)
{
	return shm_backend_at(s, T_COLUMNS, worker_row);
}

struct backend_common *
shm_backend_common(const struct shm *s)
{
	return shm_backend_at(s, T_COMMON, 0);
}

const void *
shm_backend_old(const struct shm *s, bool is_pool, unsigned row, size_t *octets)
{
	enum shm_table_id id = is_pool ? T_POOLS : T_BACKENDS;

	*octets = s->t[id].row;
	return shm_at(s, id, row);
}

/* ---- rows ---- */

/* As a burial leaves it. */
static bool
shm_worker_is_clean(struct shm *s, unsigned row)
{
	struct shm_worker *w = shm_worker(s, row);

	if (atomic_load(&w->state) != ROW_FREE || atomic_load(&w->pid))
		return false;
	if (!s->is_old && w->words[0])
		return false;
	for (unsigned c = 0; c < CTR_MAX && !s->is_old; c++)
		if (ctr_get(w, c))
			return false;
	for (unsigned i = 0; i < s->t[T_SLOTS].rows; i++)
		if (shm_slot_owner(s, i) == row + 1)
			return false;
	return true;
}

/* What the row says stands before the transition that makes it count. */
int
shm_worker_claim(
    struct shm *s, const bool taken[SHM_WORKERS], unsigned generation, unsigned seat, uint64_t now)
{
	for (unsigned i = 0; i < s->t[T_WORKERS].rows; i++) {
		struct shm_worker *w = shm_worker(s, i);

		if (taken ? taken[i] : atomic_load(&w->state) != ROW_FREE)
			continue;
		shm_point("claim: row found");
		if (!shm_worker_is_clean(s, i)) {
			atomic_store(&w->state, ROW_DEAD);
			shm_worker_bury(s, i);
		}
		backend_clear_column(s, i);
		atomic_store(&w->generation, generation);
		shm_point("claim: generation");
		atomic_store(&w->seat, seat);
		shm_point("claim: seat");
		atomic_store(&w->started, now);
		shm_point("claim: started");
		atomic_store(&w->heartbeat, now);
		shm_point("claim: heartbeat");
		/* If it does not move somebody writes where he should not. */
		if (!shm_worker_move(w, ROW_FREE, ROW_STARTING))
			atomic_store(&w->state, ROW_STARTING);
		return (int)i;
	}
	return -1;
}

bool
shm_worker_enter(struct shm *s, unsigned row, pid_t pid)
{
	struct shm_worker *w = shm_worker(s, row);

	if (!w)
		return false;
	shm_point("enter: row checked");
	atomic_store(&w->pid, (int32_t)pid);
	shm_point("enter: pid");
	atomic_store(&w->starttime, procid_starttime(pid));
	shm_point("enter: starttime");
	return true;
}

void
shm_worker_restate(struct shm *s, unsigned row, pid_t pid, unsigned generation, unsigned seat)
{
	struct shm_worker *w = shm_worker(s, row);
	uint32_t state;

	if (!w)
		return;
	atomic_store(&w->pid, (int32_t)pid);
	atomic_store(&w->generation, generation);
	atomic_store(&w->seat, seat);
	state = atomic_load(&w->state);
	if (state == ROW_FREE || state >= ROW_DEAD)
		atomic_store(&w->state, ROW_DRAINING);
}

bool
shm_worker_move(struct shm_worker *w, enum row_state from, enum row_state to)
{
	uint32_t expected = from;
	bool moved;

	shm_point("move: before");
	moved = atomic_compare_exchange_strong(&w->state, &expected, to);
	shm_point("move: after");
	return moved;
}

/* Whether the burial table names a row, and which; -1 when not, or when what it says is damaged. */
static int
shm_burial_row(struct shm *s)
{
	unsigned n = (unsigned)(atomic_load(&shm_burial(s)->word) & 0xffffffff);
	struct shm_worker *w = n ? shm_worker(s, n - 1) : NULL;

	return w && atomic_load(&w->state) == ROW_DEAD ? (int)(n - 1) : -1;
}

static void
shm_burial_set(struct shm *s, unsigned n)
{
	struct shm_burial *b = shm_burial(s);
	uint64_t turn = (atomic_load(&b->word) >> 32) + 1;

	atomic_store(&b->word, turn << 32 | n);
}

static void
shm_burial_prepare(struct shm *s, unsigned row)
{
	struct shm_burial *b = shm_burial(s);
	struct shm_worker *w = shm_worker(s, row);

	for (unsigned c = 0; c < CTR_MAX; c++) {
		uint64_t own = shm_is_gauge(c) ? 0 : ctr_get(w, c);

		atomic_store(&b->fold[c], atomic_load(&shm_master(s)->retired[c]) + own);
		shm_point("bury: prepare");
	}
}

/* From here on the prepared sums count; may be done again from any point. */
static void
shm_burial_finish(struct shm *s, unsigned row)
{
	struct shm_burial *b = shm_burial(s);
	struct shm_worker *w = shm_worker(s, row);

	for (unsigned c = 0; c < CTR_MAX; c++) {
		atomic_store(&shm_master(s)->retired[c], atomic_load(&b->fold[c]));
		shm_point("bury: retire");
	}
	for (unsigned c = 0; c < CTR_MAX; c++) {
		atomic_store(&w->counters[c], 0);
		shm_point("bury: clear counter");
	}
	shm_burial_set(s, 0);
	shm_point("bury: counted");
}

static void
shm_worker_fold(struct shm *s, unsigned row)
{
	int unfinished = shm_burial_row(s);

	if (unfinished >= 0)
		shm_burial_finish(s, (unsigned)unfinished);
	if (unfinished == (int)row)
		return;
	shm_burial_prepare(s, row);
	shm_burial_set(s, row + 1);
	shm_point("bury: committed");
	shm_burial_finish(s, row);
}

static void
shm_slots_clear(struct shm *s, unsigned row)
{
	for (unsigned i = 0; i < s->t[T_SLOTS].rows; i++) {
		uint64_t mine = (uint64_t)row + 1;

		if (atomic_compare_exchange_strong(&shm_slot(s, i)->owner, &mine, 0))
			shm_point("bury: slot");
	}
}

void
shm_worker_bury(struct shm *s, unsigned row)
{
	struct shm_worker *w = shm_worker(s, row);

	if (!w || atomic_load(&w->state) == ROW_FREE)
		return;
	atomic_store(&w->state, ROW_DEAD);
	shm_point("bury: dead");
	if (!s->is_old)
		shm_worker_fold(s, row);
	shm_slots_clear(s, row);
	if (!s->is_old)
		memset(w->words, 0, sizeof(w->words));
	shm_point("bury: words");
	backend_clear_column(s, row);
	shm_point("bury: column");
	atomic_store(&w->starttime, 0);
	shm_point("bury: starttime");
	atomic_store(&w->pid, 0);
	shm_point("bury: pid");
	atomic_store(&w->state, ROW_FREE);
}

/* A slot whose owner word is damaged, or names a row that nobody has, belongs to nobody. */
static void
shm_slots_repair(struct shm *s)
{
	for (unsigned i = 0; i < s->t[T_SLOTS].rows; i++) {
		struct shm_slot *slot = shm_slot(s, i);
		uint64_t owner = atomic_load(&slot->owner);
		struct shm_worker *w = NULL;

		if (owner == 0)
			continue;
		if (owner <= s->t[T_WORKERS].rows)
			w = shm_worker(s, (unsigned)owner - 1);
		if (!w || atomic_load(&w->state) == ROW_FREE)
			atomic_compare_exchange_strong(&slot->owner, &owner, 0);
	}
}

void
shm_repair(struct shm *s, const bool lives[SHM_WORKERS])
{
	int unfinished = s->is_old ? -1 : shm_burial_row(s);

	if (unfinished >= 0 && !(lives && lives[unfinished]))
		shm_worker_bury(s, (unsigned)unfinished);
	else if (!s->is_old && (atomic_load(&shm_burial(s)->word) & 0xffffffff))
		shm_burial_set(s, 0);
	for (unsigned i = 0; i < s->t[T_WORKERS].rows; i++) {
		if (!(lives && lives[i]))
			shm_worker_bury(s, i);
	}
	shm_slots_repair(s);
	backend_repair(s);
}

/* ---- sums ---- */

static uint64_t
shm_sum(struct shm *s, enum counter c, unsigned folded)
{
	uint64_t sum = 0;

	if (folded && folded <= SHM_WORKERS)
		sum = atomic_load(&shm_burial(s)->fold[c]);
	else
		sum = atomic_load(&shm_master(s)->retired[c]);
	for (unsigned i = 0; i < s->t[T_WORKERS].rows; i++) {
		struct shm_worker *w = shm_worker(s, i);
		uint32_t state = atomic_load(&w->state);

		if (state == ROW_FREE || i + 1 == folded)
			continue;
		if (state == ROW_DEAD && shm_is_gauge(c))
			continue;
		sum += ctr_get(w, c);
	}
	return sum;
}

uint64_t
shm_total(struct shm *s, enum counter c)
{
	uint64_t before, sum = 0;

	if ((unsigned)c >= CTR_MAX || s->is_old)
		return 0;
	for (int try = 0; try < SHM_READ_TRIES; try++) {
		before = atomic_load(&shm_burial(s)->word);
		sum = shm_sum(s, c, (unsigned)(before & 0xffffffff));
		if (atomic_load(&shm_burial(s)->word) == before)
			break;
	}
	return sum;
}

/* The totals of one counter in a segment of another layout, where it stands at index i. */
static uint64_t
shm_carry_total(const struct shm *from, unsigned i)
{
	size_t at = offsetof(struct shm_worker, counters) + i * sizeof(uint64_t);
	size_t retired = offsetof(struct shm_master, retired) + i * sizeof(uint64_t);
	uint64_t v, sum = 0;

	if (retired + sizeof(v) <= from->t[T_MASTER].row) {
		memcpy(&v, (char *)shm_at(from, T_MASTER, 0) + retired, sizeof(v));
		sum = v;
	}
	for (unsigned r = 0; r < from->t[T_WORKERS].rows; r++) {
		if (at + sizeof(v) > from->t[T_WORKERS].row)
			break;
		memcpy(&v, (char *)shm_at(from, T_WORKERS, r) + at, sizeof(v));
		sum += v;
	}
	return sum;
}

/* Counters are matched by name: another binary may have others, elsewhere. */
static void
shm_carry_counters(struct shm *to, const struct shm *from)
{
	unsigned n = (unsigned)(from->t[T_NAMES].rows);

	for (unsigned i = 0; i < n; i++) {
		const struct shm_name *name = shm_at(from, T_NAMES, i);

		for (unsigned c = 0; c < CTR_MAX; c++)
			if (!shm_is_gauge(c) &&
			    strncmp(name->name, counter_info[c].name, SHM_NAME) == 0)
				atomic_store(&shm_master(to)->retired[c], shm_carry_total(from, i));
	}
}

void
shm_carry(struct shm *to, const struct shm *from)
{
	/* What stands before the counters is the same in every layout of this version. */
	memcpy(shm_at(to, T_MASTER, 0), shm_at(from, T_MASTER, 0),
	    offsetof(struct shm_master, retired));
	atomic_store(&shm_master(to)->hung, 0);
	if (atomic_load(&shm_master(to)->started) > (uint64_t)clock_wall())
		atomic_store(&shm_master(to)->started, 0); /* nonsense: as if it was the first */
	shm_carry_counters(to, from);
	backend_carry(to, from);
}

/* ---- slots ---- */

bool
shm_slot_claim(struct shm *s, unsigned slot, uint64_t expected, unsigned row)
{
	struct shm_slot *cell = shm_slot(s, slot);
	bool claimed;

	if (!cell || row >= s->t[T_WORKERS].rows)
		return false;
	shm_point("slot: before");
	claimed = atomic_compare_exchange_strong(&cell->owner, &expected, (uint64_t)row + 1);
	shm_point("slot: after");
	return claimed;
}

uint64_t
shm_slot_owner(struct shm *s, unsigned slot)
{
	struct shm_slot *cell = shm_slot(s, slot);

	return cell ? atomic_load(&cell->owner) : 0;
}

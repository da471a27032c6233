/*
 * A segment whose octets somebody has changed: of four octets of the input three say where (see
 * fuzz_at()) and one what. Attached or refused, nothing may crash, after shm_repair() no slot may
 * name a row that nobody has, and a pool can be used.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/balance/backend_view.h"
#include "common/balance/balance.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct conf_host fuzz_hosts[3] = {
	{ .address = STR_INIT("a:1"), .weight = 1 },
	{ .address = STR_INIT("b:1"), .weight = 3, .max_requests = 2 },
	{ .address = STR_INIT("c:1"), .weight = 1, .backup = true },
};
static struct conf_pool fuzz_pool = {
	.name = STR_INIT("pool"),
	.hosts = fuzz_hosts,
	.nhosts = 3,
	.hash_load = 125,
	.failover = { 3, 10000, 1000, 1000, 1000, 1000, 60000, 50, 10000 },
	.health = { .interval = 1000, .timeout = 1000, .rise = 2, .fall = 2 },
	.retry = { .budget = 20 },
};

/* Whatever a row holds may be shown, and changed by the ordinary ways. */
static void
fuzz_backends(struct shm *s)
{
	struct backend_pool_view pv;
	struct backend_view v;

	for (unsigned row = 0; row <= BACKEND_ROWS; row++) {
		struct backend_at at = { .row = row, .conf = &fuzz_pool, .trial = 1 };

		if (!backend_view(s, row, &v))
			continue;
		must(strlen(v.pool) < sizeof(v.pool) && strlen(v.host) < sizeof(v.host));
		must(backend_state_name(v.state) && backend_cause_name(v.cause));
		backend_failed(s, &at, CAUSE_ERRORS, 0, 1000);
		backend_try(s, row, 1, 100, 1 << 20);
		backend_succeeded(s, &at, 1000, 1 << 20);
		backend_check_take(s, row, 1, 1000, 1000);
		backend_checked(s, &at, row & 1, 1000);
		backend_log(s, &at, "fuzz");
		backend_touch(s, row, 1 << 20);
	}
	for (unsigned row = 0; row <= BACKEND_POOLS; row++) {
		backend_pool_view(s, row, &pv);
		backend_budget_add(s, row, &fuzz_pool);
		backend_budget_take(s, row, &fuzz_pool, 1000);
	}
	for (unsigned row = 0; row <= SHM_WORKERS; row += 64)
		shm_table_clear(s, row);
}

/* A pool in it can be used: what is picked exists, and is given back. */
static void
fuzz_balance(struct shm *s)
{
	struct balance_host hosts[3] = { 0 };
	struct balance b;

	shm_table_sweep(s, 1 << 20, 10);
	for (unsigned i = 0; i < 3; i++) {
		int row = backend_row(s, fuzz_pool.name, fuzz_hosts[i].address);

		if (row < 0)
			return;
		must(row < BACKEND_ROWS);
		hosts[i] = (struct balance_host){ (unsigned)row, &fuzz_hosts[i], i + 1 };
	}
	for (int method = 0; method <= BALANCE_HASH; method++) {
		fuzz_pool.balance = method;
		balance_init(&b, s, 3, &fuzz_pool);
		b.hosts = hosts;
		b.n = 3;
		for (unsigned i = 0; i < 8; i++) {
			struct balance_ask ask = { .now = 1000 * i, .has_key = i & 1, .key = i };
			unsigned host = 99;
			uint64_t when;

			if (balance_pick(&b, &ask, &host, &when) <= BALANCE_TRIAL)
				balance_release(&b, hosts[host].row);
			must(host < 3 || host == 99);
		}
		balance_fini(&b);
	}
}

static void
fuzz_use(struct shm *s)
{
	shm_repair(s, NULL);
	for (unsigned c = 0; c <= CTR_MAX; c++)
		(void)shm_total(s, (enum counter)c);
	for (unsigned i = 0; i < SHM_SLOTS; i++) {
		uint64_t owner = shm_slot_owner(s, i);
		struct shm_worker *w = owner ? shm_worker(s, (unsigned)owner - 1) : NULL;

		must(owner == 0 || !shm_slot(s, i) || (w && atomic_load(&w->state) != ROW_FREE));
	}
	int row = shm_worker_claim(s, NULL, 1, 0, 1);

	if (row >= 0)
		shm_worker_bury(s, (unsigned)row);
	fuzz_backends(s);
	fuzz_balance(s);
}

/* A segment with a pool in it, as a copy; and its pages that hold anything. */
static struct {
	char *whole;
	size_t size;
	unsigned pages[64], npages;
} fuzz;

enum { FUZZ_PAGE = 4096 };

static void
fuzz_make(void)
{
	static const char none[FUZZ_PAGE];
	struct shm *s = shm_create();

	for (unsigned i = 0; i < 3; i++)
		backend_row(s, fuzz_pool.name, fuzz_hosts[i].address);
	fuzz.size = (size_t)lseek(shm_fd(s), 0, SEEK_END);
	fuzz.whole = must_malloc(fuzz.size);
	must(pread(shm_fd(s), fuzz.whole, fuzz.size, 0) == (ssize_t)fuzz.size);
	shm_close(s);
	for (unsigned page = 0; page < fuzz.size / FUZZ_PAGE; page++)
		if (memcmp(fuzz.whole + (size_t)page * FUZZ_PAGE, none, FUZZ_PAGE) != 0)
			fuzz.pages[fuzz.npages++] = page;
	must(fuzz.npages > 2 && fuzz.npages < 64);
}

/* Where a change goes: anywhere, or, with the highest bit set, to a page that holds something. */
static size_t
fuzz_at(const uint8_t *data)
{
	size_t at = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]);

	if (data[0] & 0x80)
		at = (size_t)fuzz.pages[(at >> 12 & 0x7ff) % fuzz.npages] * FUZZ_PAGE +
		     at % FUZZ_PAGE;
	return at % fuzz.size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *why;
	struct shm *s;

	log_level = LOG_FATAL_;
	if (!fuzz.whole)
		fuzz_make();
	must(ftruncate(fd, (off_t)fuzz.size) == 0);
	for (unsigned i = 0; i < fuzz.npages; i++) {
		size_t at = (size_t)fuzz.pages[i] * FUZZ_PAGE;

		must(pwrite(fd, fuzz.whole + at, FUZZ_PAGE, (off_t)at) == FUZZ_PAGE);
	}
	for (; len >= 4; data += 4, len -= 4)
		must(pwrite(fd, data + 3, 1, (off_t)fuzz_at(data)) == 1);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	s = len & 1 ? shm_attach_old(fd, &why) : shm_attach(fd, &why);
	if (!s) {
		close(fd);
		return 0;
	}
	fuzz_use(s);
	shm_close(s);
	return 0;
}

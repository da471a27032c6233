/*
 * A segment whose octets somebody has changed: the input says which (offset, value pairs of three
 * octets: page, offset within, value; see below). Attached or refused, nothing may crash, and after
 * shm_repair() no slot may name a row that nobody has.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/must.h"
#include "common/shm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_use(struct shm *s)
{
	shm_repair(s);
	for (unsigned c = 0; c <= CTR_MAX; c++)
		(void)shm_total(s, (enum counter)c);
	for (unsigned i = 0; i < SHM_SLOTS; i++) {
		uint64_t owner = shm_slot_owner(s, i);
		struct shm_worker *w = owner ? shm_worker(s, (unsigned)owner - 1) : NULL;

		must(owner == 0 || !shm_slot(s, i) || (w && atomic_load(&w->state) != ROW_FREE));
	}
	int row = shm_worker_claim(s, 1, 0, 1);

	if (row >= 0)
		shm_worker_bury(s, (unsigned)row);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char *whole;
	static size_t size;
	const char *why;
	struct shm *s;

	if (!whole) {
		s = shm_create();
		size = (size_t)lseek(shm_fd(s), 0, SEEK_END);
		whole = must_malloc(size);
		must(pread(shm_fd(s), whole, size, 0) == (ssize_t)size);
		shm_close(s);
	}
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(pwrite(fd, whole, size, 0) == (ssize_t)size);
	for (; len >= 4; data += 4, len -= 4) {
		size_t at = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % size;

		must(pwrite(fd, data + 3, 1, (off_t)at) == 1);
	}
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

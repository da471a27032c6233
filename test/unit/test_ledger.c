/*
 * The ledger in a process: what is noted is found, what is gone is free, and a child has neither
 * the mapping nor, once it has executed something, the descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/base/inherit.h"
#include "master/ledger.h"
#include "test/unit/unit.h"

Suite *suite_ledger(void);

static void
setup(void)
{
	ck_assert_int_eq(ledger_open(), 0);
}

static struct ledger_entry
entry(uint64_t segment, unsigned row, unsigned generation)
{
	return (struct ledger_entry){ .segment = segment,
		.row = row,
		.generation = generation,
		.seat = row + 1,
		.who = { .pid = 1000 + (int)row, .started = 5 } };
}

START_TEST(test_add_and_del)
{
	struct ledger_entry a = entry(7, 3, 1), b = entry(8, 3, 2);
	bool taken[SHM_WORKERS];

	ck_assert(!ledger_is_inherited());
	ck_assert(ledger_add(&a) && ledger_add(&b));
	ck_assert_uint_eq(ledger_find(7, 3)->generation, 1);
	ck_assert_uint_eq(ledger_find(8, 3)->generation, 2);
	ck_assert_uint_eq(ledger_find(8, 3)->seat, 4);
	ck_assert_int_eq(ledger_find(8, 3)->who.pid, 1003);
	ck_assert_ptr_null(ledger_find(7, 4));
	a.generation = 9;
	ck_assert(ledger_add(&a));
	ck_assert_uint_eq(ledger_find(7, 3)->generation, 9);
	ledger_taken(7, taken);
	for (unsigned i = 0; i < SHM_WORKERS; i++)
		ck_assert_int_eq(taken[i], i == 3);
	ledger_del(7, 3);
	ledger_del(7, 200);
	ck_assert_ptr_null(ledger_find(7, 3));
	ck_assert_ptr_nonnull(ledger_find(8, 3));
	ledger_taken(7, taken);
	ck_assert(!taken[3]);
}
END_TEST

START_TEST(test_full)
{
	struct ledger_entry one;

	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		one = entry(1 + i / SHM_WORKERS, i % SHM_WORKERS, 1);
		ck_assert(ledger_add(&one));
	}
	one = entry(3, 0, 1);
	ck_assert(!ledger_add(&one));
	ledger_del(2, 77);
	ck_assert(ledger_add(&one));
	ck_assert_ptr_null(ledger_at(LEDGER_ENTRIES));
}
END_TEST

/* What another master finds: the same, from the descriptor alone. */
START_TEST(test_inherited)
{
	struct ledger_entry a = entry(7, 3, 1);

	ck_assert(ledger_add(&a));
	ledger_set_last(12);
	ledger_set_serving(11);
	inherit_add(dup(ledger_fd()), LEDGER_NAME);
	ck_assert_int_eq(ledger_open(), 0);
	ck_assert(ledger_is_inherited());
	ck_assert_uint_eq(ledger_find(7, 3)->generation, 1);
	ck_assert_uint_eq(ledger_last(), 12);
	ck_assert_uint_eq(ledger_serving(), 11);
}
END_TEST

static int
no_ledger(int kind)
{
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (kind == 0)
		return open("/dev/null", O_RDWR);
	if (kind == 1) {
		struct shm *other = shm_create();

		fd = fcntl(shm_fd(other), F_DUPFD_CLOEXEC, 0);
		shm_close(other);
		return fd;
	}
	ck_assert_int_eq(ftruncate(fd, lseek(ledger_fd(), 0, SEEK_END) + (kind == 2)), 0);
	if (kind < 4)
		ck_assert_int_eq(
		    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

/* Something else under its name, the segment for instance, is not taken for one. */
START_TEST(test_refused)
{
	struct ledger_entry a = entry(7, 3, 1);

	ck_assert(ledger_add(&a));
	inherit_add(no_ledger(_i), LEDGER_NAME);
	ck_assert_int_eq(ledger_open(), 0);
	ck_assert(!ledger_is_inherited());
	ck_assert_ptr_null(ledger_find(7, 3));
	ck_assert_uint_eq(ledger_last(), 0);
}
END_TEST

/* A child, which a worker is, has no page of it. */
START_TEST(test_not_through_fork)
{
	struct ledger_entry a = entry(7, 3, 1), *e;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char there;
	int status;
	pid_t pid;

	ck_assert(ledger_add(&a));
	e = ledger_find(7, 3);
	ck_assert(fcntl(ledger_fd(), F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(mincore((void *)((uintptr_t)e & ~(page - 1)), page, &there), 0);
	pid = fork();
	if (pid == 0)
		_exit(mincore((void *)((uintptr_t)e & ~(page - 1)), page, &there) == 0 ||
		      errno != ENOMEM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

Suite *
suite_ledger(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, test_add_and_del);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_inherited);
	tcase_add_loop_test(t, test_refused, 0, 5);
	tcase_add_test(t, test_not_through_fork);
	suite_add_tcase(s, t);
	return s;
}

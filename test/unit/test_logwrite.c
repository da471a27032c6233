/*
 * What becomes of a batch when the reader is slow, gone or short of space: nothing is torn, nothing
 * is written twice, and no attempt lasts beyond its deadline (here: one that has passed already).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "modules/log/write.h"
#include "test/unit/unit.h"

Suite *suite_logwrite(void);

static int ends[2];

static void
setup(void)
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	signal(SIGPIPE, SIG_IGN);
}

static void
teardown(void)
{
	if (ends[0] >= 0)
		close(ends[0]);
	close(ends[1]);
	signal(SIGPIPE, SIG_DFL);
}

/* n numbered lines of 100 octets. */
static struct logbuf *
batch(unsigned n)
{
	struct logbuf *b = calloc(1, sizeof(*b) + n * 100 + 1);

	for (unsigned i = 0; i < n; i++)
		snprintf(b->data + i * 100, 101, "%099u\n", i);
	b->room = b->used = n * 100;
	b->lines = n;
	return b;
}

/* Writes and reads in turns until all is through; returns how often the writer had to wait. */
static int
pump(struct logbuf *b, char *got)
{
	size_t n = 0;
	int waits = 0, err;

	do {
		ssize_t r;

		err = logwrite_buf(ends[1], NULL, b, 0);
		ck_assert(err == 0 || err == EAGAIN);
		waits += err == EAGAIN;
		while ((r = read(ends[0], got + n, 1000)) > 0)
			n += (size_t)r;
	} while (err);
	ck_assert_uint_eq(n, b->used);
	return waits;
}

START_TEST(test_slow_pipe)
{
	struct logbuf *b = batch(5000);
	char *got = malloc(b->used);

	if (_i) /* a descriptor shared with others, that must stay as it is */
		fcntl(ends[1], F_SETFL, 0);
	ck_assert_int_gt(pump(b, got), 2);
	ck_assert_int_eq(memcmp(got, b->data, b->used), 0);
	free(got);
	free(b);
}
END_TEST

START_TEST(test_reader_gone)
{
	struct logbuf *b = batch(2);

	close(ends[0]);
	ends[0] = -1;
	ck_assert_int_eq(logwrite_buf(ends[1], NULL, b, 0), EPIPE);
	ck_assert_uint_eq(b->at, 0);
	free(b);
}
END_TEST

START_TEST(test_file)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct logbuf *b = batch(1000);
	char *got = malloc(b->used + 1);

	b->at = 100; /* the first line was written before */
	ck_assert_int_eq(logwrite_buf(fd, NULL, b, 0), 0);
	ck_assert_int_eq(pread(fd, got, b->used + 1, 0), (ssize_t)b->used - 100);
	ck_assert_int_eq(memcmp(got, b->data + 100, b->used - 100), 0);
	free(got);
	free(b);
	close(fd);
}
END_TEST

START_TEST(test_no_space)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct logbuf *b = batch(3);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(logwrite_buf(fd, NULL, b, 0), ENOSPC);
	ck_assert_uint_eq(b->at, 0);
	ck_assert_int_eq(logwrite_buf(-1, NULL, b, 0), EBADF);
	free(b);
	close(fd);
}
END_TEST

Suite *
suite_logwrite(void)
{
	Suite *s = suite_create("logwrite");
	TCase *t = tcase_create("logwrite");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_slow_pipe, 0, 2);
	tcase_add_test(t, test_reader_gone);
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_no_space);
	suite_add_tcase(s, t);
	return s;
}

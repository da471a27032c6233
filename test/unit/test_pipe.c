/* Pipes: the pool, and bodies whose octets stand in them. Octets come from a memory file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "worker/body.h"
#include "worker/pipe.h"
#include "worker/state.h"

Suite *suite_pipe(void);

enum { OCTETS = 1 << 20, PIPES = 8 };

static struct worker w;
static struct body a, b;
static char pattern[OCTETS];
static int file;

static void
setup(void)
{
	for (size_t i = 0; i < OCTETS; i++)
		pattern[i] = (char)(i * 7 + i / 251);
	file = memfd_create("octets", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(write(file, pattern, OCTETS), OCTETS);
	lseek(file, 0, SEEK_SET);
	list_init(&w.posts);
	list_init(&w.posts_running);
	body_init(&a, &w);
	body_init(&b, &w);
	pipe_limit(PIPES);
}

/* Nobody has a pipe any more, and those that are kept are empty. */
static void
teardown(void)
{
	body_fini(&a);
	body_fini(&b);
	close(file);
	for (unsigned n = pipe_count(); n > 0; n--) {
		struct pipe *p = pipe_get();
		int has = -1;

		ck_assert_ptr_nonnull(p);
		ck_assert_int_eq(ioctl(p->rd, FIONREAD, &has), 0);
		ck_assert_int_eq(has, 0);
		p->used = 1; /* closed, and so not found again */
		pipe_put(p);
	}
	ck_assert_uint_eq(pipe_count(), 0);
}

static struct pipe *
filled(size_t n)
{
	struct pipe *p = pipe_get();

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(pipe_fill(p, file, n), (ssize_t)n);
	ck_assert_uint_eq(p->used, n);
	return p;
}

START_TEST(a_pipe_is_lent_again)
{
	struct pipe *p = pipe_get(), *other = pipe_get();
	int rd = p->rd;

	ck_assert_int_ne(rd, other->rd);
	pipe_put(p);
	ck_assert_ptr_eq(pipe_get(), p);
	ck_assert_int_eq(p->rd, rd);
	ck_assert_uint_eq(pipe_count(), 2);
	pipe_put(p);
	pipe_put(other);
	ck_assert_uint_eq(pipe_count(), 2);
}
END_TEST

START_TEST(a_pipe_with_octets_is_closed)
{
	struct pipe *p = filled(1000);
	int rd = p->rd, wr = p->wr;

	pipe_put(p);
	ck_assert_uint_eq(pipe_count(), 0);
	ck_assert_int_eq(fcntl(rd, F_GETFD), -1);
	ck_assert_int_eq(fcntl(wr, F_GETFD), -1);
}
END_TEST

START_TEST(what_was_taken_leaves_it_clean)
{
	struct pipe *p = filled(20000);
	char got[20000];

	ck_assert(pipe_take(p, got, 100));
	ck_assert(pipe_take(p, NULL, 9000));
	ck_assert(pipe_take(p, got + 9100, 10900));
	ck_assert_mem_eq(got, pattern, 100);
	ck_assert_mem_eq(got + 9100, pattern + 9100, 10900);
	ck_assert_uint_eq(p->used, 0);
	pipe_put(p);
	ck_assert_uint_eq(pipe_count(), 1);
}
END_TEST

START_TEST(what_was_sent_leaves_it_clean)
{
	struct pipe *p = filled(30000);
	char got[30000];
	int out = memfd_create("out", MFD_CLOEXEC);

	ck_assert_int_eq(pipe_send(p, out, 10000), 10000);
	ck_assert_uint_eq(p->used, 20000);
	ck_assert_int_eq(pipe_send(p, out, 99999), 20000);
	ck_assert_int_eq(pread(out, got, sizeof(got), 0), 30000);
	ck_assert_mem_eq(got, pattern, 30000);
	close(out);
	pipe_put(p);
	ck_assert_uint_eq(pipe_count(), 1);
}
END_TEST

START_TEST(no_more_than_the_limit)
{
	struct pipe *p[PIPES];

	for (int i = 0; i < PIPES; i++)
		ck_assert_ptr_nonnull(p[i] = pipe_get());
	ck_assert_ptr_null(pipe_get());
	pipe_put(p[0]);
	ck_assert_ptr_nonnull(p[0] = pipe_get());
	pipe_limit(0);
	for (int i = 0; i < PIPES; i++)
		pipe_put(p[i]);
	ck_assert_uint_eq(pipe_count(), 0);
	ck_assert_ptr_null(pipe_get());
}
END_TEST

/* A filter of system calls, or a descriptor that knows no splice: nothing fails, it is read. */
START_TEST(refused_by_the_system)
{
	struct pipe *p = pipe_get();
	int fd = eventfd(1, EFD_CLOEXEC);

	ck_assert_int_eq(pipe_fill(p, fd, 100), -1);
	ck_assert_int_eq(errno, EAGAIN);
	pipe_put(p);
	ck_assert_uint_eq(pipe_count(), 0);
	ck_assert_ptr_null(pipe_get());
	close(fd);
}
END_TEST

START_TEST(what_nobody_needed_is_closed)
{
	struct pipe *p = pipe_get(), *other = pipe_get();

	pipe_put(p);
	pipe_put(other);
	pipe_trim(); /* both were needed */
	ck_assert_uint_eq(pipe_count(), 2);
	pipe_put(pipe_get());
	pipe_trim();
	ck_assert_uint_eq(pipe_count(), 1);
	pipe_trim();
	ck_assert_uint_eq(pipe_count(), 0);
}
END_TEST

START_TEST(a_whole_pipe_is_moved)
{
	struct pipe *p = filled(50000);
	char got[50000];

	body_put_pipe(&a, p);
	ck_assert_int_eq(a.queued, 50000);
	ck_assert_uint_eq(a.memory, 50000);
	ck_assert_int_eq(body_move(&b, &a, 60000), 50000);
	ck_assert_ptr_eq(body_pipe(&b), p);
	ck_assert_uint_eq(a.memory, 0);
	ck_assert_uint_eq(b.memory, 50000);
	ck_assert_int_eq(body_take(&b, got, sizeof(got)), 50000);
	ck_assert_mem_eq(got, pattern, 50000);
	ck_assert_uint_eq(pipe_count(), 1);
}
END_TEST

START_TEST(a_part_says_what_stays_whole)
{
	body_put(&a, "0123456789", 10);
	body_put_pipe(&a, filled(50000));
	ck_assert_int_eq(body_part(&a, 50009), 10);
	ck_assert_int_eq(body_part(&a, 50010), 50010);
	ck_assert_int_eq(body_part(&a, 5), 5);
	body_consume(&a, 10);
	ck_assert_int_eq(body_part(&a, 49999), 49999); /* there is no way to keep it whole */
	ck_assert_int_eq(body_part(&a, 99999), 50000);
}
END_TEST

START_TEST(few_octets_hold_no_pipe)
{
	body_put_pipe(&a, filled(100));
	ck_assert_ptr_null(body_pipe(&a));
	pipe_put(pipe_get());
	ck_assert_uint_eq(pipe_count(), 1);
}
END_TEST

START_TEST(what_nobody_wants_closes_it)
{
	struct pipe *p = filled(40000);
	int rd = p->rd;

	body_put_pipe(&a, p);
	body_consume(&a, 40000);
	ck_assert_int_eq(fcntl(rd, F_GETFD), -1);
	body_put_pipe(&a, filled(40000));
	body_cancel(&a);
	body_put_pipe(&a, filled(40000));
	ck_assert_uint_eq(pipe_count(), 0);
}
END_TEST

START_TEST(lost_octets_fail_the_body)
{
	struct pipe *p = filled(40000);
	char got[16];

	body_put_pipe(&a, p);
	ck_assert_int_eq(dup2(file, p->rd), p->rd); /* whose octets are all read: the end */
	lseek(file, 0, SEEK_END);
	ck_assert_int_eq(body_take(&a, got, sizeof(got)), -1);
	ck_assert_int_eq(a.state, BODY_FAILED);
	ck_assert_int_eq(a.err, EIO);
	ck_assert_uint_eq(pipe_count(), 0);
}
END_TEST

/* --- whatever is done with a body, its octets come in order --- */

static unsigned seed;

static unsigned
any(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

static void
put_any(size_t *at)
{
	size_t n = 1 + any(PIPE_ROOM);
	struct pipe *p = any(3) ? pipe_get() : NULL;

	if (n > OCTETS - *at)
		n = OCTETS - *at;
	if (p) {
		lseek(file, (off_t)*at, SEEK_SET);
		ck_assert_int_gt(pipe_fill(p, file, n), 0);
		n = p->used; /* a page for each part of one */
		body_put_pipe(&a, p);
	} else if (any(2)) {
		body_put(&a, pattern + *at, n);
	} else {
		body_put_ref(&a, pattern + *at, n);
	}
	*at += n;
}

/* Takes octets out of b in one of the ways that there are; returns how many. */
static size_t
take_any(size_t at)
{
	static char got[100000];
	struct pipe *p = body_pipe(&b);
	struct iovec iov[8];
	struct body copy;
	size_t n = 0;

	switch (any(p ? 6 : 4)) {
	case 0:
		n = (size_t)body_take(&b, got, 1 + any(sizeof(got) - 1));
		ck_assert_mem_eq(got, pattern + at, n);
		return n;
	case 1:
		body_iov(&b, iov, 1, &n);
		if (n > 0)
			ck_assert_mem_eq(iov[0].iov_base, pattern + at, n);
		body_consume(&b, (int64_t)n);
		return n;
	case 2: /* dropped */
		n = any((unsigned)b.queued + 1);
		body_consume(&b, (int64_t)n);
		return n;
	case 3:
		body_init(&copy, &w);
		body_clone(&copy, &b);
		ck_assert_int_eq(copy.queued, b.queued);
		n = (size_t)body_take(&copy, got, sizeof(got));
		ck_assert_mem_eq(got, pattern + at, n);
		body_fini(&copy);
		return 0;
	case 4: /* as if sent */
		n = 1 + any((unsigned)p->used);
		ck_assert(pipe_take(p, got, n));
		ck_assert_mem_eq(got, pattern + at, n);
		body_consume(&b, (int64_t)n);
		return n;
	default:
		ck_assert(body_melt(&b));
		ck_assert_ptr_null(body_pipe(&b));
		return 0;
	}
}

START_TEST(order_whatever_is_done)
{
	size_t put = 0, taken = 0;

	seed = (unsigned)_i;
	while (taken < OCTETS) {
		if (put < OCTETS && any(2))
			put_any(&put);
		if (any(2))
			body_move(&b, &a, 1 + any(any(2) ? 200000 : 2000));
		if (!body_is_empty(&b))
			taken += take_any(taken);
		ck_assert_int_eq(b.queued + a.queued, (int64_t)(put - taken));
		ck_assert_uint_le(pipe_count(), PIPES);
	}
	ck_assert_uint_eq(a.memory + b.memory, 0);
}
END_TEST

Suite *
suite_pipe(void)
{
	const TTest *const tests[] = { a_pipe_is_lent_again, a_pipe_with_octets_is_closed,
		what_was_taken_leaves_it_clean, what_was_sent_leaves_it_clean,
		no_more_than_the_limit, refused_by_the_system, what_nobody_needed_is_closed,
		a_whole_pipe_is_moved, a_part_says_what_stays_whole, few_octets_hold_no_pipe,
		what_nobody_wants_closes_it, lost_octets_fail_the_body };
	Suite *s = suite_create("pipe");
	TCase *t = tcase_create("pipe");

	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	tcase_add_loop_test(t, order_whatever_is_done, 1, 100);
	suite_add_tcase(s, t);
	return s;
}

/* Bodies: order, bounds, notices, file ranges, failure. No loop: notices are looked for by hand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test/unit/unit.h"
#include "worker/body.h"
#include "worker/state.h"

static struct worker w;
static struct body a, b;
static int data_calls, space_calls;

static void
setup(void)
{
	list_init(&w.posts);
	list_init(&w.posts_running);
	body_init(&a, &w);
	body_init(&b, &w);
	data_calls = space_calls = 0;
}

static void
teardown(void)
{
	body_fini(&a);
	body_fini(&b);
}

static void
count(void *arg)
{
	(*(int *)arg)++;
}

/* What the loop does at the end of a turn. */
static void
run_posts(void)
{
	struct link *l;

	while ((l = list_pop(&w.posts)) != NULL) {
		struct post *p = container_of(l, struct post, link);

		p->fn(p->arg);
	}
}

static int
temp_file(const char *text)
{
	char name[] = "/tmp/argand-body-XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static void
took(struct body *from, const char *text)
{
	char got[256];
	ssize_t n = body_take(from, got, sizeof(got));

	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}

START_TEST(keeps_order_over_kinds)
{
	static const char ref[] = "borrowed ";
	int fd = temp_file("0123456789");

	body_put(&a, "one ", 4);
	body_put(&a, "two ", 4);
	body_put_ref(&a, ref, 9);
	body_put_file(&a, fd, 2, 3, true);
	body_put(&a, " end", 4);
	ck_assert_int_eq(a.queued, 24);
	ck_assert_int_eq(a.total, 24);
	ck_assert_uint_eq(a.memory, 12);
	took(&a, "one two borrowed 234 end");
	ck_assert_int_eq(a.queued, 0);
	ck_assert(!body_is_done(&a));
	body_end(&a);
	ck_assert(body_is_done(&a));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(iov_stops_at_a_file)
{
	struct iovec iov[4];
	int64_t off, len;
	size_t n;
	int fd = temp_file("abc"), got;

	body_put(&a, "head", 4);
	body_put_file(&a, fd, 0, 3, false);
	body_put(&a, "tail", 4);
	ck_assert_int_eq(body_iov(&a, iov, 4, &n), 1);
	ck_assert_uint_eq(n, 4);
	ck_assert(!body_file(&a, &got, &off, &len));
	body_consume(&a, 4);
	ck_assert_int_eq(body_iov(&a, iov, 4, &n), 0);
	ck_assert(body_file(&a, &got, &off, &len));
	ck_assert_int_eq(got, fd);
	ck_assert_int_eq(len, 3);
	body_consume(&a, 1);
	ck_assert(body_file(&a, &got, &off, &len));
	ck_assert_int_eq(off, 1);
	ck_assert_int_eq(len, 2);
	body_consume(&a, 2);
	took(&a, "tail");
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
}
END_TEST

START_TEST(shorter_file_is_a_failure)
{
	char got[16];
	int fd = temp_file("abc");

	body_put_file(&a, fd, 0, 10, true);
	body_end(&a);
	ck_assert_int_eq(body_take(&a, got, sizeof(got)), 3);
	ck_assert_int_eq(body_take(&a, got, sizeof(got)), -1);
	ck_assert_int_eq(a.state, BODY_FAILED);
	ck_assert_int_eq(a.err, EIO);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(full_body_tells_when_there_is_space)
{
	char block[8192] = { 0 };

	body_on_space(&a, count, &space_calls);
	while (!body_is_full(&a))
		body_put(&a, block, sizeof(block));
	ck_assert_uint_ge(a.memory, BODY_HIGH);
	body_consume(&a, 1024);
	run_posts();
	ck_assert_int_eq(space_calls, 0);
	body_consume(&a, a.queued - BODY_LOW);
	run_posts();
	/* Below high before it fell to low: the notice comes when it is empty at the latest. */
	body_consume(&a, a.queued);
	run_posts();
	ck_assert_int_ge(space_calls, 1);
}
END_TEST

START_TEST(data_notice_is_posted_once_a_turn)
{
	body_on_data(&a, count, &data_calls);
	run_posts();
	ck_assert_int_eq(data_calls, 0);
	body_put(&a, "x", 1);
	body_put(&a, "y", 1);
	body_end(&a);
	run_posts();
	ck_assert_int_eq(data_calls, 1);
	body_on_data(&a, count, &data_calls);
	run_posts();
	ck_assert_int_eq(data_calls, 2);
}
END_TEST

START_TEST(cancel_drops_and_tells_the_producer)
{
	int fd = temp_file("abc");

	body_on_space(&a, count, &space_calls);
	body_put(&a, "abc", 3);
	body_cancel(&a);
	ck_assert(body_is_empty(&a));
	run_posts();
	ck_assert_int_eq(space_calls, 1);
	body_put(&a, "more", 4);
	body_put_file(&a, fd, 0, 3, true);
	ck_assert(body_is_empty(&a));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	body_end(&a);
	ck_assert_int_eq(a.state, BODY_CANCELLED);
}
END_TEST

START_TEST(failure_comes_after_what_was_queued)
{
	char got[8];

	body_put(&a, "abc", 3);
	body_fail(&a, ECONNRESET);
	body_put(&a, "x", 1);
	took(&a, "abc");
	ck_assert_int_eq(body_take(&a, got, sizeof(got)), -1);
	ck_assert_int_eq(a.err, ECONNRESET);
}
END_TEST

START_TEST(moves_without_copying)
{
	struct buf *buf = buf_get();
	struct iovec iov[4];
	int fd = temp_file("0123456789");
	const char *at = buf->data;
	size_t n;

	memset(buf->data, 'z', 4000);
	buf->used = 4000;
	body_put_buf(&a, buf, buf->data, 4000);
	body_put_file(&a, fd, 0, 10, true);
	ck_assert_int_eq(body_move(&b, &a, 2500), 2500);
	ck_assert_int_eq(body_iov(&b, iov, 4, &n), 1);
	ck_assert_ptr_eq(iov[0].iov_base, at);
	ck_assert_int_eq(body_move(&b, &a, 1504), 1504);
	ck_assert_int_eq(a.queued, 6);
	ck_assert_int_eq(body_move(&b, &a, INT64_MAX), 6);
	ck_assert_int_eq(b.queued, 4010);
	body_consume(&b, 4000);
	took(&b, "0123456789");
	ck_assert(body_is_empty(&a));
}
END_TEST

START_TEST(small_parts_do_not_pin_blocks)
{
	struct buf *buf = buf_get();

	memcpy(buf->data, "abcdef", 6);
	buf->used = 6;
	buf->refs++;
	body_put_buf(&a, buf, buf->data, 3);
	ck_assert_uint_eq(buf->refs, 1);
	buf_put(buf);
	took(&a, "abc");
}
END_TEST

START_TEST(large_puts_are_split_into_blocks)
{
	size_t n = 100000, at = 0;
	char *big = malloc(n), *got = malloc(n);

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i * 7 + i / 251);
	body_put(&a, big, n);
	ck_assert_int_eq(a.queued, (int64_t)n);
	while (at < n) {
		ssize_t k = body_take(&a, got + at, 777);

		ck_assert_int_gt(k, 0);
		at += (size_t)k;
	}
	ck_assert_mem_eq(big, got, n);
	ck_assert_uint_eq(a.memory, 0);
	free(big);
	free(got);
}
END_TEST

Suite *
suite_body(void)
{
	const TTest *const tests[] = { keeps_order_over_kinds, iov_stops_at_a_file,
		shorter_file_is_a_failure, full_body_tells_when_there_is_space,
		data_notice_is_posted_once_a_turn, cancel_drops_and_tells_the_producer,
		failure_comes_after_what_was_queued, moves_without_copying,
		small_parts_do_not_pin_blocks, large_puts_are_split_into_blocks };
	Suite *s = suite_create("body");
	TCase *t = tcase_create("body");

	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	return s;
}

#include <unistd.h>

#include "master/base/loop.h"
#include "test/unit/unit.h"

Suite *suite_loop(void);

static struct alarm alarms[3];
static struct watch watches[3];
static int pipes[3][2];
static char order[16];

static void
note(char c)
{
	size_t n = strlen(order);

	ck_assert_uint_lt(n, sizeof(order) - 1);
	order[n] = c;
}

static void
rings(void *arg)
{
	note(*(const char *)arg);
}

static void
hears(void *arg, short revents)
{
	char c;

	ck_assert(revents & POLLIN);
	ck_assert_int_eq(read(pipes[*(int *)arg][0], &c, 1), 1);
	note(c);
}

/* Whoever is first ends all the others. */
static void
hears_alone(void *arg, short revents)
{
	hears(arg, revents);
	for (int i = 0; i < 3; i++)
		watch_del(&watches[i]);
}

static void
setup(void)
{
	memset(order, 0, sizeof(order));
	memset(alarms, 0, sizeof(alarms));
	memset(watches, 0, sizeof(watches));
	loop_init();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pipe(pipes[i]), 0);
}

static void
teardown(void)
{
	for (int i = 0; i < 3; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

/* In the order of their times, not of their setting; one that was taken back never. */
START_TEST(test_alarms)
{
	alarm_set(&alarms[0], 3, rings, (void *)(uintptr_t) "c");
	alarm_set(&alarms[1], 1, rings, (void *)(uintptr_t) "a");
	alarm_set(&alarms[2], 600000, rings, (void *)(uintptr_t) "x");
	alarm_set(&alarms[2], 2, rings, (void *)(uintptr_t) "b");
	while (strlen(order) < 3)
		loop_turn();
	ck_assert_str_eq(order, "abc");
	ck_assert(!link_is_on(&alarms[0].link));
	alarm_set(&alarms[0], 0, rings, (void *)(uintptr_t) "x");
	alarm_set(&alarms[1], 0, rings, (void *)(uintptr_t) "d");
	alarm_del(&alarms[0]);
	alarm_del(&alarms[2]);
	loop_turn();
	ck_assert_str_eq(order, "abcd");
}
END_TEST

static int indices[3] = { 0, 1, 2 };

START_TEST(test_watches)
{
	for (int i = 0; i < 3; i++)
		watch_add(&watches[i], pipes[i][0], POLLIN, hears, &indices[i]);
	ck_assert_int_eq(write(pipes[1][1], "b", 1), 1);
	loop_turn();
	ck_assert_str_eq(order, "b");
	ck_assert_int_eq(write(pipes[2][1], "c", 1), 1);
	ck_assert_int_eq(write(pipes[0][1], "a", 1), 1);
	watch_del(&watches[0]);
	loop_turn();
	ck_assert_str_eq(order, "bc");
	watch_add(&watches[0], pipes[0][0], POLLIN, hears, &indices[0]);
	loop_turn();
	ck_assert_str_eq(order, "bca");
	for (int i = 0; i < 3; i++)
		watch_del(&watches[i]);
}
END_TEST

/* What was taken out of the turn is not called in it, though it was ready. */
START_TEST(test_deleted_in_the_turn)
{
	for (int i = 0; i < 3; i++) {
		watch_add(&watches[i], pipes[i][0], POLLIN, hears_alone, &indices[i]);
		ck_assert_int_eq(write(pipes[i][1], &"abc"[i], 1), 1);
	}
	loop_turn();
	ck_assert_str_eq(order, "a");
}
END_TEST

/* Descriptors first: what came before an alarm was due is known when it rings. */
START_TEST(test_descriptors_first)
{
	watch_add(&watches[0], pipes[0][0], POLLIN, hears, &indices[0]);
	ck_assert_int_eq(write(pipes[0][1], "r", 1), 1);
	alarm_set(&alarms[1], 0, rings, (void *)(uintptr_t) "b");
	loop_turn();
	ck_assert_str_eq(order, "rb");
	watch_del(&watches[0]);
}
END_TEST

Suite *
suite_loop(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("loop");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_alarms);
	tcase_add_test(t, test_watches);
	tcase_add_test(t, test_deleted_in_the_turn);
	tcase_add_test(t, test_descriptors_first);
	suite_add_tcase(s, t);
	return s;
}

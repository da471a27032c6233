/* Timers by class: order, expiry, deletion; jobs beside the loop: order within a lane. */
#include <unistd.h>

#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/state.h"

struct counted {
	struct timer timer;
	int fired;
};

static void
fire(void *arg)
{
	((struct counted *)arg)->fired++;
}

START_TEST(fire_in_time_and_once)
{
	static struct worker w;
	struct counted a = { .timer = { .fn = fire, .arg = &a } };
	struct counted b = { .timer = { .fn = fire, .arg = &b } };
	struct timer_class *short_ = timer_class(&w, 100), *long_ = timer_class(&w, 1000);

	ck_assert_ptr_eq(timer_class(&w, 100), short_);
	ck_assert_ptr_ne(short_, long_);
	w.now = 5000;
	timer_set(&w, &a.timer, short_);
	timer_set(&w, &b.timer, long_);
	w.now = 5099;
	timer_run(&w);
	ck_assert_int_eq(a.fired + b.fired, 0);
	w.now = 5100;
	timer_run(&w);
	ck_assert_int_eq(a.fired, 1);
	timer_set(&w, &a.timer, long_);
	w.now = 6000;
	timer_run(&w);
	ck_assert_int_eq(b.fired, 1);
	ck_assert_int_eq(a.fired, 1);
	timer_del(&a.timer);
	timer_del(&a.timer);
	w.now = 60000;
	timer_run(&w);
	ck_assert_int_eq(a.fired, 1);
}
END_TEST

/* Any number of lengths, all in use at once: each fires when it is due, none before. */
START_TEST(any_number_of_lengths)
{
	enum { LENGTHS = 5000 };
	static struct worker w;
	static struct counted c[LENGTHS];

	for (int i = 0; i < LENGTHS; i++) {
		c[i] = (struct counted){ .timer = { .fn = fire, .arg = &c[i] } };
		timer_set(&w, &c[i].timer, timer_class(&w, i * 7 + 1));
	}
	for (w.now = 0; w.now <= LENGTHS * 7; w.now += TICK_MS) {
		int wrong = 0;

		timer_run(&w);
		for (int i = 0; i < LENGTHS; i++)
			wrong += c[i].fired != ((uint64_t)i * 7 + 1 <= w.now);
		ck_assert_int_eq(wrong, 0);
	}
	timer_fini(&w);
}
END_TEST

/* Lengths that come and go leave nothing behind, and none takes the place of one in use. */
START_TEST(lengths_that_pass_are_forgotten)
{
	static struct worker w;
	struct counted kept = { .timer = { .fn = fire, .arg = &kept } };
	struct counted c = { .timer = { .fn = fire, .arg = &c } };
	struct timer_class *k = timer_class(&w, 1000000);

	timer_set(&w, &kept.timer, k);
	for (int i = 0; i < 100000; i++) {
		timer_set(&w, &c.timer, timer_class(&w, 1 + i * 3));
		if (i % 50 == 0) {
			w.now += TICK_MS;
			timer_run(&w);
		}
	}
	ck_assert_uint_le(w.nclasses, 2 * TIMER_CLASSES);
	ck_assert_ptr_eq(timer_class(&w, 1000000), k);
	ck_assert_int_eq(kept.fired, 0);
	w.now = 1000000;
	timer_run(&w);
	ck_assert_int_eq(kept.fired, 1);
	timer_del(&c.timer);
	timer_fini(&w);
}
END_TEST

/* Nothing that a length may be is refused. */
START_TEST(lengths_of_nothing)
{
	static struct worker w;
	struct counted c = { .timer = { .fn = fire, .arg = &c } };

	timer_set(&w, &c.timer, timer_class(&w, 0));
	timer_set(&w, &c.timer, timer_class(&w, INT64_MIN));
	timer_run(&w);
	ck_assert_int_eq(c.fired, 0);
	w.now = TICK_MS;
	timer_run(&w);
	ck_assert_int_eq(c.fired, 1);
	timer_fini(&w);
}
END_TEST

struct numbered {
	struct job job;
	int number;
};

enum { JOBS = 200 };
static int order[JOBS], norder, ndone;

/* Jobs of one lane: no two at a time, so this needs no lock. */
static void
work(struct job *j)
{
	order[norder++] = container_of(j, struct numbered, job)->number;
}

static void
done(struct job *j)
{
	(void)j;
	ndone++;
}

START_TEST(jobs_of_a_lane_keep_their_order)
{
	struct loopback *lo = rows_open(NULL, "respond = \"x\";");
	static struct numbered jobs[JOBS];

	norder = ndone = 0;
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct numbered){ .job = { .work = work, .done = done, .lane = 3 },
			.number = i };
		worker_offload(lo_worker(lo), &jobs[i].job);
	}
	for (int i = 0; i < 2000 && ndone < JOBS; i++)
		lo_turns(lo, 1, 1);
	ck_assert_int_eq(ndone, JOBS);
	for (int i = 0; i < JOBS; i++)
		ck_assert_int_eq(order[i], i);
	lo_close(lo);
}
END_TEST

Suite *
suite_timer(void)
{
	Suite *s = suite_create("timer");
	TCase *t = tcase_create("timer");

	tcase_add_test(t, fire_in_time_and_once);
	tcase_add_test(t, any_number_of_lengths);
	tcase_add_test(t, lengths_that_pass_are_forgotten);
	tcase_add_test(t, lengths_of_nothing);
	tcase_add_test(t, jobs_of_a_lane_keep_their_order);
	suite_add_tcase(s, t);
	return s;
}

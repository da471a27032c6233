/*
 * The state of a host: stories by table, each step with what it made of the host; the cap on
 * ejections; leases.
 */
#include "common/base/clock.h"
#include "test/unit/scene.h"

Suite *suite_backend_state(void);

enum op { END, FAIL, OK, TRY, UNTRY, TRIAL_FAIL, TRIAL_OK, GOOD, BAD };

struct step {
	enum op op;
	unsigned at; /* ms after NOW */
	enum backend_cause cause;
	bool is_made;
	enum backend_state state;
	unsigned until; /* ms after NOW; 0: none */
};

#define R CAUSE_REFUSED
#define U CAUSE_UNREACHABLE
#define E CAUSE_ERRORS
#define O CAUSE_OVERLOAD

static const struct story {
	const char *name;
	struct step steps[16];
} stories[] = {
	{ "three refusals take it out, a trial brings it back",
	    {
		{ FAIL, 0, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 1, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 2, R, true, BACKEND_DOWN, 1002 },
		{ FAIL, 3, R, false, BACKEND_DOWN, 1002 },
		{ TRY, 1001, 0, false, BACKEND_DOWN, 1002 },
		{ TRY, 1002, 0, true, BACKEND_TRIAL, 1502 },
		{ TRY, 1003, 0, false, BACKEND_TRIAL, 1502 },
		{ TRIAL_OK, 1100, 0, true, BACKEND_UP, 0 },
		{ OK, 1101, 0, false, BACKEND_UP, 0 },
	    } },
	{ "refusals further apart than the window do not add up",
	    {
		{ FAIL, 0, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 1, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 10001, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 10002, R, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 10003, R, true, BACKEND_DOWN, 11003 },
	    } },
	{ "answers do not make refusals forgotten before the window is over",
	    {
		{ FAIL, 0, R, false, BACKEND_SUSPECT, 0 },
		{ OK, 1, 0, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 2, R, false, BACKEND_SUSPECT, 0 },
		{ OK, 3, 0, false, BACKEND_SUSPECT, 0 },
		{ OK, 10001, 0, false, BACKEND_UP, 0 },
	    } },
	{ "errors are forgotten with an answer",
	    {
		{ FAIL, 0, E, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 0, E, false, BACKEND_SUSPECT, 0 },
		{ OK, 1, 0, false, BACKEND_UP, 0 },
		{ FAIL, 2, E, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 2, E, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 2, E, true, BACKEND_DOWN, 4002 },
	    } },
	{ "overload at once; each cause has its time",
	    {
		{ FAIL, 0, O, true, BACKEND_OVERLOADED, 500 },
		{ TRY, 500, 0, true, BACKEND_TRIAL, 1000 },
		{ TRIAL_OK, 500, 0, true, BACKEND_UP, 0 },
		{ FAIL, 501, U, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 501, U, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 501, U, true, BACKEND_DOWN, 4501 },
	    } },
	{ "the time doubles with every trial that fails, up to the limit",
	    {
		{ FAIL, 0, U, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 0, U, false, BACKEND_SUSPECT, 0 },
		{ FAIL, 0, U, true, BACKEND_DOWN, 2000 },
		{ TRY, 2000, 0, true, BACKEND_TRIAL, 2500 },
		{ TRIAL_FAIL, 2001, U, false, BACKEND_DOWN, 6001 },
		{ TRY, 6001, 0, true, BACKEND_TRIAL, 6501 },
		{ TRIAL_FAIL, 6001, U, false, BACKEND_DOWN, 14001 },
		{ TRY, 14001, 0, true, BACKEND_TRIAL, 14501 },
		{ TRIAL_FAIL, 14001, U, false, BACKEND_DOWN, 30001 },
		{ TRY, 30001, 0, true, BACKEND_TRIAL, 30501 },
		{ TRIAL_FAIL, 30001, U, false, BACKEND_DOWN, 46001 },
	    } },
	{ "it is remembered when it comes back, and forgiven by and by",
	    {
		{ FAIL, 0, O, true, BACKEND_OVERLOADED, 500 },
		{ TRY, 500, 0, true, BACKEND_TRIAL, 1000 },
		{ TRIAL_OK, 500, 0, true, BACKEND_UP, 0 },
		{ FAIL, 600, O, true, BACKEND_OVERLOADED, 1600 },
		{ TRY, 1600, 0, true, BACKEND_TRIAL, 2100 },
		{ TRIAL_OK, 1600, 0, true, BACKEND_UP, 0 },
		{ FAIL, 17700, O, true, BACKEND_OVERLOADED, 18700 },
		{ TRY, 18700, 0, true, BACKEND_TRIAL, 19200 },
		{ TRIAL_OK, 18700, 0, true, BACKEND_UP, 0 },
		{ FAIL, 60000, O, true, BACKEND_OVERLOADED, 60500 },
	    } },
	{ "what others say does not end a trial",
	    {
		{ FAIL, 0, O, true, BACKEND_OVERLOADED, 500 },
		{ OK, 100, 0, false, BACKEND_OVERLOADED, 500 },
		{ TRY, 500, 0, true, BACKEND_TRIAL, 1000 },
		{ OK, 501, 0, false, BACKEND_TRIAL, 1000 },
		{ FAIL, 502, R, false, BACKEND_TRIAL, 1000 },
		{ TRIAL_OK, 503, 0, true, BACKEND_UP, 0 },
	    } },
	{ "a lease ends, and a trial can be given back",
	    {
		{ FAIL, 0, O, true, BACKEND_OVERLOADED, 500 },
		{ TRY, 500, 0, true, BACKEND_TRIAL, 1000 },
		{ TRY, 999, 0, false, BACKEND_TRIAL, 1000 },
		{ TRY, 1000, 0, true, BACKEND_TRIAL, 1500 },
		{ UNTRY, 1001, 0, false, BACKEND_OVERLOADED, 1001 },
		{ TRIAL_OK, 1002, 0, false, BACKEND_OVERLOADED, 1001 },
		{ TRY, 1002, 0, true, BACKEND_TRIAL, 1502 },
	    } },
	{ "checks: fall and rise",
	    {
		{ BAD, 0, 0, false, BACKEND_UP, 0 },
		{ BAD, 1, 0, false, BACKEND_UP, 0 },
		{ GOOD, 2, 0, false, BACKEND_UP, 0 },
		{ BAD, 3, 0, false, BACKEND_UP, 0 },
		{ BAD, 4, 0, false, BACKEND_UP, 0 },
		{ BAD, 5, 0, true, BACKEND_DOWN, 6005 },
		{ BAD, 2005, 0, false, BACKEND_DOWN, 8005 },
		{ GOOD, 4005, 0, false, BACKEND_DOWN, 10005 },
		{ BAD, 6005, 0, false, BACKEND_DOWN, 12005 },
		{ GOOD, 8005, 0, false, BACKEND_DOWN, 14005 },
		{ GOOD, 10005, 0, true, BACKEND_UP, 0 },
	    } },
	{ "good checks leave a host alone that is out for something else",
	    {
		{ FAIL, 0, O, true, BACKEND_OVERLOADED, 500 },
		{ GOOD, 1, 0, false, BACKEND_OVERLOADED, 500 },
		{ GOOD, 2, 0, false, BACKEND_OVERLOADED, 500 },
		{ GOOD, 3, 0, false, BACKEND_OVERLOADED, 500 },
	    } },
};

#undef R
#undef U
#undef E
#undef O

static bool
step_do(const struct step *s, unsigned row)
{
	struct backend_at at = scene_at(row, s->op == TRIAL_FAIL || s->op == TRIAL_OK ? 3 : -1);
	uint64_t now = NOW + s->at;

	switch (s->op) {
	case FAIL:
	case TRIAL_FAIL:
		return backend_failed(scene.shm, &at, s->cause, 0, now);
	case OK:
	case TRIAL_OK:
		return backend_succeeded(scene.shm, &at, 0, now);
	case TRY:
		return backend_try(scene.shm, row, 3, 500, now);
	case UNTRY:
		backend_untry(scene.shm, row, 4, now);
		ck_assert_int_eq(backend_state_of(scene.shm, row, NULL), BACKEND_TRIAL);
		backend_untry(scene.shm, row, 3, now);
		return false;
	case GOOD:
	case BAD:
		return backend_checked(scene.shm, &at, s->op == GOOD, now);
	case END:
		break;
	}
	ck_abort();
}

START_TEST(test_story)
{
	const struct story *story = &stories[_i];
	unsigned row = scene_host(1);

	scene_host(2); /* so that the first is not the pool's only one */
	for (const struct step *s = story->steps; s->op != END; s++) {
		int n = (int)(s - story->steps);
		bool is_made = step_do(s, row);
		uint64_t until = 0;
		enum backend_state state = backend_state_of(scene.shm, row, &until);

		ck_assert_msg(
		    is_made == s->is_made, "%s: step %d: made %d", story->name, n, is_made);
		ck_assert_msg(state == s->state, "%s: step %d: is %s", story->name, n,
		    backend_state_name(state));
		ck_assert_msg(until == (s->until ? NOW + s->until : 0), "%s: step %d: until %lld",
		    story->name, n, (long long)until - NOW);
	}
}
END_TEST

START_TEST(test_retry_after)
{
	static const struct {
		int64_t retry_after;
		unsigned until;
	} rows[] = { { 0, 500 }, { 1200, 1200 }, { 16000, 16000 }, { 86400000, 16000 } };

	for (int i = 0; i < UNIT_COUNT(rows); i++) {
		unsigned row = scene_host((unsigned)i);
		struct backend_at at = scene_at(row, -1);
		uint64_t until;

		ck_assert(backend_failed(scene.shm, &at, CAUSE_OVERLOAD, rows[i].retry_after, NOW));
		backend_state_of(scene.shm, row, &until);
		ck_assert_uint_eq(until, NOW + rows[i].until);
	}
}
END_TEST

static unsigned
out_of(unsigned hosts)
{
	unsigned n = 0;

	for (unsigned i = 0; i < hosts; i++)
		n += !backend_is_usable(scene.shm, scene_host(i));
	return n;
}

static const struct {
	unsigned hosts, eject;
	enum backend_cause cause;
	unsigned out;
} eject_rows[] = {
	{ 1, 100, CAUSE_ERRORS, 0 }, /* never the last usable one */
	{ 1, 50, CAUSE_REFUSED, 1 },
	{ 2, 50, CAUSE_ERRORS, 1 },
	{ 2, 100, CAUSE_ERRORS, 1 },
	{ 3, 50, CAUSE_ERRORS, 1 },
	{ 4, 50, CAUSE_ERRORS, 2 },
	{ 10, 30, CAUSE_ERRORS, 3 },
	{ 10, 0, CAUSE_ERRORS, 0 },
	{ 10, 30, CAUSE_UNREACHABLE, 10 },
	{ 10, 30, CAUSE_OVERLOAD, 10 },
};

START_TEST(test_ejection_has_a_cap)
{
	unsigned n = eject_rows[_i].hosts;

	scene.pool.failover.eject = eject_rows[_i].eject;
	out_of(n);
	backend_row(scene.shm, STR("other"), STR("x")); /* does not count */
	for (unsigned k = 0; k < 12; k++)
		for (unsigned i = 0; i < n; i++)
			scene_fail(scene_host(i), eject_rows[_i].cause, NOW + k);
	ck_assert_uint_eq(out_of(n), eject_rows[_i].out);
}
END_TEST

/* Nothing doubles while nobody else can serve; and who is out for long when the last one goes is
   tried sooner. */
START_TEST(test_last_one_is_tried_often)
{
	unsigned a = scene_host(1), b = scene_host(2), c = scene_host(3);
	struct backend_at at = scene_at(a, 0);
	uint64_t now = NOW, until;

	scene_out(a, CAUSE_REFUSED, now);
	for (unsigned i = 0; i < 5; i++) {
		backend_state_of(scene.shm, a, &now);
		ck_assert(backend_try(scene.shm, a, 0, 100, now));
		backend_failed(scene.shm, &at, CAUSE_REFUSED, 0, now);
	}
	backend_state_of(scene.shm, a, &until);
	ck_assert_uint_eq(until, now + 16000);
	scene_out(c, CAUSE_ERRORS, now);
	backend_state_of(scene.shm, c, &until);
	ck_assert_uint_eq(until, now + 4000);
	scene_out(b, CAUSE_REFUSED, now);
	backend_state_of(scene.shm, a, &until);
	ck_assert_uint_eq(until, now + 1000);
	backend_state_of(scene.shm, b, &until);
	ck_assert_uint_eq(until, now + 1000);
	backend_state_of(scene.shm, c, &until);
	ck_assert_uint_eq(until, now);
	for (unsigned i = 0; i < 5; i++) {
		backend_state_of(scene.shm, a, &now);
		ck_assert(backend_try(scene.shm, a, 0, 100, now));
		backend_failed(scene.shm, &at, CAUSE_REFUSED, 0, now);
		backend_state_of(scene.shm, a, &until);
		ck_assert_uint_eq(until, now + 1000);
	}
}
END_TEST

START_TEST(test_warmth)
{
	static const struct {
		unsigned ms, warmth;
	} rows[] = { { 0, 10 }, { 1999, 10 }, { 2000, 20 }, { 5500, 50 }, { 9999, 90 },
		{ 10000, 100 }, { 99999, 100 } };
	unsigned row = scene_host(1);
	struct backend_at at = scene_at(row, 1);

	ck_assert_uint_eq(backend_warmth(scene.shm, row, &scene.pool, NOW), 100);
	scene_out(row, CAUSE_REFUSED, NOW - 1000);
	ck_assert(backend_try(scene.shm, row, 1, 100, NOW));
	ck_assert(backend_succeeded(scene.shm, &at, 0, NOW));
	for (int i = 0; i < UNIT_COUNT(rows); i++)
		ck_assert_uint_eq(
		    backend_warmth(scene.shm, row, &scene.pool, NOW + rows[i].ms), rows[i].warmth);
	scene.pool.failover.slow_start = 0;
	ck_assert_uint_eq(backend_warmth(scene.shm, row, &scene.pool, NOW), 100);
}
END_TEST

START_TEST(test_operator)
{
	unsigned row = scene_host(1);

	ck_assert(backend_is_usable(scene.shm, row));
	ck_assert(backend_admin_set(scene.shm, row, ADMIN_DRAIN));
	ck_assert(!backend_is_usable(scene.shm, row));
	ck_assert_int_eq(backend_admin_of(scene.shm, row), ADMIN_DRAIN);
	ck_assert(backend_admin_set(scene.shm, row, ADMIN_NONE));
	ck_assert(backend_is_usable(scene.shm, row));
	/* It has been without requests for a while. */
	ck_assert_uint_eq(backend_warmth(scene.shm, row, &scene.pool, clock_ms()), 10);
	ck_assert(!backend_admin_set(scene.shm, row, (enum backend_admin)7));
	ck_assert(backend_weight_set(scene.shm, row, 1000));
	ck_assert_uint_eq(backend_weight(scene.shm, row), 1000);
	ck_assert(!backend_weight_set(scene.shm, row, 1001));
	ck_assert(!backend_weight_set(scene.shm, row + 1, 1));
}
END_TEST

START_TEST(test_check_lease)
{
	unsigned row = scene_host(1);

	ck_assert(backend_check_take(scene.shm, row, 1, NOW, 2000));
	ck_assert(!backend_check_take(scene.shm, row, 1, NOW + 1, 2000));
	ck_assert(!backend_check_take(scene.shm, row, 2, NOW + 1999, 2000));
	ck_assert(backend_check_take(scene.shm, row, 2, NOW + 2000, 2000));
	/* Who holds it dies. */
	shm_table_clear(scene.shm, 1);
	ck_assert(!backend_check_take(scene.shm, row, 3, NOW + 2001, 2000));
	shm_table_clear(scene.shm, 2);
	ck_assert(backend_check_take(scene.shm, row, 3, NOW + 2001, 100000));
	/* The interval is shorter now than it was. */
	ck_assert(backend_check_take(scene.shm, row, 4, NOW + 2002, 2000));
	/* Its check is over; what others say of it does not count. */
	backend_check_next(scene.shm, row, 5, NOW);
	ck_assert(!backend_check_take(scene.shm, row, 5, NOW + 2003, 2000));
	backend_check_next(scene.shm, row, 4, NOW + 2500);
	ck_assert(!backend_check_take(scene.shm, row, 5, NOW + 2499, 2000));
	ck_assert(backend_check_take(scene.shm, row, 5, NOW + 2500, 2000));
}
END_TEST

START_TEST(test_trial_of_the_dead)
{
	unsigned row = scene_host(1);
	uint64_t until;

	scene_out(row, CAUSE_REFUSED, NOW);
	ck_assert(backend_try(scene.shm, row, 9, 60000, NOW + 1000));
	shm_table_clear(scene.shm, 8);
	ck_assert_int_eq(backend_state_of(scene.shm, row, &until), BACKEND_TRIAL);
	shm_table_clear(scene.shm, 9);
	ck_assert_int_eq(backend_state_of(scene.shm, row, &until), BACKEND_DOWN);
	ck_assert(backend_try(scene.shm, row, 8, 60000, NOW + 1001));
}
END_TEST

Suite *
suite_backend_state(void)
{
	Suite *s = suite_create("backend_state");
	TCase *c = tcase_create("backend_state");

	tcase_add_checked_fixture(c, scene_setup, scene_teardown);
	tcase_add_loop_test(c, test_story, 0, UNIT_COUNT(stories));
	tcase_add_test(c, test_retry_after);
	tcase_add_loop_test(c, test_ejection_has_a_cap, 0, UNIT_COUNT(eject_rows));
	tcase_add_test(c, test_last_one_is_tried_often);
	tcase_add_test(c, test_warmth);
	tcase_add_test(c, test_operator);
	tcase_add_test(c, test_check_lease);
	tcase_add_test(c, test_trial_of_the_dead);
	suite_add_tcase(s, c);
	return s;
}

/*
 * What the master does when workers die, hang, or never come up, and when it is told to reload or
 * to stop meanwhile. Each story runs master_run() from its start to its end.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "test/master/story.h"
#include "test/unit/unit.h"

Suite *suite_supervisor(void);

#define TERM(ms) AT(ms, signal, SIGTERM)
#define HUP(ms)  AT(ms, signal, SIGHUP)

static const char two[] = STORY_CONF(2, ""), four[] = STORY_CONF(4, ""), one[] = STORY_CONF(1, "");
static const char short_drain[] = STORY_CONF(2, "drain_timeout = \"5s\";");
static const char bounded[] = STORY_CONF(1, "max_generations = 2;");

/* The third and those after it until the tenth die as soon as they run. */
static void
born_young_deaths(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 2 && story_nth(p) < 10) {
		p->plan.dies = 1;
		p->plan.status = 1 << 8;
	}
}

static void
born_dead(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 2) {
		p->plan.dies = 3;
		p->plan.status = SIGABRT;
	}
}

static void
born_never_ready(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 2)
		p->plan.ready = NEVER;
}

static void
born_never_ready_deaf(struct proc *p, enum proc_kind kind)
{
	born_never_ready(p, kind);
	p->plan.is_deaf = kind == PROC_WORKER && story_nth(p) >= 2;
}

static void
born_slow(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		p->plan.ready = 1000;
	else
		p->plan.dies = 1000;
}

static void
born_faithful(struct proc *p, enum proc_kind kind)
{
	(void)kind;
	p->plan.drains = NEVER;
}

static void
born_deaf(struct proc *p, enum proc_kind kind)
{
	if (kind != PROC_WORKER)
		return;
	p->plan.drains = NEVER;
	p->plan.is_deaf = true;
}

static void
born_hanging(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) == 0)
		p->plan.hangs = 1000;
}

static void
born_refusing(struct proc *p, enum proc_kind kind)
{
	if (kind != PROC_CHECK)
		return;
	p->plan.says = "argand.conf:3: error: no such option\n";
	p->plan.status = EX_CONFIG << 8;
}

static void
born_crashing(struct proc *p, enum proc_kind kind)
{
	if (kind != PROC_CHECK)
		return;
	p->plan.says = NULL;
	p->plan.status = SIGSEGV;
}

static void
born_endless(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_CHECK)
		p->plan.dies = NEVER;
}

static const struct story stories[] = {
	{ "start and end", two, NULL, 0,
	    .steps = { AT(100, serves, 2), AT(100, number, 1), TERM(1000),
		AT(1001, says, 1, "requests have 5 s") } },
	{ "a dead worker is replaced at once", two, NULL, 0,
	    .steps = { AT(1500, kill, 1), AT(1501, born, 1500), AT(1501, serves, 1),
		AT(1600, serves, 2), AT(1600, number, 1), TERM(2000) } },
	{ "deaths in youth: back-off", two, born_young_deaths, 0,
	    .steps = { AT(2000, kill, 0), AT(2050, born, 2001), AT(2150, born, 2102),
		AT(2350, born, 2303), AT(2750, born, 2704), AT(3550, born, 3505),
		AT(5150, born, 5106), AT(8350, born, 8307), AT(13307, born, 8307),
		AT(13310, born, 13308), AT(13310, says, 1, "next try in 5000 ms"),
		AT(13310, serves, 1), AT(13400, serves, 2), AT(14400, kill, 0),
		AT(14450, born, 14400), AT(14500, serves, 2), TERM(15000) } },
	{ "no process to be had", two, NULL, 0,
	    .steps = { AT(2000, no_fork, 1), AT(2000, kill, 0), AT(2999, processes, 1),
		AT(3100, serves, 2), AT(3100, born, 3000), AT(4000, no_fork, 3), AT(4000, kill, 1),
		AT(7100, serves, 2), AT(7100, born, 7000), TERM(8000) } },
	{ "reload", two, NULL, 0,
	    .steps = { HUP(1000), AT(1100, number, 2), AT(1100, serves, 2), AT(1100, drains, 1),
		AT(1100, processes, 4), AT(3000, drains, 0), AT(3000, processes, 2), TERM(4000) } },
	{ "a worker that dies while it drains is not replaced", two, born_faithful, 0,
	    .steps = { HUP(1000), AT(1100, processes, 4), AT(1200, kill_old, 0),
		AT(2000, processes, 3), AT(2000, drains, 1), AT(2000, kill_old, 1),
		AT(2001, drains, 0), TERM(3000) } },
	{ "reloads that are asked for meanwhile are one", two, born_slow, 0,
	    .steps = { AT(3000, ask, 0, "reload"), AT(3500, ask, 0, "reload"),
		AT(4500, ask, 0, "reload"), HUP(4600), AT(5150, number, 2), AT(5150, answered, 1),
		AT(9000, number, 3), AT(9000, answered, 3), AT(9000, refused, 0),
		AT(9000, serves, 2), TERM(9000) } },
	{ "new workers that die at birth", two, born_dead, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(1500, number, 1), AT(1500, serves, 2),
		AT(1500, processes, 2), AT(1500, refused, 1),
		AT(1500, says, 1, "reload failed, generation 1 serves on"), TERM(2000) } },
	{ "new workers that never become ready", two, born_never_ready, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(31000, processes, 4), AT(31000, answered, 0),
		AT(31010, processes, 2), AT(31500, refused, 1), AT(31500, number, 1),
		AT(31500, serves, 2), AT(31500, says, 2, "was not ready in 30 s"), TERM(32000) } },
	{ "… and take no signal but the last", two, born_never_ready_deaf, 0,
	    .steps = { HUP(1000), AT(31500, number, 1), AT(33500, processes, 2),
		AT(33500, drains, 0), TERM(34000) } },
	{ "a new worker is killed: all of them go", four, born_slow, 0,
	    .steps = { HUP(2000), AT(3500, processes, 8), AT(3500, kill_new, 2),
		AT(3600, processes, 4), AT(3600, serves, 4), TERM(4000) } },
	{ "no process for new workers", two, NULL, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(1002, no_fork, 1), AT(1500, refused, 1),
		AT(1500, serves, 2), TERM(2000) } },
	{ "a configuration that is refused", two, born_refusing, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(1100, refused, 1), AT(1100, number, 1),
		AT(1100, says, 1, "no such option"), TERM(2000) } },
	{ "a check that crashes", two, born_crashing, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(1100, refused, 1),
		AT(1100, says, 1, "crashed the checker (SIGSEGV)"), TERM(2000) } },
	{ "a check that does not end", two, born_endless, 0,
	    .steps = { AT(1000, ask, 0, "reload"), AT(60990, answered, 0), AT(61100, refused, 1),
		AT(61100, serves, 2), HUP(62000), TERM(62100) } },
	{ "no address to be had", two, NULL, 0,
	    .steps = { AT(1000, no_listen, EX_TEMPFAIL), AT(1000, ask, 0, "reload"),
		AT(1100, refused, 1), AT(1100, no_listen, 0), AT(1100, ask, 0, "reload"),
		AT(1200, number, 2), AT(1200, refused, 1), TERM(2000) } },
	{ "more workers and fewer", two, NULL, 0,
	    .steps = { AT(1000, edit, 0, four), HUP(1000), AT(1100, serves, 4),
		AT(1100, processes, 6), AT(5000, processes, 4), AT(6000, edit, 0, one), HUP(6000),
		AT(6100, serves, 1), AT(9000, processes, 1), TERM(9000) } },
	{ "changed in place", two, NULL, 0,
	    .steps = { AT(1000, edit, 0, short_drain), HUP(1000), AT(1100, number, 1),
		AT(1100, says, 1, "with a change in place"), TERM(2000) } },
	{ "who drains for too long is ended", short_drain, born_faithful, 0,
	    .steps = { HUP(1000), AT(6900, drains, 1), AT(7100, drains, 0),
		AT(7100, says, 1, "has not finished in time"), TERM(8000) } },
	{ "… and killed", short_drain, born_deaf, 0,
	    .steps = { HUP(1000), AT(8900, drains, 1), AT(9100, drains, 0), AT(9100, processes, 2),
		TERM(10000) } },
	{ "too many generations: the oldest is cut short", bounded, born_faithful, 0,
	    .steps = { HUP(1000), HUP(2000), HUP(3000), AT(3100, drains, 3),
		AT(3100, says, 1, "generation 1 is cut short"), TERM(4000) } },
	{ "a worker that hangs", two, born_hanging, 0,
	    .steps = { AT(4000, says, 1, "hangs: no heartbeat"), AT(30000, processes, 2),
		AT(32000, says, 1, "has hung for 30 s"), AT(34500, serves, 2), TERM(35000) } },
};

/* Whoever is told to stop stops: in each state, in its time. */
static const struct story ends[] = {
	{ "before anybody serves", two, born_slow, 0, .steps = { TERM(500) } },
	{ "gracefully, before anybody serves", two, born_slow, 0,
	    .steps = { AT(500, signal, SIGQUIT) } },
	{ "while a configuration is checked", two, born_slow, 0,
	    .steps = { AT(2000, ask, 0, "reload"), TERM(2500) } },
	{ "while new workers start", two, born_slow, 0,
	    .steps = { AT(2000, ask, 0, "reload"), AT(2100, ask, 0, "reload"), TERM(3500) } },
	{ "while old ones drain", two, born_faithful, 0, .steps = { HUP(1000), TERM(2000) } },
	{ "while the seat of a dead one waits", two, born_young_deaths, 0,
	    .steps = { AT(2000, kill, 0), TERM(10000) } },
	{ "while deaf ones drain", short_drain, born_deaf, 0, .steps = { HUP(1000), TERM(2000) } },
	{ "while deaf ones are killed", short_drain, born_deaf, 0,
	    .steps = { HUP(1000), TERM(7500) } },
	{ "gracefully, while deaf ones are killed", short_drain, born_deaf, 0,
	    .steps = { HUP(1000), AT(7500, signal, SIGQUIT) } },
	{ "twice", two, born_deaf, 0, .steps = { TERM(1000), TERM(1100), AT(1100, processes, 2) } },
	{ "gracefully, then soon, then now", two, born_deaf, 0,
	    .steps = { AT(1000, signal, SIGQUIT), TERM(2000), TERM(3000) } },
	{ "by a client", two, NULL, 0, .steps = { AT(1000, ask, 0, "stop") } },
	{ "by a client, fast, who is not the only one", two, born_slow, 0,
	    .steps = { AT(2000, ask, 0, "reload"), AT(2100, ask, 0, "stop fast") } },
	{ "and a reload then is nothing", two, born_faithful, 0,
	    .steps = { TERM(1000), HUP(1100) } },
};

/* A server that does not come up says so. */
static void
born_never(struct proc *p, enum proc_kind kind)
{
	(void)kind;
	p->plan.ready = NEVER;
}

static void
born_stillborn(struct proc *p, enum proc_kind kind)
{
	(void)kind;
	p->plan.dies = 5;
	p->plan.status = SIGILL;
}

static const struct story failures[] = {
	{ .what = "workers die", .conf = two, .born = born_stillborn, .status = EXIT_FAILURE },
	{ .what = "workers never become ready",
	    .conf = two,
	    .born = born_never,
	    .status = EXIT_FAILURE },
	{ .what = "no process is to be had", .conf = two, .no_fork = 1, .status = EXIT_FAILURE },
	{ .what = "no second process is to be had",
	    .conf = two,
	    .no_fork = -2,
	    .status = EXIT_FAILURE },
	{ .what = "no address is to be had",
	    .conf = two,
	    .no_listen = EX_TEMPFAIL,
	    .status = EX_TEMPFAIL },
	{ .what = "the configuration is wrong",
	    .conf = "server: { wrokers = 3; };",
	    .status = EX_CONFIG },
};

START_TEST(test_stories)
{
	story_run(&stories[_i]);
}
END_TEST

START_TEST(test_ends)
{
	story_run(&ends[_i]);
}
END_TEST

START_TEST(test_failures)
{
	story_run(&failures[_i]);
}
END_TEST

Suite *
suite_supervisor(void)
{
	Suite *s = suite_create("supervisor");
	TCase *t = tcase_create("stories");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_stories, 0, UNIT_COUNT(stories));
	tcase_add_loop_test(t, test_ends, 0, UNIT_COUNT(ends));
	tcase_add_loop_test(t, test_failures, 0, UNIT_COUNT(failures));
	suite_add_tcase(s, t);
	return s;
}

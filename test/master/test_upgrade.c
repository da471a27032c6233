/*
 * Another binary in place of this one: what it takes over, what goes back when it does not come up,
 * and who dies meanwhile.
 */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "test/master/listener_fake.h"
#include "test/master/story.h"
#include "test/unit/unit.h"

Suite *suite_upgrade(void);

#define TERM(ms)    AT(ms, signal, SIGTERM)
#define HUP(ms)     AT(ms, signal, SIGHUP)
#define UPGRADE(ms) AT(ms, signal, SIGUSR2)

static const char two[] = STORY_CONF(2, ""), three[] = STORY_CONF(3, "");
static const char short_drain[] = STORY_CONF(2, "drain_timeout = \"5s\";");
static const char wrong[] = "server: { wrokers = 2; };";

static void
born_never_ready(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 2 && story_nth(p) < 4)
		p->plan.ready = NEVER;
}

/* Seat 0 dies again and again, the new binary's never become ready, and all is well after that. */
static void
born_one_waits(struct proc *p, enum proc_kind kind)
{
	unsigned n = story_nth(p);

	if (kind != PROC_WORKER)
		return;
	if (n >= 3 && n < 10) {
		p->plan.dies = 1;
		p->plan.status = SIGSEGV;
	} else if (n >= 10 && n < 13) {
		p->plan.ready = NEVER;
	}
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
born_deaf(struct proc *p, enum proc_kind kind)
{
	if (kind != PROC_WORKER)
		return;
	p->plan.drains = NEVER;
	p->plan.is_deaf = true;
}

static void
born_of_another_version(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_CHECK)
		p->plan.says = "handover 99\n";
}

static void
passes_death(void)
{
	world_kill(&world.procs[0], SIGSEGV);
}

static void
passes_no_way_back(void)
{
	listener_fake.fails = EX_TEMPFAIL;
	world.fails_exec = true;
}

static void
passes_all_deaths(void)
{
	for (unsigned i = 0; i < world.nprocs; i++)
		world_kill(&world.procs[i], SIGSEGV);
}

static const struct story stories[] = {
	{ "it takes over", two, .may_exec = true,
	    .steps = { AT(1000, ask, 0, "upgrade"), AT(1100, execs, 1), AT(1100, number, 2),
		AT(1100, serves, 2), AT(1100, processes, 4), AT(1100, answered, 1),
		AT(1100, refused, 0), AT(3000, processes, 2), AT(4000, kill, 1),
		AT(4100, serves, 2), UPGRADE(5000), AT(5100, number, 3), AT(5100, execs, 2),
		AT(9000, processes, 2), TERM(9000) } },
	{ "it cannot be executed", two, .may_exec = true,
	    .steps = { AT(1000, no_exec, 1), AT(1000, ask, 0, "upgrade"), AT(1100, refused, 1),
		AT(1100, number, 1), AT(1100, serves, 2), HUP(1100), AT(1200, number, 2),
		TERM(2000) } },
	{ "it reads another record", two, born_of_another_version,
	    .steps = { AT(1000, ask, 0, "upgrade"), AT(1100, refused, 1), AT(1100, serves, 2),
		TERM(2000) } },
	{ "its configuration is wrong: back", two, .may_exec = true,
	    .steps = { AT(1000, edit, 0, wrong), AT(1000, ask, 0, "upgrade"), AT(1100, execs, 2),
		AT(1100, number, 1), AT(1100, serves, 2), AT(1100, refused, 1),
		AT(2000, edit, 0, two), HUP(2000), AT(2100, number, 2), AT(2100, serves, 2),
		AT(6000, processes, 2), TERM(6000) } },
	{ "its workers never become ready: back, and the dead are replaced", two, born_never_ready,
	    .may_exec = true,
	    .steps = { AT(1000, ask, 0, "upgrade"), AT(1100, execs, 1), AT(31100, execs, 2),
		AT(31100, number, 1), AT(31100, serves, 2), AT(31100, refused, 1),
		AT(32000, kill, 0), AT(32100, serves, 2), AT(34000, processes, 2), TERM(34000) } },
	{ "its configuration is wrong, and when that is mended all have died", two,
	    .may_exec = true,
	    .steps = { AT(1000, edit, 0, wrong), UPGRADE(1000), AT(1100, number, 1),
		AT(2000, kill, 0), AT(3000, kill, 1), AT(3500, serves, 0), AT(4000, edit, 0, two),
		AT(9000, serves, 2), AT(9000, number, 2), TERM(9000) } },
	{ "its addresses are not to be had, nor are they when it goes back", two, .may_exec = true,
	    .steps = { AT(1000, no_listen, EX_TEMPFAIL), UPGRADE(1000), AT(1100, execs, 2),
		AT(1100, number, 1), AT(1100, serves, 2), AT(2000, kill, 0), AT(3000, serves, 1),
		AT(4000, no_listen, 0), AT(9000, serves, 2), AT(9000, number, 2), TERM(12000) } },
	{ "its workers never become ready, and there is no way back", two, born_never_ready,
	    .may_exec = true,
	    .steps = { AT(1000, ask, 0, "upgrade"), AT(1100, execs, 1), AT(1100, no_exec, 1),
		AT(31100, execs, 1), AT(31100, number, 1), AT(31100, serves, 2),
		AT(31100, refused, 1), AT(32000, kill, 0), AT(33000, serves, 2),
		AT(33000, number, 3), TERM(34000) } },
	{ "no addresses for it, and no way back", two, .may_exec = true,
	    .passes = passes_no_way_back,
	    .steps = { AT(1000, ask, 0, "upgrade"), AT(1000, ask, 0, "reload"), AT(1100, execs, 1),
		AT(1100, number, 1), AT(1100, serves, 2), AT(1100, refused, 2),
		AT(2000, no_listen, 0), HUP(2000), AT(2100, number, 2), AT(2100, serves, 2),
		TERM(4000) } },
	{ "a seat waits when it goes back", three, born_one_waits, .may_exec = true,
	    .steps = { AT(2000, kill, 0), UPGRADE(6000), AT(6100, execs, 1), AT(37000, execs, 2),
		AT(37000, number, 1), AT(37100, serves, 3), AT(39000, processes, 3),
		TERM(39000) } },
	{ "a worker dies between the two", two, .may_exec = true, .passes = passes_death,
	    .steps = { UPGRADE(1000), AT(1100, number, 3), AT(1100, serves, 2),
		AT(5000, processes, 2), TERM(5000) } },
	{ "all of them die between the two", two, .may_exec = true, .passes = passes_all_deaths,
	    .steps = { UPGRADE(1000), AT(1100, number, 3), AT(1100, serves, 2),
		AT(5000, processes, 2), TERM(5000) } },
	{ "a worker from before dies while new ones start: loaded once more", two, born_slow,
	    .may_exec = true,
	    .steps = { UPGRADE(2000), AT(3500, kill, 1), AT(9000, serves, 2), AT(9000, number, 3),
		TERM(9000) } },
	{ "asked for during a reload", two, born_slow, .may_exec = true,
	    .steps = { AT(2000, ask, 0, "reload"), AT(2500, ask, 0, "upgrade"),
		AT(2600, ask, 0, "reload"), AT(9000, execs, 1), AT(9000, answered, 3),
		AT(9000, refused, 0), AT(9000, serves, 2), TERM(9000) } },
	{ "a reload is asked for during it", two, born_slow, .may_exec = true,
	    .steps = { AT(2000, ask, 0, "upgrade"), AT(2500, ask, 0, "reload"),
		AT(3500, ask, 0, "reload"), AT(9000, answered, 3), AT(9000, refused, 0),
		TERM(9000) } },
	{ "stopped while it is asked", two, born_slow,
	    .steps = { AT(2000, ask, 0, "upgrade"), TERM(2500) } },
	{ "stopped while its workers start", two, born_slow, .may_exec = true,
	    .steps = { AT(2000, ask, 0, "upgrade"), TERM(3500) } },
	{ "who drains keeps its time", short_drain, born_deaf, .may_exec = true,
	    .steps = { HUP(1000), UPGRADE(4000), AT(4100, drains, 2), AT(8900, drains, 2),
		AT(9100, drains, 1), AT(12000, drains, 1), AT(12100, drains, 0), TERM(13000) } },
	{ "who was to end ends", short_drain, born_deaf, .may_exec = true,
	    .steps = { HUP(1000), AT(7100, says, 1, "has not finished in time"), UPGRADE(7500),
		AT(9900, drains, 1), TERM(11000) } },
};

START_TEST(test_stories)
{
	story_run(&stories[_i]);
}
END_TEST

Suite *
suite_upgrade(void)
{
	Suite *s = suite_create("upgrade");
	TCase *t = tcase_create("stories");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_stories, 0, UNIT_COUNT(stories));
	suite_add_tcase(s, t);
	return s;
}

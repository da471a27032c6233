/*
 * A master that is killed, and the next one that the service manager starts: workers serve on, and
 * are taken over.
 */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "test/master/story.h"
#include "test/unit/unit.h"

Suite *suite_orphans(void);

#define TERM(ms)  AT(ms, signal, SIGTERM)
#define HUP(ms)   AT(ms, signal, SIGHUP)
#define CRASH(ms) AT(ms, crash, 0)

static const char two[] = STORY_CONF(2, "drain_timeout = \"5s\";");
static const char pool[] = STORY_POOL(1, 2, "");

static void
born_slow(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		p->plan.ready = 1000;
}

static void
born_faithful(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		p->plan.drains = NEVER;
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
born_dead_after_one(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 1) {
		p->plan.dies = 3;
		p->plan.status = SIGABRT;
	}
}

static const struct story stories[] = {
	{ "they serve until the new ones do", two, .is_managed = true, .may_exec = true,
	    .steps = { CRASH(2000), AT(2005, processes, 4), AT(2005, number, 1),
		AT(2100, number, 2), AT(2100, serves, 2), AT(5000, processes, 2), TERM(5000) } },
	{ "twice, before the new ones serve", two, .born = born_slow, .is_managed = true,
	    .may_exec = true,
	    .steps = { CRASH(3000), AT(3500, number, 1), CRASH(3500), AT(3600, number, 1),
		AT(3600, serves, 2), AT(5000, serves, 2), AT(9000, processes, 2), TERM(9000) } },
	{ "in the middle of a reload", two, .born = born_slow, .is_managed = true, .may_exec = true,
	    .steps = { HUP(2000), CRASH(2500), AT(2600, number, 1), AT(9000, processes, 2),
		AT(9000, serves, 2), TERM(9000) } },
	{ "while older ones drain", two, .born = born_faithful, .is_managed = true,
	    .may_exec = true,
	    .steps = { HUP(2000), CRASH(3000), AT(3100, number, 3), AT(3100, drains, 2),
		AT(9000, drains, 2), AT(9200, drains, 0), TERM(10000) } },
	{ "a worker dies while nobody looks", two, .is_managed = true, .may_exec = true,
	    .steps = { AT(2000, kill, 0), CRASH(2000), AT(2100, number, 2), AT(2100, serves, 2),
		AT(5000, processes, 2), TERM(5000) } },
	{ "one from before dies: loaded once more", two, .born = born_slow, .is_managed = true,
	    .may_exec = true,
	    .steps = { CRASH(2000), AT(2500, kill, 1), AT(9000, number, 3), AT(9000, serves, 2),
		TERM(9000) } },
	{ "the new one is stopped at once: it stops them too", two, .born = born_slow,
	    .is_managed = true, .may_exec = true, .steps = { CRASH(2000), TERM(2100) } },
	{ "with processes of a pool", pool, .is_managed = true, .may_exec = true,
	    .steps = { CRASH(2000), AT(2100, runs, 2), AT(2100, number, 2), AT(9000, runs, 2),
		AT(9000, pools, 1), TERM(9000) } },
	{ "with processes of a pool, and a load that fails", pool, .born = born_dead_after_one,
	    .is_managed = true, .may_exec = true,
	    .steps = { CRASH(2000), AT(2100, number, 1), AT(2100, runs, 0), AT(2100, paths, 1),
		HUP(3000), AT(3500, paths, 1), AT(3500, runs, 0), TERM(9000) } },
	{ "no address is to be had: they serve on", two, .is_managed = true, .may_exec = true,
	    .steps = { AT(2000, no_listen, EX_TEMPFAIL), CRASH(2000), AT(2100, number, 1),
		AT(2100, serves, 2), AT(5000, kill, 0), AT(6000, no_listen, 0),
		AT(11000, number, 2), AT(11000, serves, 2), TERM(12000) } },
	{ "no address is to be had at first: tried again", two, .is_managed = true,
	    .may_exec = true,
	    .steps = { AT(2000, no_listen, EX_TEMPFAIL), CRASH(2000), AT(3000, no_listen, 0),
		AT(6900, number, 1), AT(7100, number, 2), AT(7100, serves, 2), TERM(9000) } },
	{ "the new workers die at birth: they serve on", two, .born = born_dead, .is_managed = true,
	    .may_exec = true,
	    .steps = { CRASH(2000), AT(2100, number, 1), AT(2100, serves, 2), TERM(9000) } },
	{ "the configuration is wrong: they serve on", two, .status = EX_CONFIG, .left = 2,
	    .is_managed = true, .may_exec = true,
	    .steps = { AT(2000, edit, 0, "server: { wrokers = 2; };"), CRASH(2000) } },
};

START_TEST(test_stories)
{
	story_run(&stories[_i]);
}
END_TEST

Suite *
suite_orphans(void)
{
	Suite *s = suite_create("orphans");
	TCase *t = tcase_create("stories");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_stories, 0, UNIT_COUNT(stories));
	suite_add_tcase(s, t);
	return s;
}

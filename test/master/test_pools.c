/*
 * Processes of local backends: who is started, replaced, rolled over and ended when.
 */
#include <signal.h>
#include <stdlib.h>

#include "test/master/story.h"
#include "test/unit/unit.h"

Suite *suite_pools(void);

#define TERM(ms)    AT(ms, signal, SIGTERM)
#define HUP(ms)     AT(ms, signal, SIGHUP)
#define UPGRADE(ms) AT(ms, signal, SIGUSR2)

static const char two[] = STORY_POOL(1, 2, ""), none[] = STORY_CONF(1, "drain_timeout = \"5s\";");
static const char four[] = STORY_POOL(1, 4, ""), one[] = STORY_POOL(1, 1, "");
static const char other[] = STORY_POOL(1, 2, "environment = [ \"N=1\" ];");
static const char third[] = STORY_POOL(1, 2, "environment = [ \"N=2\" ];");

static const char wrong[] = "server: { wrokers = 2; };";

static unsigned
nth_of_pool(const struct proc *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world.nprocs; i++)
		n += world.procs[i].kind == PROC_POOL && &world.procs[i] < p;
	return n;
}

/* The third and those after it until the tenth. */
static void
born_young_deaths(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_POOL && nth_of_pool(p) >= 2 && nth_of_pool(p) < 10) {
		p->plan.dies = 10;
		p->plan.status = 1 << 8;
	}
}

static void
born_bad(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_POOL && nth_of_pool(p) >= 2) {
		p->plan.dies = 900;
		p->plan.status = 1 << 8;
	}
}

static void
born_deaf(struct proc *p, enum proc_kind kind)
{
	p->plan.is_deaf = kind == PROC_POOL;
}

static void
born_slow(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		p->plan.drains = 4000;
}

static void
born_late(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		p->plan.ready = 1500;
}

static void
born_dead(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER && story_nth(p) >= 1) {
		p->plan.dies = 5;
		p->plan.status = SIGABRT;
	}
}

static const struct story stories[] = {
	{ "they are there before the workers, and end after them", two,
	    .steps = { AT(5, runs, 2), AT(100, serves, 1), AT(100, paths, 1), TERM(3000),
		AT(3050, runs, 2) } },
	{ "one that dies is replaced at once", two,
	    .steps = { AT(3000, kill_pool, 0), AT(3001, runs, 2), AT(6000, kill_pool, 1),
		AT(6001, runs, 2), TERM(8000) } },
	{ "deaths in youth: one is tried, later and later", two, .born = born_young_deaths,
	    .steps = { AT(3000, kill_pool, 0), AT(3001, runs, 2), AT(3020, runs, 1),
		AT(3020, says, 1, "next try in 250 ms"), AT(60000, runs, 1),
		AT(60000, says, 1, "next try in 16000 ms"),
		AT(60000, says, 1, "next try in 30000 ms"), AT(70000, runs, 2), TERM(72000) } },
	{ "a process cannot be had", two,
	    .steps = { AT(3000, no_fork, 2), AT(3000, kill_pool, 0), AT(3001, runs, 1),
		AT(5000, runs, 2), TERM(6000) } },
	{ "a reload without a change", two,
	    .steps = { HUP(2000), AT(2100, runs, 2), AT(9000, runs, 2), AT(9000, pools, 1),
		TERM(9000) } },
	{ "more processes and fewer", two,
	    .steps = { AT(2000, edit, 0, four), HUP(2000), AT(2100, runs, 4),
		AT(5000, edit, 0, one), HUP(5000), AT(9000, runs, 1), AT(9000, pools, 1),
		TERM(9000) } },
	{ "other settings take the place when they have lived", two,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), AT(2900, runs, 4), AT(2900, paths, 2),
		AT(2900, pools, 2), AT(9000, runs, 2), AT(9000, paths, 1), AT(9000, pools, 1),
		TERM(9000) } },
	{ "other settings do not work", two, .born = born_bad,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), AT(30000, pools, 2),
		AT(30000, paths, 2), AT(30000, edit, 0, two), HUP(30000), AT(40000, pools, 1),
		AT(40000, runs, 2), AT(40000, paths, 1), TERM(40000) } },
	{ "settings change while others are coming", two,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), AT(2500, edit, 0, third), HUP(2500),
		AT(9000, pools, 1), AT(9000, runs, 2), AT(9000, paths, 1), TERM(9000) } },
	{ "settings change while others take the place", two, .born = born_late,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), AT(3500, runs, 2),
		AT(4200, edit, 0, third), HUP(4200), AT(4400, paths, 2), AT(4900, paths, 1),
		AT(5100, pools, 1), AT(5900, pools, 2), AT(5900, runs, 4), AT(12000, pools, 1),
		AT(12000, runs, 2), AT(12000, paths, 1), TERM(12000) } },
	{ "… and no socket is to be had", two,
	    .steps = { AT(2000, edit, 0, other), AT(2000, no_sock, 1), HUP(2000),
		AT(9000, pools, 1), AT(9000, runs, 2), AT(9000, says, 1, "stay as they are"),
		TERM(9000) } },
	{ "a pool that nobody names ends with the last who knows it", two, .born = born_slow,
	    .steps = { AT(2000, edit, 0, none), HUP(2000), AT(5900, runs, 2), AT(7000, runs, 0),
		AT(7000, pools, 0), AT(7000, paths, 0), TERM(8000) } },
	{ "… or is named again before", two, .born = born_slow,
	    .steps = { AT(2000, edit, 0, none), HUP(2000), AT(3000, edit, 0, two), HUP(3000),
		AT(20000, runs, 2), AT(20000, pools, 1), AT(20000, paths, 1), TERM(20000) } },
	{ "… or while the last of them ends", two, .born = born_late,
	    .steps = { AT(2000, edit, 0, none), HUP(2000), AT(4000, edit, 0, two), HUP(4000),
		AT(5400, runs, 2), AT(5400, pools, 1), AT(9000, runs, 2), AT(9000, pools, 1),
		AT(9000, paths, 1), TERM(9000) } },
	{ "a new pool of a reload that fails", none, .born = born_dead,
	    .steps = { AT(2000, edit, 0, two), HUP(2000), AT(3000, runs, 0), AT(3000, pools, 0),
		AT(3000, paths, 0), TERM(3000) } },
	{ "no socket is to be had: nothing changes", none,
	    .steps = { AT(2000, edit, 0, two), AT(2000, no_sock, 1), AT(2000, ask, 0, "reload"),
		AT(3000, refused, 1), AT(3000, pools, 0), AT(3000, runs, 0), TERM(3000) } },
	{ "who does not end is killed", two, .born = born_deaf,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), AT(12000, runs, 4), AT(16000, runs, 2),
		TERM(16000) } },
	{ "an upgrade", two, .may_exec = true,
	    .steps = { UPGRADE(2000), AT(2100, runs, 2), AT(9000, runs, 2), AT(9000, pools, 1),
		AT(9000, paths, 1), AT(9100, kill_pool, 0), AT(9200, runs, 2), TERM(10000) } },
	{ "an upgrade that is taken back, and then they die", two, .may_exec = true,
	    .steps = { AT(2000, edit, 0, wrong), UPGRADE(2000), AT(2100, execs, 2),
		AT(3000, edit, 0, two), AT(4000, kill_pool, 0), AT(10000, runs, 2),
		AT(10000, number, 2), TERM(12000) } },
	{ "an upgrade with other settings, and no socket is to be had", two, .may_exec = true,
	    .steps = { AT(2000, edit, 0, other), AT(2000, no_sock, 1), UPGRADE(2000),
		AT(9000, runs, 2), AT(9000, pools, 1), AT(9000, kill_pool, 0), AT(9500, runs, 2),
		TERM(12000) } },
	{ "an upgrade while others are coming", two, .may_exec = true,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), UPGRADE(2500), AT(2600, runs, 4),
		AT(12000, runs, 2), AT(12000, pools, 1), AT(12000, paths, 1), TERM(12000) } },
	{ "an upgrade while others end", two, .may_exec = true, .born = born_deaf,
	    .steps = { AT(2000, edit, 0, other), HUP(2000), UPGRADE(7000), AT(7100, runs, 4),
		AT(22000, runs, 2), AT(22000, pools, 1), AT(22000, paths, 1), TERM(22000) } },
};

START_TEST(test_stories)
{
	story_run(&stories[_i]);
}
END_TEST

Suite *
suite_pools(void)
{
	Suite *s = suite_create("pools");
	TCase *t = tcase_create("stories");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_stories, 0, UNIT_COUNT(stories));
	suite_add_tcase(s, t);
	return s;
}

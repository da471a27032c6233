/*
 * Thousands of runs in which chance says who dies, hangs or is slow, what is asked for and when.
 * The rules hold whenever the master waits; when all have come to rest everything serves, a reload
 * succeeds, and the end comes in its time.
 *
 * ARGAND_SCHEDULE_SEED=N runs that one alone (its number is printed when it fails),
 * ARGAND_SCHEDULES=N so many; ARGAND_SCHEDULE_FIRST=N others than always.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "master/generation.h"
#include "master/local/local.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/upgrade.h"
#include "test/master/listener_fake.h"
#include "test/master/local_fake.h"
#include "test/master/rules.h"
#include "test/master/story.h"
#include "test/unit/unit.h"

Suite *suite_schedules(void);

enum {
	CHUNKS = 10,
	SCHEDULES = 2000,
	ACTS_MAX = 30,
	CALM_LOOK_MS = 5500, /* longer than anything waits that is to be tried again */
	CALM_MS = 200000,    /* checks that hang, then workers that never come up, more than once */
	RELOAD_MS = 3000,
	END_MS = 50000, /* a configuration that nobody knows: the stop takes half a minute */
};

static const struct {
	unsigned workers;
	const char *text;
} confs[] = {
	{ 1, STORY_CONF(1, "drain_timeout = \"2s\"; stop_timeout = \"3s\"; max_generations = 2;") },
	{ 2, STORY_CONF(2, "drain_timeout = \"5s\"; stop_timeout = \"3s\"; max_generations = 3;") },
	{ 2, STORY_CONF(2, "drain_timeout = \"9s\"; stop_timeout = \"3s\"; max_generations = 3;") },
	{ 3, STORY_CONF(3, "drain_timeout = \"5s\"; stop_timeout = \"2s\"; max_generations = 8;") },
	{ 5,
	    STORY_CONF(5, "drain_timeout = \"30s\"; stop_timeout = \"4s\"; max_generations = 1;") },
	{ 2, STORY_POOL(2, 2, "") },
	{ 1, STORY_POOL(1, 3, "environment = [ \"N=1\" ]; stop_timeout = \"3s\";") },
	{ 2, STORY_POOL(2, 1, "environment = [ \"N=2\" ];") },
};

enum phase { ACTING, CALM, RELOADING, ENDING, ENDED };

static struct {
	enum phase phase;
	uint64_t next,
	    limit; /* ms: when something happens again; until when all is to be at rest */
	unsigned acts, conf, number, answered, refused;
	bool is_gentle; /* nobody does anything bad any more */
} self;

/* ---- characters ---- */

static void
born_worker(struct plan *p)
{
	p->ready = world_chance(80) ? world_any(30) : world_any(2000);
	p->drains = world_chance(70) ? world_any(1500) : world_any(12000);
	if (self.is_gentle)
		return;
	if (world_chance(4))
		p->ready = NEVER;
	if (world_chance(12))
		p->dies = world_chance(60) ? world_any(50) : world_any(20000);
	p->status = world_chance(50) ? SIGSEGV : world_chance(50) ? 1 << 8 : 0;
	if (world_chance(5))
		p->drains = NEVER;
	p->is_deaf = world_chance(4);
	if (world_chance(4))
		p->hangs = world_any(10000);
}

static void
born_pool(struct plan *p)
{
	if (self.is_gentle)
		return;
	if (world_chance(20))
		p->dies = world_chance(50) ? world_any(1200) : world_any(30000);
	p->status = world_chance(50) ? SIGSEGV : world_chance(50) ? 1 << 8 : 0;
	p->is_deaf = world_chance(5);
}

static bool
pool_waits(int fd)
{
	(void)fd;
	return !self.is_gentle && world_chance(20);
}

static bool
pool_is_busy(pid_t pid)
{
	(void)pid;
	return !self.is_gentle && world_chance(20);
}

static bool
pool_catches(pid_t pid)
{
	return pid % 2;
}

static void
born_check(struct plan *p)
{
	p->dies = world_any(300);
	if (self.is_gentle)
		return;
	if (world_chance(2))
		p->dies = NEVER;
	if (world_chance(8))
		p->status = world_chance(70) ? EX_CONFIG << 8 : SIGSEGV;
	if (world_chance(3))
		p->says = "handover 99\n";
}

static void
born(struct proc *p, enum proc_kind kind)
{
	if (kind == PROC_WORKER)
		born_worker(&p->plan);
	else if (kind == PROC_POOL)
		born_pool(&p->plan);
	else
		born_check(&p->plan);
}

static void
passes(void)
{
	for (unsigned i = 0; i < world.nprocs && !self.is_gentle; i++)
		if (world_chance(10))
			world_kill(&world.procs[i], SIGKILL);
}

/* ---- acts ---- */

static void
act_kill(void)
{
	struct proc *p = &world.procs[world_any(world.nprocs)];

	world_kill(p, world_chance(50) ? SIGKILL : SIGSEGV);
}

static void
act_kill_all(void)
{
	for (unsigned i = 0; i < world.nprocs; i++)
		if (world.procs[i].kind == PROC_WORKER)
			world_kill(&world.procs[i], SIGKILL);
}

static void
act_hang(void)
{
	struct proc *p = &world.procs[world_any(world.nprocs)];

	if (p->is_alive && p->kind == PROC_WORKER && world_chance(30))
		p->plan.hangs = 0;
}

static void
act_reload(void)
{
	if (world_chance(50))
		world_signal(SIGHUP);
	else if (world.nclients < WORLD_CLIENTS - 4)
		world_ask("reload");
}

static void
act_upgrade(void)
{
	if (!world.may_exec)
		return;
	if (world_chance(50))
		world_signal(SIGUSR2);
	else if (world.nclients < WORLD_CLIENTS - 4)
		world_ask("upgrade");
}

static void
act_edit(void)
{
	self.conf = world_any(UNIT_COUNT(confs));
	world_edit(world_chance(15) ? "server: { wrokers = 1; };" : confs[self.conf].text);
}

static void
act_no_fork(void)
{
	world.fails_fork = (int)world_any(4) - 1;
}

static void
act_no_listen(void)
{
	if (world_chance(50))
		local_fake_fails = 1;
	else
		listener_fake.fails = world_chance(50) ? EX_TEMPFAIL : 0;
}

static void
act_no_exec(void)
{
	world.fails_exec = world_chance(50);
}

static bool
is_starting(void)
{
	LIST_EACH(l, generation_list())
	{
		struct generation *g = container_of(l, struct generation, link);

		for (unsigned i = 0; i < g->nseats; i++)
			if (g->seats[i].state == SEAT_STARTING)
				return true;
	}
	return false;
}

/* The whole machine is stopped for a while. Not while a client has just asked, or a worker starts:
   jumbled as events are, their time might be over before they are heard. */
static void
act_sleep(void)
{
	if (world.nanswered == world.nclients && !is_starting())
		world.now += world_any(60000);
}

static void
act_crash(void)
{
	if (!world.is_managed)
		return;
	self.next = world.now + world_any(3000);
	world_crash();
}

static void
act_reopen(void)
{
	world_signal(SIGUSR1);
}

static void (*const acts[])(void) = { act_kill, act_kill, act_kill, act_kill_all, act_hang,
	act_reload, act_reload, act_reload, act_upgrade, act_upgrade, act_edit, act_edit,
	act_no_fork, act_no_listen, act_no_exec, act_sleep, act_reopen, act_crash };

/* ---- phases ---- */

static void
act_end(void)
{
	self.phase = ENDING;
	self.next = world.now + 1 + world_any(2000);
	world_signal(world_chance(50) ? SIGTERM : SIGQUIT);
}

static void
act_calm(void)
{
	self.phase = CALM;
	self.is_gentle = true;
	for (unsigned i = 0; i < world.nprocs; i++)
		if (world.procs[i].kind != PROC_CHECK)
			world.procs[i].plan.dies = NEVER;
	self.next = world.now + CALM_LOOK_MS;
	self.limit = world.now + CALM_MS;
	world.fails_fork = 0;
	listener_fake.fails = local_fake_fails = 0;
	world.fails_exec = false;
	self.conf = world_any(UNIT_COUNT(confs));
	world_edit(confs[self.conf].text);
	if (world_chance(50))
		world_signal(SIGHUP);
}

static bool
is_served(void)
{
	struct generation *g = generation_serving();

	for (unsigned i = 0; g && i < g->nseats; i++)
		if (g->seats[i].state != SEAT_SERVING)
			return false;
	return g != NULL;
}

/* One set of processes for each pool, as many as it shall have. */
static bool
is_settled(void)
{
	LIST_EACH(it, local_list())
	{
		struct local_pool *l = container_of(it, struct local_pool, link);
		unsigned n = 0;

		LIST_EACH(at, &l->procs)
		n++;
		if (l->state != LOCAL_SERVING || n != l->scale.wanted)
			return false;
	}
	return true;
}

static bool
is_at_rest(void)
{
	return !reload_is_busy() && !upgrade_is_busy() && is_served() && is_settled() &&
	       generation_draining() == 0;
}

static void
act_reload_now(void)
{
	if (!is_at_rest() && world.now < self.limit) {
		self.next = world.now + CALM_LOOK_MS;
		return;
	}
	world_must(!reload_is_busy() && !upgrade_is_busy(), "a reload or an upgrade never ends");
	world_must(is_served(), "there is a seat that nobody serves");
	world_must(is_settled(), "a pool does not come to rest");
	world_must(generation_draining() == 0, "%u generations still drain", generation_draining());
	world_must(world.nanswered == world.nclients, "a client still waits");
	self.phase = RELOADING;
	self.next = world.now + RELOAD_MS;
	self.number = generation_serving()->number;
	self.refused = world.nfailed;
	world_ask("reload");
}

static void
act_end_all(void)
{
	struct generation *g = generation_serving();

	world_must(world.nfailed == self.refused, "the reload failed: %s", world.answer);
	world_must(world.nanswered == world.nclients, "the reload never ends");
	world_must(is_served() && g->nseats == confs[self.conf].workers, "%u workers serve, not %u",
	    g->nseats, confs[self.conf].workers);
	act_end();
}

/* Somebody may become impatient. */
static void
act_hurry(void)
{
	self.phase = ENDED;
	self.next = world.now + END_MS;
	if (world_chance(50))
		world_signal(SIGTERM);
	if (world_chance(20))
		world_signal(SIGTERM);
	if (world_chance(10))
		world_signal(SIGHUP);
}

static void
act_never(void)
{
	world_fail("the master does not end");
}

static void
act_any(void)
{
	if (self.acts-- > 0) {
		acts[world_any(UNIT_COUNT(acts))]();
		self.next = world.now + (world_chance(40) ? world_any(100) : world_any(8000));
		return;
	}
	if (world_chance(30))
		act_end();
	else
		act_calm();
}

static void (*const phases[])(
    void) = { act_any, act_reload_now, act_end_all, act_hurry, act_never };

static void
act(void)
{
	if (world.now >= self.next)
		phases[self.phase]();
}

static uint64_t
due(void)
{
	return self.next;
}

static void
run(uint64_t seed)
{
	rules_begin();
	world_seed(seed);
	self.phase = ACTING;
	self.is_gentle = false;
	self.acts = world_any(ACTS_MAX);
	self.conf = world_any(UNIT_COUNT(confs));
	self.next = WORLD_START + world_any(4000);
	listener_fake = (struct listener_fake){ 0 };
	local_fake_waits = pool_waits;
	local_fake_is_busy = pool_is_busy;
	local_fake_catches = pool_catches;
	world.act = act;
	world.due = due;
	world.born = born;
	world.passes = passes;
	world.may_exec = world_chance(50);
	world.is_managed = world.may_exec && world_chance(50);
	world.is_jumbled = world_chance(80);
	world.fails_fork = 0;
	world_run(confs[self.conf].text);
}

static uint64_t
number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(test_schedules)
{
	uint64_t seed = number("ARGAND_SCHEDULE_SEED", 0);
	uint64_t n = number("ARGAND_SCHEDULES", SCHEDULES) / CHUNKS + 1;

	if (seed) {
		run(seed);
		return;
	}
	seed = number("ARGAND_SCHEDULE_FIRST", 1) + (uint64_t)_i * n;
	for (uint64_t i = 0; i < n; i++)
		run(seed + i);
}
END_TEST

Suite *
suite_schedules(void)
{
	Suite *s = suite_create("schedules");
	TCase *t = tcase_create("schedules");

	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, test_schedules, 0, CHUNKS);
	suite_add_tcase(s, t);
	return s;
}

#include <signal.h>
#include <string.h>

#include "master/generation.h"
#include "master/ledger.h"
#include "master/local/local.h"
#include "master/master.h"
#include "master/reload.h"
#include "test/master/listener_fake.h"
#include "test/master/local_fake.h"
#include "test/master/rules.h"
#include "test/master/world.h"

enum { RULES_WAIT_MS = 5000 }; /* the longest back-off of a seat */

static bool rules_serve; /* a generation has served since the last crash */
static unsigned rules_crashes;

void
rules_begin(void)
{
	rules_serve = false;
	rules_crashes = 0;
	local_fake_begin();
	world.look = rules_look;
	world.struck = rules_struck;
}

static struct generation *
rules_generation(struct link *l)
{
	return container_of(l, struct generation, link);
}

static bool
rules_is_old(const struct generation *g)
{
	return g->state != GEN_STARTING && g->state != GEN_SERVING;
}

/* At most one starts, at most one serves, and once one has, one does. */
static void
rules_of_generations(void)
{
	unsigned n[GEN_STATES] = { 0 };

	LIST_EACH(l, generation_list())
	{
		struct generation *g = rules_generation(l);

		n[g->state]++;
		world_must(!rules_is_old(g) || g->state == GEN_KILL || link_is_on(&g->alarm.link),
		    "generation %u has no time limit", g->number);
		world_must(g->nseats > 0, "generation %u has no seats", g->number);
	}
	world_must(n[GEN_STARTING] <= 1, "%u generations start", n[GEN_STARTING]);
	world_must(n[GEN_SERVING] <= 1, "%u generations serve", n[GEN_SERVING]);
	if (rules_crashes != world.crashes)
		rules_serve = false;
	rules_crashes = world.crashes;
	rules_serve |= n[GEN_SERVING] > 0;
	world_must(!rules_serve || n[GEN_SERVING] || master_is_stopping(), "nobody serves");
	world_must(master_is_stopping() || listener_fake.is_open == (n[GEN_STARTING] > 0),
	    "addresses are %s, %u generations start", listener_fake.is_open ? "opened" : "settled",
	    n[GEN_STARTING]);
}

/* A seat has a process that is not waited for yet, and time for what it does; or has none. */
static void
rules_of_seat(const struct seat *s)
{
	struct proc *p = world_find(s->pid);
	struct generation *g = s->gen;
	struct ledger_entry *e;

	if (!seat_has_process(s)) {
		world_must(s->pid == 0 && s->row < 0 && s->chan < 0 && s->pidfd < 0,
		    "seat %u of generation %u has nobody, and things of somebody", s->index,
		    g->number);
		world_must(
		    s->state != SEAT_WAITING ||
			(link_is_on(&s->alarm.link) && s->alarm.due <= world.now + RULES_WAIT_MS),
		    "seat %u of generation %u waits for nothing", s->index, g->number);
		world_must(g->state != GEN_SERVING || !g->conf || s->state == SEAT_WAITING,
		    "seat %u of the serving generation is %s", s->index, seat_state_name(s));
		return;
	}
	world_must(p && p->kind == PROC_WORKER, "seat %u has process %d", s->index, (int)s->pid);
	world_must(!p->is_waited || !p->is_child, "seat %u has process %d, which was waited for",
	    s->index, (int)s->pid);
	world_must(
	    (s->state != SEAT_STARTING && s->state != SEAT_DYING) || link_is_on(&s->alarm.link),
	    "seat %u of generation %u is %s for ever", s->index, g->number, seat_state_name(s));
	world_must(g->state != GEN_KILL || s->state == SEAT_DYING,
	    "seat %u of a killed generation is %s", s->index, seat_state_name(s));
	e = ledger_find(shm_id(s->shm), (unsigned)s->row);
	world_must(e && e->who.pid == s->pid, "the ledger does not name process %d", (int)s->pid);
}

/* Of a segment before the last one, when a master was killed twice: asked to finish, and then it is
   left to itself. */
static bool
rules_is_dismissed(const struct proc *p)
{
	return !p->is_child && (p->leaving != NEVER || world_hangs(p) || p->plan.is_deaf);
}

/* Each process has one seat, each seat a row and a number of its own. */
static void
rules_of_seats(void)
{
	static unsigned char seats_of[WORLD_PROCS];
	unsigned seated = 0, noted = 0;

	memset(seats_of, 0, sizeof(seats_of));
	LIST_EACH(l, generation_list())
	{
		struct generation *g = rules_generation(l);
		bool has[SHM_WORKERS] = { false };

		for (unsigned i = 0; i < g->nseats; i++) {
			struct seat *s = &g->seats[i];

			rules_of_seat(s);
			world_must(
			    !has[s->index], "generation %u has two seats %u", g->number, s->index);
			has[s->index] = true;
			if (!seat_has_process(s))
				continue;
			seated++;
			world_must(seats_of[s->pid - world.procs[0].pid]++ == 0,
			    "process %d has two seats", (int)s->pid);
		}
	}
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++)
		noted += ledger_at(i) != NULL;
	world_must(noted == seated, "%u seats, %u in the ledger", seated, noted);
	for (unsigned i = 0; i < world.nprocs; i++)
		world_must(world.procs[i].kind != PROC_WORKER || world.procs[i].is_waited ||
			       seats_of[i] || rules_is_dismissed(&world.procs[i]),
		    "process %d is forgotten", (int)world.procs[i].pid);
}

/* What workers follow is right, and so is who has the slots. */
static void
rules_of_segment(void)
{
	struct generation *g = generation_serving();
	struct shm_master *m = shm_master(master.shm);

	if (!g || !g->conf || master_is_stopping())
		return;
	world_must(atomic_load(&m->generation) == g->number,
	    "generation %u serves, the word says %u", g->number, atomic_load(&m->generation));
	world_must(
	    ledger_serving() == g->number, "the ledger names generation %u", ledger_serving());
	world_must(
	    listener_fake.steered == g->nseats, "steered to %u slots", listener_fake.steered);
}

/* Each process of a pool stands in one list, and what it was told to do has its time. */
static void
rules_of_processes(struct local_pool *l, unsigned char seen[WORLD_PROCS])
{
	LIST_EACH(it, &l->procs)
	{
		struct localproc *one = localproc_of(it);
		struct proc *p = world_find(one->pid);

		world_must(p && p->kind == PROC_POOL && !p->is_waited, "backend %s has process %d",
		    l->name, (int)one->pid);
		world_must(seen[p - world.procs]++ == 0, "process %d has two pools", (int)one->pid);
		world_must(one->state == PROC_RUNNING || link_is_on(&one->alarm.link),
		    "process %d of a pool is told to end, and has for ever", (int)one->pid);
	}
}

/* The path of a pool leads to the one that serves. */
static void
rules_of_pools(void)
{
	static unsigned char seen[WORLD_PROCS];

	memset(seen, 0, sizeof(seen));
	LIST_EACH(it, local_list())
	{
		struct local_pool *l = container_of(it, struct local_pool, link);

		rules_of_processes(l, seen);
		if (l->state != LOCAL_SERVING && l->state != LOCAL_COMING)
			continue;
		world_must(local_find(l->name, l->path, l->state) == l, "backend %s stands twice",
		    l->name);
		world_must(
		    l->state != LOCAL_SERVING || !l->path || local_fake_leads(l->path, l->sock),
		    "%s does not lead to backend %s", l->path, l->name);
	}
	for (unsigned i = 0; i < world.nprocs; i++)
		world_must(world.procs[i].kind != PROC_POOL || world.procs[i].is_waited || seen[i],
		    "process %d of a pool is forgotten", (int)world.procs[i].pid);
}

void
rules_look(void)
{
	rules_of_pools();
	rules_of_generations();
	rules_of_seats();
	rules_of_segment();
}

void
rules_struck(const struct proc *p, int sig)
{
	struct generation *g = generation_serving();

	if (p->kind != PROC_WORKER || !p->has_served || master_is_stopping() || sig == 0)
		return;
	for (unsigned i = 0; g && i < g->nseats; i++)
		world_must(g->seats[i].pid != p->pid || world_hangs(p),
		    "signal %d to worker %u of the serving generation", sig, i);
}

#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "master/generation.h"
#include "master/local/local.h"
#include "test/master/listener_fake.h"
#include "test/master/local_fake.h"
#include "test/master/rules.h"
#include "test/master/story.h"

static struct {
	const struct story *story;
	unsigned at;
} self;

static const struct step *
story_next(void)
{
	const struct step *s = &self.story->steps[self.at];

	return self.at < STORY_STEPS && s->act ? s : NULL;
}

static void
story_act(void)
{
	const struct step *s;

	while ((s = story_next()) != NULL && world.now >= WORLD_START + s->at) {
		self.at++;
		s->act(s->n, s->text);
	}
}

static uint64_t
story_due(void)
{
	const struct step *s = story_next();

	return s ? WORLD_START + s->at : NEVER;
}

void
story_run(const struct story *story)
{
	int status;

	self.story = story;
	self.at = 0;
	listener_fake = (struct listener_fake){ .fails = story->no_listen };
	world.fails_fork = story->no_fork;
	rules_begin();
	world.act = story_act;
	world.due = story_due;
	world.born = story->born;
	world.is_jumbled = false;
	world.may_exec = story->may_exec;
	world.passes = story->passes;
	world.is_managed = story->is_managed;
	world_seed(1);
	status = world_run(story->conf);
	ck_assert_msg(
	    !story_next(), "%s: the master has ended before step %u", story->what, self.at);
	ck_assert_msg((int)world_count(PROC_WORKER) == story->left,
	    "%s: %u workers are left, not %d", story->what, world_count(PROC_WORKER), story->left);
	ck_assert_msg(
	    status == story->status, "%s: status %d is not %d", story->what, status, story->status);
}

static void
story_is(int got, int wanted, const char *what)
{
	world_must(got == wanted, "%s: step %u: %d, not %d: %s", self.story->what, self.at - 1, got,
	    wanted, what);
}

unsigned
story_nth(const struct proc *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world.nprocs; i++)
		n += world.procs[i].kind == PROC_WORKER && &world.procs[i] < p;
	return n;
}

/* ---- what happens ---- */

void
story_signal(int n, const char *text)
{
	(void)text;
	world_signal(n);
}

void
story_ask(int n, const char *line)
{
	(void)n;
	world_ask(line);
}

void
story_edit(int n, const char *conf)
{
	(void)n;
	world_edit(conf);
}

static void
story_kill_of(struct generation *g, int n)
{
	world_must(g && (unsigned)n < g->nseats, "there is no worker %d", n);
	world_must(seat_has_process(&g->seats[n]), "worker %d is not there", n);
	world_kill(world_find(g->seats[n].pid), SIGSEGV);
}

void
story_kill(int n, const char *text)
{
	(void)text;
	story_kill_of(generation_serving(), n);
}

void
story_kill_new(int n, const char *text)
{
	(void)text;
	story_kill_of(generation_find_starting(), n);
}

void
story_kill_old(int n, const char *text)
{
	(void)text;
	story_kill_of(container_of(list_first(generation_list()), struct generation, link), n);
}

void
story_no_fork(int n, const char *text)
{
	(void)text;
	world.fails_fork = n;
}

void
story_no_listen(int n, const char *text)
{
	(void)text;
	listener_fake.fails = n;
}

void
story_no_exec(int n, const char *text)
{
	(void)text;
	world.fails_exec = n;
}

/* ---- what is expected ---- */

void
story_serves(int n, const char *text)
{
	struct generation *g = generation_serving();
	int found = 0;

	(void)text;
	for (unsigned i = 0; g && i < g->nseats; i++)
		found +=
		    g->seats[i].state == SEAT_SERVING && world_find(g->seats[i].pid)->has_served;
	story_is(found, n, "workers serve");
}

void
story_number(int n, const char *text)
{
	(void)text;
	story_is(generation_serving() ? (int)generation_serving()->number : 0, n, "the generation");
}

void
story_drains(int n, const char *text)
{
	(void)text;
	story_is((int)generation_draining(), n, "generations drain");
}

void
story_processes(int n, const char *text)
{
	(void)text;
	story_is((int)world_count(PROC_WORKER), n, "workers live");
}

void
story_says(int n, const char *text)
{
	story_is((int)world_says(text), n, text);
}

void
story_answered(int n, const char *text)
{
	(void)text;
	story_is((int)world.nanswered, n, "clients are answered");
}

void
story_refused(int n, const char *text)
{
	(void)text;
	story_is((int)world.nfailed, n, "clients are refused");
}

void
story_born(int n, const char *text)
{
	uint64_t last = 0;

	(void)text;
	for (unsigned i = 0; i < world.nprocs; i++)
		if (world.procs[i].kind == PROC_WORKER)
			last = world.procs[i].born - WORLD_START;
	story_is((int)last, n, "is when the newest was born");
}

void
story_execs(int n, const char *text)
{
	(void)text;
	story_is((int)world.execs, n, "binaries executed");
}

/* ---- pools ---- */

void
story_runs(int n, const char *text)
{
	(void)text;
	story_is((int)world_count(PROC_POOL), n, "processes of pools");
}

void
story_pools(int n, const char *text)
{
	int found = 0;

	(void)text;
	LIST_EACH(l, local_list())
	found++;
	story_is(found, n, "sets of processes");
}

void
story_paths(int n, const char *text)
{
	(void)text;
	story_is((int)local_fake_paths(), n, "sockets of pools have a name");
}

void
story_kill_pool(int n, const char *text)
{
	(void)text;
	for (unsigned i = 0; i < world.nprocs; i++) {
		struct proc *p = &world.procs[i];

		if (p->kind == PROC_POOL && p->is_alive && n-- == 0) {
			world_kill(p, SIGSEGV);
			return;
		}
	}
	world_fail("there is no such process");
}

void
story_no_sock(int n, const char *text)
{
	(void)text;
	local_fake_fails = n;
}

void
story_crash(int n, const char *text)
{
	(void)n;
	(void)text;
	world_crash();
}

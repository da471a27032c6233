/*
 * Generations and their states. What a state does to the workers, how long it may last and what
 * comes after is a row of the table. Invariant: at most one generation is GEN_STARTING and at most
 * one GEN_SERVING; a generation in any other state starts no workers and ends with its last one.
 */
#include <signal.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/heritage.h"
#include "master/base/chronicle.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/spawn.h"

enum {
	GEN_CUT_MS = 30000,
	GEN_DRAIN_MS = 3600000, /* where no configuration says it */
	GEN_STOP_MS = 30000,    /* the same */
	GEN_END_MS = 5000,
	GEN_TERM_MS = 2000,
	GEN_GRACE_MS = 1000, /* workers look at the time to drain themselves */
	GEN_CHECK_GAP_MS = 2000
};

static struct link generations;
static uint64_t generations_checked; /* clock_ms(), of the last look at their workers */

/* A worker that serves sees the generation change. One that is not ready yet never served, and
   would wait for its generation for ever. */
static void
generation_leave(struct generation *g)
{
	for (unsigned i = 0; i < g->nseats; i++) {
		if (g->seats[i].state == SEAT_STARTING)
			seat_stop(&g->seats[i]);
		seat_leave(&g->seats[i]);
	}
}

static void
generation_cut(struct generation *g)
{
	for (unsigned i = 0; i < g->nseats; i++)
		seat_send(&g->seats[i], CHAN_CUT);
}

static void
generation_stop(struct generation *g)
{
	for (unsigned i = 0; i < g->nseats; i++)
		seat_stop(&g->seats[i]);
	generation_leave(g);
}

static void
generation_kill(struct generation *g, int signal)
{
	for (unsigned i = 0; i < g->nseats; i++)
		seat_kill(&g->seats[i], signal);
}

static void
generation_term(struct generation *g)
{
	generation_kill(g, SIGTERM);
}

static void
generation_kill_now(struct generation *g)
{
	generation_kill(g, SIGKILL);
}

/* The configuration whose time limits count for it: its own while it has one, else the one that
   serves now. */
static const struct conf_process *
generation_process(const struct generation *g)
{
	const struct generation *serving = generation_serving();

	if (g->conf)
		return &g->conf->process;
	return serving && serving->conf ? &serving->conf->process : NULL;
}

static uint64_t
generation_drain_ms(const struct generation *g)
{
	const struct conf_process *p = generation_process(g);

	return p ? (uint64_t)p->drain_timeout + GEN_GRACE_MS : GEN_DRAIN_MS;
}

static uint64_t
generation_cut_ms(const struct generation *g)
{
	uint64_t ms = generation_drain_ms(g);

	return ms < GEN_CUT_MS ? ms : GEN_CUT_MS;
}

static uint64_t
generation_stop_ms(const struct generation *g)
{
	const struct conf_process *p = generation_process(g);

	return p ? (uint64_t)p->stop_timeout : GEN_STOP_MS;
}

static uint64_t
generation_end_ms(const struct generation *g)
{
	(void)g;
	return GEN_END_MS;
}

static uint64_t
generation_term_ms(const struct generation *g)
{
	(void)g;
	return GEN_TERM_MS;
}

#define FROM(state) (1u << GEN_##state)

/* Nothing leads back: a generation that is nearer to its end than a state stays where it is. */
static const struct {
	const char *name;
	unsigned from; /* states that may come before */
	void (*enter)(struct generation *);
	uint64_t (*timeout)(const struct generation *); /* NULL: none */
	enum gen_state next;                            /* when it is over */
} gen_states[GEN_STATES] = {
	[GEN_STARTING] = { "starting", 0, NULL, NULL, GEN_STARTING },
	[GEN_SERVING] = { "serving", FROM(STARTING), NULL, NULL, GEN_SERVING },
	[GEN_DRAINING] = { "draining", FROM(STARTING) | FROM(SERVING), generation_leave,
	    generation_drain_ms, GEN_TERM },
	[GEN_CUT] = { "cut short", FROM(DRAINING), generation_cut, generation_cut_ms, GEN_TERM },
	[GEN_STOPPING] = { "stopping", FROM(STARTING) | FROM(SERVING) | FROM(DRAINING) | FROM(CUT),
	    generation_stop, generation_stop_ms, GEN_TERM },
	[GEN_ENDING] = { "ending",
	    FROM(STARTING) | FROM(SERVING) | FROM(DRAINING) | FROM(CUT) | FROM(STOPPING),
	    generation_stop, generation_end_ms, GEN_TERM },
	[GEN_TERM] = { "terminated", ~(FROM(TERM) | FROM(KILL)), generation_term,
	    generation_term_ms, GEN_KILL },
	[GEN_KILL] = { "killed", ~FROM(KILL), generation_kill_now, NULL, GEN_KILL },
};

#undef FROM

static void
generation_expired(void *arg)
{
	struct generation *g = arg;

	if (g->state == GEN_DRAINING || g->state == GEN_CUT) {
		log_warnx("generation %u has not finished in time: ending its workers", g->number);
		chronicle_add(HISTORY_DRAIN_FORCED, 0, -1,
		    "generation %u has not finished in time: its workers are ended", g->number);
	}
	generation_enter(g, gen_states[g->state].next);
}

void
generation_init(void)
{
	list_init(&generations);
	generations_checked = 0;
}

struct link *
generation_list(void)
{
	return &generations;
}

static struct generation *
generation_of(struct link *l)
{
	return container_of(l, struct generation, link);
}

struct generation *
generation_new(unsigned number, unsigned nseats, struct conf *conf, struct logs *logs)
{
	struct generation *g = must_calloc(1, sizeof(*g));

	g->number = number;
	g->nseats = nseats;
	g->conf = conf;
	g->digest = conf ? conf->digest : 0;
	if (logs)
		g->logs = *logs;
	g->seats = must_calloc(nseats, sizeof(*g->seats));
	for (unsigned i = 0; i < nseats; i++)
		seat_init(&g->seats[i], g, i, master.shm);
	g->since = clock_ms();
	list_add_tail(&generations, &g->link);
	return g;
}

void
generation_drop_old_shm(void)
{
	struct generation *serving = generation_serving();

	/* Those whom nobody has adopted see there that another generation serves. */
	if (!master.shm_old || !serving || !serving->conf)
		return;
	LIST_EACH(l, &generations)
	{
		for (unsigned i = 0; i < generation_of(l)->nseats; i++)
			if (generation_of(l)->seats[i].shm == master.shm_old)
				return;
	}
	shm_close(master.shm_old);
	master.shm_old = NULL;
}

static void
generation_free(struct generation *g)
{
	alarm_del(&g->alarm);
	list_del(&g->link);
	for (unsigned i = 0; i < g->nseats; i++)
		seat_fini(&g->seats[i]);
	logs_close(&g->logs);
	if (g->conf)
		conf_free(g->conf);
	free(g->seats);
	free(g);
	generation_drop_old_shm();
}

/* Stops at the first that fails: generation_seat_lost() has ended the generation then. */
void
generation_start(struct generation *g)
{
	unsigned n = g->nseats;

	g->uid = spawn_uid(&g->conf->process);
	for (unsigned i = 0; i < n; i++) {
		if (generation_find_starting() != g)
			return;
		seat_start(&g->seats[i]);
	}
}

void
generation_refill(struct generation *g)
{
	g->uid = spawn_uid(&g->conf->process);
	for (unsigned i = 0; i < g->nseats; i++)
		if (g->seats[i].state == SEAT_EMPTY)
			seat_start(&g->seats[i]);
}

void
generation_take(struct generation *g, enum gen_state state)
{
	must(gen_states[state].from & 1u << g->state);
	log_debug("generation %u: %s -> %s", g->number, gen_states[g->state].name,
	    gen_states[state].name);
	g->state = state;
	g->since = clock_ms();
	alarm_del(&g->alarm);
	if (gen_states[state].timeout)
		alarm_set(&g->alarm, gen_states[state].timeout(g), generation_expired, g);
}

void
generation_limit(struct generation *g, uint64_t due)
{
	uint64_t now = clock_ms();

	if (link_is_on(&g->alarm.link) && due < g->alarm.due)
		alarm_set(&g->alarm, due > now ? due - now : 0, generation_expired, g);
}

void
generation_limit_drains(void)
{
	LIST_EACH(l, &generations)
	{
		struct generation *g = generation_of(l);

		if (g->state == GEN_DRAINING)
			generation_limit(g, clock_ms() + generation_drain_ms(g));
	}
}

void
generation_resume(struct generation *g)
{
	if (gen_states[g->state].enter)
		gen_states[g->state].enter(g);
	generation_settle(g);
}

void
generation_enter(struct generation *g, enum gen_state state)
{
	generation_take(g, state);
	generation_resume(g);
}

void
generation_settle(struct generation *g)
{
	if (g->state == GEN_STARTING || g->state == GEN_SERVING)
		return;
	for (unsigned i = 0; i < g->nseats; i++)
		if (seat_has_process(&g->seats[i]))
			return;
	log_info("generation %u has ended", g->number);
	generation_free(g);
	master_idle();
}

void
generation_seat_ready(struct seat *s)
{
	struct generation *g = s->gen;

	g->ready++;
	if (g->state == GEN_STARTING && g->ready == g->nseats)
		reload_ready(g);
	else if (g->state == GEN_SERVING) {
		log_info(
		    "worker %u (pid %d) of generation %u serves", s->index, (int)s->pid, g->number);
		chronicle_add(HISTORY_WORKER_START, s->pid, (int)s->index,
		    "serves in place of one that died");
	}
}

/* A seat of the serving generation is filled again, if we know with what: the configuration of a
   generation that another binary or master has started is not ours to guess. */
bool
generation_seat_lost(struct seat *s, const char *why)
{
	struct generation *g = s->gen;

	if (g->state == GEN_SERVING && g->conf)
		return true;
	seat_end(s);
	if (g->state == GEN_STARTING)
		reload_failed(g, why);
	else if (g->state == GEN_SERVING)
		reload_request("a worker of the generation before this master died");
	else
		generation_settle(g);
	return false;
}

struct generation *
generation_find_starting(void)
{
	LIST_EACH(l, &generations)
	{
		if (generation_of(l)->state == GEN_STARTING)
			return generation_of(l);
	}
	return NULL;
}

struct generation *
generation_serving(void)
{
	LIST_EACH(l, &generations)
	{
		if (generation_of(l)->state == GEN_SERVING)
			return generation_of(l);
	}
	return NULL;
}

bool
generation_is_before(unsigned number)
{
	LIST_EACH(l, &generations)
	{
		if (generation_of(l)->number < number)
			return true;
	}
	return false;
}

struct generation *
generation_find(unsigned number)
{
	LIST_EACH(l, &generations)
	{
		if (generation_of(l)->number == number)
			return generation_of(l);
	}
	return NULL;
}

unsigned
generation_last(void)
{
	unsigned last = 0;

	LIST_EACH(l, &generations)
	{
		if (generation_of(l)->number > last)
			last = generation_of(l)->number;
	}
	return last;
}

static bool
generation_is_old(const struct generation *g)
{
	return g->state != GEN_STARTING && g->state != GEN_SERVING;
}

unsigned
generation_draining(void)
{
	unsigned n = 0;

	LIST_EACH(l, &generations)
	n += generation_is_old(generation_of(l));
	return n;
}

void
generation_bound(unsigned most)
{
	unsigned n = 0;

	for (struct link *l = generations.prev; l != &generations; l = l->prev) {
		struct generation *g = generation_of(l);

		n += generation_is_old(g);
		if (g->state != GEN_DRAINING || n <= most)
			continue;
		log_warnx("more than %u generations are draining: generation %u is cut short", most,
		    g->number);
		chronicle_add(HISTORY_DRAIN_FORCED, 0, -1,
		    "more than %u generations drain: generation %u is cut short", most, g->number);
		generation_enter(g, GEN_CUT);
		return; /* the next reload cuts the next */
	}
}

void
generation_enter_all(enum gen_state state)
{
	struct generation *serving = generation_serving();

	LIST_EACH(l, &generations)
	{
		struct generation *g = generation_of(l);

		if (g != serving && gen_states[state].from & 1u << g->state)
			generation_enter(g, state);
	}
	/* Last: the others' timeouts are read from its configuration. */
	if (serving)
		generation_enter(serving, state);
}

bool
generation_lacks(const struct generation *g)
{
	for (unsigned i = 0; i < g->nseats; i++)
		if (!seat_has_process(&g->seats[i]))
			return true;
	return false;
}

unsigned
generation_processes(void)
{
	unsigned n = 0;

	LIST_EACH(l, &generations)
	{
		for (unsigned i = 0; i < generation_of(l)->nseats; i++)
			n += seat_has_process(&generation_of(l)->seats[i]);
	}
	return n;
}

bool
generation_reap(pid_t pid, int status)
{
	LIST_EACH(l, &generations)
	{
		struct generation *g = generation_of(l);

		for (unsigned i = 0; i < g->nseats; i++)
			if (g->seats[i].pid == pid) {
				seat_reap(&g->seats[i], status);
				return true;
			}
	}
	return false;
}

/* When we were stopped ourselves, or the whole machine was, silence proves nothing. */
void
generation_check(void)
{
	uint64_t now = clock_ms(), gap = generations_checked ? now - generations_checked : 0;

	generations_checked = now;
	if (gap > GEN_CHECK_GAP_MS)
		return;
	LIST_EACH(l, &generations)
	{
		for (unsigned i = 0; i < generation_of(l)->nseats; i++)
			seat_check(&generation_of(l)->seats[i], now);
	}
}

bool
generation_is_fresh(void)
{
	struct generation *g = generation_serving();
	uint64_t now = clock_ms();

	for (unsigned i = 0; g && i < g->nseats; i++)
		if (seat_is_fresh(&g->seats[i], now))
			return true;
	return false;
}

static void
generation_send_index(struct generation *g, unsigned index, int fd)
{
	for (unsigned i = 0; i < g->nseats; i++)
		seat_send_reopen(&g->seats[i], index, fd);
}

void
generation_send_log(const struct logdest *d)
{
	LIST_EACH(l, &generations)
	{
		struct generation *g = generation_of(l);

		for (unsigned i = 0; i < g->logs.n; i++)
			if (g->logs.v[i] == d)
				generation_send_index(g, i, d->fd);
	}
}

void
generation_send_reopen(unsigned index, int fd)
{
	LIST_EACH(l, &generations)
	generation_send_index(generation_of(l), index, fd);
}

static bool
generation_listens(const struct conf *conf, struct str text)
{
	for (size_t i = 0; i < conf->nlistens; i++)
		if (str_eq(conf->listens[i].text, text))
			return true;
	return false;
}

void
generation_send_leaving(struct generation *g, const struct conf *next)
{
	size_t index = 0;

	for (size_t i = 0; g->conf && i < g->conf->nlistens; i++) {
		struct str text = g->conf->listens[i].text;

		if (!listener_find(text))
			continue; /* as in spawn_heritage(): was not handed down */
		for (unsigned k = 0; k < g->nseats && !generation_listens(next, text); k++)
			seat_send_index(&g->seats[k], CHAN_LEAVE, (unsigned)index);
		index++;
	}
}

/* They would take them themselves, one after the other, and the first of them all of the others'
   for a moment. */
void
generation_give_slots(struct generation *g)
{
	for (unsigned s = 0; s < listener_slots(); s++) {
		struct seat *seat = &g->seats[s % g->nseats];

		if (seat->row >= 0)
			shm_slot_claim(
			    master.shm, s, shm_slot_owner(master.shm, s), (unsigned)seat->row);
	}
}

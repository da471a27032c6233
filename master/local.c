/*
 * The pools and how many processes each of them has. A pool is looked at every LOCAL_LOOK_MS and
 * whenever one of its processes dies; all that is to be done follows from what there is: too few
 * are filled up, older settings are replaced, too many are ended. Nothing waits.
 *
 * Invariants: a pool that a configuration which serves names has a spec; a process whose digest is
 * not its pool's spec's is of older settings and on its way out; old ones are told to end only when
 * as many new ones as are wanted have lived for a second, so that settings that do not work take
 * nothing away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/backend.h"
#include "common/backend_view.h"
#include "common/log.h"
#include "common/must.h"
#include "master/generation.h"
#include "master/local.h"
#include "master/localbusy.h"
#include "master/localsock.h"
#include "master/master.h"
#include "master/notify.h"

enum { LOCAL_LOOK_MS = 200, LOCAL_SOON_MS = 5000, LOCAL_STOP_MS = 10000, LOCAL_NAME = 128 };

static struct {
	struct link all;
	bool is_stopping;
} self;

void
local_init(void)
{
	list_init(&self.all);
}

struct link *
local_list(void)
{
	return &self.all;
}

static struct local *
local_of(struct link *l)
{
	return container_of(l, struct local, link);
}

/* ---- what there is ---- */

struct local_census {
	unsigned now, old, ending; /* running with the settings of now, of before; told to end */
	unsigned settled;          /* of `now`: not young any more */
};

static struct local_census
local_count(struct local *l)
{
	struct local_census c = { 0 };
	uint64_t now = clock_ms();

	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		if (p->state != PROC_RUNNING)
			c.ending++;
		else if (!l->spec || p->digest != l->spec->digest)
			c.old++;
		else
			c.now++, c.settled += now - p->born >= BACKOFF_YOUNG_MS;
	}
	return c;
}

static unsigned
local_load(struct local *l)
{
	struct str name = str_of(l->name);
	int row = backend_pool_row(master.shm, name);
	unsigned n = row >= 0 ? backend_queued(master.shm, (unsigned)row) : 0;

	for (unsigned i = 0; l->spec && i < l->spec->nhosts; i++) {
		row = backend_row(master.shm, name, l->spec->hosts[i]);
		n += row >= 0 ? backend_in_flight(master.shm, (unsigned)row) : 0;
	}
	return n;
}

uint64_t
local_served(struct local *l)
{
	struct backend_view view;
	uint64_t n = 0;

	for (unsigned i = 0; l->spec && i < l->spec->nhosts; i++) {
		int row = backend_row(master.shm, str_of(l->name), l->spec->hosts[i]);

		if (row >= 0 && backend_view(master.shm, (unsigned)row, &view))
			n += view.counters[BACKEND_REQUESTS];
	}
	return n;
}

/* For the status. */
static void
local_tell(struct local *l, const struct local_census *c)
{
	int row = l->leaving ? -1 : backend_pool_row(master.shm, str_of(l->name));
	struct backend_local it = { .running = c->now + c->old,
		.wanted = l->scale.wanted,
		.least = l->spec ? l->spec->scale.least : 0,
		.most = l->spec ? l->spec->scale.most : 0,
		.starts = l->starts,
		.deaths = l->deaths,
		.last_status = l->last_status,
		.last_death = l->last_death };

	if (row < 0)
		return;
	backend_pool_tell_local(master.shm, (unsigned)row, &it);
	backend_pool_touch(master.shm, (unsigned)row, clock_ms());
}

/* ---- as many as are wanted ---- */

static void
local_scale(struct local *l)
{
	const struct localscale_limits *limits = &l->spec->scale;
	unsigned before = l->scale.wanted, load = limits->least < limits->most ? local_load(l) : 0;
	unsigned wanted = localscale_look(&l->scale, limits, load, clock_ms());

	if (before && wanted != before)
		log_info("backend %s: %u request%s: %u process%s instead of %u", l->name, load,
		    load == 1 ? "" : "s", wanted, wanted == 1 ? "" : "es", before);
}

/* After a death in youth only one is tried, and the others when it has lived. */
static unsigned
local_missing(struct local *l, const struct local_census *c)
{
	unsigned wanted = l->scale.wanted, have = c->now;

	if (!l->path) /* who binds for itself cannot stand beside the one before */
		have += c->old + c->ending;
	if (have >= wanted || backoff_wait(&l->backoff, clock_ms()) > 0)
		return 0;
	if (l->backoff.level)
		return c->now > c->settled ? 0 : 1;
	return wanted - have;
}

static void
local_fill(struct local *l, const struct local_census *c)
{
	if (c->settled > 0 && c->settled == c->now && l->backoff.level)
		backoff_lived(&l->backoff);
	for (unsigned n = local_missing(l, c); n > 0; n--) {
		if (!localproc_start(l, l->spec, l->sock))
			return; /* tried again at the next look */
		l->starts++;
	}
}

/* Processes of older settings, when those of the new have proved themselves. Who binds for itself
   is replaced one by one. */
static void
local_roll(struct local *l, const struct local_census *c)
{
	unsigned n = 0;

	if (c->old == 0 || c->settled < c->now || (l->path && c->now < l->scale.wanted) ||
	    (!l->path && c->ending > 0))
		return;
	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		if (p->state != PROC_RUNNING || p->digest == l->spec->digest)
			continue;
		localproc_stop(p, l->spec->stop_timeout);
		if (++n > 0 && !l->path)
			break;
	}
	log_notice("backend %s: %u process%s of the new settings serve%s, %u of the old end%s",
	    l->name, c->now, c->now == 1 ? "" : "es", c->now == 1 ? "s" : "", n, n == 1 ? "s" : "");
}

/* The newest that has nothing to do; when none of them is idle, none. */
static void
local_shrink(struct local *l, const struct local_census *c)
{
	if (c->now <= l->scale.wanted || c->old > 0)
		return;
	for (struct link *it = l->procs.prev; it != &l->procs; it = it->prev) {
		struct localproc *p = localproc_of(it);

		if (p->state != PROC_RUNNING ||
		    (l->path && localbusy_connections(p->pid, l->path) > 0))
			continue;
		localproc_stop(p, l->spec->stop_timeout);
		return;
	}
}

static void
local_step(struct local *l)
{
	unsigned long lost = lines_lost(&l->rate, clock_ms());
	struct local_census c;

	if (lost)
		log_warnx("backend %s: %lu lines of its standard error left out", l->name, lost);
	if (l->is_ending || !l->spec)
		return;
	local_scale(l);
	c = local_count(l);
	local_fill(l, &c);
	c = local_count(l);
	local_roll(l, &c);
	local_shrink(l, &c);
	local_tell(l, &c);
}

/* ---- pools that come and go ---- */

static void
local_store_name(const struct local *l, char *name, size_t len)
{
	snprintf(name, len, "argand.local.%.100s", l->name);
}

static void local_look(void *arg);

struct local *
local_new(const char *name, const char *path)
{
	struct local *l = must_calloc(1, sizeof(*l));

	l->name = must_strdup(name);
	l->path = path ? must_strdup(path) : NULL;
	l->sock = -1;
	list_init(&l->procs);
	list_add_tail(&self.all, &l->link);
	alarm_set(&l->alarm, LOCAL_LOOK_MS, local_look, l);
	return l;
}

static void
local_free(struct local *l)
{
	if (l->sock >= 0)
		close(l->sock);
	alarm_del(&l->alarm);
	list_del(&l->link);
	localspec_free(l->spec);
	localspec_free(l->next);
	free(l->name);
	free(l->path);
	free(l);
}

static void
local_stop_all(struct local *l, uint64_t ms)
{
	l->is_ending = true;
	LIST_EACH(it, &l->procs)
	localproc_stop(localproc_of(it), ms);
}

static uint64_t
local_stop_ms(const struct local *l)
{
	return l->spec ? l->spec->stop_timeout : LOCAL_STOP_MS;
}

/* For good: its socket goes at once, because nobody asks there any more. */
static void
local_end(struct local *l)
{
	char name[LOCAL_NAME];

	local_stop_all(l, local_stop_ms(l));
	if (l->sock >= 0) {
		local_store_name(l, name, sizeof(name));
		notify_unstore(name);
		unlink(l->path);
		close(l->sock);
		l->sock = -1;
	}
	if (list_is_empty(&l->procs))
		local_free(l);
}

/* Whether the workers that know the pool are gone. */
static bool
local_is_drained(const struct local *l)
{
	LIST_EACH(it, generation_list())
	{
		if (container_of(it, struct generation, link)->number < l->leaving)
			return false;
	}
	return true;
}

static void
local_look(void *arg)
{
	struct local *l = arg;

	alarm_set(&l->alarm, LOCAL_LOOK_MS, local_look, l);
	if (l->leaving && !l->is_ending && !self.is_stopping && local_is_drained(l)) {
		log_info("backend %s: its workers are gone, its processes end", l->name);
		local_end(l);
		return;
	}
	local_step(l);
}

/* ---- with a configuration ---- */

static bool
local_is_at(const struct local *l, const char *path)
{
	return l->path && path ? strcmp(l->path, path) == 0 : !l->path && !path;
}

static struct local *
local_find(const char *name, const char *path)
{
	LIST_EACH(it, &self.all)
	{
		struct local *l = local_of(it);

		if (!l->is_ending && strcmp(l->name, name) == 0 && local_is_at(l, path))
			return l;
	}
	return NULL;
}

static int
local_open_sock(struct local *l, const struct localspec *spec)
{
	char name[LOCAL_NAME];

	if (!l->path || l->sock >= 0)
		return 0;
	local_store_name(l, name, sizeof(name));
	l->sock = localsock_open(name, l->path, spec->owner);
	return l->sock < 0 ? -1 : 0;
}

/* A pool that is new has its processes at once, so that they are there before its workers. */
static int
local_open_one(struct localspec *spec, struct text *report)
{
	struct local *l = local_find(spec->name, spec->path);
	char why[200];

	if (!become_check(&spec->as, why, sizeof(why))) {
		text_printf(report, "backend %s: %s\n", spec->name, why);
		localspec_free(spec);
		return EX_CONFIG;
	}
	if (!l)
		l = local_new(spec->name, spec->path);
	localspec_free(l->next);
	l->next = spec;
	l->is_named = true;
	if (local_open_sock(l, spec) < 0) {
		text_printf(report, "backend %s: cannot listen on %s: %s\n", l->name, l->path,
		    strerror(errno));
		return errno == EADDRINUSE ? EX_TEMPFAIL : EXIT_FAILURE;
	}
	if (l->is_committed || l->spec)
		return 0;
	l->spec = l->next;
	l->next = NULL;
	local_step(l);
	return 0;
}

int
local_open(const struct conf *conf, struct text *report)
{
	int status = 0;

	LIST_EACH(it, &self.all)
	local_of(it)->is_named = false;
	for (size_t i = 0; i < conf->npools; i++) {
		int rc = 0;

		if (conf_pool_is_local(&conf->pools[i]))
			rc = local_open_one(localspec_new(&conf->pools[i], &conf->process), report);
		status = status ? status : rc;
	}
	return status;
}

void
local_rollback(void)
{
	LIST_EACH(it, &self.all)
	{
		struct local *l = local_of(it);

		localspec_free(l->next);
		l->next = NULL;
		if (!l->is_committed && !l->is_ending)
			local_end(l);
	}
}

static void
local_commit_one(struct local *l)
{
	char name[LOCAL_NAME];

	if (l->next) {
		localspec_free(l->spec);
		l->spec = l->next;
		l->next = NULL;
	}
	l->leaving = 0;
	if (l->sock >= 0) {
		local_store_name(l, name, sizeof(name));
		if (!l->is_stored)
			notify_store(name, l->sock);
		l->is_stored = true;
		if (localsock_own(l->path, l->spec->owner) < 0)
			log_warn("backend %s: owner of %s", l->name, l->path);
	}
	l->is_committed = true;
	local_step(l);
}

void
local_commit(unsigned generation)
{
	LIST_EACH(it, &self.all)
	{
		struct local *l = local_of(it);

		if (l->is_ending)
			continue;
		if (l->is_named)
			local_commit_one(l);
		else if (!l->leaving)
			l->leaving = generation;
	}
}

/* ---- deaths ---- */

bool
local_reap(pid_t pid, int status)
{
	LIST_EACH(it, &self.all)
	{
		LIST_EACH(at, &local_of(it)->procs)
		{
			if (localproc_of(at)->pid != pid)
				continue;
			localproc_reap(localproc_of(at), status);
			return true;
		}
	}
	return false;
}

bool
local_is_well(struct local *l, const struct localproc *p, int status)
{
	return status == 0 &&
	       (clock_ms() - p->born >= BACKOFF_YOUNG_MS || local_served(l) > p->served);
}

void
local_died(struct local *l, struct localproc *p, int status, bool is_well)
{
	uint64_t now = clock_ms();

	if (p->state == PROC_RUNNING) {
		l->deaths++;
		l->last_status = status;
		l->last_death = (int64_t)clock_wall() * 1000;
	}
	if (backoff_died(&l->backoff, p->born, is_well, now) && !l->is_ending)
		log_warnx("backend %s: its processes die young: next try in %llu ms", l->name,
		    (unsigned long long)backoff_wait(&l->backoff, now));
	if (!l->is_ending) {
		local_step(l);
		return;
	}
	if (list_is_empty(&l->procs) && !self.is_stopping)
		local_free(l);
	master_idle();
}

/* ---- the end ---- */

void
local_stop(enum local_hurry hurry)
{
	self.is_stopping = true;
	LIST_EACH(it, &self.all)
	{
		struct local *l = local_of(it);
		uint64_t ms = local_stop_ms(l);

		if (hurry != LOCAL_GRACEFUL && ms > LOCAL_SOON_MS)
			ms = LOCAL_SOON_MS;
		local_stop_all(l, ms);
		LIST_EACH(at, &l->procs)
		{
			if (hurry == LOCAL_NOW)
				localproc_kill(localproc_of(at));
		}
	}
}

unsigned
local_processes(void)
{
	unsigned n = 0;

	LIST_EACH(it, &self.all)
	{
		LIST_EACH(at, &local_of(it)->procs)
		n++;
	}
	return n;
}

void
local_unlink(void)
{
	LIST_EACH(it, &self.all)
	{
		if (local_of(it)->sock >= 0 && !notify_is_on())
			unlink(local_of(it)->path);
	}
}

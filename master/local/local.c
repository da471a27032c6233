/*
 * The pools and how many processes each of them has. A pool is looked at every LOCAL_LOOK_MS and
 * whenever one of its processes dies; what its state wants then is the row of a table, and all that
 * is to be done follows from what there is. Nothing waits.
 *
 * Rolling over: settings that have changed are a struct local_pool of their own, COMING, with a
 * socket of their own beside the one that serves. When as many processes as are wanted have lived
 * for a second, that socket is renamed to the place of the other one, whose processes then take
 * what still waits there, finish, and end: nobody is interrupted, whether they handle SIGTERM or
 * not. Settings that do not work never get that far. Only processes that bind an address for
 * themselves are replaced one by one, with a gap each.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/balance/backend.h"
#include "common/balance/backend_view.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/notify.h"
#include "master/local/busy.h"
#include "master/local/env.h"
#include "master/local/local.h"
#include "master/local/sock.h"

enum {
	LOCAL_LOOK_MS = 200,
	LOCAL_CALM_MS = 1000, /* where nothing can have changed but by a death */
	LOCAL_SOON_MS = 5000,
	LOCAL_STOP_MS = 10000
};

struct local_env local_env;

static struct {
	struct link all;
	bool is_stopping;
} self;

static void local_keep(struct local_pool *l);
static void local_come(struct local_pool *l);
static void local_retire(struct local_pool *l);
static void local_leave(struct local_pool *l);

static const struct {
	const char *name;
	void (*look)(struct local_pool *); /* NULL: nothing but deaths are waited for */
} local_states[LOCAL_STATES] = {
	[LOCAL_NEW] = { "new", local_keep },
	[LOCAL_SERVING] = { "serving", local_keep },
	[LOCAL_COMING] = { "coming", local_come },
	[LOCAL_RETIRED] = { "retired", local_retire },
	[LOCAL_LEAVING] = { "leaving", local_leave },
	[LOCAL_ENDING] = { "ending", NULL },
};

void
local_init(const struct local_env *env)
{
	local_env = *env;
	list_init(&self.all);
	self.is_stopping = false;
}

struct link *
local_list(void)
{
	return &self.all;
}

static struct local_pool *
local_of(struct link *l)
{
	return container_of(l, struct local_pool, link);
}

void
local_enter(struct local_pool *l, enum local_state state)
{
	log_debug(
	    "backend %s: %s -> %s", l->name, local_states[l->state].name, local_states[state].name);
	l->state = state;
	l->since = clock_ms();
}

struct local_census {
	unsigned now, old, ending; /* running with the settings of now, of before; asked to end */
	unsigned settled;          /* of `now`: not young any more */
	unsigned proved;           /* of these: started since the last death in youth */
};

static void
local_count_one(struct local_census *c, uint64_t age, bool is_tried)
{
	c->now++;
	c->settled += age >= BACKOFF_YOUNG_MS;
	c->proved += age >= BACKOFF_YOUNG_MS && is_tried;
}

static struct local_census
local_count(struct local_pool *l)
{
	struct local_census c = { 0 };
	uint64_t now = clock_ms();

	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		if (p->state >= PROC_TERM)
			c.ending++;
		else if (p->digest != l->digest)
			c.old++;
		else
			local_count_one(&c, now - p->born, p->born >= l->backoff.from);
	}
	return c;
}

/* As many as there shall be, none of them young, and no load to look at. */
static bool
local_is_calm(struct local_pool *l)
{
	struct local_census c = local_count(l);

	return l->state == LOCAL_SERVING && l->spec &&
	       l->spec->scale.least == l->spec->scale.most && c.now == l->scale.wanted &&
	       c.settled == c.now && c.old + c.ending == 0;
}

static void
local_due(void *arg)
{
	struct local_pool *l = arg;

	alarm_set(&l->alarm, local_is_calm(l) ? LOCAL_CALM_MS : LOCAL_LOOK_MS, local_due, l);
	local_look(l);
}

struct local_pool *
local_new(const char *name, const char *path, enum local_state state)
{
	struct local_pool *l = must_calloc(1, sizeof(*l));

	l->name = must_strdup(name);
	l->path = path ? must_strdup(path) : NULL;
	l->sock = -1;
	list_init(&l->procs);
	list_add_tail(&self.all, &l->link);
	local_enter(l, state);
	alarm_set(&l->alarm, LOCAL_LOOK_MS, local_due, l);
	return l;
}

void
local_free(struct local_pool *l)
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

struct local_pool *
local_find(const char *name, const char *path, enum local_state state)
{
	LIST_EACH(it, &self.all)
	{
		struct local_pool *l = local_of(it);

		if (l->state == state && strcmp(l->name, name) == 0 &&
		    (l->path && path ? strcmp(l->path, path) == 0 : !l->path && !path))
			return l;
	}
	return NULL;
}

void
local_store_name(const struct local_pool *l, char name[LOCAL_NAME])
{
	snprintf(name, LOCAL_NAME, "argand.local.%s", l->path ? l->path : l->name);
	for (char *p = name; *p; p++)
		if (*p == ':') /* not allowed in the name of a descriptor */
			*p = ';';
}

/* ---- what it has to do ---- */

static unsigned
local_load(struct local_pool *l)
{
	struct str name = str_of(l->name);
	int row = backend_pool_row(local_env.shm(), name);
	unsigned n = row >= 0 ? backend_queued(local_env.shm(), (unsigned)row) : 0;

	for (unsigned i = 0; i < l->spec->nhosts; i++) {
		row = backend_row(local_env.shm(), name, l->spec->hosts[i]);
		n += row >= 0 ? backend_in_flight(local_env.shm(), (unsigned)row) : 0;
	}
	return n;
}

uint64_t
local_served(struct local_pool *l)
{
	struct backend_view view;
	uint64_t n = 0;

	for (unsigned i = 0; l->spec && i < l->spec->nhosts; i++) {
		int row = backend_row(local_env.shm(), str_of(l->name), l->spec->hosts[i]);

		if (row >= 0 && backend_view(local_env.shm(), (unsigned)row, &view))
			n += view.counters[BACKEND_REQUESTS];
	}
	return n;
}

/* Publishes the numbers of a pool that serves, for the status. */
static void
local_publish(struct local_pool *l, const struct local_census *c)
{
	int row =
	    l->state == LOCAL_SERVING ? backend_pool_row(local_env.shm(), str_of(l->name)) : -1;
	struct backend_local it = { .running = c->now + c->old,
		.wanted = l->scale.wanted,
		.least = l->spec->scale.least,
		.most = l->spec->scale.most,
		.starts = l->starts,
		.deaths = l->deaths,
		.last_status = l->last_status,
		.last_death = l->last_death };

	if (row < 0)
		return;
	backend_pool_publish_local(local_env.shm(), (unsigned)row, &it);
	backend_pool_touch(local_env.shm(), (unsigned)row, clock_ms());
}

/* ---- as many as are wanted ---- */

static void
local_scale(struct local_pool *l)
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
local_missing(struct local_pool *l, const struct local_census *c)
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
local_fill(struct local_pool *l, const struct local_census *c)
{
	if (c->proved > 0 && c->settled == c->now && l->backoff.level)
		backoff_lived(&l->backoff);
	for (unsigned n = local_missing(l, c); n > 0; n--) {
		if (!localproc_start(l, l->spec, l->sock))
			return; /* tried again at the next look */
		l->starts++;
	}
}

/* Who binds for itself: one of the older settings ends when those of the new live. */
static void
local_replace(struct local_pool *l, const struct local_census *c)
{
	if (c->old == 0 || c->settled < c->now || c->ending > 0)
		return;
	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		if (p->state == PROC_RUNNING && p->digest != l->digest) {
			localproc_stop(p, l->spec->stop_timeout);
			return;
		}
	}
}

/* The newest that has nothing to do; when none of them is idle, none. */
static void
local_shrink(struct local_pool *l, const struct local_census *c)
{
	if (c->now <= l->scale.wanted || c->old > 0)
		return;
	for (struct link *it = l->procs.prev; it != &l->procs; it = it->prev) {
		struct localproc *p = localproc_of(it);

		if (p->state != PROC_RUNNING || !localproc_is_idle(p))
			continue;
		localproc_spare(p, l->spec->stop_timeout);
		return;
	}
}

static void
local_keep(struct local_pool *l)
{
	struct local_census c;

	if (!l->spec)
		return;
	local_scale(l);
	c = local_count(l);
	local_fill(l, &c);
	c = local_count(l);
	local_replace(l, &c);
	local_shrink(l, &c);
	local_publish(l, &c);
}

void
local_look(struct local_pool *l)
{
	unsigned long lost = lines_lost(&l->rate, clock_ms());

	if (lost)
		log_warnx("backend %s: %lu lines of its standard error left out", l->name, lost);
	if (local_states[l->state].look)
		local_states[l->state].look(l);
}

/* ---- one takes another's place ---- */

static void
local_take_over(struct local_pool *l, struct local_pool *old)
{
	char name[LOCAL_NAME];

	/* A reload that is under way may have settings for the pool: they go to what takes its
	   place. */
	localspec_free(l->next);
	l->next = old->next;
	old->next = NULL;
	l->starts += old->starts;
	l->deaths += old->deaths;
	if (old->last_death > l->last_death) {
		l->last_death = old->last_death;
		l->last_status = old->last_status;
	}
	local_store_name(l, name);
	notify_unstore(name);
	notify_store(name, l->sock);
	l->is_stored = true;
	old->is_stored = false;
	local_enter(old, LOCAL_RETIRED);
	local_enter(l, LOCAL_SERVING);
}

static void
local_come(struct local_pool *l)
{
	struct local_pool *old = local_find(l->name, l->path, LOCAL_SERVING);
	char bound[128];
	struct local_census c;

	local_keep(l);
	c = local_count(l);
	if (!old || !l->spec || c.settled < c.now || c.now < l->scale.wanted)
		return;
	localsock_bound(l->sock, bound, sizeof(bound));
	if (sockfile_rename(&l->file, bound, l->path) < 0) {
		log_error("backend %s: cannot rename %s to %s", l->name, bound, l->path);
		return;
	}
	log_notice("backend %s: %u process%s with the new settings serve%s", l->name, c.now,
	    c.now == 1 ? "" : "es", c.now == 1 ? "s" : "");
	local_take_over(l, old);
}

/* Nobody finds its socket any more. A connection that was on its way when that came to be stands in
   the queue by the second look. */
static void
local_retire(struct local_pool *l)
{
	uint64_t ms = l->spec ? l->spec->stop_timeout : LOCAL_STOP_MS;
	bool is_empty = l->sock < 0 || !localsock_has_waiting(l->sock);
	bool is_late = clock_ms() - l->since >= ms, was_empty = l->was_empty;

	l->was_empty = is_empty;
	/* While connections wait at the socket there must be a process to take them: if all have
	   died, one is started. */
	if (!is_empty && l->spec && list_is_empty(&l->procs) && !is_late)
		localproc_start(l, l->spec, l->sock);
	if (!is_late && (!is_empty || !was_empty))
		return;
	LIST_EACH(it, &l->procs)
	{
		struct localproc *p = localproc_of(it);

		if (is_late || localbusy_catches_term(p->pid) || localproc_is_idle(p))
			localproc_stop(p, ms);
	}
	if (list_is_empty(&l->procs))
		local_free(l);
}

/* ---- the end of one ---- */

static void
local_stop_all(struct local_pool *l, uint64_t ms)
{
	LIST_EACH(it, &l->procs)
	localproc_stop(localproc_of(it), ms);
	local_enter(l, LOCAL_ENDING);
}

static uint64_t
local_stop_ms(const struct local_pool *l)
{
	return l->spec ? l->spec->stop_timeout : LOCAL_STOP_MS;
}

static void
local_close(struct local_pool *l)
{
	char name[LOCAL_NAME], bound[128];

	if (l->sock < 0)
		return;
	localsock_bound(l->sock, bound, sizeof(bound));
	local_store_name(l, name);
	if (l->is_stored)
		notify_unstore(name);
	if (l->state == LOCAL_COMING)
		sockfile_remove(bound, &l->file);
	else if (l->state != LOCAL_RETIRED)
		sockfile_remove(l->path, &l->file);
	close(l->sock);
	l->sock = -1;
}

void
local_end(struct local_pool *l)
{
	local_close(l);
	local_stop_all(l, local_stop_ms(l));
	if (list_is_empty(&l->procs))
		local_free(l);
}

static void
local_leave(struct local_pool *l)
{
	local_keep(l);
	if (self.is_stopping || l->next) /* a configuration that is being loaded names it again */
		return;
	if (local_env.has_before(l->leaving))
		return;
	log_info("backend %s: the workers that knew it are gone, its processes end", l->name);
	local_end(l);
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
local_is_well(struct local_pool *l, const struct localproc *p, int status)
{
	return status == 0 &&
	       (clock_ms() - p->born >= BACKOFF_YOUNG_MS || local_served(l) > p->served);
}

void
local_died(struct local_pool *l, struct localproc *p, int status, bool is_well)
{
	uint64_t now = clock_ms();

	if (p->state < PROC_TERM) {
		l->deaths++;
		l->last_status = status;
		l->last_death = (int64_t)clock_wall() * 1000;
	}
	if (backoff_died(&l->backoff, p->born, is_well, now) && l->state != LOCAL_ENDING)
		log_warnx("backend %s: its processes die young: next try in %llu ms", l->name,
		    (unsigned long long)backoff_wait(&l->backoff, now));
	if (l->state != LOCAL_ENDING) {
		if (!l->spec && !self.is_stopping)
			local_env.heal();
		local_look(l);
		return;
	}
	if (list_is_empty(&l->procs) && !self.is_stopping)
		local_free(l);
	local_env.idle();
}

/* ---- the end of all ---- */

void
local_stop(enum local_hurry hurry)
{
	self.is_stopping = true;
	LIST_EACH(it, &self.all)
	{
		struct local_pool *l = local_of(it);
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

bool
local_lacks(void)
{
	LIST_EACH(it, &self.all)
	{
		struct local_pool *l = local_of(it);

		if (l->state == LOCAL_SERVING && !l->spec && local_count(l).now < l->scale.wanted)
			return true;
	}
	return false;
}

/* With a service manager, which keeps the sockets, the next master finds them there. */
void
local_unlink(void)
{
	LIST_EACH(it, &self.all)
	{
		if (local_of(it)->sock >= 0 && !notify_is_on())
			sockfile_remove(local_of(it)->path, &local_of(it)->file);
		local_free(local_of(it));
	}
}

/*
 * Reads the segment once, cell by cell, into plain numbers. The server goes on meanwhile, so
 * figures of different workers may be some microseconds apart; nothing here waits or writes. Rows
 * are sorted for readers (newest generation first, then by seat), grouped by generation, and
 * weighed against each other. Bounds come from this file, not from what stands in the segment.
 */
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/plain.h"
#include "common/config/conf_trust.h"
#include "common/status/snap.h"

static const uint64_t STATUSSNAP_WALL_MOST = (uint64_t)1 << 50;

static const char *const statussnap_states[] = {
	[ROW_FREE] = "free",
	[ROW_STARTING] = "starting",
	[ROW_READY] = "ready",
	[ROW_DRAINING] = "draining",
	[ROW_DEAD] = "dead",
};

const char *
statussnap_state_name(enum row_state state)
{
	return (unsigned)state <= ROW_DEAD ? statussnap_states[state] : "unknown";
}

static void
statussnap_worker(struct statussnap *s, const struct shm_worker *w, unsigned row)
{
	struct statussnap_worker *out = &s->workers[s->nworkers];
	uint64_t heartbeat = atomic_load(&w->heartbeat), started = atomic_load(&w->started);
	uint32_t state = atomic_load(&w->state);

	if (state == ROW_FREE || state > ROW_DEAD)
		return;
	*out = (struct statussnap_worker){ .row = row,
		.pid = atomic_load(&w->pid),
		.seat = atomic_load(&w->seat),
		.generation = atomic_load(&w->generation),
		.state = (enum row_state)state,
		.heartbeat_age = heartbeat < s->clock_ms ? s->clock_ms - heartbeat : 0,
		.age = started < s->clock_ms ? s->clock_ms - started : 0 };
	out->is_late = state != ROW_STARTING && out->heartbeat_age > STATUSSNAP_LATE;
	for (unsigned i = 0; i < CTR_MAX; i++)
		out->counters[i] = ctr_get(w, (enum counter)i);
	s->nworkers++;
}

static int
statussnap_order(const void *va, const void *vb)
{
	const struct statussnap_worker *a = va, *b = vb;

	if (a->generation != b->generation)
		return a->generation < b->generation ? 1 : -1;
	if (a->seat != b->seat)
		return a->seat < b->seat ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

/* Workers are sorted, so those of a generation stand together. */
static void
statussnap_group(struct statussnap *s)
{
	struct statussnap_generation *g = NULL;

	for (unsigned i = 0; i < s->nworkers; i++) {
		const struct statussnap_worker *w = &s->workers[i];

		if (!g || g->generation != w->generation) {
			g = &s->generations[s->ngenerations++];
			*g = (struct statussnap_generation){ .generation = w->generation };
			g->state = w->generation == s->generation ? "serving" : "draining";
			if (w->generation > s->generation)
				g->state = "starting";
		}
		g->workers++;
		g->connections += w->counters[CTR_CONNECTIONS];
		g->active += w->counters[CTR_ACTIVE];
		s->ready += w->state == ROW_READY && w->generation == s->generation;
		s->draining += w->state == ROW_DRAINING || w->generation < s->generation;
	}
}

/* How much more than its share the busiest worker of the serving generation has; 1: all is even.
   0: there is nothing to share. */
static double
statussnap_imbalance(const struct statussnap *s, enum counter c)
{
	uint64_t sum = 0, max = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < s->nworkers; i++) {
		uint64_t v = s->workers[i].counters[c];

		if (s->workers[i].generation != s->generation)
			continue;
		n++;
		sum += v;
		max = v > max ? v : max;
	}
	return sum ? (double)max * n / (double)sum : 0;
}

static void
statussnap_slots(struct statussnap *s, struct shm *shm)
{
	for (unsigned i = 0; i < SHM_SLOTS && i < s->slots; i++) {
		uint64_t owner = shm_slot_owner(shm, i);

		s->owners[i] = owner <= SHM_WORKERS ? (unsigned)owner : 0;
		for (unsigned k = 0; k < s->nworkers; k++)
			s->workers[k].slots += s->workers[k].row + 1 == s->owners[i];
	}
}

/* Seconds since the epoch, of which differences and thousandths can be had. 0: no such time. */
static int64_t
statussnap_wall(uint64_t s)
{
	return s <= STATUSSNAP_WALL_MOST ? (int64_t)s : 0;
}

static void
statussnap_master(struct statussnap *s, struct shm_master *m)
{
	s->pid = atomic_load(&m->pid);
	s->generation = atomic_load(&m->generation);
	s->workers_wanted = atomic_load(&m->workers);
	s->slots = atomic_load(&m->slots);
	s->log_level = log_level_name((enum log_level)atomic_load(&m->log_level));
	s->started = statussnap_wall(atomic_load(&m->started));
	s->uptime_ms = s->wall > s->started ? (uint64_t)(s->wall - s->started) * 1000 : 0;
	s->reloads = atomic_load(&m->reloads);
	s->reload_failures = atomic_load(&m->reload_failures);
	s->upgrades = atomic_load(&m->upgrades);
	s->deaths = atomic_load(&m->deaths);
	s->restarts = atomic_load(&m->restarts);
	s->reloaded = statussnap_wall(atomic_load(&m->reloaded));
	s->reload_tried = statussnap_wall(atomic_load(&m->reload_tried));
	plain_copy(s->reload_error, m->reload_error, sizeof(s->reload_error));
	s->risks = (unsigned)atomic_load(&m->risks);
	s->state = s->generation ? "serving" : "starting";
	if (atomic_load(&m->stopping))
		s->state = "stopping";
}

/* --- warnings --- */

const char *
statussnap_warning(const struct statussnap *s, unsigned i)
{
	static const enum conf_risk risks[] = { RISK_ROOT_WORKERS, RISK_ROOT_BACKENDS };

	for (unsigned k = 0; k < sizeof(risks) / sizeof(risks[0]); k++)
		if ((s->risks & risks[k]) && i-- == 0)
			return conf_risk_text(risks[k]);
	if (s->totals[CTR_SPOOL_FULL] && i-- == 0)
		return "bodies find no room on disk: spool.max is reached, or the disk is full";
	return NULL;
}

/* --- backends --- */

bool
statussnap_host_is_usable(const struct backend_view *h)
{
	return h->admin == ADMIN_NONE && (h->state == BACKEND_UP || h->state == BACKEND_SUSPECT);
}

const char *
statussnap_host_state(const struct backend_view *h)
{
	static const char *const admins[] = {
		[ADMIN_DRAIN] = "draining",
		[ADMIN_DISABLE] = "disabled",
	};

	if (h->admin == ADMIN_DRAIN || h->admin == ADMIN_DISABLE)
		return admins[h->admin];
	return backend_state_name(h->state);
}

static int
statussnap_pool_order(const void *a, const void *b)
{
	const struct backend_pool_view *x = &((const struct statussnap_pool *)a)->view;
	const struct backend_pool_view *y = &((const struct statussnap_pool *)b)->view;
	int order = strcmp(x->pool, y->pool);

	return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

/* Copies those of all[0..n) that are the pool's to hosts, which has room for so many. */
static void
statussnap_hosts(struct statussnap_pool *p, struct backend_view *hosts, size_t room,
    const struct backend_view *all, size_t n)
{
	p->hosts = hosts;
	for (size_t i = 0; i < n && p->nhosts < room; i++)
		if (strcmp(all[i].pool, p->view.pool) == 0) {
			hosts[p->nhosts++] = all[i];
			p->usable += statussnap_host_is_usable(&all[i]);
			p->retries += all[i].counters[BACKEND_RETRIES];
		}
}

/* One block for all, so that free() is enough. */
static struct statussnap *
statussnap_new(struct shm *shm)
{
	unsigned pool_rows = backend_pool_reach(shm), rows = backend_reach(shm);
	struct statussnap_pool *pools = must_calloc(pool_rows, sizeof(*pools));
	struct backend_view *all = must_calloc(rows, sizeof(*all)), *hosts;
	size_t npools = 0, n = 0, used = 0;
	struct history_entry *events;
	struct statussnap *s;
	unsigned nevents;

	for (unsigned row = 0; row < pool_rows; row++)
		npools += backend_pool_view(shm, row, &pools[npools].view);
	for (unsigned row = 0; row < rows && npools; row++)
		n += backend_view(shm, row, &all[n]);
	qsort(pools, npools, sizeof(pools[0]), statussnap_pool_order);
	events = history_take(shm, HISTORY_ROWS, &nevents);
	s = must_calloc(1,
	    sizeof(*s) + npools * sizeof(*pools) + n * sizeof(*hosts) + nevents * sizeof(*events));
	s->pools = (struct statussnap_pool *)(s + 1);
	hosts = (struct backend_view *)(s->pools + npools);
	s->events = (struct history_entry *)(hosts + n);
	s->nevents = nevents;
	memcpy(s->events, events, nevents * sizeof(*events));
	free(events);
	for (size_t i = 0; i < npools; i++) {
		struct statussnap_pool *p = &s->pools[s->npools];

		/* Two rows of one name are the work of somebody who writes where he should not: the
		   first is the pool. */
		if (i > 0 && strcmp(pools[i - 1].view.pool, pools[i].view.pool) == 0)
			continue;
		p->view = pools[i].view;
		statussnap_hosts(p, hosts + used, n - used, all, n);
		/* The word of the outage may be a moment older than the states of the hosts. */
		if (p->usable)
			p->view.down_ms = 0;
		used += p->nhosts;
		s->npools++;
	}
	free(all);
	free(pools);
	return s;
}

struct statussnap *
statussnap_take(struct shm *shm)
{
	struct statussnap *s = statussnap_new(shm);
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	s->wall_ms = wall.tv_sec * 1000LL + wall.tv_nsec / 1000000;
	s->clock_ms = clock_ms();
	s->wall = clock_wall();
	statussnap_master(s, shm_master(shm));
	for (unsigned row = 0; row < SHM_WORKERS; row++)
		statussnap_worker(s, shm_worker(shm, row), row);
	for (unsigned c = 0; c < CTR_MAX; c++)
		s->totals[c] = shm_total(shm, (enum counter)c);
	qsort(s->workers, s->nworkers, sizeof(s->workers[0]), statussnap_order);
	statussnap_group(s);
	statussnap_slots(s, shm);
	s->imbalance_connections = statussnap_imbalance(s, CTR_CONNECTIONS);
	s->imbalance_requests = statussnap_imbalance(s, CTR_REQUESTS);
	return s;
}

/*
 * What the segment says of backends, copied into plain numbers, and put into words for the log.
 */
#include <stdio.h>

#include "common/balance/backend_cell.h"
#include "common/balance/backend_event.h"
#include "common/balance/backend_outage.h"
#include "common/balance/backend_view.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/plain.h"
#include "common/segment/shm_keyed.h"

static const uint64_t VIEW_WALL_MOST = (uint64_t)1 << 60;

static const char *const view_states[] = {
	[BACKEND_UP] = "up",
	[BACKEND_SUSPECT] = "suspect",
	[BACKEND_OVERLOADED] = "overloaded",
	[BACKEND_DOWN] = "down",
	[BACKEND_TRIAL] = "trial",
};

static const char *const view_causes[CAUSE_MAX] = {
	[CAUSE_NONE] = "none",
	[CAUSE_REFUSED] = "refused",
	[CAUSE_UNREACHABLE] = "unreachable",
	[CAUSE_OVERLOAD] = "overload",
	[CAUSE_ERRORS] = "errors",
	[CAUSE_CHECK] = "check",
};

const char *
backend_state_name(enum backend_state state)
{
	return (unsigned)state <= BACKEND_TRIAL ? view_states[state] : "unknown";
}

const char *
backend_cause_name(enum backend_cause cause)
{
	return (unsigned)cause < CAUSE_MAX ? view_causes[cause] : "unknown";
}

/* The latency below which `part` percent lie: within its bucket as if they were spread evenly. */
static uint64_t
view_percentile(const uint32_t buckets[BACKEND_BUCKETS], uint64_t total, unsigned part)
{
	uint64_t rank = (total * part + 99) / 100, below = 0;

	for (unsigned i = 0; total > 0 && i < BACKEND_BUCKETS; i++) {
		uint64_t high = (uint64_t)64 << i, low = i ? high / 2 : 0;

		if (below + buckets[i] >= rank)
			return low + (high - low) * (rank - below) / buckets[i];
		below += buckets[i];
	}
	return 0;
}

static void
view_latency(struct backend_view *v, const struct backend_cell *c)
{
	static const unsigned parts[] = { 50, 90, 99 };
	uint32_t buckets[BACKEND_BUCKETS];
	uint64_t total = 0;

	for (unsigned i = 0; i < BACKEND_BUCKETS; i++)
		total += buckets[i] = atomic_load(&c->buckets[i]);
	for (unsigned i = 0; i < 3; i++)
		v->latency_us[i] = view_percentile(buckets, total, parts[i]);
}

static int64_t
view_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A time of day that is one: sums and differences of those cannot overflow. 0: none. */
static int64_t
view_wall(uint64_t ms)
{
	return ms <= VIEW_WALL_MOST ? (int64_t)ms : 0;
}

bool
backend_view(struct shm *s, unsigned row, struct backend_view *v)
{
	struct backend_cell *c = shm_backend(s, row);
	struct backend_word w;
	uint64_t now = clock_ms();

	if (!c || !shm_keyed_is_used(atomic_load(&c->key)))
		return false;
	memset(v, 0, sizeof(*v));
	w = backend_word_of(atomic_load(&c->word));
	plain_copy(v->pool, c->pool, sizeof(v->pool));
	plain_copy(v->host, c->host, sizeof(v->host));
	v->state = w.state;
	v->cause = w.cause;
	v->admin = backend_admin_of(s, row);
	v->since = view_wall(atomic_load(&c->since));
	if (w.state == BACKEND_DOWN || w.state == BACKEND_OVERLOADED || w.state == BACKEND_TRIAL)
		v->until = view_wall_ms() + (int64_t)(w.at - now);
	v->failures = w.state == BACKEND_TRIAL ? 0 : w.n;
	v->level = w.level;
	v->weight = backend_weight(s, row);
	v->in_flight = backend_in_flight(s, row);
	for (unsigned i = 0; i < BACKEND_COUNTERS; i++)
		v->counters[i] = atomic_load(&c->counters[i]);
	view_latency(v, c);
	v->ewma_us = backend_ewma(s, row, now);
	return true;
}

static void
view_local(struct backend_local *v, const struct backend_pool *p)
{
	v->running = atomic_load(&p->running);
	v->wanted = atomic_load(&p->wanted);
	v->least = atomic_load(&p->least);
	v->most = atomic_load(&p->most);
	v->starts = atomic_load(&p->starts);
	v->deaths = atomic_load(&p->deaths);
	v->last_status = atomic_load(&p->last_status);
	v->last_death = view_wall((uint64_t)atomic_load(&p->last_death));
}

void
backend_pool_publish_local(struct shm *s, unsigned pool_row, const struct backend_local *v)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	if (!p)
		return;
	atomic_store(&p->running, v->running);
	atomic_store(&p->wanted, v->wanted);
	atomic_store(&p->least, v->least);
	atomic_store(&p->most, v->most);
	atomic_store(&p->starts, v->starts);
	atomic_store(&p->deaths, v->deaths);
	atomic_store(&p->last_status, v->last_status);
	atomic_store(&p->last_death, v->last_death);
}

bool
backend_pool_view(struct shm *s, unsigned pool_row, struct backend_pool_view *v)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	unsigned reach;

	if (!p || !shm_keyed_is_used(atomic_load(&p->key)))
		return false;
	memset(v, 0, sizeof(*v));
	plain_copy(v->pool, p->name, sizeof(v->pool));
	v->row = pool_row;
	v->queued = backend_queued(s, pool_row);
	reach = backend_reach(s);
	for (unsigned row = 0; row < reach; row++) {
		struct backend_cell *c = shm_backend(s, row);

		if (!c || !shm_keyed_is_used(atomic_load(&c->key)) ||
		    atomic_load(&c->pool_row) != pool_row)
			continue;
		v->hosts++;
		v->in_flight += backend_in_flight(s, row);
	}
	v->queued_total = atomic_load(&p->counters[POOL_QUEUED]);
	v->queue_timeouts = atomic_load(&p->counters[POOL_QUEUE_TIMEOUT]);
	v->queue_full = atomic_load(&p->counters[POOL_QUEUE_FULL]);
	v->queue_down = atomic_load(&p->counters[POOL_QUEUE_DOWN]);
	v->retries = atomic_load(&p->counters[POOL_RETRY]);
	v->retries_denied = atomic_load(&p->counters[POOL_RETRY_DENIED]);
	backend_outage(s, pool_row, clock_ms(), &v->down_ms);
	view_local(&v->local, p);
	return true;
}

/* ---- as JSON ---- */

bool
backend_view_dump(struct shm *s, unsigned row, struct json *j)
{
	struct backend_cell *c = shm_backend(s, row);
	struct backend_view v;

	if (!backend_view(s, row, &v))
		return false;
	json_str(j, "pool", str_of(v.pool));
	json_str(j, "host", str_of(v.host));
	json_u64(j, "pool_row", atomic_load(&c->pool_row));
	json_str(j, "state", str_of(backend_state_name(v.state)));
	json_str(j, "cause", str_of(backend_cause_name(v.cause)));
	json_u64(j, "admin", (uint64_t)v.admin);
	json_u64(j, "weight", v.weight);
	json_u64(j, "level", v.level);
	json_u64(j, "failures", v.failures);
	json_u64(j, "in_flight", v.in_flight);
	json_u64(j, "check", atomic_load(&c->check));
	json_u64(j, "touched", atomic_load(&c->touched));
	return true;
}

bool
backend_pool_view_dump(struct shm *s, unsigned pool_row, struct json *j)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	struct backend_pool_view v;

	if (!backend_pool_view(s, pool_row, &v))
		return false;
	json_str(j, "pool", str_of(v.pool));
	json_u64(j, "hosts", v.hosts);
	json_u64(j, "in_flight", v.in_flight);
	json_u64(j, "queued", v.queued);
	json_u64(j, "turn", atomic_load(&p->turn));
	json_u64(j, "cursor", atomic_load(&p->cursor));
	json_u64(j, "version", atomic_load(&p->version));
	json_u64(j, "budget", atomic_load(&p->budget));
	json_u64(j, "touched", atomic_load(&p->touched));
	return true;
}

/* ---- in words ---- */

/* "800 ms", "1.5 s", "2 min". */
static void
view_time(char *to, size_t size, uint64_t ms)
{
	if (ms < 1000)
		snprintf(to, size, "%u ms", (unsigned)ms);
	else if (ms < 120000)
		snprintf(to, size, "%.3g s", (double)ms / 1000);
	else
		snprintf(to, size, "%u min", (unsigned)((ms + 30000) / 60000));
}

void
backend_log(struct shm *s, const struct backend_at *at, const char *why)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w = backend_word_of(at->made);
	char pool[BACKEND_POOL_NAME], host[BACKEND_NAME], time[32];
	uint64_t now = clock_ms();

	if (!c)
		return;
	plain_copy(pool, c->pool, sizeof(pool));
	plain_copy(host, c->host, sizeof(host));
	why = why ? why : "";
	backend_event(s, at, why);
	if (w.state == BACKEND_UP) {
		log_notice("backend %s %s is up again%s%s%s", pool, host, *why ? " (" : "", why,
		    *why ? ")" : "");
		return;
	}
	view_time(time, sizeof(time), w.at > now ? w.at - now : 0);
	log_warnx("backend %s %s is %s: %s%s%s (%u failure%s), tried again in %s", pool, host,
	    backend_state_name(w.state), backend_cause_name(w.cause), *why ? ", " : "", why, w.n,
	    w.n == 1 ? "" : "s", time);
}

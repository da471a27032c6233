/*
 * Pools and hosts as JSON, Prometheus text and a table. Names come from the configuration and,
 * where a host name resolves, from DNS: backend_view() leaves nothing in them that a terminal
 * obeys, and what means something in a form is escaped there. The number of series is bounded by
 * the rows of the segment.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "common/base/human.h"
#include "common/status/pools.h"

static const struct {
	const char *name, *help;
} statuspools_counters[BACKEND_COUNTERS] = {
	[BACKEND_REQUESTS] = { "requests", "Requests sent to backends" },
	[BACKEND_FAILURES] = { "failures", "Attempts that failed" },
	[BACKEND_RETRIES] = { "retries", "Attempts made again, after a failure elsewhere" },
	[BACKEND_CONNECTS] = { "connects", "Connections made" },
	[BACKEND_REUSES] = { "reuses", "Requests over kept connections" },
	[BACKEND_5XX] = { "responses_5xx", "Responses 5xx of backends" },
	[BACKEND_EJECTIONS] = { "ejections", "Times a host was taken out" },
	[BACKEND_CHECKS] = { "checks", "Active checks made" },
	[BACKEND_CHECK_FAILURES] = { "check_failures", "Active checks that failed" },
};

static const char *const statuspools_quantiles[] = { "0.5", "0.9", "0.99" };

int
statuspools_reused(const struct backend_view *h)
{
	uint64_t reuses = h->counters[BACKEND_REUSES];
	uint64_t all = reuses + h->counters[BACKEND_CONNECTS];

	/* A sum that is smaller than a part of it has overflowed. */
	return all && all >= reuses ? (int)((double)reuses * 100 / (double)all) : -1;
}

/* --- JSON --- */

/* Wall time as everywhere in the document, in seconds; null: there is none. */
static void
statuspools_json_time(struct json *j, const char *name, int64_t wall_ms)
{
	if (wall_ms)
		json_double(j, name, (double)wall_ms / 1000);
	else
		json_null(j, name);
}

static void
statuspools_json_host(struct json *j, const struct backend_view *h)
{
	json_object(j, NULL);
	json_str(j, "host", str_of(h->host));
	json_str(j, "state", str_of(backend_state_name(h->state)));
	json_str(j, "admin", str_of(h->admin == ADMIN_NONE ? "" : statussnap_host_state(h)));
	json_bool(j, "usable", statussnap_host_is_usable(h));
	json_str(j, "cause", str_of(h->cause ? backend_cause_name(h->cause) : ""));
	statuspools_json_time(j, "since", h->since);
	statuspools_json_time(j, "until", h->until);
	json_u64(j, "failures_now", h->failures);
	json_u64(j, "level", h->level);
	if (h->weight)
		json_u64(j, "weight", h->weight);
	else
		json_null(j, "weight");
	json_u64(j, "in_flight", h->in_flight);
	for (unsigned i = 0; i < BACKEND_COUNTERS; i++)
		json_u64(j, statuspools_counters[i].name, h->counters[i]);
	json_object(j, "latency_us");
	json_u64(j, "p50", h->latency_us[0]);
	json_u64(j, "p90", h->latency_us[1]);
	json_u64(j, "p99", h->latency_us[2]);
	json_u64(j, "ewma", h->ewma_us);
	json_object_end(j);
	json_object_end(j);
}

static void
statuspools_json_local(struct json *j, const struct backend_local *l)
{
	if (l->most == 0) {
		json_null(j, "processes");
		return;
	}
	json_object(j, "processes");
	json_u64(j, "running", l->running);
	json_u64(j, "wanted", l->wanted);
	json_u64(j, "least", l->least);
	json_u64(j, "most", l->most);
	json_u64(j, "starts", l->starts);
	json_u64(j, "deaths", l->deaths);
	json_i64(j, "last_status", l->last_status);
	statuspools_json_time(j, "last_death", l->last_death);
	json_object_end(j);
}

void
statuspools_json(struct json *j, const struct statussnap *s)
{
	json_array(j, "pools");
	for (unsigned i = 0; i < s->npools; i++) {
		const struct statussnap_pool *p = &s->pools[i];

		json_object(j, NULL);
		json_str(j, "name", str_of(p->view.pool));
		json_u64(j, "hosts_usable", p->usable);
		statuspools_json_time(
		    j, "down_since", p->view.down_ms ? s->wall_ms - (int64_t)p->view.down_ms : 0);
		json_u64(j, "in_flight", p->view.in_flight);
		json_u64(j, "queued", p->view.queued);
		json_u64(j, "queued_in_all", p->view.queued_total);
		json_u64(j, "queue_timeouts", p->view.queue_timeouts);
		json_u64(j, "queue_full", p->view.queue_full);
		json_u64(j, "queue_down", p->view.queue_down);
		json_u64(j, "retries", p->retries);
		json_u64(j, "retries_denied", p->view.retries_denied);
		statuspools_json_local(j, &p->view.local);
		json_array(j, "hosts");
		for (unsigned k = 0; k < p->nhosts; k++)
			statuspools_json_host(j, &p->hosts[k]);
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

/* --- Prometheus --- */

static void
statuspools_label(struct text *out, const char *name, const char *value)
{
	text_printf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			text_add(out, "\\", 1);
		text_add(out, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
	}
	text_add(out, "\"", 1);
}

static void
statuspools_metric(struct text *out, const char *name, const char *kind, const char *help)
{
	text_printf(out, "# HELP argand_%s %s\n# TYPE argand_%s %s\n", name, help, name, kind);
}

/* "argand_NAME{pool="…",host="…"": the caller closes it. */
static void
statuspools_series(struct text *out, const char *name, const char *pool, const char *host)
{
	text_printf(out, "argand_%s{", name);
	statuspools_label(out, "pool", pool);
	if (!host)
		return;
	text_add(out, ",", 1);
	statuspools_label(out, "host", host);
}

/* Figures of a pool, resp. of a host, each with the place where it stands. */
#define POOL_AT(member) offsetof(struct backend_pool_view, member)
static const struct {
	const char *name, *kind, *help;
	size_t offset;
	bool is_wide; /* uint64_t, else unsigned */
} statuspools_of_pool[] = {
	{ "pool_in_flight", "gauge", "Requests at backends", POOL_AT(in_flight), false },
	{ "pool_queued", "gauge", "Requests that wait for a host", POOL_AT(queued), false },
	{ "pool_queued_total", "counter", "Requests that had to wait", POOL_AT(queued_total),
	    true },
	{ "pool_queue_timeouts_total", "counter", "Requests that waited in vain",
	    POOL_AT(queue_timeouts), true },
	{ "pool_queue_full_total", "counter", "Requests turned away by a full queue",
	    POOL_AT(queue_full), true },
	{ "pool_queue_down_total", "counter", "Requests not made to wait for hosts long down",
	    POOL_AT(queue_down), true },
	{ "pool_retries_denied_total", "counter", "Attempts not made for want of budget",
	    POOL_AT(retries_denied), true },
	{ "pool_processes", "gauge", "Local processes that run", POOL_AT(local.running), false },
};

static uint64_t
statuspools_value(const char *at, bool is_wide)
{
	unsigned narrow;
	uint64_t wide;

	if (is_wide) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void
statuspools_prometheus_pools(struct text *out, const struct statussnap *s)
{
	for (size_t i = 0; i < sizeof(statuspools_of_pool) / sizeof(statuspools_of_pool[0]); i++) {
		const char *name = statuspools_of_pool[i].name;

		statuspools_metric(
		    out, name, statuspools_of_pool[i].kind, statuspools_of_pool[i].help);
		for (unsigned k = 0; k < s->npools; k++) {
			const struct backend_pool_view *v = &s->pools[k].view;
			const char *at = (const char *)v + statuspools_of_pool[i].offset;

			statuspools_series(out, name, v->pool, NULL);
			text_printf(out, "} %llu\n",
			    (unsigned long long)statuspools_value(
				at, statuspools_of_pool[i].is_wide));
		}
	}
}

static void
statuspools_prometheus_down(struct text *out, const struct statussnap *s)
{
	static const char name[] = "pool_down_seconds";

	statuspools_metric(
	    out, name, "gauge", "For how long no host has been usable; 0: at least one is");
	for (unsigned i = 0; i < s->npools; i++) {
		statuspools_series(out, name, s->pools[i].view.pool, NULL);
		text_printf(out, "} %.3f\n", (double)s->pools[i].view.down_ms / 1e3);
	}
}

/* Calls fn for each host. */
static void
statuspools_each(struct text *out, const struct statussnap *s, const char *name, unsigned i,
    void (*fn)(struct text *, const char *name, const struct backend_view *, unsigned i))
{
	for (unsigned k = 0; k < s->npools; k++)
		for (unsigned h = 0; h < s->pools[k].nhosts; h++)
			fn(out, name, &s->pools[k].hosts[h], i);
}

static void
statuspools_put_up(struct text *out, const char *name, const struct backend_view *h, unsigned i)
{
	(void)i;
	statuspools_series(out, name, h->pool, h->host);
	text_printf(out, "} %d\n", statussnap_host_is_usable(h));
}

static void
statuspools_put_state(struct text *out, const char *name, const struct backend_view *h, unsigned i)
{
	(void)i;
	statuspools_series(out, name, h->pool, h->host);
	text_printf(out, ",state=\"%s\"} 1\n", statussnap_host_state(h));
}

static void
statuspools_put_busy(struct text *out, const char *name, const struct backend_view *h, unsigned i)
{
	(void)i;
	statuspools_series(out, name, h->pool, h->host);
	text_printf(out, "} %u\n", h->in_flight);
}

static void
statuspools_put_counter(
    struct text *out, const char *name, const struct backend_view *h, unsigned i)
{
	statuspools_series(out, name, h->pool, h->host);
	text_printf(out, "} %llu\n", (unsigned long long)h->counters[i]);
}

static void
statuspools_put_latency(
    struct text *out, const char *name, const struct backend_view *h, unsigned i)
{
	(void)i;
	for (unsigned q = 0; q < 3; q++) {
		statuspools_series(out, name, h->pool, h->host);
		text_printf(out, ",quantile=\"%s\"} %.6f\n", statuspools_quantiles[q],
		    (double)h->latency_us[q] / 1e6);
	}
}

void
statuspools_prometheus(struct text *out, const struct statussnap *s)
{
	char name[64];

	if (s->npools == 0)
		return;
	statuspools_prometheus_pools(out, s);
	statuspools_prometheus_down(out, s);
	statuspools_metric(out, "backend_up", "gauge", "Whether a host takes new requests");
	statuspools_each(out, s, "backend_up", 0, statuspools_put_up);
	statuspools_metric(out, "backend_state", "gauge", "The state that a host is in");
	statuspools_each(out, s, "backend_state", 0, statuspools_put_state);
	statuspools_metric(out, "backend_in_flight", "gauge", "Requests at a host");
	statuspools_each(out, s, "backend_in_flight", 0, statuspools_put_busy);
	for (unsigned i = 0; i < BACKEND_COUNTERS; i++) {
		snprintf(name, sizeof(name), "backend_%s_total", statuspools_counters[i].name);
		statuspools_metric(out, name, "counter", statuspools_counters[i].help);
		statuspools_each(out, s, name, i, statuspools_put_counter);
	}
	statuspools_metric(out, "backend_latency_seconds", "gauge",
	    "Time to the first byte of a response, of late, by quantile");
	statuspools_each(out, s, "backend_latency_seconds", 0, statuspools_put_latency);
}

/* --- text --- */

void
statuspools_local(struct text *out, const struct statussnap *s, const struct backend_local *l)
{
	char ago[HUMAN_MAX];
	int status = l->last_status;

	if (l->most == 0)
		return;
	text_printf(out, "%u of %u..%u processes", l->running, l->least, l->most);
	if (l->wanted != l->running)
		text_printf(out, " (%u wanted)", l->wanted);
	text_printf(out, ", %llu started, %llu died", (unsigned long long)l->starts,
	    (unsigned long long)l->deaths);
	if (l->last_death == 0)
		return;
	if (WIFSIGNALED(status))
		text_printf(out, " (killed by signal %d", WTERMSIG(status));
	else
		text_printf(out, " (exit status %d", WEXITSTATUS(status));
	text_printf(out, ", %s ago)",
	    human_time(
		ago, s->wall_ms > l->last_death ? (uint64_t)(s->wall_ms - l->last_death) : 0));
}

static bool
statuspools_is_out(const struct backend_view *h)
{
	return h->state != BACKEND_UP && h->state != BACKEND_SUSPECT;
}

void
statuspools_detail(struct text *out, const struct statussnap *s, const struct backend_view *h)
{
	size_t before = out->n;
	char t[HUMAN_MAX];

	if (h->admin != ADMIN_NONE && h->state != BACKEND_UP)
		text_printf(out, "%s, ", backend_state_name(h->state));
	if (h->state != BACKEND_UP)
		text_printf(out, "%s", backend_cause_name(h->cause));
	if (h->state != BACKEND_UP && h->failures)
		text_printf(out, " (%u failure%s)", h->failures, h->failures == 1 ? "" : "s");
	if (h->state != BACKEND_UP)
		text_printf(out, ", ");
	if (statuspools_is_out(h) && h->since && h->since <= s->wall_ms)
		text_printf(out, "for %s, ", human_time(t, (uint64_t)(s->wall_ms - h->since)));
	if (statuspools_is_out(h) && h->state != BACKEND_TRIAL && h->until > s->wall_ms)
		text_printf(
		    out, "tried again in %s, ", human_time(t, (uint64_t)(h->until - s->wall_ms)));
	if (h->weight)
		text_printf(out, "weight %u by the operator, ", h->weight);
	if (out->n > before)
		out->n -= 2; /* the last comma */
}

static const char *
statuspools_colour(const struct backend_view *h, const struct statusstyle *st)
{
	if (h->admin == ADMIN_DISABLE)
		return st->dim;
	if (h->state == BACKEND_DOWN)
		return st->bad;
	return statussnap_host_is_usable(h) && h->state == BACKEND_UP ? st->good : st->warn;
}

static const char *
statuspools_latency(char dst[HUMAN_MAX], uint64_t us)
{
	return us ? human_us(dst, us) : "-";
}

static void
statuspools_host(struct text *out, const struct statussnap *s, const struct backend_view *h,
    const struct statusstyle *st)
{
	const uint64_t *c = h->counters;
	char a[HUMAN_MAX], b[HUMAN_MAX], d[HUMAN_MAX], q[3][HUMAN_MAX], reused[HUMAN_MAX] = "-";
	int percent = statuspools_reused(h);
	size_t start, n = strlen(h->host);

	if (percent >= 0)
		snprintf(reused, sizeof(reused), "%d%%", percent);
	text_add(out, "  ", 2);
	text_add_str(out, str_of(h->host));
	text_printf(out, "%*s %s%-10s%s", n < 20 ? (int)(20 - n) : 0, "", statuspools_colour(h, st),
	    statussnap_host_state(h), st->plain);
	text_printf(out, " %5u %6s %6s %5s %5s %6s %6s %6s\n", h->in_flight,
	    human_count(a, (double)c[BACKEND_REQUESTS]),
	    human_count(b, (double)c[BACKEND_FAILURES]), human_count(d, (double)c[BACKEND_RETRIES]),
	    reused, statuspools_latency(q[0], h->latency_us[0]),
	    statuspools_latency(q[1], h->latency_us[1]),
	    statuspools_latency(q[2], h->latency_us[2]));
	start = out->n;
	text_add(out, "    ", 4);
	statuspools_detail(out, s, h);
	if (out->n > start + 4)
		text_add(out, "\n", 1);
	else
		out->n = start;
}

void
statuspools_text(struct text *out, const struct statussnap *s, const struct statussnap_pool *p,
    const struct statusstyle *st)
{
	const struct backend_pool_view *v = &p->view;
	char t[HUMAN_MAX];

	text_printf(out, "\n%spool ", st->strong);
	text_add_str(out, str_of(v->pool));
	text_printf(out, "%s  %s%u of %u hosts usable", st->plain,
	    p->usable == p->nhosts ? ""
	    : p->usable            ? st->warn
				   : st->bad,
	    p->usable, p->nhosts);
	if (v->down_ms)
		text_printf(out, ", down for %s", human_time(t, v->down_ms));
	text_printf(out, "%s, %u in flight, %u waiting, %llu retries", st->plain, v->in_flight,
	    v->queued, (unsigned long long)p->retries);
	if (v->retries_denied)
		text_printf(out, " (%llu denied)", (unsigned long long)v->retries_denied);
	if (v->queue_timeouts + v->queue_full)
		text_printf(out, ", %s%llu waited in vain, %llu turned away%s", st->bad,
		    (unsigned long long)v->queue_timeouts, (unsigned long long)v->queue_full,
		    st->plain);
	if (v->queue_down)
		text_printf(out, ", %s%llu not made to wait for hosts long down%s", st->bad,
		    (unsigned long long)v->queue_down, st->plain);
	text_add(out, "\n", 1);
	if (v->local.most) {
		text_add(out, "  ", 2);
		statuspools_local(out, s, &v->local);
		text_add(out, "\n", 1);
	}
	text_printf(out, "%s  %-20s %-10s %5s %6s %6s %5s %5s %6s %6s %6s%s\n", st->strong, "host",
	    "state", "busy", "reqs", "failed", "retry", "kept", "p50", "p90", "p99", st->plain);
	for (unsigned i = 0; i < p->nhosts; i++)
		statuspools_host(out, s, &p->hosts[i], st);
}

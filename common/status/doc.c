/* The status as JSON and as Prometheus text. */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "common/base/json.h"
#include "common/status/doc.h"
#include "common/status/events.h"
#include "common/status/pools.h"
#include "common/status/snap.h"
#include "common/status/uploads.h"

/* --- JSON --- */

static void
statusdoc_counters(struct json *j, const char *name, const uint64_t counters[CTR_MAX])
{
	json_object(j, name);
	for (unsigned c = 0; c < CTR_MAX; c++)
		json_u64(j, counter_info[c].name, counters[c]);
	json_object_end(j);
}

static void
statusdoc_worker(struct json *j, const struct statussnap_worker *w)
{
	json_object(j, NULL);
	json_u64(j, "row", w->row);
	json_i64(j, "pid", w->pid);
	json_u64(j, "seat", w->seat);
	json_u64(j, "generation", w->generation);
	json_str(j, "state", str_of(statussnap_state_name(w->state)));
	json_u64(j, "age_ms", w->age);
	json_u64(j, "heartbeat_age_ms", w->heartbeat_age);
	json_bool(j, "late", w->is_late);
	json_u64(j, "slots", w->slots);
	statusdoc_counters(j, "counters", w->counters);
	json_object_end(j);
}

static void
statusdoc_generation(struct json *j, const struct statussnap_generation *g)
{
	json_object(j, NULL);
	json_u64(j, "generation", g->generation);
	json_str(j, "state", str_of(g->state));
	json_u64(j, "workers", g->workers);
	json_u64(j, "connections", g->connections);
	json_u64(j, "requests_active", g->active);
	json_object_end(j);
}

static void
statusdoc_reloads(struct json *j, const struct statussnap *s)
{
	json_object(j, "reloads");
	json_u64(j, "done", s->reloads);
	json_u64(j, "failed", s->reload_failures);
	json_i64(j, "last_good", s->reloaded);
	json_i64(j, "last_tried", s->reload_tried);
	json_bool(j, "last_ok", s->reload_error[0] == '\0');
	json_str(j, "error", str_of(s->reload_error));
	json_object_end(j);
}

static void
statusdoc_warnings(struct json *j, const struct statussnap *s)
{
	const char *text;

	json_array(j, "warnings");
	for (unsigned i = 0; (text = statussnap_warning(s, i)) != NULL; i++)
		json_str(j, NULL, str_of(text));
	json_array_end(j);
}

static void
statusdoc_slots(struct json *j, const struct statussnap *s)
{
	json_array(j, "slots");
	for (unsigned i = 0; i < s->slots && i < SHM_SLOTS; i++) {
		if (s->owners[i])
			json_u64(j, NULL, s->owners[i] - 1);
		else
			json_null(j, NULL);
	}
	json_array_end(j);
}

static void
statusdoc_head(struct json *j, const struct statussnap *s)
{
	json_str(j, "name", STR(PACKAGE_NAME));
	json_str(j, "version", STR(PACKAGE_VERSION));
	json_str(j, "state", str_of(s->state));
	json_i64(j, "pid", s->pid);
	json_u64(j, "generation", s->generation);
	json_u64(j, "workers_wanted", s->workers_wanted);
	json_u64(j, "workers_ready", s->ready);
	json_u64(j, "workers_draining", s->draining);
	json_str(j, "log_level", str_of(s->log_level));
	json_u64(j, "clock_ms", s->clock_ms);
	json_i64(j, "time", s->wall);
	json_i64(j, "started", s->started);
	json_u64(j, "uptime_ms", s->uptime_ms);
	json_u64(j, "upgrades", s->upgrades);
	json_u64(j, "worker_deaths", s->deaths);
	json_u64(j, "worker_restarts", s->restarts);
}

void
statusdoc_json(struct shm *shm, struct text *out)
{
	struct statussnap *s = statussnap_take(shm);
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	statusdoc_head(&j, s);
	statusdoc_warnings(&j, s);
	statusdoc_reloads(&j, s);
	statusevents_json(&j, s->events, s->nevents);
	statusdoc_counters(&j, "counters", s->totals);
	json_object(&j, "imbalance");
	json_double(&j, "connections", s->imbalance_connections);
	json_double(&j, "requests", s->imbalance_requests);
	json_object_end(&j);
	statusuploads_json(&j, shm);
	json_array(&j, "workers");
	for (unsigned i = 0; i < s->nworkers; i++)
		statusdoc_worker(&j, &s->workers[i]);
	json_array_end(&j);
	json_array(&j, "generations");
	for (unsigned i = 0; i < s->ngenerations; i++)
		statusdoc_generation(&j, &s->generations[i]);
	json_array_end(&j);
	statusdoc_slots(&j, s);
	statuspools_json(&j, s);
	json_object_end(&j);
	text_add(out, "\n", 1);
	free(s);
}

/* --- Prometheus text format 0.0.4 --- */

static void
statusdoc_metric(struct text *out, const char *name, const char *kind, const char *help)
{
	text_printf(out, "# HELP argand_%s %s\n# TYPE argand_%s %s\n", name, help, name, kind);
}

static void
statusdoc_metric_one(
    struct text *out, const char *name, const char *kind, const char *help, uint64_t value)
{
	statusdoc_metric(out, name, kind, help);
	text_printf(out, "argand_%s %llu\n", name, (unsigned long long)value);
}

static bool
statusdoc_is_counter(unsigned c)
{
	return strcmp(counter_info[c].kind, "counter") == 0;
}

/* Counters carry the suffix that the format's conventions ask for. */
static const char *
statusdoc_suffix(unsigned c)
{
	return statusdoc_is_counter(c) ? "_total" : "";
}

/* Responses by class are one metric with a label. */
static void
statusdoc_classes(struct text *out, const struct statussnap *s)
{
	static const enum counter classes[] = { CTR_R1XX, CTR_R2XX, CTR_R3XX, CTR_R4XX, CTR_R5XX };

	statusdoc_metric(out, "responses_total", "counter", "Responses by class of status");
	for (unsigned i = 0; i < 5; i++)
		text_printf(out, "argand_responses_total{class=\"%uxx\"} %llu\n", i + 1,
		    (unsigned long long)s->totals[classes[i]]);
}

static void
statusdoc_states(struct text *out, const struct statussnap *s)
{
	unsigned n[ROW_DEAD + 1] = { 0 };

	for (unsigned i = 0; i < s->nworkers; i++)
		n[s->workers[i].state]++;
	statusdoc_metric(out, "workers", "gauge", "Worker processes by state");
	for (unsigned state = ROW_STARTING; state <= ROW_DEAD; state++)
		text_printf(out, "argand_workers{state=\"%s\"} %u\n",
		    statussnap_state_name((enum row_state)state), n[state]);
}

/* What is worth a series per worker. The label is the row: there are at most SHM_WORKERS of them
   however often workers are replaced. */
static const struct {
	enum counter counter;
	const char *name, *help;
	unsigned divisor; /* milliseconds become seconds, the format's unit of time */
} statusdoc_per_worker[] = {
	{ CTR_CONNECTIONS, "worker_connections", "Connections open, by worker", 1 },
	{ CTR_ACTIVE, "worker_requests_active", "Requests in progress, by worker", 1 },
	{ CTR_REQUESTS, "worker_requests", "Requests finished, by worker", 1 },
	{ CTR_ACCEPTED, "worker_accepts", "Connections accepted, by worker", 1 },
	{ CTR_CPU_MS, "worker_cpu_seconds", "CPU time used, by worker", 1000 },
	{ CTR_RSS, "worker_resident_bytes", "Resident memory, by worker", 1 },
	{ CTR_LAG_MS, "worker_loop_lag_seconds",
	    "Longest turn of the event loop in the last second, by worker", 1000 },
};

static void
statusdoc_workers(struct text *out, const struct statussnap *s)
{
	for (size_t i = 0; i < sizeof(statusdoc_per_worker) / sizeof(statusdoc_per_worker[0]);
	     i++) {
		unsigned c = statusdoc_per_worker[i].counter, div = statusdoc_per_worker[i].divisor;
		char name[64];

		snprintf(
		    name, sizeof(name), "%s%s", statusdoc_per_worker[i].name, statusdoc_suffix(c));
		statusdoc_metric(out, name, counter_info[c].kind, statusdoc_per_worker[i].help);
		for (unsigned k = 0; k < s->nworkers; k++)
			text_printf(out, "argand_%s{worker=\"%u\"} %.*f\n", name, s->workers[k].row,
			    div == 1 ? 0 : 3, (double)s->workers[k].counters[c] / div);
	}
	statusdoc_metric(out, "worker_heartbeat_age_seconds", "gauge",
	    "Time since the last sign of life, by worker");
	for (unsigned k = 0; k < s->nworkers; k++)
		text_printf(out, "argand_worker_heartbeat_age_seconds{worker=\"%u\"} %.3f\n",
		    s->workers[k].row, (double)s->workers[k].heartbeat_age / 1000);
}

/* The counters that stand for themselves: no class of responses, nothing in milliseconds. */
static bool
statusdoc_is_plain(unsigned c)
{
	return (c < CTR_R1XX || c > CTR_R5XX) && c != CTR_CPU_MS && c != CTR_LAG_MS;
}

static unsigned
statusdoc_nwarnings(const struct statussnap *s)
{
	unsigned n = 0;

	while (statussnap_warning(s, n))
		n++;
	return n;
}

void
statusdoc_prometheus(struct shm *shm, struct text *out)
{
	struct statussnap *s = statussnap_take(shm);
	char name[64];

	statusdoc_metric(out, "build_info", "gauge", "The version of the program");
	text_printf(out, "argand_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	statusdoc_metric_one(out, "start_time_seconds", "gauge",
	    "When the server was started, seconds since the epoch", (uint64_t)s->started);
	statusdoc_metric_one(
	    out, "config_generation", "gauge", "The serving generation", s->generation);
	statusdoc_metric_one(out, "config_last_reload_success", "gauge",
	    "Whether the last attempt to load the configuration succeeded",
	    s->reload_error[0] == '\0');
	statusdoc_metric_one(out, "config_last_reload_success_timestamp_seconds", "gauge",
	    "When the configuration was last loaded", (uint64_t)s->reloaded);
	statusdoc_metric(
	    out, "reloads_total", "counter", "Attempts to load the configuration anew");
	text_printf(
	    out, "argand_reloads_total{result=\"ok\"} %llu\n", (unsigned long long)s->reloads);
	text_printf(out, "argand_reloads_total{result=\"failed\"} %llu\n",
	    (unsigned long long)s->reload_failures);
	statusdoc_metric_one(out, "warnings", "gauge",
	    "Things that somebody should look at, told by argand status", statusdoc_nwarnings(s));
	statusdoc_metric_one(out, "upgrades_total", "counter", "Binary upgrades", s->upgrades);
	statusdoc_metric_one(out, "worker_deaths_total", "counter",
	    "Workers that died without being asked to", s->deaths);
	statusdoc_metric_one(out, "worker_restarts_total", "counter",
	    "Workers started in place of dead ones", s->restarts);
	statusdoc_states(out, s);
	statusdoc_classes(out, s);
	for (unsigned c = 0; c < CTR_MAX; c++) {
		if (!statusdoc_is_plain(c))
			continue;
		snprintf(name, sizeof(name), "%s%s", counter_info[c].name, statusdoc_suffix(c));
		statusdoc_metric_one(
		    out, name, counter_info[c].kind, counter_info[c].help, s->totals[c]);
	}
	statusdoc_metric(out, "cpu_seconds_total", "counter", "CPU time used by all workers");
	text_printf(out, "argand_cpu_seconds_total %.3f\n", (double)s->totals[CTR_CPU_MS] / 1000);
	statusdoc_workers(out, s);
	statuspools_prometheus(out, s);
	free(s);
}

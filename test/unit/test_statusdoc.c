/*
 * The status of a segment with made-up figures: that each form shows them, that sums include
 * workers that are gone, and that hostile text stays inside its string.
 */
#include <stdio.h>
#include <stdlib.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/conf_trust.h"
#include "common/segment/shm_keep.h"
#include "common/status/doc.h"
#include "common/status/snap.h"
#include "test/unit/unit.h"

Suite *suite_statusdoc(void);

static struct shm *shm;
static struct text out;

static unsigned
add(unsigned generation, unsigned seat, enum row_state state, uint64_t requests)
{
	int row = shm_worker_claim(shm, NULL, generation, seat, clock_ms());
	struct shm_worker *w = shm_worker(shm, (unsigned)row);

	ck_assert_int_ge(row, 0);
	shm_worker_enter(shm, (unsigned)row, 1000 + row);
	atomic_store(&w->state, state);
	atomic_store(&w->heartbeat, clock_ms());
	ctr_set(w, CTR_REQUESTS, requests);
	ctr_set(w, CTR_CONNECTIONS, requests / 10);
	return (unsigned)row;
}

static void
setup(void)
{
	struct shm_master *m;

	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	m = shm_master(shm);
	atomic_store(&m->pid, 999);
	atomic_store(&m->generation, 7);
	atomic_store(&m->workers, 2);
	atomic_store(&m->slots, 4);
	atomic_store(&m->log_level, LOG_INFO_);
	atomic_store(&m->started, (uint64_t)clock_wall() - 100);
	add(6, 0, ROW_DRAINING, 50);
	add(7, 1, ROW_READY, 100);
	add(7, 0, ROW_READY, 300);
}

static void
teardown(void)
{
	text_free(&out);
	shm_close(shm);
}

static void
has(const char *needle)
{
	text_add(&out, "", 1);
	ck_assert_msg(strstr(out.p, needle) != NULL, "\"%s\" is not in\n%s", needle, out.p);
	out.n--;
}

START_TEST(test_snap)
{
	struct statussnap *s;

	ck_assert(shm_slot_claim(shm, 0, 0, 2));
	ck_assert(shm_slot_claim(shm, 1, 0, 1));
	ck_assert(shm_slot_claim(shm, 2, 0, 2));
	s = statussnap_take(shm);
	ck_assert_uint_eq(s->nworkers, 3);
	ck_assert_uint_eq(s->workers[0].row, 2); /* newest generation first, then by seat */
	ck_assert_uint_eq(s->workers[1].row, 1);
	ck_assert_uint_eq(s->workers[2].generation, 6);
	ck_assert_uint_eq(s->workers[0].slots, 2);
	ck_assert_uint_eq(s->workers[2].slots, 0);
	ck_assert_uint_eq(s->owners[3], 0);
	ck_assert_uint_eq(s->ready, 2);
	ck_assert_uint_eq(s->draining, 1);
	ck_assert_uint_eq(s->ngenerations, 2);
	ck_assert_str_eq(s->generations[1].state, "draining");
	ck_assert_uint_eq(s->totals[CTR_REQUESTS], 450);
	ck_assert_double_eq_tol(s->imbalance_requests, 1.5, 0.001);
	ck_assert(s->uptime_ms >= 100000 && s->uptime_ms < 200000);
	free(s);
}
END_TEST

/* Who is gone still counts, but for gauges. */
START_TEST(test_buried)
{
	struct statussnap *s;

	shm_worker_bury(shm, 0);
	s = statussnap_take(shm);
	ck_assert_uint_eq(s->nworkers, 2);
	ck_assert_uint_eq(s->totals[CTR_REQUESTS], 450);
	ck_assert_uint_eq(s->totals[CTR_CONNECTIONS], 40);
	free(s);
}
END_TEST

START_TEST(test_late)
{
	struct statussnap *s;

	atomic_store(&shm_worker(shm, 1)->heartbeat, clock_ms() - 2000);
	s = statussnap_take(shm);
	ck_assert(s->workers[1].is_late);
	ck_assert(!s->workers[0].is_late);
	free(s);
	statusdoc_text(shm, false, &out);
	has("no sign of life for 2s");
}
END_TEST

START_TEST(test_json)
{
	memcpy(shm_master(shm)->reload_error, "line 3: \"x\"\n\033", 14);
	statusdoc_json(shm, &out);
	has("\"pid\":999,\"generation\":7,\"workers_wanted\":2,\"workers_ready\":2,");
	has("\"log_level\":\"info\"");
	has("\"last_ok\":false,\"error\":\"line 3: \\\"x\\\"??\"}");
	has("\"imbalance\":{\"connections\":1.500,\"requests\":1.500}");
	has("{\"row\":2,\"pid\":1002,\"seat\":0,\"generation\":7,\"state\":\"ready\",");
	has("\"generations\":[{\"generation\":7,\"state\":\"serving\",\"workers\":2,"
	    "\"connections\":40,");
	has("\"slots\":[null,null,null,null],\"pools\":[]}\n");
}
END_TEST

START_TEST(test_prometheus)
{
	statusdoc_prometheus(shm, &out);
	has("# TYPE argand_requests_total counter\nargand_requests_total 450\n");
	has("# TYPE argand_connections gauge\nargand_connections 45\n");
	has("argand_worker_requests_total{worker=\"2\"} 300\n");
	has("argand_workers{state=\"draining\"} 1\n");
	has("argand_responses_total{class=\"5xx\"} 0\n");
	has("argand_config_last_reload_success 1\n");
	has("argand_config_generation 7\n");
}
END_TEST

/* Each line is a comment or "name{labels} value"; HELP and TYPE come once, before the first sample.
 */
START_TEST(test_prometheus_form)
{
	struct str rest;

	statusdoc_prometheus(shm, &out);
	rest = text_str(&out);
	ck_assert_int_eq(rest.p[rest.n - 1], '\n');
	rest.n--;
	while (rest.p) {
		struct str line = str_split(&rest, '\n');
		char type[128];
		size_t name = 0;

		if (line.p[0] == '#')
			continue;
		while (name < line.n && line.p[name] != '{' && line.p[name] != ' ')
			name++;
		snprintf(type, sizeof(type), "# TYPE %.*s ", (int)name, line.p);
		has(type);
		ck_assert_ptr_null(strstr(strstr(out.p, type) + 1, type));
		ck_assert(strstr(out.p, type) < line.p);
		ck_assert_int_ge(str_find(line, ' '), (ptrdiff_t)name);
	}
}
END_TEST

START_TEST(test_text)
{
	statusdoc_text(shm, false, &out);
	has("serving  pid 999, up 1m 4");
	has("generation 7 since ");
	has(", 2 of 2 workers ready, 1 draining\n");
	has("450 finished");
	ck_assert_ptr_null(memchr(out.p, '\033', out.n));
	out.n = 0;
	memcpy(shm_master(shm)->reload_error, "a\nb\033[2J", 8);
	statusdoc_text(shm, false, &out);
	has("the last reload failed");
	has("): a?b?[2J\n");
	out.n = 0;
	statusdoc_text(shm, true, &out);
	has("\033[1margand ");
}
END_TEST

/* A segment that nobody has written to yet. */
START_TEST(test_empty)
{
	struct shm *fresh = shm_create();

	statusdoc_json(fresh, &out);
	has("\"state\":\"starting\"");
	has("\"workers\":[],\"generations\":[],\"slots\":[],\"pools\":[]}");
	has("\"imbalance\":{\"connections\":0.000,\"requests\":0.000}");
	statusdoc_text(fresh, true, &out);
	statusdoc_prometheus(fresh, &out);
	shm_close(fresh);
}
END_TEST

/* What runs as root, in every form. */
START_TEST(test_warnings)
{
	statusdoc_json(shm, &out);
	has("\"warnings\":[]");
	out.n = 0;
	statusdoc_text(shm, false, &out);
	ck_assert_ptr_null(strstr(out.p, "warning"));
	atomic_store(&shm_master(shm)->risks, RISK_ROOT_WORKERS | RISK_ROOT_BACKENDS | 1 << 20);
	out.n = 0;
	statusdoc_json(shm, &out);
	has("\"warnings\":[\"workers run as root");
	has("\"processes of backends run as root");
	out.n = 0;
	statusdoc_text(shm, false, &out);
	has("\nwarning: workers run as root");
	has("\nwarning: processes of backends run as root");
	out.n = 0;
	statusdoc_prometheus(shm, &out);
	has("\nargand_warnings 2\n");
}
END_TEST

Suite *
suite_statusdoc(void)
{
	Suite *s = suite_create("statusdoc");
	TCase *t = tcase_create("statusdoc");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_snap);
	tcase_add_test(t, test_buried);
	tcase_add_test(t, test_late);
	tcase_add_test(t, test_json);
	tcase_add_test(t, test_prometheus);
	tcase_add_test(t, test_prometheus_form);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_empty);
	tcase_add_test(t, test_warnings);
	suite_add_tcase(s, t);
	return s;
}

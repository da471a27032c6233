/*
 * Pools in each form of the status: what operators look for is there, in the words that the state
 * machine has, and names that are hostile stay inside their place.
 */
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include "common/balance/backend_cell.h"
#include "common/balance/backend_outage.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/segment/shm_keep.h"
#include "common/status/doc.h"
#include "common/status/pools.h"
#include "test/unit/unit.h"

Suite *suite_statuspools(void);

static struct shm *shm;
static struct text out;
static struct conf_pool conf = { .name = STR_INIT("app"),
	.failover = { .threshold = 1,
	    .window = 10000,
	    .refused = 5000,
	    .unreachable = 5000,
	    .overload = 5000,
	    .errors = 5000,
	    .max = 60000,
	    .eject = 50 } };

static unsigned
host(const char *pool, const char *address)
{
	int row = backend_row(shm, str_of(pool), str_of(address));

	ck_assert_int_ge(row, 0);
	return (unsigned)row;
}

static bool
refuse(unsigned row, enum backend_cause cause)
{
	struct backend_at at = { .row = row, .conf = &conf, .trial = -1 };

	return backend_failed(shm, &at, cause, 0, clock_ms());
}

static void
succeed(unsigned row, uint64_t us)
{
	struct backend_at at = { .row = row, .conf = &conf, .trial = -1 };

	backend_succeeded(shm, &at, us, clock_ms());
}

static void
setup(void)
{
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	ck_assert_int_ge(shm_worker_claim(shm, NULL, 1, 0, clock_ms()), 0);
}

static void
teardown(void)
{
	text_free(&out);
	shm_close(shm);
}

static bool
has(const char *needle)
{
	return memmem(out.p, out.n, needle, strlen(needle)) != NULL;
}

#define HAS(needle) ck_assert_msg(has(needle), "\"%s\" is not in\n%.*s", needle, (int)out.n, out.p)

/* Three hosts: one up and busy, one refused, one drained; and another pool, which comes first. */
static void
populate(void)
{
	unsigned a = host("app", "10.0.0.3:80"), b = host("app", "10.0.0.4:80"),
		 c = host("app", "unix:/run/app.sock");

	host("aardvark", "[::1]:9000");
	for (int i = 0; i < 3; i++)
		backend_take(shm, 0, a);
	for (int i = 0; i < 90; i++) {
		backend_count(shm, a, BACKEND_REQUESTS);
		backend_count(shm, a, i < 9 ? BACKEND_CONNECTS : BACKEND_REUSES);
		succeed(a, 1500);
	}
	ck_assert(refuse(b, CAUSE_REFUSED));
	backend_count(shm, b, BACKEND_RETRIES);
	backend_admin_set(shm, c, ADMIN_DRAIN);
	backend_weight_set(shm, c, 7);
	backend_pool_count(shm, (unsigned)backend_pool_row(shm, STR("app")), POOL_QUEUE_FULL);
	backend_queue(shm, 0, (unsigned)backend_pool_row(shm, STR("app")), 2);
}

START_TEST(test_snap)
{
	struct statussnap *s;

	populate();
	s = statussnap_take(shm);
	ck_assert_uint_eq(s->npools, 2);
	ck_assert_str_eq(s->pools[0].view.pool, "aardvark");
	ck_assert_uint_eq(s->pools[0].nhosts, 1);
	ck_assert_uint_eq(s->pools[0].usable, 1);
	ck_assert_uint_eq(s->pools[1].nhosts, 3);
	ck_assert_uint_eq(s->pools[1].usable, 1);
	ck_assert_str_eq(s->pools[1].hosts[0].host, "10.0.0.3:80");
	ck_assert_str_eq(statussnap_host_state(&s->pools[1].hosts[0]), "up");
	ck_assert_str_eq(statussnap_host_state(&s->pools[1].hosts[1]), "down");
	ck_assert_str_eq(statussnap_host_state(&s->pools[1].hosts[2]), "draining");
	free(s);
}
END_TEST

START_TEST(test_json)
{
	populate();
	statusdoc_json(shm, &out);
	HAS("\"pools\":[{\"name\":\"aardvark\",\"hosts_usable\":1,");
	HAS("{\"name\":\"app\",\"hosts_usable\":1,\"down_since\":null,\"in_flight\":3,\"queued\":"
	    "2,");
	HAS("\"queue_full\":1,\"queue_down\":0,");
	HAS("\"processes\":null,\"hosts\":[{\"host\":\"10.0.0.3:80\",\"state\":\"up\",\"admin\":"
	    "\"\","
	    "\"usable\":true,\"cause\":\"\",\"since\":");
	HAS("\"weight\":null,\"in_flight\":3,\"requests\":90,\"failures\":0,");
	HAS("\"connects\":9,\"reuses\":81,");
	HAS("{\"host\":\"10.0.0.4:80\",\"state\":\"down\",\"admin\":\"\",\"usable\":false,"
	    "\"cause\":\"refused\",\"since\":1");
	HAS("\"ejections\":1,");
	HAS("{\"host\":\"unix:/run/app.sock\",\"state\":\"up\",\"admin\":\"draining\","
	    "\"usable\":false,");
	HAS("\"weight\":7,");
	HAS("]}]}\n");
}
END_TEST

START_TEST(test_text)
{
	populate();
	statusdoc_text(shm, false, &out);
	HAS("\npool aardvark  1 of 1 hosts usable, 0 in flight, 0 waiting, 0 retries\n");
	HAS("\npool app  1 of 3 hosts usable, 3 in flight, 2 waiting, 1 retries, 0 waited in vain, "
	    "1 turned away\n");
	HAS("  host                 state       busy   reqs failed retry  kept");
	HAS("  10.0.0.3:80          up             3     90      0     0   90%  1.");
	HAS("  10.0.0.4:80          down           0      0      1     1     -      -");
	HAS("\n    refused (1 failure), for 0s, tried again in ");
	HAS("  unix:/run/app.sock   draining       0      0      0     0     -");
	HAS("\n    weight 7 by the operator\n");
}
END_TEST

START_TEST(test_prometheus)
{
	populate();
	statusdoc_prometheus(shm, &out);
	HAS("# TYPE argand_backend_up "
	    "gauge\nargand_backend_up{pool=\"aardvark\",host=\"[::1]:9000\"} 1"
	    "\nargand_backend_up{pool=\"app\",host=\"10.0.0.3:80\"} 1\n"
	    "argand_backend_up{pool=\"app\",host=\"10.0.0.4:80\"} 0\n");
	HAS("argand_backend_state{pool=\"app\",host=\"10.0.0.4:80\",state=\"down\"} 1\n");
	HAS("argand_backend_in_flight{pool=\"app\",host=\"10.0.0.3:80\"} 3\n");
	HAS("# TYPE argand_backend_requests_total counter\n");
	HAS("argand_backend_requests_total{pool=\"app\",host=\"10.0.0.3:80\"} 90\n");
	HAS("argand_backend_latency_seconds{pool=\"app\",host=\"10.0.0.3:80\",quantile=\"0.5\"} "
	    "0.001");
	HAS("argand_pool_queued{pool=\"app\"} 2\n");
	HAS("argand_pool_queue_full_total{pool=\"app\"} 1\n");
	HAS("argand_pool_queue_down_total{pool=\"app\"} 0\n");
	HAS("argand_pool_down_seconds{pool=\"app\"} 0.000\n");
}
END_TEST

/* An outage that began 72 seconds ago, and what became of requests. */
START_TEST(test_outage)
{
	unsigned a = host("app", "10.0.0.3:80"), row;

	ck_assert(refuse(a, CAUSE_REFUSED));
	row = (unsigned)backend_pool_row(shm, STR("app"));
	backend_outage_begin(shm, row, clock_ms() - 72000);
	for (int i = 0; i < 3; i++)
		backend_pool_count(shm, row, POOL_QUEUE_DOWN);
	statusdoc_json(shm, &out);
	HAS("\"hosts_usable\":0,\"down_since\":1");
	HAS("\"queue_down\":3,");
	out.n = 0;
	statusdoc_text(shm, false, &out);
	HAS("\npool app  0 of 1 hosts usable, down for 1m 12s, 0 in flight, 0 waiting, 0 retries, "
	    "3 "
	    "not made to wait for hosts long down\n");
	out.n = 0;
	statusdoc_prometheus(shm, &out);
	HAS("argand_pool_queue_down_total{pool=\"app\"} 3\n");
	HAS("argand_pool_down_seconds{pool=\"app\"} 72.");
}
END_TEST

/* A server without pools says nothing about them. */
START_TEST(test_none)
{
	statusdoc_prometheus(shm, &out);
	ck_assert(!has("argand_backend") && !has("argand_pool"));
	statusdoc_text(shm, false, &out);
	ck_assert(!has("\npool"));
	statusdoc_json(shm, &out);
	HAS("\"pools\":[]}\n");
}
END_TEST

START_TEST(test_hostile)
{
	host("app", "unix:/a\"b\\c\nd\033[2J");
	statusdoc_prometheus(shm, &out);
	HAS("argand_backend_up{pool=\"app\",host=\"unix:/a\\\"b\\\\c?d?[2J\"} 1\n");
	out.n = 0;
	statusdoc_text(shm, false, &out);
	HAS("  unix:/a\"b\\c?d?[2J ");
	out.n = 0;
	statusdoc_json(shm, &out);
	HAS("\"host\":\"unix:/a\\\"b\\\\c?d?[2J\"");
}
END_TEST

/* A worker that was taken over writes one pool's row over all of them: the hosts of that name are
   still copied once, into the room that was made for them. */
START_TEST(test_one_name_everywhere)
{
	struct statussnap *s;
	char text[64];
	unsigned row;

	populate();
	row = (unsigned)backend_pool_row(shm, STR("app"));
	for (unsigned i = 0; i < BACKEND_POOLS; i++)
		if (i != row)
			memcpy(shm_backend_pool(shm, i), shm_backend_pool(shm, row),
			    sizeof(struct backend_pool));
	s = statussnap_take(shm);
	ck_assert_uint_eq(s->npools, 1);
	ck_assert_uint_eq(s->pools[0].nhosts, 3);
	ck_assert_uint_eq(s->pools[0].view.row, 0);
	free(s);
	for (unsigned i = 0; i < BACKEND_ROWS; i++)
		memcpy(shm_backend(shm, i), shm_backend(shm, (unsigned)host("app", "10.0.0.3:80")),
		    sizeof(struct backend_cell));
	statusdoc_text(shm, false, &out);
	snprintf(
	    text, sizeof(text), "\npool app  %d of %d hosts usable", BACKEND_ROWS, BACKEND_ROWS);
	ck_assert(memmem(out.p, out.n, text, strlen(text)) != NULL);
}
END_TEST

static uint64_t hostile_seed = 88172645463325252;

static uint64_t
hostile_random(void)
{
	hostile_seed ^= hostile_seed << 13;
	hostile_seed ^= hostile_seed >> 7;
	return hostile_seed ^= hostile_seed << 17;
}

static void
hostile_fill(void *to, size_t size, uint64_t value)
{
	for (size_t at = 0; at + 8 <= size; at += 8) {
		uint64_t v = value ? value : hostile_random();

		memcpy((char *)to + at, &v, 8);
	}
}

static const uint64_t hostile_values[] = { UINT64_MAX, INT64_MAX, (uint64_t)1 << 63,
	0x0101010101010101, 0x4141414141414141, 0x9b9b9b9b9b9b9b9b, 0x1b5b324a1b5b324a, 0, 0, 0,
	0 };

/* Rows full of one value, or (0) of noise: every form of the status has an end, is UTF-8, and has
   nothing that a terminal obeys. */
START_TEST(test_noise)
{
	uint64_t v = hostile_values[_i];

	hostile_seed += (uint64_t)_i;
	populate();
	hostile_fill(shm_master(shm), sizeof(struct shm_master), v);
	for (unsigned i = 0; i < SHM_WORKERS; i++)
		hostile_fill(shm_worker(shm, i), sizeof(struct shm_worker), v);
	for (unsigned i = 0; i < BACKEND_POOLS; i++)
		hostile_fill(shm_backend_pool(shm, i), sizeof(struct backend_pool), v);
	for (unsigned i = 0; i < BACKEND_ROWS; i++)
		hostile_fill(shm_backend(shm, i), sizeof(struct backend_cell), v);
	statusdoc_json(shm, &out);
	statusdoc_prometheus(shm, &out);
	statusdoc_text(shm, false, &out);
	/* Not ck_assert() each time: it takes a system call, and there are millions. */
	for (const unsigned char *p = (const unsigned char *)out.p, *end = p + out.n; p < end;) {
		unsigned n = utf8_len(p, end);

		if (n == 0 || (*p < 0x20 && *p != '\n') || *p == 0x7f ||
		    (p[0] == 0xc2 && p[1] < 0xa0))
			ck_abort_msg("octet %02x at %td", *p, (const char *)p - out.p);
		p += n;
	}
}
END_TEST

static const struct {
	struct backend_view view;
	const char *text;
} detail_rows[] = {
	{ { .state = BACKEND_UP }, "" },
	{ { .state = BACKEND_UP, .admin = ADMIN_DISABLE }, "" },
	{ { .state = BACKEND_UP, .weight = 3 }, "weight 3 by the operator" },
	{ { .state = BACKEND_SUSPECT, .cause = CAUSE_ERRORS, .failures = 2, .since = 1 },
	    "errors (2 failures)" },
	{ { .state = BACKEND_DOWN,
	      .cause = CAUSE_UNREACHABLE,
	      .failures = 3,
	      .since = 40000,
	      .until = 107000 },
	    "unreachable (3 failures), for 1m 0s, tried again in 7s" },
	{ { .state = BACKEND_DOWN,
	      .admin = ADMIN_DRAIN,
	      .cause = CAUSE_CHECK,
	      .failures = 1,
	      .since = 99000,
	      .until = 90000,
	      .weight = 1000 },
	    "down, check (1 failure), for 1s, weight 1000 by the operator" },
	{ { .state = BACKEND_TRIAL, .cause = CAUSE_REFUSED, .failures = 0, .until = 105000 },
	    "refused" },
};

START_TEST(test_detail)
{
	struct statussnap s = { .wall_ms = 100000 };

	text_room(&out, 1);
	statuspools_detail(&out, &s, &detail_rows[_i].view);
	unit_str_eq(text_str(&out), detail_rows[_i].text);
}
END_TEST

static const struct {
	struct backend_local local;
	const char *text;
} local_rows[] = {
	{ { 0 }, "" },
	{ { .running = 2, .wanted = 2, .least = 2, .most = 8, .starts = 2 },
	    "2 of 2..8 processes, 2 started, 0 died" },
	{ { .running = 3,
	      .wanted = 4,
	      .least = 2,
	      .most = 8,
	      .starts = 12,
	      .deaths = 1,
	      .last_status = SIGKILL,
	      .last_death = 86000 },
	    "3 of 2..8 processes (4 wanted), 12 started, 1 died (killed by signal 9, 14s ago)" },
	{ { .running = 1,
	      .wanted = 1,
	      .least = 1,
	      .most = 1,
	      .starts = 2,
	      .deaths = 1,
	      .last_status = 3 << 8,
	      .last_death = 200000 },
	    "1 of 1..1 processes, 2 started, 1 died (exit status 3, 0s ago)" },
};

START_TEST(test_local)
{
	struct statussnap s = { .wall_ms = 100000 };

	text_room(&out, 1);
	statuspools_local(&out, &s, &local_rows[_i].local);
	unit_str_eq(text_str(&out), local_rows[_i].text);
}
END_TEST

Suite *
suite_statuspools(void)
{
	Suite *s = suite_create("statuspools");
	TCase *t = tcase_create("statuspools");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_snap);
	tcase_add_test(t, test_json);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_prometheus);
	tcase_add_test(t, test_outage);
	tcase_add_test(t, test_none);
	tcase_add_test(t, test_hostile);
	tcase_add_test(t, test_one_name_everywhere);
	tcase_add_loop_test(t, test_noise, 0, UNIT_COUNT(hostile_values));
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_detail, 0, UNIT_COUNT(detail_rows));
	tcase_add_loop_test(t, test_local, 0, UNIT_COUNT(local_rows));
	suite_add_tcase(s, t);
	return s;
}

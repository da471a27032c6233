/*
 * Probes and checks of one worker, against Unix sockets of this process: when it acts, what it
 * reports, and what it leaves to others.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/base/log.h"
#include "modules/gateway/pool/health.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"

Suite *suite_health(void);

enum { OTHER_WORKER = 17 };

static struct loopback *lo;
static struct conf_pool pool;
static struct conf_host host;
static struct health_host health;
static struct sockaddr_un addr;
static struct backend_at at;
static int changes, listener;

static void
changed(void *arg)
{
	ck_assert_ptr_eq(arg, &changes);
	changes++;
}

static struct shm *
shm(void)
{
	return worker_shm(lo_worker(lo));
}

static void
setup(void)
{
	log_level = LOG_FATAL_;
	lo = lo_open("sites = ( { host = \"*\"; respond = \"x\"; } );");
	changes = 0;
	listener = -1;
	pool = (struct conf_pool){ .name = STR("app"),
		.protocol = POOL_SCGI,
		.max_head = 32768,
		.timeout = { .connect = 300 },
		.failover = { .threshold = 1,
		    .window = 10000,
		    .refused = 1,
		    .unreachable = 1,
		    .overload = 1,
		    .errors = 1,
		    .max = 60000,
		    .eject = 100 },
		.health = { .interval = 50, .timeout = 200, .rise = 2, .fall = 3 } };
	/* In the abstract space: no file. */
	addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "argand-test-health-%d", getpid());
	host = (struct conf_host){ .address = STR("unix:/x"), .name = STR("/x") };
	host.is_unix = true;
	health = (struct health_host){ .w = lo_worker(lo),
		.pool = &pool,
		.conf = &host,
		.addr = (struct sockaddr *)&addr,
		.addr_len = sizeof(addr),
		.row = (unsigned)backend_row(shm(), pool.name, host.address),
		.changed = changed,
		.arg = &changes };
	at = (struct backend_at){ .row = health.row, .conf = &pool, .trial = -1 };
}

static void
teardown(void)
{
	health_stop(&health);
	if (listener >= 0)
		close(listener);
	lo_close(lo);
}

static void
listen_there(void)
{
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
}

/* Turns until the host is in the state, two seconds at most. */
static bool
comes_to(enum backend_state state)
{
	for (int i = 0; i < 400 && backend_state_of(shm(), health.row, NULL) != state; i++)
		lo_turns(lo, 1, 5);
	return backend_state_of(shm(), health.row, NULL) == state;
}

static void
take_out(enum backend_cause cause)
{
	lo_turns(lo, 1, 0);
	ck_assert(backend_failed(shm(), &at, cause, 0, worker_now(health.w)));
	lo_turns(lo, 4, 1);
}

static bool
was_connected(void)
{
	int fd = accept(listener, NULL, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A host that is well is left alone. */
START_TEST(test_well)
{
	listen_there();
	health_start(&health);
	lo_turns(lo, 60, 5);
	ck_assert(!was_connected());
	ck_assert_int_eq(changes, 0);
}
END_TEST

static const enum backend_cause probed[] = { CAUSE_REFUSED, CAUSE_UNREACHABLE, CAUSE_CHECK };

START_TEST(test_probe_good)
{
	listen_there();
	take_out(probed[_i]);
	health_start(&health);
	ck_assert(comes_to(BACKEND_UP));
	ck_assert(was_connected());
	ck_assert(!was_connected());
	lo_turns(lo, 40, 5);
	ck_assert(!was_connected());
	ck_assert_int_eq(changes, 1);
}
END_TEST

/* It stays out, for longer, and nobody is told. */
START_TEST(test_probe_bad)
{
	uint64_t until;

	pool.failover.refused = 20000;
	take_out(CAUSE_UNREACHABLE);
	health_start(&health);
	for (int i = 0; i < 400; i++) {
		lo_turns(lo, 1, 5);
		if (backend_cause_of(shm(), health.row) == CAUSE_REFUSED)
			break;
	}
	ck_assert_int_eq(backend_state_of(shm(), health.row, &until), BACKEND_DOWN);
	ck_assert_int_eq(backend_cause_of(shm(), health.row), CAUSE_REFUSED);
	ck_assert_uint_gt(until, worker_now(health.w) + 10000);
	ck_assert_int_eq(changes, 0);
}
END_TEST

/* These come back by requests. */
static const enum backend_cause left[] = { CAUSE_OVERLOAD, CAUSE_ERRORS };

START_TEST(test_not_probed)
{
	listen_there();
	backend_row(
	    shm(), pool.name, STR("unix:/y")); /* the last one is not taken out for errors */
	take_out(left[_i]);
	health_start(&health);
	lo_turns(lo, 60, 5);
	ck_assert_int_ne(backend_state_of(shm(), health.row, NULL), BACKEND_UP);
	ck_assert(!was_connected());
}
END_TEST

START_TEST(test_disabled)
{
	pool.health.is_on = true;
	listen_there();
	take_out(CAUSE_REFUSED);
	backend_admin_set(shm(), health.row, ADMIN_DISABLE);
	health_start(&health);
	lo_turns(lo, 60, 5);
	ck_assert(!was_connected());
	backend_admin_set(shm(), health.row, ADMIN_DRAIN);
	ck_assert(comes_to(BACKEND_UP));
}
END_TEST

/* Another worker has the trial: hands off, until its lease is over. */
START_TEST(test_other_worker)
{
	listen_there();
	take_out(CAUSE_REFUSED);
	ck_assert(backend_try(shm(), health.row, OTHER_WORKER, 600, worker_now(health.w)));
	health_start(&health);
	lo_turns(lo, 50, 5);
	ck_assert_int_eq(backend_state_of(shm(), health.row, NULL), BACKEND_TRIAL);
	ck_assert(!was_connected());
	ck_assert(comes_to(BACKEND_UP));
	ck_assert(was_connected());
}
END_TEST

/* The worker ends in the middle: the trial is given back, to be made at once. */
START_TEST(test_stop)
{
	uint64_t until;

	pool.protocol = POOL_HTTP;
	pool.health.is_on = true;
	pool.health.path = STR("/");
	listen_there();
	take_out(CAUSE_REFUSED);
	health_start(&health);
	ck_assert(comes_to(BACKEND_TRIAL));
	lo_turns(lo, 2, 1); /* it waits for an answer */
	health_stop(&health);
	ck_assert_int_eq(backend_state_of(shm(), health.row, &until), BACKEND_DOWN);
	ck_assert_uint_le(until, worker_now(health.w));
	health_stop(&health);
}
END_TEST

/* Fall, then rise: each tells once. */
START_TEST(test_checks)
{
	uint64_t checks;

	pool.health.is_on = true;
	pool.health.timeout = 60000; /* does not put off the next one */
	health_start(&health);
	ck_assert(comes_to(BACKEND_DOWN));
	ck_assert_int_eq(backend_cause_of(shm(), health.row), CAUSE_CHECK);
	ck_assert_int_eq(changes, 1);
	listen_there();
	ck_assert(comes_to(BACKEND_UP));
	ck_assert_int_eq(changes, 2);
	for (checks = 0; was_connected(); checks++)
		continue;
	ck_assert_uint_eq(checks, 2);
}
END_TEST

/* Accepts and answers whatever comes, until the host is in the state. */
static bool
answer_until(enum backend_state state, const char *text)
{
	char block[2048];

	for (int i = 0; i < 1000 && backend_state_of(shm(), health.row, NULL) != state; i++) {
		int fd = accept(listener, NULL, NULL);

		lo_turns(lo, 2, 1);
		if (fd < 0)
			continue;
		ck_assert_int_gt(recv(fd, block, sizeof(block), MSG_DONTWAIT), 0);
		ck_assert_int_eq(memcmp(block, "GET /up HTTP/1.1\r\n", 18), 0);
		ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
		close(fd);
	}
	return backend_state_of(shm(), health.row, NULL) == state;
}

START_TEST(test_request)
{
	pool.protocol = POOL_HTTP;
	pool.health.is_on = true;
	pool.health.path = STR("/up");
	pool.health.status_bits[200 / 64] = 1ULL << 200 % 64;
	listen_there();
	health_start(&health);
	ck_assert(answer_until(BACKEND_DOWN, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
	ck_assert_int_eq(changes, 1);
	ck_assert(answer_until(BACKEND_UP, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
	ck_assert_int_eq(changes, 2);
}
END_TEST

/* Connections are taken, but nothing is ever said. */
START_TEST(test_silent)
{
	pool.protocol = POOL_HTTP;
	pool.health.is_on = true;
	pool.health.path = STR("/up");
	pool.health.fall = 1;
	listen_there();
	health_start(&health);
	ck_assert(comes_to(BACKEND_DOWN));
	ck_assert_int_eq(backend_cause_of(shm(), health.row), CAUSE_CHECK);
}
END_TEST

Suite *
suite_health(void)
{
	Suite *s = suite_create("health");
	TCase *t = tcase_create("health");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_well);
	tcase_add_loop_test(t, test_probe_good, 0, UNIT_COUNT(probed));
	tcase_add_test(t, test_probe_bad);
	tcase_add_loop_test(t, test_not_probed, 0, UNIT_COUNT(left));
	tcase_add_test(t, test_disabled);
	tcase_add_test(t, test_other_worker);
	tcase_add_test(t, test_stop);
	tcase_add_test(t, test_checks);
	tcase_add_test(t, test_request);
	tcase_add_test(t, test_silent);
	suite_add_tcase(s, t);
	return s;
}

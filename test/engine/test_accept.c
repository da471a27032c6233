/* New connections: the limit, no descriptor left, a worker that drains. */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "test/engine/sim.h"
#include "test/unit/unit.h"

Suite *suite_accept(void);

enum { LIMIT = 16 };

static struct vsock *clients[LIMIT + 1], *late;

static struct vsock *
ask(void)
{
	static const char text[] = "GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n";
	struct vsock *s = vnet_client();

	vsock_say(s, text, sizeof(text) - 1);
	return s;
}

/* As many requests as there may be connections, all of which wait for their backend. */
static void
fill(void)
{
	for (int i = 0; i < LIMIT; i++)
		clients[i] = ask();
	sim_settle();
	for (int i = 0; i < LIMIT; i++)
		ck_assert(!clients[i]->is_queued);
	for (unsigned i = 0; i < vnet_count(); i++)
		if (vnet_at(i)->kind == VSOCK_BACKEND)
			vsock_up(vnet_at(i));
	sim_settle();
	ck_assert_uint_eq(sim_counter(CTR_CONNECTIONS), LIMIT);
}

static void
answer_all(void)
{
	static const char answer[] = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nhi";

	for (unsigned i = 0; i < vnet_count(); i++) {
		struct vsock *s = vnet_at(i);

		if (s->kind != VSOCK_BACKEND || s->is_closed || s->is_ended)
			continue;
		vsock_up(s);
		sim_settle();
		if (s->out.n > s->out_at)
			vsock_say(s, answer, sizeof(answer) - 1);
		s->out_at = s->out.n;
	}
	sim_settle();
}

static void
setup(void)
{
	snprintf(vnet_about, sizeof(vnet_about), "accepting");
	sim_open(
	    "server: { listen = \"127.0.0.1:8080\"; max_connections = 16; };\n"
	    "backends: { app: { protocol = \"http\"; hosts = [ \"10.0.0.1:80\" ]; }; };\n"
	    "sites = ( { host = \"*\"; routes = ( { path = \"/app\"; gateway = \"app\"; } ); } );",
	    1);
}

static void
teardown(void)
{
	for (unsigned i = 0; i < vnet_count(); i++)
		if (!vnet_at(i)->is_closed && vnet_at(i)->kind != VSOCK_LISTENER)
			vsock_fail(vnet_at(i), ECONNRESET);
	sim_pass(100000);
	ck_assert(sim_is_quiet());
	sim_close();
}

START_TEST(beyond_the_limit_they_wait)
{
	fill();
	late = ask();
	sim_pass(5000);
	ck_assert(late->is_queued);
	vsock_fail(clients[3], ECONNRESET);
	sim_settle();
	ck_assert(!late->is_queued);
	answer_all();
	ck_assert_uint_gt(late->out.n, 0);
}
END_TEST

START_TEST(an_idle_one_makes_room)
{
	unsigned closed = 0;

	fill();
	answer_all();
	late = ask();
	sim_pass(200);
	ck_assert(!late->is_queued);
	for (int i = 0; i < LIMIT; i++) {
		ck_assert_uint_gt(clients[i]->out.n, 0);
		closed += clients[i]->is_closed;
	}
	ck_assert_uint_eq(closed, 1);
	ck_assert_uint_eq(sim_counter(CTR_CONNECTIONS), LIMIT);
}
END_TEST

static const int wants[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };

START_TEST(without_descriptors_it_pauses)
{
	vnet_accept_error = wants[_i];
	late = ask();
	sim_pass(50);
	ck_assert_uint_eq(sim_counter(CTR_REFUSED), 1);
	ck_assert(sim.w->is_paused);
	sim_pass(30);
	ck_assert_uint_eq(sim_counter(CTR_REFUSED), 1);
	vnet_accept_error = 0;
	sim_pass(200);
	ck_assert(!late->is_queued);
	answer_all();
	ck_assert_uint_gt(late->out.n, 0);
}
END_TEST

static const int passing[] = { ECONNABORTED, EINTR, EAGAIN };

START_TEST(a_connection_that_was_aborted_costs_nothing)
{
	vnet_accept_error = passing[_i];
	late = ask();
	worker_turn(sim.w, false);
	vnet_accept_error = 0;
	sim_settle();
	ck_assert_uint_eq(sim_counter(CTR_REFUSED), 0);
	ck_assert(!late->is_queued);
}
END_TEST

/* Nobody has taken the slot: it is served for a second more. */
START_TEST(a_draining_worker_leaves_after_a_while)
{
	sim_drain();
	sim_pass(200);
	ck_assert_int_eq(sim.w->state, WORKER_DRAINING);
	late = ask();
	sim_pass(200);
	ck_assert(!late->is_queued);
	answer_all();
	ck_assert_uint_gt(late->out.n, 0);
	ck_assert(late->is_shut);
	sim_pass(1000);
	late = ask();
	sim_pass(200);
	ck_assert(late->is_queued);
	ck_assert_int_eq(sim.w->state, WORKER_DONE);
}
END_TEST

Suite *
suite_accept(void)
{
	Suite *s = suite_create("accept");
	TCase *t = tcase_create("accept");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, beyond_the_limit_they_wait);
	tcase_add_test(t, an_idle_one_makes_room);
	tcase_add_loop_test(t, without_descriptors_it_pauses, 0, UNIT_COUNT(wants));
	tcase_add_loop_test(t, a_connection_that_was_aborted_costs_nothing, 0, UNIT_COUNT(passing));
	tcase_add_test(t, a_draining_worker_leaves_after_a_while);
	suite_add_tcase(s, t);
	return s;
}

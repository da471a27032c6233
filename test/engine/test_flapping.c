/* Hosts that come and go, thousands of times: each request waits again and again, each time for
   another rest of its timeout.queue, and is answered. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/engine/invariant.h"
#include "test/engine/sim.h"
#include "test/unit/unit.h"

Suite *suite_flapping(void);

enum { REQUESTS = 4000, APART_MS = 13, LATE_MS = 8, UP_MS = 150, OF_MS = 550, LENGTHS = 64 };

static const char conf[] =
    "server: { listen = \"127.0.0.1:8080\"; };\n"
    "backends: { app: { protocol = \"http\"; hosts = [ \"10.0.0.1:80\", \"10.0.0.2:80\" ];\n"
    "failover: { threshold = 1000; }; timeout: { queue = \"3s\"; }; }; };\n"
    "sites = ( { host = \"*\"; routes = ( { path = \"/app\"; gateway = \"app\"; } ); } );\n";

static bool flaps; /* else nobody ever listens */

static int
connecting(struct vsock *s)
{
	if (!flaps || vnet_now_ms() % OF_MS >= UP_MS)
		return ECONNREFUSED;
	vsock_up(s);
	return 0;
}

/* Whoever has a whole request is answered; who flaps resets one in four first. */
static void
answer_all(void)
{
	static const char answer[] = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nhi";

	for (unsigned i = 0; i < vnet_count(); i++) {
		struct vsock *s = vnet_at(i);

		if (s->kind != VSOCK_BACKEND || s->is_closed || s->is_gone || s->out.n == s->out_at)
			continue;
		s->out_at = s->out.n;
		if (vnet_random(4) == 0)
			vsock_fail(s, ECONNRESET);
		else
			vsock_say(s, answer, sizeof(answer) - 1);
	}
}

static struct vsock *
ask(void)
{
	static const char text[] = "GET /app/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	struct vsock *s = vnet_client();

	vsock_say(s, text, sizeof(text) - 1);
	return s;
}

/* Statuses of all answers, by their first digit. */
static void
ask_all(unsigned n, unsigned classes[6])
{
	struct vsock **v = calloc(n, sizeof(*v));

	vnet_connecting = connecting;
	vnet_be_late(LATE_MS);
	for (unsigned i = 0; i < n; i++) {
		v[i] = ask();
		sim_pass(APART_MS);
		answer_all();
		if (i % 100 == 0)
			invariant_check();
	}
	for (int i = 0; i < 1000 && sim_counter(CTR_ACTIVE); i++) {
		sim_pass(APART_MS);
		answer_all();
	}
	memset(classes, 0, 6 * sizeof(*classes));
	for (unsigned i = 0; i < n; i++) {
		struct sim_answer a;

		sim_answer(&a, v[i]->out.p, v[i]->out.n, false, v[i]->is_shut);
		ck_assert(a.is_complete);
		classes[a.status / 100]++;
		text_free(&a.body);
		vsock_end(v[i]);
	}
	free(v);
	sim_pass(10000);
	ck_assert(sim_is_quiet());
}

START_TEST(nobody_listens)
{
	unsigned classes[6];

	flaps = false;
	snprintf(vnet_about, sizeof(vnet_about), "nobody listens");
	sim_open(conf, 1);
	ask_all(REQUESTS / 4, classes);
	ck_assert_uint_eq(classes[5], REQUESTS / 4);
	ck_assert_uint_lt(sim.w->nclasses, LENGTHS);
	sim_close();
}
END_TEST

START_TEST(hosts_flap)
{
	unsigned classes[6];

	flaps = true;
	snprintf(vnet_about, sizeof(vnet_about), "hosts flap");
	sim_open(conf, 2);
	ask_all(REQUESTS, classes);
	ck_assert_uint_eq(classes[2] + classes[5], REQUESTS);
	ck_assert_uint_gt(classes[2], REQUESTS / 2);
	ck_assert_uint_lt(sim.w->nclasses, LENGTHS);
	sim_close();
}
END_TEST

Suite *
suite_flapping(void)
{
	Suite *s = suite_create("flapping");
	TCase *t = tcase_create("flapping");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, hosts_flap);
	suite_add_tcase(s, t);
	return s;
}

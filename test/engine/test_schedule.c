/*
 * Random schedules: a pool, clients and backends drawn from a seed, and events in an order drawn
 * from it. After each the invariants hold; at the end, whether everybody behaves or everybody falls
 * silent, nothing is left under way and the counters add up.
 *
 *	ENGINE_SEED=7 build/engine-tests schedule          that schedule only
 *	ENGINE_SCHEDULES=100000 build/engine-tests schedule
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/balance/backend_cell.h"
#include "common/config/conf_pool.h"
#include "test/engine/invariant.h"
#include "test/engine/peer.h"
#include "test/engine/sim.h"
#include "test/unit/unit.h"

Suite *suite_schedule(void);

enum {
	SLICES = 8,
	SCHEDULES = 2000,
	CLIENTS = 12,
	HOSTS = 4,
	STEPS = 300,
	LAST_MS = 900000,
	KEPT_MS = 5000
};

enum host_mood { HOST_ACCEPTS, HOST_REFUSES, HOST_FULL, HOST_HANGS, HOST_MOODS };

static struct {
	int protocol;
	unsigned hosts, nclients;
	struct client *clients[CLIENTS];
	enum host_mood moods[HOSTS + 1];
	bool has_tunnels, is_draining, is_good;
} plan;

static unsigned
one_of(unsigned n, const unsigned *v)
{
	return v[vnet_random(n)];
}
#define ONE_OF(...)                                                                                \
	one_of(sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned),                       \
	    (const unsigned[]){ __VA_ARGS__ })

/* --- the configuration --- */

static void
conf_pool_text(struct text *t)
{
	static const char *const protocols[] = { [POOL_HTTP] = "http",
		[POOL_FASTCGI] = "fastcgi",
		[POOL_SCGI] = "scgi",
		[POOL_AJP] = "ajp" };
	static const char *const balances[] = { "two-choices", "round-robin", "least-connections",
		"static", "hash" };

	text_printf(t, "backends: { app: { protocol = \"%s\"; balance = \"%s\"; hosts = (",
	    protocols[plan.protocol], balances[vnet_random(5)]);
	for (unsigned i = 1; i <= plan.hosts; i++)
		text_printf(t, "%s{ address = \"10.0.0.%u:80\"; max_requests = %u; backup = %s; }",
		    i > 1 ? ", " : "", i, ONE_OF(0, 0, 1, 2),
		    i > 1 && vnet_random(6) == 0 ? "true" : "false");
	text_printf(t, "); max_queue = %u;\n", ONE_OF(0, 2, 100));
	if (plan.protocol != POOL_SCGI)
		text_printf(t, "keepalive = %u; keepalive_requests = %u;\n", ONE_OF(0, 1, 32),
		    ONE_OF(0, 0, 1, 3));
	text_printf(t,
	    "timeout: { connect = \"%ums\"; send = \"%ums\"; first_byte = \"%ums\"; between_bytes "
	    "= \"%ums\"; total = \"%ums\"; queue = \"%ums\"; ",
	    ONE_OF(10, 300, 3000), ONE_OF(100, 1000, 10000), ONE_OF(100, 1000, 10000),
	    ONE_OF(100, 1000, 10000), ONE_OF(0, 0, 700, 5000), ONE_OF(0, 300, 2000, 10000));
	if (plan.protocol != POOL_SCGI)
		text_printf(t, "keepalive = \"%ums\"; ", ONE_OF(100, 4000));
	text_printf(t, "%s};\n", plan.protocol == POOL_HTTP ? "tunnel = \"2s\"; " : "");
	text_printf(t,
	    "failover: { threshold = %u; refused = \"%ums\"; errors = \"%ums\"; overload = "
	    "\"%ums\"; "
	    "eject = %u; };\nretry: { attempts = %u; budget = %u; };\n",
	    ONE_OF(1, 3, 1000), ONE_OF(10, 300, 2000), ONE_OF(10, 1000, 5000), ONE_OF(10, 500),
	    ONE_OF(0, 50, 100), ONE_OF(1, 2, 3, 8), ONE_OF(0, 20, 100));
	if (vnet_random(4) == 0)
		text_printf(t,
		    "health: { enabled = true; interval = \"%ums\"; timeout = \"500ms\"; };\n",
		    ONE_OF(200, 2000));
	if (vnet_random(5) == 0)
		text_printf(t, "sticky = \"s\";\n");
	text_printf(t, "}; };\n");
}

static void
conf_route_text(struct text *t)
{
	static const char *const bodies[] = { "auto", "buffer", "spool", "stream" };
	static const char *const answers[] = { "spool", "stream", "buffer" };

	text_printf(t,
	    "sites = ( { host = \"*\"; root = \"/usr\"; timeout: { header = \"5s\"; body = "
	    "\"5s\"; write = \"5s\"; keepalive = \"10s\"; linger = \"2s\"; };\nroutes = ( { path = "
	    "\"/app\"; gateway: { backend = \"app\"; request_body = \"%s\"; response_body = "
	    "\"%s\"; "
	    "response_memory = \"%u\"; response_disk = \"%u\"; %s %s %s%s }; } ); } );\n",
	    bodies[vnet_random(4)], answers[vnet_random(3)], ONE_OF(8192, 65536, 262144),
	    ONE_OF(0, 100000, 10000000), vnet_random(4) ? "" : "ignore_client_abort = true;",
	    vnet_random(8) ? "" : "intercept_errors = true;",
	    plan.has_tunnels ? "upgrade = [ \"websocket\" ];" : "",
	    plan.protocol == POOL_HTTP ? "" : "prefix = \"/app\";");
}

/* --- hosts --- */

static int
schedule_connecting(struct vsock *s)
{
	switch (plan.moods[s->host <= HOSTS ? s->host : 0]) {
	case HOST_REFUSES:
		return ECONNREFUSED;
	case HOST_FULL:
		return EAGAIN;
	default:
		return 0;
	}
}

static void
host_events(void)
{
	unsigned host = 1 + vnet_random(plan.hosts);

	plan.moods[host] = (enum host_mood)vnet_random(HOST_MOODS);
	vnet_trace("host %u: mood %d", host, plan.moods[host]);
}

/* What an operator says. */
static void
operator_says(void)
{
	unsigned row = sim.hosts[vnet_random(plan.hosts)];

	switch (vnet_random(3)) {
	case 0:
		backend_admin_set(sim.shm, row, (enum backend_admin)vnet_random(3));
		break;
	case 1:
		backend_weight_set(sim.shm, row, 1 + vnet_random(10));
		break;
	default:
		backend_admin_set(sim.shm, row, ADMIN_NONE);
	}
}

/* --- events --- */

static struct vsock *
some_backend(void)
{
	unsigned n = 0, at;

	for (unsigned i = 0; i < vnet_count(); i++)
		n += vnet_at(i)->kind == VSOCK_BACKEND && !vnet_at(i)->is_closed;
	if (n == 0)
		return NULL;
	at = vnet_random(n);
	for (unsigned i = 0;; i++)
		if (vnet_at(i)->kind == VSOCK_BACKEND && !vnet_at(i)->is_closed && at-- == 0)
			return vnet_at(i);
}

static void
connection_event(struct vsock *s)
{
	enum host_mood mood = plan.moods[s->host <= HOSTS ? s->host : 0];

	if (mood == HOST_HANGS || s->is_gone)
		return;
	if (mood == HOST_REFUSES || vnet_random(20) == 0)
		vsock_fail(s, vnet_random(2) ? ECONNREFUSED : EHOSTUNREACH);
	else
		vsock_up(s);
}

static void
backend_event(void)
{
	struct vsock *s = some_backend();
	struct backend *b;

	if (!s)
		return;
	if (!s->is_connected) {
		connection_event(s);
		return;
	}
	b = backend_of(s, plan.protocol);
	switch (vnet_random(16)) {
	case 0:
		s->window = vnet_random(3000);
		return;
	case 1:
		s->window = VNET_OPEN_WINDOW;
		return;
	case 2:
		if (vnet_random(4) == 0)
			vsock_fail(s, ECONNRESET);
		else if (vnet_random(4) == 0 && !b->is_open_ended)
			vsock_go(s);
		return;
	default:
		backend_look(b);
		backend_speak(b, vnet_random(4) == 0);
	}
}

static void
client_event(void)
{
	struct client *c;

	if (plan.nclients == 0)
		return;
	c = plan.clients[vnet_random(plan.nclients)];
	switch (vnet_random(24)) {
	case 0:
		c->s->window = vnet_random(5000);
		c->is_slow = true;
		return;
	case 1:
		c->s->window = VNET_OPEN_WINDOW;
		return;
	case 2:
		if (c->s->is_ended)
			return;
		c->is_left = true;
		if (vnet_random(2))
			vsock_fail(c->s, ECONNRESET);
		else
			vsock_end(c->s);
		return;
	default:
		client_speak(c, vnet_random(3) == 0);
	}
}

static void
event(void)
{
	static const unsigned spans[] = { 1, 20, 150, 1000, 6000 };
	unsigned what = vnet_random(100);

	if (what < 6 && plan.nclients < CLIENTS)
		plan.clients[plan.nclients++] = client_new(plan.has_tunnels);
	else if (what < 40)
		client_event();
	else if (what < 80)
		backend_event();
	else if (what < 95)
		sim_pass((int64_t)vnet_random(spans[vnet_random(5)]));
	else if (what < 98)
		host_events();
	else
		operator_says();
	sim_settle();
	invariant_check();
}

/* --- the end --- */

/* Everybody does what is expected: clients say the rest and take all, backends answer. */
static void
behave(void)
{
	for (unsigned i = 0; i < plan.nclients; i++) {
		plan.clients[i]->s->window = VNET_OPEN_WINDOW;
		client_speak(plan.clients[i], true);
	}
	for (unsigned i = 0; i < vnet_count(); i++) {
		struct vsock *s = vnet_at(i);
		struct backend *b;

		if (s->kind != VSOCK_BACKEND || s->is_closed || s->is_gone)
			continue;
		s->window = VNET_OPEN_WINDOW;
		if (!s->is_connected) {
			vsock_up(s);
			continue;
		}
		b = backend_of(s, plan.protocol);
		b->is_good = true;
		backend_look(b);
		backend_speak(b, true);
	}
}

static void
finish(void)
{
	uint64_t until = vnet_now_ms() + LAST_MS;
	bool behaves = vnet_random(2);

	vnet_trace("%s", behaves ? "everybody behaves" : "everybody is silent");
	for (unsigned i = 0; i < plan.hosts; i++) {
		backend_admin_set(sim.shm, sim.hosts[i], ADMIN_NONE);
		plan.moods[i + 1] = behaves ? HOST_ACCEPTS : plan.moods[i + 1];
	}
	while (vnet_now_ms() < until && (sim_counter(CTR_CONNECTIONS) || !sim_is_quiet())) {
		if (behaves)
			behave();
		sim_pass(behaves ? 20 : 500);
		invariant_check();
	}
	vnet_check(sim_is_quiet() && !sim_counter(CTR_CONNECTIONS),
	    "at the end %llu connections have %llu requests under way, %u at hosts, %u wait",
	    (unsigned long long)sim_counter(CTR_CONNECTIONS),
	    (unsigned long long)sim_counter(CTR_ACTIVE), sim_in_flight(), sim_queued());
}

/* Kept connections end by their own time; what is open then is a probe. */
static void
expire(void)
{
	sim_pass(KEPT_MS);
	for (unsigned i = 0; i < vnet_count(); i++) {
		const struct vsock *s = vnet_at(i);
		const struct backend *b = s->kind == VSOCK_BACKEND ? s->peer : NULL;

		vnet_check(s->is_closed || !b || !b->has_served,
		    "a connection to host %u is kept for longer than timeout.keepalive", s->host);
	}
}

static void
count(void)
{
	uint64_t classes = sim_counter(CTR_R2XX) + sim_counter(CTR_R3XX) + sim_counter(CTR_R4XX) +
			   sim_counter(CTR_R5XX);
	struct backend_pool_view pool = sim_pool();

	vnet_check(classes == sim_counter(CTR_REQUESTS), "%llu requests of %llu have a class",
	    (unsigned long long)classes, (unsigned long long)sim_counter(CTR_REQUESTS));
	vnet_check(sim_hosts(BACKEND_REQUESTS) == sim.attempts,
	    "hosts have counted %llu requests, which made %u attempts",
	    (unsigned long long)sim_hosts(BACKEND_REQUESTS), sim.attempts);
	vnet_check(sim.ends <= sim_counter(CTR_REQUESTS), "more ends than requests");
	vnet_check(sim_counter(CTR_IDLE) == 0, "idle connections are counted");
	vnet_check(pool.queued == 0 && pool.in_flight == 0, "the pool is not empty");
	vnet_check(
	    sim_hosts(BACKEND_RETRIES) >= pool.retries, "fewer attempts given up than retried");
	for (unsigned i = 0; i < plan.nclients; i++)
		client_check(plan.clients[i], plan.is_draining);
}

static void
release(void)
{
	for (unsigned i = 0; i < vnet_count(); i++)
		if (vnet_at(i)->kind == VSOCK_BACKEND && vnet_at(i)->peer)
			backend_free(vnet_at(i)->peer);
	for (unsigned i = 0; i < plan.nclients; i++)
		client_free(plan.clients[i]);
}

/* The process dies with the seed on its lips. */
static void
schedule_dies(int sig)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "signal %d in %s\n", sig, vnet_about);

	signal(sig, SIG_DFL);
	if (write(2, text, (size_t)n) == n)
		raise(sig);
	_exit(1);
}

static void
schedule(uint64_t seed)
{
	struct text conf = { 0 };
	unsigned steps;

	snprintf(vnet_about, sizeof(vnet_about), "ENGINE_SEED=%llu", (unsigned long long)seed);
	vnet_start(seed);
	memset(&plan, 0, sizeof(plan));
	nasks = 0;
	plan.protocol = (int)ONE_OF(POOL_HTTP, POOL_HTTP, POOL_FASTCGI, POOL_SCGI, POOL_AJP);
	plan.hosts = 1 + vnet_random(HOSTS);
	plan.has_tunnels = plan.protocol == POOL_HTTP && vnet_random(3) == 0;
	text_printf(&conf, "server: { listen = \"127.0.0.1:8080\"; };\n");
	conf_pool_text(&conf);
	conf_route_text(&conf);
	text_add(&conf, "", 1);
	vnet_trace("%s", conf.p);
	steps = vnet_random(STEPS);
	sim_open(conf.p, vnet_random(1 << 30));
	vnet_connecting = schedule_connecting;
	vnet_be_late(vnet_random(2) * 20);
	for (unsigned i = 0; i < steps; i++)
		event();
	if (vnet_random(5) == 0) {
		plan.is_draining = true;
		sim_drain();
	}
	finish();
	expire();
	count();
	release();
	sim_close();
	text_free(&conf);
}

static uint64_t
from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(schedules)
{
	uint64_t n = from_environment("ENGINE_SCHEDULES", SCHEDULES);

	signal(SIGABRT, schedule_dies);
	signal(SIGSEGV, schedule_dies);
	if (getenv("ENGINE_SEED")) {
		if (_i == 0)
			schedule(from_environment("ENGINE_SEED", 0));
		return;
	}
	for (uint64_t seed = (uint64_t)_i; seed < n; seed += SLICES)
		schedule(seed);
}
END_TEST

Suite *
suite_schedule(void)
{
	Suite *s = suite_create("schedule");
	TCase *t = tcase_create("schedule");

	tcase_set_timeout(t, 0);
	tcase_add_loop_test(t, schedules, 0, SLICES);
	suite_add_tcase(s, t);
	return s;
}

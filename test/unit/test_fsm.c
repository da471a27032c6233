/*
 * Tables of states: what the log says of a transition, and what becomes of one that no table has.
 * Then the tables themselves, against the transitions that the text of each says there are.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/fsm.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/pool/upstream.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"
#include "worker/conn.h"

Suite *suite_fsm(void);

/* --- a door --- */

enum { OPEN, SHUT, LOCKED, GONE, DOORS };

static const struct door_row {
	struct fsm_row fsm;
	int creaks;
} door_rows[DOORS] = {
	[OPEN] = { { "open", 1 << SHUT }, 1 },
	[SHUT] = { { "shut", 1 << OPEN | 1 << LOCKED }, 2 },
	[LOCKED] = { { "locked", 1 << SHUT }, 3 },
	[GONE] = { { "gone", ~(1u << GONE) }, 4 },
};

static void
door_name(const void *object, char *text, size_t max)
{
	snprintf(text, max, "door %d", *(const int *)object);
}

static const struct fsm door_fsm = { door_rows, sizeof(door_rows[0]), DOORS, door_name };
static int door = 7;

static int ends[2];
static char got[4096];

static void
setup(void)
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	log_open(ends[1], LOG_PREFIX);
}

static void
teardown(void)
{
	log_open(STDERR_FILENO, LOG_TEXT);
	log_level = LOG_NOTICE_;
	fsm_is_strict = true;
	close(ends[0]);
	close(ends[1]);
}

/* All lines since the last time. */
static const char *
said(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static int
lines(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

START_TEST(trace)
{
	log_level = LOG_DEBUG_;
	ck_assert(fsm_pass(&door_fsm, &door, OPEN, SHUT));
	ck_assert(fsm_pass(&door_fsm, &door, SHUT, LOCKED));
	said();
	ck_assert_msg(strstr(got, "door 7 open -> shut\n") &&
			  strstr(got, "door 7 shut -> locked\n") && lines(got) == 2,
	    "%s", got);
}
END_TEST

START_TEST(quiet)
{
	log_level = LOG_INFO_;
	ck_assert(fsm_pass(&door_fsm, &door, OPEN, SHUT));
	ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(illegal_aborts)
{
	fsm_pass(&door_fsm, &door, OPEN, LOCKED);
}
END_TEST

/* A server that serves: one line, and it goes on; but not out of a state that nothing follows. */
START_TEST(illegal_goes_on)
{
	fsm_is_strict = false;
	ck_assert(fsm_pass(&door_fsm, &door, OPEN, LOCKED));
	ck_assert_msg(strstr(said(), "door 7 open -> locked: no legal transition"), "%s", got);
	ck_assert(!fsm_pass(&door_fsm, &door, GONE, OPEN));
	ck_assert_msg(strstr(said(), "door 7 gone -> open: no legal transition"), "%s", got);
	ck_assert(!fsm_pass(&door_fsm, &door, GONE, GONE));
}
END_TEST

START_TEST(illegal_is_bounded)
{
	fsm_is_strict = false;
	for (int i = 0; i < 1 << 16; i++)
		ck_assert(fsm_pass(&door_fsm, &door, LOCKED, OPEN));
	ck_assert_int_le(lines(said()), 17);
	ck_assert_int_ge(lines(got), 15);
}
END_TEST

/* --- the tables --- */

struct edge {
	int from, to;
};

struct table {
	const struct fsm *fsm;
	int last;
	int nedges;
	const struct edge *edges; /* all but those into the last state, which any other may enter */
};

#define EDGES(v) .nedges = UNIT_COUNT(v), .edges = v

static const struct edge exchange_edges[] = {
	/* The body is there (or none comes), and a host is free or not. */
	{ EXCHANGE_BODY, EXCHANGE_WAITING },
	{ EXCHANGE_BODY, EXCHANGE_CONNECTING },
	{ EXCHANGE_WAITING, EXCHANGE_CONNECTING },
	{ EXCHANGE_CONNECTING, EXCHANGE_SENDING },
	/* The host could not be connected to: another one, now or later. */
	{ EXCHANGE_CONNECTING, EXCHANGE_CONNECTING },
	{ EXCHANGE_CONNECTING, EXCHANGE_WAITING },
	/* It broke before it answered, or answered that it cannot: likewise. */
	{ EXCHANGE_SENDING, EXCHANGE_CONNECTING },
	{ EXCHANGE_SENDING, EXCHANGE_WAITING },
	{ EXCHANGE_SENDING, EXCHANGE_ANSWERING },
	{ EXCHANGE_SENDING, EXCHANGE_TUNNEL },
};

static const struct edge upstream_edges[] = {
	{ UPSTREAM_CONNECTING, UPSTREAM_SHAKING },
	{ UPSTREAM_CONNECTING, UPSTREAM_BUSY },
	{ UPSTREAM_SHAKING, UPSTREAM_BUSY },
	{ UPSTREAM_BUSY, UPSTREAM_ORPHAN },
	{ UPSTREAM_BUSY, UPSTREAM_IDLE },
	{ UPSTREAM_ORPHAN, UPSTREAM_IDLE },
	{ UPSTREAM_IDLE, UPSTREAM_BUSY },
};

static const struct edge conn_edges[] = {
	/* What has come with the handshake may be a whole request, or one that cannot be answered
	   at once. */
	{ CONN_NEW, CONN_PREFACE },
	{ CONN_NEW, CONN_HEAD },
	{ CONN_NEW, CONN_ACTIVE },
	{ CONN_NEW, CONN_IDLE },
	{ CONN_PREFACE, CONN_IDLE },
	{ CONN_IDLE, CONN_HEAD },
	{ CONN_IDLE, CONN_ACTIVE },
	{ CONN_HEAD, CONN_IDLE },
	{ CONN_HEAD, CONN_ACTIVE },
	{ CONN_ACTIVE, CONN_IDLE },
	{ CONN_NEW, CONN_LINGER },
	{ CONN_IDLE, CONN_LINGER },
	{ CONN_HEAD, CONN_LINGER },
	{ CONN_ACTIVE, CONN_LINGER },
};

static const struct table tables[] = {
	{ &exchange_fsm, EXCHANGE_DONE, EDGES(exchange_edges) },
	{ &upstream_fsm, UPSTREAM_DEAD, EDGES(upstream_edges) },
	{ &conn_fsm, CONN_DEAD, EDGES(conn_edges) },
};

static bool
is_edge(const struct table *t, int from, int to)
{
	if (to == t->last)
		return from != t->last;
	for (int i = 0; i < t->nedges; i++)
		if (t->edges[i].from == from && t->edges[i].to == to)
			return true;
	return false;
}

/* Every pair of states is in the table just when it is one of the transitions that there are. */
START_TEST(predecessors)
{
	const struct table *t = &tables[_i];
	int n = (int)t->fsm->n;

	for (int from = 0; from < n; from++)
		for (int to = 0; to < n; to++)
			ck_assert_msg((fsm_row(t->fsm, (unsigned)to)->from >> from & 1) ==
					  is_edge(t, from, to),
			    "%s -> %s", fsm_row(t->fsm, (unsigned)from)->name,
			    fsm_row(t->fsm, (unsigned)to)->name);
}
END_TEST

/* From the first state to each other one, and from each on to the last. */
START_TEST(reachable)
{
	const struct fsm *f = tables[_i].fsm;
	unsigned seen = 1, before = 0;

	while (seen != before) {
		before = seen;
		for (unsigned i = 0; i < f->n; i++)
			if (fsm_row(f, i)->from & before)
				seen |= 1u << i;
	}
	ck_assert_uint_eq(seen, (1u << f->n) - 1);
	for (unsigned i = 0; i < f->n; i++) {
		ck_assert_str_ne(fsm_row(f, i)->name, "");
		ck_assert(i == (unsigned)tables[_i].last ||
			  fsm_row(f, (unsigned)tables[_i].last)->from >> i & 1);
	}
}
END_TEST

/* --- exchange_enter() --- */

static struct request asked = { .id = 0x2a };

/* Each transition of the list, traced; a phase that is measured begins, timeout.total ends. */
START_TEST(exchange_traced)
{
	struct loopback *lo = lo_open("sites = ( { host = \"*\"; respond = \"hi\"; } );");
	char line[128];

	log_level = LOG_DEBUG_;
	for (int i = 0; i < UNIT_COUNT(exchange_edges); i++) {
		const struct edge *e = &exchange_edges[i];
		struct exchange x = { .r = &asked, .w = lo_worker(lo), .state = (uint8_t)e->from };

		timer_set(x.w, &x.total, timer_class(x.w, 1000));
		exchange_enter(&x, (enum exchange_state)e->to);
		snprintf(line, sizeof(line), "exchange 000000000000002a %s -> %s\n",
		    fsm_row(&exchange_fsm, (unsigned)e->from)->name,
		    fsm_row(&exchange_fsm, (unsigned)e->to)->name);
		ck_assert_msg(lines(said()) == 1 && strstr(got, line), "%s, not %s", got, line);
		ck_assert_int_eq(x.state, e->to);
		ck_assert_int_eq(
		    x.mark != 0, e->to == EXCHANGE_WAITING || e->to == EXCHANGE_CONNECTING);
		ck_assert_int_eq(x.total.link.next == NULL, e->to == EXCHANGE_TUNNEL);
		timer_del(&x.total);
	}
	lo_close(lo);
}
END_TEST

START_TEST(exchange_aborts)
{
	struct exchange x = { .r = &asked, .state = EXCHANGE_BODY };

	exchange_enter(&x, EXCHANGE_ANSWERING);
}
END_TEST

/* What is done with stays so, and the worker lives. */
START_TEST(exchange_stays_done)
{
	struct exchange x = { .r = &asked, .state = EXCHANGE_DONE };

	fsm_is_strict = false;
	exchange_enter(&x, EXCHANGE_SENDING);
	ck_assert_int_eq(x.state, EXCHANGE_DONE);
	ck_assert_msg(
	    strstr(said(), "exchange 000000000000002a done -> sending: no legal"), "%s", got);
}
END_TEST

Suite *
suite_fsm(void)
{
	Suite *s = suite_create("fsm");
	TCase *c = tcase_create("fsm"), *t = tcase_create("tables");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, trace);
	tcase_add_test(c, quiet);
	tcase_add_test_raise_signal(c, illegal_aborts, 6);
	tcase_add_test(c, illegal_goes_on);
	tcase_add_test(c, illegal_is_bounded);
	tcase_add_test(c, exchange_traced);
	tcase_add_test_raise_signal(c, exchange_aborts, 6);
	tcase_add_test(c, exchange_stays_done);
	suite_add_tcase(s, c);
	tcase_add_loop_test(t, predecessors, 0, UNIT_COUNT(tables));
	tcase_add_loop_test(t, reachable, 0, UNIT_COUNT(tables));
	suite_add_tcase(s, t);
	return s;
}

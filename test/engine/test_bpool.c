/* Pools: limits of hosts, the queue, hosts that go out and come back. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_bpool(void);

#define ONE "hosts = ( { address = \"10.0.0.1:80\"; max_requests = 1; } );"

static const struct talk queue[] = {
	{ "a host that is full: wait, in order", .hosts = -1, .pool = ONE,
	    .text = "get\n get\n get\n conns 1\n queued 2\n 1 asked\n 1 answers 200 a\n 1 = 200 a\n"
		    "1 asked\n queued 1\n 1 answers 200 b\n 2 = 200 b\n 1 asked\n queued 0\n"
		    "1 answers 200 c\n 3 = 200 c\n conns 1" },
	{ "the deadline", .hosts = -1, .pool = ONE " timeout: { queue = \"1s\"; };",
	    .text = "get\n get\n 1 asked\n queued 1\n wait 900\n 2 = nothing\n wait 200\n 2 = 503\n"
		    "term QQ\n queued 0\n 1 = nothing\n 1 answers 200 a\n 1 = 200 a" },
	{ "the queue is full", .hosts = -1, .pool = ONE " max_queue = 1;",
	    .text = "get\n get\n get\n 3 = 503\n term QQ\n queued 1\n 1 asked\n 1 answers 200 a\n"
		    "1 = 200 a\n 1 asked\n 1 answers 200 b\n 2 = 200 b" },
	{ "no time to wait at all", .hosts = -1, .pool = ONE " timeout: { queue = \"0\"; };",
	    .text = "get\n get\n 2 = 503\n term QQ\n 1 asked\n 1 answers 200 a\n 1 = 200 a" },
	{ "who leaves makes room", .hosts = -1, .pool = ONE,
	    .text = "get\n get\n queued 1\n 1 asked\n get\n queued 2\n leave\n queued 1\n"
		    "1 answers 200 a\n 1 = 200 a\n 1 asked\n 1 answers 200 b\n 2 = 200 b" },
};

static const struct talk health[] = {
	{ "three failures take a host out; it is probed, and comes back",
	    .pool = "failover: { threshold = 3; refused = \"1s\"; };",
	    .text =
		"get\n 1 at 1\n 1 refused\n 2 at 2\n 2 asked\n 2 answers 200 a\n = 200 a\n"
		"get\n 3 at 1\n 3 refused\n 2 asked\n 2 answers 200 b\n = 200 b\n"
		"get\n 4 at 1\n 4 refused\n 2 asked\n 2 answers 200 c\n = 200 c\n"
		"get\n 2 asked\n 2 answers 200 d\n = 200 d\n conns 4\n"
		"wait 1200\n 5 at 1\n get\n 2 asked\n 2 answers 200 e\n = 200 e\n 5 up\n 5 closed\n"
		"get\n 6 at 1\n 6 asked\n 6 answers 200 f\n = 200 f" },
	{ "a probe that fails: out for twice as long",
	    .pool = "failover: { threshold = 1; refused = \"1s\"; };",
	    .text =
		"get\n 1 at 1\n 1 refused\n 2 asked\n 2 answers 200 a\n = 200 a\n wait 1200\n"
		"3 at 1\n 3 refused\n wait 1800\n conns 3\n wait 400\n 4 at 1\n 4 up\n 4 closed" },
	{ "the last host that is left: not for longer",
	    .pool = "failover: { threshold = 1; refused = \"1s\"; };", .hosts = 1,
	    .text = "get\n 1 refused\n queued 1\n wait 1200\n 2 at 1\n 2 refused\n wait 1200\n"
		    "3 up\n 3 closed\n 4 asked\n 4 answers 200 a\n = 200 a" },
	{ "errors: at most half of a pool goes out",
	    .pool = "retry: { attempts = 1; }; failover: { threshold = 1; errors = \"10s\"; };",
	    .text = "get\n 1 at 1\n 1 asked\n 1 answers 502 a\n = 502 a\n get\n 2 at 2\n 2 asked\n"
		    "2 answers 502 b\n = 502 b\n get\n 2 asked\n 2 answers 200 c\n = 200 c\n"
		    "wait 11000\n get\n 3 at 1\n 3 asked\n 3 answers 200 d\n = 200 d" },
	{ "the budget of retries: three a second are always allowed",
	    .pool = "failover: { threshold = 1000; }; retry: { budget = 0; };",
	    .text = "get\n 1 asked\n 1 gone\n 2 asked\n 2 gone\n = 502\n tried 2\n"
		    "get\n 3 asked\n 3 gone\n 4 asked\n 4 gone\n = 502\n"
		    "get\n 5 asked\n 5 gone\n 6 asked\n 6 gone\n = 502\n"
		    "get\n 7 asked\n 7 gone\n = 502\n tried 1" },
};

START_TEST(queue_talk)
{
	talk_run(&queue[_i]);
}
END_TEST

START_TEST(health_talk)
{
	talk_run(&health[_i]);
}
END_TEST

Suite *
suite_bpool(void)
{
	Suite *s = suite_create("bpool");
	TCase *t = tcase_create("bpool");

	tcase_add_loop_test(t, queue_talk, 0, UNIT_COUNT(queue));
	tcase_add_loop_test(t, health_talk, 0, UNIT_COUNT(health));
	suite_add_tcase(s, t);
	return s;
}

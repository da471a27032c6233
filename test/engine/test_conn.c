/* The client's side: connections accepted and kept, timeouts, clients that leave, draining. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_conn(void);

static const struct talk leaving[] = {
	{ "gone while a host is waited for",
	    .text = "hosts refuse\n get\n queued 1\n leave\n queued 0\n"
		    "term CQ" },
	{ "gone while the connection is made", .text = "get\n leave\n 1 closed\n term CC" },
	{ "gone while the backend thinks", .text = "get\n 1 asked\n leave\n 1 closed\n term CH" },
	{ "gone in the middle of the answer",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 9\\n\\nab\n leave\n"
		    "1 closed\n term CD" },
	{ "its side closed while the backend thinks: gone",
	    .text = "get\n 1 asked\n end\n 1 closed\n term CH" },
	{ "its side closed after its last request: it waits",
	    .text = "last\n 1 asked\n end\n 1 open\n 1 answers 200 hi\n = 200 hi\n term --" },
	{ "its side closed in the middle of the answer: it takes the rest",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n end\n"
		    "1 says cd\n = 200 abcd" },
	{ "its side closed while the answer is kept back: gone",
	    .route = "response_body = \"buffer\";",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n end\n"
		    "1 closed\n term CD" },
};

static const struct talk waiting[] = {
	{ "idle for timeout.keepalive",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n wait 74000\n again\n wait 10\n"
		    "2 asked\n 2 answers 200 b\n = 200 b\n wait 76000\n = cut" },
	{ "a head that does not come: 408", .text = "hello GET /app/x HTTP/1.1\\nHo\n wait 14000\n"
						    "= nothing\n wait 2000\n = 408" },
	{ "a client that takes nothing",
	    .text = "get\n takes 0\n 1 asked\n 1 answers 200 hi\n wait 19000\n = nothing\n"
		    "wait 4000\n = cut\n term CL" },
	{ "two requests at once, one after the other",
	    .text = "get\n again\n 1 asked\n conns 1\n 1 answers 200 a\n = 200 a\n 1 asked\n"
		    "1 answers 200 b\n = 200 b" },
	{ "a broken head: 400, and the end", .text = "hello GET\\n\\n\n = 400\n conns 0" },
};

static const struct talk draining[] = {
	{ "an idle connection's next request is its last",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n drain\n again\n 1 asked\n"
		    "1 answers 200 b\n = 200 b\n = cut" },
	{ "a request in flight is finished",
	    .text = "get\n 1 asked\n drain\n wait 3000\n 1 answers 200 a\n = 200 a\n = cut" },
	{ "one that waits for a host as well",
	    .text = "hosts refuse\n get\n queued 1\n drain\n hosts wait\n wait 2000\n 1 up\n = "
		    "nothing" },
};

START_TEST(leaving_talk)
{
	talk_run(&leaving[_i]);
}
END_TEST

START_TEST(waiting_talk)
{
	talk_run(&waiting[_i]);
}
END_TEST

START_TEST(draining_talk)
{
	talk_run(&draining[_i]);
}
END_TEST

Suite *
suite_conn(void)
{
	Suite *s = suite_create("conn");
	TCase *t = tcase_create("conn");

	tcase_add_loop_test(t, leaving_talk, 0, UNIT_COUNT(leaving));
	tcase_add_loop_test(t, waiting_talk, 0, UNIT_COUNT(waiting));
	tcase_add_loop_test(t, draining_talk, 0, UNIT_COUNT(draining));
	suite_add_tcase(s, t);
	return s;
}

/* Connections to backends: kept, used again, stale, left to themselves. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_upstream(void);

static const struct talk kept[] = {
	{ "kept and used again",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 answers 200 b\n"
		"= 200 b\n conns 1" },
	{ "by another client too",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n get\n 1 asked\n 1 answers 200 b\n"
		    "= 200 b\n conns 1" },
	{ "not kept where the pool says so", .pool = "keepalive = 0;",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n 1 closed\n again\n 2 asked\n"
		    "2 answers 200 b\n = 200 b" },
	{ "as many as the pool says", .pool = "keepalive = 1;",
	    .text =
		"get\n get\n 1 asked\n 2 asked\n 1 answers 200 a\n 2 answers 200 b\n 1 = 200 a\n"
		"2 = 200 b\n 1 open\n 2 closed" },
	{ "for as many requests as the pool says", .pool = "keepalive_requests = 2;",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 answers 200 b\n"
		"= 200 b\n 1 closed" },
	{ "for as long as the pool says", .pool = "timeout: { keepalive = \"1s\"; };",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n wait 900\n 1 open\n wait 300\n"
		    "1 closed" },
	{ "until the backend closes it",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n 1 end\n 1 closed" },
	{ "until the backend says what nobody asked for",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n 1 says boo\n 1 closed" },
	{ "until the worker drains",
	    .text = "get\n 1 asked\n drain\n 1 answers 200 a\n = 200 a\n 1 closed" },
	{ "not when the backend says that it closes",
	    .text = "get\n 1 asked\n"
		    "1 says HTTP/1.1 200 OK\\nConnection: close\\nContent-Length: 1\\n\\na\n"
		    "= 200 a\n 1 closed" },
};

static const struct talk stale[] = {
	{ "closed as we write: asked again, and no attempt",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 gone\n 2 at 1\n"
		"2 asked\n 2 answers 200 b\n = 200 b\n tried 1" },
	{ "reset as we write",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 reset\n 2 at 1\n"
		"2 asked\n 2 answers 200 b\n = 200 b\n tried 1" },
	{ "a POST is not sent twice",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n post 5\n 1 asked\n 1 gone\n = 502\n"
		"conns 1" },
	{ "an octet of the answer had come",
	    .text = "get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 says HTTP\n"
		    "1 gone\n 2 at 2\n 2 asked\n 2 answers 200 b\n = 200 b\n tried 2" },
	{ "the fresh one breaks as well: the next host",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 gone\n 2 at 1\n"
		"2 asked\n 2 gone\n 3 at 2\n 3 asked\n 3 answers 200 b\n = 200 b\n tried 2" },
	{ "the fresh one is refused: the next host",
	    .text =
		"get\n 1 asked\n 1 answers 200 a\n = 200 a\n again\n 1 asked\n 1 gone\n 2 at 1\n"
		"2 refused\n 3 at 2\n 3 asked\n 3 answers 200 b\n = 200 b\n tried 2" },
};

static const struct talk alone[] = {
	{ "the client leaves, the backend goes on to its end",
	    .route = "ignore_client_abort = true;",
	    .text =
		"get\n 1 asked\n leave\n 1 open\n 1 answers 200 a\n 1 open\n 1 end\n 1 closed" },
	{ "… or until its time is over", .route = "ignore_client_abort = true;",
	    .pool = "timeout: { first_byte = \"1s\"; };",
	    .text = "get\n 1 asked\n leave\n wait 900\n 1 open\n wait 300\n 1 closed" },
	{ "… or breaks", .route = "ignore_client_abort = true;",
	    .text = "get\n 1 asked\n leave\n 1 reset\n 1 closed" },
	{ "… and is drained with octets still to be sent",
	    .route = "ignore_client_abort = true; request_body = \"buffer\";",
	    .text = "post 0 of 5\n more 5\n 1 takes 3\n 1 up\n leave\n 1 open\n"
		    "1 takes 1000\n 1 asked\n 1 has 5\n 1 open\n 1 end\n 1 closed" },
};

START_TEST(kept_talk)
{
	talk_run(&kept[_i]);
}
END_TEST

START_TEST(stale_talk)
{
	talk_run(&stale[_i]);
}
END_TEST

START_TEST(alone_talk)
{
	talk_run(&alone[_i]);
}
END_TEST

Suite *
suite_upstream(void)
{
	Suite *s = suite_create("upstream");
	TCase *t = tcase_create("upstream");

	tcase_add_loop_test(t, kept_talk, 0, UNIT_COUNT(kept));
	tcase_add_loop_test(t, stale_talk, 0, UNIT_COUNT(stale));
	tcase_add_loop_test(t, alone_talk, 0, UNIT_COUNT(alone));
	suite_add_tcase(s, t);
	return s;
}

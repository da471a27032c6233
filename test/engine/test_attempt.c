/* One request through the engine: what a failure at each point leads to. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_attempt(void);

static const struct talk connecting[] = {
	{ "an answer",
	    .text = "get\n 1 at 1\n 1 asked\n = nothing\n 1 answers 200 hi\n = 200 hi\n term --\n"
		    "tried 1\n 1 open" },
	{ "a refused connection: the next host",
	    .text = "get\n 1 refused\n 2 at 2\n 2 asked\n 2 answers 200 hi\n = 200 hi\n tried 2" },
	{ "a host that cannot be reached: the next host",
	    .text = "get\n 1 unreachable\n 2 at 2\n 2 asked\n 2 answers 200 hi\n = 200 hi" },
	{ "a connection that does not come: the next host",
	    .pool = "timeout: { connect = \"300ms\"; };",
	    .text = "get\n wait 200\n conns 1\n wait 250\n 1 closed\n 2 at 2\n 2 asked\n"
		    "2 answers 200 hi\n = 200 hi\n tried 2" },
	{ "a POST too, as long as nothing was connected",
	    .text = "post 5\n 1 refused\n 2 asked\n 2 has 5\n 2 answers 200 hi\n = 200 hi" },
	{ "nobody listens: a wait, and both again",
	    .text = "get\n 1 refused\n 2 refused\n 3 refused\n = nothing\n queued 1\n conns 3\n"
		    "wait 400\n 4 at 1\n 4 asked\n 4 answers 200 hi\n = 200 hi" },
	{ "nobody listens until timeout.queue",
	    .pool = "timeout: { queue = \"1s\"; }; failover: { threshold = 100; };",
	    .text = "hosts refuse\n get\n queued 1\n wait 900\n = nothing\n wait 200\n = 503\n"
		    "term QQ" },
	{ "no attempt is left: connecting goes on all the same",
	    .pool = "retry: { attempts = 1; };",
	    .text =
		"get\n 1 refused\n queued 1\n wait 400\n 2 asked\n 2 answers 200 hi\n = 200 hi" },
};

static const struct talk asking[] = {
	{ "no answer in time: the next host", .pool = "timeout: { first_byte = \"1s\"; };",
	    .text = "get\n 1 asked\n wait 1200\n 1 closed\n 2 at 2\n 2 asked\n 2 answers 200 hi\n"
		    "= 200 hi\n tried 2" },
	{ "nor from that: 504", .pool = "timeout: { first_byte = \"1s\"; };",
	    .text = "get\n 1 asked\n wait 1200\n 2 asked\n wait 1200\n = 504\n term sH\n tried 2" },
	{ "a POST is not made twice", .pool = "timeout: { first_byte = \"1s\"; };",
	    .text = "post 5\n 1 asked\n 1 has 5\n wait 1200\n = 504\n conns 1\n term sH" },
	{ "closed without an answer: the next host",
	    .text = "get\n 1 asked\n 1 gone\n 2 at 2\n 2 asked\n 2 answers 200 hi\n = 200 hi" },
	{ "reset without an answer: the next host",
	    .text = "get\n 1 asked\n 1 reset\n 2 at 2\n 2 asked\n 2 answers 200 hi\n = 200 hi" },
	{ "closed in the middle of the head: the next host",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Le\n 1 gone\n 2 asked\n"
		    "2 answers 200 hi\n = 200 hi\n tried 2" },
	{ "… of a POST: 502",
	    .text = "post 5\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Le\n 1 gone\n = 502\n"
		    "conns 1\n term SH" },
	{ "nothing that is HTTP: the next host",
	    .text = "get\n 1 asked\n 1 says SSH-2.0-x\\n\n 2 asked\n 2 answers 200 hi\n = 200 hi" },
	{ "503 of one host: the next host",
	    .text = "get\n 1 asked\n 1 answers 503 no\n 2 at 2\n 2 asked\n 2 answers 200 hi\n"
		    "= 200 hi\n tried 2" },
	{ "503 of both: what the second says",
	    .text = "get\n 1 asked\n 1 answers 503 no\n 2 asked\n 2 answers 503 never\n"
		    "= 503 never\n term --" },
	{ "500 is the application's",
	    .text = "get\n 1 asked\n 1 answers 500 oh\n = 500 oh\n conns 1" },
	{ "attempts are bounded", .hosts = 4,
	    .text = "get\n 1 asked\n 1 gone\n 2 asked\n 2 gone\n 3 asked\n 3 gone\n = 502\n"
		    "conns 3\n tried 3\n term SH" },
	{ "total is a bound of all",
	    .pool = "timeout: { total = \"1s\"; first_byte = \"700ms\"; };",
	    .text = "get\n 1 asked\n wait 800\n 2 asked\n wait 400\n = 504\n term sH" },
	{ "interim answers are passed on",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 103 Early\\nLink: </a>\\n\\n\n = part 0\n"
		    "1 answers 200 hi\n = 200 hi" },
	{ "a HEAD has no content",
	    .text = "head\n 1 asked HEAD\n 1 says HTTP/1.1 200 OK\\nContent-Length: 9\\n\\n\n"
		    "= 200\n 1 open" },
};

static const struct talk answering[] = {
	{ "in pieces",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\na\n"
		    "= part 200 a\n 1 says bc\n = part 200 abc\n 1 says d\n = 200 abcd\n 1 open" },
	{ "closed in the middle of the content",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n 1 gone\n"
		    "= cut\n term SD\n conns 1" },
	{ "reset in the middle of the content",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n 1 reset\n"
		    "= cut\n term SD\n conns 1" },
	{ "silent in the middle of the content", .pool = "timeout: { between_bytes = \"1s\"; };",
	    .text =
		"get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n wait 900\n"
		"1 says c\n wait 900\n = part 200 abc\n wait 300\n = cut\n term sD" },
	{ "nothing was sent yet: an error of our own", .route = "response_body = \"buffer\";",
	    .text =
		"get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n = nothing\n"
		"1 gone\n = 502\n term SD\n conns 1" },
	{ "chunks",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nTransfer-Encoding: chunked\\n\\n\n"
		    "1 says 2\\nhi\\n\n = part 200 hi\n 1 says 0\\n\\n\n = 200 hi\n 1 open" },
	{ "up to the end of the connection",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\n\\nhi\n = part 200 hi\n 1 end\n"
		    "= 200 hi\n 1 closed" },
	{ "more than was announced: the connection is not used again",
	    .text = "get\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 2\\n\\nhi!!\n"
		    "= 200 hi\n 1 closed" },
	{ "error pages in place of answers", .route = "intercept_errors = true;",
	    .text = "get\n 1 asked\n 1 answers 404 backend's\n = 404\n conns 1" },
};

static const struct talk bodies[] = {
	{ "an answer before the body: it is passed on", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n 1 has 10\n 1 answers 413 no\n = 413 no\n"
		    "1 closed\n more 20\n term --" },
	{ "closed while the body is sent, after an answer", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n 1 says HTTP/1.1 403 No\\nContent-Length: 2\\n\\nno\n"
		    "1 gone\n more 20\n = 403 no\n 1 closed" },
	{ "the body follows", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n 1 has 10\n more 20\n 1 has 30\n 1 answers 200 hi\n"
		    "= 200 hi\n 1 open" },
	{ "a body is waited for", .route = "request_body = \"buffer\";",
	    .text = "post 10 of 30\n wait 500\n conns 0\n more 20\n 1 asked\n 1 has 30\n"
		    "1 answers 200 hi\n = 200 hi" },
	{ "a PUT is sent again while all of it is there",
	    .text = "put 10\n 1 asked\n 1 has 10\n 1 gone\n 2 asked\n 2 has 10\n 2 answers 201 ok\n"
		    "= 201 ok\n tried 2" },
	{ "the client leaves in the middle of its body", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n leave\n 1 closed\n term CH" },
	{ "it ends in the middle of its body: 400", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n end\n 1 closed\n = 400\n term CH" },
	{ "… that is waited for", .route = "request_body = \"buffer\";",
	    .text = "post 10 of 30\n end\n conns 0\n = 400\n term CR" },
	{ "it is too slow with its body", .route = "request_body = \"stream\";",
	    .text = "post 10 of 30\n 1 asked\n wait 31000\n 1 closed\n = 408\n term cH" },
	{ "a backend that takes nothing of it", .route = "request_body = \"stream\";",
	    .pool = "timeout: { send = \"1s\"; };",
	    .text = "post 0 of 30\n 1 asked\n 1 takes 5\n more 30\n 1 has 5\n wait 900\n"
		    "= nothing\n wait 300\n = 504\n 1 closed\n term sH" },
	{ "a backend that answers, and then takes nothing and says nothing",
	    .route = "request_body = \"stream\";", .pool = "timeout: { between_bytes = \"1s\"; };",
	    .text = "post 0 of 30\n 1 asked\n 1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n"
		    "= part 200 ab\n 1 takes 5\n more 30\n 1 has 5\n wait 900\n 1 open\n wait 300\n"
		    "1 closed\n = cut\n term sD" },
	{ "a client that is slow with its body after the answer has begun: its own timeout",
	    .route = "request_body = \"stream\";",
	    .pool = "timeout: { send = \"1s\"; between_bytes = \"1s\"; };",
	    .text = "post 0 of 30\n 1 asked\n 1 takes 5\n more 20\n 1 has 5\n"
		    "1 says HTTP/1.1 200 OK\\nContent-Length: 4\\n\\nab\n 1 takes 100\n 1 has 20\n"
		    "wait 3000\n 1 open\n more 10\n 1 has 30\n 1 says cd\n = 200 abcd" },
	{ "what the client sends meanwhile is no progress of the backend",
	    .route = "request_body = \"stream\";", .pool = "timeout: { send = \"1s\"; };",
	    .text = "post 0 of 30\n 1 asked\n 1 takes 5\n more 10\n 1 has 5\n wait 400\n more 5\n"
		    "wait 400\n more 5\n wait 400\n = 504\n 1 closed\n more 10\n term sH" },
	{ "what the backend takes is, however little", .route = "request_body = \"stream\";",
	    .pool = "timeout: { send = \"1s\"; };",
	    .text =
		"post 0 of 30\n 1 asked\n 1 takes 5\n more 30\n 1 has 5\n wait 700\n 1 takes 5\n"
		"wait 700\n 1 takes 5\n wait 700\n 1 takes 5\n wait 700\n 1 open\n 1 takes 99\n"
		"1 answers 200 hi\n = 200 hi" },
	{ "the rest as it takes it", .route = "request_body = \"stream\";",
	    .text =
		"post 0 of 30\n 1 asked\n 1 takes 5\n more 30\n 1 has 5\n 1 takes 5\n 1 has 10\n"
		"1 takes 100\n 1 has 30\n 1 answers 200 hi\n = 200 hi" },
};

START_TEST(connecting_talk)
{
	talk_run(&connecting[_i]);
}
END_TEST

START_TEST(asking_talk)
{
	talk_run(&asking[_i]);
}
END_TEST

START_TEST(answering_talk)
{
	talk_run(&answering[_i]);
}
END_TEST

START_TEST(bodies_talk)
{
	talk_run(&bodies[_i]);
}
END_TEST

Suite *
suite_attempt(void)
{
	Suite *s = suite_create("attempt");
	TCase *t = tcase_create("attempt");

	tcase_add_loop_test(t, connecting_talk, 0, UNIT_COUNT(connecting));
	tcase_add_loop_test(t, asking_talk, 0, UNIT_COUNT(asking));
	tcase_add_loop_test(t, answering_talk, 0, UNIT_COUNT(answering));
	tcase_add_loop_test(t, bodies_talk, 0, UNIT_COUNT(bodies));
	suite_add_tcase(s, t);
	return s;
}

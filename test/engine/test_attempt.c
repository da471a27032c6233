/* One request at a time through the engine: what a failure at each point leads to. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_attempt(void);

static const struct talk connecting[] = {
	{ "an answer", .text = "get\n 1 at 1\n 1 asked\n = nothing\n 1 answers 200 hi\n = 200 hi\n"
			       "term --\n tried 1\n 1 open" },
	{ "a refused connection: the next host",
	    .text = "get\n 1 refused\n 2 at 2\n 2 asked\n 2 answers 200 hi\n = 200 hi\n tried 2" },
	{ "a connection that does not come: the next host",
	    .pool = "timeout: { connect = \"300ms\"; };",
	    .text = "get\n wait 200\n conns 1\n wait 250\n 1 closed\n 2 at 2\n 2 asked\n"
		    "2 answers 200 hi\n = 200 hi\n tried 2" },
	{ "a POST too, as long as nothing was connected",
	    .text = "post 5\n 1 refused\n 2 asked\n 2 has 5\n 2 answers 200 hi\n = 200 hi" },
	{ "nobody listens: a wait, and both again",
	    .text = "get\n 1 refused\n 2 refused\n 3 refused\n = nothing\n queued 1\n conns 3\n"
		    "wait 400\n 4 at 1\n 4 asked\n 4 answers 200 hi\n = 200 hi" },
};

START_TEST(connecting_talk)
{
	talk_run(&connecting[_i]);
}
END_TEST

Suite *
suite_attempt(void)
{
	Suite *s = suite_create("attempt");
	TCase *t = tcase_create("attempt");

	tcase_add_loop_test(t, connecting_talk, 0, UNIT_COUNT(connecting));
	suite_add_tcase(s, t);
	return s;
}

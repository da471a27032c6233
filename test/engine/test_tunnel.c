/* Tunnels: both ways, each end first, silence, a broken side. */
#include <check.h>

#include "test/engine/talk.h"
#include "test/unit/unit.h"

Suite *suite_tunnel(void);

#define SOCKET  "upgrade = [ \"websocket\" ];"
#define CHANGES "HTTP/1.1 101 Yes\\nConnection: upgrade\\nUpgrade: websocket\\n\\n"
#define BEGIN   "upgrade\n 1 asked websocket\n 1 says " CHANGES "\n"

static const struct talk talks[] = {
	{ "both ways", .route = SOCKET,
	    .text = BEGIN "= part 101\n more 4\n 1 has 4\n 1 says abc\n = part 101 abc\n more 2\n"
			  "1 has 6\n 1 says def\n = part 101 abcdef" },
	{ "the client ends, then the backend", .route = SOCKET,
	    .text = BEGIN
	    "more 4\n end\n 1 has 4\n 1 ended\n 1 says bye\n = part 101 bye\n 1 end\n 1 closed\n"
	    "= 101 bye\n term --" },
	{ "the backend ends, then the client", .route = SOCKET,
	    .text = BEGIN "1 says bye\n 1 end\n 1 open\n more 4\n 1 has 4\n end\n 1 closed" },
	{ "one has ended and the other is silent", .route = SOCKET,
	    .text = BEGIN "end\n wait 4000\n 1 open\n wait 2000\n 1 closed" },
	{ "both are silent", .route = SOCKET, .pool = "timeout: { tunnel = \"10s\"; };",
	    .text =
		BEGIN "wait 9000\n 1 says a\n wait 9000\n more 1\n wait 9000\n 1 open\n wait 1200\n"
		      "1 closed\n term sD" },
	{ "the backend breaks", .route = SOCKET, .text = BEGIN "1 reset\n 1 closed\n term SD" },
	{ "the client is gone", .route = SOCKET, .text = BEGIN "leave\n 1 closed" },
	{ "a backend that takes nothing", .route = SOCKET,
	    .text = BEGIN
	    "1 takes 3\n more 9\n 1 has 3\n 1 takes 2\n 1 has 5\n 1 takes 100\n 1 has 9" },
	{ "a client that takes nothing", .route = SOCKET,
	    .text = BEGIN "takes 2\n 1 says abcdef\n = part 101 ab\n takes 9\n = part 101 abcdef" },
	{ "a protocol that nobody asked for", .route = SOCKET,
	    .text = "get\n 1 asked\n 1 says " CHANGES "\n 2 asked\n 2 says " CHANGES "\n = 502" },
	{ "the worker drains: the tunnel stays", .route = SOCKET,
	    .text = BEGIN "drain\n wait 3000\n more 4\n 1 has 4\n 1 says x\n = part 101 x" },
};

START_TEST(tunnel_talk)
{
	talk_run(&talks[_i]);
}
END_TEST

Suite *
suite_tunnel(void)
{
	Suite *s = suite_create("tunnel");
	TCase *t = tcase_create("tunnel");

	tcase_add_loop_test(t, tunnel_talk, 0, UNIT_COUNT(talks));
	suite_add_tcase(s, t);
	return s;
}

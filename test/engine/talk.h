/*
 * Conversations of one worker with clients and backends, written down: a step on each line. Hosts
 * are 10.0.0.1 to 10.0.0.9, port 80. Connections to backends are numbered in the order in which
 * they are made, N; clients too, C (left out: the last one).
 *
 *	get [PATH]          a client connects and asks; also head, put; "post 10": and sends so much
 *	post 10 of 30       … of a body that is longer
 *	hello TEXT          a client sends these octets
 *	upgrade             as get, to a WebSocket
 *	last                as get, and announces that this is its last request
 *	again               on the connection of the last answer, another get
 *	more 10             of the body
 *	end | leave         the client ends its side | is gone
 *	takes N             the client's window is N octets from now on
 *	N at H              connection N goes to host H
 *	N up | refused | unreachable
 *	N asked [TEXT]      it stands, and a request's whole head, with the text, is there
 *	N has 10            octets of body (of a request with a length)
 *	N answers 200 TEXT  a whole answer with that content; the connection stays
 *	N says TEXT         octets; \n is a line's end
 *	N end | gone | reset
 *	N open | closed     by the worker
 *	N ended             the worker has ended its side
 *	wait 300            ms pass
 *	drain               another generation serves
 *	hosts refuse        from now on, at once; also: hosts wait
 *	conns N             so many connections to backends were made
 *	= 200 TEXT          the client's answer is complete, with that content (none given: any)
 *	= nothing           nothing has come
 *	= part 200 TEXT     it has begun, and so much has come
 *	= cut               the connection was closed before the end of an answer
 *	C = …               as above, of client C
 *	term sC             the last request that ended, as the log has it
 *	tried 2             attempts of the last request that ended
 *	queued N            requests that wait
 */
#ifndef TEST_ENGINE_TALK_H
#define TEST_ENGINE_TALK_H

struct talk {
	const char *name;
	const char *pool;  /* what stands in the pool beside protocol and hosts; NULL: nothing */
	const char *route; /* what stands beside the gateway; NULL: nothing */
	int hosts;         /* 0: two; -1: the pool has the line of its own */
	const char *text;
};

/* Says it all; then everybody behaves, time passes, and nothing must be left under way. */
void talk_run(const struct talk *);

#endif

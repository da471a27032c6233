/*
 * HTTP/1: request bodies that come fast.
 *
 * Pipes: while reads come full and the consumer of the body has said that it takes pipes, content
 * goes from the socket into one and stays there (worker/pipe.h); short rests, and all where no pipe
 * is to be had, are read.
 *
 * Waiting for much: small segments would wake the worker for each. While 256 KiB come within 10 ms,
 * and as much as is waited for is still to come by the announced length, the socket is called
 * readable only when 128 KiB are there (SO_RCVLOWAT), or its end, or its error. A tick of 10 ms
 * takes that back from every connection that brought nothing since the one before: a client that
 * slows down has its octets passed on at once, and the timers of a body see them.
 */
#include "worker/h1_bulk.h"
#include "worker/pipe.h"

enum {
	BULK_AWAIT = 128 << 10,
	BULK_WINDOW = 256 << 10, /* octets that */
	BULK_FAST_MS = 10,       /* come in this time: fast */
	BULK_TICK_MS = 10,
	BULK_LEAST = 64 << 10, /* of a rest that is worth a pipe */
	BULK_FULL = 48 << 10,  /* there is probably more */
	BULK_PIPES = 2,        /* filled at once */
};

static struct link bulk_waiting = { &bulk_waiting, &bulk_waiting };
static struct event bulk_tick;

/* --- pipes --- */

/* Octets that a pipe may take; 0: they are read. */
static int64_t
bulk_room(const struct h1 *h)
{
	const struct request *r = h->r;
	int64_t room = r->route->core->max_body - r->received;

	if (r->body.pipes == 0 || h->body != H1_BODY_READING || r->body.state != BODY_OPEN ||
	    h->is_chunked || r->is_tunnel || h->c->in || !h->c->transport->fill)
		return 0;
	if (room > h->remaining)
		room = h->remaining;
	if (room < BULK_LEAST)
		return 0;
	return room < r->body.pipes ? room : r->body.pipes;
}

/* -1: the connection has ended. 0: nothing, or no pipe. */
static ssize_t
bulk_pipe(struct h1 *h, struct pipe *p, int64_t room)
{
	ssize_t n = conn_fill_pipe(h->c, p, (size_t)room);

	if (n <= 0) {
		pipe_put(p);
		return n;
	}
	h->r->received += n;
	h->remaining -= n;
	body_put_pipe(&h->r->body, p);
	if (h->remaining == 0)
		h1_body_done(h);
	return n;
}

ssize_t
h1_bulk_fill(struct h1 *h)
{
	ssize_t sum = 0, n;

	for (int i = 0; i < BULK_PIPES; i++) {
		int64_t room = bulk_room(h);
		struct pipe *p = room > 0 ? pipe_get() : NULL;

		if (!p)
			return sum > 0 ? sum : conn_fill(h->c);
		n = bulk_pipe(h, p, room);
		if (n < 0)
			return n;
		sum += n;
		if (n == 0 || (n < BULK_FULL && !link_is_on(&h->bulk_link)))
			break;
	}
	return sum;
}

/* --- waiting for much --- */

void
h1_bulk_over(struct h1 *h)
{
	list_del(&h->bulk_link);
	h->bulk = 0;
	h->bulk_mark = h->c->w->now;
	h->c->transport->await(h->c, 1);
}

/* A client that is not read from, because nobody takes its body, does not count as slow. */
static void
bulk_ticked(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_touch(arg);
	LIST_EACH(l, &bulk_waiting)
	{
		struct h1 *h = container_of(l, struct h1, bulk_link);

		if (h->bulk == 0 && h->c->is_reading)
			h1_bulk_over(h);
		else
			h->bulk = 0;
	}
	if (list_is_empty(&bulk_waiting))
		event_del(&bulk_tick);
}

static void
bulk_await(struct h1 *h)
{
	static const struct timeval tick = { 0, BULK_TICK_MS * 1000 };
	struct worker *w = h->c->w;

	h->c->transport->await(h->c, BULK_AWAIT);
	list_add_tail(&bulk_waiting, &h->bulk_link);
	if (event_initialized(&bulk_tick) && event_get_base(&bulk_tick) == w->base &&
	    event_pending(&bulk_tick, EV_TIMEOUT, NULL))
		return;
	event_assign(&bulk_tick, w->base, -1, EV_PERSIST, bulk_ticked, w);
	event_add(&bulk_tick, &tick);
}

void
h1_bulk_came(struct h1 *h, ssize_t n)
{
	struct conn *c = h->c;
	int64_t remaining = h->remaining - (c->in ? c->in->used - c->in_at : 0);
	uint64_t now = c->w->now;

	if (n == 0)
		return;
	c->is_fast = n >= BUF_ROOM;
	h->bulk += (uint32_t)n;
	if (link_is_on(&h->bulk_link)) {
		if (remaining < BULK_AWAIT)
			h1_bulk_over(h);
		return;
	}
	if (h->bulk < BULK_WINDOW)
		return;
	if (now - h->bulk_mark <= BULK_FAST_MS && remaining >= 2 * BULK_AWAIT && !h->is_chunked &&
	    !h->r->is_tunnel && c->transport->await)
		bulk_await(h);
	h->bulk = 0;
	h->bulk_mark = now;
}

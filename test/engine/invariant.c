/* See invariant.h. */
#include "modules/gateway/exchange.h"
#include "test/engine/invariant.h"
#include "test/engine/sim.h"
#include "worker/h1.h"

#define HOLDS(cond)                                                                                \
	vnet_check(cond, "%.*s in state %s: " #cond " does not hold", STR_FMT(x->r->raw_path),     \
	    fsm_row(&exchange_fsm, x->state)->name)

static bool
timer_runs(const struct timer *t)
{
	return link_is_on(&t->link);
}

/* For its body, or to take what it has of the answer: then its protocol's timeouts count. */
static bool
invariant_client_is_awaited(const struct exchange *x)
{
	const struct body *src = x->body ? &x->body->held : NULL;

	if (x->state == EXCHANGE_ANSWERING && x->answer.is_paused)
		return true;
	return !x->is_sent && !x->is_cut && !upstream_is_blocked(x->u) && src &&
	       body_is_empty(src) && src->state == BODY_OPEN;
}

/* x->timer runs for the one thing that is waited for. */
static void
invariant_timer(const struct exchange *x)
{
	switch ((enum exchange_state)x->state) {
	case EXCHANGE_WAITING:
	case EXCHANGE_CONNECTING:
		HOLDS(timer_runs(&x->timer));
		return;
	case EXCHANGE_TUNNEL:
		HOLDS(timer_runs(&x->timer) == (x->u != NULL));
		return;
	case EXCHANGE_SENDING:
	case EXCHANGE_ANSWERING:
		if (!invariant_client_is_awaited(x))
			HOLDS(timer_runs(&x->timer));
		return;
	case EXCHANGE_BODY:
	case EXCHANGE_DONE:
	case EXCHANGE_STATES:
		HOLDS(!timer_runs(&x->timer));
	}
}

static void
invariant_exchange(const struct exchange *x)
{
	bool has_backend = x->state >= EXCHANGE_CONNECTING && x->state <= EXCHANGE_ANSWERING;

	/* A tunnel that has ended at the backend may have octets for the client. */
	HOLDS(x->state == EXCHANGE_TUNNEL || (x->u != NULL) == has_backend);
	HOLDS((x->host != NULL) == (x->u != NULL));
	HOLDS(link_is_on(&x->waiter.link) == (x->state == EXCHANGE_WAITING));
	HOLDS(!x->is_trial || x->host);
	HOLDS(x->r->is_begun || x->state != EXCHANGE_TUNNEL);
	if (x->u) {
		bool is_connecting = x->u->state < UPSTREAM_BUSY;

		HOLDS(is_connecting == (x->state == EXCHANGE_CONNECTING));
		HOLDS(x->u->state < UPSTREAM_IDLE);
		HOLDS(x->u->host == x->host);
		HOLDS(x->u->arg == x);
	}
	invariant_timer(x);
}

void
invariant_check(void)
{
	unsigned hosts = 0, waiting = 0, active = (unsigned)sim_counter(CTR_ACTIVE), n = 0;

	LIST_EACH(l, &sim.w->conns[CONN_ACTIVE])
	{
		const struct conn *c = container_of(l, struct conn, link);
		const struct h1 *h = c->stream;
		const struct exchange *x;

		if (!h || !h->r)
			continue;
		n++;
		if (!h->r->backend)
			continue;
		x = container_of(h->r->backend, struct exchange, note);
		invariant_exchange(x);
		hosts += x->host != NULL;
		waiting += x->state == EXCHANGE_WAITING;
	}
	vnet_check(n == active, "%u requests are counted, %u are there", active, n);
	vnet_check(sim_queued() == waiting, "%u requests are counted as waiting, %u do",
	    sim_queued(), waiting);
	/* Beside them: connections that nobody waits for, which give their hosts back by
	 * themselves. */
	vnet_check(sim_in_flight() >= hosts && sim_in_flight() <= vnet_open_count(VSOCK_BACKEND),
	    "%u requests are counted at hosts, %u are, of %u connections", sim_in_flight(), hosts,
	    vnet_open_count(VSOCK_BACKEND));
}

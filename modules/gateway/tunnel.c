/*
 * Tunnels (RFC 9110 7.8, WebSocket RFC 6455): after 101 octets go both ways as they are, each way
 * bounded by the other side's pace, until both have ended, one broke, or nothing moved for
 * timeout.tunnel; when one has ended and the other is silent, for five seconds: many an application
 * never ends its side.
 */
#include "common/base/must.h"
#include "modules/gateway/exchange.h"

enum {
	TUNNEL_HALF = 5000,   /* ms of silence with one side ended */
	TUNNEL_UPGRADE = 256, /* octets of Upgrade that are looked through */
};

/* --- which protocol --- */

static bool
tunnel_is_permitted(const struct gateway_conf *conf, struct str protocol)
{
	for (size_t i = 0; i < conf->upgrade.n; i++) {
		if (str_caseeq(conf->upgrade.v[i], protocol))
			return true;
	}
	return false;
}

struct str
tunnel_protocol(const struct request *r, const struct gateway_conf *conf)
{
	struct str offered = req_field(r, HF_UPGRADE), protocol;

	if (offered.n > TUNNEL_UPGRADE)
		return STR("");
	/* RFC 9110 7.8: in the order of the client's preference. */
	while (str_list_next(&offered, &protocol)) {
		if (tunnel_is_permitted(conf, protocol))
			return req_can_tunnel(r) ? protocol : STR("");
	}
	return STR("");
}

bool
tunnel_is_agreed(const struct codec_request *q, const struct fields *answer)
{
	bool is = false;

	for (unsigned i = 0; i < answer->n; i++) {
		if (answer->v[i].id != HF_UPGRADE)
			continue;
		if (is || !str_caseeq(answer->v[i].value, q->upgrade))
			return false;
		is = true;
	}
	return is && q->upgrade.n > 0;
}

/* --- octets --- */

static void
tunnel_moved(struct exchange *x)
{
	bool is_half = x->is_sent || x->r->out_body.state != BODY_OPEN;
	int64_t ms = x->pool_conf->timeout.tunnel;

	exchange_timer(x, is_half && ms > TUNNEL_HALF ? TUNNEL_HALF : ms);
}

/* From the client to the backend. */
static void
tunnel_up(void *arg)
{
	struct exchange *x = arg;
	struct body *from = &x->r->body;

	if (!x->u || x->state != EXCHANGE_TUNNEL)
		return;
	while (!upstream_is_blocked(x->u) && !body_is_empty(from)) {
		if (body_move(&x->u->out, from, BODY_HIGH) == 0)
			break;
		if (!upstream_flush(x->u)) {
			term_set(x->note.termination, TERM_SERVER, TERM_DATA);
			exchange_leave(x, false);
			res_abort(x->r, "the tunnel's backend broke off");
			return;
		}
		tunnel_moved(x);
	}
	if (!x->is_sent && body_is_done(from) && body_is_empty(&x->u->out)) {
		x->is_sent = true;
		upstream_shutdown(x->u);
		tunnel_moved(x);
	}
}

/* The client took octets: the backend may go on. */
static void
tunnel_resume(void *arg)
{
	struct exchange *x = arg;

	if (!x->u || x->state != EXCHANGE_TUNNEL)
		return;
	upstream_read(x->u, true);
	tunnel_moved(x);
}

void
tunnel_begin(struct exchange *x)
{
	struct request *r = x->r;

	exchange_enter(x, EXCHANGE_TUNNEL);
	x->is_sent = false;
	res_begin_tunnel(r);
	body_on_space(&r->out_body, tunnel_resume, x);
	body_on_data(&r->body, tunnel_up, x);
	tunnel_moved(x);
}

void
tunnel_input(struct exchange *x, struct buf *b, const char *p, size_t n)
{
	if (n > 0) {
		b->refs++;
		body_put_buf(&x->r->out_body, b, p, n);
	}
	tunnel_moved(x);
	if (body_is_full(&x->r->out_body))
		upstream_read(x->u, false);
}

void
tunnel_eof(struct exchange *x)
{
	body_end(&x->r->out_body);
	if (x->is_sent)
		exchange_leave(x, false);
	else
		tunnel_moved(x);
}

void
tunnel_space(struct exchange *x)
{
	tunnel_up(x);
}

/* Clients of schedules: see peer.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/must.h"
#include "test/engine/peer.h"
#include "test/engine/sim.h"

static void
client_body(struct client *c, const struct ask *a, const char *p)
{
	if (!a->is_chunked) {
		text_add(&c->plan, p, a->length);
		return;
	}
	for (size_t at = 0; at < a->length;) {
		size_t n = 1 + vnet_random(20000);

		n = n < a->length - at ? n : a->length - at;
		text_printf(&c->plan, "%zx\r\n", n);
		text_add(&c->plan, p + at, n);
		text_add(&c->plan, "\r\n", 2);
		at += n;
	}
	text_add(&c->plan, "0\r\n\r\n", 5);
}

static void
client_ask(struct client *c, bool has_tunnels, bool is_last)
{
	static const enum http_method methods[] = { M_GET, M_GET, M_GET, M_HEAD, M_POST, M_PUT };
	static const char *const names[] = { "GET", "GET", "GET", "HEAD", "POST", "PUT" };
	static const unsigned most[] = { 1, 20, 3000, 70000, 1500000 };
	struct ask *a = &asks[nasks];
	unsigned which = vnet_random(6);

	*a = (struct ask){ .method = methods[which] };
	if (which >= 4)
		a->length = vnet_random(most[vnet_random(5)]);
	a->is_chunked = a->length > 0 && vnet_random(3) == 0;
	a->is_upgrade = has_tunnels && which == 0 && is_last && vnet_random(2);
	text_printf(&c->plan, "%s /app/%u. HTTP/1.1\r\nHost: a\r\n", names[which], nasks);
	if (a->is_upgrade)
		text_printf(&c->plan, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	else if (is_last && vnet_random(4) == 0)
		text_printf(&c->plan, "Connection: close\r\n");
	if (a->is_chunked)
		text_printf(&c->plan, "Transfer-Encoding: chunked\r\n\r\n");
	else if (which >= 4)
		text_printf(&c->plan, "Content-Length: %zu\r\n\r\n", a->length);
	else
		text_printf(&c->plan, "\r\n");
	client_body(c, a, peer_octets(nasks));
	c->ends[c->n++] = c->plan.n;
	if (a->is_upgrade)
		text_add(&c->plan, peer_octets(nasks), vnet_random(5000));
	nasks++;
}

struct client *
client_new(bool has_tunnels)
{
	struct client *c = must_calloc(1, sizeof(*c));
	unsigned n = 1 + vnet_random(3);

	c->s = vnet_client();
	c->s->peer = c;
	c->first = nasks;
	while (n-- > 0)
		client_ask(c, has_tunnels, n == 0);
	return c;
}

void
client_free(struct client *c)
{
	text_free(&c->plan);
	free(c);
}

void
client_speak(struct client *c, bool all)
{
	static const unsigned most[] = { 3, 300, 20000, 1 << 21 };
	size_t left = c->plan.n - c->plan_at, n = left;

	if (c->s->is_ended)
		return;
	if (!all)
		n = 1 + vnet_random(most[vnet_random(4)]);
	n = n < left ? n : left;
	vsock_say(c->s, c->plan.p + c->plan_at, n);
	c->plan_at += n;
}

/* --- what it got --- */

static size_t
answer_announced(struct str head)
{
	const char *at = head.n ? memmem(head.p, head.n, "X-Len: ", 7) : NULL;

	return at ? strtoul(at + 7, NULL, 10) : SIZE_MAX;
}

/* True: another answer may follow. */
static bool
client_check_one(const struct client *c, unsigned i, size_t *at)
{
	const struct vsock *s = c->s;
	const struct ask *ask = &asks[c->first + i];
	const char *p = s->out.p + *at;
	size_t n = s->out.n - *at, announced;
	struct sim_answer a;

	sim_answer(&a, p, n, ask->method == M_HEAD, s->is_shut);
	announced = answer_announced(a.head);
	vnet_check(a.status != 101 || ask->is_upgrade, "101 for %u", c->first + i);
	if (a.status && announced != SIZE_MAX && ask->method != M_HEAD && a.status != 204 &&
	    a.status != 304) {
		vnet_check(a.body.n <= announced && memcmp(a.body.p ? a.body.p : "",
							peer_octets(c->first + i), a.body.n) == 0,
		    "the answer to %u is not the backend's", c->first + i);
		vnet_check(!a.is_complete || a.body.n == announced,
		    "the answer to %u is complete after %zu of %zu octets", c->first + i, a.body.n,
		    announced);
	}
	*at += a.n;
	text_free(&a.body);
	/* Cut, in the head or in the content; or a request line that did not come to its end, so
	   that nobody knew of the HEAD. */
	if ((!a.is_complete && s->is_shut) || (ask->method == M_HEAD && a.status == 408))
		*at = s->out.n;
	return a.is_complete && !a.closes && a.status != 101;
}

void
client_check(const struct client *c, bool was_drained)
{
	size_t at = 0;
	unsigned i = 0;

	while (i < c->n && at < c->s->out.n && client_check_one(c, i, &at))
		i++;
	/* What was meant for a tunnel that was not made is a request that cannot be read. */
	if (i == c->n && asks[c->first + c->n - 1].is_upgrade)
		at = c->s->out.n;
	vnet_check(at == c->s->out.n, "%zu octets follow the last answer of %u: %.*s",
	    c->s->out.n - at, c->first, (int)(c->s->out.n - at), c->s->out.p + at);
	if (c->is_left || c->is_slow || was_drained || c->s->in_at < c->ends[0])
		return;
	vnet_check(c->s->out.n > 0, "request %u, complete, has no answer", c->first);
}

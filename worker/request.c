/*
 * Requests: their life from a complete head to the log hooks, and the order of hooks. See
 * request.h. Invariants: hooks run in the order of the phases and of the route's arrays, each at
 * most once per routing; nothing recurses: a hook that reroutes or continues while it is on the
 * stack only leaves a note for request_run().
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "worker/machine.h"
#include "worker/proto.h"
#include "worker/reqlife.h"
#include "worker/slab.h"
#include "worker/state.h"

enum { REQUEST_BLOCK = 8192, REQUEST_KEEP = 32 };
enum request_phase { PHASE_ACCESS, PHASE_HANDLE };

/* A request and the first room of its arena, in one block: a simple one touches its first page
   only, one to a backend needs some of the second. */
struct request_block {
	struct request r;
	char room[REQUEST_BLOCK - ((sizeof(struct request) + 15) & ~15UL)]
	    __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct request_block) == REQUEST_BLOCK, "whole pages");
static struct slab request_slab = { .size = REQUEST_BLOCK, .keep = REQUEST_KEEP };

/* The length is hidden from the compiler: the library's memset is several times faster here than
   the string instruction that it would put in its place. */
static void
request_clear(struct request *r)
{
	size_t n = offsetof(struct request, arena);

	__asm__("" : "+r"(n));
	memset(r, 0, n);
}

struct request *
request_new(struct worker *w, const struct proto *proto, void *stream)
{
	struct link *l = slab_get_warm(&request_slab);
	struct request_block *k;
	struct request *r;

	if (l) {
		k = container_of(l, struct request_block, r.link);
	} else {
		k = slab_get_cold(&request_slab);
		arena_init(&k->r.arena, k->room, sizeof(k->room));
	}
	r = &k->r;
	request_clear(r);
	r->w = w;
	r->proto = proto;
	r->stream = stream;
	body_init(&r->body, w);
	body_init(&r->out_body, w);
	r->out = &r->out_body;
	r->out_length = -1;
	r->id = w->next_id++;
	r->started = w->now_ns;
	ctr_add(w->row, CTR_ACTIVE, 1);
	return r;
}

static void
request_free(struct request *r)
{
	if (r->body.data.fn || !body_is_empty(&r->body) || r->body.space.fn)
		body_fini(&r->body);
	body_fini(&r->out_body);
	arena_reset(&r->arena);
	slab_put(&request_slab, &r->link);
}

void
request_trim(void)
{
	slab_trim(&request_slab, offsetof(struct request_block, r.link));
}

static enum counter
request_class(int status)
{
	return likely(status < 300) ? CTR_R2XX
	       : status < 400       ? CTR_R3XX
	       : status < 500       ? CTR_R4XX
				    : CTR_R5XX;
}

void
request_end(struct request *r, bool aborted)
{
	struct worker *w = r->w;

	r->is_complete = !aborted;
	r->is_aborted = aborted;
	if (aborted)
		ctr_add(w->row, CTR_ABORTED, 1);
	if (aborted && r->status == 0)
		r->status = 499; /* the client was gone before the answer; for logs only */
	ctr_add(w->row, request_class(r->status), 1);
	ctr_add(w->row, CTR_REQUESTS, 1);
	ctr_add(w->row, CTR_ACTIVE, -1);
	if (likely(r->route != NULL))
		for (size_t i = 0; i < r->route->log.n; i++)
			r->route->log.v[i].module->log(r, r->route->log.v[i].conf);
	request_free(r);
}

/* False: an expression that decides on the route failed, and the request was answered with an
   error. */
static bool
request_route(struct request *r)
{
	if (!r->site)
		r->site = conf_site(worker_conf(r->w), r->listen, r->host);
	r->route = site_route(r->site, r->path, r->method);
	r->hook = 0;
	if (unlikely(!r->route)) {
		r->route = &r->site->routes[r->site->nroutes - 1]; /* the form of the answer */
		res_undecided(r);
		return false;
	}
	r->phase = r->route->access.n > 0 ? PHASE_ACCESS : PHASE_HANDLE;
	return true;
}

/* Calls the hooks of the current phase from the current one on, until one has taken the request;
   false when none has. */
static bool
request_phase(struct request *r, const struct conf_hooks *hooks)
{
	while (r->hook < hooks->n) {
		const struct conf_hook *h = &hooks->v[r->hook++];
		enum verdict v = r->phase == PHASE_HANDLE ? h->module->handle(r, h->conf)
							  : h->module->access(r, h->conf);

		if (v == NEXT)
			continue;
		r->handler = h->name;
		if (likely(!r->goes_on))
			return true;
		r->goes_on = false;
	}
	return false;
}

/* Runs hooks until one has taken the request for good. */
static void
request_run(struct request *r)
{
	r->is_running = true;
	do {
		bool is_taken = false;

		if (unlikely(r->is_rerouted)) {
			r->is_rerouted = false;
			if (!request_route(r))
				continue;
		}
		if (r->phase == PHASE_ACCESS && !(is_taken = request_phase(r, &r->route->access))) {
			r->phase = PHASE_HANDLE;
			r->hook = 0;
		}
		if (!is_taken && !request_phase(r, &r->route->handle))
			res_error(r, 404, "no handler is configured here");
	} while (unlikely(r->is_rerouted));
	r->is_running = false;
}

/* OPTIONS * asks about the server as a whole (RFC 9110 9.3.7). */
static void
request_server_options(struct request *r)
{
	res_field(r, HF_ALLOW, STR("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"));
	res_begin(r, 204, -1);
	body_end(&r->out_body);
}

void
request_start(struct request *r)
{
	if (unlikely(!request_route(r)))
		return;
	if (unlikely(machine_is_forwarded(r)))
		machine_warn(r);
	if (unlikely(r->method == M_OPTIONS && str_eq(r->raw_path, STR("*")))) {
		request_server_options(r);
		return;
	}
	if (unlikely(r->length > r->route->core->max_body)) {
		res_error_fmt(
		    r, 413, "max_body is %lld octets", (long long)r->route->core->max_body);
		if (!r->is_rerouted)
			return;
	}
	request_run(r);
}

void
request_refuse(struct request *r, int status, const char *why)
{
	const struct site *site = r->listen->default_site;

	r->route = &site->routes[site->nroutes - 1];
	r->wants_close = true;
	r->is_error_page = true; /* what the client sent decides nothing more */
	r->error_status = status;
	res_error(r, status, why);
}

void
request_rerun(struct request *r)
{
	r->is_rerouted = true;
	if (!r->is_running)
		request_run(r);
}

void
request_continue(struct request *r)
{
	if (r->is_running)
		r->goes_on = true;
	else
		request_run(r);
}

void
request_want_body(struct request *r)
{
	if (r->proto->want_body && r->body.state == BODY_OPEN)
		r->proto->want_body(r);
}

struct str
req_local(struct request *r)
{
	struct str host = r->listen->host;
	bool is_any = str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));

	return is_any && r->proto->local ? peer_text(&r->arena, r->proto->local(r)) : host;
}

struct str
req_field_named(const struct request *r, struct str name)
{
	for (unsigned i = 0; i < r->in.n; i++)
		if (str_caseeq(r->in.v[i].name, name))
			return r->in.v[i].value;
	return (struct str){ NULL, 0 };
}

struct str
req_field_all(struct request *r, enum http_field id)
{
	struct str first = req_field(r, id);
	size_t room = 0;
	char *start, *p;

	for (unsigned i = r->known[id]; first.p && i < r->in.n; i++)
		if (r->in.v[i].id == id)
			room += r->in.v[i].value.n + 2;
	if (room == 0) /* one, as nearly always, or none */
		return first;
	start = arena_alloc(&r->arena, first.n + room);
	p = mempcpy(start, first.p, first.n);
	for (unsigned i = r->known[id]; i < r->in.n; i++) {
		if (r->in.v[i].id != id)
			continue;
		p = mempcpy(p, ", ", 2);
		p = mempcpy(p, r->in.v[i].value.p, r->in.v[i].value.n);
	}
	return str_n(start, first.n + room);
}

bool
req_can_tunnel(const struct request *r)
{
	if (r->version != HTTP_11 || r->length != 0 || !r->known[HF_UPGRADE] || r->is_begun)
		return false;
	for (unsigned i = 0; i < r->in.n; i++)
		if (r->in.v[i].id == HF_CONNECTION &&
		    str_list_has(r->in.v[i].value, STR("upgrade")))
			return true;
	return false;
}

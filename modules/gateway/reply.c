/*
 * The head of a backend's answer: what it says about the host, whether another host is asked
 * instead, and what becomes of it. What of its fields the client gets is sieve.c's to say.
 */
#include "common/base/clock.h"
#include "common/base/must.h"
#include "modules/gateway/codec/sieve.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/pool/affinity.h"
#include "modules/gateway/sendfile.h"
#include "worker/uri.h"

/* A field of the answer by name; p NULL. */
static struct str
reply_field(const struct fields *f, struct str name)
{
	for (unsigned i = 0; i < f->n; i++)
		if (str_caseeq(f->v[i].name, name))
			return f->v[i].value;
	return (struct str){ NULL, 0 };
}

/* Retry-After (RFC 9110 10.2.3) in ms; -1: none, or none that can be read. */
static int64_t
reply_retry_after(const struct fields *f)
{
	struct str value = reply_field(f, STR("Retry-After"));
	uint64_t seconds;
	time_t when;

	if (!value.p)
		return -1;
	if (str_to_u64(value, 86400, &seconds))
		return (int64_t)seconds * 1000;
	if (clock_parse_http_date(value, &when) && when > clock_wall())
		return (int64_t)(when - clock_wall()) * 1000;
	return -1;
}

/* What the status says about the host. True: the answer is not passed on, another host is asked. */
static bool
reply_is_failure(struct exchange *x)
{
	const struct conf_pool *conf = x->pool_conf;
	int64_t after = x->res.status == 503 ? reply_retry_after(&x->res.fields) : -1;
	struct str why;

	if (x->res.status >= 500)
		backend_count(worker_shm(x->w), x->host->row, BACKEND_5XX);
	if (!conf_status_has(conf->retry.status_bits, x->res.status)) {
		bpool_succeeded(x->host, x->is_trial, (uint64_t)x->note.first_byte);
		x->is_trial = false;
		return false;
	}
	why = arena_printf(&x->r->arena, "answered %d", x->res.status);
	bpool_failed(x->host, x->is_trial, after >= 0 ? CAUSE_OVERLOAD : CAUSE_ERRORS,
	    after > 0 ? after : 0, why.p);
	x->is_trial = false;
	if (x->is_authorizer || !exchange_can_retry(x))
		return false;
	exchange_retry(x, why.p);
	return true;
}

/* The list is handed over as it is: both lie in the request's arena. */
static void
reply_fields(struct exchange *x)
{
	struct request *r = x->r;
	struct fields *f = &x->res.fields;

	sieve_response(r, &x->ask, f, SIEVE_HEAD);
	if (r->fields.n == 0)
		r->fields = *f;
	else
		for (unsigned i = 0; i < f->n; i++)
			*fields_add(&r->fields, &r->arena) = f->v[i];
	affinity_set(x->pool_conf, r, x->host);
}

static enum gateway_response
reply_policy(const struct exchange *x)
{
	const struct fields *f = &x->res.fields;
	struct str accel = reply_field(f, STR("X-Accel-Buffering"));
	struct str type = reply_field(f, STR("Content-Type"));

	if (accel.p && str_caseeq(accel, STR("no")))
		return RESPONSE_STREAM;
	if (type.n >= 17 && str_caseeq(str_n(type.p, 17), STR("text/event-stream")))
		return RESPONSE_STREAM;
	return (enum gateway_response)x->conf->response_body;
}

static void
reply_resume(void *arg)
{
	struct exchange *x = arg;

	if (!x->u || x->state != EXCHANGE_ANSWERING)
		return;
	upstream_read(x->u, true);
	attempt_clock(x, true);
}

/* An authorizer's 200: the request goes on, with the variables that it gave (FastCGI 6.3). */
static bool
reply_is_allowed(struct exchange *x)
{
	struct fields *vars;

	if (!x->is_authorizer || x->res.status != 200)
		return false;
	vars = arena_calloc(&x->r->arena, sizeof(*vars));
	for (unsigned i = 0; i < x->res.fields.n; i++) {
		const struct field *f = &x->res.fields.v[i];
		static const struct str prefix = STR_INIT("Variable-");
		struct field *v;

		if (f->name.n <= prefix.n || !str_caseeq(str_n(f->name.p, prefix.n), prefix))
			continue;
		v = fields_add(vars, &x->r->arena);
		*v = *f;
		v->name = str_n(f->name.p + prefix.n, f->name.n - prefix.n);
	}
	exchange_leave(x, false);
	exchange_enter(x, EXCHANGE_DONE);
	x->note.variables = vars;
	request_continue(x->r);
	return true;
}

/* A redirect within the server (RFC 3875 6.2.2): as if the client had asked for it, with GET. */
static bool
reply_is_local(struct exchange *x)
{
	struct request *r = x->r;
	struct uri uri;

	if (!x->res.local.p || x->is_authorizer ||
	    uri_parse(x->res.local, M_GET, &r->arena, &uri) != 0)
		return false;
	exchange_leave(x, false);
	exchange_enter(x, EXCHANGE_DONE);
	if (x->body)
		reqbody_stop(x->body);
	request_ask(r, uri.path, uri.query.p ? uri.query : STR(""));
	return true;
}

bool
reply_begin(struct exchange *x)
{
	enum gateway_response policy;
	int status = x->res.status;

	x->note.first_byte = (int64_t)((clock_ns() - x->mark) / 1000);
	if (reply_is_failure(x))
		return false;
	if (reply_is_allowed(x) || reply_is_local(x))
		return false;
	if (x->body)
		reqbody_commit(x->body);
	if (status >= 400 && x->conf->intercept_errors && !x->is_authorizer) {
		exchange_refuse(x, status, TERM_NOBODY, TERM_DONE, "the backend answered so");
		return false;
	}
	if (status == 101 && !tunnel_is_agreed(&x->ask, &x->res.fields)) {
		x->status = 502;
		exchange_failed(x, CAUSE_ERRORS, TERM_SERVER, TERM_HEAD,
		    "changed to a protocol that nobody had asked for");
		return false;
	}
	if (unlikely(x->conf->sendfile.commands))
		x->file = sendfile_command(x);
	policy = reply_policy(x);
	reply_fields(x);
	if (x->res.is_tunnel) {
		tunnel_begin(x);
		return true;
	}
	exchange_enter(x, EXCHANGE_ANSWERING);
	if (unlikely(x->file != NULL)) /* the rest of the answer is for nobody */
		return true;
	resbody_start(&x->answer, x->r, x->conf, policy, status, x->res.length, reply_resume, x);
	return true;
}

/*
 * Answers with the request: head as understood, then the body octet for octet as it arrives. The
 * request body's chunks are moved into the response, not copied, and never more than the response
 * holds: a client that sends faster than it reads is slowed down, not buffered.
 */
#include "worker/request.h"

struct echo {
	bool on;
};

static const struct cfg_opt echo_opts[] = {
	{ "echo", CFG_BOOL, CFG_ANY, offsetof(struct echo, on), .def = "false",
	    .help =
		"Answer requests with themselves: request line and fields as the server understood "
		"them, an empty line, and the body streamed back as it arrives; after the body of "
		"a "
		"chunked request its trailer fields, if any. For testing clients and proxies only: "
		"the answer shows everything that the client sent, cookies and passwords included.",
	    .example = "echo = true;" },
	{ 0 },
};

static bool
echo_active(const void *conf)
{
	return ((const struct echo *)conf)->on;
}

static void
echo_put_fields(struct request *r, const struct fields *fields)
{
	for (unsigned i = 0; i < fields->n; i++) {
		const struct field *f = &fields->v[i];
		struct str line =
		    arena_printf(&r->arena, "%.*s: %.*s\n", STR_FMT(f->name), STR_FMT(f->value));

		body_put_ref(&r->out_body, line.p, line.n);
	}
}

static void
echo_put_head(struct request *r)
{
	struct str line = arena_printf(&r->arena, "%.*s %.*s HTTP/%u.%u\n", STR_FMT(r->method_name),
	    STR_FMT(r->target), r->version / 10, r->version % 10);

	body_put_ref(&r->out_body, line.p, line.n);
	echo_put_fields(r, &r->in);
	body_put_ref(&r->out_body, "\n", 1);
}

static void
echo_end(struct request *r)
{
	if (r->trailers.n > 0)
		body_put_ref(&r->out_body, "\n", 1);
	echo_put_fields(r, &r->trailers);
	body_end(&r->out_body);
}

/* Runs whenever there is data to take or space to put it. */
static void
echo_pump(void *arg)
{
	struct request *r = arg;

	if (r->out_body.state != BODY_OPEN)
		return;
	while (!body_is_full(&r->out_body) && !body_is_empty(&r->body))
		if (body_move(&r->out_body, &r->body, BODY_LOW) == 0)
			break;
	if (body_is_done(&r->body))
		echo_end(r);
	else if (r->body.state == BODY_FAILED && body_is_empty(&r->body))
		res_abort(r, "the request body broke off");
}

static enum verdict
echo_handle(struct request *r, const void *conf)
{
	(void)conf;
	res_field(r, HF_CONTENT_TYPE, STR("text/plain; charset=utf-8"));
	res_field(r, HF_X_CONTENT_TYPE_OPTIONS, STR("nosniff"));
	res_field(r, HF_CACHE_CONTROL, STR("no-store"));
	request_want_body(r);
	res_begin(r, 200, -1);
	echo_put_head(r);
	body_on_space(&r->out_body, echo_pump, r);
	body_on_data(&r->body, echo_pump, r);
	return MINE;
}

const struct module module_echo = {
	.name = "echo",
	.help = "Requests sent back as text.",
	.opts = echo_opts,
	.conf_size = sizeof(struct echo),
	.active = echo_active,
	.handle = echo_handle,
};

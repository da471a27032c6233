/* Fixed answers: health checks, maintenance, robots.txt. */
#include "worker/request.h"

struct respond {
	struct str body, type;
	int64_t status, retry_after;
	/* derived */
	struct str retry_field; /* the value of Retry-After: */
};

static const struct cfg_opt respond_opts[] = {
	{ "respond.body", CFG_STR, CFG_ANY | CFG_SHORT, offsetof(struct respond, body),
	    .help = "The text of the answer, as it is.", .example = "respond = \"ok\";" },
	{ "respond.type", CFG_STR, CFG_ANY | CFG_NONEMPTY, offsetof(struct respond, type),
	    .def = "text/plain; charset=utf-8", .help = "Its Content-Type." },
	{ "respond.status", CFG_INT, CFG_ANY, offsetof(struct respond, status), .min = 200,
	    .max = 599, .def = "200", .help = "Its status. 204 and 304 have no text.",
	    .example =
		"respond: { status = 503; body = \"Back at noon.\"; retry_after = \"2h\"; };" },
	{ "respond.retry_after", CFG_TIME, CFG_ANY, offsetof(struct respond, retry_after),
	    .min = 1000, .max = 365 * 86400000LL,
	    .help = "When clients may come again: sent as Retry-After, in whole seconds." },
	{ 0 },
};

static void
respond_check(void *conf, struct cfg_check *check)
{
	struct respond *c = conf;

	if (!http_is_field_value(c->type))
		cfg_error(check, "respond.type", -1, NULL, "control characters in the media type");
	if (c->body.n > 0 && (c->status == 204 || c->status == 205 || c->status == 304))
		cfg_error(check, "respond.body", -1, "leave out the body or choose another status",
		    "an answer with status %lld has no body", (long long)c->status);
	if (c->retry_after > 0)
		c->retry_field =
		    arena_printf(check->arena, "%lld", (long long)(c->retry_after + 999) / 1000);
}

/* A default alone is no answer: body or status must be asked for. */
static bool
respond_active(const void *conf)
{
	const struct respond *c = conf;

	return c->body.p != NULL || c->status != 200;
}

static enum verdict
respond_handle(struct request *r, const void *conf)
{
	const struct respond *c = conf;

	if (c->retry_after > 0)
		res_field(r, HF_RETRY_AFTER, c->retry_field);
	if (c->body.n > 0) {
		res_text(r, (int)c->status, c->type, c->body);
		return MINE;
	}
	res_begin(r, (int)c->status, 0);
	body_end(&r->out_body);
	return MINE;
}

const struct module module_respond = {
	.name = "respond",
	.help =
	    "Answers every request with the same text and status: health checks, maintenance. Any "
	    "method is answered. It stands before files and applications, also where an outer "
	    "scope sets it: put it into a route of its own unless everything below is meant.",
	.opts = respond_opts,
	.conf_size = sizeof(struct respond),
	.check = respond_check,
	.active = respond_active,
	.handle = respond_handle,
};

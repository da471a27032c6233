/*
 * The status of the whole server, from any worker: the figures come from the shared segment. Which
 * form is sent follows from the address, then from Accept.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/must.h"
#include "common/status/doc.h"
#include "modules/status/html.h"
#include "worker/request.h"

struct status_conf {
	bool on, remote;
};

static const struct cfg_opt status_opts[] = {
	{ .name = "status.enabled",
	    .type = CFG_BOOL,
	    .where = CFG_SITE | CFG_ROUTE | CFG_SHORT,
	    .offset = offsetof(struct status_conf, on),
	    .def = "false",
	    .help =
		"Answer with the status of the server: workers, generations, connections, "
		"requests, traffic, CPU and memory of all workers, and the last events. A browser "
		"gets a page that updates itself; others get JSON, Prometheus text or plain text, "
		"by "
		"\"?format=\" (html, json, prometheus, text), by a path that ends in .json or "
		"/metrics, or by Accept. Only clients on this machine are answered unless "
		"status.remote is on: see Who is on this machine.",
	    .example = "routes = ( { path = \"/status\"; status = true; } );" },
	{ .name = "status.remote",
	    .type = CFG_BOOL,
	    .where = CFG_SITE | CFG_ROUTE,
	    .offset = offsetof(struct status_conf, remote),
	    .def = "false",
	    .help = "Answer clients on other machines too. Say with auth or access who may ask.",
	    .example = "{ path = \"/status\"; status: { enabled = true; remote = true; }; "
		       "access: { allow = \"10.0.0.0/8\"; }; }" },
	{ .type = CFG_END },
};

static bool
status_active(const void *conf)
{
	return ((const struct status_conf *)conf)->on;
}

/* --- forms --- */

static void
status_put_html(struct request *r, struct text *out)
{
	static const char policy[] =
	    "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
	    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
	    "frame-ancestors 'none'";
	struct statussnap *s = statussnap_take(worker_shm(r->w));
	uint64_t random[2];
	struct str nonce;

	must(getrandom(random, sizeof(random), 0) == sizeof(random));
	nonce = arena_printf(&r->arena, "%016llx%016llx", (unsigned long long)random[0],
	    (unsigned long long)random[1]);
	res_field(r, HF_CONTENT_SECURITY_POLICY, arena_printf(&r->arena, policy, nonce.p, nonce.p));
	status_html(s, nonce.p, out);
	free(s);
}

static void
status_put_json(struct request *r, struct text *out)
{
	statusdoc_json(worker_shm(r->w), out);
}

static void
status_put_prometheus(struct request *r, struct text *out)
{
	statusdoc_prometheus(worker_shm(r->w), out);
}

static void
status_put_text(struct request *r, struct text *out)
{
	statusdoc_text(worker_shm(r->w), false, out);
}

/* In the order in which Accept is looked at. */
static const struct status_form {
	struct str name;   /* of ?format= */
	struct str suffix; /* of the path; empty: none */
	struct str accept; /* what in Accept asks for it; empty: anything */
	struct str type;
	void (*put)(struct request *, struct text *);
} status_forms[] = {
	{ STR_INIT("html"), STR_INIT(".html"), STR_INIT("text/html"),
	    STR_INIT("text/html; charset=utf-8"), status_put_html },
	{ STR_INIT("json"), STR_INIT(".json"), STR_INIT("application/json"),
	    STR_INIT("application/json"), status_put_json },
	{ STR_INIT("prometheus"), STR_INIT("/metrics"), STR_INIT("version=0.0.4"),
	    STR_INIT("text/plain; version=0.0.4; charset=utf-8"), status_put_prometheus },
	{ STR_INIT("text"), STR_INIT(".txt"), STR_INIT(""), STR_INIT("text/plain; charset=utf-8"),
	    status_put_text },
};

enum { STATUS_FORMS = sizeof(status_forms) / sizeof(status_forms[0]) };

static const struct status_form *
status_form_asked(const struct request *r)
{
	struct str query = r->query;

	while (query.p) {
		struct str arg = str_split(&query, '&');

		for (int i = 0; i < STATUS_FORMS && str_has_prefix(arg, STR("format=")); i++)
			if (str_eq(str_n(arg.p + 7, arg.n - 7), status_forms[i].name))
				return &status_forms[i];
	}
	for (int i = 0; i < STATUS_FORMS; i++)
		if (str_has_suffix(r->path, status_forms[i].suffix))
			return &status_forms[i];
	return NULL;
}

static const struct status_form *
status_form_accepted(struct request *r)
{
	struct str accept = req_field_all(r, HF_ACCEPT);
	int i = 0;

	res_vary(r, STR("Accept"));
	while (status_forms[i].accept.n &&
	       (!accept.n || memmem(accept.p, accept.n, status_forms[i].accept.p,
				 status_forms[i].accept.n) == NULL))
		i++;
	return &status_forms[i];
}

/* --- the answer --- */

static void
status_free_text(void *text)
{
	text_free(text);
}

static enum verdict
status_handle(struct request *r, const void *conf)
{
	const struct status_conf *c = conf;
	const struct status_form *form;
	const char *why = c->remote ? NULL : req_not_local(r);
	struct text *out;

	if (why) {
		res_error_fmt(r, 403, "status.remote is off, and %s", why);
		return MINE;
	}
	if (r->method != M_GET && r->method != M_HEAD) {
		res_field(r, HF_ALLOW, STR("GET, HEAD"));
		res_error(r, 405, NULL);
		return MINE;
	}
	form = status_form_asked(r);
	if (!form)
		form = status_form_accepted(r);
	out = arena_calloc(&r->arena, sizeof(*out));
	arena_defer(&r->arena, status_free_text, out);
	form->put(r, out);
	res_field(r, HF_CONTENT_TYPE, form->type);
	res_field(r, HF_CACHE_CONTROL, STR("no-store"));
	res_field(r, HF_X_CONTENT_TYPE_OPTIONS, STR("nosniff"));
	res_begin(r, 200, (int64_t)out->n);
	body_put_ref(&r->out_body, out->p, out->n);
	body_end(&r->out_body);
	return MINE;
}

const struct module module_status = {
	.name = "status",
	.help = "The status of the server as a live page, JSON, Prometheus figures or text.",
	.opts = status_opts,
	.conf_size = sizeof(struct status_conf),
	.active = status_active,
	.handle = status_handle,
};

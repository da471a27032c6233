/*
 * Routes that answer nobody but the server itself: what an application names in X-Accel-Redirect,
 * and the site's own error pages. For all others there is nothing, whatever else the route has;
 * therefore this module stands before all others.
 *
 * The application's fields come before those of whatever answers here (request_ask_inside): where
 * only one can be, the application's stays.
 */
#include "worker/request.h"

struct internal {
	bool on;
};

static const struct cfg_opt internal_opts[] = {
	{ "internal", CFG_BOOL, CFG_ROUTE, offsetof(struct internal, on), .def = "false",
	    .help = "Whether the route answers only what an application asks for by "
		    "X-Accel-Redirect (gateway.sendfile), and error_pages: everybody else gets "
		    "404, by whatever spelling, rewrite, index or try list. All other rules of "
		    "the route count.",
	    .example = "{ path = \"/protected\"; internal = true; alias = \"/srv/files\"; }" },
	{ 0 },
};

static bool
internal_active(const void *conf)
{
	return ((const struct internal *)conf)->on;
}

static enum verdict
internal_access(struct request *r, const void *conf)
{
	(void)conf;
	if (request_is_inside(r) || request_is_exempt(r))
		return NEXT;
	res_error(r, 404, "the route is internal");
	return MINE;
}

static bool
internal_is_single(enum http_field id)
{
	return id == HF_CACHE_CONTROL || id == HF_CONTENT_DISPOSITION ||
	       id == HF_CONTENT_LANGUAGE || id == HF_CONTENT_TYPE || id == HF_EXPIRES ||
	       id == HF_X_CONTENT_TYPE_OPTIONS;
}

static bool
internal_has_before(const struct request *r, unsigned n, enum http_field id)
{
	for (unsigned i = 0; i < n; i++)
		if (r->fields.v[i].id == id)
			return true;
	return false;
}

static void
internal_filter(struct request *r, const void *conf)
{
	unsigned n = 0;

	(void)conf;
	for (unsigned i = 0; i < r->fields.n; i++) {
		enum http_field id = (enum http_field)r->fields.v[i].id;

		if (internal_is_single(id) && internal_has_before(r, n, id))
			continue;
		r->fields.v[n++] = r->fields.v[i];
	}
	if (n < r->fields.n)
		r->prepared = NULL;
	r->fields.n = n;
}

const struct module module_internal = {
	.name = "internal",
	.help = "Routes that the server asks itself, and nobody else.",
	.opts = internal_opts,
	.conf_size = sizeof(struct internal),
	.active = internal_active,
	.guards = internal_active,
	.access = internal_access,
	.filter = internal_filter,
};

#include "worker/vars.h"

/* Not from the parts: a rewrite may have changed the query. Only a target in absolute-form (RFC
   9112 3.2.2) has to be put together. */
static struct str
vars_uri(struct request *r)
{
	if (r->target.n > 0 && *r->target.p == '/')
		return r->target;
	if (!r->query.p)
		return r->raw_path;
	return arena_printf(&r->arena, "%.*s?%.*s", STR_FMT(r->raw_path), STR_FMT(r->query));
}

struct str
vars_get(struct request *r, enum template_var var)
{
	switch (var) {
	case VAR_HOST:
		return r->host;
	case VAR_PATH:
		return r->path;
	case VAR_RAW_PATH:
		return r->raw_path;
	case VAR_QUERY:
		return r->query;
	case VAR_URI:
		return vars_uri(r);
	case VAR_METHOD:
		return r->method_name;
	case VAR_SCHEME:
		return r->is_tls ? STR("https") : STR("http");
	case VAR_PORT:
		return arena_printf(&r->arena, "%u", r->port);
	case VAR_CLIENT:
		return peer_text(&r->arena, &r->peer);
	case VAR_USER:
		return r->user;
	case VAR_STATUS:
		return arena_printf(&r->arena, "%d", r->status);
	case VAR_REQUEST_ID:
		return arena_printf(&r->arena, "%016llx", (unsigned long long)r->id);
	case VAR_WORKER:
		return arena_printf(&r->arena, "%d", (int)worker_row(r->w)->pid);
	case VAR_MAX:
		break;
	}
	return STR("");
}

static struct str
vars_source_get(void *ctx, enum template_var var)
{
	return vars_get(ctx, var);
}

struct str
vars_expand(const struct template *t, struct request *r, enum template_form form,
    const struct str *captures)
{
	const struct template_source src = { vars_source_get, r, captures };

	return template_expand(t, &r->arena, form, &src);
}

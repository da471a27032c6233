/*
 * Starting over: other paths, error pages, an application's local redirects. For the last two the
 * request becomes a GET without anything that belonged to what the client asked for: its body, its
 * conditions, its upgrade. For the handler that comes next it is the same as a GET that a client
 * has sent.
 */
#include "common/base/fold.h"
#include "common/base/must.h"
#include "worker/proto.h"
#include "worker/reqlife.h"
#include "worker/request.h"
#include "worker/uri.h"

enum { ANEW_MAX = 10 };

/* Names of fields that mean nothing in a GET that somebody else asks; with "*" at the end all that
   begin so. Content and framing (RFC 9110 8, 10.1, 6.5; RFC 9112 6), preconditions and ranges (RFC
   9110 13, 14; RFC 4918 10.4), protocol changes (RFC 9110 7.8, RFC 6455, RFC 7540 3.2.1), and what
   applications take for the method. */
static const char *const anew_dropped[] = {
	"Content-*",
	"Expect",
	"HTTP2-Settings",
	"If",
	"If-*",
	"Range",
	"Request-Range",
	"Sec-WebSocket-*",
	"TE",
	"Trailer",
	"Transfer-Encoding",
	"Upgrade",
	"X-HTTP-Method",
	"X-HTTP-Method-Override",
	"X-Method-Override",
};

/* Whether name is pattern for the least careful reader. */
static bool
anew_is_name(struct str name, struct str pattern)
{
	if (pattern.p[pattern.n - 1] == '*')
		return fold_has_prefix(name, str_n(pattern.p, pattern.n - 1));
	return fold_eq(name, pattern);
}

static bool
anew_drops(struct str name)
{
	for (size_t i = 0; i < sizeof(anew_dropped) / sizeof(*anew_dropped); i++)
		if (anew_is_name(name, str_of(anew_dropped[i])))
			return true;
	return false;
}

/* Into a list of its own: the log wants what was sent. */
static void
anew_drop_fields(struct request *r)
{
	const struct fields *sent = &r->asked->in;
	struct fields in = { .room = sent->n };

	in.v = arena_alloc(&r->arena, (sent->n + 1) * sizeof(*in.v));
	memset(r->known, 0, sizeof(r->known));
	for (unsigned i = 0; i < sent->n; i++) {
		const struct field *f = &sent->v[i];

		if (anew_drops(f->name))
			continue;
		*fields_add(&in, &r->arena) = *f;
		if (!r->known[f->id])
			r->known[f->id] = (uint8_t)in.n;
	}
	r->in = in;
}

/* No handler sees octets of the body, or waits for any; what still comes of it is the protocol's to
   drop, within its bounds. */
static void
anew_drop_body(struct request *r)
{
	r->length = 0;
	r->trailers.n = 0;
	body_on_data(&r->body, NULL, NULL);
	body_cancel(&r->body);
	r->body.state = BODY_ENDED;
}

/* HEAD stays what it is: its answer has no content. */
static void
anew_become_get(struct request *r)
{
	struct request_asked *asked;

	if (!r->asked) {
		asked = arena_alloc(&r->arena, sizeof(*asked));
		*asked = (struct request_asked){ r->method, r->method_name, r->in };
		r->asked = asked;
		anew_drop_fields(r);
	}
	if (r->method != M_HEAD) {
		r->method = M_GET;
		r->method_name = http_method_name(M_GET);
	}
	anew_drop_body(r);
	if (r->backend) /* what an authorizer said was about another request */
		r->backend->variables = NULL;
}

static void
anew_to(struct request *r, struct str path, struct str query, bool is_exempt)
{
	must(!r->is_begun);
	r->path = path;
	if (query.p)
		r->query = query;
	r->is_exempt = is_exempt;
	if (++r->reroutes > ANEW_MAX) {
		r->is_error_page = true; /* no page of the site: its way may be the loop */
		r->error_status = 508;
		res_error(r, 508, "rewrites and error pages go in circles");
		return;
	}
	request_rerun(r);
}

void
request_reroute(struct request *r, struct str path, struct str query)
{
	anew_to(r, path, query, false);
}

void
request_page(struct request *r, int status, struct str path)
{
	must(!r->is_error_page);
	r->is_error_page = true;
	r->error_status = status;
	r->is_inside = false;
	anew_become_get(r);
	anew_to(r, path, (struct str){ NULL, 0 }, true);
}

void
request_ask(struct request *r, struct str path, struct str query)
{
	anew_become_get(r);
	r->rewrites = NULL;
	r->admission = NULL;
	r->is_inside = false;
	anew_to(r, path, query, false);
}

void
request_ask_inside(struct request *r, struct str path, struct str query)
{
	if (r->method == M_GET || r->method == M_HEAD)
		anew_drop_body(r);
	else
		anew_become_get(r);
	r->known[HF_UPGRADE] = 0; /* nobody is given a tunnel in place of a file */
	r->rewrites = NULL;
	r->admission = NULL;
	r->is_inside = true;
	if (r->backend)
		r->backend->variables = NULL;
	anew_to(r, path, query, false);
}

/* What stands in front of the path of a target in absolute-form (RFC 9112 3.2.2); else nothing. */
static struct str
anew_authority(struct str target)
{
	const char *p =
	    target.n > 0 && *target.p != '/' ? memmem(target.p, target.n, "://", 3) : NULL;

	if (!p)
		return str_n(target.p, 0);
	for (p += 3; p < target.p + target.n && *p != '/' && *p != '?';)
		p++;
	return str_n(target.p, (size_t)(p - target.p));
}

void
request_retarget(struct request *r, struct str path, struct str query)
{
	struct str front = anew_authority(r->target), spelled = uri_spell(&r->arena, path);
	struct uri uri;

	query = uri_encode_excluded(&r->arena, query); /* what a rewrite made may be anything */
	r->target = arena_printf(&r->arena, "%.*s%.*s%s%.*s", STR_FMT(front), STR_FMT(spelled),
	    query.p ? "?" : "", STR_FMT(query));
	must(uri_parse(r->target, M_GET, &r->arena, &uri) == 0 && str_eq(uri.path, path));
	r->raw_path = uri.raw_path;
	r->path = uri.path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
}

struct str
request_asked_method(const struct request *r)
{
	return r->asked ? r->asked->method_name : r->method_name;
}

struct str
request_asked_field(const struct request *r, enum http_field id, struct str name)
{
	const struct fields *in = r->asked ? &r->asked->in : &r->in;

	if (!r->asked && id != HF_OTHER)
		return req_field(r, id);
	for (unsigned i = 0; i < in->n; i++)
		if (id != HF_OTHER ? in->v[i].id == id : str_caseeq(in->v[i].name, name))
			return in->v[i].value;
	return (struct str){ NULL, 0 };
}

/*
 * Signed links: who has one may ask. An access hook, and nothing but a decision about access:
 * methods, ranges, conditions and handlers are the same as without.
 *
 * What a link is and when it is good is said by formats (format.h), which are pure. Here a request
 * is put before them, and what was good goes on without the link: the target, as handlers, backends
 * and logs see it, is what the link is for, in one spelling. A link that stands in the path leaves
 * another path behind, which is routed anew. The rules that have let a request in are noted
 * (request_admission), so that they ask once, also when it is rewritten afterwards; rules of
 * another scope ask anew, and have no link then.
 */
#include <time.h>
#include "common/config/conf_sign.h"
#include "modules/links/conf.h"
#include "modules/links/format.h"
#include "worker/request.h"
#include "worker/vars.h"

enum { LINKS_EXPIRES = 3600 };

static bool
links_active(const void *conf)
{
	return ((const struct links_conf *)conf)->rules.n > 0;
}

static void
links_said_of(const struct links_conf *c, struct request *r, struct links_said *said)
{
	const struct links_ask ask = { .arena = &r->arena,
		.method = r->method_name,
		.path = r->path,
		.query = r->query,
		.host = r->host,
		.scheme = vars_get(r, VAR_SCHEME),
		.client = vars_get(r, VAR_CLIENT),
		.family = r->peer.family,
		.addr = r->peer.addr,
		.now = (int64_t)time(NULL) };

	links_format_ask(c->rules.v, c->rules.n, &ask, said, NULL);
}

static enum verdict
links_access(struct request *r, const void *conf)
{
	const struct links_conf *c = conf;
	struct request_admission *admission;
	struct links_said said;
	bool is_cut;

	if (request_is_exempt(r)) /* the error page of a refusal */
		return NEXT;
	if (r->admission && r->admission->rules == c->rules.v)
		return NEXT;
	if (r->path.n == 0 || r->path.p[0] != '/') {
		res_error(r, 403, "there is no path that a link could be for");
		return MINE;
	}
	links_said_of(c, r, &said);
	if (said.is != LINKS_GOOD) {
		r->query = links_format_strip(c->rules.v, c->rules.n, &r->arena, r->query);
		res_error(r, links_format_status(&said), said.why);
		return MINE;
	}
	admission = arena_alloc(&r->arena, sizeof(*admission));
	*admission = (struct request_admission){ c->rules.v, said.rate, r->query };
	r->admission = admission;
	is_cut = !str_eq(said.path, r->path);
	request_retarget(r, said.path, said.query);
	if (!is_cut)
		return NEXT;
	request_reroute(r, said.path, (struct str){ NULL, 0 });
	return MINE;
}

/* A shared cache would give the answer to clients without a link as well (RFC 9111 5.2.2.7), so it
   is made private; an answer that says "public" itself stays as it is. */
static void
links_filter(struct request *r, const void *conf)
{
	struct str said = res_field_get(r, HF_CACHE_CONTROL);

	(void)conf;
	if (!r->admission || str_list_has(said, STR("private")) ||
	    str_list_has(said, STR("no-store")) || str_list_has(said, STR("public")))
		return;
	res_field(r, HF_CACHE_CONTROL, STR("private"));
}

/* --- argand explain --- */

static struct str
links_date(struct arena *a, int64_t at)
{
	time_t t = (time_t)at;
	char text[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return STR("a time far away");
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	return arena_str(a, str_of(text));
}

/* An address as text; family and octets of it. False: it is none. */
static bool
links_client(struct arena *a, struct str text, struct cidr *out)
{
	struct cidr_set set = { 0 };
	const char *why;

	if (text.n == 0 || !cidr_add(&set, a, text, &why) || set.n != 1)
		return false;
	*out = set.v[0];
	return out->family != 0;
}

static void
links_explain_refused(const struct links_said *said, const struct links_rule *rule, struct arena *a,
    conf_printer *print, void *arg)
{
	int status = links_format_status(said);

	print(arg,
	    arena_printf(a, "refused with %d: %s (%s)", status, said->why, rule->format->name).p);
	if (said->is != LINKS_WRONG || !said->text.p)
		return;
	print(arg, "what has to be signed (LF is a line's end):");
	for (struct str rest = said->text; rest.p;) {
		struct str line = str_split(&rest, '\n');

		print(arg, arena_printf(a, "  %.*s%s", STR_FMT(line), rest.p ? " LF" : "").p);
	}
}

static void
links_explain(
    const void *conf, const struct conf_ask *q, struct arena *a, conf_printer *print, void *arg)
{
	const struct links_conf *c = conf;
	struct cidr client;
	bool is_known = links_client(a, q->client, &client);
	const struct links_ask ask = { .arena = a,
		.method = str_of(q->method),
		.path = q->path,
		.query = q->query,
		.host = q->host,
		.scheme = q->scheme.n ? q->scheme : STR("http"),
		.client = q->client,
		.family = is_known ? client.family : 0,
		.addr = is_known ? client.addr : NULL,
		.now = (int64_t)time(NULL) };
	const struct links_rule *rule;
	struct links_said said;

	links_format_ask(c->rules.v, c->rules.n, &ask, &said, &rule);
	if (said.is != LINKS_GOOD) {
		links_explain_refused(&said, rule, a, print, arg);
		return;
	}
	print(arg, arena_printf(a, "good (%s)%s%.*s", rule->format->name,
		       said.until ? " until " : ", for ever",
		       STR_FMT(said.until ? links_date(a, said.until) : STR("")))
		       .p);
	print(arg, arena_printf(a, "goes on as %.*s%s%.*s", STR_FMT(said.path),
		       said.query.n ? "?" : "", STR_FMT(said.query))
		       .p);
}

/* --- argand sign --- */

static const struct links_secret *
links_sign_secret(const struct links_rule *rule, struct str key)
{
	for (size_t i = 0; i < rule->nsecrets; i++)
		if (key.n == 0 || str_eq(rule->secrets[i].id, key))
			return &rule->secrets[i];
	return NULL;
}

static const struct links_rule *
links_sign_rule(const struct links_conf *c, struct str format)
{
	const struct links_rule *rules = c->rules.v;

	for (size_t i = 0; i < c->rules.n; i++)
		if (format.n == 0 || str_eq(format, str_of(rules[i].format->name)))
			return &rules[i];
	return NULL;
}

static const char *
links_sign(const void *conf, struct conf_sign *s, struct arena *a)
{
	const struct links_rule *rule = links_sign_rule(conf, s->format);
	const struct links_secret *secret = rule ? links_sign_secret(rule, s->key) : NULL;
	const int64_t now = (int64_t)time(NULL);
	const struct links_terms terms = { .arena = a,
		.path = s->ask.path,
		.query = s->ask.query,
		.methods = s->methods,
		.network = s->network,
		.client = s->ask.client,
		.host = s->ask.host,
		.scheme = s->ask.scheme.n ? s->ask.scheme : STR("http"),
		.is_prefix = s->is_prefix,
		.rate = s->rate,
		.now = now,
		.is_until = s->expires > 0,
		.until = now + (s->expires ? s->expires : LINKS_EXPIRES) };
	struct links_made made = { 0 };
	const char *why = NULL;

	if (!rule)
		return "the route takes no links of this format";
	if (!secret)
		return "the rule has no secret of this name";
	if (!rule->format->sign(rule, secret, &terms, &made, &why))
		return why;
	s->path = made.path;
	s->query = made.query;
	return NULL;
}

const struct module module_links = {
	.name = "signed_links",
	.help =
	    "Signed links that end: an application that knows the secret makes them, the server "
	    "looks whether they are right, and sends the file. Nobody has to be asked then. "
	    "All formats but \"argand\" are good for every method.",
	.opts = links_conf_opts,
	.conf_size = sizeof(struct links_conf),
	.check = links_conf_check,
	.active = links_active,
	.guards = links_active,
	.explain = links_explain,
	.sign = links_sign,
	.access = links_access,
	.filter = links_filter,
};

/*
 * Redirects to other addresses. A template that would let a request choose the host is refused when
 * the configuration is checked, and a path never becomes "//host": no redirect made here can be
 * used to send visitors somewhere else.
 */
#include "common/config/regex.h"
#include "worker/request.h"
#include "worker/vars.h"

struct redirect_rule {
	struct str to;
	struct cfg_regex match;
	int64_t status;
	/* derived */
	struct template url, args; /* before and behind the first "?" of to */
	bool has_args;
	bool is_local; /* a path on the same host: begins with exactly one slash */
};

struct redirect {
	struct cfg_records rules;
};

static const struct cfg_opt redirect_rule_opts[] = {
	{ "to", CFG_STR, CFG_ANY | CFG_SHORT | CFG_NONEMPTY, offsetof(struct redirect_rule, to),
	    .help = "Where to: a URL or a path, with variables as in headers.set, and $1 to $9 "
		    "from \"match\". Nothing is added that is not written: $uri is path and "
		    "query as the client sent them." },
	{ "match", CFG_REGEX, CFG_ANY, offsetof(struct redirect_rule, match),
	    .help = "Only for paths (decoded) that match this regular expression." },
	{ "status", CFG_INT, CFG_ANY, offsetof(struct redirect_rule, status), .min = 301,
	    .max = 308, .def = "302",
	    .help = "301 or 308 for good (browsers remember it: be sure), 302 or 307 for now, "
		    "303 to be fetched with GET. 307 and 308 keep method and body." },
	{ 0 },
};

static const struct cfg_record redirect_record = { redirect_rule_opts,
	sizeof(struct redirect_rule) };

static const struct cfg_opt redirect_opts[] = {
	{ "redirect", CFG_RECORDS, CFG_ANY, offsetof(struct redirect, rules),
	    .record = &redirect_record,
	    .help = "Sends clients elsewhere: a target, a group, or a list of groups of which "
		    "the first that matches is used. A request that already asks for the "
		    "address it would be sent to is served instead, so that one line can send "
		    "all names and http to one https address. An empty list, (), ends what an "
		    "outer scope set.",
	    .example = "redirect = \"https://example.org$uri\";\n"
		       "redirect = ( { match = \"^/blog/([0-9]+)$\"; to = \"/posts/$1\"; status = "
		       "308; } );" },
	{ 0 },
};

/* Variables that begin with a slash or are nothing: they end a host name. */
static const unsigned redirect_path_vars = 1u << VAR_PATH | 1u << VAR_RAW_PATH | 1u << VAR_URI;

/* Length of what stands before the host in a literal beginning of an absolute URL ("https://");
   0: it is none. */
static size_t
redirect_scheme_len(struct str s)
{
	for (size_t i = 0; i + 2 < s.n; i++)
		if (s.p[i] == ':')
			return s.p[i + 1] == '/' && s.p[i + 2] == '/' ? i + 3 : 0;
	return 0;
}

/* Whether the host of an absolute URL is the operator's choice: from part i, offset off, up to the
   first slash there are only literals, $host and $port. */
static bool
redirect_host_is_fixed(const struct template *t, size_t i, size_t off)
{
	for (; i < t->n; i++, off = 0) {
		const struct template_part *p = &t->v[i];

		if (p->var < VAR_MAX && (redirect_path_vars & 1u << p->var))
			return true;
		if (p->var == VAR_HOST || p->var == VAR_PORT)
			continue;
		if (p->literal.n == 0)
			return false;
		if (memchr(p->literal.p + off, '/', p->literal.n - off))
			return true;
	}
	return true;
}

/* Says whether to is a path here or a URL with a fixed host; false when it is neither. */
static bool
redirect_check_target(struct redirect_rule *rule, const char **why)
{
	const struct template *t = &rule->url;
	struct str first = t->n > 0 ? t->v[0].literal : STR("");
	size_t scheme = redirect_scheme_len(first);
	bool has_host = true;

	rule->is_local = false;
	*why = "lets a request choose the host that it is sent to: end the host with a \"/\"";
	if (scheme > 0)
		return redirect_host_is_fixed(t, 0, scheme);
	if (str_has_prefix(first, STR("//")))
		return redirect_host_is_fixed(t, 0, 2);
	if (t->n > 1 && t->v[0].var == VAR_SCHEME)
		has_host = str_has_prefix(t->v[1].literal, STR("://"));
	if (t->n > 1 && t->v[0].var == VAR_SCHEME && has_host)
		return redirect_host_is_fixed(t, 1, 3);
	rule->is_local =
	    str_has_prefix(first, STR("/")) ||
	    (t->n > 0 && t->v[0].var < VAR_MAX && (redirect_path_vars & 1u << t->v[0].var));
	*why =
	    "is neither a URL such as \"https://example.org/\" nor a path that begins with \"/\"";
	return rule->is_local;
}

static bool
redirect_is_status(int64_t status)
{
	return status >= 301 && status <= 308 && status != 304 && status != 305 && status != 306;
}

static void
redirect_check_rule(struct redirect_rule *rule, int i, struct cfg_check *check)
{
	unsigned groups = rule->match.code ? regex_groups(&rule->match) : 0;
	struct str args = rule->to, url = str_split(&args, '?');
	const char *why, *hint;

	rule->has_args = args.p != NULL;
	if (rule->to.n == 0)
		return; /* the schema has said so */
	if (!redirect_is_status(rule->status))
		cfg_error(check, "redirect", i, "301, 302, 303, 307 or 308",
		    "%lld is no status of a redirect", (long long)rule->status);
	if (!http_is_field_value(rule->to))
		cfg_error(check, "redirect", i, NULL, "control characters in \"to\"");
	if (!template_compile(&rule->url, check->arena, url, groups, &why, &hint) ||
	    (rule->has_args &&
		!template_compile(&rule->args, check->arena, args, groups, &why, &hint)))
		cfg_error(check, "redirect", i, hint, "%s in \"%.*s\"", why, STR_FMT(rule->to));
	else if (!redirect_check_target(rule, &why))
		cfg_error(check, "redirect", i, NULL, "\"%.*s\" %s", STR_FMT(rule->to), why);
}

static void
redirect_check(void *conf, struct cfg_check *check)
{
	struct redirect *c = conf;
	struct redirect_rule *rules = c->rules.v;

	for (size_t i = 0; i < c->rules.n; i++)
		redirect_check_rule(&rules[i], (int)i, check);
}

static bool
redirect_active(const void *conf)
{
	return ((const struct redirect *)conf)->rules.n > 0;
}

/* A path with one slash in front: "//x" would be another host. (A backslash that browsers take for
   a slash comes out of a template as %5C.) */
static struct str
redirect_local(struct str s)
{
	while (s.n > 1 && s.p[1] == '/')
		s = str_n(s.p + 1, s.n - 1);
	return s;
}

static struct str
redirect_location(const struct redirect_rule *rule, struct request *r, const struct str *captures)
{
	struct str url = vars_expand(&rule->url, r, TEMPLATE_PATH, captures), args;

	if (rule->is_local)
		url = redirect_local(url);
	if (!rule->has_args)
		return url;
	args = vars_expand(&rule->args, r, TEMPLATE_ARGS, captures);
	if (args.n == 0)
		return url;
	return arena_printf(&r->arena, "%.*s?%.*s", STR_FMT(url), STR_FMT(args));
}

/* Whether the location is the address that the request asks for. */
static bool
redirect_is_same(struct request *r, struct str location)
{
	struct str uri = vars_get(r, VAR_URI), here;
	unsigned usual = r->is_tls ? 443 : 80;

	if (location.n > 0 && *location.p == '/' && !str_has_prefix(location, STR("//")))
		return str_eq(location, uri);
	if (r->port == usual || r->port == 0)
		here = arena_printf(&r->arena, "%s://%.*s%.*s", r->is_tls ? "https" : "http",
		    STR_FMT(r->host), STR_FMT(uri));
	else
		here = arena_printf(&r->arena, "%s://%.*s:%u%.*s", r->is_tls ? "https" : "http",
		    STR_FMT(r->host), r->port, STR_FMT(uri));
	return str_eq(location, here);
}

static enum verdict
redirect_access(struct request *r, const void *conf)
{
	const struct redirect *c = conf;
	const struct redirect_rule *rule = c->rules.v;
	struct str captures[REGEX_CAPTURES];
	struct str location;

	if (request_is_exempt(r) || r->raw_path.n == 0 || *r->raw_path.p != '/')
		return NEXT;
	for (size_t i = 0; i < c->rules.n; i++, rule++) {
		enum regex_verdict v = rule->match.code
					   ? regex_match(&rule->match, r->path, captures).is
					   : REGEX_MATCH;

		if (v == REGEX_FAILED) {
			res_undecided(r);
			return MINE;
		}
		if (v == REGEX_MISMATCH)
			continue;
		location = redirect_location(rule, r, captures);
		if (redirect_is_same(r, location))
			return NEXT;
		if ((rule->url.vars & 1u << VAR_HOST) && r->host.n == 0)
			res_error(
			    r, 400, "a redirect needs the host name, and the request has none");
		else
			res_redirect(r, (int)rule->status, location);
		return MINE;
	}
	return NEXT;
}

const struct module module_redirect = {
	.name = "redirect",
	.help = "Redirects: by site, by route, or by regular expression.",
	.opts = redirect_opts,
	.conf_size = sizeof(struct redirect),
	.check = redirect_check,
	.active = redirect_active,
	.access = redirect_access,
};

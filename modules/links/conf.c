#include "common/base/http.h"
#include "common/config/conf.h"
#include "modules/links/conf.h"
#include "modules/links/expr.h"
#include "modules/links/format.h"
#include "modules/links/secret.h"
#include "worker/uri.h"

#define AT(member) offsetof(struct links_rule, member)

enum { CONF_SECRETS = 16, CONF_RULES = 16 };

static const struct cfg_opt rule_opts[] = {
	{ "format", CFG_ENUM, CFG_ANY, AT(kind), .def = "argand", .names = links_format_names,
	    .help = "\"argand\": the server's own, the only one that says all that a link can say, "
		    "and the only one to begin with. The others are for links that exist "
		    "already: lighttpd's mod_secdownload (\"secdownload-hmac-sha256\", "
		    "\"secdownload-hmac-sha1\", \"secdownload-md5\"), nginx's \"secure_link\" "
		    "with secure_link_md5, and its \"secure_link_secret\". Those with MD5 are "
		    "weak, and the last one never ends." },
	{ "secrets", CFG_PATHS, CFG_ANY | CFG_NONEMPTY, AT(files),
	    .help = "Files with a secret each, in one line; only the master reads them, when the "
		    "configuration is loaded. All of them are good, and the first one signs: to "
		    "change a secret put the new file in front, reload, and take the old one away "
		    "when its links have ended. In \"argand\" links the name of the file up to its "
		    "first dot says which one it is." },
	{ "parameter", CFG_STR, CFG_ANY, AT(parameter),
	    .help = "The parameter of the query that is the link (\"argand\", by default "
		    "\"link\"), or its signature (\"secure_link\", by default \"md5\")." },
	{ "expires", CFG_STR, CFG_ANY, AT(expires), .def = "expires",
	    .help = "\"secure_link\": the parameter with the time when a link ends. Empty: links "
		    "never end." },
	{ "md5", CFG_STR, CFG_ANY, AT(md5),
	    .help = "\"secure_link\": what is signed, as in secure_link_md5, with $secret for the "
		    "secret. Variables are nginx's: $secure_link_expires $uri (decoded) "
		    "$remote_addr $request_method $host $scheme $arg_NAME.",
	    .example = "md5 = \"$secure_link_expires$uri$remote_addr $secret\";" },
	{ "prefix", CFG_STR, CFG_ANY, AT(prefix),
	    .help = "\"secdownload-…\" and \"secure_link_secret\": the path in front of the "
		    "signature. Not set: that of the route, or \"/\" in other scopes. Signature "
		    "and time are cut out: of /dl/MAC/TIME/a.iso the route gets /dl/a.iso." },
	{ "timeout", CFG_TIME, CFG_ANY, AT(timeout), .min = 1000, .max = INT64_C(3153600000000),
	    .def = "60s",
	    .help = "\"secdownload-…\": how long a link counts from when it was made." },
	{ "path_segments", CFG_INT, CFG_ANY, AT(segments), .min = 0, .max = 100, .def = "0",
	    .help = "\"secdownload-…\": only so many segments behind the time are signed, and the "
		    "link is good for all that is below them. 0: all are." },
	{ "hash_query", CFG_BOOL, CFG_ANY, AT(hash_query), .def = "false",
	    .help = "\"secdownload-…\": the query is signed too, when there is one." },
	{ 0 },
};

static const struct cfg_record rule_record = { rule_opts, sizeof(struct links_rule) };

const struct cfg_opt links_conf_opts[] = {
	{ "signed_links", CFG_RECORDS, CFG_ANY, offsetof(struct links_conf, rules),
	    .record = &rule_record,
	    .help =
		"Only who has a link that is signed with a secret gets an answer here; others get "
		"403, and 410 when the link is right but has ended. Each entry is a format of "
		"links with its secrets; a link that one of them takes is good. What is signed is "
		"the path as it was decoded and normalised. Handlers and backends get the request "
		"without the link. \"argand sign URL\" makes links, \"argand explain URL\" says "
		"why one is refused. An empty list, (), opens a route of a protected site.",
	    .example =
		"signed_links: { secrets = \"links.key\"; };\n"
		"signed_links = ( { secrets = [ \"2027.key\", \"2026.key\" ]; },\n"
		"  { format = \"secdownload-md5\"; secrets = \"old.key\"; timeout = \"1h\"; } );" },
	{ 0 },
};

/* --- options that do not belong together --- */

static void
conf_check_unused(const struct links_rule *rule, struct cfg_check *check, int i)
{
	const struct {
		const char *name;
		unsigned bit;
		bool is_set;
	} options[] = { { "parameter", LINKS_HAS_PARAMETER, rule->parameter.n > 0 },
		{ "md5", LINKS_HAS_MD5, rule->md5.n > 0 },
		{ "prefix", LINKS_HAS_PREFIX, rule->prefix.n > 0 },
		{ "path_segments", LINKS_HAS_SEGMENTS, rule->segments > 0 },
		{ "hash_query", LINKS_HAS_QUERY, rule->hash_query } };

	for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++)
		if (options[k].is_set && !(rule->format->options & options[k].bit))
			cfg_error(check, "signed_links", i, NULL, "format \"%s\" has no '%s'",
			    rule->format->name, options[k].name);
}

static void
conf_check_name(struct cfg_check *check, int i, struct str name)
{
	for (size_t k = 0; k < name.n; k++)
		if (!http_is_token(str_n(name.p + k, 1)) || name.p[k] == '&' || name.p[k] == '%') {
			cfg_error(check, "signed_links", i, "letters, digits, \"-\" and \"_\"",
			    "\"%.*s\" cannot be the name of a parameter", STR_FMT(name));
			return;
		}
}

static void
conf_check_parameters(struct links_rule *rule, struct cfg_check *check, int i)
{
	if (!(rule->format->options & LINKS_HAS_PARAMETER))
		return;
	rule->name = rule->parameter;
	if (rule->name.n == 0)
		rule->name = rule->format->options & LINKS_HAS_MD5 ? STR("md5") : STR("link");
	conf_check_name(check, i, rule->name);
	if (!(rule->format->options & LINKS_HAS_EXPIRES))
		return;
	conf_check_name(check, i, rule->expires);
	if (str_eq(rule->expires, rule->name))
		cfg_error(check, "signed_links", i, NULL, "'parameter' and 'expires' are the same");
}

/* --- expressions --- */

static void
conf_check_md5(const struct links_rule *rule, struct cfg_check *check, int i)
{
	static const char example[] = "md5 = \"$secure_link_expires$uri$remote_addr $secret\";";
	const char *why, *hint = NULL;

	if (!(rule->format->options & LINKS_HAS_MD5))
		return;
	if (rule->md5.n == 0)
		cfg_error(check, "signed_links", i, example,
		    "format \"%s\" wants 'md5': what is signed", rule->format->name);
	else if (!links_expr_check(check->arena, rule->md5, &why, &hint))
		cfg_error(check, "signed_links", i, hint, "%s in 'md5'", why);
	else if (!links_expr_has(rule->md5, STR("secret")))
		cfg_error(check, "signed_links", i, example,
		    "without $secret in 'md5' everybody can make links");
	else if (rule->expires.n && !links_expr_has(rule->md5, STR("secure_link_expires")))
		cfg_error(check, "signed_links", i, "or, for links that never end: expires = \"\";",
		    "without $secure_link_expires in 'md5' everybody can make a link last longer");
	else if (!links_expr_has(rule->md5, STR("uri")))
		cfg_warning(check, "signed_links", i, example,
		    "without $uri in 'md5' a link for one path is good for all");
}

/* --- secrets --- */

/* What stands in a link. */
static bool
conf_is_id(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		unsigned char c = str_lower((unsigned char)id.p[i]);

		if (!((unsigned)c - 'a' < 26 || (unsigned)c - '0' < 10 || c == '-' || c == '_'))
			return false;
	}
	return id.n > 0 && id.n <= 32;
}

static void
conf_check_ids(const struct links_rule *rule, struct cfg_check *check, int i)
{
	for (size_t k = 0; k < rule->nsecrets; k++) {
		struct str id = rule->secrets[k].id;

		if (!conf_is_id(id))
			cfg_error(check, "signed_links", i, "such as \"links.key\", \"2027.key\"",
			    "%s: its name up to the first dot stands in links: 1 to 32 letters, "
			    "digits, \"-\", \"_\"",
			    rule->secrets[k].path);
		for (size_t n = 0; n < k; n++)
			if (str_eq(rule->secrets[n].id, id))
				cfg_error(check, "signed_links", i, NULL,
				    "%s and %s are both called \"%.*s\" in links",
				    rule->secrets[n].path, rule->secrets[k].path, STR_FMT(id));
	}
}

static void
conf_check_secrets(struct links_rule *rule, struct cfg_check *check, int i)
{
	struct links_secret *v = arena_calloc(check->arena, (rule->files.n + 1) * sizeof(*v));

	if (rule->files.n > CONF_SECRETS)
		cfg_error(check, "signed_links", i, NULL, "at most %d secrets", CONF_SECRETS);
	rule->secrets = v;
	rule->nsecrets = 0;
	for (size_t k = 0; k < rule->files.n && k < CONF_SECRETS; k++)
		rule->nsecrets += links_secret_load(
		    &v[rule->nsecrets], check, "signed_links", i, rule->files.v[k]);
	if (rule->format->options == LINKS_HAS_PARAMETER)
		conf_check_ids(rule, check, i);
}

/* --- rules --- */

static void
conf_check_prefix(struct links_rule *rule, struct cfg_check *check, int i)
{
	const struct route *route = cfg_route(check);
	struct str base = rule->prefix, normal;

	if (base.n == 0)
		base = route && route->kind == ROUTE_PREFIX ? route->path : STR("/");
	if (base.p[0] != '/' || !uri_normalise(check->arena, base, &normal) ||
	    !str_eq(base, normal))
		cfg_error(check, "signed_links", i, "prefix = \"/dl\";",
		    "\"%.*s\" is no path in front of links", STR_FMT(base));
	else if (base.p[base.n - 1] == '/')
		base.n--;
	rule->base = base;
}

void
links_conf_check(void *conf, struct cfg_check *check)
{
	struct links_conf *c = conf;
	struct links_rule *rules = c->rules.v;

	if (c->rules.n > CONF_RULES)
		cfg_error(check, "signed_links", -1, NULL, "at most %d formats", CONF_RULES);
	for (size_t i = 0; i < c->rules.n; i++) {
		rules[i].format = &links_formats[rules[i].kind];
		conf_check_unused(&rules[i], check, (int)i);
		conf_check_parameters(&rules[i], check, (int)i);
		conf_check_md5(&rules[i], check, (int)i);
		conf_check_prefix(&rules[i], check, (int)i);
		conf_check_secrets(&rules[i], check, (int)i);
	}
}

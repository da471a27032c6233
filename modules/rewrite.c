/*
 * Rewrites: the request goes on as if another path had been asked for. A list of rules is applied
 * once to a request, so a rule never meets its own result; lists of other routes that the request
 * reaches are applied in turn, at most ten times (request_reroute then answers 508).
 */
#include "common/config/regex.h"
#include "worker/request.h"
#include "worker/uri.h"
#include "worker/vars.h"

struct rewrite_rule {
	struct cfg_regex match;
	struct str to;
	bool last;
	/* derived */
	struct template path, args; /* before and behind the first "?" of to */
	bool has_args;
};

struct rewrite {
	struct cfg_records rules;
};

static const struct cfg_opt rewrite_rule_opts[] = {
	{ "match", CFG_REGEX, CFG_ANY | CFG_NONEMPTY, offsetof(struct rewrite_rule, match),
	    .help = "A regular expression on the decoded path, which begins with \"/\". Groups "
		    "are $1 to $9." },
	{ "to", CFG_STR, CFG_ANY | CFG_NONEMPTY, offsetof(struct rewrite_rule, to),
	    .help = "The new path, with variables. With \"?\", what follows is the new query; "
		    "without, the query stays as it is. \"?$query\" keeps it among others: "
		    "\"/index.php?page=$1&$query\"." },
	{ "last", CFG_BOOL, CFG_ANY, offsetof(struct rewrite_rule, last), .def = "false",
	    .help = "Where this rule matched, those below it are not tried." },
	{ 0 },
};

static const struct cfg_record rewrite_record = { rewrite_rule_opts, sizeof(struct rewrite_rule) };

static const struct cfg_opt rewrite_opts[] = {
	{ "rewrite", CFG_RECORDS, CFG_ANY, offsetof(struct rewrite, rules),
	    .record = &rewrite_record,
	    .help =
		"Rules that give the request another path, which then decides about its route. "
		"They are "
		"tried in order, each on the result of those before it. A list is applied once to "
		"a "
		"request: no rule meets its own result again. Clients see nothing of it. An empty "
		"list, (), ends what an outer scope set.",
	    .example =
		"rewrite = ( { match = \"^/wiki/(.*)$\"; to = \"/index.php?title=$1\"; } );" },
	{ 0 },
};

static void
rewrite_check_rule(struct rewrite_rule *rule, int i, struct cfg_check *check)
{
	struct str args = rule->to, path = str_split(&args, '?');
	unsigned groups = regex_groups(&rule->match);
	const char *why, *hint;

	if (!rule->match.code || rule->to.n == 0)
		return; /* the schema has said so */
	rule->has_args = args.p != NULL;
	if (!str_has_prefix(path, STR("/")) && !str_has_prefix(path, STR("$")))
		cfg_error(check, "rewrite", i, "to send clients to another host, use redirect",
		    "\"to\" is a path: it begins with \"/\"");
	if (!http_is_field_value(rule->to))
		cfg_error(check, "rewrite", i, NULL, "control characters in \"to\"");
	if (!template_compile(&rule->path, check->arena, path, groups, &why, &hint) ||
	    (rule->has_args &&
		!template_compile(&rule->args, check->arena, args, groups, &why, &hint)))
		cfg_error(check, "rewrite", i, hint, "%s in \"%.*s\"", why, STR_FMT(rule->to));
}

static void
rewrite_check(void *conf, struct cfg_check *check)
{
	struct rewrite *c = conf;
	struct rewrite_rule *rules = c->rules.v;

	for (size_t i = 0; i < c->rules.n; i++)
		rewrite_check_rule(&rules[i], (int)i, check);
}

static bool
rewrite_active(const void *conf)
{
	return ((const struct rewrite *)conf)->rules.n > 0;
}

/* Applies the rules that match. The query's p stays NULL when it is kept. */
static enum regex_verdict
rewrite_apply(const struct rewrite *c, struct request *r, struct str *path, struct str *query)
{
	const struct rewrite_rule *rules = c->rules.v;
	struct str captures[REGEX_CAPTURES];
	enum regex_verdict all = REGEX_MISMATCH;

	for (size_t i = 0; i < c->rules.n; i++) {
		const struct rewrite_rule *rule = &rules[i];
		enum regex_verdict v = regex_match(&rule->match, *path, captures).is;

		if (v == REGEX_FAILED)
			return v;
		if (v == REGEX_MISMATCH)
			continue;
		all = v;
		if (rule->has_args)
			*query = vars_expand(&rule->args, r, TEMPLATE_ARGS, captures);
		*path = vars_expand(&rule->path, r, TEMPLATE_PLAIN, captures);
		if (rule->last)
			break;
	}
	return all;
}

static enum verdict
rewrite_access(struct request *r, const void *conf)
{
	const struct rewrite *c = conf;
	struct str path = r->path, query = { NULL, 0 };

	if (request_is_exempt(r) || r->rewrites == c->rules.v || !str_has_prefix(r->path, STR("/")))
		return NEXT;
	switch (rewrite_apply(c, r, &path, &query)) {
	case REGEX_MISMATCH:
		return NEXT;
	case REGEX_FAILED:
		res_undecided(r);
		return MINE;
	case REGEX_MATCH:
		break;
	}
	if (!uri_normalise(&r->arena, path, &path)) {
		res_error(r, 400, "the rewritten path leaves the root");
		return MINE;
	}
	r->rewrites = c->rules.v;
	request_reroute(r, path, query);
	return MINE;
}

const struct module module_rewrite = {
	.name = "rewrite",
	.help = "Rewrites paths by regular expressions before the request is routed anew.",
	.opts = rewrite_opts,
	.conf_size = sizeof(struct rewrite),
	.check = rewrite_check,
	.active = rewrite_active,
	.access = rewrite_access,
};

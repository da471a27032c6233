#include "modules/links/expr.h"
#include "modules/links/mac.h"
#include "modules/links/query.h"
#include "modules/links/securelink.h"

static const uint64_t securelink_max = 999999999999999;

struct securelink {
	struct str mac, expires;
	uint64_t until;
};

/* Each of the two once: an application behind us may read another one than we do. */
static const char *
securelink_parse(
    const struct links_rule *rule, const struct links_ask *ask, struct securelink *l, unsigned n)
{
	if (n != 1)
		return "the link is there more than once";
	l->mac = links_query_decode(ask->arena, l->mac);
	for (int i = 0; i < 2 && l->mac.n > 0 && l->mac.p[l->mac.n - 1] == '='; i++)
		l->mac.n--;
	if (!l->mac.p || l->mac.n != 22)
		return "the signature has not the length of an MD5 in base64url";
	if (rule->expires.n == 0)
		return NULL;
	n = links_query_get(ask->query, rule->expires, &l->expires);
	if (n != 1)
		return n ? "the time is there more than once" : "the link has no time";
	return str_to_u64(l->expires, securelink_max, &l->until) && l->until > 0
		   ? NULL
		   : "the link has no time that is one";
}

static struct str
securelink_strip(const struct links_rule *rule, struct arena *a, struct str query)
{
	query = links_query_cut(a, query, rule->name);
	return rule->expires.n ? links_query_cut(a, query, rule->expires) : query;
}

static bool
securelink_is_signed(
    const struct links_rule *rule, const struct links_ask *ask, const struct securelink *l)
{
	struct links_mac mac;
	bool is = false;

	for (size_t i = 0; i < rule->nsecrets && !is; i++) {
		links_mac_md5(&mac,
		    links_expr_make(rule->md5, ask, rule->secrets[i].text, l->expires), false);
		is = links_mac_is(&mac, l->mac);
	}
	return is;
}

void
links_securelink_check(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	struct securelink l = { 0 };
	unsigned n = links_query_get(ask->query, rule->name, &l.mac);

	said->is = n == 0 ? LINKS_ABSENT : LINKS_BROKEN;
	said->why = n == 0 ? "there is no link" : securelink_parse(rule, ask, &l, n);
	if (said->why)
		return;
	said->is = LINKS_WRONG;
	said->why = "the signature is not that of the expression";
	if (ask->client.n == 0 && links_expr_has(rule->md5, STR("remote_addr")))
		said->why = "the expression has the client's address: say it with --client";
	said->text = links_expr_make(rule->md5, ask, STR("SECRET"), l.expires);
	if (!securelink_is_signed(rule, ask, &l))
		return;
	said->path = ask->path;
	said->query = securelink_strip(rule, ask->arena, ask->query);
	said->until = (int64_t)l.until;
	said->is = rule->expires.n && (uint64_t)ask->now > l.until ? LINKS_EXPIRED : LINKS_GOOD;
	said->why = said->is == LINKS_EXPIRED ? "the link has expired" : NULL;
}

static const char *
securelink_cannot(const struct links_rule *rule, const struct links_terms *t)
{
	if (t->is_prefix)
		return "links of this format are for one path";
	if (t->network.n || t->rate)
		return "links of this format say nothing of networks and rates";
	if (t->methods.n && str_find(t->methods, ',') >= 0)
		return "links of this format are for one method";
	if (links_expr_has(rule->md5, STR("remote_addr")) && t->client.n == 0)
		return "the expression has the client's address: say it with --client";
	return NULL;
}

bool
links_securelink_sign(const struct links_rule *rule, const struct links_secret *secret,
    const struct links_terms *t, struct links_made *made, const char **why)
{
	struct arena *a = t->arena;
	struct links_ask ask = { .arena = a,
		.method = t->methods.n ? t->methods : STR("GET"),
		.path = t->path,
		.query = securelink_strip(rule, a, t->query),
		.host = t->host,
		.scheme = t->scheme,
		.client = t->client };
	struct str expires = arena_printf(a, "%lld", (long long)t->until);
	struct links_mac mac;

	*why = securelink_cannot(rule, t);
	if (*why)
		return false;
	if (rule->expires.n == 0)
		expires.n = 0;
	links_mac_md5(&mac, links_expr_make(rule->md5, &ask, secret->text, expires), false);
	made->path = t->path;
	made->query = links_query_add(a, ask.query, rule->name, str_n(mac.text, mac.n));
	if (rule->expires.n)
		made->query = links_query_add(a, made->query, rule->expires, expires);
	return true;
}

#include "common/base/cidr.h"
#include "common/base/http.h"
#include "modules/links/argand.h"
#include "modules/links/below.h"
#include "modules/links/mac.h"
#include "modules/links/query.h"

enum { ARGAND_FIELDS = 8 };
enum argand_field {
	ARGAND_VERSION,
	ARGAND_KEY,
	ARGAND_EXPIRES,
	ARGAND_METHODS,
	ARGAND_SEGMENTS,
	ARGAND_NETWORK,
	ARGAND_RATE,
	ARGAND_MAC
};
/* Seconds, segments and octets beyond this are no figures that anybody meant. */
static const uint64_t argand_max = 999999999999999;

/* A link taken apart. */
struct argand_link {
	struct str v[ARGAND_FIELDS];
	struct str front; /* all that is signed of it */
	uint64_t expires, segments, rate;
	bool is_prefix;
};

/* An empty field is 0. */
static bool
argand_number(struct str s, uint64_t *v)
{
	*v = 0;
	return s.n == 0 || str_to_u64(s, argand_max, v);
}

static const char *
argand_parse(struct argand_link *l, struct str text)
{
	struct str rest = text;
	unsigned n = 0;

	while (rest.p && n < ARGAND_FIELDS)
		l->v[n++] = str_split(&rest, '~');
	if (n < ARGAND_FIELDS || rest.p)
		return "the link has not eight parts";
	if (!str_eq(l->v[ARGAND_VERSION], STR("v1")))
		return "the link is of a version that is not known here";
	l->front = str_n(text.p, (size_t)(l->v[ARGAND_MAC].p - text.p) - 1);
	l->is_prefix = l->v[ARGAND_SEGMENTS].n > 0;
	for (size_t i = 0; i < l->front.n; i++) /* an escaped one: no link that we make */
		if ((unsigned char)l->front.p[i] <= ' ' || (unsigned char)l->front.p[i] >= 0x7f)
			return "the link has characters that no link has";
	if (l->v[ARGAND_EXPIRES].n == 0 || !argand_number(l->v[ARGAND_EXPIRES], &l->expires) ||
	    !argand_number(l->v[ARGAND_SEGMENTS], &l->segments) ||
	    !argand_number(l->v[ARGAND_RATE], &l->rate))
		return "the link has no time, or a figure that is none";
	return NULL;
}

/* p NULL: the path has not as many segments as the link wants. */
static struct str
argand_text(struct arena *a, const struct argand_link *l, struct str path, struct str query)
{
	if (l->is_prefix) {
		path = links_below_front(path, l->segments);
		query.n = 0;
	}
	if (!path.p)
		return path;
	return arena_printf(
	    a, "%.*s\n%.*s\n%.*s", STR_FMT(l->front), STR_FMT(path), STR_FMT(query));
}

static const struct links_secret *
argand_secret(const struct links_rule *rule, struct str id)
{
	for (size_t i = 0; i < rule->nsecrets; i++)
		if (str_eq(rule->secrets[i].id, id))
			return &rule->secrets[i];
	return NULL;
}

/* HEAD with a link for GET (RFC 9110 9.3.2). */
static bool
argand_has_method(struct str list, struct str method)
{
	if (list.n == 0)
		list = STR("GET");
	while (list.p) {
		struct str one = str_split(&list, ',');

		if (str_eq(one, method) || (str_eq(one, STR("GET")) && str_eq(method, STR("HEAD"))))
			return true;
	}
	return false;
}

/* NULL: the client is in the network, or it is not known who it is. */
static const char *
argand_network(const struct links_ask *ask, struct str network)
{
	struct cidr_set set = { 0 };
	const char *why;

	if (network.n == 0 || !ask->addr)
		return NULL;
	if (!cidr_add(&set, ask->arena, network, &why))
		return "the link is for a network that is none";
	if (cidr_match(&set, ask->family, ask->addr))
		return NULL;
	return arena_printf(ask->arena, "the link is for clients of %.*s", STR_FMT(network)).p;
}

/* What else a link says whose signature is right. */
static void
argand_terms(const struct argand_link *l, const struct links_ask *ask, struct links_said *said)
{
	struct str methods = l->v[ARGAND_METHODS];

	said->is = LINKS_ELSEWHERE;
	if (ask->now > (int64_t)l->expires) {
		said->is = LINKS_EXPIRED;
		said->why = "the link has expired";
	} else if (!argand_has_method(methods, ask->method)) {
		said->why = arena_printf(ask->arena, "the link is for %.*s",
		    STR_FMT(methods.n ? methods : STR("GET and HEAD")))
				.p;
	} else if ((said->why = argand_network(ask, l->v[ARGAND_NETWORK])) == NULL) {
		said->is = LINKS_GOOD;
	}
	said->rate = (int64_t)l->rate;
	said->until = (int64_t)l->expires;
}

/* Whether the path stays below the front for whoever reads it. */
static bool
argand_leaves(const struct argand_link *l, const struct links_ask *ask)
{
	struct str front = links_below_front(ask->path, l->segments);

	return l->is_prefix &&
	       links_below_leaves(ask->arena, str_n(ask->path.p + front.n, ask->path.n - front.n));
}

void
links_argand_check(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	const struct links_secret *secret;
	struct argand_link l = { 0 };
	struct links_mac mac;
	struct str sent;
	unsigned n = links_query_get(ask->query, rule->name, &sent);

	said->is = n == 0 ? LINKS_ABSENT : LINKS_BROKEN;
	said->why = n == 0 ? "there is no link" : "the link is there more than once";
	if (n != 1)
		return;
	sent = links_query_decode(ask->arena, sent);
	said->why = sent.p ? argand_parse(&l, sent) : "the link has a malformed escape";
	if (said->why)
		return;
	said->is = LINKS_WRONG;
	said->why = "no secret has the name that the link gives";
	secret = argand_secret(rule, l.v[ARGAND_KEY]);
	if (!secret)
		return;
	said->path = ask->path;
	said->query = links_query_cut(ask->arena, ask->query, rule->name);
	said->text = argand_text(ask->arena, &l, said->path, said->query);
	said->why = "the link is for a path with more segments";
	if (!said->text.p)
		return;
	links_mac_hmac(&mac, LINKS_HMAC_SHA256, secret->text, said->text);
	said->why = "the signature is not of this path, query and terms";
	if (!links_mac_is(&mac, l.v[ARGAND_MAC]))
		return;
	said->why = "the path may be read as one outside of what the link is for";
	if (!argand_leaves(&l, ask))
		argand_terms(&l, ask, said);
}

static bool
argand_is_list(struct str methods)
{
	bool is = true;

	do
		is &= http_is_token(str_split(&methods, ','));
	while (methods.p);
	return is;
}

bool
links_argand_sign(const struct links_rule *rule, const struct links_secret *secret,
    const struct links_terms *t, struct links_made *made, const char **why)
{
	struct arena *a = t->arena;
	struct argand_link l = { .is_prefix = t->is_prefix };
	struct cidr_set set = { 0 };
	struct links_mac mac;
	struct str methods = t->methods;

	if (t->network.n && !cidr_add(&set, a, t->network, why)) {
		*why = arena_printf(a, "--network: not %s", *why).p;
		return false;
	}
	if (methods.n && !argand_is_list(methods)) {
		*why = "--method: a list of methods such as \"GET,PUT\"";
		return false;
	}
	if (str_eq(methods, STR("GET")))
		methods.n = 0;
	l.segments = links_below_count(t->path);
	l.front = arena_printf(a, "v1~%.*s~%lld~%.*s~%s~%.*s~%s", STR_FMT(secret->id),
	    (long long)t->until, STR_FMT(methods),
	    t->is_prefix ? arena_printf(a, "%llu", (unsigned long long)l.segments).p : "",
	    STR_FMT(t->network), t->rate ? arena_printf(a, "%lld", (long long)t->rate).p : "");
	links_mac_hmac(&mac, LINKS_HMAC_SHA256, secret->text,
	    argand_text(a, &l, t->path, links_query_cut(a, t->query, rule->name)));
	made->path = t->path;
	made->query = links_query_add(a, links_query_cut(a, t->query, rule->name), rule->name,
	    arena_printf(a, "%.*s~%.*s", STR_FMT(l.front), (int)mac.n, mac.text));
	return true;
}

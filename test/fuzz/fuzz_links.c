/*
 * Signed links, in all formats. The input is a format, terms, an octet and its place, and a target.
 * The target as it is is no good link, for nobody has told it the secrets. Signed, it is good for
 * just this path and query, also when one octet of the link is another one: what is good then is
 * still what was signed.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include "modules/links/below.h"
#include "modules/links/format.h"
#include "modules/links/query.h"
#include "test/fuzz/fuzz.h"
#include "worker/uri.h"

enum { NOW = 1000000000 };

static const struct links_secret secrets[] = {
	{ STR_INIT("k1"), STR_INIT("\x8d\x1f a secret that no input has \xfe"), "k1.key" },
	{ STR_INIT("k0"), STR_INIT("\x9c\x02 another one, from before \xef"), "k0.key" },
};
static const uint8_t client[16] = { 192, 0, 2, 7 };

struct terms {
	uint8_t format, flags, place, octet;
};

/* One that the configuration lets pass. */
static struct links_rule
rule_of(const struct terms *t)
{
	struct links_rule rule = { .format = &links_formats[t->format % LINKS_FORMATS],
		.name = STR("link"),
		.expires = t->flags & 1 ? STR("expires") : STR(""),
		.md5 = STR("$secure_link_expires$uri|$remote_addr|$secret"),
		.base = t->flags & 2 ? STR("/dl") : STR(""),
		.timeout = 60000,
		.secrets = secrets,
		.nsecrets = 2 };

	if (rule.format->options & LINKS_HAS_SEGMENTS)
		rule.segments = t->flags >> 2 & 3;
	if (rule.format->options & LINKS_HAS_QUERY)
		rule.hash_query = t->flags >> 4 & 1;
	return rule;
}

static bool
ask(const struct links_rule *rule, struct arena *a, struct str target, struct links_said *said)
{
	struct links_ask q = { .arena = a,
		.method = STR("GET"),
		.host = STR("h"),
		.scheme = STR("http"),
		.client = STR("192.0.2.7"),
		.family = AF_INET,
		.addr = client,
		.now = NOW };
	struct uri uri;

	if (target.n == 0 || target.p[0] != '/' || uri_parse(target, M_GET, a, &uri) != 0)
		return false;
	q.path = uri.path;
	q.query = uri.query;
	links_format_ask(rule, 1, &q, said, NULL);
	must(said->is == LINKS_GOOD ? said->path.n > 0 : said->why != NULL);
	must(said->is <= LINKS_GOOD);
	return true;
}

/* Whether a link that was signed for path and query may be good for these. */
static bool
is_within(const struct links_rule *rule, bool is_prefix, const struct links_said *said,
    const struct uri *uri, struct str query)
{
	bool is_own = rule->format->options == LINKS_HAS_PARAMETER;
	bool has_segments = (rule->format->options & LINKS_HAS_SEGMENTS) && rule->segments > 0;
	struct str front = uri->path;

	if (is_own && is_prefix)
		front = links_below_front(uri->path, links_below_count(uri->path));
	if (has_segments) {
		struct str rest = str_n(uri->path.p + rule->base.n, uri->path.n - rule->base.n);
		struct str part = links_below_front(rest, (uint64_t)rule->segments);

		front.n = rule->base.n + (part.p ? part.n : rest.n);
	}
	if (is_prefix || has_segments)
		return str_has_prefix(said->path, front) &&
		       (said->path.n == front.n || front.n == 1 || said->path.p[front.n] == '/');
	return str_eq(said->path, uri->path) && (!is_own || str_eq(said->query, query));
}

/* The path of a good link may still be one that some readers take for another. */
static bool
is_odd(const struct links_rule *rule, struct arena *a, struct str path)
{
	return (rule->format->options & LINKS_HAS_SEGMENTS) && rule->segments > 0 &&
	       links_below_leaves(a, path);
}

static void
check_signed(const struct terms *t, struct arena *a, struct str target)
{
	struct links_rule rule = rule_of(t);
	struct links_terms terms = { .arena = a,
		.client = STR("192.0.2.7"),
		.network = t->flags & 32 ? STR("192.0.2.0/24") : STR(""),
		.is_prefix = t->flags & 64,
		.now = NOW,
		.until = NOW + 3600 };
	struct str link, query, spelled;
	struct links_made made;
	struct links_said said;
	const char *why;
	struct uri uri;
	char *p;

	if (target.n == 0 || target.p[0] != '/' || uri_parse(target, M_GET, a, &uri) != 0)
		return;
	terms.path = uri.path;
	terms.query = uri.query;
	query = links_format_strip(&rule, 1, a, uri.query);
	if (!rule.format->sign(&rule, &secrets[t->flags >> 7], &terms, &made, &why)) {
		must(why != NULL);
		return;
	}
	spelled = uri_spell(a, made.path);
	link = arena_printf(
	    a, "%.*s%s%.*s", STR_FMT(spelled), made.query.n ? "?" : "", STR_FMT(made.query));
	must(ask(&rule, a, link, &said));
	must(said.is == LINKS_GOOD || is_odd(&rule, a, uri.path));
	must(said.is != LINKS_GOOD || str_eq(said.path, uri.path));
	must(said.is != LINKS_GOOD || str_eq(said.query, query));
	p = arena_strdup(a, link.p);
	p[t->place % link.n] = (char)t->octet;
	if (t->octet && ask(&rule, a, str_n(p, link.n), &said) && said.is == LINKS_GOOD)
		must(is_within(&rule, terms.is_prefix, &said, &uri, query));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct terms t = { .format = fuzz_take(&data, &n) };
	struct links_rule rule;
	struct links_said said;
	struct arena arena;
	struct str target;
	char *buf;

	t.flags = fuzz_take(&data, &n);
	t.place = fuzz_take(&data, &n);
	t.octet = fuzz_take(&data, &n);
	if (n > 2000)
		return 0;
	buf = malloc(n > 0 ? n : 1);
	memcpy(buf, data, n);
	target = str_n(buf, n);
	arena_init(&arena, NULL, 0);
	rule = rule_of(&t);
	if (ask(&rule, &arena, target, &said))
		must(said.is < LINKS_EXPIRED);
	check_signed(&t, &arena, target);
	arena_fini(&arena);
	free(buf);
	return 0;
}

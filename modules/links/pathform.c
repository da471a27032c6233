#include "modules/links/below.h"
#include "modules/links/format.h"
#include "modules/links/mac.h"
#include "modules/links/pathform.h"

/* The four, by what distinguishes them. */
static const struct pathform {
	enum links_hash hash;
	size_t mac; /* octets of it */
	bool has_time;
} pathform_md5 = { LINKS_MD5, 32, true }, pathform_sha1 = { LINKS_HMAC_SHA1, 27, true },
  pathform_sha256 = { LINKS_HMAC_SHA256, 43, true }, pathform_word = { LINKS_MD5, 32, false };

enum { PATHFORM_TIME = 16 /* digits */ };

struct pathform_link {
	struct str mac, time, rest; /* rest: what is asked for, behind base; begins with '/' */
	uint64_t made;
};

/* --- taking apart --- */

/* The segment at the front of *path, which keeps the slash behind it. */
static struct str
pathform_segment(struct str *path)
{
	size_t n = 1;

	if (path->n == 0 || *path->p != '/')
		return (struct str){ NULL, 0 };
	while (n < path->n && path->p[n] != '/')
		n++;
	*path = str_n(path->p + n, path->n - n);
	return str_n(path->p - n + 1, n - 1);
}

static bool
pathform_time(struct str s, uint64_t *v)
{
	*v = 0;
	if (s.n == 0 || s.n > PATHFORM_TIME || (s.n > 1 && *s.p == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
		unsigned letter = (unsigned)str_lower((unsigned char)s.p[i]) - 'a';

		if (digit >= 10 && letter >= 6)
			return false;
		*v = *v << 4 | (digit < 10 ? digit : letter + 10);
	}
	return true;
}

static bool
pathform_is_mac(const struct pathform *f, struct str s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	static const char base64[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	if (s.n != f->mac)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr(f->hash == LINKS_MD5 ? hex : base64, s.p[i],
			f->hash == LINKS_MD5 ? sizeof(hex) - 1 : sizeof(base64) - 1))
			return false;
	return true;
}

static const char *
pathform_parse(const struct pathform *f, struct str base, struct str path, struct pathform_link *l)
{
	struct str rest;

	if (!str_has_prefix(path, base))
		return "the path is not below the rule's prefix";
	rest = str_n(path.p + base.n, path.n - base.n);
	l->mac = pathform_segment(&rest);
	if (!l->mac.p || !pathform_is_mac(f, l->mac))
		return "there is no signature in the path";
	if (f->has_time) {
		l->time = pathform_segment(&rest);
		if (!l->time.p || !pathform_time(l->time, &l->made))
			return "there is no time behind the signature";
	}
	l->rest = rest;
	return rest.n > 0 ? NULL : "nothing is asked for behind the signature";
}

/* --- what is signed --- */

/* The rest, or its first segments; with the query where the rule says so. */
static struct str
pathform_signed(const struct links_rule *rule, struct arena *a, struct str rest, struct str query)
{
	if (rule->segments > 0) {
		struct str front = links_below_front(rest, (uint64_t)rule->segments);

		rest = front.p ? front : rest;
	}
	if (!rule->hash_query || query.n == 0)
		return rest;
	return arena_printf(a, "%.*s?%.*s", STR_FMT(rest), STR_FMT(query));
}

static struct str
pathform_text(
    const struct pathform *f, struct arena *a, struct str secret, struct str time, struct str rest)
{
	if (!f->has_time) /* without its slash */
		return arena_printf(
		    a, "%.*s%.*s", STR_FMT(str_n(rest.p + 1, rest.n - 1)), STR_FMT(secret));
	if (f->hash == LINKS_MD5)
		return arena_printf(
		    a, "%.*s%.*s%.*s", STR_FMT(secret), STR_FMT(rest), STR_FMT(time));
	return arena_printf(a, "/%.*s%.*s", STR_FMT(time), STR_FMT(rest));
}

static void
pathform_mac(const struct pathform *f, struct arena *a, struct str secret, struct str time,
    struct str rest, struct links_mac *mac)
{
	struct str text = pathform_text(f, a, secret, time, rest);

	if (f->hash == LINKS_MD5)
		links_mac_md5(mac, text, true);
	else
		links_mac_hmac(mac, f->hash, secret, text);
}

/* --- asking --- */

/* Hexadecimal digits may be sent in either case. */
static struct str
pathform_lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n);

	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)str_lower((unsigned char)s.p[i]);
	return str_n(p, s.n);
}

static bool
pathform_is_signed(const struct pathform *f, const struct links_rule *rule, struct arena *a,
    const struct pathform_link *l, struct str rest)
{
	struct str sent = f->hash == LINKS_MD5 ? pathform_lower(a, l->mac) : l->mac;
	struct links_mac mac;
	bool is = false;

	for (size_t i = 0; i < rule->nsecrets && !is; i++) {
		pathform_mac(f, a, rule->secrets[i].text, l->time, rest, &mac);
		is = links_mac_is(&mac, sent);
	}
	return is;
}

/* What is above the segments that are signed. */
static bool
pathform_leaves(const struct links_rule *rule, struct arena *a, struct str rest)
{
	struct str front = { NULL, 0 };

	if (rule->segments > 0)
		front = links_below_front(rest, (uint64_t)rule->segments);
	return front.p && links_below_leaves(a, str_n(rest.p + front.n, rest.n - front.n));
}

/* A time is when the link was made; one that is too far ahead of us counts as little as an old one.
 */
static bool
pathform_is_old(
    const struct pathform *f, const struct links_rule *rule, uint64_t made, uint64_t now)
{
	uint64_t apart = now > made ? now - made : made - now;

	return f->has_time && apart > (uint64_t)rule->timeout / 1000;
}

static void
pathform_check(const struct pathform *f, const struct links_rule *rule, const struct links_ask *ask,
    struct links_said *said)
{
	struct arena *a = ask->arena;
	struct pathform_link l = { 0 };
	struct str text;

	said->is = LINKS_ABSENT;
	said->why = pathform_parse(f, rule->base, ask->path, &l);
	if (said->why)
		return;
	text = pathform_signed(rule, a, l.rest, ask->query);
	said->is = LINKS_WRONG;
	said->why = "the signature is not of this path and time";
	said->text = pathform_text(f, a, STR("SECRET"), l.time, text);
	if (!pathform_is_signed(f, rule, a, &l, text))
		return;
	said->why = "the path may be read as one outside of what the link is for";
	if (pathform_leaves(rule, a, l.rest))
		return;
	said->path = arena_printf(a, "%.*s%.*s", STR_FMT(rule->base), STR_FMT(l.rest));
	said->query = ask->query;
	said->until = f->has_time ? (int64_t)l.made + rule->timeout / 1000 : 0;
	said->is = LINKS_GOOD;
	said->why = NULL;
	if (!pathform_is_old(f, rule, l.made, (uint64_t)ask->now))
		return;
	said->is = LINKS_EXPIRED;
	said->why = l.made > (uint64_t)ask->now ? "the link was made in the future"
						: "the link has expired";
}

void
links_pathform_md5(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	pathform_check(&pathform_md5, rule, ask, said);
}

void
links_pathform_sha1(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	pathform_check(&pathform_sha1, rule, ask, said);
}

void
links_pathform_sha256(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	pathform_check(&pathform_sha256, rule, ask, said);
}

void
links_pathform_word(
    const struct links_rule *rule, const struct links_ask *ask, struct links_said *said)
{
	pathform_check(&pathform_word, rule, ask, said);
}

/* --- making --- */

/* That of the rule's format. */
static const struct pathform *
pathform_of(const struct links_rule *rule)
{
	static const struct {
		void (*check)(
		    const struct links_rule *, const struct links_ask *, struct links_said *);
		const struct pathform *form;
	} forms[] = { { links_pathform_md5, &pathform_md5 },
		{ links_pathform_sha1, &pathform_sha1 },
		{ links_pathform_sha256, &pathform_sha256 } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (rule->format->check == forms[i].check)
			return forms[i].form;
	return &pathform_word;
}

/* What a link in a path cannot say. */
static const char *
pathform_cannot(
    const struct pathform *f, const struct links_rule *rule, const struct links_terms *t)
{
	if (t->methods.n || t->network.n || t->rate)
		return "links of this format say nothing of methods, networks and rates";
	if (t->is_prefix && rule->segments == 0)
		return "links of this format are for a prefix where the rule has path_segments";
	if (t->is_prefix && links_below_count(str_n(t->path.p + rule->base.n,
				t->path.n - rule->base.n)) != (uint64_t)rule->segments)
		return "the path has not as many segments behind the prefix as path_segments says";
	if (!f->has_time && t->is_until)
		return "links of this format never end";
	if (!t->is_until || t->until - t->now == rule->timeout / 1000)
		return NULL;
	return "links of this format carry the time when they were made: how long they count is "
	       "the rule's timeout; use --expires with that";
}

bool
links_pathform_sign(const struct links_rule *rule, const struct links_secret *secret,
    const struct links_terms *t, struct links_made *made, const char **why)
{
	const struct pathform *f = pathform_of(rule);
	struct arena *a = t->arena;
	struct str rest, time = arena_printf(a, "%llx", (unsigned long long)t->now);
	struct links_mac mac;

	*why = "the path is not below the rule's prefix";
	if (!str_has_prefix(t->path, rule->base) || t->path.n <= rule->base.n ||
	    t->path.p[rule->base.n] != '/')
		return false;
	*why = pathform_cannot(f, rule, t);
	if (*why)
		return false;
	rest = str_n(t->path.p + rule->base.n, t->path.n - rule->base.n);
	pathform_mac(f, a, secret->text, time, pathform_signed(rule, a, rest, t->query), &mac);
	made->path = arena_printf(a, "%.*s/%.*s%s%.*s%.*s", STR_FMT(rule->base), (int)mac.n,
	    mac.text, f->has_time ? "/" : "", f->has_time ? (int)time.n : 0, time.p, STR_FMT(rest));
	made->query = t->query;
	return true;
}

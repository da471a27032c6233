#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "modules/links/below.h"
#include "modules/links/expr.h"
#include "modules/links/format.h"
#include "modules/links/mac.h"
#include "modules/links/query.h"
#include "test/unit/filetree.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/uri.h"

Suite *suite_links(void);

/* --- signatures, made by openssl(1): see the comments --- */

static const struct {
	enum links_hash hash;
	bool is_hex;
	const char *secret, *text, *is;
} macs[] = {
	/* printf a | openssl md5 */
	{ LINKS_MD5, true, NULL, "a", "0cc175b9c0f1b6a831c399e269772661" },
	/* printf a | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d = */
	{ LINKS_MD5, false, NULL, "a", "DMF1ucDxtqgxw5niaXcmYQ" },
	/* printf what | openssl dgst -sha1 -hmac Jefe -binary | …: RFC 2202 3, RFC 4231 4.3 */
	{ LINKS_HMAC_SHA1, false, "Jefe", "what do ya want for nothing?",
	    "7_zfauXrL6LSdBbV8YTfnCWafHk" },
	{ LINKS_HMAC_SHA256, false, "Jefe", "what do ya want for nothing?",
	    "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM" },
	/* openssl md5 </dev/null */
	{ LINKS_MD5, true, NULL, "", "d41d8cd98f00b204e9800998ecf8427e" },
};

START_TEST(mac)
{
	struct str text = str_of(macs[_i].text), is = str_of(macs[_i].is);
	char other[64];
	struct links_mac m;

	if (macs[_i].hash == LINKS_MD5)
		links_mac_md5(&m, text, macs[_i].is_hex);
	else
		links_mac_hmac(&m, macs[_i].hash, str_of(macs[_i].secret), text);
	unit_str_eq(str_n(m.text, m.n), macs[_i].is);
	ck_assert(links_mac_is(&m, is));
	ck_assert(!links_mac_is(&m, str_n(is.p, is.n - 1)));
	for (size_t i = 0; i < is.n; i++) {
		memcpy(other, is.p, is.n);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		ck_assert(!links_mac_is(&m, str_n(other, is.n)));
	}
}
END_TEST

/* --- queries --- */

static const struct {
	const char *query, *value, *rest; /* NULL: none */
	unsigned n;
} queries[] = {
	{ NULL, NULL, NULL, 0 },
	{ "", NULL, "", 0 },
	{ "link=x", "x", NULL, 1 },
	{ "link", "", NULL, 1 },
	{ "link=", "", NULL, 1 },
	{ "a=1&link=x=y&b", "x=y", "a=1&b", 1 },
	{ "&link=x", "x", NULL, 1 },
	{ "&a&link=x&", "x", "&a&", 1 },
	{ "link=x&link=y", "x", NULL, 2 },
	{ "link=x&%6cin%6B=y&a", "x", "a", 2 },
	{ "%6cink=x", "x", NULL, 1 },
	{ "LINK=x&links=y&xlink=z&a=link=1", NULL, "LINK=x&links=y&xlink=z&a=link=1", 0 },
	{ "%link=x&%6=link&li%6nk=1", NULL, "%link=x&%6=link&li%6nk=1", 0 },
};

START_TEST(query)
{
	struct str value, rest;
	struct arena a;

	arena_init(&a, NULL, 0);
	ck_assert_uint_eq(
	    links_query_get(str_of(queries[_i].query), STR("link"), &value), queries[_i].n);
	rest = links_query_cut(&a, str_of(queries[_i].query), STR("link"));
	ck_assert_int_eq(value.p != NULL, queries[_i].value != NULL);
	ck_assert_int_eq(rest.p != NULL, queries[_i].rest != NULL);
	if (value.p)
		unit_str_eq(value, queries[_i].value);
	if (rest.p)
		unit_str_eq(rest, queries[_i].rest);
	arena_fini(&a);
}
END_TEST

/* --- what is below a path --- */

static const struct {
	const char *path;
	unsigned n;
	const char *front;
} fronts[] = {
	{ "/", 0, "/" },
	{ "/a", 0, "/" },
	{ "/", 1, NULL },
	{ "/a", 1, "/a" },
	{ "/a/", 1, "/a" },
	{ "/ab/c", 1, "/ab" },
	{ "/a/b/c", 2, "/a/b" },
	{ "/a/b", 3, NULL },
	{ "/a/b/", 3, NULL },
};

START_TEST(front)
{
	struct str f = links_below_front(str_of(fronts[_i].path), fronts[_i].n);

	ck_assert_int_eq(f.p != NULL, fronts[_i].front != NULL);
	if (f.p)
		unit_str_eq(f, fronts[_i].front);
}
END_TEST

static const struct {
	const char *rest;
	bool leaves;
} outs[] = {
	{ "", false },
	{ "/a/b.c..d", false },
	{ "/a..", false },
	{ "/100%", false },
	{ "/%zz", false },
	{ "/a%2Fb", false },
	{ "/\xc3\xa4\xe2\x82\xac", false },
	{ "/a;v=1/b?c#d", false },
	{ "/..%2fx", true },
	{ "/x%2f..%2fy", true },
	{ "/%2e%2e/x", true },
	{ "/%252e%252e%252fx", true },
	{ "/%25252525252525252e./x", true },
	{ "/..\\x", true },
	{ "/x%5c..%5cy", true },
	{ "/..;a=1/x", true },
	{ "/..%3bx", true },
	{ "/..?x", true },
	{ "/..#", true },
	{ "/..%00/x", true },
	{ "/..%20/x", true },
	{ "/\xc0\xae./x", true },
	{ "/x\xc0\xafy", true },
	{ "/\xe0\x80\xae./x", true },
	{ "/%c0%ae./x", true },
};

START_TEST(leaves)
{
	struct arena a;

	arena_init(&a, NULL, 0);
	ck_assert_msg(
	    links_below_leaves(&a, str_of(outs[_i].rest)) == outs[_i].leaves, "%s", outs[_i].rest);
	arena_fini(&a);
}
END_TEST

/* --- rules: made by hand, asked at any time --- */

static struct arena arena;
static const struct links_secret secrets[] = { { STR_INIT("new"), STR_INIT("verysecret"), "new" },
	{ STR_INIT("old"), STR_INIT("0123456789abcdef"), "old" } };
static const uint8_t here[16] = { 192, 0, 2, 7 };

static void
setup(void)
{
	arena_init(&arena, NULL, 0);
}

static void
teardown(void)
{
	arena_fini(&arena);
}

static struct links_rule
rule_of(const char *format)
{
	struct links_rule rule = { .timeout = 60000, .secrets = secrets, .nsecrets = 2 };

	for (int i = 0; i < LINKS_FORMATS; i++)
		if (strcmp(links_formats[i].name, format) == 0)
			rule.format = &links_formats[i];
	ck_assert_ptr_nonnull(rule.format);
	rule.name = rule.format->options & LINKS_HAS_MD5 ? STR("md5") : STR("link");
	rule.expires = STR("expires");
	rule.md5 = STR("$secure_link_expires$uri$remote_addr $secret");
	return rule;
}

/* "/path?query" with the path decoded, as a server of ours would see it. */
static struct links_said
ask_rule(const struct links_rule *rule, const char *method, const char *target, int64_t now)
{
	struct links_ask ask = { .arena = &arena,
		.method = str_of(method),
		.host = STR("a.org"),
		.scheme = STR("http"),
		.client = STR("192.0.2.7"),
		.family = AF_INET,
		.addr = here,
		.now = now };
	struct links_said said;
	struct uri uri;

	ck_assert_int_eq(uri_parse(arena_str(&arena, str_of(target)), M_GET, &arena, &uri), 0);
	ask.path = uri.path;
	ask.query = uri.query;
	links_format_ask(rule, 1, &ask, &said, NULL);
	return said;
}

/* Signatures by openssl(1); 0x65f0a000 is 1710268416. */
#define FAR "2147483647"
static const struct fixed {
	const char *format, *target;
	int64_t now;
	enum links_is is;
	const char *path, *query; /* of a good one */
} fixed[] = {
	/* printf 'verysecret/a.txt65f0a000' | openssl md5 */
	{ "secdownload-md5", "/91726128eda425f6ef861d2d9cc9d03e/65f0a000/a.txt", 1710268416,
	    LINKS_GOOD, "/a.txt", NULL },
	{ "secdownload-md5", "/91726128EDA425F6EF861D2D9CC9D03E/65f0a000/a.txt?q", 1710268476,
	    LINKS_GOOD, "/a.txt", "q" },
	{ "secdownload-md5", "/91726128eda425f6ef861d2d9cc9d03e/65f0a000/a.txt", 1710268477,
	    LINKS_EXPIRED, NULL, NULL },
	{ "secdownload-md5", "/91726128eda425f6ef861d2d9cc9d03f/65f0a000/a.txt", 1710268477,
	    LINKS_WRONG, NULL, NULL },
	/* printf '/65f0a000/a.txt' | openssl dgst -sha1 -hmac verysecret -binary | openssl base64
	 */
	{ "secdownload-hmac-sha1", "/t4wVNtTLccQ0m35jSded-89EuVo/65f0a000/a.txt", 1710268416,
	    LINKS_GOOD, "/a.txt", NULL },
	{ "secdownload-hmac-sha256", "/5UE1aeYyqtYBs1Z13eDUaoNZqpnQfQaxC5tAUR-PFtA/65f0a000/a.txt",
	    1710268416, LINKS_GOOD, "/a.txt", NULL },
	/* printf '2147483647/s/link192.0.2.7 verysecret' | openssl md5 -binary | openssl base64 */
	{ "secure_link", "/s/link?md5=TLNG6jZ1IIe4h4Isr9Q6NQ&expires=" FAR, 2147483647, LINKS_GOOD,
	    "/s/link", NULL },
	{ "secure_link", "/s/link?expires=" FAR "&a&md5=TLNG6jZ1IIe4h4Isr9Q6NQ==", 1, LINKS_GOOD,
	    "/s/link", "a" },
	{ "secure_link", "/s/link?md5=TLNG6jZ1IIe4h4Isr9Q6NQ&expires=" FAR, 2147483648,
	    LINKS_EXPIRED, NULL, NULL },
	/* printf 'linkverysecret' | openssl md5 */
	{ "secure_link_secret", "/62f35106a3a594fa86d7e0c002719203/link", 1, LINKS_GOOD, "/link",
	    NULL },
	{ "secure_link_secret", "/62f35106a3a594fa86d7e0c002719203/", 1, LINKS_WRONG, NULL, NULL },
	{ "secure_link_secret", "/62f35106a3a594fa86d7e0c002719203", 1, LINKS_ABSENT, NULL, NULL },
	/* printf 'v1~new~2147483647~~~~\n/a.txt\nx=1' | openssl dgst -sha256 -hmac verysecret … */
	{ "argand",
	    "/a.txt?x=1&link=v1~new~" FAR "~~~~~UqadlCXKbhigJEUsTlm56vPAC99d5g2WSlz0Ti-_s4A", 1,
	    LINKS_GOOD, "/a.txt", "x=1" },
};

START_TEST(vectors)
{
	const struct fixed *f = &fixed[_i];
	struct links_rule rule = rule_of(f->format);
	struct links_said said = ask_rule(&rule, "GET", f->target, f->now);

	ck_assert_msg(said.is == f->is, "%s is %d: %s", f->target, said.is, said.why);
	if (f->path)
		unit_str_eq(said.path, f->path);
	ck_assert_int_eq(said.is == LINKS_GOOD && said.query.p, f->query != NULL);
	if (f->query)
		unit_str_eq(said.query, f->query);
}
END_TEST

/* --- links that we make, and what becomes of them --- */

static char *
sign(const struct links_rule *rule, const char *target, struct links_terms t)
{
	struct links_made made = { 0 };
	const char *why = NULL;
	struct uri uri;

	ck_assert_int_eq(uri_parse(arena_str(&arena, str_of(target)), M_GET, &arena, &uri), 0);
	t.arena = &arena;
	t.path = uri.path;
	t.query = uri.query;
	ck_assert_msg(rule->format->sign(rule, &rule->secrets[0], &t, &made, &why), "%s", why);
	return arena_strdup(
	    &arena, arena_printf(&arena, "%.*s%s%.*s", STR_FMT(uri_spell(&arena, made.path)),
			made.query.n ? "?" : "", STR_FMT(made.query))
			.p);
}

static const struct links_terms usual = { .now = 1000000000,
	.until = 1000003600,
	.client = STR_INIT("192.0.2.7"),
	.host = STR_INIT("a.org"),
	.scheme = STR_INIT("http") };

/* The same link, with a text in it put in the place of another. */
static const char *
altered(const char *link, const char *from, const char *to)
{
	const char *at = strstr(link, from);

	ck_assert_msg(at != NULL, "no \"%s\" in %s", from, link);
	return arena_printf(&arena, "%.*s%s%s", (int)(at - link), link, to, at + strlen(from)).p;
}

static void
check_is(const struct links_rule *rule, const char *method, const char *target, int64_t now,
    enum links_is is)
{
	struct links_said said = ask_rule(rule, method, target, now);

	ck_assert_msg(said.is == is, "%s %s is %d (%s), not %d", method, target, said.is,
	    said.why ? said.why : "", is);
}

START_TEST(own_link)
{
	struct links_rule rule = rule_of("argand");
	const char *link = sign(&rule, "/a/b.txt?x=1&y", usual);
	struct links_said said = ask_rule(&rule, "GET", link, 1000000000);

	ck_assert_int_eq(said.is, LINKS_GOOD);
	unit_str_eq(said.path, "/a/b.txt");
	unit_str_eq(said.query, "x=1&y");
	check_is(&rule, "HEAD", link, 1000003600, LINKS_GOOD); /* the last second that counts */
	check_is(&rule, "GET", link, 1000003601, LINKS_EXPIRED);
	check_is(&rule, "POST", link, 1000000000, LINKS_ELSEWHERE);
	check_is(&rule, "GET", altered(link, "b.txt", "c.txt"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "/a/", "/a//./"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "/a/b", "/x/../%61/%62"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "/a/b", "/a%2Fb"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "x=1", "x=2"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "x=1", "y&x=1"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "1000003600", "1000003601"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "1000003600", "01000003600"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~~~~", "~PUT~~~"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~~~~", "~~1~~"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~new~", "~old~"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~new~", "~none~"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "v1~", "v2~"), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "~new", ""), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "link=v1~", "link=v1%7E"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "link=v1~", "link=v1%7"), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "~new~", "~new%0A~"), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "link=", "link=x&link="), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "link=", "%6cink=x&link="), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "link=", "Link="), 1000000000, LINKS_ABSENT);
}
END_TEST

START_TEST(own_terms)
{
	struct links_rule rule = rule_of("argand");
	struct links_terms t = usual;
	const char *link;

	t.methods = STR("POST,PUT");
	t.network = STR("192.0.2.0/24");
	t.rate = 65536;
	link = sign(&rule, "/up", t);
	check_is(&rule, "PUT", link, 1000000000, LINKS_GOOD);
	check_is(&rule, "POST", link, 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", link, 1000000000, LINKS_ELSEWHERE);
	check_is(&rule, "HEAD", link, 1000000000, LINKS_ELSEWHERE);
	ck_assert_int_eq(ask_rule(&rule, "PUT", link, 1000000000).rate, 65536);
	check_is(&rule, "PUT", altered(link, "65536", "65537"), 1000000000, LINKS_WRONG);
	t.network = STR("2001:db8::/32");
	link = sign(&rule, "/up", t);
	check_is(&rule, "PUT", link, 1000000000, LINKS_ELSEWHERE);
	check_is(&rule, "PUT", altered(link, "2001:db8::/32", ""), 1000000000, LINKS_WRONG);
	check_is(&rule, "PUT", altered(link, "2001:db8::/32", "2001%3adb8%3A%3A%2F32"), 1000000000,
	    LINKS_ELSEWHERE);
}
END_TEST

START_TEST(own_prefix)
{
	struct links_rule rule = rule_of("argand");
	struct links_terms t = usual;
	const char *link, *all;

	t.is_prefix = true;
	link = sign(&rule, "/v/42/", t);
	check_is(&rule, "GET", link, 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "42/", "42"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "42/", "42/a/b.ts"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "?", "a?t=1&"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "42/", "421/"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "421"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "43/"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", ""), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "42/../43/x"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "42/..%2f43/x"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "42/%252e%252e/43/x"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "42/", "42/..;/43/x"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~2~", "~1~"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "~2~", "~~"), 1000000000, LINKS_WRONG);
	all = sign(&rule, "/", t);
	check_is(&rule, "GET", altered(all, "/?", "/x/y?"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", sign(&rule, "/", usual), 1000000000, LINKS_GOOD);
	check_is(
	    &rule, "GET", altered(sign(&rule, "/", usual), "/?", "/x?"), 1000000000, LINKS_WRONG);
	/* No query can take the place of a path. */
	check_is(&rule, "GET", altered(sign(&rule, "/a%3Fb", usual), "%3Fb?", "?b&"), 1000000000,
	    LINKS_WRONG);
}
END_TEST

/* Old and new secret, and one that was taken away. */
START_TEST(rotation)
{
	static const char *const formats[] = { "argand", "secdownload-hmac-sha256",
		"secdownload-hmac-sha1", "secdownload-md5", "secure_link", "secure_link_secret" };
	struct links_rule rule = rule_of(formats[_i]), before, after;
	const char *link;

	before = after = rule;
	before.secrets = after.secrets = &secrets[1]; /* "old" alone */
	before.nsecrets = after.nsecrets = 1;
	link = sign(&before, "/x", usual);
	check_is(&rule, "GET", link, 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", sign(&rule, "/x", usual), 1000000000, LINKS_GOOD);
	check_is(&after, "GET", sign(&rule, "/x", usual), 1000000000, LINKS_WRONG);
	rule.nsecrets = 1; /* "new" alone */
	check_is(&rule, "GET", link, 1000000000, LINKS_WRONG);
}
END_TEST

START_TEST(secdownload)
{
	static const char *const formats[] = { "secdownload-hmac-sha256", "secdownload-hmac-sha1",
		"secdownload-md5" };
	struct links_rule rule = rule_of(formats[_i]);
	const char *link;

	rule.base = STR("/dl");
	link = sign(&rule, "/dl/d/a%20b.iso?q=1", usual);
	check_is(&rule, "GET", link, 1000000060, LINKS_GOOD);
	check_is(&rule, "GET", link, 1000000061, LINKS_EXPIRED);
	check_is(&rule, "GET", link, 999999940, LINKS_GOOD);
	check_is(&rule, "GET", link, 999999939, LINKS_EXPIRED); /* as there: both ways */
	check_is(&rule, "DELETE", link, 1000000000, LINKS_GOOD);
	unit_str_eq(ask_rule(&rule, "GET", link, 1000000000).path, "/dl/d/a b.iso");
	unit_str_eq(ask_rule(&rule, "GET", link, 1000000000).query, "q=1");
	check_is(&rule, "GET", altered(link, "q=1", "q=2"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "a%20", "a"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "3b9aca00", "3b9aca01"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "3b9aca00", "3b9acax0"), 1000000000, LINKS_ABSENT);
	check_is(&rule, "GET", altered(link, "/dl/", "/dx/"), 1000000000, LINKS_ABSENT);
	check_is(&rule, "GET", "/dl/d/a", 1000000000, LINKS_ABSENT);
	check_is(&rule, "GET", altered(link, "/3b9aca00", "//./3b9aca00/"), 1000000000, LINKS_GOOD);
	rule.hash_query = true;
	link = sign(&rule, "/dl/d?q=1", usual);
	check_is(&rule, "GET", link, 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "q=1", "q=2"), 1000000000, LINKS_WRONG);
	rule.hash_query = false;
	rule.segments = 1;
	link = sign(&rule, "/dl/d/x", usual);
	check_is(&rule, "GET", altered(link, "d/x", "d/y/z"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "d/x", "dd/x"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "d/x", "d/..%2Fe"), 1000000000, LINKS_WRONG);
}
END_TEST

/* The end of a path is not the beginning of a time: "/part10" + T and "/part1" + 0T are one text.
 */
START_TEST(secdownload_zeros)
{
	struct links_rule rule = rule_of("secdownload-md5");
	const char *link = sign(&rule, "/part10", usual);

	check_is(&rule, "GET", link, 1000000000, LINKS_GOOD);
	link = altered(altered(link, "/3b9aca00", "/03b9aca00"), "part10", "part1");
	check_is(&rule, "GET", link, 1000000000, LINKS_ABSENT);
}
END_TEST

START_TEST(secure_link)
{
	struct links_rule rule = rule_of("secure_link");
	const char *link = sign(&rule, "/s/link?a=1", usual);

	check_is(&rule, "GET", link, 1000003600, LINKS_GOOD);
	check_is(&rule, "GET", link, 1000003601, LINKS_EXPIRED);
	unit_str_eq(ask_rule(&rule, "GET", link, 1000000000).query, "a=1");
	check_is(&rule, "GET", altered(link, "a=1", "a=2"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "md5=", "x=%2&md5="), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "&expires", "==&expires"), 1000000000, LINKS_GOOD);
	check_is(&rule, "GET", altered(link, "/s/", "/t/"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "1000003600", "1000003601"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "expires=", "expires=0&expires="), 1000000000,
	    LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "md5=", "md5=x&md5="), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "&expires=1000003600", ""), 1000000000, LINKS_BROKEN);
	check_is(&rule, "GET", altered(link, "expires=1000003600", "expires=x"), 1000000000,
	    LINKS_BROKEN);
	rule.md5 = STR("$uri|${arg_a}|$request_method|$host|$scheme|$secret");
	rule.expires.n = 0;
	link = sign(&rule, "/s?a=1", usual);
	check_is(&rule, "GET", link, 2000000000, LINKS_GOOD);
	check_is(&rule, "PUT", link, 2000000000, LINKS_WRONG);
	check_is(&rule, "GET", altered(link, "a=1", "a=2"), 2000000000, LINKS_WRONG);
}
END_TEST

START_TEST(secure_link_secret)
{
	struct links_rule rule = rule_of("secure_link_secret");
	const char *link;

	rule.base = STR("/p");
	link = sign(&rule, "/p/link", usual);
	ck_assert_str_eq(link, "/p/62f35106a3a594fa86d7e0c002719203/link");
	check_is(&rule, "GET", link, 2000000000, LINKS_GOOD);
	unit_str_eq(ask_rule(&rule, "GET", link, 1000000000).path, "/p/link");
	check_is(&rule, "GET", altered(link, "/link", "/links"), 1000000000, LINKS_WRONG);
	check_is(&rule, "GET", "/p/link", 1000000000, LINKS_ABSENT);
}
END_TEST

/* --- one spelling for a path --- */

static const struct {
	const char *raw, *spelled;
} spellings[] = {
	{ "/a/b", "/a/b" },
	{ "/a//b/./c/../d", "/a/b/d" },
	{ "/%61%20%c3%a4", "/a%20%C3%A4" },
	{ "/a%2fb%2Fc", "/a%2fb%2Fc" },
	{ "/%2f", "/%2f" },
	{ "/a%252Fb", "/a%2Fb" },
	{ "/100%25", "/100%25" },
	{ "/a%3Fb", "/a%3Fb" },
};

START_TEST(spelling)
{
	struct str spelled, raw = str_of(spellings[_i].raw);
	struct uri uri, again;

	ck_assert_int_eq(uri_parse(raw, M_GET, &arena, &uri), 0);
	spelled = uri_spell(&arena, uri.path);
	unit_str_eq(spelled, spellings[_i].spelled);
	ck_assert_int_eq(uri_parse(spelled, M_GET, &arena, &again), 0);
	ck_assert(str_eq(uri.path, again.path));
}
END_TEST

/* --- requests --- */

#define OWN  "link=v1~new~" FAR "~~~~~UqadlCXKbhigJEUsTlm56vPAC99d5g2WSlz0Ti-_s4A"
#define WORD "62f35106a3a594fa86d7e0c002719203"
#define TELL "headers: { set = [ \"X: $path|$query|$raw_path|$uri\" ]; }; respond = \"ok\"; "

static const struct row request_rows[] = {
	{ "own", .target = "/a.txt?x=1&" OWN, .status = 200, .name = "X",
	    .value = "/a.txt|x=1|/a.txt|/a.txt?x=1" },
	{ "any spelling is one", .target = "/.//%61.txt?x=1&" OWN, .status = 200, .name = "X",
	    .value = "/a.txt|x=1|/a.txt|/a.txt?x=1" },
	{ "absolute-form", .target = "http://localhost/a.txt?x=1&" OWN, .status = 200, .name = "X",
	    .value = "/a.txt|x=1|/a.txt|/a.txt?x=1" },
	{ "head", .method = "HEAD", .target = "/a.txt?x=1&" OWN, .status = 200 },
	{ "post", .method = "POST", .target = "/a.txt?x=1&" OWN, .status = 403 },
	{ "none", .target = "/a.txt", .status = 403 },
	{ "another path", .target = "/b.txt?x=1&" OWN, .status = 403 },
	{ "twice", .target = "/a.txt?x=1&" OWN "&" OWN, .status = 403 },
	{ "kept from shared caches", .target = "/a.txt?x=1&" OWN, .status = 200,
	    .name = "Cache-Control", .value = "private" },
	{ "said to be public", .target = "/p/" WORD "/link", .status = 200, .name = "Cache-Control",
	    .value = "public" },
	{ "no link, no word", .target = "/free", .status = 200, .name = "Cache-Control" },
	{ "in the path", .target = "/p/" WORD "/link?q", .status = 200, .name = "X",
	    .value = "/p/link|q|/p/link|/p/link?q" },
	{ "in the path, spelled", .target = "//p/./" WORD "/%6cink", .status = 200, .name = "X",
	    .value = "/p/link||/p/link|/p/link" },
	{ "cut path without a link", .target = "/p/link", .status = 403 },
	{ "rules ask once", .target = "/p/" WORD "/link", .status = 200 },
	{ "rewritten within", .target = "/w/" WORD "/link", .status = 200, .name = "X",
	    .value = "/index||/w/link|/w/link" },
	{ "rewritten to another scope's", .target = "/o/" WORD "/link", .status = 403 },
	{ "rewritten into it, with the link", .target = "/in/a.txt?x=1&" OWN, .status = 200 },
	{ "rewritten with a query that is none", .target = "/odd/link", .status = 200, .name = "X",
	    .value = "/p/link|a%20b%23|/p/link|/p/link?a%20b%23" },
	{ "rewritten into it, without", .target = "/in/a.txt?x=1", .status = 403 },
	{ "the refusal's page", .target = "/e/x?link=1&b=2", .status = 403, .name = "X",
	    .value = "/page|b=2|/e/x|/e/x?link=1&b=2", .body = "page" },
};

static struct loopback *lo;

static void
requests_setup(void)
{
	char conf[4096];

	tree_make();
	tree_text("new.key", "verysecret\n");
	tree_text("word.key", "verysecret\r\n");
	ck_assert_int_eq(fchmodat(tree_fd(), "new.key", 0600, 0), 0);
	ck_assert_int_eq(fchmodat(tree_fd(), "word.key", 0600, 0), 0);
	snprintf(conf, sizeof(conf),
	    TELL
	    "signed_links: { secrets = \"%s/new.key\"; }; routes = ( "
	    "{ exact = \"/free\"; signed_links = (); }, "
	    "{ exact = \"/page\"; respond = \"page\"; }, "
	    "{ path = \"/e\"; error_pages: { status = 403; path = \"/page\"; }; }, "
	    "{ path = \"/in\"; signed_links = (); rewrite: { match = \"^/in(.*)\"; to = \"$1\"; }; "
	    "}, "
	    "{ path = \"/odd\"; signed_links = (); rewrite: { match = \"^/odd/(.*)\"; "
	    "to = \"/p/62f35106a3a594fa86d7e0c002719203/$1?a b#\"; }; }, "
	    "{ path = \"/p\"; headers: { set = [ \"X: $path|$query|$raw_path|$uri\", "
	    "\"Cache-Control: public\" ]; }; signed_links: { format = \"secure_link_secret\"; "
	    "secrets = \"%s/word.key\"; }; }, "
	    "{ path = \"/o\"; rewrite: { match = \"^/o\"; to = \"/p/link\"; }; "
	    "signed_links: { format = \"secure_link_secret\"; secrets = \"%s/word.key\"; }; }, "
	    "{ path = \"/w\"; rewrite: { match = \"^/w\"; to = \"/index\"; }; "
	    "signed_links: { format = \"secure_link_secret\"; secrets = \"%s/word.key\"; }; }, "
	    "{ path = \"/index\"; signed_links = (); } );",
	    tree_path(), tree_path(), tree_path(), tree_path());
	lo = rows_open(NULL, conf);
	setup();
}

static void
requests_teardown(void)
{
	teardown();
	lo_close(lo);
	tree_remove();
}

START_TEST(requests)
{
	rows_send(lo, &request_rows[_i]);
}
END_TEST

/* --- configuration --- */

static const struct {
	bool is_error;
	const char *conf, *text, *more;
} refused_rows[] = {
	{ true, "secrets = \"none.key\";", "none.key: No such file", "openssl rand" },
	{ true, "secrets = \"empty.key\";", "the secret is empty", "openssl rand" },
	{ false, "secrets = \"short.key\";", "can be guessed", "openssl rand" },
	{ true, "secrets = \"two.key\";", "in one line", "openssl rand" },
	{ true, "secrets = \"dir.key\";", "Is a directory", NULL },
	{ true, "secrets = \"open.key\";", "can change the secret", "chmod 640" },
	{ false, "secrets = \"read.key\";", "can read the secret", "chmod 640" },
	{ true, "secrets = [ \"good.key\", \"good.old.key\" ];", "both called \"good\"", NULL },
	{ true, "secrets = \"a name.key\";", "stands in links", NULL },
	{ true, "format = \"argand\";", "'secrets'", NULL },
	{ true, "secrets = \"good.key\"; format = \"secdownload\";", "secdownload",
	    "secdownload-md5" },
	{ true, "secrets = \"good.key\"; md5 = \"$uri\";", "has no 'md5'", NULL },
	{ true, "secrets = \"good.key\"; path_segments = 2;", "has no 'path_segments'", NULL },
	{ true, "secrets = \"good.key\"; format = \"secure_link\";", "wants 'md5'", "$secret" },
	{ true, "secrets = \"good.key\"; format = \"secure_link\"; md5 = \"$uri$sekret\";",
	    "\"$sekret\"", "\"$secret\"" },
	{ true,
	    "secrets = \"good.key\"; format = \"secure_link\"; "
	    "md5 = \"$secure_link_expires$uri word\";",
	    "without $secret", NULL },
	{ true, "secrets = \"good.key\"; format = \"secure_link\"; md5 = \"$uri$secret\";",
	    "without $secure_link_expires", "expires = \"\"" },
	{ false,
	    "secrets = \"good.key\"; format = \"secure_link\"; "
	    "md5 = \"$secure_link_expires$secret\";",
	    "without $uri", NULL },
	{ true,
	    "secrets = \"good.key\"; format = \"secure_link\"; parameter = \"expires\"; "
	    "md5 = \"$secure_link_expires$uri$secret\";",
	    "are the same", NULL },
	{ true, "secrets = \"good.key\"; parameter = \"a=b\";", "name of a parameter", NULL },
	{ true, "secrets = \"good.key\"; format = \"secure_link_secret\"; prefix = \"x\";",
	    "no path in front", "/dl" },
	{ true, "secrets = \"good.key\"; format = \"secure_link_secret\"; prefix = \"/a/../b\";",
	    "no path in front", "/dl" },
};

static void
refused_setup(void)
{
	tree_make();
	tree_text("good.key", "0123456789abcdef0123456789abcdef\n");
	tree_text("good.old.key", "0123456789abcdef0123456789abcdef\n");
	tree_text("a name.key", "0123456789abcdef0123456789abcdef\n");
	tree_text("empty.key", "\n");
	tree_text("short.key", "secret\n");
	tree_text("two.key", "0123456789abcdef\n0123456789abcdef\n");
	tree_text("open.key", "0123456789abcdef\n");
	tree_text("read.key", "0123456789abcdef\n");
	tree_dir("dir.key");
	ck_assert_int_eq(fchmodat(tree_fd(), "open.key", 0666, 0), 0);
	ck_assert_int_eq(fchmodat(tree_fd(), "read.key", 0644, 0), 0);
	ck_assert_int_eq(chdir(tree_path()), 0);
}

START_TEST(refused)
{
	char conf[1024];

	snprintf(
	    conf, sizeof(conf), "respond = \"x\"; signed_links: { %s };", refused_rows[_i].conf);
	rows_refuse(conf, refused_rows[_i].is_error, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_links(void)
{
	Suite *s = suite_create("links");
	TCase *pure = tcase_create("pure"), *asked = tcase_create("requests"),
	      *conf = tcase_create("configuration");

	tcase_add_checked_fixture(pure, setup, teardown);
	tcase_add_loop_test(pure, mac, 0, UNIT_COUNT(macs));
	tcase_add_loop_test(pure, query, 0, UNIT_COUNT(queries));
	tcase_add_loop_test(pure, front, 0, UNIT_COUNT(fronts));
	tcase_add_loop_test(pure, leaves, 0, UNIT_COUNT(outs));
	tcase_add_loop_test(pure, vectors, 0, UNIT_COUNT(fixed));
	tcase_add_test(pure, own_link);
	tcase_add_test(pure, own_terms);
	tcase_add_test(pure, own_prefix);
	tcase_add_loop_test(pure, rotation, 0, LINKS_FORMATS);
	tcase_add_loop_test(pure, secdownload, 0, 3);
	tcase_add_test(pure, secdownload_zeros);
	tcase_add_test(pure, secure_link);
	tcase_add_test(pure, secure_link_secret);
	tcase_add_loop_test(pure, spelling, 0, UNIT_COUNT(spellings));
	suite_add_tcase(s, pure);
	tcase_add_checked_fixture(asked, requests_setup, requests_teardown);
	tcase_add_loop_test(asked, requests, 0, UNIT_COUNT(request_rows));
	suite_add_tcase(s, asked);
	tcase_add_checked_fixture(conf, refused_setup, tree_remove);
	tcase_add_loop_test(conf, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, conf);
	return s;
}

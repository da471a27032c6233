/*
 * Which fields of a request reach a backend, and as what: one table, through every codec. Each row
 * says what an application must find; over CGI-like protocols the same under HTTP_ names.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "test/fuzz/told.h"
#include "test/unit/ask.h"
#include "test/unit/unit.h"
#include "worker/h1_parse.h"

Suite *suite_passage(void);

static const struct codec *const codecs[] = { &codec_http, &codec_ajp, &codec_fastcgi, &codec_scgi,
	&codec_uwsgi };

static struct ask a;
static struct script script = { .name = STR_INIT("/i.php"), .path_info = STR_INIT("") };

static void
ask(const char *fields)
{
	char *head = NULL;

	ck_assert_int_ge(asprintf(&head, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", fields), 0);
	ask_open(&a, head);
	free(head);
	a.q.script = &script;
	a.pool.packet_size = 65536;
	a.gw.x_forwarded = true;
}

static struct fields
told(const struct codec *codec)
{
	const char *why = NULL;

	ck_assert_int_eq(codec->head(a.state, &a.q, &a.out, &why), 0);
	return told_read(codec, &a.r.arena, ask_sent(&a));
}

/* The variable that careless readers make of a name. */
static struct str
variable(struct str name)
{
	char *text = arena_alloc(&a.r.arena, name.n + 6);

	memcpy(text, "HTTP_", 5);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		text[5 + i] = c >= 'a' && c <= 'z'                               ? (char)(c - 32)
			      : (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c
										 : '_';
	}
	return str_n(text, name.n + 5);
}

/* What such a reader has under a name: the values of all fields that look like it, joined. */
static struct str
seen(const struct codec *codec, const struct fields *f, struct str name)
{
	struct str key = variable(name), all = { NULL, 0 };

	for (unsigned i = 0; i < f->n; i++) {
		struct str is = codec->is_cgi ? f->v[i].name : variable(f->v[i].name);

		if (str_eq(is, STR("CONTENT_TYPE")))
			is = STR("HTTP_CONTENT_TYPE");
		if (str_eq(is, key))
			all = all.p ? arena_printf(&a.r.arena, "%.*s, %.*s", STR_FMT(all),
					  STR_FMT(f->v[i].value))
				    : f->v[i].value;
	}
	return all;
}

static const struct row {
	const char *fields;  /* of the client */
	const char *want[5]; /* "Name: value"; "Name": there is none that looks like it */
	const char *set, *value, *remove, *trust, *pass;
	bool any, off; /* gateway.field_names, x_forwarded = false */
} rows[] = {
	{ .fields = "X-A: 1\r\n", { "X-A: 1" } },
	{ .fields = "x-a: 1\r\nX-A: 2\r\n", { "X-A: 1, 2" } },
	/* names of other octets */
	{ .fields = "X_A: 1\r\nX-B: 2\r\n", { "X-A", "X-B: 2" } },
	{ .fields = "X.A: 1\r\nX~B: 2\r\n!: 3\r\n", { "X-A", "X-B", "!" } },
	{ .fields = "X_A: 1\r\nX.B: 2\r\n", { "X-A: 1", "X-B: 2" }, .any = true },
	{ .fields = "X_A: 1\r\nX-A: 2\r\n", { "X-A: 2" }, .any = true },
	{ .fields = "X_A: 1\r\nX.A: 2\r\n", { "X-A: 1" }, .any = true },
	/* what is ours or known */
	{ .fields = "Content_Length: 30\r\nTransfer_Encoding: chunked\r\nContent_Type: a/b\r\n",
	    { "Content-Length", "Transfer-Encoding", "Content-Type" },
	    .any = true },
	{ .fields = "User_Agent: a\r\nCookie: b\r\nCoo-kie: c\r\n",
	    { "User-Agent", "Cookie: b", "Coo-kie: c" },
	    .any = true },
	{ .fields = "Proxy: a\r\nProxy-X: b\r\nProxy_Authorization: c\r\nKeep_Alive: d\r\n",
	    { "Proxy", "Proxy-X", "Proxy-Authorization", "Keep-Alive" },
	    .any = true },
	{ .fields = "HTTP2-Settings: AAA\r\nHTTP2_Settings: BBB\r\n",
	    { "HTTP2-Settings" },
	    .any = true },
	/* set and remove */
	{ .fields = "X_Remote_User: admin\r\nX-Remote.User: admin\r\n",
	    { "X-Remote-User" },
	    .remove = "X-Remote-User",
	    .any = true },
	{ .fields = "X-Remote-User: admin\r\n", { "X-Remote-User" }, .remove = "X_Remote_User" },
	{ .fields = "x-remote-user: admin\r\nX_Remote_User: root\r\n",
	    { "X-Remote-User: ann" },
	    .set = "X-Remote-User",
	    .value = "ann",
	    .any = true },
	{ .fields = "X-Remote-User: admin\r\nX_Remote_User: root\r\n",
	    { "X-Remote-User" },
	    .set = "X-Remote-User",
	    .value = "",
	    .any = true },
	{ .fields = "Accept: a\r\nACCEPT: b\r\n", { "Accept: c" }, .set = "Accept", .value = "c" },
	{ .fields = "Content-Type: a/b\r\n",
	    { "Content-Type: c/d" },
	    .set = "Content-Type",
	    .value = "c/d" },
	{ .fields = "Cookie: a\r\n", { "Cookie" }, .remove = "Cookie" },
	{ .fields = "X-B: 1\r\n",
	    { "X-B: 1", "Transfer-Encoding" },
	    .set = "Transfer_Encoding",
	    .value = "x" },
	/* claims of anybody */
	{ .fields = "",
	    { "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: x" } },
	{ .fields =
		"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
		"Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n",
	    { "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: x",
		"Forwarded", "X-Real-IP" } },
	{ .fields =
		"X_Forwarded_For: 1.1.1.1\r\nX_Forwarded_Proto: https\r\nX_Real_IP: 1.1.1.1\r\n",
	    { "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Real-IP" },
	    .any = true },
	{ .fields = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: "
		    "for=1.1.1.1\r\n",
	    { "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded" },
	    .off = true },
	{ .fields = "X-Forwarded-Port: 1\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Prefix: /a\r\n"
		    "X-Forwarded-User: b\r\nX-Forwarded: c\r\n",
	    { "X-Forwarded-Port", "X-Forwarded-Ssl", "X-Forwarded-Prefix", "X-Forwarded-User",
		"X-Forwarded" } },
	{ .fields = "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-Url-Scheme: https\r\n"
		    "Front-End-Https: on\r\nX-Scheme: https\r\n",
	    { "X-Original-URL", "X-Rewrite-URL", "X-Url-Scheme", "Front-End-Https", "X-Scheme" } },
	{ .fields = "True-Client-IP: 1\r\nClient-IP: 1\r\nX-Client-IP: 1\r\nCF-Connecting-IP: 1\r\n"
		    "X-Cluster-Client-IP: 1\r\n",
	    { "True-Client-IP", "Client-IP", "X-Client-IP", "CF-Connecting-IP",
		"X-Cluster-Client-IP" } },
	{ .fields = "Client-Cert: :MII:\r\nX-Sendfile-Type: X-Accel-Redirect\r\nX-Accel-Mapping: "
		    "/=/\r\n",
	    { "Client-Cert", "X-Sendfile-Type", "X-Accel-Mapping" } },
	{ .fields = "X-Original-URL: /a\r\nX-Rewrite-URL: /b\r\n",
	    { "X-Original-URL: /a", "X-Rewrite-URL" },
	    .pass = "X-Original-URL" },
	{ .fields = "X-Real-IP: 1.1.1.1\r\n", { "X-Real-IP: 1.1.1.1" }, .pass = "X-Real-IP" },
	{ .fields = "X-Real-IP: 1.1.1.1\r\nX_Real_IP: 2.2.2.2\r\n",
	    { "X-Real-IP: 192.0.2.1" },
	    .set = "X-Real-IP",
	    .value = "$client",
	    .any = true },
	{ .fields = "X-Forwarded-Port: 1\r\n",
	    { "X-Forwarded-Port: 443" },
	    .set = "X-Forwarded-Port",
	    .value = "443" },
	/* claims of a trusted proxy */
	{ .fields = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
		    "outer\r\n"
		    "X-Forwarded-For: 2.2.2.2\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-Port: 443\r\n",
	    { "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: outer", "X-Real-IP: 1.1.1.1", "X-Forwarded-Port: 443" },
	    .trust = "192.0.2.0/24" },
	{ .fields = "X_Real_IP: 1.1.1.1\r\nX_Forwarded_Port: 1\r\n",
	    { "X-Real-IP", "X-Forwarded-Port", "X-Forwarded-For: 192.0.2.1" },
	    .trust = "192.0.2.0/24",
	    .any = true },
	{ .fields = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=a\r\n",
	    { "X-Forwarded-For: 1.1.1.1", "Forwarded: for=a", "X-Forwarded-Proto" },
	    .trust = "192.0.2.0/24",
	    .off = true },
	{ .fields = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n",
	    { "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https" },
	    .trust = "192.0.2.0/24",
	    .remove = "X-Forwarded-For" },
	{ .fields = "Forwarded: for=a\r\nX-Forwarded-For: b\r\n",
	    { "X-Forwarded-For: 192.0.2.1", "Forwarded" },
	    .trust = "198.51.100.0/24" },
	/* RFC 9110 7.6.1; what a trusted proxy says stays */
	{ .fields = "Connection: close, X-Hop, cookie\r\nX-Hop: 1\r\nCookie: a\r\nX-End: 2\r\n",
	    { "X-Hop", "Cookie", "X-End: 2" } },
	{ .fields =
		"Connection: X-Real-IP, True-Client-IP, X-Forwarded-For\r\nX-Real-IP: 1.1.1.1\r\n"
		"True-Client-IP: 2.2.2.2\r\nX-Forwarded-For: 3.3.3.3\r\n",
	    { "X-Real-IP: 1.1.1.1", "True-Client-IP: 2.2.2.2",
		"X-Forwarded-For: 3.3.3.3, 192.0.2.1" },
	    .trust = "192.0.2.0/24" },
	{ .fields = "Connection: X-Set\r\nX-Set: a\r\n",
	    { "X-Set: ours" },
	    .set = "X-Set",
	    .value = "ours" },
};

START_TEST(through_all)
{
	const struct row *row = &rows[_i / UNIT_COUNT(codecs)];
	const struct codec *codec = codecs[_i % UNIT_COUNT(codecs)];
	struct fields f;

	ask(row->fields);
	a.gw.x_forwarded = !row->off;
	a.gw.field_names = row->any ? FIELD_NAMES_ANY : FIELD_NAMES_PLAIN;
	if (row->set)
		ask_set(&a, row->set, row->value);
	if (row->remove)
		a.gw.remove = ask_names(&a, row->remove);
	if (row->pass)
		a.gw.pass = ask_names(&a, row->pass);
	if (row->trust)
		ask_trust(&a, row->trust);
	f = told(codec);
	for (int i = 0; i < UNIT_COUNT(row->want) && row->want[i]; i++) {
		struct str value = str_of(row->want[i]), name = str_split(&value, ':');
		struct str is = seen(codec, &f, name);

		if (value.p)
			value = str_n(value.p + 1, value.n - 1);
		if (!str_eq(is, value) || !is.p != !value.p)
			ck_abort_msg(
			    "%s: \"%.*s\" is \"%.*s\"", codec->name, STR_FMT(name), STR_FMT(is));
	}
	ask_close(&a);
}
END_TEST

/* More than anybody means by Connection is refused, over every protocol. */
START_TEST(too_many_options)
{
	char fields[2000] = "Connection: ";
	const char *why = NULL;

	for (int i = 0; i < 33; i++)
		strcat(fields, _i ? "," : "a,");
	if (_i)
		memset(fields + strlen(fields), ',', 1000);
	strcat(fields, "\r\n");
	for (int i = 0; i < UNIT_COUNT(codecs); i++) {
		ask(fields);
		ck_assert_int_eq(codecs[i]->head(a.state, &a.q, &a.out, &why), 400);
		ck_assert_ptr_nonnull(why);
		ck_assert(body_is_empty(&a.out));
		ask_close(&a);
	}
}
END_TEST

/* --- trailers of requests --- */

static const struct {
	const char *name, *remove;
	bool passes, any;
} trailers[] = {
	{ .name = "X-Checksum", NULL, true },
	{ .name = "Content-Digest", NULL, true },
	{ .name = "ETag", NULL, true },
	{ .name = "X_Checksum", NULL, false },
	{ .name = "X_Checksum", NULL, false, true },
	{ .name = "X-Remote-User", "X-Remote-User", false },
	{ .name = "X_Remote_User", "X-Remote-User", false, true },
	{ .name = "X-Hop", NULL, false },
	{ .name = "X-Forwarded-Port", NULL, false },
	{ .name = "X-Forwarded-For", NULL, false },
	{ .name = "X-Original-URL", NULL, false },
	{ .name = "Cookie", NULL, false },
	{ .name = "Content_Length", NULL, false, true },
	{ .name = "Transfer-Encoding", NULL, false },
	{ .name = "Authorization", NULL, false },
	{ .name = "Host", NULL, false },
	{ .name = "Proxy-X", NULL, false },
	{ .name = "Pragma", NULL, false },
	{ .name = "X-HTTP-Method-Override", NULL, false },
};

START_TEST(trailer)
{
	struct str name = str_of(trailers[_i].name), sent;
	const char *why;

	ask("Transfer-Encoding: chunked\r\nConnection: X-Hop\r\n");
	a.q.length = -1;
	a.gw.field_names = trailers[_i].any ? FIELD_NAMES_ANY : FIELD_NAMES_PLAIN;
	if (trailers[_i].remove)
		a.gw.remove = ask_names(&a, trailers[_i].remove);
	*fields_add(&a.r.trailers, &a.r.arena) =
	    (struct field){ name, STR("admin"), (uint8_t)http_field_of(name) };
	ck_assert_int_eq(codec_http.head(a.state, &a.q, &a.out, &why), 0);
	ask_sent(&a);
	body_end(&a.src);
	ck_assert(codec_http.body(a.state, &a.out, &a.src, 100));
	sent = ask_sent(&a);
	ck_assert(str_has_prefix(sent, STR("0\r\n")) && str_has_suffix(sent, STR("\r\n\r\n")));
	ck_assert_int_eq(memmem(sent.p, sent.n, name.p, name.n) != NULL, trailers[_i].passes);
	ask_close(&a);
}
END_TEST

/* --- costs --- */

enum { COST_ROUNDS = 60, COST_FIELDS = 190, COST_OCTETS = 43500 };

/* A head, and one of as many octets in as many fields that asks for nothing special. */
struct shape {
	const char *name;
	void (*hostile)(char *p), (*plain)(char *p);
	bool is_trusted, any;
};

static void
one_field(char *p, const char *name, const char *unit)
{
	p += sprintf(p, "%s: ", name);
	for (size_t n = 0, len = strlen(unit); n + len <= COST_OCTETS; n += len)
		p = mempcpy(p, unit, len);
	p = stpcpy(p, "\r\n");
	for (int i = 0; i < 60; i++)
		p += sprintf(p, "X-More-%d: v\r\n", i);
}

static void
fields_of(char *p, const char *format)
{
	for (int i = 0; i < COST_FIELDS; i++)
		p += sprintf(p, format, i, i);
}

#define ONE(fn, name, unit)                                                                        \
	static void fn(char *p)                                                                    \
	{                                                                                          \
		one_field(p, name, unit);                                                          \
	}
#define MANY(fn, format)                                                                           \
	static void fn(char *p)                                                                    \
	{                                                                                          \
		fields_of(p, format);                                                              \
	}

ONE(commas, "Connection", ",")
ONE(codings, "TE", "a,")
ONE(protocols, "Upgrade", "a,")
ONE(value, "X-Value", "abc")
MANY(accept_fields, "Accept: text/%03d\r\n")
MANY(cookies, "Cookie: name=%03d\r\n")
MANY(cache_control, "Cache-Control: %03d\r\n")
MANY(forwarded_for, "X-Forwarded-For: 192.0.2.%03d\r\n")
MANY(plain_fields, "X-Plain-%03d: v\r\n")
MANY(odd_fields, "X_Plain.%03d: v\r\n")

/* As many as the parser of heads lets by. */
static void
options(char *p)
{
	char unit[COST_OCTETS / H1_MAX_OPTIONS + 1];

	memset(unit, 'a', sizeof(unit));
	unit[sizeof(unit) - 2] = ',';
	unit[sizeof(unit) - 1] = '\0';
	one_field(p, "Connection", unit);
}

/* Thirty options, one of which each field might be. */
static void
named(char *p)
{
	p += sprintf(p, "Connection: ");
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "X-Plain-a%02d,", i);
	p += sprintf(p, "\r\n");
	plain_fields(p);
}

static void
not_named(char *p)
{
	p += sprintf(p, "Accept: ");
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "X-Plain-a%02d,", i);
	p += sprintf(p, "\r\n");
	plain_fields(p);
}

/* All spellings of one name. */
static void
spellings(char *p)
{
	static const char dashes[] = "-_.~!#$&";

	for (int i = 0; i < COST_FIELDS; i++)
		p += sprintf(
		    p, "X%cPlain%ca%cb: v\r\n", dashes[i % 8], dashes[i / 8 % 8], dashes[i / 64]);
}

static void
pairs(char *p)
{
	for (int i = 0; i < COST_FIELDS; i++)
		p += sprintf(p, "X-Plain-%03d: v\r\n", i % (COST_FIELDS / 2));
}

static const struct shape shapes[] = {
	{ .name = "100 long options", options, value },
	{ .name = "43500 commas in Connection", commas, value },
	{ .name = "TE", codings, value },
	{ .name = "Upgrade", protocols, value },
	{ .name = "30 options and 190 fields", named, not_named },
	{ .name = "Accept", accept_fields, plain_fields },
	{ .name = "Cookie", cookies, plain_fields },
	{ .name = "Cache-Control", cache_control, plain_fields },
	{ .name = "X-Forwarded-For", forwarded_for, plain_fields, .is_trusted = true },
	{ .name = "X-Forwarded-For of anybody", forwarded_for, plain_fields },
	{ .name = "odd names", odd_fields, plain_fields },
	{ .name = "odd names that pass", odd_fields, plain_fields, .any = true },
	{ .name = "spellings of one name", spellings, plain_fields, .any = true },
	{ .name = "pairs of a name", pairs, plain_fields },
};

/* Memory that was given back to the system and is asked for again would be counted. */
static void
keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 28);
	mallopt(M_TRIM_THRESHOLD, 1 << 28);
}

static double
cost_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one head(). */
static double
cost_once(const struct shape *s, const char *fields, const struct codec *codec)
{
	const char *why;
	double t;

	ask(fields);
	a.gw.field_names = s->any ? FIELD_NAMES_ANY : FIELD_NAMES_PLAIN;
	if (s->is_trusted)
		ask_trust(&a, "all");
	t = cost_now();
	codec->head(a.state, &a.q, &a.out, &why);
	t = cost_now() - t;
	ask_close(&a);
	return t;
}

/* For an octet of each, the least of some rounds, in turns: who shares the machine may be in the
   way of both. */
static void
cost(const struct shape *s, const struct codec *codec, double *hostile, double *plain)
{
	char *fields[2] = { malloc(COST_OCTETS + 2000), malloc(COST_OCTETS + 2000) };
	double least[2] = { 1e12, 1e12 };

	s->hostile(fields[0]);
	s->plain(fields[1]);
	for (int i = 0; i < 2 * COST_ROUNDS; i++) {
		double t = cost_once(s, fields[i % 2], codec);

		least[i % 2] = t < least[i % 2] ? t : least[i % 2];
	}
	*hostile = least[0] / (double)strlen(fields[0]);
	*plain = least[1] / (double)strlen(fields[1]);
	free(fields[0]);
	free(fields[1]);
}

/* What a client can write costs no more than twice what others do. (Sanitizers cost by the access,
   which is another measure.) */
START_TEST(costs)
{
	const struct shape *s = &shapes[_i / UNIT_COUNT(codecs)];
	const struct codec *codec = codecs[_i % UNIT_COUNT(codecs)];
	double hostile = 1, plain = 0;

#ifdef __SANITIZE_ADDRESS__
	return;
#endif
	for (int i = 0; i < 10 && hostile > 2 * plain; i++)
		cost(s, codec, &hostile, &plain);
	if (getenv("PASSAGE_COSTS"))
		printf("%-30s %-8s %6.3f %6.3f ns/octet\n", s->name, codec->name, hostile, plain);
	if (hostile > 2 * plain)
		ck_abort_msg(
		    "%s, %s: %.3f ns an octet, others %.3f", s->name, codec->name, hostile, plain);
}
END_TEST

Suite *
suite_passage(void)
{
	Suite *s = suite_create("passage");
	TCase *c = tcase_create("fields");

	tcase_add_loop_test(c, through_all, 0, UNIT_COUNT(rows) * UNIT_COUNT(codecs));
	tcase_add_loop_test(c, too_many_options, 0, 2);
	tcase_add_loop_test(c, trailer, 0, UNIT_COUNT(trailers));
	suite_add_tcase(s, c);
	c = tcase_create("costs");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, keep_memory, NULL);
	tcase_add_loop_test(c, costs, 0, UNIT_COUNT(shapes) * UNIT_COUNT(codecs));
	suite_add_tcase(s, c);
	return s;
}

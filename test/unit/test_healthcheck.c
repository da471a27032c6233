/*
 * What checks say in each protocol, and what they make of answers: each answer whole, octet by
 * octet, and cut at every octet.
 */
#include <stdlib.h>
#include "modules/gateway/pool/healthcheck.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"

Suite *suite_healthcheck(void);

static struct loopback *lo;
static struct conf_pool pool;
static struct conf_host host;
static struct healthcheck check;

static void
status(int status)
{
	pool.health.status_bits[status / 64] |= 1ULL << status % 64;
}

static void
setup(void)
{
	lo = lo_open("sites = ( { host = \"*\"; respond = \"x\"; } );");
	pool = (struct conf_pool){ .name = STR("app"), .max_head = 32768 };
	host = (struct conf_host){
		.address = STR("10.0.0.3:8080"), .name = STR("10.0.0.3"), .port = 8080
	};
	status(200);
	status(204);
}

static void
teardown(void)
{
	lo_close(lo);
}

static void
begin(int protocol, const char *path)
{
	pool.protocol = protocol;
	pool.health.path = str_of(path);
	pool.health.is_on = true;
	healthcheck_init(&check, lo_worker(lo), &pool, &host);
}

/* --- what is said --- */

START_TEST(test_http)
{
	begin(POOL_HTTP, "/up?deep=1");
	ck_assert_int_eq(check.kind, HEALTHCHECK_REQUEST);
	unit_str_eq(text_str(&check.out), "GET /up?deep=1 HTTP/1.1\r\nHost: 10.0.0.3:8080\r\n"
					  "User-Agent: argand-check\r\nAccept: */*\r\n"
					  "Connection: close\r\n\r\n");
	healthcheck_fini(&check);
	pool.health.host = STR("example.org");
	pool.health.method = STR("HEAD");
	begin(POOL_HTTP, "/up");
	ck_assert(str_has_prefix(
	    text_str(&check.out), STR("HEAD /up HTTP/1.1\r\nHost: example.org\r\nUser-Agent")));
	healthcheck_fini(&check);
}
END_TEST

START_TEST(test_unix_host)
{
	host = (struct conf_host){ .address = STR("unix:/run/x"), .name = STR("/run/x") };
	host.is_unix = true;
	begin(POOL_HTTP, "/");
	ck_assert(str_has_prefix(
	    text_str(&check.out), STR("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent")));
	healthcheck_fini(&check);
}
END_TEST

/* Whether the variables, as SCGI has them, hold this one. */
static bool
has_var(struct str vars, const char *name, const char *value)
{
	char text[256] = "";
	size_t n = strlen(name), m = strlen(value);

	memcpy(text + 1, name, n);
	memcpy(text + n + 2, value, m);
	return memmem(vars.p, vars.n, text, n + m + 3) != NULL;
}

START_TEST(test_scgi)
{
	struct str rest, head;
	uint64_t n;

	begin(POOL_SCGI, "/up?deep=1");
	rest = text_str(&check.out);
	head = str_split(&rest, ':');
	ck_assert(str_to_u64(head, 65535, &n));
	ck_assert_uint_eq(rest.n, n + 1);
	ck_assert_int_eq(rest.p[n], ',');
	ck_assert_int_eq(memcmp(rest.p, "CONTENT_LENGTH\0000\0SCGI\0001\0", 24), 0);
	ck_assert(has_var(rest, "REQUEST_METHOD", "GET"));
	ck_assert(has_var(rest, "SCRIPT_NAME", ""));
	ck_assert(has_var(rest, "PATH_INFO", "/up"));
	ck_assert(has_var(rest, "QUERY_STRING", "deep=1"));
	ck_assert(has_var(rest, "REQUEST_URI", "/up?deep=1"));
	ck_assert(has_var(rest, "SERVER_PORT", "8080"));
	ck_assert(has_var(rest, "HTTP_HOST", "10.0.0.3"));
	healthcheck_fini(&check);
}
END_TEST

START_TEST(test_uwsgi)
{
	const unsigned char *p;
	size_t at = 4, vars = 0;

	begin(POOL_UWSGI, "/up");
	p = (const unsigned char *)check.out.p;
	ck_assert_int_eq(p[0], 0);
	ck_assert_int_eq(p[3], 0);
	ck_assert_uint_eq(check.out.n, 4u + (size_t)(p[1] | p[2] << 8));
	for (; at < check.out.n; vars++)
		at += 2u + (size_t)(p[at] | p[at + 1] << 8);
	ck_assert_uint_eq(at, check.out.n);
	ck_assert_uint_eq(vars % 2, 0);
	ck_assert_ptr_nonnull(memmem(p, check.out.n, "\011\0PATH_INFO\003\0/up", 16));
	healthcheck_fini(&check);
}
END_TEST

/* BEGIN, PARAMS with whole pairs, an empty PARAMS, an empty STDIN; all of request 1. */
START_TEST(test_fastcgi)
{
	static const unsigned char types[] = { 1, 4, 4, 5 };
	const unsigned char *p;
	size_t at = 0;

	begin(POOL_FASTCGI, "/ping");
	p = (const unsigned char *)check.out.p;
	for (size_t i = 0; i < sizeof(types); i++) {
		size_t n = (size_t)(p[at + 4] << 8 | p[at + 5]);

		ck_assert_int_eq(p[at], 1);
		ck_assert_int_eq(p[at + 1], types[i]);
		ck_assert_int_eq(p[at + 3], 1);
		ck_assert_uint_eq(i == 1, n > 8);
		at += 8 + n + p[at + 6];
	}
	ck_assert_uint_eq(at, check.out.n);
	ck_assert_ptr_nonnull(
	    memmem(p, at, "\200\000\000\013\200\000\000\005SCRIPT_NAME/ping", 24));
	ck_assert_ptr_nonnull(memmem(p, at, "SCRIPT_FILENAME/ping", 20));
	healthcheck_fini(&check);
}
END_TEST

START_TEST(test_ajp)
{
	const unsigned char *p;

	pool.secret = STR("s3");
	begin(POOL_AJP, "/up?x");
	p = (const unsigned char *)check.out.p;
	ck_assert_int_eq(memcmp(p, "\x12\x34", 2), 0);
	ck_assert_uint_eq(check.out.n, 4u + (size_t)(p[2] << 8 | p[3]));
	ck_assert_int_eq(memcmp(p + 4, "\002\002\000\010HTTP/1.1\000\000\003/up", 17), 0);
	ck_assert_ptr_nonnull(memmem(p, check.out.n, "\037\220\000\000\001\240\013\000\010", 9));
	ck_assert_int_eq(
	    memcmp(p + check.out.n - 12, "\005\000\001x\000\014\000\002s3\000\377", 12), 0);
	healthcheck_fini(&check);
}
END_TEST

/* --- what is made of answers --- */

#define HEAD_200      "HTTP/1.1 200 OK\r\n"
#define FCGI(type, n) "\001" type "\000\001\000" n "\000\000"

static const struct row {
	int protocol;
	const char *path, *body; /* path "": a ping */
	const char *answer;
	size_t n;
	enum healthcheck_verdict verdict; /* at the latest when the backend closes */
	const char *why;
} rows[] = {
#define ROW(protocol, path, body, answer, verdict, why)                                            \
	{                                                                                          \
		protocol, path, body, answer, sizeof(answer) - 1, HEALTHCHECK_##verdict, why       \
	}
	ROW(POOL_HTTP, "/", "", HEAD_200 "Content-Length: 5\r\n\r\nfine!", GOOD, ""),
	ROW(POOL_HTTP, "/", "", "HTTP/1.1 103 Early Hints\r\n\r\n" HEAD_200 "\r\n", GOOD, ""),
	ROW(POOL_HTTP, "/", "", "HTTP/1.0 204 None\r\n\r\n", GOOD, ""),
	ROW(POOL_HTTP, "/", "", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", BAD, "status 503"),
	ROW(POOL_HTTP, "/", "", "HTTP/1.1 999 Hm\r\nContent-Length: 0\r\n\r\n", BAD, NULL),
	ROW(POOL_HTTP, "/", "", "", BAD, NULL),
	ROW(POOL_HTTP, "/", "", "HTTP/1.1 200", BAD, NULL),
	ROW(POOL_HTTP, "/", "", "SSH-2.0-x\r\n", BAD, NULL),
	ROW(POOL_HTTP, "/", "fine", HEAD_200 "Content-Length: 5\r\n\r\nfine!", GOOD, ""),
	ROW(POOL_HTTP, "/", "fine",
	    HEAD_200 "Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n3\r\nne!\r\n0\r\n\r\n", GOOD,
	    ""),
	ROW(POOL_HTTP, "/", "fine", HEAD_200 "\r\nall is fine", GOOD, ""),
	ROW(POOL_HTTP, "/", "fine", HEAD_200 "Content-Length: 3\r\n\r\nfin", BAD,
	    "the text is not in the answer"),
	ROW(POOL_HTTP, "/", "fine", HEAD_200 "\r\nbad", BAD, "the text is not in the answer"),
	ROW(POOL_HTTP, "/", "fine", HEAD_200 "Content-Length: 30\r\n\r\nfin", BAD, NULL),
	ROW(POOL_SCGI, "/", "", "Status: 200 OK\r\n\r\n", GOOD, ""),
	ROW(POOL_SCGI, "/", "", "Content-Type: text/plain\r\n\r\nx", GOOD, ""),
	ROW(POOL_SCGI, "/", "", "Status: 500 No\r\n\r\n", BAD, "status 500"),
	ROW(POOL_UWSGI, "/", "ok", "HTTP/1.1 200 OK\r\n\r\nok", GOOD, ""),
	ROW(POOL_FASTCGI, "/ping", "pong",
	    FCGI("\006", "\043") "Content-Type: text/plain\r\n\r\npong\r\n\r\n\0", GOOD, ""),
	ROW(POOL_FASTCGI, "/ping", "",
	    FCGI("\006", "\021") "Status: 404 N\r\n\r\n" FCGI("\003", "\010") "\0\0\0\0\0\0\0\0",
	    BAD, "status 404"),
	ROW(POOL_FASTCGI, "/ping", "", FCGI("\003", "\010") "\0\0\0\0\0\0\0\0", BAD, NULL),
	ROW(POOL_FASTCGI, "", "", "\001\012\0\0\0\0\0\0", GOOD, ""),
	ROW(POOL_FASTCGI, "", "", "", BAD, "the connection was closed without an answer"),
	ROW(POOL_FASTCGI, "", "", "\001\012\0\0\0\012\0\0", BAD,
	    "the connection was closed without an answer"),
	ROW(POOL_FASTCGI, "", "", "HTTP/1.1 400", BAD, "the answer to the ping is none"),
	ROW(POOL_AJP, "", "", "AB\000\001\011", GOOD, ""),
	ROW(POOL_AJP, "", "", "AB\000\001\003", BAD, "the answer to the ping is none"),
	ROW(POOL_AJP, "", "", "", BAD, "the connection was closed without an answer"),
	ROW(POOL_AJP, "/up", "", "AB\000\012\004\000\310\000\002OK\000\000\000", GOOD, ""),
};

static enum healthcheck_verdict
feed(const char *p, size_t n)
{
	return n ? healthcheck_input(&check, p, n) : HEALTHCHECK_MORE;
}

/* step: octets at a time; after first octets at once. */
static void
run(const struct row *row, size_t first, size_t step)
{
	enum healthcheck_verdict v = HEALTHCHECK_MORE;
	size_t at = first < row->n ? first : row->n;

	pool.health.body = str_of(row->body);
	begin(row->protocol, row->path);
	v = feed(row->answer, at);
	for (; v == HEALTHCHECK_MORE && at < row->n; at += step)
		v = feed(row->answer + at, step < row->n - at ? step : row->n - at);
	if (v == HEALTHCHECK_MORE)
		v = healthcheck_eof(&check);
	ck_assert_msg(v == row->verdict, "%s, cut at %zu, steps of %zu: %d (%s)", row->answer,
	    first, step, v, check.why);
	if (row->why)
		ck_assert_str_eq(check.why, row->why);
	ck_assert_int_eq(v == HEALTHCHECK_BAD, check.why[0] != '\0');
	healthcheck_fini(&check);
}

START_TEST(test_answer)
{
	const struct row *row = &rows[_i];

	run(row, 0, 1);
	for (size_t cut = 0; cut <= row->n; cut++)
		run(row, cut, row->n + 1);
}
END_TEST

START_TEST(test_kinds)
{
	static const struct {
		int protocol;
		const char *path;
		enum healthcheck_kind kind;
	} kinds[] = {
		{ POOL_HTTP, "", HEALTHCHECK_CONNECT },
		{ POOL_SCGI, "", HEALTHCHECK_CONNECT },
		{ POOL_UWSGI, "", HEALTHCHECK_CONNECT },
		{ POOL_FASTCGI, "", HEALTHCHECK_PING },
		{ POOL_AJP, "", HEALTHCHECK_PING },
		{ POOL_AJP, "/x", HEALTHCHECK_REQUEST },
		{ POOL_FASTCGI, "/x", HEALTHCHECK_REQUEST },
		{ POOL_UWSGI, "/x", HEALTHCHECK_REQUEST },
	};

	for (unsigned i = 0; i < UNIT_COUNT(kinds); i++) {
		begin(kinds[i].protocol, kinds[i].path);
		ck_assert_int_eq(check.kind, kinds[i].kind);
		ck_assert_int_eq(check.out.n == 0, kinds[i].kind == HEALTHCHECK_CONNECT);
		healthcheck_fini(&check);
	}
}
END_TEST

/* Silence is no answer, but for FastCGI applications that were asked about themselves. */
START_TEST(test_silence)
{
	begin(POOL_HTTP, "/");
	ck_assert_int_eq(healthcheck_silence(&check), HEALTHCHECK_BAD);
	ck_assert_str_eq(check.why, "no answer in time");
	healthcheck_fini(&check);
	begin(POOL_FASTCGI, "/ping");
	ck_assert_int_eq(healthcheck_silence(&check), HEALTHCHECK_BAD);
	healthcheck_fini(&check);
	begin(POOL_FASTCGI, "");
	ck_assert_int_eq(healthcheck_silence(&check), HEALTHCHECK_GOOD);
	healthcheck_fini(&check);
}
END_TEST

/* Only so much of an answer is looked at. */
START_TEST(test_bounded)
{
	static const char head[] = HEAD_200 "\r\n";
	char block[4096];
	enum healthcheck_verdict v;
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	pool.health.body = STR("fine");
	begin(POOL_HTTP, "/");
	v = healthcheck_input(&check, head, sizeof(head) - 1);
	for (; v == HEALTHCHECK_MORE && sent < 1 << 20; sent += sizeof(block))
		v = healthcheck_input(&check, block, sizeof(block));
	ck_assert_int_eq(v, HEALTHCHECK_BAD);
	ck_assert_str_eq(check.why, "the text is not in the first 65536 octets");
	ck_assert_uint_eq(sent, 65536);
	healthcheck_fini(&check);
}
END_TEST

Suite *
suite_healthcheck(void)
{
	Suite *s = suite_create("healthcheck");
	TCase *t = tcase_create("healthcheck");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_http);
	tcase_add_test(t, test_unix_host);
	tcase_add_test(t, test_scgi);
	tcase_add_test(t, test_uwsgi);
	tcase_add_test(t, test_fastcgi);
	tcase_add_test(t, test_ajp);
	tcase_add_loop_test(t, test_answer, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_kinds);
	tcase_add_test(t, test_silence);
	tcase_add_test(t, test_bounded);
	suite_add_tcase(s, t);
	return s;
}

/*
 * Access log lines: what each format makes of one request, what it does to hostile octets, and what
 * is refused when a format is compiled.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "modules/log/format.h"
#include "test/unit/unit.h"
#include "worker/request.h"

Suite *suite_logformat(void);

static struct arena arena;
static struct request r;
static struct field in[8], out[2];
static const struct site site = { .name = "example.org" };
static const struct route route = { .site = &site, .label = "example.org /docs" };
static const struct logformat_now now = { .wall = 1795316645, .worker = 3 };

static void
field_in(enum http_field id, const char *name, const char *value)
{
	in[r.in.n] = (struct field){ str_of(name), str_of(value), (uint8_t)id };
	r.in.n++;
	r.known[id] = (uint8_t)r.in.n;
}

static void
setup(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	arena_init(&arena, NULL, 0);
	r = (struct request){ .version = HTTP_11,
		.method = M_GET,
		.method_name = STR("GET"),
		.target = STR("/docs/a.html?x=1"),
		.path = STR("/docs/a.html"),
		.raw_path = STR("/docs/a.html"),
		.query = STR("x=1"),
		.host = STR("example.org"),
		.port = 8080,
		.peer = { .family = AF_INET, .addr = { 192, 0, 2, 17 } },
		.via = { .family = AF_UNIX },
		.route = &route,
		.id = 0xfeed5eedULL,
		.status = 200,
		.sent = 1234,
		.sent_total = 1500,
		.received = 7,
		.handler = STR("files"),
		.in = { .v = in, .room = 8 },
		.fields = { .v = out, .n = 1, .room = 2 } };
	out[0] = (struct field){ STR("Content-Type"), STR("text/html"), HF_CONTENT_TYPE };
	field_in(HF_REFERER, "Referer", "http://example.org/");
	field_in(HF_USER_AGENT, "User-Agent",
	    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101");
	field_in(HF_OTHER, "X-Trace", "a\"b");
}

static void
teardown(void)
{
	arena_fini(&arena);
}

static const struct logformat *
compile(const char *format)
{
	const char *why = NULL;
	const struct logformat *f = logformat_compile(&arena, STR(""), str_of(format), &why);

	ck_assert_msg(f != NULL, "%s: %s", format, why);
	return f;
}

/* The line without its newline. */
static struct str
line(const char *format)
{
	static char dst[16384];
	size_t n = logformat_put(compile(format), &r, &now, dst, sizeof(dst));

	ck_assert_uint_gt(n, 0);
	ck_assert_int_eq(dst[n - 1], '\n');
	return str_n(dst, n - 1);
}

static const struct {
	const char *format, *line;
} value_rows[] = {
	{ "combined", "192.0.2.17 - - [22/Nov/2026:03:04:05 +0000] \"GET /docs/a.html?x=1 "
		      "HTTP/1.1\" 200 1234 "
		      "\"http://example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) "
		      "Gecko/20100101\"" },
	{ "common", "192.0.2.17 - - [22/Nov/2026:03:04:05 +0000] \"GET /docs/a.html?x=1 HTTP/1.1\" "
		    "200 1234" },
	{ "$time_iso", "2026-11-22T03:04:05+00:00" },
	{ "$clock", "03:04:05" },
	{ "$syslog_time", "Nov 22 03:04:05" },
	{ "$method $target $protocol", "GET /docs/a.html?x=1 HTTP/1.1" },
	{ "$path|$raw_path|$query", "/docs/a.html|/docs/a.html|x=1" },
	{ "$scheme://$host:$port", "http://example.org:8080" },
	{ "$client $via", "192.0.2.17 unix:" },
	{ "$bytes $bytes_total $received", "1234 1500 7" },
	{ "$request_id", "00000000feed5eed" },
	{ "$handler $site $route $worker", "files example.org example.org /docs 3" },
	{ "$end $why $user", "ok - -" },
	{ "${in:referer} ${in:Host} ${in:X-Trace}", "http://example.org/ - a\\x22b" },
	{ "${out:content-type} ${out:X-None}", "text/html -" },
	{ "${status}0 $$1 a$$", "2000 $1 a$" },
	{ "$size|", "  1.2 KB|" },
	{ "$colour$status$plain", "200" },
	{ "a literal that is longer than one step holds $status",
	    "a literal that is longer than one step holds 200" },
	{ "{\"t\":\"${in:X-Trace}\",\"n\":\"${in:Host}\",\"s\":$status}",
	    "{\"t\":\"a\\\"b\",\"n\":\"\",\"s\":200}" },
};

START_TEST(test_value)
{
	unit_str_eq(line(value_rows[_i].format), value_rows[_i].line);
}
END_TEST

/* Requests to backends: without one, reached by none, after a retry, over a kept connection. */
static struct request_backend asked = { .pool = STR_INIT("app"),
	.host = STR_INIT("10.0.0.4:80"),
	.attempts = 2,
	.failures = STR_INIT("10.0.0.3:80 refused"),
	.queue = 0,
	.connect = 412,
	.first_byte = 10412,
	.total = 123456789,
	.termination = "SD" };
static struct request_backend unreached = { .pool = STR_INIT("a\"p"),
	.queue = 5000000,
	.connect = -1,
	.first_byte = -1,
	.total = -1,
	.termination = "QQ" };

static const struct {
	struct request_backend *backend;
	const char *format, *line;
} backend_rows[] = {
	{ NULL, "$backend $backend_pool $backend_tries $backend_failures", "- - - -" },
	{ NULL, "$backend_queue_us $backend_total_us $backend_term $backend_reused", "- - - -" },
	{ NULL, "{\"b\":$backend_json,\"q\":$backend_queue_us,\"h\":\"$backend\"}",
	    "{\"b\":null,\"q\":null,\"h\":\"\"}" },
	{ NULL, "b=$backend_json", "b=null" },
	{ &asked, "$backend_pool/$backend $backend_tries [$backend_failures]",
	    "app/10.0.0.4:80 2 [10.0.0.3:80 refused]" },
	{ &asked, "$backend_queue_us/$backend_connect_us/$backend_first_us/$backend_total_us",
	    "0/412/10412/123456789" },
	{ &asked, "$backend_term $backend_reused", "SD 0" },
	{ &asked, "{\"backend\":$backend_json}",
	    "{\"backend\":{\"pool\":\"app\",\"host\":\"10.0.0.4:80\",\"tries\":2,"
	    "\"failures\":\"10.0.0.3:80 refused\",\"queue_us\":0,\"connect_us\":412,"
	    "\"first_us\":10412,\"total_us\":123456789,\"term\":\"SD\",\"reused\":0}}" },
	{ &unreached, "$backend $backend_pool $backend_tries $backend_queue_us $backend_connect_us",
	    "- a\\x22p 0 5000000 -" },
	{ &unreached, "$backend_term $backend_reused", "QQ -" },
	{ &unreached, "$backend_json",
	    "{\"pool\":\"a\\\"p\",\"host\":\"\",\"tries\":0,\"failures\":\"\","
	    "\"queue_us\":5000000,\"connect_us\":null,\"first_us\":null,\"total_us\":null,"
	    "\"term\":\"QQ\",\"reused\":null}" },
};

START_TEST(test_backend)
{
	r.backend = backend_rows[_i].backend;
	unit_str_eq(line(backend_rows[_i].format), backend_rows[_i].line);
}
END_TEST

START_TEST(test_gateway_preset)
{
	static const char begin[] =
	    "192.0.2.17 - - [22/Nov/2026:03:04:05 +0000] \"GET /docs/a.html?x=1 HTTP/1.1\" 200 "
	    "1234 ";

	r.backend = &asked;
	ck_assert(str_has_prefix(line("gateway"), str_of(begin)));
	ck_assert(str_has_suffix(line("gateway"),
	    STR(" app/10.0.0.4:80 0/412/10412/123456789 SD 2 \"10.0.0.3:80 refused\"")));
	r.backend = NULL;
	ck_assert(str_has_suffix(line("gateway"), STR(" -/- -/-/-/- - - \"-\"")));
}
END_TEST

/* However little room there is: nothing is written beyond it, and a line is whole or not there. */
START_TEST(test_backend_room)
{
	static char dst[1024];
	const struct logformat *f = compile("{\"b\":$backend_json}");
	size_t whole = logformat_put(f, (r.backend = &asked, &r), &now, dst, sizeof(dst));
	bool is_there = false;

	ck_assert_uint_gt(whole, 0);
	for (size_t room = 0; room < sizeof(dst); room++) {
		size_t n;

		memset(dst, '#', sizeof(dst));
		n = logformat_put(f, &r, &now, dst, room);
		ck_assert(n == 0 || n == whole);
		for (size_t i = room; i < sizeof(dst); i++)
			if (dst[i] != '#')
				ck_abort_msg("octet %zu of %zu", i, room);
		is_there |= n != 0;
	}
	ck_assert(is_there);
}
END_TEST

START_TEST(test_json_preset)
{
	struct str l = line("json");

	ck_assert(str_has_prefix(l,
	    STR("{\"time\":\"2026-11-22T03:04:05+00:00\",\"client\":\"192.0.2.17\",\"user\":\"\","
		"\"host\":\"example.org\",\"method\":\"GET\",\"target\":\"/docs/a.html?x=1\","
		"\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":1234,\"received\":7,"
		"\"duration_us\":")));
	ck_assert(
	    str_has_suffix(l, STR("\"handler\":\"files\",\"worker\":3,\"id\":\"00000000feed5eed\","
				  "\"end\":\"ok\",\"why\":\"\",\"backend\":null}")));
}
END_TEST

/* Each octet value, at each offset of a text of each length: an independent account of the escape.
 */
static size_t
escaped(char *dst, const char *s, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			at += (size_t)sprintf(dst + at, "\\x%02X", c);
		else
			dst[at++] = (char)c;
	}
	return at;
}

START_TEST(test_escape_everywhere)
{
	const struct logformat *f = compile("$target");
	char s[40], want[200], got[1024];

	for (size_t n = 1; n <= sizeof(s); n++)
		for (size_t at = 0; at < n; at++) {
			size_t len, wn;

			memset(s, 'a', sizeof(s));
			s[at] = (char)_i;
			r.target = str_n(s, n);
			len = logformat_put(f, &r, &now, got, sizeof(got));
			wn = escaped(want, s, n);
			ck_assert_uint_eq(len, wn + 1);
			ck_assert_int_eq(memcmp(got, want, wn), 0);
		}
}
END_TEST

START_TEST(test_injection)
{
	r.target = STR("/\" 200\n127.0.0.1 - - [x]");
	unit_str_eq(line("$request"), "GET /\\x22 200\\x0A127.0.0.1 - - [x] HTTP/1.1");
	r.user = STR("a\033[2Jb");
	unit_str_eq(line("$user"), "a\\x1B[2Jb");
	unit_str_eq(line("{$user"), "{a\\u001b[2Jb");
	r.user = STR("\xc3\xa4\xff");
	unit_str_eq(line("{$user"), "{\xc3\xa4\\u00ff");
	r.user = STR("a\xe2\x80\xae\xc2\x9b");
	unit_str_eq(line("$user"), "a\\xE2\\x80\\xAE\\xC2\\x9B");
	unit_str_eq(line("{$user"), "{a\\u202e\\u009b");
}
END_TEST

START_TEST(test_bad_request)
{
	r.method_name = r.target = (struct str){ NULL, 0 };
	r.version = 0;
	r.status = 400;
	r.route = NULL;
	unit_str_eq(line("\"$request\" $status $site $route"), "\"-\" 400 - -");
}
END_TEST

/* Numbers have a fast way for four digits and another beyond. */
START_TEST(test_numbers)
{
	static const int64_t ends[] = { 0, 9, 10, 99, 100, 999, 1000, 9999, 10000, 12345678,
		INT64_MAX };
	char want[32];

	for (int i = 0; i < UNIT_COUNT(ends); i++)
		for (int64_t v = ends[i] > 3 ? ends[i] - 3 : 0; v <= ends[i]; v++) {
			r.sent = v;
			snprintf(want, sizeof(want), "%lld.", (long long)v);
			unit_str_eq(line("$bytes."), want);
			if (v == INT64_MAX)
				break;
		}
	r.sent = -1;
	unit_str_eq(line("$bytes"), "0");
}
END_TEST

/* Never more than the room, and what fits is the same whatever the room. */
START_TEST(test_room)
{
	const struct logformat *f = compile("combined");
	char full[4096], *small;
	size_t n = logformat_put(f, &r, &now, full, sizeof(full)), got, fits = 0;

	for (size_t room = 0; room < 2048; room++) {
		small = malloc(room + 1); /* the sanitizer sees one octet too many */
		got = logformat_put(f, &r, &now, small, room);
		ck_assert(got == 0 || (got == n && memcmp(small, full, n) == 0));
		fits += got != 0;
		free(small);
	}
	ck_assert_uint_gt(fits, 1000);
}
END_TEST

START_TEST(test_peers)
{
	static const char *const texts[] = { "2001:db8::1", "::1", "2001:db8::2", "2001:db8::1",
		"fe80::1:2:3:4" };

	r.peer.family = AF_INET6;
	for (int i = 0; i < UNIT_COUNT(texts); i++) {
		ck_assert_int_eq(inet_pton(AF_INET6, texts[i], r.peer.addr), 1);
		unit_str_eq(line("$client"), texts[i]);
	}
	r.peer = (struct peer){ .family = AF_INET, .addr = { 255, 10, 0, 199 } };
	unit_str_eq(line("$client"), "255.10.0.199");
	r.peer.family = AF_UNIX;
	unit_str_eq(line("$client"), "unix:");
}
END_TEST

START_TEST(test_syslog_prefix)
{
	const char *why;
	const struct logformat *f =
	    logformat_compile(&arena, STR("<190>$syslog_time argand: "), STR("$status"), &why);
	char dst[512];
	size_t n = logformat_put(f, &r, &now, dst, sizeof(dst));

	unit_str_eq(str_n(dst, n), "<190>Nov 22 03:04:05 argand: 200\n");
}
END_TEST

static const struct {
	const char *format, *why;
} refused_rows[] = {
	{ "combine", "needs variables" },
	{ "$stats", "no variable \"$stats\"" },
	{ "$ 1", "needs the name" },
	{ "${status", "closing brace" },
	{ "${in:}", "no name of a header field" },
	{ "${in:a b}", "no name of a header field" },
	{ "${in:Authorization}", "secrets" },
	{ "${in:cookie}", "secrets" },
	{ "${in:proxy-authorization}", "secrets" },
	{ "${out:Set-Cookie}", "secrets" },
	{ "$status\n$status", "control characters" },
	{ "$status\x7f", "control characters" },
	{ "$status \xc2\x9b", "control characters" },
	{ "$status \xe2\x80\xae", "control characters" },
	{ "$status \xfe", "not UTF-8" },
	{ "$in", "no variable" },
};

START_TEST(test_refused)
{
	const char *why = NULL;

	ck_assert(!logformat_compile(&arena, STR(""), str_of(refused_rows[_i].format), &why));
	ck_assert_msg(strstr(why, refused_rows[_i].why) != NULL, "%s", why);
}
END_TEST

Suite *
suite_logformat(void)
{
	Suite *s = suite_create("logformat");
	TCase *t = tcase_create("logformat");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_value, 0, UNIT_COUNT(value_rows));
	tcase_add_loop_test(t, test_backend, 0, UNIT_COUNT(backend_rows));
	tcase_add_test(t, test_gateway_preset);
	tcase_add_test(t, test_backend_room);
	tcase_add_test(t, test_json_preset);
	tcase_add_loop_test(t, test_escape_everywhere, 0, 256);
	tcase_add_test(t, test_injection);
	tcase_add_test(t, test_bad_request);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_room);
	tcase_add_test(t, test_peers);
	tcase_add_test(t, test_syslog_prefix);
	tcase_add_loop_test(t, test_refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}

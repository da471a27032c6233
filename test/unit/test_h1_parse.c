/*
 * Heads of requests: each row whole, octet by octet, and split at every position, in a buffer of
 * exactly the octets that are there. A row says what the head means, or the status that refuses it.
 */
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/split.h"
#include "test/unit/unit.h"
#include "worker/h1_parse.h"

Suite *suite_h1_parse(void);

static const struct h1_limits limits = { .line = 100, .head = 400, .fields = 8 };

/* What became of a head, as text: "GET /x 11 keep host=a:80 length=5 fields=2", or "-400". */
struct verdict {
	char text[600];
	const char *why;
};

static void
put(struct verdict *v, const char *fmt, struct str s)
{
	size_t n = strlen(v->text);

	snprintf(v->text + n, sizeof(v->text) - n, fmt, STR_FMT(s));
}

static void
describe(struct verdict *v, const struct h1_head *h)
{
	char number[60];

	put(v, "%.*s", h->method_name);
	put(v, " %.*s", h->target);
	snprintf(number, sizeof(number), " %u", h->version);
	put(v, "%.*s", str_of(number));
	put(v, "%.*s", str_of(h->keep_alive ? " keep" : " close"));
	put(v, "%.*s", str_of(h->is_chunked ? " chunked" : ""));
	put(v, "%.*s", str_of(h->expects_continue ? " expect" : ""));
	put(v, "%.*s", str_of(h->has_upgrade ? " upgrade" : ""));
	if (h->host.n > 0)
		put(v, " host=%.*s", h->host);
	if (h->port)
		snprintf(number, sizeof(number), ":%u", h->port);
	put(v, "%.*s", h->port ? str_of(number) : STR(""));
	snprintf(number, sizeof(number), " length=%lld", (long long)h->length);
	if (h->length)
		put(v, "%.*s", str_of(number));
	for (unsigned i = 0; i < h->fields.n; i++) {
		if (h->fields.v[i].id != HF_HOST) {
			put(v, " [%.*s", h->fields.v[i].name);
			put(v, "=%.*s]", h->fields.v[i].value);
		}
	}
}

/* Every str of a head must lie in what was parsed. */
static void
check_inside(const struct h1_head *h, const char *buf, size_t n)
{
	for (unsigned i = 0; i < h->fields.n; i++) {
		const struct field *f = &h->fields.v[i];

		ck_assert(f->name.p >= buf && f->name.p + f->name.n <= buf + n);
		ck_assert(f->value.p >= buf && f->value.p + f->value.n <= buf + n);
		ck_assert_uint_eq(f->id, http_field_of(f->name));
		ck_assert(f->id == HF_OTHER || h->known[f->id] > 0);
	}
	ck_assert(h->target.p >= buf && h->target.p + h->target.n <= buf + n);
}

static void
parse_whole(struct verdict *v, const struct h1_limits *l, const char *buf, size_t n, bool is_seen)
{
	struct field room[2];
	uint8_t known[HF_MAX] = { 0 };
	struct h1_head h = { .fields = { room, 0, 2 }, .known = known };
	struct arena arena;
	int status;

	if (is_seen) { /* a Host that was seen before changes no verdict */
		h.seen = STR("a");
		h.seen_host_n = 1;
	}
	arena_init(&arena, NULL, 0);
	status = h1_parse(&h, l, &arena, buf, n, &v->why);
	if (status == 0) {
		check_inside(&h, buf, n);
		describe(v, &h);
	} else {
		ck_assert_ptr_nonnull(v->why);
		snprintf(v->text, sizeof(v->text), "%d", status);
	}
	arena_fini(&arena);
}

/* The octets come in the given way; each call sees a buffer of its own. */
static void
parse(struct verdict *v, const struct h1_limits *l, struct str in, const struct split *way)
{
	struct h1_scan scan = { 0 };
	size_t skip = 0, n = 0;
	ssize_t len = 0;

	*v = (struct verdict){ 0 };
	while (len == 0 && n < in.n) {
		char *buf;

		n = split_next(way, n, in.n);
		buf = malloc(n);
		memcpy(buf, in.p, n);
		len = h1_scan(&scan, l, buf, n, &skip);
		ck_assert_int_le(len, (ssize_t)n);
		if (len > 0)
			parse_whole(v, l, buf + skip, (size_t)len - skip, way->first % 2);
		free(buf);
	}
	if (len == 0)
		snprintf(v->text, sizeof(v->text), "more");
	if (len < 0) {
		snprintf(v->text, sizeof(v->text), "%zd", len);
		v->why = scan.why;
		ck_assert_ptr_nonnull(v->why);
	}
}

static void
check_row(const struct h1_limits *l, struct str in, const char *want, const char *why)
{
	SPLIT_EACH(way, in.n)
	{
		struct verdict v;

		parse(&v, l, in, &way);
		ck_assert_msg(strcmp(v.text, want) == 0, "\"%.*s\" (%zu, %zu): %s (%s), not %s",
		    STR_FMT(in), way.first, way.step, v.text, v.why ? v.why : "", want);
		if (why && v.why)
			ck_assert_str_eq(v.why, why);
	}
}

#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define END  "\r\n"

struct row {
	struct str in;
	const char *want, *why;
};
#define ROW(text, result)                                                                          \
	{                                                                                          \
		.in = STR_INIT(text), .want = (result)                                             \
	}
#define WHY(text, result, reason)                                                                  \
	{                                                                                          \
		.in = STR_INIT(text), .want = (result), .why = (reason)                            \
	}

/* --- what is good --- */

static const struct row good_rows[] = {
	ROW(GET HOST END, "GET / 11 keep host=a"),
	ROW("GET /a?b=c HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
	    "GET /a?b=c 11 keep host=a.example:8080"),
	ROW("GET / HTTP/1.0\r\n\r\n", "GET / 10 close"),
	ROW("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 10 close host=a"),
	/* RFC 9110 2.5: higher minor versions count as 1.1 */
	ROW("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / 11 keep host=a"),
	ROW("GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / 11 keep host=a"),
	/* RFC 9110 9.1: methods are case-sensitive tokens, unknown ones pass */
	ROW("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / 11 keep host=a"),
	ROW("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / 11 keep host=a"),
	ROW("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH / 11 keep host=a"),
	ROW("!#$%&'*+-.^_`|~09 / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "!#$%&'*+-.^_`|~09 / 11 keep host=a"),
	ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / 11 keep host=a"),
	/* RFC 9112 2.2: empty lines before the request line */
	ROW("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 11 keep host=a"),
	ROW("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 11 keep host=a"),
	/* RFC 9112 3.2: the forms of a target */
	ROW("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 11 keep host=a"),
	ROW("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 11 keep host=a:443"),
	ROW("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b/ 11 keep host=a"),
	/* RFC 9112 5: white space around values, none around names */
	ROW(GET HOST "A:b\r\n" END, "GET / 11 keep host=a [A=b]"),
	ROW(GET HOST "A: \t b \t\r\n" END, "GET / 11 keep host=a [A=b]"),
	ROW(GET HOST "A: b c\r\n" END, "GET / 11 keep host=a [A=b c]"),
	ROW(GET HOST "A: b\tc\r\n" END, "GET / 11 keep host=a [A=b\tc]"),
	ROW(GET HOST "A:\r\n" END, "GET / 11 keep host=a [A=]"),
	ROW(GET HOST "A:   \r\n" END, "GET / 11 keep host=a [A=]"),
	ROW(GET HOST "A: b: c:\r\n" END, "GET / 11 keep host=a [A=b: c:]"),
	ROW(GET HOST "a!#$%&'*+-.^_`|~9Z: b\r\n" END,
	    "GET / 11 keep host=a [a!#$%&'*+-.^_`|~9Z=b]"),
	ROW(GET HOST "A: caf\xc3\xa9 \xff\x80\r\n" END,
	    "GET / 11 keep host=a [A=caf\xc3\xa9 \xff\x80]"),
	ROW(GET "HOST: a\r\n" END, "GET / 11 keep host=a"),
	ROW(GET "hOsT: a\r\n" END, "GET / 11 keep host=a"),
	ROW(GET HOST "A: 1\r\nA: 2\r\na: 3\r\n" END, "GET / 11 keep host=a [A=1] [A=2] [a=3]"),
	ROW(GET HOST "Host-: b\r\nXHost: c\r\n" END, "GET / 11 keep host=a [Host-=b] [XHost=c]"),
	/* RFC 9112 3.2, RFC 3986 3.2.2: hosts */
	ROW(GET "Host: A.Example.COM\r\n" END, "GET / 11 keep host=a.example.com"),
	ROW(GET "Host: a.example.\r\n" END, "GET / 11 keep host=a.example"),
	ROW(GET "Host:a:1\r\n" END, "GET / 11 keep host=a:1"),
	ROW(GET "Host: a:\r\n" END, "GET / 11 keep host=a"),
	ROW(GET "Host: 127.0.0.1:65535\r\n" END, "GET / 11 keep host=127.0.0.1:65535"),
	ROW(GET "Host: [::1]\r\n" END, "GET / 11 keep host=[::1]"),
	ROW(GET "Host: [2001:DB8::1]:80\r\n" END, "GET / 11 keep host=[2001:db8::1]:80"),
	ROW(GET "Host: a_b~c!$&'()*+,;=\r\n" END, "GET / 11 keep host=a_b~c!$&'()*+,;="),
	ROW("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS * 11 keep"),
	ROW("GET http://b/ HTTP/1.1\r\nHost: \r\n\r\n", "GET http://b/ 11 keep"),
	ROW("GET / HTTP/1.0\r\nHost:\r\n\r\n", "GET / 10 close"),
	/* RFC 9110 8.6 */
	ROW(POST "Content-Length: 5\r\n" END, "POST / 11 keep host=a length=5 [Content-Length=5]"),
	ROW(POST "Content-Length: 0\r\n" END, "POST / 11 keep host=a [Content-Length=0]"),
	ROW(POST "Content-Length: 0005\r\n" END,
	    "POST / 11 keep host=a length=5 [Content-Length=0005]"),
	ROW(POST "content-length:5 \r\n" END, "POST / 11 keep host=a length=5 [content-length=5]"),
	ROW(POST "Content-Length: 9223372036854775807\r\n" END,
	    "POST / 11 keep host=a length=9223372036854775807 "
	    "[Content-Length=9223372036854775807]"),
	ROW(POST "Content-Length: 00000000000000000000000000000007\r\n" END,
	    "POST / 11 keep host=a length=7 [Content-Length=00000000000000000000000000000007]"),
	ROW("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
	    "POST / 10 close length=3 [Content-Length=3]"),
	/* RFC 9112 6.1, 7 */
	ROW(POST "Transfer-Encoding: chunked\r\n" END,
	    "POST / 11 keep chunked host=a length=-1 [Transfer-Encoding=chunked]"),
	ROW(POST "Transfer-Encoding: Chunked\r\n" END,
	    "POST / 11 keep chunked host=a length=-1 [Transfer-Encoding=Chunked]"),
	ROW(POST "transfer-encoding:\tCHUNKED\t\r\n" END,
	    "POST / 11 keep chunked host=a length=-1 [transfer-encoding=CHUNKED]"),
	/* RFC 9112 9.3 */
	ROW(GET HOST "Connection: close\r\n" END, "GET / 11 close host=a [Connection=close]"),
	ROW(GET HOST "Connection: Close\r\n" END, "GET / 11 close host=a [Connection=Close]"),
	ROW(GET HOST "Connection: keep-alive\r\n" END,
	    "GET / 11 keep host=a [Connection=keep-alive]"),
	ROW(GET HOST "Connection: keep-alive, close\r\n" END,
	    "GET / 11 close host=a [Connection=keep-alive, close]"),
	ROW(GET HOST "Connection: keep-alive\r\nConnection: close\r\n" END,
	    "GET / 11 close host=a [Connection=keep-alive] [Connection=close]"),
	ROW(GET HOST "Connection: ,, close ,\r\n" END,
	    "GET / 11 close host=a [Connection=,, close ,]"),
	ROW(GET HOST "Connection: closed\r\n" END, "GET / 11 keep host=a [Connection=closed]"),
	ROW(GET HOST "Connection: \"close\"\r\n" END,
	    "GET / 11 keep host=a [Connection=\"close\"]"),
	ROW("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	    "GET / 10 keep [Connection=keep-alive]"),
	ROW("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
	    "GET / 10 keep [Connection=Keep-Alive]"),
	ROW("GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n",
	    "GET / 10 close [Connection=Keep-Alive, close]"),
	/* RFC 9110 10.1.1 */
	ROW(POST "Expect: 100-continue\r\n" END,
	    "POST / 11 keep expect host=a [Expect=100-continue]"),
	ROW(POST "Expect: 100-Continue\r\n" END,
	    "POST / 11 keep expect host=a [Expect=100-Continue]"),
	ROW("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
	    "POST / 10 close [Expect=100-continue]"),
	ROW(POST "Expect:\r\n" END, "POST / 11 keep host=a [Expect=]"),
	/* RFC 9110 7.8 */
	ROW(GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END,
	    "GET / 11 keep upgrade host=a [Connection=Upgrade] [Upgrade=websocket]"),
	ROW(GET HOST "Upgrade: h2c\r\nConnection: upgrade, close\r\n" END,
	    "GET / 11 close upgrade host=a [Upgrade=h2c] [Connection=upgrade, close]"),
	ROW(GET HOST "Upgrade: websocket\r\n" END, "GET / 11 keep host=a [Upgrade=websocket]"),
	ROW(GET HOST "Connection: upgrade\r\n" END, "GET / 11 keep host=a [Connection=upgrade]"),
	ROW("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	    "GET / 10 close [Connection=upgrade] [Upgrade=x]"),
	/* the octets behind a head are no business of it */
	ROW(GET HOST END "\x16\x03\0GET / HTTP/9.9\r\n\r\n\r\n", "GET / 11 keep host=a"),
	/* a target that h1_parse does not judge */
	ROW("GET /\x80\"<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /\x80\"<>\\^`{|} 11 keep host=a"),
};

/* --- what is not complete --- */

static const struct row more_rows[] = {
	ROW("G", "more"), ROW("GET", "more"), ROW("GET ", "more"), ROW("GET / HTTP/1.1", "more"),
	ROW("GET / HTTP/1.1\r", "more"), ROW("GET / HTTP/1.1\r\n", "more"),
	ROW("GET / HTTP/1.1\r\n\r", "more"), ROW(GET HOST, "more"), ROW(GET HOST "\r", "more"),
	ROW(GET "Transfer-Encoding: foo\r\n", "more"), /* 501 when the head is complete */
	ROW("\r\n", "more"), ROW("\r\n\r\n", "more"), ROW("\r", "more"),
	ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", "more"), /* 501 when the head is complete */
};

/* --- the request line --- */

static const struct row line_rows[] = {
	/* RFC 9112 3: exactly one SP, twice */
	ROW("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "-400"),
	ROW(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET /\x0bHTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET /\x0cHTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET  HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET /\r\nHost: a\r\n\r\n", "-400"), /* HTTP/0.9 */
	ROW("GET / \r\nHost: a\r\n\r\n", "-400"),
	ROW("GET\r\nHost: a\r\n\r\n", "-400"),
	ROW("/ HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	/* RFC 9112 2.3: the version */
	WHY("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "-505", "HTTP version not supported"),
	ROW("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "-505"),
	ROW("GET / HTTP/0.9\r\nHost: a\r\n\r\n", "-505"),
	ROW("GET / HTTP/9.1\r\nHost: a\r\n\r\n", "-505"),
	ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "-505"),
	ROW("GET / http/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / Http/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/11\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1.10\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/01.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1.\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1,1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/a.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/1.a\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP /1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / XTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/+1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / HTTP/-1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / ICY/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET / RTSP/1.0\r\nHost: a\r\n\r\n", "-400"),
	/* RFC 9110 9.1: the method */
	ROW("G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("GET: / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("(GET) / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	WHY("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", "-501",
	    "a method longer than any known one"),
	ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG@ / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "-400"),
	/* refused before the line is complete */
	WHY("\x16\x03\x01\x02\x00\x01\x00", "-400", "TLS on a plain port"),
	WHY("\x16", "-400", "TLS on a plain port"),
	ROW("\x80\x2e\x01\x03\x01", "-400"),
	ROW("\0", "-400"),
	ROW("<?xml", "-400"),
	ROW(" ", "-400"),
	WHY("\n", "-400", "a bare LF"),
	WHY("\r\r", "-400", "a bare CR"),
	WHY("\rG", "-400", "a bare CR"),
	ROW("{\"a\":1}", "-400"),
	ROW("GET/ HTTP/1.1", "-400"),
	ROW("GET / HTTP/2.0\r\n", "-505"),
	WHY("GET / HTTP/1.1\nHost: a\r\n", "-400", "a bare LF"),
	WHY("GET / HTTP/1.1\rHost: a\r\n", "-400", "a bare CR"),
	/* empty lines in other places than before the request line */
	ROW("\r\n \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
	ROW("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "-400"),
};

/* --- the lines of fields --- */

static const struct row field_rows[] = {
	/* RFC 9112 5.1: no space before the colon */
	WHY(GET "Host : a\r\n" END, "-400", "white space before the colon of a field"),
	WHY(GET "Host\t: a\r\n" END, "-400", "white space before the colon of a field"),
	ROW(GET HOST "Content-Length : 5\r\n" END, "-400"),
	ROW(GET HOST "Transfer-Encoding : chunked\r\n" END, "-400"),
	ROW(GET HOST "A : b\r\n" END, "-400"),
	/* RFC 9112 5.2: obs-fold */
	WHY(GET HOST "A: b\r\n c\r\n" END, "-400", "a folded field line"),
	WHY(GET HOST "A: b\r\n\tc\r\n" END, "-400", "a folded field line"),
	WHY(GET HOST "A: b\r\n c: d\r\n" END, "-400", "a folded field line"),
	ROW(GET HOST "A: b\r\n \r\n" END, "-400"),
	ROW(GET HOST "Transfer-Encoding:\r\n chunked\r\n" END, "-400"),
	ROW(GET HOST "A:\r\n\r\n b\r\n", "GET / 11 keep host=a [A=]"),
	/* RFC 9112 2.2: white space before the first field */
	ROW(GET " Host: a\r\n" END, "-400"),
	ROW(GET "\tHost: a\r\n" END, "-400"),
	/* names */
	WHY(GET HOST ": b\r\n" END, "-400", "empty field name"),
	ROW(GET HOST " : b\r\n" END, "-400"),
	WHY(GET HOST "A\r\n" END, "-400", "a field line without a colon"),
	WHY(GET HOST "A b: c\r\n" END, "-400", "a field name is not a token"),
	ROW(GET HOST "A(b): c\r\n" END, "-400"),
	ROW(GET HOST "A/b: c\r\n" END, "-400"),
	ROW(GET HOST "A\"b: c\r\n" END, "-400"),
	ROW(GET HOST "A[b]: c\r\n" END, "-400"),
	ROW(GET HOST "A\\b: c\r\n" END, "-400"),
	ROW(GET HOST "A@b: c\r\n" END, "-400"),
	ROW(GET HOST "A{b}: c\r\n" END, "-400"),
	ROW(GET HOST "A,b: c\r\n" END, "-400"),
	ROW(GET HOST "A;b: c\r\n" END, "-400"),
	ROW(GET HOST "A=b: c\r\n" END, "-400"),
	ROW(GET HOST "A<b: c\r\n" END, "-400"),
	ROW(GET HOST "A?b: c\r\n" END, "-400"),
	ROW(GET HOST "\xc3\xa9: c\r\n" END, "-400"),
	ROW(GET HOST "\xef\xbb\xbf"
		     "A: c\r\n" END,
	    "-400"),
	ROW(GET HOST "Transfer\xadncoding: chunked\r\n" END, "-400"),
	ROW(GET HOST "Content_Length\0: 5\r\n" END, "-400"),
	ROW(GET HOST "Transfer-\x0d"
		     "Encoding: chunked\r\n" END,
	    "-400"),
	/* RFC 9110 5.5: control characters in values */
	WHY(GET HOST "A: b\0c\r\n" END, "-400", "a control character"),
	WHY(GET HOST "A: b\x01\r\n" END, "-400", "a control character"),
	WHY(GET HOST "A: b\x7f\r\n" END, "-400", "a control character"),
	ROW(GET HOST "A: \x1b[0m\r\n" END, "-400"),
	ROW(GET HOST "A: b\x0b\r\n" END, "-400"),
	ROW(GET HOST "A: b\x0c\r\n" END, "-400"),
	ROW(GET HOST "A: b\x08\r\n" END, "-400"),
	ROW(GET HOST "Transfer-Encoding: \x0b"
		     "chunked\r\n" END,
	    "-400"),
	ROW(GET HOST "\x0bTransfer-Encoding: chunked\r\n" END, "-400"),
	/* RFC 9112 2.2: bare CR and bare LF, anywhere */
	WHY(GET HOST "A: b\rc\r\n" END, "-400", "a bare CR"),
	WHY(GET HOST "A: b\r\r\n" END, "-400", "a bare CR"),
	WHY(GET HOST "A: b\nB: c\r\n" END, "-400", "a bare LF"),
	WHY(GET HOST "A: b\n\r\n" END, "-400", "a bare LF"),
	ROW(GET HOST "\n", "-400"),
	ROW(GET HOST "A: b\r\n\n", "-400"),
	ROW(GET HOST "A: b\r\rB: c\r\n" END, "-400"),
	ROW(GET "Host: a\n" END, "-400"),
	ROW(GET HOST "\r\r\n", "-400"),
	ROW(GET HOST "A: b\r\n\rX", "-400"),
	ROW(GET HOST "Transfer-Encoding: chunked\rX: y\r\n" END, "-400"),
	ROW(GET HOST "A: b\r\n\x0b\r\n" END, "-400"),
	/* refused as soon as the line is complete, or the octet is there */
	ROW(GET "Host : a\r\n", "-400"),
	ROW(GET HOST "A: b\r\n c\r\n", "-400"),
	ROW(GET HOST "A: b\0", "-400"),
	ROW(GET HOST "A\r\n", "-400"),
	/* the first fault counts */
	ROW("GET / HTTP/2.0\r\nHost : a\r\n" END, "-505"),
	ROW("GET / HTTP/2.0\r\nA: \0\r\n" END, "-505"),
	WHY(GET "Host : a\r\nB: \0\r\n" END, "-400", "white space before the colon of a field"),
	ROW(GET HOST "Transfer-Encoding: foo\r\nA : b\r\n" END, "-400"),
	ROW(GET HOST "Expect: foo\r\nA b\r\n" END, "-400"),
};

/* --- Host (RFC 9112 3.2) --- */

static const struct row host_rows[] = {
	WHY(GET END, "-400", "no Host field"),
	WHY(GET "A: b\r\n" END, "-400", "no Host field"),
	WHY("GET http://a/ HTTP/1.1\r\n\r\n", "-400", "no Host field"),
	WHY("OPTIONS * HTTP/1.1\r\n\r\n", "-400", "no Host field"),
	WHY(GET HOST HOST END, "-400", "more than one Host field"),
	WHY(GET HOST "host: b\r\n" END, "-400", "more than one Host field"),
	WHY(GET "Host:\r\n" HOST END, "-400", "more than one Host field"),
	WHY("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "-400", "more than one Host field"),
	ROW("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "-400"),
	WHY(GET "Host:\r\n" END, "-400", "the Host field is empty"),
	ROW(GET "Host: :80\r\n" END, "-400"),
	WHY(GET "Host: a b\r\n" END, "-400", "the Host field is malformed"),
	ROW(GET "Host: a, b\r\n" END, "-400"),
	ROW(GET "Host: a/b\r\n" END, "-400"),
	ROW(GET "Host: a?b\r\n" END, "-400"),
	ROW(GET "Host: a#b\r\n" END, "-400"),
	ROW(GET "Host: a@b\r\n" END, "-400"),
	ROW(GET "Host: a\\b\r\n" END, "-400"),
	ROW(GET "Host: http://a\r\n" END, "-400"),
	ROW(GET "Host: a:b\r\n" END, "-400"),
	ROW(GET "Host: a:0\r\n" END, "-400"),
	ROW(GET "Host: a:65536\r\n" END, "-400"),
	ROW(GET "Host: a:99999999999999999999\r\n" END, "-400"),
	ROW(GET "Host: a:80:80\r\n" END, "-400"),
	ROW(GET "Host: a:-1\r\n" END, "-400"),
	ROW(GET "Host: a:+80\r\n" END, "-400"),
	ROW(GET "Host: a: 80\r\n" END, "-400"),
	ROW(GET "Host: a :80\r\n" END, "-400"),
	ROW(GET "Host: ::1\r\n" END, "-400"),
	ROW(GET "Host: [::1\r\n" END, "-400"),
	ROW(GET "Host: ::1]\r\n" END, "-400"),
	ROW(GET "Host: []\r\n" END, "-400"),
	ROW(GET "Host: [a]\r\n" END, "-400"),
	ROW(GET "Host: [::1]a\r\n" END, "-400"),
	ROW(GET "Host: [::1%25eth0]\r\n" END, "-400"),
	ROW(GET "Host: [fe80::1%eth0]\r\n" END, "-400"),
	ROW(GET "Host: [v1.a]\r\n" END, "-400"),
	ROW(GET "Host: [127.0.0.1]\r\n" END, "-400"),
	ROW(GET "Host: a..b\r\n" END, "-400"),
	ROW(GET "Host: .a\r\n" END, "-400"),
	ROW(GET "Host: .\r\n" END, "-400"),
	ROW(GET "Host: ..\r\n" END, "-400"),
	ROW(GET "Host: a%\r\n" END, "-400"),
	ROW(GET "Host: a%4\r\n" END, "-400"),
	ROW(GET "Host: a%gg\r\n" END, "-400"),
	ROW(GET "Host: a\x80\r\n" END, "-400"),
	ROW(GET "Host: \"a\"\r\n" END, "-400"),
	ROW(GET "Host: <a>\r\n" END, "-400"),
	ROW(GET "Host: a\tb\r\n" END, "-400"),
	WHY("GET http://b/ HTTP/1.1\r\nHost: a@c\r\n\r\n", "-400", "the Host field is malformed"),
	ROW("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "-400"),
};

/* --- framing: every way that has been used to smuggle --- */

static const struct row framing_rows[] = {
	/* RFC 9110 8.6 */
	WHY(POST "Content-Length: \r\n" END, "-400", "Content-Length is empty"),
	ROW(POST "Content-Length: +5\r\n" END, "-400"),
	ROW(POST "Content-Length: -5\r\n" END, "-400"),
	ROW(POST "Content-Length: 5 \r\nContent-Length: 6\r\n" END, "-400"),
	WHY(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END, "-400",
	    "more than one Content-Length field"),
	ROW(POST "Content-Length: 5\r\ncontent-length: 0\r\n" END, "-400"),
	ROW(POST "Content-Length: 5, 5\r\n" END, "-400"),
	ROW(POST "Content-Length: 5,\r\n" END, "-400"),
	ROW(POST "Content-Length: 5, 6\r\n" END, "-400"),
	ROW(POST "Content-Length: 5 6\r\n" END, "-400"),
	ROW(POST "Content-Length: 0x5\r\n" END, "-400"),
	ROW(POST "Content-Length: 5;\r\n" END, "-400"),
	ROW(POST "Content-Length: 5.0\r\n" END, "-400"),
	ROW(POST "Content-Length: 5e1\r\n" END, "-400"),
	ROW(POST "Content-Length: 1_000\r\n" END, "-400"),
	ROW(POST "Content-Length: \"5\"\r\n" END, "-400"),
	ROW(POST "Content-Length: 5\t6\r\n" END, "-400"),
	ROW(POST "Content-Length: a\r\n" END, "-400"),
	ROW(POST "Content-Length: \xef\xbc\x95\r\n" END, "-400"),
	ROW(POST "Content-Length: 9223372036854775808\r\n" END, "-413"),
	ROW(POST "Content-Length: 18446744073709551616\r\n" END, "-413"),
	ROW(POST "Content-Length: 18446744073709551621\r\n" END, "-413"),
	ROW(POST "Content-Length: 99999999999999999999999999\r\n" END, "-413"),
	/* RFC 9112 6.1: both */
	WHY(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, "-400",
	    "both Content-Length and Transfer-Encoding"),
	ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: foo\r\nContent-Length: 5\r\n" END, "-400"),
	ROW(POST "Content-Length: 99999999999999999999\r\nTransfer-Encoding: chunked\r\n" END,
	    "-400"),
	/* RFC 9112 6.1, 6.3: codings */
	ROW(POST "Transfer-Encoding: gzip\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: gzip, chunked\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: identity\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: identity, chunked\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: xchunked\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: chunkedx\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: x-chunked\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: chunke\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: foo;a=b\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: chunked, gzip\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked, identity\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked, chunked\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: \r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: ,chunked\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked,\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked ,\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked;\r\n" END, "-400"),
	WHY(POST "Transfer-Encoding: chunked;a=b\r\n" END, "-400", "chunked has parameters"),
	ROW(POST "Transfer-Encoding: \"chunked\"\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: 'chunked'\r\n" END, "-501"),
	ROW(POST "Transfer-Encoding: chun ked\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked gzip\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: [chunked]\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: chunked\x80\r\n" END, "-400"),
	ROW(POST "Transfer-Encoding: \xa0"
		 "chunked\r\n" END,
	    "-400"),
	WHY("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "-400",
	    "Transfer-Encoding in HTTP/1.0"),
	ROW("POST / HTTP/1.0\r\nTransfer-Encoding: foo\r\n\r\n", "-400"),
	/* names that are not those names, and so frame nothing */
	ROW(POST "Transfer_Encoding: chunked\r\n" END,
	    "POST / 11 keep host=a [Transfer_Encoding=chunked]"),
	ROW(POST "Content_Length: 5\r\n" END, "POST / 11 keep host=a [Content_Length=5]"),
	ROW(POST "Content-Length1: 5\r\n" END, "POST / 11 keep host=a [Content-Length1=5]"),
	ROW(POST "XContent-Length: 5\r\n" END, "POST / 11 keep host=a [XContent-Length=5]"),
	/* RFC 9110 10.1.1 */
	ROW(POST "Expect: foo\r\n" END, "-417"),
	ROW(POST "Expect: 100-continue, foo\r\n" END, "-417"),
	ROW(POST "Expect: 100-continue=1\r\n" END, "-417"),
	ROW(POST "Expect: 200-ok\r\n" END, "-417"),
	ROW("POST / HTTP/1.0\r\nExpect: foo\r\n\r\n", "-417"),
};

static const struct {
	const struct row *rows;
	int n;
} tables[] = {
	{ good_rows, UNIT_COUNT(good_rows) },
	{ more_rows, UNIT_COUNT(more_rows) },
	{ line_rows, UNIT_COUNT(line_rows) },
	{ field_rows, UNIT_COUNT(field_rows) },
	{ host_rows, UNIT_COUNT(host_rows) },
	{ framing_rows, UNIT_COUNT(framing_rows) },
};

START_TEST(rows)
{
	for (int i = 0; i < tables[_i].n; i++) {
		const struct row *row = &tables[_i].rows[i];

		check_row(&limits, row->in, row->want, row->why);
	}
}
END_TEST

/* --- limits --- */

/* "GET /xxx HTTP/1.1" of line octets, one field of value octets, count more. */
static struct str
head_of(char *buf, int line, int value, int count)
{
	int n =
	    sprintf(buf, "GET /%0*d HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n", line - 14, 0, value, 0);

	for (int i = 0; i < count; i++)
		n += sprintf(buf + n, "Y: %d\r\n", i);
	n += sprintf(buf + n, "\r\n");
	return str_n(buf, (size_t)n);
}

static const struct {
	int line, value, count;
	const char *status; /* NULL: good */
} limit_rows[] = {
	{ 100, 1, 0, NULL },
	{ 101, 1, 0, "-414" },
	{ 102, 1, 0, "-414" },
	{ 300, 1, 0, "-414" },
	{ 500, 1, 0, "-414" },
	{ 20, 1, 6, NULL },
	{ 20, 1, 7, "-431" },
	{ 20, 1, 8, "-431" },
	{ 20, 362, 0, NULL }, /* 400 octets */
	{ 20, 363, 0, "-431" },
	{ 20, 364, 0, "-431" },
	{ 20, 900, 0, "-431" },
};

START_TEST(limits_hold)
{
	static char buf[2000];
	struct str in =
	    head_of(buf, limit_rows[_i].line, limit_rows[_i].value, limit_rows[_i].count);

	SPLIT_EACH(way, in.n)
	{
		struct verdict v;

		parse(&v, &limits, in, &way);
		if (limit_rows[_i].status)
			ck_assert_str_eq(v.text, limit_rows[_i].status);
		else
			ck_assert_msg(v.text[0] == 'G', "%s: %s", v.text, v.why);
	}
}
END_TEST

/* What is too long is refused with the first octet too many, not when the line ends. */
START_TEST(limits_at_once)
{
	static char buf[2000];
	struct split whole = { 0, 0 };
	struct verdict v;

	memset(buf, 'a', sizeof(buf));
	memcpy(buf, "GET /", 5);
	parse(&v, &limits, str_n(buf, 100), &whole);
	ck_assert_str_eq(v.text, "more");
	parse(&v, &limits, str_n(buf, 101), &whole);
	ck_assert_str_eq(v.text, "-414");
	memcpy(buf, GET "Host:", sizeof(GET "Host:") - 1);
	parse(&v, &limits, str_n(buf, 399), &whole);
	ck_assert_str_eq(v.text, "more");
	parse(&v, &limits, str_n(buf, 400), &whole);
	ck_assert_str_eq(v.text, "-431");
}
END_TEST

/* A fault before the octet that is too many outranks it, in whatever pieces they come. */
START_TEST(limits_and_faults)
{
	static char buf[2000];

	memset(buf, 'a', sizeof(buf));
	memcpy(buf, "G@T /", 5);
	check_row(&limits, str_n(buf, 500), "-400", NULL);
	memcpy(buf, "GET / HTTP/2.0\r\n", 16);
	check_row(&limits, str_n(buf, 500), "-505", NULL);
	memcpy(buf, GET "A : b\r\nB: ", 26);
	check_row(&limits, str_n(buf, 500), "-400", NULL);
	memcpy(buf, GET "A: b\0\r\nB: ", 26);
	check_row(&limits, str_n(buf, 500), "-400", NULL);
	/* but faults of meaning are found when the head is complete, or not at all */
	check_row(&limits, STR(GET HOST HOST "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"),
	    "-431", NULL);
	memset(buf, 'a', sizeof(buf));
	memcpy(buf, "GET /", 5);
	memcpy(buf + 150, " HTTP/2.0\r\n\r\n", 13);
	check_row(&limits, str_n(buf, 500), "-414", NULL);
	/* RFC 9112 3: what is too long here is the method */
	memset(buf, 'a', 150);
	check_row(&limits, str_n(buf, 500), "-501", "a method longer than any known one");
}
END_TEST

/* More fields than the index can count are never taken. */
START_TEST(limits_index)
{
	static char buf[8000];
	const struct h1_limits wide = { .line = 100, .head = 8000, .fields = 1000 };
	struct split whole = { 0, 0 };
	struct str in = head_of(buf, 20, 1, H1_MAX_FIELDS - 2);
	struct verdict v;

	parse(&v, &wide, in, &whole);
	ck_assert_int_eq(v.text[0], 'G');
	in = head_of(buf, 20, 1, H1_MAX_FIELDS - 1);
	parse(&v, &wide, in, &whole);
	ck_assert_str_eq(v.text, "-431");
}
END_TEST

/* Pipelined heads: the first one's length, exactly. */
START_TEST(scan_length)
{
	static const char two[] =
	    "\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
	size_t first = sizeof("\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n") - 1, skip;

	for (size_t n = first; n < sizeof(two); n++) {
		struct h1_scan s = { 0 };

		ck_assert_int_eq(h1_scan(&s, &limits, two, n, &skip), (ssize_t)first);
		ck_assert_uint_eq(skip, 2);
	}
}
END_TEST

/* The index points at the first field of each kind. */
START_TEST(known_index)
{
	static const char in[] = GET HOST "X: 1\r\nAccept: a\r\nAccept: b\r\nCookie: c\r\n\r\n";
	struct field room[8];
	uint8_t known[HF_MAX] = { 0 };
	struct h1_head h = { .fields = { room, 0, 8 }, .known = known };
	const char *why;

	ck_assert_int_eq(h1_parse(&h, &limits, NULL, in, sizeof(in) - 1, &why), 0);
	ck_assert_uint_eq(known[HF_HOST], 1);
	ck_assert_uint_eq(known[HF_ACCEPT], 3);
	ck_assert_uint_eq(known[HF_COOKIE], 5);
	ck_assert_uint_eq(known[HF_EXPECT], 0);
	ck_assert_uint_eq(known[HF_OTHER], 0);
	unit_str_eq(h.authority, "a");
}
END_TEST

/* A Host that was seen before is taken as it was then. */
START_TEST(host_seen)
{
	static const char in[] = GET "Host: a.example:8080\r\n\r\n";
	struct field room[8];
	uint8_t known[HF_MAX] = { 0 };
	struct h1_head h = { .fields = { room, 0, 8 },
		.known = known,
		.seen = STR("a.example:8080"),
		.seen_host_n = 9,
		.seen_port = 8080 };
	const char *why;

	ck_assert_int_eq(h1_parse(&h, &limits, NULL, in, sizeof(in) - 1, &why), 0);
	unit_str_eq(h.host, "a.example");
	unit_str_eq(h.authority, "a.example:8080");
	ck_assert_uint_eq(h.port, 8080);
}
END_TEST

Suite *
suite_h1_parse(void)
{
	Suite *s = suite_create("h1_parse");
	TCase *c = tcase_create("h1_parse");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, rows, 0, UNIT_COUNT(tables));
	tcase_add_loop_test(c, limits_hold, 0, UNIT_COUNT(limit_rows));
	tcase_add_test(c, limits_at_once);
	tcase_add_test(c, limits_and_faults);
	tcase_add_test(c, limits_index);
	tcase_add_test(c, scan_length);
	tcase_add_test(c, known_index);
	tcase_add_test(c, host_seen);
	suite_add_tcase(s, c);
	return s;
}

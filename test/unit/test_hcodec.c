/*
 * HTTP to backends: what is sent for a request, and what is made of responses: each row whole,
 * octet by octet, and split at every position.
 */
#include <stdio.h>
#include "test/unit/ask.h"
#include "test/unit/unit.h"

Suite *suite_hcodec(void);

static struct ask a;

static void
ask(const char *head)
{
	ask_open(&a, head);
	a.q.authority = STR("app.example:8080");
}

static struct str
head_of(void)
{
	const char *why = NULL;

	ck_assert_int_eq(codec_http.head(a.state, &a.q, &a.out, &why), 0);
	return ask_sent(&a);
}

/* --- heads --- */

static const struct head_row {
	const char *head, *sent;
	const char *path_from, *path_to;
	const char *remove, *set, *value;
	int host;
	bool xff, forwarded, via, trusted, upgrade, close;
	int64_t length; /* -2: the request's */
} head_rows[] = {
	{ .head = "GET /a%2Fb?c=d HTTP/1.1\r\nHost: x.org\r\nAccept: */*\r\n\r\n",
	    "GET /a%2Fb?c=d HTTP/1.1\r\nHost: x.org\r\nAccept: */*\r\n\r\n" },
	/* hop-by-hop */
	{ .head =
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop\r\nx-hop: 1\r\nX-End: "
		"2\r\n"
		"Keep-Alive: 5\r\nProxy: evil\r\nProxy-Authorization: a\r\nProxy-Connection: b\r\n"
		"Proxy-Foo: c\r\nTE: gzip\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-End: 2\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nTE: deflate, trailers\r\nConnection: TE\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n",
	    .close = true },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	    .close = true },
	{ .head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Key: k\r\n\r\n",
	    "GET /ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\n"
	    "Upgrade: websocket\r\n\r\n",
	    .upgrade = true },
	{ .head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
		  "h2c\r\n"
		  "HTTP2-Settings: AAA\r\n\r\n",
	    "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n" },
	/* framing */
	{ .head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
	    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n" },
	{ .head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" },
	{ .head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n",
	    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n" },
	{ .head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n",
	    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 77\r\n\r\n",
	    .length = 77 },
	/* Host */
	{ .head = "GET / HTTP/1.1\r\nHost: X.org:81\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: app.example:8080\r\n\r\n",
	    .host = HOST_BACKEND },
	{ .head = "GET / HTTP/1.0\r\nHost: :\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: app.example:8080\r\nX-Forwarded-For: 192.0.2.1\r\n"
	    "X-Forwarded-Proto: http\r\n\r\n",
	    .xff = true },
	{ .head = "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: app.example:8080\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: X.org:81\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: X.org:81\r\n\r\n" },
	{ .head = "GET http://real.org:82/p HTTP/1.1\r\nHost: other\r\n\r\n",
	    "GET /p HTTP/1.1\r\nHost: real.org:82\r\n\r\n" },
	{ .head = "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	    .path_from = "/a",
	    .path_to = "/b" },
	/* paths: test_hmap.c has the rest */
	{ .head = "GET /app/x?y HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET /x?y HTTP/1.1\r\nHost: x\r\n\r\n",
	    .path_from = "/app",
	    .path_to = "/" },
	/* X-Forwarded */
	{ .head = "GET / HTTP/1.1\r\nHost: x:8\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x:8\r\nX-Forwarded-For: 192.0.2.1\r\n"
	    "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x:8\r\n\r\n",
	    .xff = true },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: "
		  "https\r\n"
		  "X-Forwarded-Host: evil\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n"
	    "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n",
	    .xff = true },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: "
		  "2.2.2.2\r\n"
		  "X-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n"
	    "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\n\r\n",
	    .xff = true,
	    .trusted = true },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
	    .trusted = true },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n"
	    "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n\r\n",
	    .xff = true,
	    .trusted = true,
	    .remove = "x-forwarded-for" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\n"
	    "X-Forwarded-For: mine\r\n\r\n",
	    .xff = true,
	    .set = "X-Forwarded-For",
	    .value = "mine" },
	/* Forwarded, Via */
	{ .head = "GET / HTTP/1.1\r\nHost: x:8\r\nForwarded: for=evil\r\nVia: 1.0 a\r\nVia: 1.1 "
		  "b\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x:8\r\nForwarded: for=192.0.2.1;host=\"x:8\";proto=http\r\n"
	    "Via: 1.0 a, 1.1 b, 1.1 argand\r\n\r\n",
	    .forwarded = true,
	    .via = true },
	{ .head = "GET / HTTP/1.0\r\nHost: x\r\nForwarded: for=a, for=b\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\n"
	    "Forwarded: for=a, for=b, for=192.0.2.1;host=x;proto=http\r\nVia: 1.0 argand\r\n\r\n",
	    .forwarded = true,
	    .via = true,
	    .trusted = true },
	/* set and remove */
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nCookie: c\r\nx-a: 2\r\nX-B: 3\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nX-B: 3\r\nX-A: GET 192.0.2.1\r\n\r\n",
	    .remove = "cookie",
	    .set = "X-A",
	    .value = "$method $client" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nAccept: a\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	    .remove = "accept",
	    .set = "X-A",
	    .value = "" },
	{ .head = "GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n",
	    .set = "Transfer-Encoding",
	    .value = "chunked" },
};

START_TEST(heads)
{
	const struct head_row *row = &head_rows[_i];

	ask(row->head);
	a.gw.path_from = str_of(row->path_from);
	a.gw.path_to = str_of(row->path_to);
	a.gw.host = row->host;
	a.gw.x_forwarded = row->xff;
	a.gw.forwarded = row->forwarded;
	a.gw.via = row->via;
	a.q.upgrade = row->upgrade ? STR("websocket") : STR("");
	a.q.keep = !row->close;
	if (row->length > 0)
		a.q.length = row->length;
	if (row->remove)
		a.gw.remove = ask_names(&a, row->remove);
	if (row->set)
		ask_set(&a, row->set, row->value);
	if (row->trusted)
		ask_trust(&a, "192.0.2.0/24");
	unit_str_eq(head_of(), row->sent);
	ask_close(&a);
}
END_TEST

/* The hop before us, and addresses that are not IPv4. */
START_TEST(hops)
{
	ask("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::7\r\n\r\n");
	a.gw.x_forwarded = a.gw.forwarded = true;
	ask_trust(&a, "2001:db8:9::/48");
	a.r.via = ask_peer("2001:db8:9::1"); /* modules/realip.c found the client behind it */
	a.r.peer = ask_peer("2001:db8::7");
	a.r.is_tls = true;
	unit_str_eq(head_of(),
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::7, 2001:db8:9::1\r\n"
	    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n"
	    "Forwarded: for=\"[2001:db8:9::1]\";host=x;proto=https\r\n\r\n");
	/* A balancer with the PROXY protocol is no hop. */
	a.listen.proxy_protocol = true;
	unit_str_eq(head_of(), "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::7\r\n"
			       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n"
			       "Forwarded: for=\"[2001:db8::7]\";host=x;proto=https\r\n\r\n");
	/* A Unix socket has no address to tell. */
	a.listen.proxy_protocol = false;
	a.r.via = (struct peer){ .family = AF_UNIX };
	unit_str_eq(head_of(),
	    "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n"
	    "Forwarded: for=unknown;host=x;proto=https\r\n\r\n");
	ask_trust(&a, "unix");
	unit_str_eq(head_of(), "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 2001:db8::7\r\n"
			       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: x\r\n"
			       "Forwarded: for=unknown;host=x;proto=https\r\n\r\n");
	ask_close(&a);
}
END_TEST

/* --- request bodies --- */

START_TEST(body_with_length)
{
	ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n");
	head_of();
	body_put(&a.src, "0123456789", 10);
	ck_assert(!codec_http.body(a.state, &a.out, &a.src, 5));
	unit_str_eq(ask_sent(&a), "01234");
	/* Never more than was announced. */
	ck_assert(codec_http.body(a.state, &a.out, &a.src, 100));
	unit_str_eq(ask_sent(&a), "567");
	ask_close(&a);
}
END_TEST

START_TEST(body_none)
{
	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	head_of();
	body_end(&a.src);
	ck_assert(codec_http.body(a.state, &a.out, &a.src, 100));
	ck_assert(body_is_empty(&a.out));
	ask_close(&a);
}
END_TEST

START_TEST(body_chunked)
{
	struct field t = { STR("T"), STR("v w"), HF_OTHER };

	ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	head_of();
	ck_assert(!codec_http.body(a.state, &a.out, &a.src, 100));
	ck_assert(body_is_empty(&a.out));
	body_put(&a.src, "0123456789abcdefXYZ", 19);
	ck_assert(!codec_http.body(a.state, &a.out, &a.src, 16));
	unit_str_eq(ask_sent(&a), "10\r\n0123456789abcdef\r\n");
	ck_assert(!codec_http.body(a.state, &a.out, &a.src, 16));
	unit_str_eq(ask_sent(&a), "3\r\nXYZ\r\n");
	*fields_add(&a.r.trailers, &a.r.arena) = t;
	body_put(&a.src, "end", 3);
	body_end(&a.src);
	ck_assert(codec_http.body(a.state, &a.out, &a.src, 100));
	unit_str_eq(ask_sent(&a), "3\r\nend\r\n0\r\nT: v w\r\n\r\n");
	ck_assert(codec_http.body(a.state, &a.out, &a.src, 100));
	ck_assert(body_is_empty(&a.out));
	ask_close(&a);
}
END_TEST

/* --- responses --- */

enum { CLOSES = 1, IS_HEAD = 2, UPGRADES = 4, UNSENT = 8 };

static const struct answer_row {
	const char *in, *out;
	unsigned how;
	const char *why; /* of an error, part of it, when it comes whole */
} answer_rows[] = {
	/* lengths */
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
	    "HEAD 200 length 5 [A: b] DATA hello END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END",
	    CLOSES },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END",
	    UNSENT },
	{ .in = "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HEAD 200 length 0 END keep" },
	{ .in = "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HEAD 200 length 0 END keep" },
	{ .in = "HTTP/1.9 200 \xe4\r\nContent-Length: 0\r\n\r\n", "HEAD 200 length 0 END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\ncontent-length: 5\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END" },
	{ .in = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END" },
	{ .in = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\nhello",
	    "HEAD 200 length 5 DATA hello END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
	    "HEAD 200 length 5 DATA hel ERROR",
	    .why = "closed before the end of the body" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	    "ERROR",
	    .why = "two Content-Lengths" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
	    "ERROR",
	    .why = "two Content-Lengths" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
	    "ERROR",
	    .why = "not a number" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "ERROR", .why = "not a number" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "ERROR", .why = "not a number" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
	    "ERROR",
	    .why = "not a number" },
	/* until the end of the connection */
	{ .in = "HTTP/1.1 200 OK\r\n\r\nhello", "HEAD 200 length -1 DATA hello END" },
	{ .in = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
	    "HEAD 200 length -1 DATA hello END" },
	{ .in = "HTTP/1.0 200 OK\r\n\r\n", "HEAD 200 length -1 END" },
	/* chunks */
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		"chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
	    "HEAD 200 length -1 DATA abcde END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nTrailer: "
		"T\r\n\r\n1\r\na\r\n0\r\nT: "
		"v\r\n"
		"Content-Length: 7\r\n\r\n",
	    "HEAD 200 length -1 [Trailer: T] DATA a END keep [T: v]" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
	    "HEAD 200 length -1 DATA abc ERROR",
	    .why = "closed before the last chunk" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
	    "HEAD 200 length -1 DATA abc ERROR",
	    .why = "malformed" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
	    "HEAD 200 length -1 ERROR",
	    .why = "malformed" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		"3\r\n\r\n0\r\n\r\n",
	    "ERROR",
	    .why = "both" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	    "ERROR",
	    .why = "transfer coding" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	    "ERROR",
	    .why = "transfer coding" },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
	    "ERROR",
	    .why = "transfer coding" },
	{ .in = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "ERROR",
	    .why = "HTTP/1.0" },
	/* no body */
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
	    "HEAD 200 length 5 END keep",
	    IS_HEAD },
	{ .in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "HEAD 200 length -1 END keep",
	    IS_HEAD },
	{ .in = "HTTP/1.1 200 OK\r\n\r\n", "HEAD 200 length -1 END keep", IS_HEAD },
	{ .in = "HTTP/1.1 204 No Content\r\n\r\n", "HEAD 204 length 0 END keep" },
	{ .in = "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"x\"\r\n\r\n",
	    "HEAD 304 length 500 [ETag: \"x\"] END keep" },
	/* interim */
	{ .in = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
		"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
	    "INTERIM 103 [Link: </a>] INTERIM 102 HEAD 200 length 1 DATA x END keep" },
	{ .in = "HTTP/1.1 103 Early Hints\r\n\r\n", "INTERIM 103 ERROR", .why = "closed before" },
	/* tunnels */
	{ .in = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: k\r\nContent-Length: 3\r\n\r\nraw octets",
	    "HEAD 101 length -1 tunnel [Upgrade: websocket] [Sec-WebSocket-Accept: k] "
	    "DATA raw octets END",
	    UPGRADES },
	{ .in = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	    "ERROR",
	    .why = "101 to a request" },
	{ .in = "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx",
	    "HEAD 200 length 1 DATA x END keep",
	    UPGRADES },
	{ .in = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
	    "HEAD 426 length 0 [Upgrade: h2c] END keep" },
	/* hop-by-hop */
	{ .in = "HTTP/1.1 200 OK\r\nX-Hop: 1\r\nA: b\r\nKeep-Alive: 5\r\nProxy-Connection: "
		"x\r\nTE: x\r\n"
		"Connection: x-hop, Other\r\nOther: 1\r\nTrailer: x\r\nContent-Length: 0\r\n"
		"Connection: third\r\nThird: 3\r\nC: d\r\n\r\n",
	    "HEAD 200 length 0 [A: b] [C: d] END keep" },
	/* field syntax */
	{ .in = "HTTP/1.1 200 OK\r\nA:b\r\nEmpty:\r\nB: \t c \t\r\nContent-Length : 1\r\n\r\nx",
	    "HEAD 200 length 1 [A: b] [Empty: ] [B: c] DATA x END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\td\r\nContent-Length: 0\r\n\r\n",
	    "HEAD 200 length 0 [A: b    c  \td] END keep" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n\r\nx",
	    "HEAD 200 length 1 DATA x END keep" },
	{ .in = "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "ERROR", .why = "folded" },
	{ .in = "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "ERROR", .why = "colon" },
	{ .in = "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "ERROR", .why = "name" },
	{ .in = "HTTP/1.1 200 OK\r\nA\x01: b\r\n\r\n", "ERROR", .why = "control" },
	{ .in = "HTTP/1.1 200 OK\r\nA{}: b\r\n\r\n", "ERROR", .why = "token" },
	{ .in = "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "ERROR", .why = "control" },
	{ .in = "HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n", "ERROR", .why = "control" },
	{ .in = "HTTP/1.1 200 OK\nA: b\n\n", "ERROR", .why = "control" },
	/* status lines */
	{ .in = "HTTP/1.1 600 X\r\n\r\n", "ERROR", .why = "100 to 599" },
	{ .in = "HTTP/1.1 099 X\r\n\r\n", "ERROR", .why = "100 to 599" },
	{ .in = "HTTP/1.1 2000 X\r\n\r\n", "ERROR", .why = "three digits" },
	{ .in = "HTTP/1.1 20 XX\r\n\r\n", "ERROR", .why = "three digits" },
	{ .in = "HTTP/1.1  200 X\r\n\r\n", "ERROR", .why = "three digits" },
	{ .in = "HTTP/2.0 200 X\r\n\r\n", "ERROR", .why = "begin with HTTP/1" },
	{ .in = "ICY 200 OK\r\n\r\n", "ERROR", .why = "begin with HTTP/1" },
	{ .in = "\r\nHTTP/1.1 200 OK\r\n\r\n", "ERROR", .why = "begin with HTTP/1" },
	{ .in = "SSH-2.0-x\r\n", "ERROR", .why = "begin with HTTP/1" },
	{ .in = "\x15\x03\x01", "ERROR", .why = "begin with HTTP/1" },
	{ .in = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n", "ERROR", .why = "closed before" },
	{ .in = "", "ERROR", .why = "closed before" },
};

static struct str
answer(const struct answer_row *row, struct str in, const struct split *way, const char **why)
{
	struct codec_response rsp = { .is_head = row->how & IS_HEAD };

	ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	a.q.keep = !(row->how & CLOSES);
	a.q.upgrade = row->how & UPGRADES ? STR("websocket") : STR("");
	head_of();
	if (!(row->how & UNSENT)) {
		body_end(&a.src);
		codec_http.body(a.state, &a.out, &a.src, 1);
	}
	return ask_feed(&a, &codec_http, &rsp, in, way, why);
}

START_TEST(answers)
{
	const struct answer_row *row = &answer_rows[_i];
	struct str in = str_of(row->in);

	SPLIT_EACH(way, in.n)
	{
		const char *why = NULL;
		struct str out = answer(row, in, &way, &why);

		ck_assert_msg(out.n == strlen(row->out) && memcmp(out.p, row->out, out.n) == 0,
		    "%zu/%zu: \"%.*s\" is not \"%s\" (%s)", way.first, way.step, STR_FMT(out),
		    row->out, why ? why : "no fault");
		if (row->why && way.first == 0 && way.step == 0)
			ck_assert_msg(
			    why && strstr(why, row->why), "\"%s\" has no \"%s\"", why, row->why);
		ask_close(&a);
	}
}
END_TEST

/* What follows a response unasked: it is told, but the connection is not used again. */
START_TEST(extra_octets)
{
	static const struct answer_row row = { 0 };
	static const struct split whole = { 0, 0 };

	unit_str_eq(answer(&row, STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200"),
			&whole, NULL),
	    "HEAD 200 length 1 DATA x END");
	ask_close(&a);
	unit_str_eq(
	    answer(&row, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n"),
		&whole, NULL),
	    "HEAD 200 length -1 END");
	ask_close(&a);
	unit_str_eq(
	    answer(&row, STR("HTTP/1.1 204 OK\r\n\r\nx"), &whole, NULL), "HEAD 204 length 0 END");
	ask_close(&a);
}
END_TEST

static enum codec_event
input(struct codec_response *rsp, const char *octets, size_t n)
{
	size_t used = 0;
	enum codec_event ev = codec_http.input(a.state, rsp, octets, n, &used);

	ck_assert_uint_eq(used, n);
	return ev;
}

/* Of a body with a length all but the last octet may go by unseen. */
START_TEST(goes_by)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
	static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct codec_response rsp = { .max_head = 4096 };

	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	a.q.keep = true;
	head_of();
	body_end(&a.src);
	codec_http.body(a.state, &a.out, &a.src, 1);
	rsp.arena = &a.r.arena;
	ck_assert_int_eq(codec_http.plain(a.state), 0);
	ck_assert_int_eq(input(&rsp, head, sizeof(head) - 1), CODEC_HEAD);
	ck_assert_int_eq(codec_http.plain(a.state), 99999);
	codec_http.passed(a.state, 60000);
	ck_assert_int_eq(codec_http.plain(a.state), 39999);
	codec_http.passed(a.state, 39990);
	ck_assert_int_eq(input(&rsp, "0123456789", 10), CODEC_DATA);
	ck_assert_int_eq(codec_http.plain(a.state), 0);
	ck_assert_int_eq(input(&rsp, "", 0), CODEC_END);
	ck_assert(rsp.keep);
	ask_close(&a);
	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	head_of();
	rsp = (struct codec_response){ .max_head = 4096, .arena = &a.r.arena };
	ck_assert_int_eq(input(&rsp, chunked, sizeof(chunked) - 1), CODEC_HEAD);
	ck_assert_int_eq(codec_http.plain(a.state), 0);
	ask_close(&a);
}
END_TEST

/* Limits: the verdict is the same however it comes. */
static struct str
filled(size_t head, size_t lines)
{
	static char text[40000];
	size_t n = (size_t)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");

	for (; lines > 0; lines--)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "A:\r\n");
	if (head > n + 5) {
		memset(text + n, 'x', head - n);
		text[n + 1] = ':';
		n = head - 4;
		memcpy(text + n, "\r\n", 2);
		n += 2;
	}
	memcpy(text + n, "\r\n", 2);
	return str_n(text, n + 2);
}

START_TEST(limits)
{
	static const struct answer_row row = { 0 };
	static const struct split ways[] = { { 0, 0 }, { 0, 1 }, { 4095, 0 }, { 4096, 0 },
		{ 4097, 0 } };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *why = NULL;
		struct str out = answer(&row, filled(4096, 0), &ways[i], &why);

		ck_assert_msg(str_has_prefix(out, STR("HEAD 200 length 0")), "%s", why);
		ask_close(&a);
		unit_str_eq(answer(&row, filled(4097, 0), &ways[i], &why), "ERROR");
		ck_assert_str_eq(why, "the response's head is too long");
		ask_close(&a);
		unit_str_eq(answer(&row, filled(0, 600), &ways[i], &why), "ERROR");
		ck_assert_str_eq(why, "too many fields");
		ask_close(&a);
	}
}
END_TEST

START_TEST(many_interims)
{
	static const struct answer_row row = { 0 };
	static const struct split whole = { 0, 0 };
	char text[2000] = "";
	const char *why = NULL;

	for (int i = 0; i < 17; i++)
		strcat(text, "HTTP/1.1 100 Continue\r\n\r\n");
	unit_str_eq(answer(&row, str_of(text), &whole, &why), "ERROR");
	ck_assert_str_eq(why, "too many interim responses");
	ask_close(&a);
}
END_TEST

Suite *
suite_hcodec(void)
{
	Suite *s = suite_create("hcodec");
	TCase *t = tcase_create("hcodec");

	tcase_add_loop_test(t, heads, 0, UNIT_COUNT(head_rows));
	tcase_add_test(t, hops);
	tcase_add_test(t, body_with_length);
	tcase_add_test(t, body_none);
	tcase_add_test(t, body_chunked);
	tcase_add_loop_test(t, answers, 0, UNIT_COUNT(answer_rows));
	tcase_add_test(t, extra_octets);
	tcase_add_test(t, goes_by);
	tcase_add_test(t, limits);
	tcase_add_test(t, many_interims);
	suite_add_tcase(s, t);
	return s;
}

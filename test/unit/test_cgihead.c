/*
 * Responses of CGI-like applications: each row whole, octet by octet, and split at every position.
 */
#include <stdio.h>
#include <stdlib.h>
#include "modules/gateway/codec/cgihead.h"
#include "test/unit/codec_fake.h"
#include "test/unit/unit.h"

Suite *suite_cgihead(void);

enum { HEAD = 1, SWITCH = 2, OPEN = 4, SHORT = 8 };

static const struct row {
	struct str in;
	const char *want;
	int flags; /* of a HEAD; 101 was asked for; the connection stays open; max_head is 40 */
} rows[] = {
#define ROW(text, ...)                                                                             \
	{                                                                                          \
		.in = STR_INIT(text), .want = __VA_ARGS__                                          \
	}
	/* RFC 3875 6.2.1: a document */
	ROW("Content-Type: text/plain\r\n\r\nhi", "200 (Content-Type=text/plain) \"hi\" end"),
	ROW("Content-Type: text/plain\n\nhi", "200 (Content-Type=text/plain) \"hi\" end"),
	ROW("A: b\r\nC:d \n\r\n\r\nx", "200 (A=b,C=d) \"\r\nx\" end"),
	ROW("A: b\n\n", "200 (A=b) end"),
	ROW("A: b\n\r\n", "200 (A=b) end"),
	ROW("A:\n\n", "200 (A=) end"),
	/* RFC 3875 6.3.3 */
	ROW("Status: 404 Not Found\nA: b\n\nx", "404 (A=b) \"x\" end"),
	ROW("A: b\nstatus:404\n\n", "404 (A=b) end"),
	ROW("Status: 599 \n\n", "599 () end"),
	ROW("Status: 404\nStatus: 200\n\n", "404 () end"),
	ROW("Status: 40\n\n", "error: Status is not three digits"),
	ROW("Status: 4041\n\n", "error: Status is not three digits"),
	ROW("Status: 404Not\n\n", "error: Status is not three digits"),
	ROW("Status: OK\n\n", "error: Status is not three digits"),
	ROW("Status:\n\n", "error: Status is not three digits"),
	ROW("Status: 099 x\n\n", "error: Status is not three digits"),
	ROW("Status: 600 x\n\n", "error: Status is not three digits"),
	/* a status line: NPH scripts, uwsgi */
	ROW("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nx", "404 (A=b) \"x\" end"),
	ROW("HTTP/1.0 200 OK\r\n\r\nx", "200 () \"x\" end"),
	ROW("HTTP/1.1 200\nA: b\n\n", "200 (A=b) end"),
	ROW("HTTP/2 201 \nA: b\n\n", "201 (A=b) end"),
	ROW("HTTP/1.1 404 Not Found\nStatus: 200\n\n", "404 () end"),
	ROW("HTTP/1.1 302 Found\nLocation: /x\n\n", "302 (Location=/x) end"),
	ROW("HTTP/1.1\n\n", "error: a status line without a status"),
	ROW("HTTP/1.1 xx\n\n", "error: a status line without a status"),
	ROW("HTTP/1.1  200 OK\n\n", "error: a status line without a status"),
	ROW("HTTP/1.1 200 O\1K\n\n", "error: a control character in the status line"),
	ROW("A: b\nHTTP/1.1 200 OK\n\n", "error: a field line without a colon"),
	/* RFC 3875 6.2.3, 6.2.4: redirects, of the client and within the server */
	ROW("Location: http://a/b\n\n", "302 (Location=http://a/b) end"),
	ROW("Location: /a?b\n\n", "302 (Location=/a?b) local end"),
	ROW("Content-Type: t\nLocation: /\n\nx", "302 (Content-Type=t,Location=/) local \"x\" end"),
	ROW("Location: //a/b\n\n", "302 (Location=//a/b) end"),
	ROW("Status: 302\nLocation: /a\n\n", "302 (Location=/a) end"),
	ROW("Location: /a\nStatus: 301\n\nx", "301 (Location=/a) \"x\" end"),
	ROW("Status: 201\nLocation: /a\n\n", "201 (Location=/a) end"),
	ROW("Location:\n\n", "error: an empty Location"),
	/* no head */
	ROW("", "error: ended without a response"),
	ROW("\n", "error: the response begins with an empty line, not with fields"),
	ROW("\r\nA: b\n\n", "error: the response begins with an empty line, not with fields"),
	ROW("A: b", "error: ended within the response head"),
	ROW("A: b\n", "error: ended within the response head"),
	ROW("A: b\r\n\r", "error: ended within the response head"),
	ROW("A: b\n\rC: d\n\n", "error: a field name is not a token"),
	ROW("<html>\n\n", "error: a field line without a colon"),
	ROW("Fatal error: x\n\n", "error: a field name is not a token"),
	ROW("A : b\n\n", "error: white space before the colon of a field"),
	ROW(": b\n\n", "error: empty field name"),
	ROW("A: b\n c\n\n", "error: a folded field line"),
	ROW("A: b\0c\n\n", "error: a control character in a field"),
	ROW("A: b\rc\n\n", "error: a control character in a field"),
	ROW("A: b\r\r\n\n", "error: a control character in a field"),
	/* limits: 40 octets */
	ROW("A: 34567890123456789012345678901234567\n\nx",
	    "200 (A=34567890123456789012345678901234567) \"x\" end", SHORT),
	ROW("A: 345678901234567890123456789012345678\n\nx", "error: the response head is too long",
	    SHORT),
	ROW("A: 34567890123456789012345678901234567890123", "error: the response head is too long",
	    SHORT),
	/* framing */
	ROW("Content-Length: 3\n\nabc", "200 () length 3 \"abc\" end"),
	ROW("Content-Length: 3\n\nabcdef", "200 () length 3 \"abc\" end"),
	ROW("Content-Length: 3\n\nabc", "200 () length 3 \"abc\" end", OPEN),
	ROW("Content-Length: 0\n\n", "200 () length 0 end", OPEN),
	ROW("Content-Length: 3\nContent-Length: 3\n\nabc", "200 () length 3 \"abc\" end"),
	ROW("Content-Length: 3\n\nab",
	    "200 () length 3 \"ab\" error: ended before its Content-Length was reached"),
	ROW("Content-Length: 3\n\n",
	    "200 () length 3 error: ended before its Content-Length was reached"),
	ROW("Content-Length: 3\nContent-Length: 4\n\nabc", "error: Content-Length twice"),
	ROW("Content-Length: 3, 3\n\nabc", "error: Content-Length is no number"),
	ROW("Content-Length: -1\n\n", "error: Content-Length is no number"),
	ROW("Content-Length:\n\n", "error: Content-Length is no number"),
	ROW("Content-Length: 9223372036854775808\n\n", "error: Content-Length is no number"),
	ROW("Transfer-Encoding: chunked\nA: b\n\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\nxyz",
	    "200 (A=b) \"abcde\" (T=u) end"),
	ROW("Transfer-Encoding: Chunked\nContent-Length: 1\n\n0\r\n\r\n", "200 () end"),
	ROW("Transfer-Encoding: chunked\n\n3\r\nabc\r\n",
	    "200 () \"abc\" error: ended before the last chunk"),
	ROW("Transfer-Encoding: chunked\n\nxyz", "200 () error: broken chunked coding"),
	ROW("Transfer-Encoding: gzip\n\nabc", "error: an unknown Transfer-Encoding"),
	ROW("Connection: close\nKeep-Alive: x\nUpgrade: y\nTE: z\nTrailer: a\nX-Accel-Redirect: "
	    "/b\n\n",
	    "200 (X-Accel-Redirect=/b) end"),
	/* RFC 9110 6.4.1: no content */
	ROW("Content-Length: 3\n\nabc", "200 () length 3 end", HEAD),
	ROW("Content-Length: 3\n\n", "200 () length 3 end", HEAD | OPEN),
	ROW("A: b\n\nabc", "200 (A=b) end", HEAD),
	ROW("Status: 204\n\nabc", "204 () end", OPEN),
	ROW("Status: 304\nContent-Length: 7\n\n", "304 () length 7 end", OPEN),
	ROW("Status: 204\nTransfer-Encoding: chunked\n\n", "204 () end", OPEN),
	/* RFC 9110 15.2 */
	ROW("Status: 103\nLink: x\n\nStatus: 200\nA: b\n\nc",
	    "interim 103 (Link=x) 200 (A=b) \"c\" end"),
	ROW("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
	    "interim 100 () 200 () \"x\" end"),
	ROW("Status: 103\nLink: x\n\n", "interim 103 (Link=x) error: ended without a response"),
	ROW("HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: Upgrade\n\nab",
	    "101 (Upgrade=websocket) tunnel \"ab\" end", SWITCH),
	ROW("HTTP/1.1 101 Switching\nUpgrade: websocket\n\nab", "error: 101 that nobody asked for"),
	ROW("Status: 400\n\nab", "400 () \"ab\" end", SWITCH),
};

START_TEST(responses)
{
	static const struct codec codec = { .input = cgihead_input, .eof = cgihead_eof };
	const struct row *row = &rows[_i];

	SPLIT_EACH(way, row->in.n)
	{
		struct cgihead h = { .may_switch = row->flags & SWITCH };
		const struct codec_fake_in in = { .codec = &codec,
			.state = &h,
			.max_head = row->flags & SHORT ? 40 : 8192,
			.is_head = row->flags & HEAD,
			.is_open = row->flags & OPEN };
		char text[400];

		codec_fake_read(&in, row->in.p, row->in.n, &way, text, sizeof(text));
		ck_assert_msg(strcmp(text, row->want) == 0, "%d (%zu, %zu): [%s], not [%s]", _i,
		    way.first, way.step, text, row->want);
	}
}
END_TEST

/* However many interim heads, they end. */
START_TEST(endless_interims)
{
	static const struct codec codec = { .input = cgihead_input, .eof = cgihead_eof };
	struct cgihead h = { 0 };
	const struct codec_fake_in in = { .codec = &codec, .state = &h };
	const struct split whole = { 0, 0 };
	static const char one[] = "Status: 102\n\n";
	char many[200 * (sizeof(one) - 1)], text[20000];

	for (size_t i = 0; i < 200; i++)
		memcpy(many + i * (sizeof(one) - 1), one, sizeof(one) - 1);
	codec_fake_read(&in, many, sizeof(many), &whole, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "error: too many 1xx heads"));
}
END_TEST

START_TEST(many_fields)
{
	static const struct codec codec = { .input = cgihead_input, .eof = cgihead_eof };
	struct cgihead h = { 0 };
	const struct codec_fake_in in = { .codec = &codec, .state = &h };
	const struct split whole = { 0, 0 };
	char head[3 * 1001 + 1], text[20000];

	for (size_t i = 0; i < 1001; i++)
		memcpy(head + 3 * i, "A:\n", 3);
	head[3 * 1001] = '\n';
	codec_fake_read(&in, head, sizeof(head), &whole, text, sizeof(text));
	ck_assert_str_eq(text, "error: too many fields");
	h = (struct cgihead){ 0 };
	codec_fake_read(&in, head + 3, sizeof(head) - 3, &whole, text, sizeof(text));
	ck_assert_int_eq(memcmp(text, "200 (A=,", 8), 0);
}
END_TEST

/* A long head that comes octet by octet is kept once, not again at each octet. */
START_TEST(long_head)
{
	static const struct codec codec = { .input = cgihead_input, .eof = cgihead_eof };
	struct cgihead h = { 0 };
	const struct codec_fake_in in = { .codec = &codec, .state = &h, .max_head = 70000 };
	const struct split octets = { 0, 1 };
	enum { N = 60000 };
	char *head = malloc(N), *text = malloc(2 * N);

	memset(head, 'x', N);
	head[1] = ':';
	memcpy(head + N - 3, "\n\nb", 3);
	codec_fake_read(&in, head, N, &octets, text, 2 * N);
	ck_assert_uint_eq(strlen(text), N - 5 + strlen("200 (x=) \"b\" end"));
	free(head);
	free(text);
}
END_TEST

Suite *
suite_cgihead(void)
{
	Suite *s = suite_create("cgihead");
	TCase *c = tcase_create("cgihead");

	tcase_add_loop_test(c, responses, 0, UNIT_COUNT(rows));
	tcase_add_test(c, endless_interims);
	tcase_add_test(c, many_fields);
	tcase_add_test(c, long_head);
	suite_add_tcase(s, c);
	return s;
}

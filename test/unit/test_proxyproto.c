#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/unit.h"
#include "worker/proxyproto.h"

Suite *suite_proxyproto(void);

/* A header as text: "192.0.2.1:1 > 198.51.100.1:2 tls", "local", "unix". */
static void
put_peer(char *text, const struct peer *p)
{
	char addr[INET6_ADDRSTRLEN] = "unix";

	if (p->family != AF_UNIX)
		inet_ntop(p->family, p->addr, addr, sizeof(addr));
	sprintf(text + strlen(text), "%s %u", addr, p->port);
}

static void
describe(char *text, const struct proxyproto *p)
{
	text[0] = '\0';
	if (p->is_local) {
		strcpy(text, "local");
		return;
	}
	put_peer(text, &p->client);
	strcat(text, " > ");
	put_peer(text, &p->server);
	if (p->is_tls)
		strcat(text, " tls");
}

struct row {
	struct str in;
	const char *want; /* NULL: it is none */
};
#define ROW(text, result)                                                                          \
	{                                                                                          \
		STR_INIT(text), (result)                                                           \
	}

#define V2  "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\x00\x02\x01\xc6\x33\x64\x01\x00\x50\x01\xbb"
#define IP6                                                                                        \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                               \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34\x00\x50"
#define ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* Each ends where its header ends. */
static const struct row rows[] = {
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80 443\r\n", "192.0.2.1 80 > 198.51.100.1 443"),
	ROW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	    "255.255.255.255 65535 > 255.255.255.255 65535"),
	ROW("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0 > 0.0.0.0 0"),
	ROW("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1 1 > ::1 2"),
	ROW("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 > "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"),
	ROW("PROXY UNKNOWN\r\n", "local"),
	ROW("PROXY UNKNOWN ffff::1 what ever 1 2 3\r\n", "local"),
	ROW(V2 "\x20\x00\0\0", "local"),
	ROW(V2 "\x20\x11\0\x0c" IP4, "local"),
	ROW(V2 "\x20\xff\0\x02!!", "local"),
	ROW(V2 "\x21\x00\0\0", "local"),
	ROW(V2 "\x21\x00\0\x04!!!!", "local"),
	ROW(V2 "\x21\x10\0\x0c" IP4, "local"),
	ROW(V2 "\x21\x11\0\x0c" IP4, "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x12\0\x0c" IP4, "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x21\0\x24" IP6, "2001:db8::1 4660 > ::1 80"),
	ROW(V2 "\x21\x31\0\xd8" ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS, "unix 0 > unix 0"),
	/* vectors: unknown ones are skipped */
	ROW(V2 "\x21\x11\0\x0f" IP4 "\x04\0\0", "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x11\0\x13" IP4 "\x01\0\x01h\x04\0\0", "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x11\0\x14" IP4 "\x20\0\x05\x01\0\0\0\0",
	    "192.0.2.1 80 > 198.51.100.1 443 tls"),
	ROW(V2 "\x21\x11\0\x14" IP4 "\x20\0\x05\x00\0\0\0\0", "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x11\0\x14" IP4 "\x20\0\x05\x02\0\0\0\0", "192.0.2.1 80 > 198.51.100.1 443"),
	ROW(V2 "\x21\x11\0\x17" IP4 "\x20\0\x08\x05\0\0\0\0\x21\0\0",
	    "192.0.2.1 80 > 198.51.100.1 443 tls"),
	ROW(V2 "\x21\x11\0\x10" IP4 "\x20\0\x01\x01", "192.0.2.1 80 > 198.51.100.1 443"),
	/* none */
	ROW("GET / HTTP/1.1\r\n", NULL),
	ROW("PROXX ", NULL),
	ROW("proxy TCP4 192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY\r\n", NULL),
	ROW("PROXY \r\n", NULL),
	ROW("PROXY TCP4\r\n", NULL),
	ROW("PROXY TCP5 192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY tcp4 192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY UNKNOWNX\r\n", NULL),
	ROW("PROXY  TCP4 192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4  192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80 443 \r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80 443 1\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80 443\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 80 443\r\r\n", NULL),
	ROW("PROXY TCP4 2001:db8::1 ::1 1 2\r\n", NULL),
	ROW("PROXY TCP6 192.0.2.1 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.256 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1\0 198.51.100.1 80 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 080 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n", NULL),
	ROW("PROXY TCP4 192.0.2.1 198.51.100.1 a 443\r\n", NULL),
	ROW("PROXY TCP6 fe80::1%lo ::1 1 2\r\n", NULL),
	ROW("\r\n\r\nGET", NULL),
	ROW(V2 "\x22", NULL),
	ROW(V2 "\x11", NULL),
	ROW(V2 "\x00", NULL),
	ROW(V2 "\x21\x11\0\x0b" IP4, NULL),
	ROW(V2 "\x21\x21\0\x0c" IP4, NULL),
	ROW(V2 "\x21\x31\0\x0c" IP4, NULL),
	ROW(V2 "\x21\x41\0\x0c" IP4, NULL),
	ROW(V2 "\x21\x13\0\x0c" IP4, NULL),
	ROW(V2 "\x21\x11\xff\xff", NULL),
	ROW(V2 "\x21\x11\0\x0d" IP4 "\x20", NULL),
	ROW(V2 "\x21\x11\0\x0f" IP4 "\x20\0\x01", NULL),
	ROW(V2 "\x21\x11\0\x14" IP4 "\x20\0\x06\x01\0\0\0\0", NULL),
};

/* In a buffer of exactly n octets. */
static ssize_t
parse(struct str in, size_t n, struct proxyproto *p)
{
	char *buf = malloc(n > 0 ? n : 1);
	ssize_t len;

	memcpy(buf, in.p, n);
	len = proxyproto_parse(buf, n, p);
	free(buf);
	return len;
}

START_TEST(table)
{
	struct str in = rows[_i].in;
	struct proxyproto p;
	char text[200];
	ssize_t len = 0;

	for (size_t n = 0; n < in.n && len == 0; n++)
		len = parse(in, n, &p);
	if (!rows[_i].want) {
		ck_assert_int_le(len, 0);
		ck_assert_msg(parse(in, in.n, &p) == -1, "row %d: %.*s", _i, STR_FMT(in));
		return;
	}
	ck_assert_int_eq(len, 0); /* no part of a header is a header, or none */
	ck_assert_msg(parse(in, in.n, &p) == (ssize_t)in.n, "row %d: %.*s", _i, STR_FMT(in));
	describe(text, &p);
	ck_assert_str_eq(text, rows[_i].want);
}
END_TEST

/* What follows is not looked at. */
START_TEST(length)
{
	struct proxyproto p;

	ck_assert_int_eq(parse(STR("PROXY UNKNOWN\r\nGET /\r\n"), 22, &p), 15);
	ck_assert_int_eq(parse(STR(V2 "\x20\x00\0\0PROXY"), 21, &p), 16);
}
END_TEST

/* A line of version 1 has at most 107 octets; a header of version 2, PROXYPROTO_MAX. */
START_TEST(limits)
{
	struct proxyproto p;
	char buf[PROXYPROTO_MAX + 1];

	memset(buf, 'x', sizeof(buf));
	memcpy(buf, "PROXY UNKNOWN ", 14);
	ck_assert_int_eq(proxyproto_parse(buf, 106, &p), 0);
	ck_assert_int_eq(proxyproto_parse(buf, 107, &p), -1);
	memcpy(buf + 105, "\r\n", 2);
	ck_assert_int_eq(proxyproto_parse(buf, 107, &p), 107);
	memcpy(buf, V2 "\x20\x00\x0f\xf0", 16);
	ck_assert_int_eq(proxyproto_parse(buf, PROXYPROTO_MAX - 1, &p), 0);
	ck_assert_int_eq(proxyproto_parse(buf, PROXYPROTO_MAX + 1, &p), PROXYPROTO_MAX);
	buf[15] = '\xf1';
	ck_assert_int_eq(proxyproto_parse(buf, 16, &p), -1);
}
END_TEST

Suite *
suite_proxyproto(void)
{
	Suite *s = suite_create("proxyproto");
	TCase *c = tcase_create("proxyproto");

	tcase_add_loop_test(c, table, 0, UNIT_COUNT(rows));
	tcase_add_test(c, length);
	tcase_add_test(c, limits);
	suite_add_tcase(s, c);
	return s;
}

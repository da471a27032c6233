#include <arpa/inet.h>
#include <stdio.h>
#include "common/base/forwarded.h"
#include "test/unit/unit.h"

Suite *suite_forwarded(void);

/* An element as text: "192.0.2.1 80 https host", "?" for no address. */
static void
describe(char text[200], const struct forwarded *f)
{
	char addr[INET6_ADDRSTRLEN] = "?";

	if (f->family)
		inet_ntop(f->family, f->addr, addr, sizeof(addr));
	snprintf(text, 200, "%s %u %.*s %.*s", addr, f->port, STR_FMT(f->proto), STR_FMT(f->host));
}

static const struct {
	const char *text, *want; /* NULL: no address */
} node_rows[] = {
	{ "192.0.2.1", "192.0.2.1 0" },
	{ "192.0.2.1:8080", "192.0.2.1 8080" },
	{ "192.0.2.1:_p", "192.0.2.1 0" },
	{ "2001:db8::1", "2001:db8::1 0" },
	{ "[2001:db8::1]", "2001:db8::1 0" },
	{ "[2001:DB8::1]:443", "2001:db8::1 443" },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.1 0" },
	{ "::1", "::1 0" },
	{ "", NULL },
	{ "unknown", NULL },
	{ "_hidden", NULL },
	{ "_hidden:80", NULL },
	{ "localhost", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2.1:", NULL },
	{ "192.0.2.1:x", NULL },
	{ "192.0.2.1:65536", NULL },
	{ "192.0.2.1:80:80", NULL },
	{ "192.0.2.1 ", NULL },
	{ "[192.0.2.1]", NULL },
	{ "[::1", NULL },
	{ "[::1]80", NULL },
	{ "[::1]:", NULL },
	{ "[]", NULL },
	{ "fe80::1%lo", NULL },
	{ "\"192.0.2.1\"", NULL },
	{ "0000000000000000000000000000000000000000000000000000000000000000", NULL },
};

START_TEST(nodes)
{
	struct forwarded f = { 0 };
	char text[200];
	bool good = forwarded_node(str_of(node_rows[_i].text), &f);

	ck_assert_msg(good == !!node_rows[_i].want, "\"%s\"", node_rows[_i].text);
	ck_assert_int_eq(good, f.family != 0);
	if (!good)
		return;
	describe(text, &f);
	ck_assert_msg(str_has_prefix(str_of(text), str_of(node_rows[_i].want)), "%s", text);
}
END_TEST

static const struct {
	const char *value;
	unsigned n;
	const char *want; /* NULL: there is none */
} for_rows[] = {
	{ "192.0.2.1", 0, "192.0.2.1 0  " },
	{ "192.0.2.1", 1, NULL },
	{ "192.0.2.1, 192.0.2.2,192.0.2.3", 0, "192.0.2.3 0  " },
	{ "192.0.2.1, 192.0.2.2,192.0.2.3", 1, "192.0.2.2 0  " },
	{ "192.0.2.1, 192.0.2.2,192.0.2.3", 2, "192.0.2.1 0  " },
	{ "192.0.2.1, 192.0.2.2,192.0.2.3", 3, NULL },
	{ "192.0.2.1,, ,", 0, "192.0.2.1 0  " },
	{ "192.0.2.1, unknown", 0, "? 0  " },
	{ "x, 2001:db8::1", 0, "2001:db8::1 0  " },
	{ "x, [2001:db8::1]:80", 0, "2001:db8::1 80  " },
	{ "", 0, NULL },
	{ ",", 0, NULL },
};

START_TEST(fors)
{
	struct forwarded f;
	char text[200];
	bool good = forwarded_for(str_of(for_rows[_i].value), for_rows[_i].n, &f);

	ck_assert_int_eq(good, for_rows[_i].want != NULL);
	if (!good)
		return;
	describe(text, &f);
	ck_assert_str_eq(text, for_rows[_i].want);
}
END_TEST

static const struct {
	const char *value;
	unsigned n;
	const char *want;
} forwarded_rows[] = {
	/* RFC 7239 4 */
	{ "for=\"_gazonk\"", 0, "? 0  " },
	{ "For=\"[2001:db8:cafe::17]:4711\"", 0, "2001:db8:cafe::17 4711  " },
	{ "for=192.0.2.60;proto=http;by=203.0.113.43", 0, "192.0.2.60 0 http " },
	{ "for=192.0.2.43, for=198.51.100.17", 0, "198.51.100.17 0  " },
	{ "for=192.0.2.43, for=198.51.100.17", 1, "192.0.2.43 0  " },
	{ "for=192.0.2.43, for=198.51.100.17", 2, NULL },
	{ "proto=https;for=192.0.2.1;host=a.example", 0, "192.0.2.1 0 https a.example" },
	{ "host=\"a.example:8080\" ; PROTO=https", 0, "? 0 https a.example:8080" },
	{ "for=\"192.0.2.1:80\"", 0, "192.0.2.1 80  " },
	{ "for=unknown", 0, "? 0  " },
	{ "for=", 0, "? 0  " },
	{ "for", 0, "? 0  " },
	{ "=;;", 0, "? 0  " },
	{ "by=192.0.2.1", 0, "? 0  " },
	/* quoted: commas and semicolons are data, escapes give nothing */
	{ "host=\"a,b;proto=x\";for=192.0.2.1", 0, "192.0.2.1 0  a,b;proto=x" },
	{ "host=\"a\\\"b\";for=192.0.2.1", 0, "192.0.2.1 0  " },
	{ "host=\"a;for=192.0.2.1", 0, "? 0  \"a;for=192.0.2.1" },
	{ "", 0, NULL },
};

START_TEST(forwardeds)
{
	struct forwarded f;
	char text[200];
	bool good = forwarded_nth(str_of(forwarded_rows[_i].value), forwarded_rows[_i].n, &f);

	ck_assert_int_eq(good, forwarded_rows[_i].want != NULL);
	if (!good)
		return;
	describe(text, &f);
	ck_assert_str_eq(text, forwarded_rows[_i].want);
}
END_TEST

Suite *
suite_forwarded(void)
{
	Suite *s = suite_create("forwarded");
	TCase *c = tcase_create("forwarded");

	tcase_add_loop_test(c, nodes, 0, UNIT_COUNT(node_rows));
	tcase_add_loop_test(c, fors, 0, UNIT_COUNT(for_rows));
	tcase_add_loop_test(c, forwardeds, 0, UNIT_COUNT(forwarded_rows));
	suite_add_tcase(s, c);
	return s;
}

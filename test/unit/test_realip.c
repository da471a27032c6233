#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_realip(void);

#define TELL "headers: { set = [ \"X: $client $scheme\" ]; }; respond = \"ok\";"
#define XFF  "X-Forwarded-For: "
#define XFP  "X-Forwarded-Proto: "
#define FWD  "Forwarded: "

/* Trusted: 10.0.0.0/8 and 2001:db8:9::/48. */
static const char xff[] = TELL "realip = \"x-forwarded-for\";";
static const char fwd[] = TELL "realip = \"forwarded\";";
static const char real[] = TELL "realip = \"x-real-ip\";";
static const char off[] = TELL;
static const char deny[] = TELL "realip = \"x-forwarded-for\"; access: { deny = \"192.0.2.7\"; };";
static const char allow[] = TELL "realip = \"x-forwarded-for\"; access: { allow = \"private\"; };";
static const char again[] =
    TELL "realip = \"x-forwarded-for\"; rewrite: { match = \"^/a\"; to = \"/b\"; };";

static const struct row realip_rows[] = {
	/* From others than trusted proxies nothing is believed. */
	{ xff, .peer = "192.0.2.1", .fields = { XFF "198.51.100.9" }, .status = 200, .name = "X",
	    .value = "192.0.2.1 http" },
	{ xff, .peer = "192.0.2.1", .fields = { XFF "198.51.100.9", XFP "https" }, .status = 200,
	    .name = "X", .value = "192.0.2.1 http" },
	{ off, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9" }, .status = 200, .name = "X",
	    .value = "10.0.0.1 http" },
	{ xff, .peer = "10.0.0.1", .fields = { FWD "for=198.51.100.9" }, .status = 200, .name = "X",
	    .value = "10.0.0.1 http" },
	/* The rightmost address that is not trusted. */
	{ xff, .peer = "10.0.0.1", .status = 200, .name = "X", .value = "10.0.0.1 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9" }, .status = 200, .name = "X",
	    .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "203.0.113.1, 198.51.100.9" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "203.0.113.1, 198.51.100.9, 10.3.3.3,10.4.4.4" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "203.0.113.1", XFF "198.51.100.9" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "10.9.9.9, 10.3.3.3" }, .status = 200,
	    .name = "X", .value = "10.9.9.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9:4711" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "2001:db8:9::1", .fields = { XFF "2001:db8::7" }, .status = 200, .name = "X",
	    .value = "2001:db8::7 http" },
	{ xff, .peer = "::ffff:10.0.0.1", .fields = { XFF "::ffff:198.51.100.9" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "[2001:db8::7]:443" }, .status = 200,
	    .name = "X", .value = "2001:db8::7 http" },
	/* What names nobody is nobody: not the proxy, and not what stands to its left. */
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9, unknown" }, .status = 200,
	    .name = "X", .value = ":: http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9," }, .status = 200, .name = "X",
	    .value = ":: http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "" }, .status = 200, .name = "X",
	    .value = ":: http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "\"198.51.100.9, 192.0.2.7" }, .status = 200,
	    .name = "X", .value = "192.0.2.7 http" },
	{ deny, .peer = "10.0.0.1", .fields = { XFF "\", 192.0.2.7" }, .status = 403 },
	{ deny, .peer = "10.0.0.1", .fields = { XFF "\"", XFF "192.0.2.7" }, .status = 403 },
	{ deny, .peer = "10.0.0.1", .fields = { XFF "192.0.2.7, 192.0.2.8" }, .status = 200 },
	{ allow, .peer = "10.0.0.1", .fields = { XFF "unknown" }, .status = 403 },
	{ allow, .peer = "10.0.0.1", .fields = { XFF "10.1.1.1, 192.0.2.8" }, .status = 403 },
	{ allow, .peer = "10.0.0.1", .status = 200 },
	/* The scheme comes from the same hop. */
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9", XFP "https" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 https" },
	{ xff, .peer = "10.0.0.1", .fields = { XFP "HTTPS" }, .status = 200, .name = "X",
	    .value = "10.0.0.1 https" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "203.0.113.1, 198.51.100.9", XFP "https, http" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9, 10.2.2.2", XFP "https, http" },
	    .status = 200, .name = "X", .value = "198.51.100.9 https" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9, 10.2.2.2", XFP "https" },
	    .status = 200, .name = "X", .value = "198.51.100.9 https" },
	{ xff, .peer = "10.0.0.1", .fields = { XFF "198.51.100.9", XFP "gopher" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 http" },
	/* Forwarded */
	{ fwd, .peer = "10.0.0.1", .fields = { FWD "for=198.51.100.9;proto=https;by=10.0.0.1" },
	    .status = 200, .name = "X", .value = "198.51.100.9 https" },
	{ fwd, .peer = "10.0.0.1", .fields = { FWD "For=\"[2001:db8::7]:4711\"" }, .status = 200,
	    .name = "X", .value = "2001:db8::7 http" },
	{ fwd, .peer = "10.0.0.1",
	    .fields = { FWD "for=203.0.113.1;proto=https, for=198.51.100.9;proto=http" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ fwd, .peer = "10.0.0.1",
	    .fields = { FWD "for=198.51.100.9;proto=https, for=10.7.7.7;proto=http" },
	    .status = 200, .name = "X", .value = "198.51.100.9 https" },
	{ fwd, .peer = "10.0.0.1", .fields = { FWD "for=_hidden" }, .status = 200, .name = "X",
	    .value = ":: http" },
	{ fwd, .peer = "10.0.0.1", .fields = { FWD "for=\"", FWD "for=198.51.100.9" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ fwd, .peer = "10.0.0.1", .fields = { FWD "for=198.51.100.9;host=\"a,b;for=10.1.1.1\"" },
	    .status = 200, .name = "X", .value = "198.51.100.9 http" },
	{ fwd, .peer = "192.0.2.1", .fields = { FWD "for=198.51.100.9" }, .status = 200,
	    .name = "X", .value = "192.0.2.1 http" },
	/* X-Real-IP */
	{ real, .peer = "10.0.0.1", .fields = { "X-Real-IP: 198.51.100.9" }, .status = 200,
	    .name = "X", .value = "198.51.100.9 http" },
	{ real, .peer = "192.0.2.1", .fields = { "X-Real-IP: 198.51.100.9" }, .status = 200,
	    .name = "X", .value = "192.0.2.1 http" },
	/* A rewrite runs the hooks again: nothing changes. */
	{ again, .target = "/a", .peer = "10.0.0.1", .fields = { XFF "10.9.9.9", XFP "https" },
	    .status = 200, .name = "X", .value = "10.9.9.9 https" },
	{ again, .target = "/a", .peer = "10.0.0.1", .fields = { XFF "198.51.100.9, unknown" },
	    .status = 200, .name = "X", .value = ":: http" },
};

START_TEST(rows)
{
	rows_check("server: { listen = \"127.0.0.1:8080\"; "
		   "trusted_proxies = [ \"10.0.0.0/8\", \"2001:db8:9::/48\" ]; };",
	    &realip_rows[_i]);
}
END_TEST

/* Hops beyond any sane number end the walk. */
START_TEST(flood)
{
	char field[4096] = XFF "198.51.100.9";
	const char *fields[] = { field, NULL };
	struct lo_request q = { .target = "/", .peer = "10.0.0.1", .fields = fields };
	struct loopback *lo = rows_open("server: { listen = \"127.0.0.1:8080\"; "
					"trusted_proxies = \"10.0.0.0/8\"; };",
	    xff);
	struct lo_response *s;

	for (int i = 0; i < 200; i++)
		strcat(field, ", 10.0.0.1");
	s = lo_send(lo, &q);
	unit_str_eq(lo_field(s, "X"), "10.0.0.1 http");
	lo_close(lo);
}
END_TEST

START_TEST(refused)
{
	rows_refuse("realip = \"cf-connecting-ip\";", true, "cf-connecting-ip", "x-forwarded-for");
}
END_TEST

Suite *
suite_realip(void)
{
	Suite *s = suite_create("realip");
	TCase *t = tcase_create("realip");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(realip_rows));
	tcase_add_test(t, flood);
	tcase_add_test(t, refused);
	suite_add_tcase(s, t);
	return s;
}

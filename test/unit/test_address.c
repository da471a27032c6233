#include "common/base/address.h"
#include "test/unit/unit.h"

Suite *suite_address(void);

static const struct {
	const char *text;
	int port;          /* the default one */
	const char *wants; /* canonical; "!…": what is said */
	const char *host;
	int64_t is_port;
	char kind; /* n numeric, 6 numeric IPv6, u unix, h a name */
} addresses[] = {
	{ "10.0.0.3:80", 0, "10.0.0.3:80", "10.0.0.3", 80, 'n' },
	{ "10.0.0.3", 8080, "10.0.0.3:8080", "10.0.0.3", 8080, 'n' },
	{ "10.0.0.3:1", 8080, "10.0.0.3:1", "10.0.0.3", 1, 'n' },
	{ "[2001:DB8:0:0::0001]:443", 0, "[2001:db8::1]:443", "2001:db8::1", 443, '6' },
	{ "[::1]", 53, "[::1]:53", "::1", 53, '6' },
	{ "App.Example:8080", 0, "app.example:8080", "app.example", 8080, 'h' },
	{ "app.example.:8080", 0, "app.example:8080", "app.example", 8080, 'h' },
	{ "my_app-1:65535", 0, "my_app-1:65535", "my_app-1", 65535, 'h' },
	{ "unix:/run/x.sock", 0, "unix:/run/x.sock", "/run/x.sock", 0, 'u' },
	{ "unix:x.sock", 0, "unix:/base/x.sock", "/base/x.sock", 0, 'u' },
	{ "", 0, "!an address such as", NULL, 0, 0 },
	{ ":80", 0, "!an address such as", NULL, 0, 0 },
	{ "10.0.0.3", 0, "!a port, as in", NULL, 0, 0 },
	{ "10.0.0.3:", 80, "!an address such as", NULL, 0, 0 },
	{ "10.0.0.3:0", 0, "!a port from 1", NULL, 0, 0 },
	{ "10.0.0.3:65536", 0, "!a port from 1", NULL, 0, 0 },
	{ "10.0.0.3:http", 0, "!a port from 1", NULL, 0, 0 },
	{ "10.0.0.256:80", 0, "!an address such as", NULL, 0, 0 },
	{ "10.1:80", 0, "!an address such as", NULL, 0, 0 },
	{ "8080", 80, "!an address such as", NULL, 0, 0 },
	{ "::1:80", 0, "!an IPv6 address in brackets", NULL, 0, 0 },
	{ "2001:db8::1", 80, "!an IPv6 address in brackets", NULL, 0, 0 },
	{ "[::1:80", 0, "!an address such as", NULL, 0, 0 },
	{ "[]:80", 0, "!an address such as", NULL, 0, 0 },
	{ "[10.0.0.3]:80", 0, "!an address such as", NULL, 0, 0 },
	{ "[app]:80", 0, "!an address such as", NULL, 0, 0 },
	{ "[::1]x", 80, "!an address such as", NULL, 0, 0 },
	{ "a..b:80", 0, "!an address such as", NULL, 0, 0 },
	{ ".a:80", 0, "!an address such as", NULL, 0, 0 },
	{ "a b:80", 0, "!an address such as", NULL, 0, 0 },
	{ "a/b:80", 0, "!an address such as", NULL, 0, 0 },
	{ "unix:", 0, "!a path of 1 to 107", NULL, 0, 0 },
	{ "unix:/a\nb", 0, "!a path of 1 to 107", NULL, 0, 0 },
};

START_TEST(test_addresses)
{
	const char *wants = addresses[_i].wants, *why = NULL;
	char kind = addresses[_i].kind;
	struct address out;
	struct arena a;
	bool ok;

	arena_init(&a, NULL, 0);
	ok = address_parse(&a, str_of(addresses[_i].text), "/base", addresses[_i].port, &out, &why);
	ck_assert_msg(ok == (*wants != '!'), "%s: %s", addresses[_i].text, why);
	if (!ok) {
		ck_assert_msg(strstr(why, wants + 1) == why, "%s: %s", addresses[_i].text, why);
	} else {
		unit_str_eq(out.text, wants);
		unit_str_eq(out.host, addresses[_i].host);
		ck_assert_int_eq(out.port, addresses[_i].is_port);
		ck_assert_int_eq(out.is_unix, kind == 'u');
		ck_assert_int_eq(out.is_numeric, kind == 'n' || kind == '6');
		ck_assert_int_eq(out.is_v6, kind == '6');
	}
	arena_fini(&a);
}
END_TEST

/* Longest names and paths, and one octet more. */
START_TEST(test_lengths)
{
	char text[400] = "unix:/";
	struct address out;
	struct arena a;
	const char *why;

	arena_init(&a, NULL, 0);
	memset(text + 6, 'x', 106);
	ck_assert(address_parse(&a, str_n(text, 5 + 107), NULL, 0, &out, &why));
	ck_assert(!address_parse(&a, str_n(text, 5 + 108), NULL, 0, &out, &why));
	ck_assert(!address_parse(&a, STR("unix:x"), NULL, 0, &out, &why));
	ck_assert_ptr_nonnull(strstr(why, "absolute"));
	memset(text, 'x', sizeof(text));
	ck_assert(address_parse(&a, str_n(text, 63), NULL, 80, &out, &why));
	ck_assert(!address_parse(&a, str_n(text, 64), NULL, 80, &out, &why));
	text[63] = text[127] = text[191] = '.';
	ck_assert(address_parse(&a, str_n(text, 253), NULL, 80, &out, &why));
	ck_assert(!address_parse(&a, str_n(text, 254), NULL, 80, &out, &why));
	arena_fini(&a);
}
END_TEST

static const struct {
	const char *text, *scheme, *rest;
} schemes[] = {
	{ "http://a:1", "http", "a:1" },
	{ "FastCGI://unix:/x", "FastCGI", "unix:/x" },
	{ "a:1", "", "a:1" },
	{ "://a", "", "://a" },
	{ "h2c://a", "", "h2c://a" },
	{ "http:/a", "", "http:/a" },
	{ "", "", "" },
};

START_TEST(test_schemes)
{
	struct str text = str_of(schemes[_i].text), scheme = address_scheme(&text);

	unit_str_eq(scheme, schemes[_i].scheme);
	unit_str_eq(text, schemes[_i].rest);
}
END_TEST

/* What follows a NUL is not ignored. */
START_TEST(test_nul)
{
	struct address out;
	struct arena a;
	const char *why;

	arena_init(&a, NULL, 0);
	ck_assert(!address_parse(&a, str_n("10.0.0.3\0:80", 12), NULL, 80, &out, &why));
	ck_assert(!address_parse(&a, str_n("10.0.0.3\0.example:80", 20), NULL, 80, &out, &why));
	ck_assert(!address_parse(&a, str_n("[::1\0::]:80", 11), NULL, 80, &out, &why));
	arena_fini(&a);
}
END_TEST

Suite *
suite_address(void)
{
	Suite *s = suite_create("address");
	TCase *t = tcase_create("address");

	tcase_add_loop_test(t, test_addresses, 0, UNIT_COUNT(addresses));
	tcase_add_test(t, test_lengths);
	tcase_add_loop_test(t, test_schemes, 0, UNIT_COUNT(schemes));
	tcase_add_test(t, test_nul);
	suite_add_tcase(s, t);
	return s;
}

#include "common/config/build.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct {
	const char *text, *one,
	    *two; /* canonical; NULL: not an address, one is then what is said */
	int64_t port;
} addresses[] = {
	{ "8080", "0.0.0.0:8080", "[::]:8080", 8080 },
	{ ":8080", "0.0.0.0:8080", "[::]:8080", 8080 },
	{ "*:80", "0.0.0.0:80", "[::]:80", 80 },
	{ "0.0.0.0:80", "0.0.0.0:80", NULL, 80 },
	{ "[::]:80", "[::]:80", NULL, 80 },
	{ "127.0.0.1:65535", "127.0.0.1:65535", NULL, 65535 },
	{ "[::1]:1", "[::1]:1", NULL, 1 },
	{ "[2001:DB8:0:0::0001]:443", "[2001:db8::1]:443", NULL, 443 },
	{ "[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", NULL, 80 },
	{ "unix:/run/x.sock", "unix:/run/x.sock", NULL, 0 },
	{ "unix:x.sock", "unix:/base/x.sock", NULL, 0 },
	{ "", "!address", NULL, 0 },
	{ "localhost:80", "!write \"127.0.0.1\"", NULL, 0 },
	{ "example.org:80", "!address", NULL, 0 },
	{ "127.0.0.1", "!address", NULL, 0 },
	{ "127.0.0.1:", "!address", NULL, 0 },
	{ "127.0.0.1:0", "!port from 1", NULL, 0 },
	{ "127.0.0.1:65536", "!port from 1", NULL, 0 },
	{ "0", "!port from 1", NULL, 0 },
	{ "127.0.0.1:http", "!address", NULL, 0 },
	{ "127.0.0.256:80", "!address", NULL, 0 },
	{ "127.1:80", "!address", NULL, 0 },
	{ "::1:80", "!in brackets", NULL, 0 },
	{ "[::1]", "!address", NULL, 0 },
	{ "[::1:80", "!address", NULL, 0 },
	{ "[]:80", "!address", NULL, 0 },
	{ "[*]:80", "!address", NULL, 0 },
	{ "[127.0.0.1]:80", "!in brackets", NULL, 0 },
	{ "unix:", "!a path", NULL, 0 },
	{ "unix:/a\nb", "!control", NULL, 0 },
	{ "unix:/"
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	  "8901234567890123456789",
	    "!107", NULL, 0 },
};

START_TEST(test_addresses)
{
	const char *one = addresses[_i].one, *why = NULL;
	struct conf_listen out[2];
	struct arena a;
	unsigned n;

	arena_init(&a, NULL, 0);
	n = listen_parse(&a, str_of(addresses[_i].text), "/base", out, &why);
	if (*one == '!') {
		ck_assert_uint_eq(n, 0);
		ck_assert_msg(strstr(why, one + 1) != NULL, "%s: %s", addresses[_i].text, why);
	} else {
		ck_assert_uint_eq(n, addresses[_i].two ? 2 : 1);
		unit_str_eq(out[0].text, one);
		ck_assert_int_eq(out[0].port, addresses[_i].port);
		ck_assert_int_eq(out[0].is_optional, false);
	}
	if (n == 2) {
		unit_str_eq(out[1].text, addresses[_i].two);
		unit_str_eq(out[1].host, "::");
	}
	arena_fini(&a);
}
END_TEST

static const struct {
	const char *text, *said;
} mistakes[] = {
	{ "server: { listen = [ \"*:80\", \"10.0.0.1:80\", \"[::]:80\" ]; };",
	    "1:45 error: [::]:80 is listened on twice // the first is on line 1\n" },
	{ "server: { listen = ( { address = \"unix:/x\"; mode = \"999\"; },\n"
	  "{ address = \"unix:/y\"; mode = \"4755\"; user = \"no-such-user\"; group = \"root\"; "
	  "},\n"
	  "{ address = \"8080\"; user = \"root\"; site = \"b\"; },\n"
	  "{ backlog = 0; }, \"nonsense\" ); };\nsites = ( { host = \"a\"; } );",
	    "1:22 error: 'mode' wants octal digits such as \"0660\", not \"999\"\n"
	    "2:1 error: 'mode' wants octal digits such as \"0660\", not \"4755\"\n"
	    "2:1 error: there is no user \"no-such-user\" on this machine\n"
	    "3:1 error: no site has the host \"b\"\n"
	    "3:1 error: 'user' and 'group' are for Unix sockets\n"
	    "4:13 error: 'backlog' wants a whole number from 1 to 65535, not the number 0\n"
	    "4:19 error: 'listen' wants an address such as \"127.0.0.1:8080\", \"[::1]:8080\", "
	    "\"*:80\", \"8080\" or \"unix:/run/x.sock\", not \"nonsense\"\n" },
};

START_TEST(test_mistakes)
{
	fake_use();
	fake_says(mistakes[_i].text, mistakes[_i].said);
}
END_TEST

START_TEST(test_options_of_listens)
{
	const struct conf_listen *l;
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "server: { listen = ( { address = \"unix:/x\"; mode = \"0600\"; user = \"root\"; },\n"
	    "{ address = \"8080\"; proxy_protocol = true; site = \"B\"; } ); };\n"
	    "sites = ( { host = \"a\"; }, { host = [ \"c\", \"b\" ]; }, { host = \"*\"; } );");
	ck_assert_uint_eq(conf->nlistens, 3);
	l = &conf->listens[0];
	ck_assert_int_eq(l->family, LISTEN_UNIX);
	unit_str_eq(l->host, "/x");
	ck_assert_int_eq(l->mode, 0600);
	unit_str_eq(l->user, "root");
	ck_assert_str_eq(l->default_site->name, "*");
	ck_assert_int_eq(l->place.col, 22);
	ck_assert(conf->listens[2].proxy_protocol);
	ck_assert_str_eq(conf->listens[2].default_site->name, "c");
	conf_free(conf);
}
END_TEST

/* What follows a NUL is not ignored. */
START_TEST(test_nul)
{
	struct conf_listen out[2];
	struct arena a;
	const char *why;

	arena_init(&a, NULL, 0);
	ck_assert(listen_parse(&a, str_n("10.0.0.3\0:80", 12), "/base", out, &why) == 0);
	ck_assert(listen_parse(&a, str_n("10.0.0.3\0.example:80", 20), "/base", out, &why) == 0);
	ck_assert(listen_parse(&a, str_n("[::1\0::]:80", 11), "/base", out, &why) == 0);
	arena_fini(&a);
}
END_TEST

Suite *
suite_conf_listen(void)
{
	Suite *s = suite_create("conf_listen");
	TCase *t = tcase_create("conf_listen");

	tcase_add_loop_test(t, test_addresses, 0, UNIT_COUNT(addresses));
	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	tcase_add_test(t, test_options_of_listens);
	tcase_add_test(t, test_nul);
	suite_add_tcase(s, t);
	return s;
}

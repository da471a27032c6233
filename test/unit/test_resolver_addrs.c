#include <arpa/inet.h>
#include "modules/gateway/pool/resolver_addrs.h"
#include "test/unit/unit.h"

Suite *suite_resolver_addrs(void);

static void
add(struct resolver_addrs *s, const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	unsigned char addr[16];

	ck_assert_int_eq(inet_pton(family, text, addr), 1);
	resolver_addrs_add(s, family, addr);
}

/* Whatever the order of an answer is, the set is the same. */
START_TEST(test_order)
{
	static const char *const orders[][5] = {
		{ "10.0.0.2", "::1", "10.0.0.1", "2001:db8::1", "10.0.0.2" },
		{ "2001:db8::1", "10.0.0.2", "10.0.0.1", "10.0.0.1", "::1" },
		{ "::1", "2001:db8::1", "10.0.0.1", "10.0.0.2", "::1" },
	};
	static const char *const wants[] = { "10.0.0.1", "10.0.0.2", "::1", "2001:db8::1" };
	static struct resolver_addrs first, s;
	char text[INET6_ADDRSTRLEN];

	memset(&first, 0, sizeof(first));
	for (int i = 0; i < 5; i++)
		add(&first, orders[0][i]);
	memset(&s, 0, sizeof(s));
	for (int i = 0; i < 5; i++)
		add(&s, orders[_i][i]);
	ck_assert_uint_eq(s.n, 4);
	for (unsigned i = 0; i < s.n; i++)
		ck_assert_str_eq(resolver_addrs_text(&s.v[i], text), wants[i]);
	ck_assert(resolver_addrs_equal(&s, &first));
	s.n--;
	ck_assert(!resolver_addrs_equal(&s, &first));
	add(&s, "2001:db8::2");
	ck_assert(!resolver_addrs_equal(&s, &first));
}
END_TEST

START_TEST(test_full)
{
	static struct resolver_addrs s;
	char text[INET6_ADDRSTRLEN];
	unsigned char addr[4] = { 10, 0, 0, 0 };

	memset(&s, 0, sizeof(s));
	for (int i = 0; i < 100; i++) {
		addr[3] = (unsigned char)(200 - i);
		resolver_addrs_add(&s, AF_INET, addr);
	}
	ck_assert_uint_eq(s.n, RESOLVER_ADDRS);
	ck_assert_str_eq(resolver_addrs_text(&s.v[0], text), "10.0.0.101");
	add(&s, "10.0.0.255");
	resolver_addrs_add(&s, AF_UNIX, addr);
	ck_assert_str_eq(resolver_addrs_text(&s.v[RESOLVER_ADDRS - 1], text), "10.0.0.164");
}
END_TEST

Suite *
suite_resolver_addrs(void)
{
	Suite *s = suite_create("resolver_addrs");
	TCase *t = tcase_create("resolver_addrs");

	tcase_add_loop_test(t, test_order, 0, 3);
	tcase_add_test(t, test_full);
	suite_add_tcase(s, t);
	return s;
}

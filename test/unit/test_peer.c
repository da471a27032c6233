/* Addresses of peers: from the kernel's form, and as text. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include "test/unit/unit.h"
#include "worker/peer.h"

Suite *suite_peer(void);

static const struct {
	const char *address, *want; /* NULL: a Unix socket */
	int family;
} rows[] = {
	{ "192.0.2.1", "192.0.2.1", AF_INET },
	{ "0.0.0.0", "0.0.0.0", AF_INET },
	{ "255.255.255.255", "255.255.255.255", AF_INET },
	{ "1.20.0.9", "1.20.0.9", AF_INET },
	{ "2001:db8::1", "2001:db8::1", AF_INET6 },
	{ "::", "::", AF_INET6 },
	{ "::1", "::1", AF_INET6 },
	{ "::ffff:192.0.2.1", "192.0.2.1", AF_INET6 },
	{ NULL, "unix:", AF_UNIX },
};

START_TEST(text)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)rows[_i].family };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct peer p = { 0 };
	struct arena a;

	in->sin_port = htons(80); /* at the same place in both */
	if (rows[_i].address)
		ck_assert_int_eq(inet_pton(rows[_i].family, rows[_i].address,
				     rows[_i].family == AF_INET ? (void *)&in->sin_addr
								: (void *)&in6->sin6_addr),
		    1);
	arena_init(&a, NULL, 0);
	peer_of(&p, &ss);
	unit_str_eq(peer_text(&a, &p), rows[_i].want);
	ck_assert_int_eq(p.port, rows[_i].address ? 80 : 0);
	arena_fini(&a);
}
END_TEST

Suite *
suite_peer(void)
{
	Suite *s = suite_create("peer");
	TCase *c = tcase_create("peer");

	tcase_add_loop_test(c, text, 0, UNIT_COUNT(rows));
	suite_add_tcase(s, c);
	return s;
}

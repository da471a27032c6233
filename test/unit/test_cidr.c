#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include "common/base/cidr.h"

Suite *suite_cidr(void);

static struct arena arena;

static void
setup(void)
{
	arena_init(&arena, NULL, 0);
}

static void
teardown(void)
{
	arena_fini(&arena);
}

static bool
matches(const char *list, const char *addr)
{
	struct str rest = str_of(list);
	struct cidr_set set = { 0 };
	uint8_t octets[16];
	const char *why = NULL;

	while (rest.p) {
		struct str item = str_split(&rest, ' ');

		ck_assert_msg(cidr_add(&set, &arena, item, &why), "%.*s: %s", STR_FMT(item), why);
	}
	if (strcmp(addr, "unix") == 0)
		return cidr_match(&set, AF_UNIX, NULL);
	if (inet_pton(AF_INET, addr, octets) == 1)
		return cidr_match(&set, AF_INET, octets);
	ck_assert_int_eq(inet_pton(AF_INET6, addr, octets), 1);
	return cidr_match(&set, AF_INET6, octets);
}

static const struct {
	const char *list, *addr;
	bool match;
} match_rows[] = {
	{ "192.0.2.7", "192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.8", false },
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "10.0.0.0/9", "10.127.255.255", true },
	{ "10.0.0.0/9", "10.128.0.0", false },
	{ "10.0.0.128/25", "10.0.0.127", false },
	{ "10.0.0.128/25", "10.0.0.128", true },
	{ "10.0.0.254/31", "10.0.0.255", true },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "0.0.0.0/0", "unix", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "203.0.113.9", false },
	{ "::/0", "::ffff:203.0.113.9", false },
	{ "2001:db8::/32", "2001:db8:ffff::1", true },
	{ "2001:db8::/32", "2001:db9::1", false },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.9", true },
	{ "::ffff:192.0.2.0/120", "192.0.2.9", true },
	{ "::ffff:192.0.2.9", "192.0.2.9", true },
	{ "::ffff:0:0/96", "198.51.100.1", true },
	{ "all", "198.51.100.1", true },
	{ "all", "::1", true },
	{ "all", "unix", true },
	{ "ALL", "unix", true },
	{ "unix", "unix", true },
	{ "unix", "127.0.0.1", false },
	{ "loopback", "127.9.9.9", true },
	{ "loopback", "::1", true },
	{ "loopback", "10.0.0.1", false },
	{ "private", "10.1.2.3", true },
	{ "private", "172.31.255.255", true },
	{ "private", "172.32.0.0", false },
	{ "private", "192.168.1.1", true },
	{ "private", "169.254.1.1", true },
	{ "private", "127.0.0.1", true },
	{ "private", "fd00::1", true },
	{ "private", "fe80::1", true },
	{ "private", "::1", true },
	{ "private", "8.8.8.8", false },
	{ "private", "2001:db8::1", false },
	{ "10.0.0.1 10.0.0.2 10.0.0.3 192.0.2.0/24 ::1", "192.0.2.1", true },
	{ "10.0.0.1 10.0.0.2 10.0.0.3 192.0.2.0/24 ::1", "::1", true },
	{ "10.0.0.1 10.0.0.2 10.0.0.3 192.0.2.0/24 ::1", "10.0.0.2", true },
	{ "10.0.0.1 10.0.0.2 10.0.0.3 192.0.2.0/24 ::1", "10.0.0.4", false },
};

START_TEST(match)
{
	bool got = matches(match_rows[_i].list, match_rows[_i].addr);

	ck_assert_msg(got == match_rows[_i].match, "%s in %s: %d", match_rows[_i].addr,
	    match_rows[_i].list, got);
}
END_TEST

static const struct {
	const char *text, *why; /* why: a part of it */
} refused_rows[] = {
	{ "", "an address" },
	{ "localhost", "an address" },
	{ "10.0.0", "an address" },
	{ "10.0.0.256", "an address" },
	{ "10.0.0.0/33", "0 to 32" },
	{ "10.0.0.0/", "0 to 32" },
	{ "10.0.0.0/x", "0 to 32" },
	{ "10.0.0.0/-1", "0 to 32" },
	{ "10.0.0.1/8", "bits behind the prefix" },
	{ "::/129", "0 to 128" },
	{ "2001:db8::1/32", "bits behind the prefix" },
	{ "fe80::1%eth0", "an address" },
	{ "[::1]", "an address" },
	{ " 10.0.0.1", "an address" },
	{ "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0001", "an address" },
};

START_TEST(refused)
{
	struct cidr_set set = { 0 };
	const char *why = NULL;

	ck_assert(!cidr_add(&set, &arena, str_of(refused_rows[_i].text), &why));
	ck_assert_uint_eq(set.n, 0);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(
	    strstr(why, refused_rows[_i].why) != NULL, "%s: %s", refused_rows[_i].text, why);
}
END_TEST

static const struct {
	const char *list, *addr;
	int width;
} narrowest_rows[] = {
	{ "all", "10.0.0.1", 0 },
	{ "all 10.0.0.0/8", "10.0.0.1", 104 },
	{ "10.0.0.1 10.0.0.0/8 all", "10.0.0.1", 128 },
	{ "10.0.0.1 10.0.0.0/8 all", "::ffff:10.0.0.2", 104 },
	{ "10.0.0.0/8", "11.0.0.1", -1 },
	{ "2001:db8::/32 ::/0", "2001:db8::1", 32 },
	{ "0.0.0.0/0 all", "192.0.2.1", 96 },
	{ "all unix", "unix", 96 },
};

START_TEST(narrowest)
{
	struct str rest = str_of(narrowest_rows[_i].list);
	const char *addr = narrowest_rows[_i].addr, *why = NULL;
	struct cidr_set set = { 0 };
	uint8_t octets[16] = { 0 };
	int family = strchr(addr, ':') ? AF_INET6 : strchr(addr, '.') ? AF_INET : AF_UNIX;

	while (rest.p)
		ck_assert(cidr_add(&set, &arena, str_split(&rest, ' '), &why));
	ck_assert(family == AF_UNIX || inet_pton(family, addr, octets) == 1);
	ck_assert_int_eq(cidr_narrowest(&set, family, octets), narrowest_rows[_i].width);
}
END_TEST

/* Growth keeps what is there, whatever the number. */
START_TEST(many)
{
	struct cidr_set set = { 0 };
	const char *why = NULL;
	char text[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
		ck_assert(cidr_add(&set, &arena, str_of(text), &why));
	}
	for (int i = 0; i < 1200; i++) {
		uint8_t octets[4] = { 10, 0, (uint8_t)(i / 256), (uint8_t)(i % 256) };

		ck_assert_int_eq(cidr_match(&set, AF_INET, octets), i < 1000);
	}
}
END_TEST

Suite *
suite_cidr(void)
{
	Suite *s = suite_create("cidr");
	TCase *t = tcase_create("cidr");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, match, 0, sizeof(match_rows) / sizeof(*match_rows));
	tcase_add_loop_test(t, refused, 0, sizeof(refused_rows) / sizeof(*refused_rows));
	tcase_add_loop_test(t, narrowest, 0, sizeof(narrowest_rows) / sizeof(*narrowest_rows));
	tcase_add_test(t, many);
	suite_add_tcase(s, t);
	return s;
}

#include "modules/auth/cache.h"
#include "test/unit/unit.h"

Suite *suite_auth_cache(void);

static void
setup(void)
{
	ck_assert_int_eq(auth_cache_init(), 0);
}

START_TEST(mac)
{
	uint8_t a[AUTH_MAC], b[AUTH_MAC];

	auth_cache_mac(a, 1, STR("ann:secret"));
	auth_cache_mac(b, 1, STR("ann:secret"));
	ck_assert_mem_eq(a, b, AUTH_MAC);
	auth_cache_mac(b, 1, STR("ann:secret "));
	ck_assert_mem_ne(a, b, AUTH_MAC);
	auth_cache_mac(b, 2, STR("ann:secret")); /* another state of the file */
	ck_assert_mem_ne(a, b, AUTH_MAC);
	auth_cache_fini();
	ck_assert_int_eq(auth_cache_init(), 0); /* another key */
	auth_cache_mac(b, 1, STR("ann:secret"));
	ck_assert_mem_ne(a, b, AUTH_MAC);
}
END_TEST

START_TEST(expiry)
{
	uint8_t a[AUTH_MAC], b[AUTH_MAC];

	auth_cache_mac(a, 1, STR("ann:secret"));
	auth_cache_mac(b, 1, STR("bob:secret"));
	ck_assert(!auth_cache_has(a, 1000));
	auth_cache_put(a, 1000, 6000);
	ck_assert(auth_cache_has(a, 1000));
	ck_assert(auth_cache_has(a, 5999));
	ck_assert(!auth_cache_has(a, 6000));
	ck_assert(!auth_cache_has(b, 1000));
	auth_cache_put(a, 7000, 9000);
	ck_assert(auth_cache_has(a, 8000));
	auth_cache_put(b, 8000, 8000); /* no time at all */
	ck_assert(!auth_cache_has(b, 8000));
	auth_cache_fini();
	ck_assert(!auth_cache_has(a, 8000));
	ck_assert_int_eq(auth_cache_init(), 0);
}
END_TEST

/* However many there are, the cache is as large as it is, and the newest of a set is in it. */
START_TEST(bounded)
{
	uint8_t key[AUTH_MAC] = { 0 };
	int found = 0;

	for (int i = 0; i < 100; i++) {
		key[31] = (uint8_t)i;
		auth_cache_put(key, 1000, 2000 + (uint64_t)i);
		ck_assert(auth_cache_has(key, 1000));
	}
	for (int i = 0; i < 100; i++) {
		key[31] = (uint8_t)i;
		found += auth_cache_has(key, 1000);
	}
	ck_assert_int_eq(found, AUTH_CACHE_WAYS);
	auth_cache_put(key, 1000, 5000); /* the same again takes no other's place */
	found = 0;
	for (int i = 0; i < 100; i++) {
		key[31] = (uint8_t)i;
		found += auth_cache_has(key, 1000);
	}
	ck_assert_int_eq(found, AUTH_CACHE_WAYS);
}
END_TEST

Suite *
suite_auth_cache(void)
{
	Suite *s = suite_create("auth_cache");
	TCase *t = tcase_create("auth_cache");

	tcase_add_checked_fixture(t, setup, auth_cache_fini);
	tcase_add_test(t, mac);
	tcase_add_test(t, expiry);
	tcase_add_test(t, bounded);
	suite_add_tcase(s, t);
	return s;
}

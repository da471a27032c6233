/*
 * What ties requests to hosts: keys that tell what they should apart, and the sticky cookie.
 */
#include <stdio.h>
#include "modules/gateway/pool/affinity.h"
#include "test/unit/ask.h"
#include "test/unit/unit.h"

Suite *suite_affinity(void);

static struct ask a;
static struct conf_pool pool;

static const struct cookie_row {
	const char *head;
	uint64_t host;
} cookie_rows[] = {
	{ "Cookie: at=0123456789abcdef\r\n", 0x0123456789abcdef },
	{ "Cookie: x=y; at=00000000000000ff\r\n", 0xff },
	{ "Cookie: x=y;at=00000000000000ff ; z\r\n", 0xff },
	{ "Cookie: x=y\r\nCookie: at=00000000000000ff\r\n", 0xff },
	{ "Cookie: at=first; at=00000000000000ff\r\n", 0 },
	{ "Cookie: bat=00000000000000ff\r\n", 0 },
	{ "Cookie: AT=00000000000000ff\r\n", 0 },
	{ "Cookie: at=00000000000000FF\r\n", 0 },
	{ "Cookie: at=0000000000000ff\r\n", 0 },
	{ "Cookie: at=00000000000000ffa\r\n", 0 },
	{ "Cookie: at=00000000000000f%\r\n", 0 },
	{ "Cookie: at=\r\n", 0 },
	{ "Cookie: at\r\n", 0 },
	{ "X: at=00000000000000ff\r\n", 0 },
};

static void
ask(const char *target, const char *fields)
{
	char head[600];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: www.org\r\n%s\r\n", target, fields);
	ask_open(&a, head);
}

START_TEST(cookie)
{
	const struct cookie_row *row = &cookie_rows[_i];

	pool = (struct conf_pool){ .sticky = STR_INIT("at") };
	ask("/", row->head);
	ck_assert_msg(affinity_host(&pool, &a.r) == row->host, "%s", row->head);
	ask_close(&a);
}
END_TEST

START_TEST(cookie_is_set_unless_it_is_there)
{
	struct bhost host = { .hash = 0xff };
	struct str value;

	pool = (struct conf_pool){ .sticky = STR_INIT("at"), .sticky_max_age = 60000 };
	ask("/", "Cookie: at=00000000000000ff\r\n");
	affinity_set(&pool, &a.r, &host);
	ck_assert(res_field_get(&a.r, HF_SET_COOKIE).p == NULL);
	ask_close(&a);
	ask("/", "Cookie: at=00000000000000fe\r\n");
	affinity_set(&pool, &a.r, &host);
	value = res_field_get(&a.r, HF_SET_COOKIE);
	ck_assert_msg(
	    str_eq(value, STR("at=00000000000000ff; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")),
	    "%.*s", STR_FMT(value));
	ask_close(&a);
}
END_TEST

static uint64_t
key_of(enum pool_key by, const char *name, const char *target, const char *fields)
{
	uint64_t key;

	pool = (struct conf_pool){ .hash_by = (int)by, .hash_name = str_of(name) };
	ask(target, fields);
	key = affinity_key(&pool, &a.r);
	ask_close(&a);
	return key;
}

START_TEST(keys)
{
	ck_assert(key_of(KEY_URI, "", "/a?x=1", "") == key_of(KEY_URI, "", "/a?x=1", "A: b\r\n"));
	ck_assert(key_of(KEY_URI, "", "/a?x=1", "") != key_of(KEY_URI, "", "/a?x=2", ""));
	ck_assert(key_of(KEY_PATH, "", "/a?x=1", "") == key_of(KEY_PATH, "", "/a?x=2", ""));
	ck_assert(key_of(KEY_PATH, "", "/a", "") != key_of(KEY_PATH, "", "/b", ""));
	ck_assert(key_of(KEY_CLIENT, "", "/a", "") == key_of(KEY_CLIENT, "", "/b", ""));
	ck_assert(
	    key_of(KEY_HEADER, "A", "/a", "A: 1\r\n") == key_of(KEY_HEADER, "A", "/b", "a: 1\r\n"));
	ck_assert(
	    key_of(KEY_HEADER, "A", "/a", "A: 1\r\n") != key_of(KEY_HEADER, "A", "/a", "A: 2\r\n"));
	ck_assert(key_of(KEY_COOKIE, "u", "/a", "Cookie: u=1; v=2\r\n") ==
		  key_of(KEY_COOKIE, "u", "/b", "Cookie: v=3; u=1\r\n"));
	ck_assert(key_of(KEY_COOKIE, "u", "/a", "Cookie: u=1\r\n") !=
		  key_of(KEY_COOKIE, "u", "/a", "Cookie: u=2\r\n"));
	/* without the header: by the client, not all to one host by an empty key */
	ck_assert(key_of(KEY_HEADER, "A", "/a", "") == key_of(KEY_COOKIE, "u", "/b", ""));
	ck_assert(key_of(KEY_HEADER, "A", "/a", "") != 0);
}
END_TEST

START_TEST(hash_is_the_same_everywhere)
{
	/* It stands in cookies that clients keep: it must not change with the program. */
	ck_assert(bpool_hash(STR("127.0.0.1:8080"), 1) == bpool_hash(STR("127.0.0.1:8080"), 1));
	ck_assert(bpool_hash(STR("127.0.0.1:8080"), 1) != bpool_hash(STR("127.0.0.1:8081"), 1));
	ck_assert(bpool_hash(STR("127.0.0.1:8080"), 1) != bpool_hash(STR("127.0.0.1:8080"), 2));
	ck_assert_msg(bpool_hash(STR("app"), 0) == 0xd0214f0ab4a567f, "0x%llx",
	    (unsigned long long)bpool_hash(STR("app"), 0));
}
END_TEST

Suite *
suite_affinity(void)
{
	Suite *s = suite_create("affinity");
	TCase *t = tcase_create("affinity");

	tcase_add_loop_test(t, cookie, 0, sizeof(cookie_rows) / sizeof(cookie_rows[0]));
	tcase_add_test(t, cookie_is_set_unless_it_is_there);
	tcase_add_test(t, keys);
	tcase_add_test(t, hash_is_the_same_everywhere);
	suite_add_tcase(s, t);
	return s;
}

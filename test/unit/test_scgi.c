/* SCGI: the netstring taken apart again; the response is tested in test_cgihead.c. */
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/codec_fake.h"
#include "test/unit/unit.h"

Suite *suite_scgi(void);

static struct codec_fake k;
static _Alignas(16) char state[CODEC_STATE];

static void
setup(void)
{
	memset(state, 0, sizeof(state));
}

static void
teardown(void)
{
	codec_fake_fini(&k);
}

/* The next text that ends in a NUL. */
static struct str
next(struct str *rest)
{
	const char *nul = memchr(rest->p, '\0', rest->n);
	struct str s;

	ck_assert_ptr_nonnull(nul);
	s = str_n(rest->p, (size_t)(nul - rest->p));
	*rest = str_n(nul + 1, rest->n - s.n - 1);
	return s;
}

/* The inside of the netstring; *body: what follows it. */
static struct str
netstring(struct str *body)
{
	char *colon;
	size_t n = strtoul(k.sent, &colon, 10);

	ck_assert_int_eq(*colon, ':');
	ck_assert_int_ne(*k.sent, '0');
	ck_assert_uint_lt((size_t)(colon + 1 - k.sent) + n, k.sent_n);
	ck_assert_int_eq(colon[1 + n], ',');
	*body = str_n(colon + n + 2, k.sent_n - n - 2 - (size_t)(colon - k.sent));
	return str_n(colon + 1, n);
}

static struct str
variable(struct str in, const char *name)
{
	struct str found = { NULL, 0 };

	while (in.n > 0) {
		struct str n = next(&in), v = next(&in);

		if (!str_eq(n, str_of(name)))
			continue;
		ck_assert_ptr_null(found.p);
		found = v;
	}
	return found;
}

static void
send_request(const char *fields, const char *octets, size_t n)
{
	const char *why;

	codec_fake_init(&k, "/a?b=c", fields);
	if (octets)
		codec_fake_body(&k, octets, n);
	ck_assert_int_eq(codec_fake_send(&k, &codec_scgi, state, &why), 0);
}

START_TEST(no_body)
{
	struct str body, in, first;

	send_request("X-A: b\n", NULL, 0);
	in = netstring(&body);
	ck_assert_uint_eq(body.n, 0);
	unit_str_eq(variable(in, "SCGI"), "1");
	unit_str_eq(variable(in, "QUERY_STRING"), "b=c");
	unit_str_eq(variable(in, "HTTP_X_A"), "b");
	first = next(&in);
	unit_str_eq(first, "CONTENT_LENGTH");
	unit_str_eq(next(&in), "0");
	unit_str_eq(next(&in), "SCGI");
}
END_TEST

START_TEST(with_body)
{
	struct str body, in;

	send_request("Content-Length: 5\nContent-Type: text/plain\n", "hello", 5);
	in = netstring(&body);
	unit_str_eq(body, "hello");
	unit_str_eq(variable(in, "CONTENT_LENGTH"), "5");
	unit_str_eq(variable(in, "CONTENT_TYPE"), "text/plain");
}
END_TEST

START_TEST(large_body)
{
	enum { N = 200000 };
	char *octets = malloc(N);
	struct str body;

	for (size_t i = 0; i < N; i++)
		octets[i] = (char)(i * 31 + i / 251);
	send_request(NULL, octets, N);
	netstring(&body);
	ck_assert(str_eq(body, str_n(octets, N)));
	free(octets);
}
END_TEST

/* Many lengths of the netstring, so that its prefix has four and five digits. */
START_TEST(prefix)
{
	static const size_t sizes[] = { 100, 9000, 9050, 9100, 9200, 9400, 20000 };
	size_t n = sizes[_i];
	char *fields = malloc(n + 20);
	struct str body, in;

	snprintf(fields, 20, "X-Long: ");
	memset(fields + 8, 'v', n);
	fields[8 + n] = '\0';
	send_request(fields, "hello", 5);
	in = netstring(&body);
	unit_str_eq(body, "hello");
	ck_assert_uint_eq(variable(in, "HTTP_X_LONG").n, n);
	free(fields);
}
END_TEST

/* What is refused is refused before anything is sent. */
START_TEST(refused)
{
	const char *why = NULL;
	char fields[200] = "Connection: ";

	for (int i = 0; i < 33; i++)
		strcat(fields, "a,");
	codec_fake_init(&k, "/", fields);
	ck_assert_int_eq(codec_fake_send(&k, &codec_scgi, state, &why), 400);
	ck_assert_ptr_nonnull(why);
	ck_assert_uint_eq(k.sent_n, 0);
}
END_TEST

START_TEST(nul)
{
	const char *why = NULL;

	codec_fake_init(&k, "/", NULL);
	k.r.user = STR("ann\0HTTP_X\0y");
	ck_assert_int_eq(codec_fake_send(&k, &codec_scgi, state, &why), 400);
	ck_assert_uint_eq(k.sent_n, 0);
}
END_TEST

START_TEST(upgrade)
{
	static const char answer[] = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x81\x01x";
	const struct codec_fake_in in = { .codec = &codec_scgi, .state = state };
	const char *why;
	char text[200];
	struct str body;

	codec_fake_init(&k, "/", "Upgrade: websocket\nConnection: upgrade\n");
	k.q.upgrade = STR("websocket");
	ck_assert_int_eq(codec_fake_send(&k, &codec_scgi, state, &why), 0);
	unit_str_eq(variable(netstring(&body), "HTTP_UPGRADE"), "websocket");
	unit_str_eq(variable(netstring(&body), "HTTP_CONNECTION"), "Upgrade");
	codec_fake_read(
	    &in, answer, sizeof(answer) - 1, &(struct split){ 0, 0 }, text, sizeof(text));
	ck_assert_str_eq(text, "101 (Upgrade=websocket) tunnel \"\x81\x01x\" end");
}
END_TEST

Suite *
suite_scgi(void)
{
	Suite *s = suite_create("scgi");
	TCase *c = tcase_create("scgi");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, no_body);
	tcase_add_test(c, with_body);
	tcase_add_test(c, large_body);
	tcase_add_loop_test(c, prefix, 0, 7);
	tcase_add_test(c, refused);
	tcase_add_test(c, nul);
	tcase_add_test(c, upgrade);
	suite_add_tcase(s, c);
	return s;
}

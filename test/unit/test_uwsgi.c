/* uwsgi: the packet taken apart again, its limits; a response such as uwsgi's. */
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/codec_fake.h"
#include "test/unit/unit.h"

Suite *suite_uwsgi(void);

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

static size_t
number(const char *p)
{
	return (size_t)((unsigned char)p[0] | (unsigned char)p[1] << 8);
}

static struct str
next(struct str *rest)
{
	size_t n = number(rest->p);
	struct str s = str_n(rest->p + 2, n);

	ck_assert_uint_le(n + 2, rest->n);
	*rest = str_n(rest->p + 2 + n, rest->n - 2 - n);
	return s;
}

static struct str
variable(const char *name)
{
	struct str in = { k.sent + 4, number(k.sent + 1) }, found = { NULL, 0 };

	ck_assert_int_eq(k.sent[0], 0);
	ck_assert_int_eq(k.sent[3], 0);
	ck_assert_uint_le(in.n + 4, k.sent_n);
	while (in.n > 0) {
		struct str n = next(&in), v = next(&in);

		if (!str_eq(n, str_of(name)))
			continue;
		ck_assert_ptr_null(found.p);
		found = v;
	}
	return found;
}

START_TEST(packet)
{
	const char *why;

	codec_fake_init(&k, "/a?b=c", "X-A: b\nContent-Length: 5\n");
	codec_fake_body(&k, "hello", 5);
	ck_assert_int_eq(codec_fake_send(&k, &codec_uwsgi, state, &why), 0);
	unit_str_eq(variable("REQUEST_METHOD"), "GET");
	unit_str_eq(variable("HTTP_X_A"), "b");
	unit_str_eq(variable("CONTENT_LENGTH"), "5");
	unit_str_eq(str_n(k.sent + k.sent_n - 5, 5), "hello");
	ck_assert_uint_eq(k.sent_n, 4 + number(k.sent + 1) + 5);
}
END_TEST

/* What a field of n octets gives: the whole packet must not be larger than 65535. */
static int
send_long(size_t n)
{
	char *fields = malloc(n + 10);
	const char *why = NULL;
	int status;

	memcpy(fields, "X-Long: ", 8);
	memset(fields + 8, 'v', n);
	fields[8 + n] = '\0';
	memset(state, 0, sizeof(state));
	codec_fake_init(&k, "/", fields);
	status = codec_fake_send(&k, &codec_uwsgi, state, &why);
	ck_assert(status == 0 || (why && k.sent_n == 0));
	free(fields);
	return status;
}

START_TEST(limit)
{
	size_t rest, most;

	ck_assert_int_eq(send_long(100), 0);
	rest = number(k.sent + 1) - 100;
	codec_fake_fini(&k);
	most = 65535 - rest;
	ck_assert_int_eq(send_long(most), 0);
	ck_assert_uint_eq(number(k.sent + 1), 65535);
	ck_assert_uint_eq(variable("HTTP_X_LONG").n, most);
	codec_fake_fini(&k);
	ck_assert_int_eq(send_long(most + 1), 431);
	codec_fake_fini(&k);
	ck_assert_int_eq(send_long(70000), 431);
}
END_TEST

START_TEST(response)
{
	static const char answer[] = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno";

	codec_fake_init(&k, "/", NULL);
	SPLIT_EACH(way, sizeof(answer) - 1)
	{
		const struct codec_fake_in in = { .codec = &codec_uwsgi, .state = state };
		char text[200];

		memset(state, 0, sizeof(state));
		codec_fake_read(&in, answer, sizeof(answer) - 1, &way, text, sizeof(text));
		ck_assert_str_eq(text, "404 (Content-Type=text/plain) \"no\" end");
	}
}
END_TEST

Suite *
suite_uwsgi(void)
{
	Suite *s = suite_create("uwsgi");
	TCase *c = tcase_create("uwsgi");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, packet);
	tcase_add_test(c, limit);
	tcase_add_test(c, response);
	suite_add_tcase(s, c);
	return s;
}

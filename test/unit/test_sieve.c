/* What of an answer leaves: each field in a final head, an interim one, and a trailer section. */
#include "modules/gateway/codec/sieve.h"
#include "test/unit/ask.h"
#include "test/unit/unit.h"

Suite *suite_sieve(void);

static struct ask a;

enum { NONE = 0, HEADS = SIEVE_HEAD | SIEVE_INTERIM, ALL = HEADS | SIEVE_TRAILERS };

static const struct {
	const char *name;
	int parts; /* in which it is left */
} rows[] = {
	{ "X-App", ALL },
	{ "X", ALL },
	{ "Server-Timing", ALL },
	{ "ETag", ALL },
	{ "Authentication-Info", ALL },
	/* commands to the server */
	{ "X-Accel-Redirect", NONE },
	{ "x-accel-expires", NONE },
	{ "X-Accel-Buffering", NONE },
	{ "X_Accel_Redirect", NONE },
	{ "X-Sendfile", NONE },
	{ "X-SENDFILE2", NONE },
	{ "X-Sendfile-Temporary", NONE },
	{ "X-LIGHTTPD-send-file", NONE },
	{ "X-Reproxy-URL", NONE },
	{ "X-Send-Response-Body", NONE },
	{ "X-Accelerate", ALL },
	/* what the server says itself */
	{ "Date", NONE },
	{ "Server", NONE },
	/* the connection's, and framing */
	{ "Connection", NONE },
	{ "Keep-Alive", NONE },
	{ "Transfer-Encoding", NONE },
	{ "Content-Length", NONE },
	{ "Trailer", SIEVE_HEAD },
	{ "Upgrade", SIEVE_HEAD },
	/* hidden */
	{ "X-Powered-By", NONE },
	{ "x-powered-by", NONE },
	{ "X_Powered_By", NONE },
	/* only in some parts */
	{ "Set-Cookie", SIEVE_HEAD },
	{ "WWW-Authenticate", SIEVE_HEAD },
	{ "Link", HEADS },
	{ "Location", HEADS },
	{ "Content-Type", HEADS },
	{ "Cache-Control", HEADS },
	{ "Access-Control-Allow-Origin", HEADS },
	{ "Strict-Transport-Security", HEADS },
	{ "Set-Cookie2", HEADS },
	{ "Refresh", HEADS },
};

START_TEST(parts)
{
	static const enum sieve_part each[] = { SIEVE_HEAD, SIEVE_INTERIM, SIEVE_TRAILERS };
	struct str name = str_of(rows[_i].name);

	for (int i = 0; i < UNIT_COUNT(each); i++) {
		bool is_left = rows[_i].parts & each[i];
		struct fields f = { 0 };

		ask_open(&a, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		a.gw.hide = ask_names(&a, "X-Powered-By");
		*fields_add(&f, &a.r.arena) = (struct field){ STR("X-A"), STR("1"), HF_OTHER };
		*fields_add(&f, &a.r.arena) =
		    (struct field){ name, STR("v"), (uint8_t)http_field_of(name) };
		*fields_add(&f, &a.r.arena) = (struct field){ STR("X-B"), STR("2"), HF_OTHER };
		sieve_response(&a.r, &a.q, &f, each[i]);
		ck_assert_msg(f.n == (is_left ? 3 : 2), "%s in %d", rows[_i].name, each[i]);
		unit_str_eq(f.v[0].name, "X-A");
		unit_str_eq(f.v[f.n - 1].name, "X-B");
		ask_close(&a);
	}
}
END_TEST

/* References are mapped in both kinds of heads. */
START_TEST(mapped)
{
	struct fields f = { 0 };

	ask_open(&a, "GET /app/x HTTP/1.1\r\nHost: x\r\n\r\n");
	a.gw.path_from = STR("/app");
	a.gw.path_to = STR("/v2");
	*fields_add(&f, &a.r.arena) = (struct field){ STR("Location"), STR("/v2/y"), HF_LOCATION };
	sieve_response(&a.r, &a.q, &f, _i ? SIEVE_INTERIM : SIEVE_HEAD);
	unit_str_eq(f.v[0].value, "/app/y");
	ask_close(&a);
}
END_TEST

Suite *
suite_sieve(void)
{
	Suite *s = suite_create("sieve");
	TCase *c = tcase_create("sieve");

	tcase_add_loop_test(c, parts, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(c, mapped, 0, 2);
	suite_add_tcase(s, c);
	return s;
}

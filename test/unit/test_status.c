/* Which form of the status is sent, and to whom. The forms themselves: test_statusdoc,
 * test_status_html. */
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_status(void);

static const char on[] = "routes = ( { path = \"/status\"; status = true; }, "
			 "{ path = \"/metrics\"; status = true; }, "
			 "{ path = \"/far\"; status: { enabled = true; remote = true; }; } );"
			 "realip = \"x-forwarded-for\";";
static const char server[] = "server: { trusted_proxies = \"127.0.0.1\"; };";

#define HTML       "text/html; charset=utf-8"
#define JSON       "application/json"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define PLAIN      "text/plain; charset=utf-8"
#define ROW(t, accept, type)                                                                       \
	{                                                                                          \
		.target = t, .fields = { accept }, .status = 200, .name = "Content-Type",          \
		.value = type                                                                      \
	}

static const struct row status_rows[] = {
	ROW("/status", NULL, PLAIN),
	ROW("/status", "Accept: */*", PLAIN),
	ROW("/status", "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", HTML),
	ROW("/status", "Accept: application/json", JSON),
	ROW("/status", "Accept: application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.3",
	    PROMETHEUS),
	ROW("/status?format=json", "Accept: text/html", JSON),
	ROW("/status?x=1&format=html", NULL, HTML),
	ROW("/status?format=prometheus&format=html", NULL, PROMETHEUS),
	ROW("/status?format=text", "Accept: text/html", PLAIN),
	ROW("/status?format=xml", "Accept: text/html", HTML),
	ROW("/status?format=", NULL, PLAIN),
	ROW("/status/all.json", "Accept: text/html", JSON),
	ROW("/status/all.txt", "Accept: text/html", PLAIN),
	ROW("/status/metrics", "Accept: text/html", PROMETHEUS),
	ROW("/metrics", "Accept: */*", PROMETHEUS),
	{ .target = "/status", .status = 200, .name = "Vary", .value = "Accept" },
	{ .target = "/status?format=json", .status = 200, .name = "Vary" },
	{ .target = "/status?format=json", .status = 200, .name = "Content-Security-Policy" },
	{ .target = "/status", .status = 200, .name = "Cache-Control", .value = "no-store" },
	{ .target = "/status", .method = "HEAD", .status = 200, .body = "" },
	{ .target = "/status",
	    .method = "POST",
	    .status = 405,
	    .name = "Allow",
	    .value = "GET, HEAD" },
	{ .target = "/status", .peer = "127.9.9.9", .status = 200 },
	{ .target = "/status", .peer = "::1", .status = 200 },
	{ .target = "/status", .peer = "192.0.2.7", .status = 403 },
	{ .target = "/status", .peer = "2001:db8::1", .status = 403 },
	{ .target = "/status", .fields = { "X-Forwarded-For: 192.0.2.7" }, .status = 403 },
	/* resolved, and nobody else's: the proxy and its client are on this machine */
	{ .target = "/status", .fields = { "X-Forwarded-For: 127.0.0.1" }, .status = 200 },
	{ .target = "/status", .fields = { "X-Forwarded-For: ::1", "Via: 1.1 p" }, .status = 200 },
	{ .target = "/status",
	    .fields = { "X-Forwarded-For: 127.0.0.1, 192.0.2.7" },
	    .status = 403 },
	{ .target = "/status", .fields = { "X-Forwarded-For: unknown" }, .status = 403 },
	/* forwarded by whomever: the field that would tell is not there */
	{ .target = "/status", .fields = { "Via: 1.1 p" }, .status = 403 },
	{ .target = "/status", .fields = { "Forwarded: for=127.0.0.1" }, .status = 403 },
	{ .target = "/status", .fields = { "X-Real-IP: 127.0.0.1" }, .status = 403 },
	{ .target = "/status", .fields = { "X-Forwarded-Proto: https" }, .status = 403 },
	{ .target = "/status", .peer = "unix:", .status = 403 },
	{ .target = "/status",
	    .peer = "unix:",
	    .fields = { "X-Forwarded-For: 127.0.0.1" },
	    .status = 403 },
	{ .target = "/far", .fields = { "Via: 1.1 p" }, .status = 200 },
	{ .target = "/far", .peer = "unix:", .status = 200 },
	{ .target = "/far", .peer = "192.0.2.7", .status = 200 },
	{ .target = "/far", .fields = { "X-Forwarded-For: 192.0.2.7" }, .status = 200 },
};

START_TEST(test_rows)
{
	struct loopback *lo = rows_open(server, on);

	rows_send(lo, &status_rows[_i]);
	lo_close(lo);
}
END_TEST

static const struct row unix_rows[] = {
	{ .target = "/status", .peer = "unix:", .status = 403 },
	{ .target = "/status", .peer = "unix:", .fields = { "Via: 1.1 p" }, .status = 403 },
	{ .target = "/status",
	    .peer = "unix:",
	    .fields = { "X-Forwarded-For: 192.0.2.7" },
	    .status = 403 },
	{ .target = "/status",
	    .peer = "unix:",
	    .fields = { "X-Forwarded-For: 127.0.0.1" },
	    .status = 200 },
};

/* Who comes through a Unix socket counts by what a proxy that is believed says. */
START_TEST(test_unix_rows)
{
	struct loopback *lo = rows_open("server: { trusted_proxies = \"unix\"; };", on);

	rows_send(lo, &unix_rows[_i]);
	lo_close(lo);
}
END_TEST

static const struct row plain_rows[] = {
	{ .target = "/status", .status = 200 },
	{ .target = "/status", .fields = { "X-Forwarded-For: 127.0.0.1" }, .status = 403 },
	{ .target = "/status", .fields = { "X-Forwarded-For: 192.0.2.7" }, .status = 403 },
	{ .target = "/status", .fields = { "Via: 1.0 p" }, .status = 403 },
};

/* Nobody is believed: a proxy on this machine does not make its clients local. */
START_TEST(test_plain_rows)
{
	struct loopback *lo =
	    rows_open(NULL, "routes = ( { path = \"/status\"; status = true; } );");

	rows_send(lo, &plain_rows[_i]);
	lo_close(lo);
}
END_TEST

/* Off by default. */
START_TEST(test_off)
{
	static const struct row row = { "", .target = "/status", .status = 404 };

	rows_check(NULL, &row);
}
END_TEST

Suite *
suite_status(void)
{
	Suite *s = suite_create("status");
	TCase *t = tcase_create("status");

	tcase_add_loop_test(t, test_rows, 0, UNIT_COUNT(status_rows));
	tcase_add_loop_test(t, test_unix_rows, 0, UNIT_COUNT(unix_rows));
	tcase_add_loop_test(t, test_plain_rows, 0, UNIT_COUNT(plain_rows));
	tcase_add_test(t, test_off);
	suite_add_tcase(s, t);
	return s;
}

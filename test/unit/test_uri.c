#include <stdio.h>
#include <stdlib.h>

#include "common/base/must.h"
#include "test/unit/unit.h"
#include "worker/uri.h"

Suite *suite_uri(void);

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

struct row {
	enum http_method method;
	struct str target;
	const char
	    *want; /* "scheme host:port path?query", parts that are not there left out; NULL: 400 */
};
#define ROW(method, text, result)                                                                  \
	{                                                                                          \
		M_##method, STR_INIT(text), (result)                                               \
	}

static const struct row rows[] = {
	/* origin-form (RFC 9112 3.2.1) */
	ROW(GET, "/", "/"),
	ROW(GET, "/a", "/a"),
	ROW(GET, "/a/", "/a/"),
	ROW(GET, "/a/b.html", "/a/b.html"),
	ROW(GET, "/a?", "/a?"),
	ROW(GET, "/?a=b", "/?a=b"),
	ROW(GET, "/a?b?c", "/a?b?c"),
	ROW(GET, "/a?/../b//%2e%zz", "/a?/../b//%2e%zz"),
	ROW(GET, "/a:b@c;d=e,f", "/a:b@c;d=e,f"),
	ROW(GET, "/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"),
	ROW(OTHER, "/a", "/a"),
	/* what browsers send besides: printable, and no delimiter */
	ROW(GET, "/a|b^c`d{e}[f]\"<g>\\h", "/a|b^c`d{e}[f]\"<g>\\h"),
	ROW(GET, "/?f[x]={|}^`\"<>\\", "/?f[x]={|}^`\"<>\\"),
	/* a backslash is no slash */
	ROW(GET, "/..\\..\\a", "/..\\..\\a"),
	ROW(GET, "/a\\../b", "/a\\../b"),
	/* decoded once */
	ROW(GET, "/%41%62%63", "/Abc"),
	ROW(GET, "/a%20b", "/a b"),
	ROW(GET, "/caf%C3%A9", "/caf\xc3\xa9"),
	ROW(GET, "/caf%c3%a9", "/caf\xc3\xa9"),
	ROW(GET, "/%ff%80", "/\xff\x80"),
	ROW(GET, "/%25", "/%"),
	ROW(GET, "/%2541", "/%41"),
	ROW(GET, "/%252e%252e/a", "/%2e%2e/a"),
	ROW(GET, "/%3f%23", "/?#"),
	ROW(GET, "/%5c..%5c", "/\\..\\"),
	ROW(GET, "/a%3Fb?c", "/a?b?c"),
	/* RFC 3986 2.2: an encoded slash makes no segment */
	ROW(GET, "/a%2Fb", "/a%2Fb"),
	ROW(GET, "/a%2fb", "/a%2fb"),
	ROW(GET, "/%2F", "/%2F"),
	ROW(GET, "/..%2F..%2Fa", "/..%2F..%2Fa"),
	ROW(GET, "/a/%2F../b", "/a/%2F../b"),
	ROW(GET, "/a%2F/../b", "/b"),
	ROW(GET, "/%252F", "/%2F"),
	/* dot segments (RFC 3986 5.2.4) and double slashes */
	ROW(GET, "/.", "/"),
	ROW(GET, "/./", "/"),
	ROW(GET, "/a/.", "/a/"),
	ROW(GET, "/a/./b", "/a/b"),
	ROW(GET, "/a/..", "/"),
	ROW(GET, "/a/../", "/"),
	ROW(GET, "/a/../b", "/b"),
	ROW(GET, "/a/b/..", "/a/"),
	ROW(GET, "/a/b/../", "/a/"),
	ROW(GET, "/a/b/../c", "/a/c"),
	ROW(GET, "/a/b/../../c", "/c"),
	ROW(GET, "/a/b/c/./../../g", "/a/g"),
	ROW(GET, "//", "/"),
	ROW(GET, "//a", "/a"),
	ROW(GET, "///a///b///", "/a/b/"),
	ROW(GET, "/a//b", "/a/b"),
	ROW(GET, "/a//../b", "/b"),
	ROW(GET, "/a/.//../b", "/b"),
	ROW(GET, "//example.com/..", "/"),
	ROW(GET, "/...", "/..."),
	ROW(GET, "/.../a", "/.../a"),
	ROW(GET, "/..a/b", "/..a/b"),
	ROW(GET, "/a../b", "/a../b"),
	ROW(GET, "/.a", "/.a"),
	ROW(GET, "/.well-known/x", "/.well-known/x"),
	ROW(GET, "/a.", "/a."),
	/* encoded dots are dots */
	ROW(GET, "/a/%2e/b", "/a/b"),
	ROW(GET, "/a/%2E%2e/b", "/b"),
	ROW(GET, "/a/.%2e/b", "/b"),
	ROW(GET, "/a/%2e./b", "/b"),
	ROW(GET, "/a/b/%2e%2e", "/a/"),
	/* leaving the root */
	ROW(GET, "/..", NULL),
	ROW(GET, "/../", NULL),
	ROW(GET, "/../a", NULL),
	ROW(GET, "/a/../..", NULL),
	ROW(GET, "/a/../../b", NULL),
	ROW(GET, "/a/../../a", NULL),
	ROW(GET, "/./../a", NULL),
	ROW(GET, "//../a", NULL),
	ROW(GET, "/a//../../b", NULL),
	ROW(GET, "/%2e%2e/a", NULL),
	ROW(GET, "/%2e%2e", NULL),
	ROW(GET, "/.%2e/a", NULL),
	ROW(GET, "/a/%2e%2e/%2e%2e/b", NULL),
	/* bad escapes, and octets that nobody may send */
	ROW(GET, "/%", NULL),
	ROW(GET, "/%4", NULL),
	ROW(GET, "/a%", NULL),
	ROW(GET, "/a%?b", NULL),
	ROW(GET, "/%zz", NULL),
	ROW(GET, "/%4g", NULL),
	ROW(GET, "/%-1", NULL),
	ROW(GET, "/%u0041", NULL),
	ROW(GET, "/% 41", NULL),
	ROW(GET, "/%00", NULL),
	ROW(GET, "/a%00.html", NULL),
	ROW(GET, "/%0a", NULL),
	ROW(GET, "/%0d%0a", NULL),
	ROW(GET, "/%1f", NULL),
	ROW(GET, "/%7f", NULL),
	ROW(GET, "/%09", NULL),
	ROW(GET, "/a b", NULL),
	ROW(GET, "/a\tb", NULL),
	ROW(GET, "/a\0b", NULL),
	ROW(GET, "/a\nb", NULL),
	ROW(GET, "/a\x7f", NULL),
	ROW(GET, "/caf\xc3\xa9", "/caf\xc3\xa9"),
	ROW(GET, "/a#b", NULL),
	ROW(GET, "/a?b#c", NULL),
	ROW(GET, "/a?b c", NULL),
	ROW(GET, "/a?b\x01", NULL),
	ROW(GET, "/a?b\0", NULL),
	ROW(GET, "/a?\xc3\xa9", "/a?\xc3\xa9"),
	ROW(GET, "#", NULL),
	ROW(GET, "", NULL),
	/* no form at all */
	ROW(GET, "a", NULL),
	ROW(GET, "a/b", NULL),
	ROW(GET, "?a", NULL),
	ROW(GET, ".", NULL),
	ROW(GET, "../a", NULL),
	ROW(GET, "\\a", NULL),
	ROW(GET, "%2Fa", NULL),
	ROW(GET, "example.com", NULL),
	ROW(GET, "example.com:80", NULL),
	/* absolute-form (RFC 9112 3.2.2) */
	ROW(GET, "http://a/", "http a /"),
	ROW(GET, "http://a", "http a /"),
	ROW(GET, "http://a?b", "http a /?b"),
	ROW(GET, "http://a:80/b?c", "http a:80 /b?c"),
	ROW(GET, "http://a:/b", "http a /b"),
	ROW(GET, "HTTP://A.Example/B", "http a.example /B"),
	ROW(GET, "https://a:8443/b/../c", "https a:8443 /c"),
	ROW(GET, "HttpS://a/", "https a /"),
	ROW(GET, "http://[::1]:8080/", "http [::1]:8080 /"),
	ROW(GET, "http://[2001:DB8::A]/", "http [2001:db8::a] /"),
	ROW(GET, "http://a//b", "http a /b"),
	ROW(GET, "http://a./", "http a /"),
	ROW(GET, "http://192.0.2.1/", "http 192.0.2.1 /"),
	ROW(GET, "http://a/../b", NULL),
	ROW(GET, "http://a/%00", NULL),
	ROW(GET, "http://a#b", NULL),
	ROW(GET, "http://a/#b", NULL),
	ROW(GET, "http://a?b#c", NULL),
	ROW(GET, "http://", NULL),
	ROW(GET, "http:///a", NULL),
	ROW(GET, "http://:80/", NULL),
	ROW(GET, "http://?a", NULL),
	ROW(GET, "http:/a", NULL),
	ROW(GET, "http:a", NULL),
	ROW(GET, "http:", NULL),
	ROW(GET, "http", NULL),
	ROW(GET, "http//a", NULL),
	ROW(GET, "http:\\\\a\\", NULL),
	ROW(GET, "http://a\\b/", NULL),
	ROW(GET, "http://u@a/", NULL),
	ROW(GET, "http://u:p@a/", NULL),
	ROW(GET, "http://a@b:80/", NULL),
	ROW(GET, "http://a b/", NULL),
	ROW(GET, "http://a:b/", NULL),
	ROW(GET, "http://a:0/", NULL),
	ROW(GET, "http://a:65536/", NULL),
	ROW(GET, "http://[::1/", NULL),
	ROW(GET, "http://[::1]x/", NULL),
	ROW(GET, "http://[::1%25a]/", NULL),
	ROW(GET, "ftp://a/", NULL),
	ROW(GET, "ws://a/", NULL),
	ROW(GET, "file:///etc/passwd", NULL),
	ROW(GET, "javascript://a/", NULL),
	ROW(GET, "://a/", NULL),
	ROW(GET, "httpx://a/", NULL),
	ROW(GET, " http://a/", NULL),
	/* asterisk-form (RFC 9112 3.2.4) */
	ROW(OPTIONS, "*", "*"),
	ROW(OPTIONS, "/", "/"),
	ROW(OPTIONS, "http://a", "http a *"),
	ROW(OPTIONS, "http://a:81", "http a:81 *"),
	ROW(OPTIONS, "http://a/", "http a /"),
	ROW(OPTIONS, "http://a?", "http a /?"),
	ROW(GET, "*", NULL),
	ROW(HEAD, "*", NULL),
	ROW(OTHER, "*", NULL),
	ROW(OPTIONS, "**", NULL),
	ROW(OPTIONS, "*?a", NULL),
	ROW(OPTIONS, "/*", "/*"),
	/* authority-form (RFC 9112 3.2.3) */
	ROW(CONNECT, "a:443", "a:443 "),
	ROW(CONNECT, "A.Example:443", "a.example:443 "),
	ROW(CONNECT, "[::1]:443", "[::1]:443 "),
	ROW(CONNECT, "a", NULL),
	ROW(CONNECT, "a:", NULL),
	ROW(CONNECT, ":443", NULL),
	ROW(CONNECT, "a:0", NULL),
	ROW(CONNECT, "/", NULL),
	ROW(CONNECT, "*", NULL),
	ROW(CONNECT, "http://a:443/", NULL),
	ROW(CONNECT, "u@a:443", NULL),
	ROW(CONNECT, "a:443/", NULL),
};

static void
describe(char text[200], const struct uri *u)
{
	char port[10] = "";
	int n = 0;

	if (u->port)
		snprintf(port, sizeof(port), ":%u", u->port);
	if (u->scheme.n > 0)
		n = snprintf(text, 200, "%.*s ", STR_FMT(u->scheme));
	if (u->host.n > 0)
		n += snprintf(text + n, 200, "%.*s%s ", STR_FMT(u->host), port);
	n += snprintf(text + n, 200, "%.*s", STR_FMT(u->path));
	if (u->query.p)
		snprintf(text + n, 200, "?%.*s", STR_FMT(u->query));
}

START_TEST(targets)
{
	const struct row *row = &rows[_i];
	struct uri u;
	char text[200] = "";
	int status = uri_parse(row->target, row->method, &arena, &u);

	ck_assert_msg(
	    status == (row->want ? 0 : 400), "\"%.*s\": %d", STR_FMT(row->target), status);
	if (!row->want)
		return;
	describe(text, &u);
	ck_assert_msg(strcmp(text, row->want) == 0, "\"%.*s\": \"%s\", not \"%s\"",
	    STR_FMT(row->target), text, row->want);
	ck_assert_int_eq(u.is_asterisk, str_eq(u.path, STR("*")));
}
END_TEST

/* Every octet as it is, and encoded, in a path and in a query. */
START_TEST(every_octet)
{
	for (unsigned c = 0; c < 256; c++) {
		bool is_ctl = c < 0x20 || c == 0x7f;
		bool is_text = c > ' ' && c != 0x7f && c != '#';
		char text[10];
		struct uri u;

		snprintf(text, sizeof(text), "/a%%%02x", c);
		ck_assert_int_eq(uri_parse(str_n(text, 5), M_GET, &arena, &u), is_ctl ? 400 : 0);
		ck_assert(is_ctl || c == '/' || (u.path.n == 3 && (unsigned char)u.path.p[2] == c));
		text[2] = (char)c;
		ck_assert_int_eq(
		    uri_parse(str_n(text, 3), M_GET, &arena, &u), is_text && c != '%' ? 0 : 400);
		text[1] = '?';
		ck_assert_int_eq(uri_parse(str_n(text, 3), M_GET, &arena, &u), is_text ? 0 : 400);
	}
}
END_TEST

/* What is normal is not copied; raw_path is as received. */
START_TEST(no_copy)
{
	static const char plain[] = "/a/b.c?d", odd[] = "/a/%62//../c?d";
	struct uri u;

	ck_assert_int_eq(uri_parse(str_of(plain), M_GET, NULL, &u), 0);
	ck_assert_ptr_eq(u.path.p, plain);
	ck_assert_ptr_eq(u.query.p, plain + 7);
	ck_assert_int_eq(uri_parse(str_of(odd), M_GET, &arena, &u), 0);
	ck_assert_ptr_eq(u.raw_path.p, odd);
	unit_str_eq(u.raw_path, "/a/%62//../c");
	unit_str_eq(u.path, "/a/c");
	ck_assert_int_eq(uri_parse(STR("/a"), M_GET, NULL, &u), 0);
	ck_assert_ptr_null(u.query.p);
	ck_assert_int_eq(uri_parse(STR("/a?"), M_GET, NULL, &u), 0);
	ck_assert(u.query.p && u.query.n == 0);
}
END_TEST

/* What can be handed on without a look at it. */
static const struct {
	const char *target, *excluded; /* NULL: the same */
	bool is_plain;
} plain_rows[] = {
	{ "/", NULL, true },
	{ "/a/b.c_~!$&'()*+,=:@-?d=e&f/?%zz", NULL, true },
	{ "http://a?b", NULL, true },
	{ "http://a", NULL, true },
	{ "http://a/b", NULL, true },
	{ "/a;b", NULL, false },
	{ "/%61", NULL, false },
	{ "//a", NULL, false },
	{ "/a/../b", NULL, false },
	{ "/.a", NULL, false },
	{ "/a\\b", "/a%5Cb", false },
	{ "/\xc3\xa9%zz?", "/%C3%A9%zz?", false },
	{ "/a?|", "/a?%7C", false },
	{ "/a?\xff", "/a?%FF", false },
	{ "/a?[\"<>\\^`{}]", "/a?%5B%22%3C%3E%5C%5E%60%7B%7D%5D", false },
	{ "http://a?^", "http://a?%5E", false },
};

START_TEST(plain)
{
	struct str target = str_of(plain_rows[_i].target),
		   out = uri_encode_excluded(&arena, target);
	struct uri u;

	unit_str_eq(out, plain_rows[_i].excluded ? plain_rows[_i].excluded : target.p);
	ck_assert(plain_rows[_i].excluded || out.p == target.p);
	if (strstr(target.p, "%zz") && !plain_rows[_i].is_plain)
		return; /* no target */
	ck_assert_int_eq(uri_parse(target, M_GET, &arena, &u), 0);
	ck_assert_int_eq(u.is_plain, plain_rows[_i].is_plain);
	ck_assert(!u.is_plain || u.path.p == u.raw_path.p);
}
END_TEST

/* --- authority --- */

static const struct {
	const char *in, *host; /* host NULL: malformed */
	int port;
} authority_rows[] = {
	{ "", "", 0 },
	{ "a", "a", 0 },
	{ "A", "a", 0 },
	{ "a:80", "a", 80 },
	{ "a:080", "a", 80 },
	{ "a:00080", "a", 80 },
	{ "a:000080", NULL, 0 },
	{ "a:", "a", 0 },
	{ ":80", "", 80 },
	{ ":", "", 0 },
	{ "a:1", "a", 1 },
	{ "a:65535", "a", 65535 },
	{ "a:65536", NULL, 0 },
	{ "a:99999", NULL, 0 },
	{ "a:0", NULL, 0 },
	{ "a:00000", NULL, 0 },
	{ "a:8a", NULL, 0 },
	{ "a:-1", NULL, 0 },
	{ "a:80:", NULL, 0 },
	{ "a::80", NULL, 0 },
	{ "www.Example.COM:443", "www.example.com", 443 },
	{ "example.com.", "example.com", 0 },
	{ "EXAMPLE.com.:80", "example.com", 80 },
	{ "xn--caf-dma.example", "xn--caf-dma.example", 0 },
	{ "a%41b", "a%41b", 0 },
	{ "A%4Ab", "a%4ab", 0 },
	{ "192.0.2.1:8080", "192.0.2.1", 8080 },
	{ "1.2.3.4.5", "1.2.3.4.5", 0 },
	{ "[::]", "[::]", 0 },
	{ "[::1]:", "[::1]", 0 },
	{ "[::FFFF:192.0.2.1]:1", "[::ffff:192.0.2.1]", 1 },
	{ "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", 0 },
	{ "[1:2:3:4:5:6:7:8:9]", NULL, 0 },
	{ "[:::1]", NULL, 0 },
	{ "[::1", NULL, 0 },
	{ "[", NULL, 0 },
	{ "[]", NULL, 0 },
	{ "]", NULL, 0 },
	{ "[::1]]", NULL, 0 },
	{ "[[::1]]", NULL, 0 },
	{ "[::1]80", NULL, 0 },
	{ "[::1].", NULL, 0 },
	{ "[fe80::1%lo]", NULL, 0 },
	{ "[fe80::1%25lo]", NULL, 0 },
	{ "[0000000000000000000000000000000000000000000000001]", NULL, 0 },
	{ "::1", NULL, 0 },
	{ ".", NULL, 0 },
	{ "..", NULL, 0 },
	{ ".a", NULL, 0 },
	{ "a..", NULL, 0 },
	{ "a..b", NULL, 0 },
	{ "a b", NULL, 0 },
	{ "a/", NULL, 0 },
	{ "a@b", NULL, 0 },
	{ "a,b", "a,b", 0 },
	{ "a\"b", NULL, 0 },
	{ "a<b", NULL, 0 },
	{ "a|b", NULL, 0 },
	{ "a\\b", NULL, 0 },
	{ "a^b", NULL, 0 },
	{ "a`b", NULL, 0 },
	{ "a{b}", NULL, 0 },
	{ "a\x80", NULL, 0 },
	{ "a\x01", NULL, 0 },
	{ "a\t", NULL, 0 },
	{ "a%", NULL, 0 },
	{ "a%1", NULL, 0 },
	{ "a%1:80", NULL, 0 },
	{ "a%xy", NULL, 0 },
};

START_TEST(authorities)
{
	struct str host;
	uint16_t port;
	bool good = uri_authority(str_of(authority_rows[_i].in), &arena, &host, &port);

	ck_assert_msg(good == !!authority_rows[_i].host, "\"%s\"", authority_rows[_i].in);
	if (!good)
		return;
	unit_str_eq(host, authority_rows[_i].host);
	ck_assert_int_eq(port, authority_rows[_i].port);
}
END_TEST

START_TEST(authority_nul)
{
	struct str host;
	uint16_t port;

	ck_assert(!uri_authority(STR("a\0b"), &arena, &host, &port));
	ck_assert(!uri_authority(STR("[::1\0]"), &arena, &host, &port));
	ck_assert(!uri_authority(STR("a:8\0"), &arena, &host, &port));
}
END_TEST

/* --- encoding and normalising --- */

static const struct {
	const char *in, *want;
} encode_rows[] = {
	{ "", "" },
	{ "/a/b", "/a/b" },
	{ "/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~" },
	{ "/a b", "/a%20b" },
	{ "/100%", "/100%25" },
	{ "/a?b#c", "/a%3Fb%23c" },
	{ "/caf\xc3\xa9", "/caf%C3%A9" },
	{ "/\"<>\\^`{|}[]", "/%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D" },
	{ "/\r\n\x7f", "/%0D%0A%7F" },
};

START_TEST(encode)
{
	struct str in = str_of(encode_rows[_i].in), out = uri_encode_path(&arena, in);

	unit_str_eq(out, encode_rows[_i].want);
	ck_assert(!str_eq(in, out) || in.p == out.p);
}
END_TEST

static const struct {
	const char *in, *want; /* NULL: refused */
} normal_rows[] = {
	{ "/", "/" },
	{ "", "/" },
	{ "a", "/a" },
	{ "a/../b", "/b" },
	{ "/a/./b//c/", "/a/b/c/" },
	{ "/a/..", "/" },
	{ "/%2e%2e/a", "/%2e%2e/a" },
	{ "/a b?c", "/a b?c" },
	{ "..", NULL },
	{ "/..", NULL },
	{ "/a/../../b", NULL },
	{ "/a\nb", NULL },
	{ "/a\x7f", NULL },
};

START_TEST(normalise)
{
	struct str out;
	bool good = uri_normalise(&arena, str_of(normal_rows[_i].in), &out);

	ck_assert_int_eq(good, normal_rows[_i].want != NULL);
	if (good)
		unit_str_eq(out, normal_rows[_i].want);
}
END_TEST

/* What makes a path odd is found wherever it stands: a long path is looked at in steps. */
static const char *const odd[] = { "a", "/", "_", "-", ".", "//", "/.", "/./", "/../", "/..", "%41",
	"%x", "%00", "%2f", ";", "<", "\\", "~", "!", "@", "[", "`", "{", "#", " ", "\t", "\x7f",
	"\x80", "\xff", "?", "?a=//", "?\x80", "?#" };

START_TEST(odd_anywhere)
{
	enum { LONGEST = 70 };
	char text[LONGEST + 20];
	struct uri alone, u;
	int status;

	snprintf(text, sizeof(text), "/b%sc", odd[_i]);
	status = uri_parse(str_of(text), M_GET, &arena, &alone);
	for (size_t n = 1; n < LONGEST; n++) {
		for (size_t at = 1; at <= n; at++) {
			/* In memory of its own: a step too far is a fault. */
			char *path = must_malloc(n + strlen(odd[_i]) + 2);
			size_t len = n + 1;

			memset(path, 'a', len);
			path[0] = '/';
			memcpy(path + at, "b", 1);
			memmove(path + at + 1 + strlen(odd[_i]), path + at + 1, len - at - 1);
			memcpy(path + at + 1, odd[_i], strlen(odd[_i]));
			len += strlen(odd[_i]);
			ck_assert_int_eq(
			    uri_parse(str_n(path, len), M_GET, &arena, &u) != 0, status != 0);
			if (status == 0) {
				ck_assert_int_eq(u.is_plain, alone.is_plain);
				ck_assert_int_eq(u.query.p != NULL, alone.query.p != NULL);
				/* The last segment of two dots is one only at the end. */
				if (strcmp(odd[_i], "/..") != 0 && strcmp(odd[_i], "/.") != 0)
					ck_assert_int_eq(u.path.p == u.raw_path.p,
					    alone.path.p == alone.raw_path.p);
			}
			arena_reset(&arena);
			free(path);
		}
	}
}
END_TEST

Suite *
suite_uri(void)
{
	Suite *s = suite_create("uri");
	TCase *c = tcase_create("uri");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, targets, 0, UNIT_COUNT(rows));
	tcase_add_test(c, every_octet);
	tcase_add_test(c, no_copy);
	tcase_add_loop_test(c, odd_anywhere, 0, UNIT_COUNT(odd));
	tcase_add_loop_test(c, plain, 0, UNIT_COUNT(plain_rows));
	tcase_add_loop_test(c, authorities, 0, UNIT_COUNT(authority_rows));
	tcase_add_test(c, authority_nul);
	tcase_add_loop_test(c, encode, 0, UNIT_COUNT(encode_rows));
	tcase_add_loop_test(c, normalise, 0, UNIT_COUNT(normal_rows));
	suite_add_tcase(s, c);
	return s;
}

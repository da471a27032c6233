/*
 * Mapping of paths and authorities, both ways.
 */
#include <stdio.h>
#include "modules/gateway/codec/hmap.h"
#include "test/unit/ask.h"
#include "test/unit/unit.h"
#include "worker/uri.h"

Suite *suite_hmap(void);

static struct ask a;

static void
ask(const char *target)
{
	char head[600];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: www.org\r\n\r\n", target);
	ask_open(&a, head);
}

static const struct path_row {
	const char *raw, *from, *to, *path, *rewritten;
} path_rows[] = {
	{ .raw = "/a/b", .path = "/a/b" },
	{ .raw = "/a%2Fb%20c", .path = "/a%2Fb%20c" },
	{ .raw = "/a//b/", .path = "/a//b/" },
	/* dot segments are the way we read them */
	{ .raw = "/a/../b", .path = "/b" },
	{ .raw = "/a/%2e%2E/b%2f", .path = "/b%2f" },
	{ .raw = "/a/./b/.", .path = "/a/b/" },
	{ .raw = "/a/b/..", .path = "/a/" },
	{ .raw = "/a/b//../%63", .path = "/a/%63" },
	{ .raw = "/.../..a/.b", .path = "/.../..a/.b" },
	{ .raw = "/.", .path = "/" },
	/* prefixes */
	{ .raw = "/app/x", .from = "/app", .to = "/", .path = "/x" },
	{ .raw = "/app", .from = "/app", .to = "/", .path = "/" },
	{ .raw = "/app/", .from = "/app", .to = "/", .path = "/" },
	{ .raw = "/app/x", .from = "/app/", .to = "/v2/", .path = "/v2/x" },
	{ .raw = "/app", .from = "/app", .to = "/v2", .path = "/v2" },
	{ .raw = "/apple", .from = "/app", .to = "/", .path = "/apple" },
	{ .raw = "/x", .from = "/", .to = "/base", .path = "/base/x" },
	{ .raw = "/", .from = "/", .to = "/base", .path = "/base/" },
	{ .raw = "/a/b%2Fc", .from = "/a", .to = "/d", .path = "/d/b%2Fc" },
	{ .raw = "/%61pp/x%20y", .from = "/app", .to = "/", .path = "/x%20y" },
	{ .raw = "//app//x", .from = "/app", .to = "/", .path = "/x" },
	{ .raw = "/z/../app/x", .from = "/app", .to = "/", .path = "/x" },
	{ .raw = "/app%2Fx", .from = "/app", .to = "/", .path = "/app%2Fx" },
	/* rewritten: the decoded path counts */
	{ .raw = "/old", .path = "/new%20one", .rewritten = "/new one" },
	{ .raw = "/old",
	    .from = "/new",
	    .to = "/",
	    .path = "/%C3%A4",
	    .rewritten = "/new/\xc3\xa4" },
	{ .raw = "/o%6cd", .path = "/100%25", .rewritten = "/100%" },
};

START_TEST(paths)
{
	const struct path_row *row = &path_rows[_i];

	ask(row->raw);
	a.gw.path_from = str_of(row->from);
	a.gw.path_to = str_of(row->to);
	if (row->rewritten) {
		a.r.path = str_of(row->rewritten);
		a.r.reroutes = 1;
	}
	unit_str_eq(hmap_path(&a.r, &a.gw), row->path);
	ask_close(&a);
}
END_TEST

/* Whatever the path: what the backend reads is what our rules were asked about. */
START_TEST(agrees_with_uri)
{
	static const char *const pieces[] = { "/", "//", "/.", "/..", "/%2e", "/.%2E", "/a",
		"/b%2F", "/%2e.a", "x" };
	enum { N = 10, DEPTH = 4 };
	int seen = 0;

	for (int code = 0; code < 10000; code++) {
		char raw[64] = "/q/r/s";
		struct str path, sent;
		struct uri uri;
		struct arena arena;
		struct request r = { 0 };

		for (int i = 0, c = code; i < DEPTH; i++, c /= N)
			strcat(raw, pieces[c % N]);
		arena_init(&r.arena, NULL, 0);
		arena_init(&arena, NULL, 0);
		if (uri_parse(str_of(raw), M_GET, &arena, &uri) == 0) {
			r.raw_path = str_of(raw);
			r.path = path = uri.path;
			sent = hmap_path(&r, &a.gw);
			ck_assert_int_eq(uri_parse(sent, M_GET, &arena, &uri), 0);
			ck_assert_msg(str_eq(uri.path, path), "%s: %.*s, but %.*s", raw,
			    STR_FMT(path), STR_FMT(sent));
			ck_assert(!memmem(sent.p, sent.n, "/../", 4));
			seen++;
		}
		arena_fini(&r.arena);
		arena_fini(&arena);
	}
	ck_assert_int_gt(seen, 5000);
}
END_TEST

/* --- the way back --- */

static const struct back_row {
	const char *name, *in, *out; /* out NULL: the field is gone */
	const char *from, *to;
	bool is_tls;
} back_rows[] = {
	{ .name = "Location", "/x", "/x" },
	{ .name = "Location", "/x", "/app/x", "/app", "/" },
	{ .name = "Location", "/", "/app/", "/app", "/" },
	{ .name = "Location", "/?q", "/app/?q", "/app", "/" },
	{ .name = "Location", "/v2?q", "/app?q", "/app", "/v2" },
	{ .name = "Location", "/v2/a#f", "/app/a#f", "/app", "/v2" },
	{ .name = "Location", "/v22", "/v22", "/app", "/v2" },
	{ .name = "Location", "/base/x", "/x", "/", "/base" },
	{ .name = "Location", "x/y", "x/y", "/app", "/" },
	{ .name = "Location", "?q", "?q", "/app", "/" },
	{ .name = "Location", "", "", "/app", "/" },
	{ .name = "Location", "mailto:a@b", "mailto:a@b", "/app", "/" },
	{ .name = "Location", "http://app.example:8080/x", "http://www.org/x" },
	{ .name = "Location",
	    "http://APP.example:8080/x",
	    "https://www.org/app/x",
	    "/app",
	    "/",
	    .is_tls = true },
	{ .name = "Location", "HTTP://app.example:8080", "http://www.org/app/", "/app", "/" },
	{ .name = "Location", "http://app.example:8080?q", "http://www.org/?q" },
	{ .name = "Location", "//app.example:8080/x", "//www.org/app/x", "/app", "/" },
	{ .name = "Location", "http://www.org/x", "http://www.org/app/x", "/app", "/" },
	{ .name = "Location", "http://www.org:80/x", "http://www.org:80/app/x", "/app", "/" },
	{ .name = "Location", "https://www.org/x", "https://www.org/x" },
	{ .name = "Location", "http://www.org/x", "http://www.org/x", .is_tls = true },
	{ .name = "Location", "http://other.org/x", "http://other.org/x", "/app", "/" },
	{ .name = "Location", "http://app.example:80/x", "http://app.example:80/x" },
	{ .name = "Location", "http://app.example:8080.evil/x", "http://app.example:8080.evil/x" },
	{ .name = "Content-Location", "/x", "/app/x", "/app", "/" },
	{ .name = "Refresh", "5; url=/x", "5; url=/app/x", "/app", "/" },
	{ .name = "refresh", "5;URL='http://app.example:8080/x'", "5;URL='http://www.org/x'" },
	{ .name = "Refresh", "5", "5", "/app", "/" },
	{ .name = "Set-Cookie",
	    "a=/b; Path=/; HttpOnly",
	    "a=/b; Path=/app/; HttpOnly",
	    "/app",
	    "/" },
	{ .name = "Set-Cookie", "a=b;path=/v2", "a=b; Path=/app", "/app", "/v2" },
	{ .name = "Set-Cookie", "a=b; Path=/v2x", "a=b; Path=/v2x", "/app", "/v2" },
	{ .name = "Set-Cookie",
	    "__Host-a=b; Path=/; Secure",
	    "__Host-a=b; Path=/; Secure",
	    "/app",
	    "/" },
	{ .name = "Set-Cookie", "a=b; Domain=.App.example; Secure", "a=b; Secure" },
	{ .name = "Set-Cookie", "a=b; Domain=example; Path=/", "a=b; Domain=example; Path=/" },
	{ .name = "Set-Cookie", "Path=/; Path=/", "Path=/; Path=/app/", "/app", "/" },
	{ .name = "Set-Cookie", "a=b; Path", "a=b; Path", "/app", "/" },
	{ .name = "X-Location", "/x", "/x", "/app", "/" },
};

START_TEST(back)
{
	const struct back_row *row = &back_rows[_i];
	struct fields f = { 0 };
	struct str name = str_of(row->name);

	ask("/");
	a.q.authority = STR("app.example:8080");
	a.gw.path_from = str_of(row->from);
	a.gw.path_to = str_of(row->to);
	a.r.is_tls = row->is_tls;
	*fields_add(&f, &a.r.arena) = (struct field){ STR("Server"), STR("x"), HF_SERVER };
	*fields_add(&f, &a.r.arena) =
	    (struct field){ name, str_of(row->in), (uint8_t)http_field_of(name) };
	*fields_add(&f, &a.r.arena) = (struct field){ STR("Last"), STR("y"), HF_OTHER };
	hmap_response(&a.r, &a.q, &f);
	ck_assert_uint_eq(f.n, 3);
	unit_str_eq(f.v[2].name, "Last");
	unit_str_eq(f.v[1].value, row->out);
	ask_close(&a);
}
END_TEST

/* Without an authority only paths are mapped; a cookie of many attributes loses none. */
START_TEST(odd)
{
	static const char many[] =
	    "a=b; 1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11; 12; 13; 14; 15; 16; 17; Path=/";
	struct fields f = { 0 };

	ask("/");
	a.gw.path_from = STR("/app");
	a.gw.path_to = STR("/");
	*fields_add(&f, &a.r.arena) =
	    (struct field){ STR("Location"), STR("http:///x"), HF_LOCATION };
	*fields_add(&f, &a.r.arena) =
	    (struct field){ STR("Set-Cookie"), str_of(many), HF_SET_COOKIE };
	hmap_response(&a.r, &a.q, &f);
	unit_str_eq(f.v[0].value, "http:///x");
	unit_str_eq(f.v[1].value, many);
	a.gw.via = true;
	hmap_response(&a.r, &a.q, &f);
	ck_assert_uint_eq(f.n, 2); /* not for other protocols */
	a.pool.protocol = POOL_HTTP;
	hmap_response(&a.r, &a.q, &f);
	ck_assert_uint_eq(f.n, 3);
	unit_str_eq(f.v[2].name, "Via");
	unit_str_eq(f.v[2].value, "1.1 argand");
	ask_close(&a);
}
END_TEST

Suite *
suite_hmap(void)
{
	Suite *s = suite_create("hmap");
	TCase *t = tcase_create("hmap");

	tcase_add_loop_test(t, paths, 0, UNIT_COUNT(path_rows));
	tcase_add_test(t, agrees_with_uri);
	tcase_add_loop_test(t, back, 0, UNIT_COUNT(back_rows));
	tcase_add_test(t, odd);
	suite_add_tcase(s, t);
	return s;
}

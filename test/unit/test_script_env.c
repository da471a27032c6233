/* The environment of a request: each row a request's fields and what comes of them. */
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/codec_fake.h"
#include "test/unit/unit.h"

Suite *suite_script_env(void);

static struct codec_fake k;
static struct script_env env;
static const char *why;

static void
make(const char *target, const char *fields)
{
	codec_fake_init(&k, target, fields);
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
}

static void
teardown(void)
{
	codec_fake_fini(&k);
}

/* The value of a variable; p NULL: there is none. A name stands once. */
static struct str
get(const char *name)
{
	struct str found = { NULL, 0 };
	size_t octets = 0;

	ck_assert_uint_le(env.n, env.room);
	for (unsigned i = 0; i < env.n; i++) {
		octets += env.v[i].name.n + env.v[i].value.n;
		if (!str_eq(env.v[i].name, str_of(name)))
			continue;
		ck_assert_ptr_null(found.p);
		found = env.v[i].value;
	}
	ck_assert_uint_eq(octets, env.octets);
	return found;
}

#define absent(name) ck_assert_ptr_null(get(name).p)

/* --- RFC 3875 4.1, and PHP --- */

START_TEST(plain)
{
	static const char *const want[][2] = {
		{ "GATEWAY_INTERFACE", "CGI/1.1" },
		{ "SERVER_SOFTWARE", "Argand" },
		{ "SERVER_NAME", "example.org" },
		{ "SERVER_ADDR", "198.51.100.1" },
		{ "SERVER_PORT", "8080" },
		{ "SERVER_PROTOCOL", "HTTP/1.1" },
		{ "REQUEST_METHOD", "GET" },
		{ "REQUEST_SCHEME", "http" },
		{ "REQUEST_URI", "/x%20y?b=c%20d" },
		{ "QUERY_STRING", "b=c%20d" },
		{ "DOCUMENT_URI", "/i.php" },
		{ "DOCUMENT_ROOT", "/srv" },
		{ "SCRIPT_NAME", "/i.php" },
		{ "PATH_INFO", "" },
		{ "SCRIPT_FILENAME", "/srv/i.php" },
		{ "REMOTE_ADDR", "192.0.2.7" },
		{ "REMOTE_HOST", "192.0.2.7" },
		{ "REMOTE_PORT", "40000" },
		{ "REDIRECT_STATUS", "200" },
		{ "REQUEST_ID", "000000001234abcd" },
		{ "HTTP_HOST", "Example.org:8080" },
		{ "HTTP_AUTHORIZATION", "Basic eA==" },
	};

	make("/x%20y?b=c%20d", "Host: Example.org:8080\nAuthorization: Basic eA==\n");
	for (int i = 0; i < UNIT_COUNT(want); i++)
		unit_str_eq(get(want[i][0]), want[i][1]);
	ck_assert_uint_eq(env.n, UNIT_COUNT(want));
}
END_TEST

START_TEST(query)
{
	make("/", NULL);
	unit_str_eq(get("QUERY_STRING"), "");
	unit_str_eq(get("REQUEST_URI"), "/");
	absent("HTTP_HOST");
}
END_TEST

START_TEST(path_info)
{
	struct str php = STR(".php");

	codec_fake_init(&k, "/i.php/a/b", NULL);
	k.conf.split = (struct cfg_strs){ .v = &php, .n = 1 };
	k.script.path_info = STR("/a/b");
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("SCRIPT_NAME"), "/i.php");
	unit_str_eq(get("PATH_INFO"), "/a/b");
	unit_str_eq(get("PATH_TRANSLATED"), "/srv/a/b");
	unit_str_eq(get("DOCUMENT_URI"), "/i.php/a/b");
	k.script.path_info = STR("");
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	absent("PATH_INFO");
}
END_TEST

/* An application that is no file: WSGI's SCRIPT_NAME may be empty. */
START_TEST(no_file)
{
	codec_fake_init(&k, "/a", NULL);
	k.script = (struct script){ .name = STR(""), .path_info = STR("/a") };
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("SCRIPT_NAME"), "");
	unit_str_eq(get("PATH_INFO"), "/a");
	absent("SCRIPT_FILENAME");
	absent("DOCUMENT_ROOT");
	absent("PATH_TRANSLATED");
	k.script.path_info = STR("");
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("PATH_INFO"), "");
}
END_TEST

START_TEST(tls)
{
	codec_fake_init(&k, "/", NULL);
	k.r.is_tls = true;
	k.r.version = HTTP_2;
	k.conf.x_forwarded = k.conf.forwarded = true;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("HTTPS"), "on");
	unit_str_eq(get("REQUEST_SCHEME"), "https");
	unit_str_eq(get("HTTP_X_FORWARDED_PROTO"), "https");
	unit_str_eq(get("REMOTE_ADDR"), "192.0.2.7");
	unit_str_eq(get("HTTP_X_FORWARDED_FOR"), "192.0.2.7");
	unit_str_eq(get("HTTP_X_FORWARDED_HOST"), "example.org:8080");
	unit_str_eq(get("HTTP_FORWARDED"), "for=192.0.2.7;host=\"example.org:8080\";proto=https");
	unit_str_eq(get("SERVER_PROTOCOL"), "HTTP/2.0");
	unit_str_eq(get("SERVER_PORT"), "8080");
}
END_TEST

/* A listener on all addresses does not tell which of them the client has reached. */
START_TEST(any_address)
{
	static const struct conf_listen any[] = { { .host = STR_INIT("0.0.0.0"), .port = 80 },
		{ .host = STR_INIT("::"), .port = 80 } };

	codec_fake_init(&k, "/", NULL);
	k.r.listen = &any[_i];
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("SERVER_ADDR"), "198.51.100.9");
}
END_TEST

/* Behind a proxy the port is the client's: what Host says, or the scheme's. */
static const struct {
	const char *host, *want;
	uint16_t port;
	bool is_tls;
} ports[] = {
	{ "Host: a", "80", 8080, false },
	{ "Host: a", "443", 8080, true },
	{ "Host: a:8080", "8080", 8080, true },
	{ "Host: a:99", "99", 99, false },
	{ "Host: [::1]", "443", 8080, true },
	{ "Host: [::1]:8080", "8080", 8080, true },
	{ "", "443", 0, true },
};

START_TEST(proxied)
{
	codec_fake_init(&k, "/", ports[_i].host);
	k.r.via.addr[3] = 99;
	k.r.port = ports[_i].port;
	k.r.is_tls = ports[_i].is_tls;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("SERVER_PORT"), ports[_i].want);
}
END_TEST

START_TEST(user)
{
	make("/", "Authorization: Basic eA==\n");
	absent("REMOTE_USER");
	absent("AUTH_TYPE");
	codec_fake_fini(&k);
	codec_fake_init(&k, "/", "Authorization: Basic eA==\n");
	k.r.user = STR("ann");
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("REMOTE_USER"), "ann");
	unit_str_eq(get("AUTH_TYPE"), "Basic");
}
END_TEST

START_TEST(content)
{
	codec_fake_init(&k, "/", "Content-Type: a/b\nContent-Length: 7\n");
	k.r.length = k.q.length = 7;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("CONTENT_TYPE"), "a/b");
	unit_str_eq(get("CONTENT_LENGTH"), "7");
	absent("HTTP_CONTENT_TYPE");
	absent("HTTP_CONTENT_LENGTH");
	codec_fake_fini(&k);
	/* chunked: the length is known when the body was spooled */
	codec_fake_init(&k, "/", "Transfer-Encoding: chunked\n");
	k.r.length = -1;
	k.q.length = 0;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("CONTENT_LENGTH"), "0");
	absent("HTTP_TRANSFER_ENCODING");
	codec_fake_fini(&k);
	make("/", NULL);
	absent("CONTENT_LENGTH");
	absent("CONTENT_TYPE");
}
END_TEST

/* RFC 9112 3.2.2: the authority of the target outranks Host. */
START_TEST(absolute_form)
{
	make("http://other.example/a?b", "Host: example.org\n");
	unit_str_eq(get("HTTP_HOST"), "other.example");
	unit_str_eq(get("SERVER_NAME"), "other.example");
	unit_str_eq(get("REQUEST_URI"), "/a?b");
	codec_fake_fini(&k);
	make("http://Other.example:8080?a", "Host: example.org\n");
	unit_str_eq(get("HTTP_HOST"), "Other.example:8080");
	codec_fake_fini(&k);
	make("http://[::1]/", NULL);
	unit_str_eq(get("HTTP_HOST"), "[::1]");
}
END_TEST

START_TEST(error_page)
{
	codec_fake_init(&k, "/", NULL);
	k.r.is_error_page = true;
	k.r.error_status = 404;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("REDIRECT_STATUS"), "404");
}
END_TEST

/* --- fields --- */

static const struct {
	const char *fields;
	const char *want[3]; /* "NAME=value"; "NAME" is absent */
	bool any;            /* field_names */
} rows[] = {
	{ .fields = "X-A: b", { "HTTP_X_A=b" } },
	{ .fields = "x-a-1: b", { "HTTP_X_A_1=b" } },
	{ .fields = "X-A:", { "HTTP_X_A=" } },
	{ .fields = "A.B~c: d", { "HTTP_A_B_C" } },
	{ .fields = "X_A: b", { "HTTP_X_A" } },
	/* RFC 9110 5.3 */
	{ .fields = "X-A: b\nX-a: c\nX-A: d", { "HTTP_X_A=b, c, d" } },
	{ .fields = "X-A:\nX-A: c\nX-A:", { "HTTP_X_A=, c, " } },
	{ .fields = "Accept: a\nX: y\nAccept: b\nAccept: c",
	    { "HTTP_ACCEPT=a, b, c", "HTTP_X=y" } },
	{ .fields = "Cookie: a=b\nCookie: c=d\nCookie: e=f", { "HTTP_COOKIE=a=b; c=d; e=f" } },
	/* two names, one variable */
	{ .fields = "X-A: b\nX_A: c", { "HTTP_X_A=b" } },
	{ .fields = "X-A: b\nX-A: c\nX.A: d", { "HTTP_X_A=b, c" } },
	{ .fields = "User.Agent: a\nUser-Agent: b", { "HTTP_USER_AGENT=b" } },
	/* names of all sorts: the plain one first, then the first one */
	{ .fields = "A.B~c: d", { "HTTP_A_B_C=d" }, true },
	{ .fields = "X_A: b", { "HTTP_X_A=b" }, true },
	{ .fields = "X-A: b\nX_A: c", { "HTTP_X_A=b" }, true },
	{ .fields = "X_A: b\nX-A: c", { "HTTP_X_A=c" }, true },
	{ .fields = "X_A: b\nX.A: c\nx_a: d", { "HTTP_X_A=b, d" }, true },
	{ .fields = "X-Forwarded-For: a\nX_Forwarded_For: b", { "HTTP_X_FORWARDED_FOR" }, true },
	{ .fields = "X-Forwarded_For: a\nX_Forwarded-For: b", { "HTTP_X_FORWARDED_FOR" }, true },
	{ .fields = "User.Agent: a\nUser-Agent: b", { "HTTP_USER_AGENT=b" }, true },
	{ .fields = "User_Agent: a", { "HTTP_USER_AGENT" }, true },
	{ .fields = "Transfer_Encoding: chunked", { "HTTP_TRANSFER_ENCODING" }, true },
	{ .fields = "Content_Length: 5\nContent-Type: a",
	    { "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH", "CONTENT_TYPE=a" },
	    true },
	{ .fields = "Content_Type: a", { "HTTP_CONTENT_TYPE", "CONTENT_TYPE" }, true },
	/* not passed on */
	{ .fields = "Proxy: http://evil/", { "HTTP_PROXY" } },
	{ .fields = "pROXY: x\nX-A: b", { "HTTP_PROXY", "HTTP_X_A=b" } },
	{ .fields = "Proxy-Foo: x\nHTTP2-Settings: AAA",
	    { "HTTP_PROXY_FOO", "HTTP_HTTP2_SETTINGS" } },
	{ .fields = "Connection: close\nKeep-Alive: x\nTE: trailers",
	    { "HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_TE" } },
	{ .fields = "Proxy-Authorization: x\nUpgrade: y\nExpect: 100-continue",
	    { "HTTP_PROXY_AUTHORIZATION", "HTTP_UPGRADE", "HTTP_EXPECT" } },
	/* RFC 9110 7.6.1 */
	{ .fields = "Connection: close, X-A\nX-A: b\nX-B: c", { "HTTP_X_A", "HTTP_X_B=c" } },
	{ .fields = "Connection: Cookie\nConnection: x-b\nCookie: a\nX-B: c",
	    { "HTTP_COOKIE", "HTTP_X_B" } },
	{ .fields = "Connection: Content-Type\nContent-Type: a",
	    { "CONTENT_TYPE", "HTTP_CONTENT_TYPE" } },
	{ .fields = "Connection: keep-alive\nX-A: b", { "HTTP_X_A=b" } },
	/* a route's name for a client's authority */
	{ .fields = "Host: a.example", { "HTTP_HOST=a.example", "SERVER_NAME=example.org" } },
};

START_TEST(of_fields)
{
	codec_fake_init(&k, "/", rows[_i].fields);
	k.conf.field_names = rows[_i].any ? FIELD_NAMES_ANY : FIELD_NAMES_PLAIN;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	for (int i = 0; i < 3 && rows[_i].want[i]; i++) {
		char name[100];
		const char *value = strchr(rows[_i].want[i], '=');

		snprintf(name, sizeof(name), "%s", rows[_i].want[i]);
		name[strcspn(name, "=")] = '\0';
		if (value)
			unit_str_eq(get(name), value + 1);
		else
			absent(name);
	}
}
END_TEST

/* Every field with a row has the variable that its name maps to, or none. */
START_TEST(names)
{
	for (unsigned id = 1; id < HF_MAX; id++) {
		struct str name = http_field_name((enum http_field)id);
		char fields[100], want[100];

		snprintf(fields, sizeof(fields), "%.*s: v", STR_FMT(name));
		snprintf(want, sizeof(want), "HTTP_%.*s", STR_FMT(name));
		for (char *p = want; *p; p++)
			*p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		make("/", fields);
		for (unsigned i = 0; i < env.n; i++)
			ck_assert(!str_has_prefix(env.v[i].name, STR("HTTP_")) ||
				  str_eq(env.v[i].name, str_of(want)));
		codec_fake_fini(&k);
	}
	make("/", NULL);
}
END_TEST

/* As many fields as a head can have, all of different names, then each of them twice. */
START_TEST(many)
{
	char *fields = malloc(20000), *p = fields;

	for (int i = 0; i < 254; i++)
		p += sprintf(p, "X-%d: %d\n", _i ? i / 2 : i, i);
	make("/", fields);
	unit_str_eq(get(_i ? "HTTP_X_126" : "HTTP_X_253"), _i ? "252, 253" : "253");
	unit_str_eq(get("HTTP_X_0"), _i ? "0, 1" : "0");
	free(fields);
}
END_TEST

/* --- additions --- */

static void
add(struct gateway_pair *pair, const char *name, const char *value)
{
	const char *hint;

	*pair = (struct gateway_pair){ .name = str_of(name), .value = str_of(value) };
	ck_assert(template_compile(&pair->text, &k.r.arena, pair->value, 0, &why, &hint));
}

START_TEST(added)
{
	struct gateway_pair pairs[3];
	struct field given[2] = { { .name = STR("AUTH_GROUP"), .value = STR("staff") },
		{ .name = STR("REMOTE_USER"), .value = STR("bob") } };
	struct fields variables = { .v = given, .n = 2, .room = 2 };

	codec_fake_init(&k, "/a?b", "X-Remote-User: mallory\n");
	k.r.user = STR("ann");
	add(&pairs[0], "HTTP_X_REMOTE_USER", "$user");
	add(&pairs[1], "APP_ENV", "production");
	add(&pairs[2], "SERVER_PORT", "443");
	k.conf.environment = (struct cfg_records){ .v = pairs, .n = 3 };
	k.q.variables = &variables;
	ck_assert_int_eq(script_env_make(&env, &k.q, &why), 0);
	unit_str_eq(get("HTTP_X_REMOTE_USER"), "ann");
	unit_str_eq(get("APP_ENV"), "production");
	unit_str_eq(get("SERVER_PORT"), "443");
	unit_str_eq(get("AUTH_GROUP"), "staff");
	unit_str_eq(get("REMOTE_USER"), "bob");
	unit_str_eq(env.v[env.n - 1].name, "APP_ENV");
}
END_TEST

/* A retry gets the same. */
START_TEST(again)
{
	struct script_env second;

	make("/a?b", "Host: a\nX-A: b\nX-A: c\nCookie: d\n");
	ck_assert_int_eq(script_env_make(&second, &k.q, &why), 0);
	ck_assert_uint_eq(env.n, second.n);
	ck_assert_uint_eq(env.octets, second.octets);
	for (unsigned i = 0; i < env.n; i++) {
		ck_assert(str_eq(env.v[i].name, second.v[i].name));
		ck_assert(str_eq(env.v[i].value, second.v[i].value));
	}
}
END_TEST

Suite *
suite_script_env(void)
{
	Suite *s = suite_create("script_env");
	TCase *c = tcase_create("script_env");

	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_test(c, plain);
	tcase_add_test(c, query);
	tcase_add_test(c, path_info);
	tcase_add_test(c, no_file);
	tcase_add_test(c, tls);
	tcase_add_loop_test(c, any_address, 0, 2);
	tcase_add_loop_test(c, proxied, 0, UNIT_COUNT(ports));
	tcase_add_test(c, user);
	tcase_add_test(c, content);
	tcase_add_test(c, absolute_form);
	tcase_add_test(c, error_page);
	tcase_add_loop_test(c, of_fields, 0, UNIT_COUNT(rows));
	tcase_add_test(c, names);
	tcase_add_loop_test(c, many, 0, 2);
	tcase_add_test(c, added);
	tcase_add_test(c, again);
	suite_add_tcase(s, c);
	return s;
}

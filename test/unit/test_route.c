#include <stdlib.h>

#include "common/base/http.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const char hosts_conf[] =
    "sites = ( { host = \"first.org\"; }, { host = [ \"a.org\", \"*.a.org\" ]; },\n"
    "  { host = \"*.deep.a.org\"; }, { host = \"x.deep.a.org\"; }, { host = \"[::1]\"; },\n"
    "  { host = [ \"*\", \"10.0.0.1\" ]; }, { host = \"*.org\"; } );\n";

static const struct {
	const char *host, *site;
} hosts[] = {
	{ "first.org", "first.org" },
	{ "FIRST.org", "first.org" },
	{ "first.org.", "first.org" },
	{ "a.org", "a.org" },
	{ "b.a.org", "a.org" },
	{ "c.b.a.org", "a.org" },
	{ "deep.a.org", "a.org" },
	{ "y.deep.a.org", "*.deep.a.org" },
	{ "Z.Y.Deep.A.Org", "*.deep.a.org" },
	{ "x.deep.a.org", "x.deep.a.org" },
	{ "z.x.deep.a.org", "*.deep.a.org" },
	{ "other.org", "*.org" },
	{ "aa.org", "*.org" },
	{ "org", "*" },
	{ ".org", "*" },
	{ ".a.org", "*.org" },
	{ "example.com", "*" },
	{ "10.0.0.1", "*" },
	{ "[::1]", "[::1]" },
	{ "", "*" },
	{ ".", "*" },
};

START_TEST(test_hosts)
{
	struct conf *conf;
	char big[300];

	fake_use();
	conf = fake_load(hosts_conf);
	ck_assert_str_eq(
	    conf_site(conf, &conf->listens[0], str_of(hosts[_i].host))->name, hosts[_i].site);
	ck_assert_str_eq(conf_site(conf, NULL, str_of(hosts[_i].host))->name,
	    strcmp(hosts[_i].site, "*") != 0          ? hosts[_i].site
	    : strcmp(hosts[_i].host, "10.0.0.1") == 0 ? "*"
						      : "first.org");
	memset(big, '.', sizeof(big)); /* longer than any name: not even looked at */
	memcpy(big + sizeof(big) - 6, ".a.org", 6);
	ck_assert_str_eq(conf_site(conf, &conf->listens[0], str_n(big, sizeof(big)))->name, "*");
	conf_free(conf);
}
END_TEST

/* Many sites: every one is found, and nothing else. */
START_TEST(test_many_hosts)
{
	char *text = malloc(200000), name[40];
	struct conf *conf;
	size_t n = 0;

	fake_use();
	n += (size_t)sprintf(text, "sites = (");
	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(
		    text + n, "%s { host = [ \"h%d.org\", \"*.w%d.net\" ]; }", i ? "," : "", i, i);
	sprintf(text + n, ");");
	conf = fake_load(text);
	for (unsigned i = 0; i < 1000; i++) {
		sprintf(name, "h%u.org", i);
		ck_assert_uint_eq(conf_site(conf, NULL, str_of(name))->index, i);
		sprintf(name, "x.y.w%u.net", i);
		ck_assert_uint_eq(conf_site(conf, NULL, str_of(name))->index, i);
		sprintf(name, "x.h%u.org", i);
		ck_assert_uint_eq(conf_site(conf, NULL, str_of(name))->index, 0);
	}
	conf_free(conf);
	free(text);
}
END_TEST

static const char routes_conf[] =
    "sites = ( { host = \"a\"; routes = (\n"
    "  { path = \"/static/\"; }, { exact = \"/x\"; methods = [ \"GET\", \"POST\" ]; },\n"
    "  { path = \"/api/v1\"; methods = \"PUT\"; }, { path = \"/api\"; },\n"
    "  { regex = \"\\\\.php$\"; } %s ); } );\n";

static const struct {
	int method;
	const char *path, *label;
} routes[] = {
	{ M_GET, "/static", "/static" },
	{ M_GET, "/static/", "/static" },
	{ M_GET, "/static/x/y", "/static" },
	{ M_GET, "/statics", "/" },
	{ M_GET, "/x", "= /x GET,POST" },
	{ M_HEAD, "/x", "= /x GET,POST" },
	{ M_POST, "/x", "= /x GET,POST" },
	{ M_PUT, "/x", "/" },
	{ M_OTHER, "/x", "/" },
	{ M_GET, "/x/", "/" },
	{ M_GET, "/x/y", "/" },
	{ M_PUT, "/api/v1/z", "/api/v1 PUT" },
	{ M_GET, "/api/v1/z", "/api" },
	{ M_PUT, "/api/v2", "/api" },
	{ M_OTHER, "/api", "/api" },
	{ M_GET, "/q/index.php", "~ \\.php$" },
	{ M_GET, "/static/a.php", "/static" },
	{ M_GET, "/a.phpx", "/" },
	{ M_GET, "/", "/" },
	{ M_GET, "/STATIC", "/" },
};

/* In a site of few routes, and in one that has an index. */
START_TEST(test_routes)
{
	static const char *const more[] = { "", ", { path = \"/m1\"; }, { exact = \"/m2\"; }, { "
						"path = \"/m3\"; }, { path = \"/m4\"; },"
						"{ path = \"/x/y/z\"; }" };
	char text[1000];
	struct conf *conf;
	int i;

	fake_use();
	for (i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), routes_conf, more[i]);
		conf = fake_load(text);
		ck_assert_int_eq(conf->sites[0].routing != NULL, i);
		ck_assert_str_eq(
		    site_route(&conf->sites[0], str_of(routes[_i].path), routes[_i].method)
			->path_label,
		    routes[_i].label);
		conf_free(conf);
	}
}
END_TEST

/* The first route that matches, looked for in the plainest way. */
static const struct route *
route_naive(const struct site *s, struct str path, int method)
{
	for (const struct route *r = s->routes;; r++) {
		bool is = str_eq(path, r->path);

		if (r->kind == ROUTE_PREFIX && !is)
			is = r->path.n == 1 ||
			     (path.n > r->path.n && memcmp(path.p, r->path.p, r->path.n) == 0 &&
				 path.p[r->path.n] == '/');
		if (is && (!r->methods || (r->methods & 1u << method)))
			return r;
	}
}

/* What the index finds is the first that matches, for any order of routes. */
START_TEST(test_index_finds_the_first)
{
	static const char *const segments[] = { "/a", "/b", "/ab", "/a/b", "/", "" };
	char text[20000], path[30];
	struct cfg_errors *e;
	struct conf *conf;
	unsigned seed = (unsigned)_i * 7919 + 1;
	size_t n = 0;

	fake_use();
	n += (size_t)sprintf(text, "sites = ( { host = \"a\"; routes = (");
	for (int i = 0; i < 40; i++) {
		seed = seed * 1103515245 + 12345;
		n += (size_t)sprintf(text + n, "%s{ %s = \"%s%s%s\"; %s }", i ? "," : "",
		    seed >> 8 & 1 ? "path" : "exact", segments[(seed >> 9 & 7) % 4],
		    segments[(seed >> 12 & 7) % 4], seed >> 16 & 1 ? "/c" : "",
		    seed >> 17 & 1 ? "methods = \"PUT\";" : "");
	}
	sprintf(text + n, "); } );");
	conf = conf_load_text(text, "t.conf", &e); /* with warnings about shadowed routes */
	cfg_errors_free(e);
	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_nonnull(conf->sites[0].routing);
	for (unsigned i = 0; i < 6 * 6 * 6; i++) {
		sprintf(path, "%s%s%s", segments[i % 6], segments[i / 6 % 6], segments[i / 36]);
		for (int m = M_GET; m <= M_PUT; m++)
			if (path[0] && !strstr(path, "//"))
				ck_assert_ptr_eq(site_route(&conf->sites[0], str_of(path), m),
				    route_naive(&conf->sites[0], str_of(path), m));
	}
	conf_free(conf);
}
END_TEST

Suite *
suite_route(void)
{
	Suite *s = suite_create("route");
	TCase *t = tcase_create("route");

	tcase_add_loop_test(t, test_hosts, 0, UNIT_COUNT(hosts));
	tcase_add_test(t, test_many_hosts);
	tcase_add_loop_test(t, test_routes, 0, UNIT_COUNT(routes));
	tcase_add_loop_test(t, test_index_finds_the_first, 0, 30);
	suite_add_tcase(s, t);
	return s;
}

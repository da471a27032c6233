#include "common/config/core.h"
#include "modules/gateway/codec/script.h"
#include "modules/gateway/gateway.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

Suite *suite_gateway_conf(void);

#define POOLS                                                                                      \
	"backends: { php = \"fastcgi://unix:/run/fpm.sock\"; far = \"fastcgi://10.0.0.9:9000\";\n" \
	"app = \"http://10.0.0.3:3000\"; py = \"scgi://127.0.0.1:4000\"; cgi: { protocol = "       \
	"\"cgi\"; };\n"                                                                            \
	"java = \"ajp://127.0.0.1:8009\"; flup = \"fastcgi://127.0.0.1:5000\"; };\n"

static struct conf *
load(const char *site)
{
	char text[4000];

	core_use_modules(modules, modules_n);
	snprintf(text, sizeof(text), POOLS "sites = ( { %s } );", site);
	return fake_load(text);
}

static const struct gateway_conf *
conf_of(const struct conf *conf, size_t route)
{
	for (size_t i = 0; i < modules_n; i++)
		if (strcmp(modules[i]->name, "gateway") == 0)
			return conf->sites[0].routes[route].conf[i];
	ck_abort_msg("there is no module gateway");
}

/* What scripts are called by, for the first route of a site. */
static const struct {
	const char *site;
	const char *split, *prefix, *index,
	    *root; /* split: NULL none; index: with "," between them */
	bool check;
} scripts[] = {
	/* PHP, by any of its signs */
	{ "root = \"/srv\"; gateway = \"php\";", ".php", "", "index.html,index.php", "/srv", true },
	{ "root = \"/srv\"; routes = ( { regex = \"\\\\.php(/|$)\"; gateway = \"php\"; } );",
	    ".php", "", "index.html,index.php", "/srv", true },
	{ "root = \"/srv\"; gateway: { backend = \"flup\"; front = \"/index.php\"; };", ".php", "",
	    "index.html,index.php", "/srv", true },
	{ "root = \"/srv\"; gateway = \"fastcgi://unix:/run/php8.2-fpm.sock\";", ".php", "",
	    "index.html,index.php", "/srv", true },
	{ "root = \"/srv\"; routes = ( { exact = \"/x.PHP\"; gateway = \"far\"; } );", ".php", "",
	    "index.php", "/srv", false },
	{ "root = \"/srv\"; gateway: { backend = \"php\"; root = \"/app\"; index = \"start.php\"; "
	  "};",
	    ".php", "", "start.php", "/app", true },
	{ "root = \"/srv\"; gateway: { backend = \"php\"; check = false; split = [ \".phtml\" ]; "
	  "};",
	    ".phtml", "", NULL, "/srv", false },
	{ "root = \"/srv\"; index = [ \"a.php\", \"b.html\" ]; gateway = \"php\";", ".php", "",
	    "a.php,b.html", "/srv", true },
	{ "root = \"/srv\"; index = [ \"b.html\", \"a.php\" ]; gateway: { backend = \"php\"; check "
	  "= false; };",
	    ".php", "", "a.php", "/srv", false },
	/* applications */
	{ "routes = ( { path = \"/app\"; gateway = \"flup\"; } );", NULL, "/app", NULL, "", false },
	{ "gateway = \"py\";", NULL, "/", NULL, "", false },
	{ "routes = ( { path = \"/app/\"; gateway = \"py\"; } );", NULL, "/app", NULL, "", false },
	{ "routes = ( { exact = \"/app\"; gateway = \"py\"; } );", NULL, "/app", NULL, "", false },
	{ "routes = ( { regex = \"^/a/\"; gateway = \"py\"; } );", NULL, "/", NULL, "", false },
	{ "gateway = \"py\"; routes = ( { path = \"/up\"; gateway: { request_body = \"stream\"; }; "
	  "} );",
	    NULL, "/", NULL, "", false },
	{ "gateway: { backend = \"php\"; prefix = \"/x\"; };", NULL, "/x", NULL, "", false },
	/* CGI: any file */
	{ "root = \"/srv\"; routes = ( { path = \"/cgi-bin\"; gateway = \"cgi\"; } );", "", "",
	    NULL, "/srv", true },
	{ "root = \"/srv\"; routes = ( { path = \"/cgi-bin\"; gateway: { backend = \"cgi\"; split "
	  "= "
	  "\".sh\"; root = \"/usr/lib\"; }; } );",
	    ".sh", "", NULL, "/usr/lib", true },
	/* nothing of it */
	{ "root = \"/srv\"; gateway = \"app\";", NULL, "", NULL, "", false },
	{ "root = \"/srv\"; gateway = \"java\";", NULL, "", NULL, "", false },
};

START_TEST(test_scripts)
{
	struct conf *conf = load(scripts[_i].site);
	const struct gateway_conf *c = conf_of(conf, 0);
	struct str rest;

	ck_assert_ptr_nonnull(c->pool);
	ck_assert_uint_eq(c->split.n, scripts[_i].split ? 1 : 0);
	if (scripts[_i].split)
		unit_str_eq(c->split.v[0], scripts[_i].split);
	unit_str_eq(c->prefix, scripts[_i].prefix);
	rest = str_of(scripts[_i].index);
	for (size_t i = 0; i < c->index.n; i++) {
		struct str name = str_split(&rest, ',');

		ck_assert(str_eq(c->index.v[i], name));
	}
	ck_assert_ptr_null(rest.p);
	unit_str_eq(c->root, scripts[_i].root);
	ck_assert_int_eq(c->check, scripts[_i].check);
	conf_free(conf);
}
END_TEST

/* A route that sets nothing of the gateway but a root of its own has its own document root. */
START_TEST(test_root_of_a_route)
{
	struct conf *conf =
	    load("root = \"/srv\"; gateway: { backend = \"php\"; front = \"/i.php\"; };\n"
		 "routes = ( { path = \"/a\"; root = \"/other\"; }, { path = \"/b\"; },\n"
		 "{ path = \"/c\"; gateway: { root = \"/third\"; }; },\n"
		 "{ path = \"/d\"; gateway = \"off\"; } );");

	unit_str_eq(conf_of(conf, 0)->root, "/other");
	unit_str_eq(conf_of(conf, 1)->root, "/srv");
	unit_str_eq(conf_of(conf, 2)->root, "/third");
	ck_assert_ptr_null(conf_of(conf, 3)->pool);
	unit_str_eq(conf_of(conf, 4)->root, "/srv");
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_eq(conf_of(conf, i)->pool, conf_pool_find(conf, STR("php")));
	conf_free(conf);
}
END_TEST

/* The site's root counts also where the gateway is the server's. */
START_TEST(test_root_of_a_site)
{
	struct conf *conf;

	core_use_modules(modules, modules_n);
	conf = fake_load(
	    "server: { gateway: { backend = \"fastcgi://unix:/php.sock\"; }; root = "
	    "\"/s\"; };\n"
	    "sites = ( { host = \"a\"; root = \"/a\"; routes = ( { path = \"/x\"; } ); },\n"
	    "{ host = \"b\"; } );");
	unit_str_eq(conf_of(conf, 0)->root, "/a");
	unit_str_eq(conf_of(conf, 1)->root, "/a");
	for (size_t i = 0; i < modules_n; i++)
		if (strcmp(modules[i]->name, "gateway") == 0)
			unit_str_eq(
			    ((const struct gateway_conf *)conf->sites[1].routes[0].conf[i])->root,
			    "/s");
	conf_free(conf);
}
END_TEST

/* Scripts of a route with an alias are where its files are. */
static const struct {
	const char *route, *path; /* check is off: nothing is looked for */
	const char *name, *filename, *info, *root;
} aliases[] = {
	{ "path = \"/wiki\"; alias = \"/usr/share/doku\"", "/wiki/a/doku.php/x", "/wiki/a/doku.php",
	    "/usr/share/doku/a/doku.php", "/x", "/srv" },
	{ "path = \"/wiki/\"; alias = \"/usr/share/doku/\"", "/wiki/", "/wiki/index.php",
	    "/usr/share/doku/index.php", "", "/srv" },
	{ "path = \"/wiki\"; alias = \"/doku\"; root = \"/other\"", "/wiki/x.php", "/wiki/x.php",
	    "/doku/x.php", "", "/other" },
	{ "path = \"/wiki\"; alias = \"/doku\"; gateway: { front = \"/wiki/doku.php\"; }",
	    "/wiki/x", "/wiki/doku.php", "/doku/doku.php", "", "/srv" },
	{ "exact = \"/up.php\"; alias = \"/doku/upload.php\"", "/up.php", "/up.php",
	    "/doku/upload.php", "", "/srv" },
	{ "path = \"/\"; alias = \"/doku\"", "/a.php", "/a.php", "/doku/a.php", "", "/srv" },
	{ "path = \"/wiki\"; alias = \"/doku\"; gateway: { root = \"/r\"; }", "/wiki/a.php",
	    "/wiki/a.php", "/r/wiki/a.php", "", "/r" },
};

START_TEST(test_alias)
{
	struct request r = { .path = str_of(aliases[_i].path) };
	struct script s;
	const char *why;
	struct conf *conf;
	char text[500];

	snprintf(text, sizeof(text),
	    "root = \"/srv\"; gateway: { backend = \"php\"; check = false; }; routes = ( { %s; } "
	    ");",
	    aliases[_i].route);
	conf = load(text);
	arena_init(&r.arena, NULL, 0);
	ck_assert_int_eq(script_find(&s, &r, conf_of(conf, 0), &why), 0);
	unit_str_eq(s.name, aliases[_i].name);
	unit_str_eq(s.filename, aliases[_i].filename);
	unit_str_eq(s.path_info, aliases[_i].info);
	unit_str_eq(s.root, aliases[_i].root);
	arena_fini(&r.arena);
	conf_free(conf);
}
END_TEST

/* Many hosts: the document root is the host's, and no host leads elsewhere. */
static const struct {
	const char *host, *filename; /* NULL: 404 */
} hosts[] = { { "a.example", "/srv/a.example/www/x.php" }, { "b-1", "/srv/b-1/www/x.php" },
	{ "", NULL }, { "..", NULL }, { "a/../..", NULL }, { "a..b", NULL }, { ".a", NULL },
	{ "A", NULL }, { "[::1]", NULL } };

START_TEST(test_root_of_hosts)
{
	struct request r = { .path = STR("/x.php"), .host = str_of(hosts[_i].host) };
	struct conf *conf =
	    load("root = \"/srv/$host/www\"; gateway: { backend = \"php\"; check = false; };");
	struct script s;
	const char *why;

	arena_init(&r.arena, NULL, 0);
	ck_assert_int_eq(script_find(&s, &r, conf_of(conf, 0), &why), hosts[_i].filename ? 0 : 404);
	if (hosts[_i].filename) {
		unit_str_eq(s.filename, hosts[_i].filename);
		unit_str_eq(s.name, "/x.php");
		ck_assert(str_has_prefix(s.filename, s.root));
	}
	arena_fini(&r.arena);
	conf_free(conf);
}
END_TEST

START_TEST(test_anonymous)
{
	struct conf *conf =
	    load("gateway = \"http://LOCAL:80\"; routes = (\n"
		 "{ path = \"/a\"; gateway = \"http://local\"; },\n"
		 "{ path = \"/b\"; gateway: { backend = \"https://local\"; authorizer = "
		 "\"fastcgi://a:1\"; }; },\n"
		 "{ path = \"/c\"; gateway = \"http://unix:/run/a-rather-long-name-of-a-folder/and-"
		 "the-name-of-the-socket.sock\"; } );");
	const struct conf_pool *p = conf_of(conf, 3)->pool;

	ck_assert_uint_eq(conf->npools, 7 + 4);
	ck_assert_ptr_nonnull(p);
	ck_assert(p->is_anonymous);
	unit_str_eq(p->name, "http://local:80");
	ck_assert_ptr_eq(p, &conf->pools[p->index]);
	ck_assert_ptr_eq(conf_of(conf, 0)->pool, p);
	ck_assert_ptr_ne(conf_of(conf, 1)->pool, p);
	unit_str_eq(conf_of(conf, 1)->pool->name, "https://local:443");
	ck_assert_int_eq(conf_of(conf, 1)->authorizer_pool->protocol, POOL_FASTCGI);
	ck_assert_int_eq(p->timeout.keepalive, 4000);
	p = conf_of(conf, 2)->pool;
	ck_assert_uint_eq(p->name.n, CONF_POOL_NAME);
	ck_assert_int_eq(p->name.p[CONF_POOL_NAME - 9], '~');
	conf_free(conf);
}
END_TEST

START_TEST(test_lists)
{
	struct conf *conf =
	    load("gateway: { backend = \"app\"; set = [ \"X-A: 1\", \"X-B: $client\" ]; };\n"
		 "routes = ( { path = \"/x\"; gateway: { set = [ \"x-b:\", \"X-C:  $host \" ];\n"
		 "host = \"$host:81\"; path = \"/\"; hide = \"Server\"; }; },\n"
		 "{ path = \"/y\"; gateway: { backend = \"py\"; environment = [ \"A=\", "
		 "\"B_1=x=y\" ]; }; },\n"
		 "{ path = \"/z\"; gateway: { host = \"backend\"; path: { from = \"/z/1\"; to = "
		 "\"/w\"; }; "
		 "}; } );");
	const struct gateway_conf *c = conf_of(conf, 0);
	const struct gateway_pair *v = c->set.v;

	ck_assert_uint_eq(c->set.n, 3);
	unit_str_eq(v[0].name, "x-b");
	unit_str_eq(v[0].value, "");
	unit_str_eq(v[1].name, "X-C");
	unit_str_eq(v[1].value, "$host");
	ck_assert_uint_eq(v[1].text.vars, 1u << VAR_HOST);
	unit_str_eq(v[2].name, "X-A");
	ck_assert_int_eq(c->host, HOST_TEXT);
	unit_str_eq(c->path_from, "/x");
	unit_str_eq(c->path_to, "/");
	ck_assert_uint_eq(c->hide.n, 1);
	ck_assert(c->x_forwarded && !c->forwarded && !c->via);
	ck_assert_uint_eq(c->upgrade.n, 1);
	unit_str_eq(c->upgrade.v[0], "websocket");
	c = conf_of(conf, 1);
	v = c->environment.v;
	ck_assert_uint_eq(c->environment.n, 2);
	unit_str_eq(v[0].name, "A");
	unit_str_eq(v[1].name, "B_1");
	unit_str_eq(v[1].value, "x=y");
	c = conf_of(conf, 2);
	ck_assert_int_eq(c->host, HOST_BACKEND);
	unit_str_eq(c->path_from, "/z/1");
	unit_str_eq(c->path_to, "/w");
	ck_assert_int_eq(conf_of(conf, 3)->host, HOST_CLIENT);
	ck_assert_uint_eq(conf_of(conf, 3)->path_from.n, 0);
	conf_free(conf);
}
END_TEST

#define SITE(text) POOLS "sites = ( { root = \"/srv\";\n" text " } );"

static const struct {
	const char *text, *said;
} mistakes[] = {
	{ SITE("gateway = { backend = \"app\"; upgrade = true; };"),
	    "5:40 error: 'gateway.upgrade' wants a text or a list of texts, not true // write [ "
	    "\"websocket\" ]\n" },
	{ SITE("gateway = { backend = \"app\"; upgrade = false; };"),
	    "5:40 error: 'gateway.upgrade' wants a text or a list of texts, not false // write [ ] "
	    "for none\n" },
	{ SITE("gateway = { backend = \"app\"; upgrade = [ \"websocket\", \"H2C\" ]; };"),
	    "5:55 error: \"H2C\" carries requests, which would reach the backend past every rule "
	    "of the server // take it out of the list\n" },
	{ SITE("gateway = { backend = \"app\"; upgrade = [ \"HTTP/2.0\", \"TLS/1.2\", \"a b\" ]; "
	       "};"),
	    "5:42 error: \"HTTP/2.0\" carries requests, which would reach the backend past every "
	    "rule of the server // take it out of the list\n"
	    "5:54 error: \"TLS/1.2\" carries requests, which would reach the backend past every "
	    "rule of the server // take it out of the list\n"
	    "5:65 error: \"a b\" is not the name of a protocol // upgrade = [ \"websocket\" ]; "
	    "or, for none, upgrade = [ ];\n" },
	{ SITE("gateway = { backend = \"app\"; pass = [ \"X-Real-IP\", \"Accept\" ]; };"),
	    "5:52 error: the field \"Accept\" is passed on anyway // what is kept from "
	    "trusted_proxies "
	    "only is listed at gateway.pass in argand.conf(5)\n" },
	{ SITE("gateway = { backend = \"app\"; field_names = \"all\"; };"),
	    "5:44 error: 'gateway.field_names' wants \"plain\" or \"any\", not the text "
	    "\"all\"\n" },
	{ SITE("gateway = { backend = \"app\"; set = \"Content_Length: 3\"; };"),
	    "5:36 error: the field \"Content_Length\" cannot be changed // the server counts\n" },
	{ SITE("gateway = \"ap\";"),
	    "5:11 error: there is no pool \"ap\" // did you mean \"app\"?\n" },
	{ SITE("gateway = \"127.0.0.1:80\";"),
	    "5:11 error: there is no pool \"127.0.0.1:80\" // an address begins with \"http://\", "
	    "\"https://\", \"fastcgi://\", \"scgi://\", \"uwsgi://\" or \"ajp://\"\n" },
	{ SITE("gateway = \"nothing\";"),
	    "5:11 error: there is no pool \"nothing\" // at the top of the file: backends: { "
	    "nothing: { protocol = \"http\"; hosts = \"...\"; }; };\n" },
	{ SITE("gateway = \"http://a:x\";"),
	    "5:11 error: a backend wants a port from 1 to 65535, not \"http://a:x\"\n" },
	{ SITE("gateway = \"cgi://a:1\";"),
	    "5:11 error: a URL of a backend begins with \"http://\", \"https://\", \"fastcgi://\", "
	    "\"scgi://\", \"uwsgi://\" or \"ajp://\", not \"cgi://\"\n" },
	{ SITE("proxy_pass = \"http://a\";"),
	    "5:1 error: unknown setting 'proxy_pass' in site // did you mean 'gateway'?\n" },
	{ SITE("gateway: { authorizer = \"app\"; };"),
	    "5:25 error: an authorizer speaks \"fastcgi\", and the pool \"app\" speaks "
	    "\"http\"\n" },
	{ SITE("gateway: { set = [ \"X A: 1\", \"Host: x\",\n\"X-Y\", \"X-Z: $hots\" ]; };"),
	    "5:20 error: \"X A\" is not a field name\n"
	    "5:30 error: the field \"Host\" cannot be changed // see gateway.host\n"
	    "6:1 error: no \":\" in \"X-Y\" // write \"Name: value\"\n"
	    "6:8 error: unknown variable \"$hots\" // did you mean \"$host\"?\n" },
	{ SITE("gateway: { environment = [ \"1A=x\", \"A\" ]; };"),
	    "5:28 error: \"1A\" is not a name of a variable\n"
	    "5:36 error: no \"=\" in \"A\" // write \"NAME=value\"\n" },
	{ SITE("gateway: { remove = \"Content-Length\"; hide = \"a b\"; };"),
	    "5:21 error: the field \"Content-Length\" cannot be changed // the server counts\n"
	    "5:46 error: \"a b\" is not a field name\n" },
	{ SITE("gateway: { host = \"a b\"; path: { from = \"/x\"; }; };"),
	    "5:19 error: \"a b\" is not a host // \"client\", \"backend\" or \"app.example\"\n"
	    "5:41 error: 'gateway.path.to' is missing // path: { from = \"/app\"; to = \"/\"; "
	    "}\n" },
	{ SITE("gateway: { front = \"index.php\"; prefix = \"/../x\"; index = \"a/b\"; split = "
	       "\"/\"; };"),
	    "5:20 error: 'gateway.front' wants a path that begins with \"/\", not \"index.php\"\n"
	    "5:42 error: 'gateway.prefix' wants a path that begins with \"/\", not \"/../x\"\n"
	    "5:59 error: an index is a name without \"/\", not \"a/b\"\n"
	    "5:74 error: a suffix has no \"/\" // such as \".php\"\n" },
	{ POOLS "sites = ( { gateway: { backend = \"php\"; front = \"/index.php\"; }; } );",
	    "4:34 error: where scripts are is not known: neither 'root' nor 'gateway.root' is set "
	    "// "
	    "gateway: { root = \"/srv/www\"; ... }\n" },
	{ SITE("gateway: { backend = \"php\"; root = \"/srv/$path\"; };"),
	    "5:36 error: only $host can stand here\n" },
	{ SITE("gateway: { backend = \"php\"; front = \"/i.php\"; };\nroutes = ( { path = \"/w\"; "
	       "alias = "
	       "\"/tmp\"; } );"),
	    "5:37 error: 'gateway.front' lies outside of what 'alias' is for // it is a path as in "
	    "a "
	    "URL\n" },
	{ SITE("gateway: { backend = \"app\"; environment = \"A=b\"; front = \"/x\"; };"),
	    "5:43 warning: 'gateway.environment' means nothing to the protocol \"http\"\n"
	    "5:58 warning: 'gateway.front' means nothing to the protocol \"http\"\n" },
	{ SITE("gateway: { backend = \"py\"; host = \"backend\"; };"),
	    "5:35 warning: 'gateway.host' means nothing to the protocol \"scgi\"\n" },
	{ SITE("gateway: { backend = \"flup\"; front = \"/x\"; };"),
	    "5:38 warning: without 'gateway.split' every file that is there is taken for a script "
	    "// "
	    "gateway: { split = \".php\"; ... }\n" },
};

START_TEST(test_mistakes)
{
	core_use_modules(modules, modules_n);
	fake_says(mistakes[_i].text, mistakes[_i].said);
}
END_TEST

Suite *
suite_gateway_conf(void)
{
	Suite *s = suite_create("gateway_conf");
	TCase *t = tcase_create("gateway_conf");

	tcase_add_loop_test(t, test_scripts, 0, UNIT_COUNT(scripts));
	tcase_add_test(t, test_root_of_a_route);
	tcase_add_test(t, test_root_of_a_site);
	tcase_add_loop_test(t, test_alias, 0, UNIT_COUNT(aliases));
	tcase_add_loop_test(t, test_root_of_hosts, 0, UNIT_COUNT(hosts));
	tcase_add_test(t, test_anonymous);
	tcase_add_test(t, test_lists);
	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	suite_add_tcase(s, t);
	return s;
}

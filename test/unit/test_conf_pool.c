#include "common/config/conf_pool.h"
#include "common/config/core.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct conf_pool *
pool_of(const struct conf *conf, const char *name)
{
	const struct conf_pool *p = conf_pool_find(conf, str_of(name));

	ck_assert_msg(p != NULL, "no pool %s", name);
	ck_assert_ptr_eq(p, &conf->pools[p->index]);
	return p;
}

START_TEST(test_hosts)
{
	const struct conf_pool *p;
	struct conf *conf;

	fake_use();
	conf = fake_load("backends: { app: { protocol = \"http\"; hosts = (\n"
			 "{ address = \"10.0.0.3:80\"; weight = 3; max_requests = 8; },\n"
			 "\"App.example:8080\",\n"
			 "{ address = \"unix:/run/x.sock\"; backup = true; } ); };\n"
			 "one: { protocol = \"scgi\"; hosts = \"[::1]:4000\"; };\n"
			 "list: { protocol = \"ajp\"; hosts = [ \"a:1\", \"b:2\" ]; }; };");
	ck_assert_uint_eq(conf->npools, 3);
	p = pool_of(conf, "app");
	ck_assert_int_eq(p->protocol, POOL_HTTP);
	ck_assert_uint_eq(p->nhosts, 3);
	unit_str_eq(p->hosts[0].address, "10.0.0.3:80");
	ck_assert(p->hosts[0].is_numeric && !p->hosts[0].is_unix && !p->hosts[0].backup);
	ck_assert_int_eq(p->hosts[0].weight, 3);
	ck_assert_int_eq(p->hosts[0].max_requests, 8);
	ck_assert_int_eq(p->hosts[0].place.line, 2);
	unit_str_eq(p->hosts[1].address, "app.example:8080");
	unit_str_eq(p->hosts[1].name, "app.example");
	ck_assert_int_eq(p->hosts[1].port, 8080);
	ck_assert_int_eq(p->hosts[1].weight, 1);
	ck_assert(!p->hosts[1].is_numeric && !p->hosts[1].is_unix);
	unit_str_eq(p->hosts[2].name, "/run/x.sock");
	ck_assert(p->hosts[2].is_unix && p->hosts[2].backup);
	unit_str_eq(pool_of(conf, "one")->hosts[0].address, "[::1]:4000");
	ck_assert_uint_eq(pool_of(conf, "list")->nhosts, 2);
	ck_assert_ptr_null(conf_pool_find(conf, STR("ap")));
	conf_free(conf);
}
END_TEST

static const struct {
	const char *value; /* of a pool "x" */
	int protocol;
	bool tls;
	const char *hosts; /* with blanks between them */
} urls[] = {
	{ "\"http://10.0.0.3:8080\"", POOL_HTTP, false, "10.0.0.3:8080" },
	{ "\"http://app\"", POOL_HTTP, false, "app:80" },
	{ "\"https://app\"", POOL_HTTP, true, "app:443" },
	{ "\"HTTPS://app:8443\"", POOL_HTTP, true, "app:8443" },
	{ "\"fastcgi://unix:/run/php.sock\"", POOL_FASTCGI, false, "unix:/run/php.sock" },
	{ "\"scgi://a:1\"", POOL_SCGI, false, "a:1" },
	{ "\"uwsgi://a:1\"", POOL_UWSGI, false, "a:1" },
	{ "\"ajp://a:8009\"", POOL_AJP, false, "a:8009" },
	{ "[ \"http://a\", \"http://b:81\" ]", POOL_HTTP, false, "a:80 b:81" },
	{ "( \"http://a\", { address = \"http://b\"; weight = 2; } )", POOL_HTTP, false,
	    "a:80 b:80" },
	{ "{ hosts = \"https://a\"; }", POOL_HTTP, true, "a:443" },
	{ "{ protocol = \"http\"; hosts = [ \"http://a\", \"b:81\" ]; }", POOL_HTTP, false,
	    "a:80 b:81" },
};

START_TEST(test_urls)
{
	struct conf *conf;
	const struct conf_pool *p;
	struct str rest = str_of(urls[_i].hosts);
	char text[300];

	fake_use();
	snprintf(text, sizeof(text), "backends: { x = %s; };", urls[_i].value);
	conf = fake_load(text);
	p = pool_of(conf, "x");
	ck_assert_int_eq(p->protocol, urls[_i].protocol);
	ck_assert_int_eq(p->tls.on, urls[_i].tls);
	for (size_t i = 0; i < p->nhosts; i++) {
		struct str wants = str_split(&rest, ' ');

		ck_assert_msg(
		    str_eq(p->hosts[i].address, wants), "%.*s", STR_FMT(p->hosts[i].address));
	}
	ck_assert_ptr_null(rest.p);
	conf_free(conf);
}
END_TEST

/* What follows when nothing is said, by protocol. */
START_TEST(test_defaults)
{
	static const struct {
		const char *pool;
		int64_t keepalive, keepalive_ms;
	} rows[] = { { "f", 0, 60000 }, { "h", 32, 4000 }, { "a", 32, 60000 }, { "s", 0, 60000 },
		{ "k", 7, 9000 } };
	const struct conf_pool *p;
	struct conf *conf;

	fake_use();
	conf =
	    fake_load("backends: { f = \"fastcgi://a:1\"; h = \"http://a\"; a = \"ajp://a:1\";\n"
		      "s = \"scgi://a:1\"; k: { protocol = \"fastcgi\"; hosts = \"a:1\"; keepalive "
		      "= 7; timeout: { keepalive = \"9s\"; }; }; };");
	for (int i = 0; i < UNIT_COUNT(rows); i++) {
		p = pool_of(conf, rows[i].pool);
		ck_assert_int_eq(p->keepalive, rows[i].keepalive);
		ck_assert_int_eq(p->timeout.keepalive, rows[i].keepalive_ms);
	}
	p = pool_of(conf, "h");
	ck_assert_int_eq(p->balance, BALANCE_TWO_CHOICES);
	ck_assert_int_eq(p->timeout.connect, 3000);
	ck_assert_int_eq(p->timeout.total, 0);
	ck_assert_int_eq(p->failover.eject, 50);
	ck_assert(conf_status_has(p->retry.status_bits, 503));
	ck_assert(!conf_status_has(p->retry.status_bits, 500));
	ck_assert(!p->health.is_on && !p->tls.on && p->tls.verify);
	ck_assert(conf_status_has(p->health.status_bits, 200));
	ck_assert(conf_status_has(p->health.status_bits, 399));
	ck_assert(!conf_status_has(p->health.status_bits, 400));
	ck_assert(!conf_status_has(p->health.status_bits, 640));
	ck_assert_uint_eq(p->spawn.command.n, 0);
	ck_assert(!conf_pool_is_local(p));
	conf_free(conf);
}
END_TEST

START_TEST(test_options)
{
	const struct conf_pool *p;
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "backends: { a: { hosts = \"http://a\"; hash = \"header:X-User\"; sticky = \"s\";\n"
	    "health = \"/up\"; retry: { status = [ \"502\", \"5xx\" ]; }; tls: { verify = false; "
	    "}; "
	    "};\n"
	    "b: { hosts = \"http://b\"; balance = \"hash\"; hash: { by = \"client\"; load = 0; };\n"
	    "health: { enabled = false; path = \"/x\"; status = [ \"204\", \"300-302\" ]; };\n"
	    "tls: { enabled = false; name = \"x\"; }; sticky: { cookie = \"c\"; max_age = \"1h\"; "
	    "}; };\n"
	    "c: { hosts = \"http://c\"; health: { interval = \"1s\"; }; retry: { status = [ ]; }; "
	    "}; };");
	p = pool_of(conf, "a");
	ck_assert_int_eq(p->balance, BALANCE_HASH);
	ck_assert_int_eq(p->hash_by, KEY_HEADER);
	unit_str_eq(p->hash_name, "X-User");
	unit_str_eq(p->sticky, "s");
	ck_assert(p->health.is_on);
	ck_assert(conf_status_has(p->retry.status_bits, 599));
	ck_assert(!conf_status_has(p->retry.status_bits, 499));
	p = pool_of(conf, "b");
	ck_assert_int_eq(p->hash_by, KEY_CLIENT);
	ck_assert_int_eq(p->hash_load, 0);
	ck_assert(!p->health.is_on && !p->tls.on);
	ck_assert(conf_status_has(p->health.status_bits, 204));
	ck_assert(conf_status_has(p->health.status_bits, 302));
	ck_assert(!conf_status_has(p->health.status_bits, 200));
	ck_assert_int_eq(p->sticky_max_age, 3600000);
	p = pool_of(conf, "c");
	ck_assert(p->health.is_on);
	ck_assert(!conf_status_has(p->retry.status_bits, 503));
	conf_free(conf);
}
END_TEST

START_TEST(test_spawn)
{
	const struct conf_pool *p;
	struct conf *conf;

	fake_use();
	conf =
	    fake_load("server: { control = \"/run/argand/control.sock\"; };\n"
		      "backends: { php: { protocol = \"fastcgi\"; spawn: { command = [ "
		      "\"/bin/sh\", \"-c\" ];\n"
		      "processes = \"2..8\"; user = \"root\"; directory = \"/\"; umask = \"027\"; "
		      "environment = "
		      "\"A=b\"; }; };\n"
		      "n: { protocol = \"uwsgi\"; spawn: { command = \"sh\"; processes = 3; }; };\n"
		      "h: { hosts = \"http://127.0.0.1:3000\"; spawn = [ \"/bin/sh\" ]; };\n"
		      "i: { protocol = \"http\"; spawn = [ \"/bin/sh\" ]; };\n"
		      "c: { protocol = \"cgi\"; }; };");
	p = pool_of(conf, "php");
	ck_assert(conf_pool_is_local(p));
	ck_assert_uint_eq(p->nhosts, 1);
	unit_str_eq(p->spawn.socket, "/run/argand/backend-php.sock");
	unit_str_eq(p->hosts[0].address, "unix:/run/argand/backend-php.sock");
	unit_str_eq(p->hosts[0].name, "/run/argand/backend-php.sock");
	ck_assert(p->hosts[0].is_unix);
	ck_assert_int_eq(p->spawn.min, 2);
	ck_assert_int_eq(p->spawn.max, 8);
	ck_assert_int_eq(p->spawn.umask, 027);
	p = pool_of(conf, "n");
	ck_assert_int_eq(p->spawn.min, 3);
	ck_assert_int_eq(p->spawn.max, 3);
	p = pool_of(conf, "h");
	ck_assert_uint_eq(p->spawn.socket.n, 0);
	ck_assert_int_eq(p->spawn.max, 1);
	unit_str_eq(p->hosts[0].address, "127.0.0.1:3000");
	unit_str_eq(pool_of(conf, "i")->spawn.socket, "/run/argand/backend-i.sock");
	p = pool_of(conf, "c");
	ck_assert(conf_pool_is_local(p));
	ck_assert_int_eq(p->spawn.max, 32);
	ck_assert_int_eq(p->hosts[0].max_requests, 32);
	conf_free(conf);
}
END_TEST

#define POOL(text)  "backends: { app: { " text " }; };"
#define HTTP(text)  POOL("protocol = \"http\"; hosts = \"a:1\"; " text)
#define FCGI(text)  POOL("protocol = \"fastcgi\"; hosts = \"a:1\"; " text)
#define SPAWN(text) POOL("protocol = \"fastcgi\"; spawn: { " text " };")

static const struct {
	const char *text, *said;
} mistakes[] = {
	{ "backends = 1;",
	    "1:12 error: 'backends' wants a group of pools, not the number 1 // write backends: { "
	    "app: { protocol = \"http\"; hosts = \"...\"; }; };\n" },
	{ "backends: { app = \"http://a\"; };\nbackends2 = 1;",
	    "2:1 error: unknown setting 'backends2' at the top of the file // did you mean "
	    "'backends'?\n" },
	{ "server: { backends: { }; };",
	    "1:11 error: unknown setting 'backends' in server // 'backends' belongs at the top of "
	    "the file\n" },
	{ "server: { balance = \"hash\"; };",
	    "1:11 error: unknown setting 'balance' in server // 'balance' belongs in a pool: "
	    "backends: { app: { ... }; };\n" },
	{ POOL("protocol = \"http\"; hosts = \"a:1\"; balence = \"static\";"),
	    "1:54 error: unknown setting 'balence' in pool \"app\" // did you mean 'balance'?\n" },
	{ POOL("protocol = \"http\"; servers = \"a:1\";"),
	    "1:39 error: unknown setting 'servers' in pool \"app\" // did you mean 'hosts'?\n" },
	{ POOL("protocol = \"htp\"; hosts = \"a:1\";"),
	    "1:31 error: 'protocol' wants \"fastcgi\", \"scgi\", \"uwsgi\", \"http\", \"ajp\" or "
	    "\"cgi\", not the text \"htp\"\n" },
	{ POOL("hosts = \"a:1\";"),
	    "1:13 error: 'protocol' is missing in pool \"app\" // protocol = \"fastcgi\"; (or "
	    "\"http\", \"scgi\", \"uwsgi\", \"ajp\", \"cgi\")\n" },
	{ POOL("protocol = \"http\";"), "1:13 error: 'hosts' is missing in pool \"app\" // hosts = "
					"\"127.0.0.1:9000\"; or spawn: "
					"{ command = ...; };\n" },
	{ POOL("protocol = \"http\"; hosts = [ \"a\", \"b:0\", \"c:1\" ];"),
	    "1:49 error: a backend wants a port, as in \"10.0.0.3:8080\" or \"app.example:8080\", "
	    "not \"a\"\n"
	    "1:54 error: a backend wants a port from 1 to 65535, not \"b:0\"\n" },
	{ POOL("hosts = \"ftp://a\";"),
	    "1:28 error: a URL of a backend begins with \"http://\", \"https://\", \"fastcgi://\", "
	    "\"scgi://\", \"uwsgi://\" or \"ajp://\", not \"ftp://\"\n" },
	{ POOL("hosts = \"http://a/x\";"),
	    "1:28 error: the URL of a backend has no path: \"http://a/x\" // write gateway: { "
	    "backend = ...; path = \"/\"; } in the route to map paths\n" },
	{ POOL("protocol = \"scgi\";\nhosts = \"http://a\";"),
	    "2:9 error: \"http://\" does not go with the pool's protocol, on line 1 // all hosts "
	    "of "
	    "a pool are spoken to in the same way\n" },
	{ POOL("hosts = [ \"http://a\",\n\"https://b\" ];"),
	    "2:1 error: \"https://\" does not go with what is said of TLS, on line 1 // all hosts "
	    "of a pool are spoken to in the same way\n" },
	{ POOL("protocol = \"http\"; hosts = [ \"A:1\",\n\"a:1\" ];"),
	    "2:1 error: a:1 is there twice // weight = 2 gives one twice the requests\n" },
	{ POOL("protocol = \"http\"; hosts = ( { address = \"a:1\"; backup = true; } );"),
	    "1:47 error: all hosts are for backup: there is nothing that they back up\n" },
	{ "backends: { a = \"http://a\";\na2 = \"http://a\"; off = \"http://a\"; };",
	    "2:18 error: a pool cannot be called \"off\": gateway = \"off\" has a meaning\n" },
	{ FCGI("tls = true;\nsecret = \"x\";"),
	    "1:63 error: 'tls.enabled' means nothing to the protocol \"fastcgi\" // it is for "
	    "\"http\"\n"
	    "2:10 error: 'secret' means nothing to the protocol \"fastcgi\" // it is for "
	    "\"ajp\"\n" },
	{ POOL("protocol = \"scgi\"; hosts = \"a:1\"; keepalive = 4;"),
	    "1:66 error: the protocol \"scgi\" has one request on a connection // leave it out\n" },
	{ HTTP("hash = \"header\";"),
	    "1:61 error: 'hash' wants \"uri\", \"path\", \"client\", \"header:NAME\" or "
	    "\"cookie:NAME\", not \"header\"\n" },
	{ HTTP("balance = \"static\";\nhash = \"path\";"),
	    "2:8 error: 'hash' means nothing to balance = \"static\" // write balance = "
	    "\"hash\"\n" },
	{ HTTP("sticky = \"a b\";"), "1:63 error: \"a b\" is not the name of a cookie\n" },
	{ HTTP("sticky: { max_age = \"1h\"; };"),
	    "1:74 error: 'sticky.cookie' is missing // sticky: { cookie = \"backend\"; ... }\n" },
	{ HTTP("retry: { attempts = 0; status = [ 99, 700 ]; };"),
	    "1:74 error: 'retry.attempts' wants a whole number from 1 to 16, not the number 0\n" },
	{ HTTP("retry: { status = [ \"99\",\n\"6xx\", \"300-200\" ]; };"),
	    "1:74 error: 'retry.status' wants statuses such as \"503\", \"5xx\" or \"200-399\", "
	    "not "
	    "\"99\"\n"
	    "2:1 error: 'retry.status' wants statuses such as \"503\", \"5xx\" or \"200-399\", not "
	    "\"6xx\"\n"
	    "2:8 error: 'retry.status' wants statuses such as \"503\", \"5xx\" or \"200-399\", not "
	    "\"300-200\"\n" },
	{ HTTP("failover: { refused = \"2m\"; };"),
	    "1:76 error: 'failover.refused' is longer than 'failover.max', 1m\n" },
	{ HTTP("health = \"up\";"),
	    "1:63 error: 'health.path' wants a path as it stands in a request, such as "
	    "\"/healthz\", not \"up\"\n" },
	{ HTTP("health: { body = \"ok\"; };"),
	    "1:71 error: 'health.path' is missing: there is no answer to look at // health: { path "
	    "= \"/healthz\"; ... }\n" },
	{ POOL("protocol = \"http\"; hosts = \"unix:/x\"; tls = true;"),
	    "1:47 error: a certificate cannot be verified: a Unix socket has no name // tls: { "
	    "name "
	    "= \"app.example\"; }\n" },
	{ HTTP("tls: { ca = \"/no/such\"; key = \"/no/such.key\"; };"),
	    "1:66 error: there is no file /no/such\n"
	    "1:84 error: there is no file /no/such.key\n"
	    "1:84 error: 'tls.certificate' is missing\n" },
	{ FCGI("spawn = [ \"/bin/sh\" ];"), "1:50 error: processes that are spawned for "
					    "\"fastcgi\" are given their socket // leave "
					    "'hosts' out\n" },
	{ FCGI("spawn: { user = \"root\"; };"), "1:73 error: 'spawn.command' is missing // spawn: "
						"{ command = [ \"/usr/bin/php-cgi\" ]; "
						"... }\n" },
	{ SPAWN("command = [ \"/bin/sh -c\" ];"),
	    "1:63 error: there is no program \"/bin/sh -c\" // each argument is a text: [ "
	    "\"program\", \"-x\" ]\n" },
	{ SPAWN("command = [ \"bin/sh\" ]; directory = \"x\"; umask = \"99\";"),
	    "1:63 error: a program is an absolute path, or a name to be searched for: not "
	    "\"bin/sh\"\n"
	    "1:87 error: 'spawn.directory' wants an absolute path, not \"x\"\n"
	    "1:100 error: 'spawn.umask' wants octal digits such as \"0022\", not \"99\"\n" },
	{ SPAWN("command = \"/bin/sh\"; processes = \"8..2\"; user = \"no-such-user\"; environment "
		"= [ \"A=\", \"=b\" ];"),
	    "1:84 error: 'spawn.processes' wants a number from 1 to 1000 or a range such as "
	    "\"2..8\", not \"8..2\"\n"
	    "1:99 error: there is no user \"no-such-user\" on this machine\n"
	    "1:137 error: 'spawn.environment' wants \"NAME=value\", not \"=b\"\n" },
	{ POOL("hosts = \"http://localhost:1\";"),
	    "1:28 warning: \"localhost\" may be two addresses, and both are tried // write "
	    "127.0.0.1 "
	    "or [::1], whichever the backend listens on\n" },
};

START_TEST(test_mistakes)
{
	fake_use();
	fake_says(mistakes[_i].text, mistakes[_i].said);
}
END_TEST

START_TEST(test_too_many)
{
	static char text[20000];
	struct cfg_errors *errors;
	size_t n = (size_t)snprintf(text, sizeof(text), "backends: {");

	fake_use();
	for (int i = 0; i <= CONF_POOLS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "p%d = \"http://h%d\";\n", i, i);
	snprintf(text + n, sizeof(text) - n, "};");
	ck_assert_ptr_null(conf_load_text(text, "t.conf", &errors));
	ck_assert_uint_eq(cfg_errors_count(errors), 1);
	cfg_errors_free(errors);
}
END_TEST

Suite *suite_conf_pool(void);
Suite *
suite_conf_pool(void)
{
	Suite *s = suite_create("conf_pool");
	TCase *t = tcase_create("conf_pool");

	tcase_add_test(t, test_hosts);
	tcase_add_loop_test(t, test_urls, 0, UNIT_COUNT(urls));
	tcase_add_test(t, test_defaults);
	tcase_add_test(t, test_options);
	tcase_add_test(t, test_spawn);
	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	tcase_add_test(t, test_too_many);
	suite_add_tcase(s, t);
	return s;
}

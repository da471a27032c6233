/* Which suffixes a gateway runs, by what its options name. */
#include "common/config/conf_look.h"
#include "common/config/core.h"
#include "modules/gateway/gateway.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

Suite *suite_scripts(void);

#define POOLS                                                                                      \
	"backends: { php = \"fastcgi://unix:/run/fpm.sock\"; app = \"http://10.0.0.3:3000\";\n"    \
	"py = \"scgi://127.0.0.1:4000\"; cgi: { protocol = \"cgi\"; }; java = "                    \
	"\"ajp://127.0.0.1:8009\"; };\n"

static const struct {
	const char *site, *scripts; /* with a blank behind each */
} rows[] = {
	{ "root = \"/srv\";", "" },
	{ "root = \"/srv\"; gateway = \"php\";", ".php " },
	{ "root = \"/srv\"; gateway = \"php\"; routes = ( { path = \"/static\"; gateway = \"off\"; "
	  "} );",
	    ".php " },
	{ "root = \"/srv\"; routes = ( { regex = \"\\\\.php(/|$)\"; gateway = \"php\"; } );",
	    ".php " },
	{ "root = \"/srv\"; gateway: { backend = \"php\"; split = [ \".html\", \".inc\" ]; };",
	    ".html .inc " },
	{ "root = \"/srv\"; gateway: { backend = \"py\"; split = \".py\"; };", ".py " },
	{ "root = \"/srv\"; routes = ( { path = \"/app\"; gateway = \"py\"; } );", "" },
	{ "root = \"/srv\"; routes = ( { path = \"/cgi-bin\"; gateway = \"cgi\"; } );", "" },
	{ "root = \"/srv\"; routes = ( { regex = \"\\\\.(cgi|pl)$\"; gateway = \"cgi\"; } );",
	    ".cgi .pl " },
	{ "routes = ( { regex = \"\\\\.(?:jsp|jspx|do)(?:;|$)\"; gateway = \"java\"; } );",
	    ".jsp .jspx " },
	{ "routes = ( { regex = \"[.]php$\"; gateway = \"app\"; } );", ".php " },
	{ "routes = ( { regex = \"\\\\.(jpe?g|png)$\"; gateway = \"app\"; } );", "" },
	{ "routes = ( { path = \"/v1.0/py\"; gateway = \"app\"; } );", "" },
	{ "routes = ( { exact = \"/x.PHP\"; gateway = \"app\"; }, { path = \"/a.php\"; gateway = "
	  "\"app\"; } );",
	    ".php " },
	{ "gateway: { backend = \"py\"; prefix = \"/run.fcgi\"; };", ".fcgi " },
	{ "gateway = \"app\";", "" },
};

START_TEST(test_suffixes)
{
	char text[4000], got[200] = "";
	struct conf *conf;
	const struct cfg_strs *s;

	core_use_modules(modules, modules_n);
	snprintf(text, sizeof(text),
	    POOLS "sites = ( { host = \"a\"; %s }, { host = \"b\"; root = \"/srv\"; } );",
	    rows[_i].site);
	conf = fake_load(text);
	s = &conf->sites[0].scripts;
	for (size_t i = 0; i < s->n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s ", STR_FMT(s->v[i]));
	ck_assert_str_eq(got, rows[_i].scripts);
	ck_assert_uint_eq(conf->sites[1].scripts.n, 0); /* another site's are its own */
	conf_free(conf);
}
END_TEST

/* Who answers for a path, as far as the name says. */
static const struct {
	const char *site, *path, *taker;
} takers[] = {
	{ "gateway = \"php\";", "/x.php", "gateway" },
	{ "gateway = \"php\";", "/x.php/info", "gateway" },
	{ "gateway = \"php\";", "/x.css", "files" },
	{ "gateway: { backend = \"php\"; front = \"/index.php\"; };", "/x.css", "files" },
	{ "gateway: { backend = \"php\"; front = \"/index.php\"; check = false; };", "/x.css",
	    "gateway" },
	{ "gateway = \"app\";", "/x.css", "gateway" },
	{ "gateway = \"cgi\";", "/x.css", "gateway" },
	{ "respond = \"x\";", "/x.css", "respond" },
	{ "", "/x.css", "files" },
};

START_TEST(test_takers)
{
	char text[4000];
	struct conf *conf;
	const struct module *m;

	core_use_modules(modules, modules_n);
	snprintf(text, sizeof(text), POOLS "sites = ( { root = \"/srv\"; %s } );", takers[_i].site);
	conf = fake_load(text);
	m = conf_taker(&conf->sites[0].routes[0], str_of(takers[_i].path));
	ck_assert_str_eq(m ? m->name : "nobody", takers[_i].taker);
	conf_free(conf);
}
END_TEST

Suite *
suite_scripts(void)
{
	Suite *s = suite_create("scripts");
	TCase *t = tcase_create("scripts");

	tcase_add_loop_test(t, test_suffixes, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(t, test_takers, 0, UNIT_COUNT(takers));
	suite_add_tcase(s, t);
	return s;
}

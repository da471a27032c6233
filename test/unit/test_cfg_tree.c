/*
 * Syntax: what libconfig would accept silently or refuse without a place, and that reading goes on
 * behind every mistake. Each text ends with a setting that is wrong in another way, so that a row
 * whose mistake swallows the rest of the file fails.
 */
#include <stdio.h>

#include "common/config/conf.h"
#include "common/config/tree.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct {
	const char *text, *said;
} mistakes[] = {
	/* Strings. */
	{ "server: {\n  root = \"/srv;\n  limt = \"1k\";\n};\n",
	    "2:10 error: string opened here is never closed // add the closing quote; a line break "
	    "inside a string is \\n\n"
	    "3:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: {\n  root = '/srv';\n  limt = \"1k\";\n};\n",
	    "2:10 error: strings stand in double quotes // write \"/srv\"\n"
	    "3:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: {\n  root = \"a\\x00b\";\n  limt = \"1k\";\n};\n",
	    "2:10 error: a string cannot hold a NUL byte // remove \\x00\n"
	    "3:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: {\n  index = [ \"a\" \"b\" ];\n  limt = \"1k\";\n};\n",
	    "2:16 error: a comma is missing between two elements // put ',' here\n"
	    "3:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Brackets. */
	{ "server: {\n  limt = \"1k\";\nsites = ( { host = \"a\"; } );\n",
	    "1:9 error: '{' opened here is never closed // a '}' is missing before line 3\n"
	    "2:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "sites = (\n  { host = \"a\";\n    routes = (\n      { path = \"/x\"; limt = \"1k\"; }\n"
	  "  },\n  { host = \"b\"; rot = \"/\"; }\n);\n",
	    "3:14 error: '(' opened here is never closed // a ')' is missing before line 5\n"
	    "4:22 error: unknown setting 'limt' in route \"/x\" // did you mean 'limit'?\n"
	    "6:17 error: unknown setting 'rot' in site \"b\" // did you mean 'root'?\n" },
	{ "sites = (\n  { host = \"a\";\n    limt = \"1k\";\n  { host = \"b\"; rot = \"/\"; "
	  "}\n);\n",
	    "2:3 error: '{' opened here is never closed // a '}' is missing before line 4\n"
	    "3:5 error: unknown setting 'limt' in site \"a\" // did you mean 'limit'?\n"
	    "4:3 error: a comma is missing between two elements // put ',' here\n"
	    "4:17 error: unknown setting 'rot' in site \"b\" // did you mean 'root'?\n" },
	{ "server: { index = [ \"a\", \"b\"; limt = \"1k\"; };\n",
	    "1:19 error: '[' opened here is never closed // a ']' is missing\n"
	    "1:31 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { index = [ \"a\", \"b\"\n limt = \"1k\"; };\n",
	    "1:19 error: '[' opened here is never closed // a ']' is missing before line 2\n"
	    "2:2 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { index = [ \"a\",\n limt = \"1k\"; };\n",
	    "1:19 error: '[' opened here is never closed // a ']' is missing\n"
	    "2:2 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { limt = \"1k\"; }; };\nsites = ( { host = \"a\"; } );\n",
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n"
	    "1:27 error: '}' closes nothing // remove it\n" },
	{ "server: { limt = \"1k\"; );\n};\n",
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n"
	    "1:24 error: ')' closes nothing // '{' on line 1 is closed by '}'\n" },
	{ "server: { limt = \"1k\";\n",
	    "1:9 error: '{' opened here is never closed // a '}' is missing before line 2\n"
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Commas, separators. */
	{ "sites = ( { host = \"a\"; }\n { host = \"b\"; limt = \"1k\"; } );\n",
	    "1:26 error: a comma is missing between two elements // put ',' here\n"
	    "2:16 error: unknown setting 'limt' in site \"b\" // did you mean 'limit'?\n" },
	{ "sites = ( { host = \"a\"; limt = \"1k\"; }, );\n",
	    "1:25 error: unknown setting 'limt' in site \"a\" // did you mean 'limit'?\n"
	    "1:39 error: a comma before ')' // remove it\n" },
	{ "server: { index = [ \"a\"; \"b\" ]; limt = \"1k\"; };\n",
	    "1:24 error: elements of a list are separated by commas // write ','\n"
	    "1:33 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root = \"/a\";; limt = \"1k\"; };\n",
	    "1:23 error: ';' ends nothing // remove it\n"
	    "1:25 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root = \"/a\" \"/b\" 5; limt = \"1k\"; };\n",
	    "1:27 error: ';' is missing after the value of 'root' // end a setting with ';'; "
	    "several "
	    "values stand in [ ]\n"
	    "1:31 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Assignment. */
	{ "server {\n  limt = \"1k\";\n};\n",
	    "1:7 error: ':' is missing before '{' // write server: {\n"
	    "2:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root \"/a\"; limt = \"1k\"; };\n",
	    "1:15 error: '=' is missing after 'root' // write root = value;\n"
	    "1:22 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root == \"/a\"; limt = \"1k\"; };\n",
	    "1:17 error: one '=' or ':' is enough // remove it\n"
	    "1:25 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root = ; limt = \"1k\"; };\n",
	    "1:18 error: the value of 'root' is missing\n"
	    "1:20 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root =\n  limt = \"1k\"; };\n",
	    "2:3 error: the value of 'root' is missing\n"
	    "2:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root\n  limt = \"1k\"; };\n",
	    "1:15 error: '=' is missing after 'root' // write root = value;\n"
	    "2:3 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Words. */
	{ "server: { listing = yes; limt = \"1k\"; };\n",
	    "1:21 error: 'listing' wants true or false, not the unquoted yes // write true\n"
	    "1:26 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { listing = Off; limit = 10k; };\n",
	    "1:21 error: 'listing' wants true or false, not the unquoted Off // write false\n"
	    "1:34 error: 'limit' wants a size such as \"64k\" from \"0\" to \"1M\", not the "
	    "unquoted "
	    "10k // write \"10k\"\n" },
	{ "server: { expire = 30s; mode = on; };\n",
	    "1:20 error: 'expire' wants a time such as \"30s\" from \"1s\" to \"1d\", not the "
	    "unquoted "
	    "30s // write \"30s\"\n"
	    "1:32 error: 'mode' wants \"off\", \"on\" or \"fast\", not the unquoted on // write "
	    "\"on\"\n" },
	{ "server: { limt = 10k; rooot = on; };\n",
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n"
	    "1:18 error: '10k' is neither a number nor true or false; text stands in double quotes "
	    "// write \"10k\"\n"
	    "1:23 error: unknown setting 'rooot' in server // did you mean 'root'?\n"
	    "1:31 error: 'on' is neither a number nor true or false; text stands in double quotes "
	    "// "
	    "write true\n" },
	{ "server: { index = [ a.html, \"b\" ]; listen = 127.0.0.1:80; };\n",
	    "1:21 error: 'index' wants a text or a list of texts, not the unquoted a.html // write "
	    "\"a.html\"\n"
	    "1:45 error: 'address' wants a text in double quotes, not the unquoted 127.0.0.1:80 // "
	    "write \"127.0.0.1:80\"\n" },
	/* Names. */
	{ "server: { auth.realm = \"x\"; limt = \"1k\"; };\n",
	    "1:11 error: a name has no dots // write auth: { realm = ...; }\n"
	    "1:24 error: a realm without users // add users\n"
	    "1:29 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { limit. = \"1k\"; limt = \"1k\"; };\n",
	    "1:11 error: a name has no dots // write limit\n"
	    "1:26 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { \"root\" = \"/x\"; limt = \"1k\"; };\n",
	    "1:11 error: names stand without quotes // remove the quotes\n"
	    "1:26 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { root = \"/x\"; root = \"/y\"; limt = \"1k\"; };\n",
	    "1:24 error: 'root' is set twice // the first is on line 1\n"
	    "1:37 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "sites = ( { host = \"a\"; } );\nsites = ( { host = \"b\"; limt = \"1k\"; } );\n",
	    "2:1 error: 'sites' is set twice // the first is on line 1; make one list of both\n"
	    "2:25 error: unknown setting 'limt' in site \"b\" // did you mean 'limit'?\n" },
	{ "sites = ( host = \"a\"; limt = \"1k\"; );\n",
	    "1:11 error: a list holds values, not settings // a group in a list: ( { name = value; "
	    "} "
	    ")\n"
	    "1:23 error: unknown setting 'limt' in site \"a\" // did you mean 'limit'?\n" },
	{ "server: { true = 1; limt = \"1k\"; };\n",
	    "1:11 error: 'true' is a value, not a name\n"
	    "1:11 error: unknown setting 'true' in server // 'argand options' lists what there is\n"
	    "1:21 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Other things. */
	{ "\xEF\xBB\xBFserver: { limt = \"1k\"; };\n",
	    "1:1 error: the file begins with a byte order mark // save it as UTF-8 without BOM\n"
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "@include \"x.conf\"\nserver: { limt = \"1k\"; };\n",
	    "1:1 error: @include is not used here // write include = \"sites/*.conf\";\n"
	    "2:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { limt = \"1k\"; }; /* never closed\n",
	    "1:11 error: unknown setting 'limt' in server // did you mean 'limit'?\n"
	    "1:27 error: comment opened here is never closed // close it with */\n" },
	{ "server: { ? limt = \"1k\";\n  rooot = \"x\"; };\n",
	    "1:11 error: a setting's name is wanted here // a setting is: name = value;\n"
	    "2:3 error: unknown setting 'rooot' in server // did you mean 'root'?\n" },
	{ "server: { headers = [ { name = \"x\"; } ]; limt = \"1k\"; };\n",
	    "1:21 error: [ ] holds plain values only // write ( ) in place of [ ]\n"
	    "1:42 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	{ "server: { index = [ \"a\", 5 ]; limt = \"1k\"; };\n",
	    "1:26 error: the values in [ ] must be of one kind // all quoted, or all not\n"
	    "1:26 error: 'index' wants a text or a list of texts, not the number 5\n"
	    "1:31 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
	/* Columns count characters. */
	{ "server: { root = \"/\xC3\xA4\xC3\xB6\"; limt = \"1k\"; };\n",
	    "1:25 error: unknown setting 'limt' in server // did you mean 'limit'?\n" },
};

START_TEST(test_mistakes)
{
	fake_use();
	fake_says(mistakes[_i].text, mistakes[_i].said);
}
END_TEST

/* What is right, although it looks unusual. */
static const char *const right[] = {
	"",
	"\n\n# nothing\n",
	"# nothing", /* libconfig misses the end of the line */
	"server = { root = \"/x\" };",
	"server: { root: \"/x\", listing = TRUE, };\r\n",
	"server: { root = \"/a\" /* one */ \"/b\" // two\n \"/c\" # three\n; }",
	"sites = { host = \"a\" }",
	"sites = ( )",
	"sites = ( { host = \"a\" }, { host = [ \"b\", \"c\" ] } );",
	"sites = ( { host = ( \"a\", \"b\" ); } );",
	"server: { quota = 0x1F; headers = ( ); };",
	"server: { match = \"\\.(png|jpe?g)$\"; };",
};

START_TEST(test_right)
{
	fake_use();
	conf_free(fake_load(right[_i]));
}
END_TEST

/* Escapes are libconfig's own: those it does not know stay as they are. */
START_TEST(test_strings)
{
	struct conf *conf;

	fake_use();
	conf = fake_load("server: { auth: { secret = \"a\\\"b\\\\c\\n\\x41\\d\" \"e\"; }; };");
	unit_str_eq(fake_of(conf->sites[0].routes)->secret, "a\"b\\c\nA\\de");
	conf_free(conf);
}
END_TEST

/* Beyond the bounds reading stops with one error. */
START_TEST(test_bounds)
{
	static char text[TREE_BYTES + 100];
	struct cfg_errors *e;
	size_t n = 0;

	fake_use();
	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(text + n, "a:{");
	fake_says(text, "1:1 error: unknown setting 'a' at the top of the file // 'argand options' "
			"lists what there is\n"
			"1:99 error: brackets are nested too deep (at most 32)\n");
	memset(text, ' ', sizeof(text) - 1);
	fake_says(text, "0:0 error: the file is larger than 4 MiB\n");
	n = (size_t)sprintf(text, "server: {\n");
	for (int i = 0; i < 1100; i++)
		n += (size_t)sprintf(text + n, "a%d = 1;\n", i);
	ck_assert_ptr_null(conf_load_text(text, "t.conf", &e));
	cfg_errors_sorted(e, &n);
	ck_assert_uint_eq(n, 1000); /* as many are kept; all are counted */
	ck_assert_uint_eq(cfg_errors_count(e), 1002);
	cfg_errors_free(e);
}
END_TEST

Suite *
suite_cfg_tree(void)
{
	Suite *s = suite_create("cfg_tree");
	TCase *t = tcase_create("cfg_tree");

	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	tcase_add_loop_test(t, test_right, 0, UNIT_COUNT(right));
	tcase_add_test(t, test_strings);
	tcase_add_test(t, test_bounds);
	suite_add_tcase(s, t);
	return s;
}

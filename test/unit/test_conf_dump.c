#include <stdio.h>
#include <stdlib.h>

#include "common/config/conf_print.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const char base[] =
    "server: { workers = 2; slots = 16; listen = \"10.0.0.1:80\"; };\n"
    "sites = ( { host = \"a\"; root = \"/a\"; routes = ( { path = \"/x\"; expire = \"1h\"; },\n"
    "  { exact = \"/y\"; }, { path = \"/z\"; methods = \"PUT\"; } ); }, { host = \"b\"; } );\n";

static const struct {
	const char *text, *changes;
} reloads[] = {
	{ base, "" },
	/* Comments and places are no change. */
	{ "# new\n\nserver: { listen = [ \"10.0.0.1:80\" ]; slots = 16; workers = 2; };\n"
	  "sites = ( { host = [ \"a\" ]; root = \"/a\"; routes = ( { path = \"/x\"; expire = "
	  "\"60m\"; },\n"
	  "  { exact = \"/y\"; }, { path = \"/z\"; methods = [ \"PUT\" ]; } ); }, { host = \"b\"; "
	  "} );\n",
	    "" },
	{ "server: { workers = 3; slots = 16; listen = [ \"10.0.0.1:80\", \"unix:/s\" ]; debug = "
	  "true; };\n"
	  "sites = ( { host = \"a\"; root = \"/a\"; routes = ( { path = \"/x\"; expire = \"2h\"; "
	  "},\n"
	  "  { exact = \"/y\"; }, { path = \"/z\"; methods = \"PUT\"; } ); }, { host = \"b\"; } "
	  ");\n",
	    "~ server: debug false -> true\n"
	    "~ server: workers 2 -> 3\n"
	    "+ listen unix:/s\n"
	    "~ route a /x: expire \"1h\" -> \"2h\"\n" },
	{ "server: { workers = 2; slots = 16; listen = \"10.0.0.1:81\"; };\n"
	  "sites = ( { host = \"c\"; }, { host = \"a\"; index = \"i\"; auth: { secret = \"s\"; }; "
	  "routes = (\n"
	  "  { exact = \"/y\"; }, { path = \"/x\"; expire = \"1h\"; }, { path = \"/n\"; } ); } "
	  ");\n",
	    "- listen 10.0.0.1:80\n"
	    "~ site a: root is no longer set here (was \"/a\")\n"
	    "- route a /z PUT\n"
	    "- site b\n"
	    "+ listen 10.0.0.1:81\n"
	    "+ site c\n"
	    "~ site a: index = \"i\" (was not set here)\n"
	    "~ site a: auth.secret = *** (was not set here)\n"
	    "~ site a: routes in another order\n"
	    "+ route a /n\n" },
};

START_TEST(test_diff)
{
	struct conf *a, *b;
	char *said = NULL;
	size_t len, n, lines = 0;
	FILE *f = open_memstream(&said, &len);

	fake_use();
	a = fake_load(base);
	b = fake_load(reloads[_i].text);
	n = conf_diff(a, b, f);
	fclose(f);
	ck_assert_str_eq(said, reloads[_i].changes);
	for (size_t i = 0; i < len; i++)
		lines += said[i] == '\n';
	ck_assert_uint_eq(n, lines);
	ck_assert_uint_eq(conf_diff(a, b, NULL), lines);
	conf_free(a);
	conf_free(b);
	free(said);
}
END_TEST

/* Each line has four parts; what values and names hold cannot make another line. */
START_TEST(test_dump_lines)
{
	struct conf *conf;
	char *text = NULL;
	struct str rest, line;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fake_use();
	conf = fake_load("server: { auth: { realm = \"a\\n\\tb\"; users = \"/u\"; }; };");
	conf_dump(conf, f);
	fclose(f);
	rest = str_n(text, len);
	while (rest.p) {
		line = str_split(&rest, '\n');
		for (int i = 0; line.n && i < 3; i++) {
			str_split(&line, '\t');
			ck_assert_ptr_nonnull(line.p);
		}
	}
	ck_assert_ptr_nonnull(strstr(text, "server\t\tauth.realm\t\"a\\n\\x09b\"\n"));
	conf_free(conf);
	free(text);
}
END_TEST

/* Texts that are no dumps (an older server's, say) harm nothing. */
START_TEST(test_diff_of_anything)
{
	static const char *const texts[] = { "", "\n", "x", "\t", "\t\t", "\t\t\t", "a\tb\n",
		"\t\t\t\n\t\t\t", "site\ta\troutes\t", "site\ta\troutes\t/\t/\n" };

	for (int i = 0; i < UNIT_COUNT(texts); i++)
		for (int k = 0; k < UNIT_COUNT(texts); k++)
			ck_assert_uint_le(
			    conf_dump_diff(str_of(texts[i]), str_of(texts[k]), NULL), 4);
}
END_TEST

Suite *
suite_conf_dump(void)
{
	Suite *s = suite_create("conf_dump");
	TCase *t = tcase_create("conf_dump");

	tcase_add_loop_test(t, test_diff, 0, UNIT_COUNT(reloads));
	tcase_add_test(t, test_dump_lines);
	tcase_add_test(t, test_diff_of_anything);
	suite_add_tcase(s, t);
	return s;
}

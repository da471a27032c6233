/*
 * Values of every type: what is accepted, and what is said about what is not.
 */
#include "common/config/core.h"
#include "common/config/opt.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct {
	const char *value, *said;
} mistakes[] = {
	/* Booleans. */
	{ "listing = 1",
	    "1:21 error: 'listing' wants true or false, not the number 1 // write true\n" },
	{ "listing = \"true\"", "1:21 error: 'listing' wants true or false, not the text \"true\" "
				"// write true, without "
				"quotes\n" },
	{ "listing = \"off\"",
	    "1:21 error: 'listing' wants true or false, not the text \"off\" // write false\n" },
	{ "listing = [ true ]", "1:21 error: 'listing' wants true or false, not a list [ ]\n" },
	/* Integers: libconfig would wrap these silently. */
	{ "workers = 0", "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, "
			 "not the number 0\n" },
	{ "workers = 4294967298",
	    "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, not the number "
	    "4294967298\n" },
	{ "workers = 0x100000002",
	    "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, not the number "
	    "0x100000002\n" },
	{ "workers = -2147483648",
	    "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, not the number "
	    "-2147483648\n" },
	{ "quota = 9223372036854775808", "1:19 error: the number 9223372036854775808 is too large "
					 "for 'quota', which wants a whole "
					 "number\n" },
	{ "workers = 2.7",
	    "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, not the number "
	    "2.7\n" },
	{ "workers = \"4\"", "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to "
			     "128, not the text \"4\" "
			     "// write 4, without quotes\n" },
	{ "workers = auto", "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, "
			    "not the unquoted "
			    "auto // write \"auto\"\n" },
	{ "workers = 5L", "1:21 error: 'workers' wants \"auto\" or a whole number from 1 to 128, "
			  "not the unquoted "
			  "5L\n" },
	/* Sizes and times. */
	{ "limit = 65536",
	    "1:19 error: 'limit' wants a size such as \"64k\" from \"0\" to \"1M\", not the number "
	    "65536 // write \"65536\"\n" },
	{ "limit = \"2M\"",
	    "1:19 error: 'limit' wants a size such as \"64k\" from \"0\" to \"1M\", not the text "
	    "\"2M\"\n" },
	{ "limit = \"5 apples\"", "1:19 error: 'limit' wants a size such as \"64k\" (units: k M G "
				  "T, powers of 1024; none: "
				  "bytes), not the text \"5 apples\"\n" },
	{ "expire = 30", "1:20 error: 'expire' wants a time such as \"30s\" from \"1s\" to \"1d\", "
			 "not the number "
			 "30 // write \"30s\"\n" },
	{ "expire = 0", "1:20 error: 'expire' wants a time such as \"30s\" from \"1s\" to \"1d\", "
			"not the number "
			"0\n" },
	{ "expire = \"30\"", "1:20 error: 'expire' wants a time such as \"30s\" (units: ms s m h d "
			     "w y), not the text "
			     "\"30\"\n" },
	{ "expire = 1.5", "1:20 error: 'expire' wants a time such as \"30s\" from \"1s\" to "
			  "\"1d\", not the number "
			  "1.5\n" },
	/* Texts, paths, words, lists. */
	{ "root = 5", "1:18 error: 'root' wants a path in double quotes, not the number 5\n" },
	{ "root = [ \"a\", \"b\" ]",
	    "1:18 error: 'root' wants a path in double quotes, not a list [ ]\n" },
	{ "mode = \"On\"",
	    "1:18 error: 'mode' wants \"off\", \"on\" or \"fast\", not the text \"On\" // write "
	    "\"on\"\n" },
	{ "mode = true", "1:18 error: 'mode' wants \"off\", \"on\" or \"fast\", not true\n" },
	{ "index = true", "1:19 error: 'index' wants a text or a list of texts, not true\n" },
	{ "index = ( \"a\", ( \"b\" ), 3 )",
	    "1:26 error: 'index' wants a text or a list of texts, not a list ( )\n"
	    "1:35 error: 'index' wants a text or a list of texts, not the number 3\n" },
	{ "index = [ ]", "1:19 error: 'index' must not be empty\n" },
	{ "index = [ \"a\", \"\" ]", "1:26 error: 'index' must not be empty\n" },
	/* Expressions: the caret stands in the expression. */
	{ "match = \"a(b\"", "1:23 error: 'match': missing closing parenthesis, at offset 3 // see "
			     "pcre2pattern(3)\n" },
	{ "match = \"\\\\.(b\"", "1:19 error: 'match': missing closing parenthesis, at offset 4 // "
				 "see pcre2pattern(3)\n" },
	/* Records. */
	{ "headers = true", "1:21 error: 'value' wants a text in double quotes, not true\n" },
	{ "headers = \"v\"", "1:21 error: 'name' is missing in 'headers'\n" },
	{ "headers = { name = \"a\"; valu = \"b\"; }",
	    "1:35 error: unknown setting 'valu' in 'headers' // did you mean 'value'?\n" },
	{ "headers = ( { name = \"a\"; }, { value = \"b\"; }, 5 )",
	    "1:40 error: 'name' is missing in 'headers'\n"
	    "1:58 error: 'value' wants a text in double quotes, not the number 5\n" },
	{ "headers = ( ( ) )", "1:23 error: 'headers' wants a text in double quotes, a group { }, "
			       "or a list of either, "
			       "not a list ( )\n" },
	/* Groups. */
	{ "auth = \"x\"", "1:18 error: 'auth' wants a group, not the text \"x\" // write 'auth: { "
			  "realm = ...; }'\n" },
	{ "auth: { realm: { x = 1; }; }",
	    "1:26 error: 'auth.realm' wants a text in double quotes, not a group { }\n" },
	{ "timeout: { header = \"1m\"; root = \"x\"; }",
	    "1:37 error: unknown setting 'root' in 'timeout' in server // 'root' stands outside of "
	    "'timeout'\n" },
	/* Names that are known elsewhere, or to other servers. */
	{ "host = \"a\"",
	    "1:11 error: unknown setting 'host' in server // 'host' belongs in a site\n" },
	{ "redirect = \"/x\"",
	    "1:11 error: unknown setting 'redirect' in server // 'redirect' belongs in a site or a "
	    "route\n" },
	{ "plain = true",
	    "1:11 error: unknown setting 'plain' in server // 'plain' belongs in a route\n" },
	{ "sites = ( )",
	    "1:11 error: unknown setting 'sites' in server // 'sites' belongs at the top of the "
	    "file\n" },
	{ "routes = ( )",
	    "1:11 error: unknown setting 'routes' in server // 'routes' belongs in a site\n" },
	{ "proxy_protocol = true",
	    "1:11 error: unknown setting 'proxy_protocol' in server // 'proxy_protocol' belongs in "
	    "'listen: { }'\n" },
	{ "document_root = \"/x\"",
	    "1:11 error: unknown setting 'document_root' in server // did you mean 'root'?\n" },
	{ "server_name = \"x\"",
	    "1:11 error: unknown setting 'server_name' in server // did you mean 'host'? 'host' "
	    "belongs in a site\n" },
	{ "keepalive_timeout = \"5s\"",
	    "1:11 error: unknown setting 'keepalive_timeout' in server // did you mean 'timeout: { "
	    "keepalive = ...; }'?\n" },
	{ "realm = \"x\"",
	    "1:11 error: unknown setting 'realm' in server // did you mean 'auth: { realm = ...; "
	    "}'?\n" },
	{ "Root = \"/x\"",
	    "1:11 error: unknown setting 'Root' in server // did you mean 'root'?\n" },
	{ "zzz = 1", "1:11 error: unknown setting 'zzz' in server // 'argand options' lists what "
		     "there is\n" },
};

START_TEST(test_mistakes)
{
	char text[300];

	fake_use();
	snprintf(text, sizeof(text), "server: { %s; };\n", mistakes[_i].value);
	fake_says(text, mistakes[_i].said);
}
END_TEST

/* The value as it is printed after it was read. */
static const struct {
	const char *option, *value, *printed;
} values[] = {
	{ "listing", "true", "true" },
	{ "listing", "False", "false" },
	{ "quota", "-9223372036854775808", "-9223372036854775808" },
	{ "quota", "0x7fffffffffffffff", "9223372036854775807" },
	{ "quota", "010", "10" },
	{ "quota", "+7", "7" },
	{ "limit", "0", "\"0\"" },
	{ "limit", "\"1024\"", "\"1k\"" },
	{ "limit", "\"1M\"", "\"1M\"" },
	{ "limit", "\"1025\"", "\"1025\"" },
	{ "expire", "\"60s\"", "\"1m\"" },
	{ "expire", "\"1500ms\"", "\"1500ms\"" },
	{ "expire", "\"24h\"", "\"1d\"" },
	{ "root", "\"/x/\"", "\"/x/\"" },
	{ "root", "\"\"", "\"\"" },
	{ "index", "\"a\"", "\"a\"" },
	{ "index", "[ \"a\", \"b\" ]", "[ \"a\", \"b\" ]" },
	{ "index", "( \"a\", \"b\" )", "[ \"a\", \"b\" ]" },
	{ "mode", "\"on\"", "\"on\"" },
	{ "match", "\"a|\\\\.b\"", "\"a|\\\\.b\"" },
	{ "headers", "{ name = \"a\"; value = \"x\"; }", "{ name = \"a\"; }" },
	{ "headers", "( { name = \"a\"; }, { name = \"b\"; value = \"q\\\"\\n\"; } )",
	    "( { name = \"a\"; }, { name = \"b\"; value = \"q\\\"\\n\"; } )" },
	{ "headers", "( )", "()" },
	{ "auth.secret", "\"x\"", "***" },
	{ "auth.users", "[ \"/a\", \"/b\" ]", "[ \"/a\", \"/b\" ]" },
};

static const struct cfg_opt *
fake_row(const char *name)
{
	const struct cfg_opt *o;
	size_t n;

	for (o = core_tables(&n)[0].opts; o->type != CFG_END; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

START_TEST(test_values)
{
	char text[300], printed[300] = "";
	const char *dot = strchr(values[_i].option, '.');
	struct conf *conf;
	FILE *f;

	fake_use();
	if (dot)
		snprintf(text, sizeof(text), "server: { %.*s: { %s = %s; }; };",
		    (int)(dot - values[_i].option), values[_i].option, dot + 1, values[_i].value);
	else
		snprintf(text, sizeof(text), "server: { %s = %s; };", values[_i].option,
		    values[_i].value);
	conf = fake_load(text);
	f = fmemopen(printed, sizeof(printed), "w");
	opt_print(f, fake_row(values[_i].option), conf->server_conf[0]);
	fclose(f);
	ck_assert_str_eq(printed, values[_i].printed);
	conf_free(conf);
}
END_TEST

START_TEST(test_defaults)
{
	const struct fake *f;
	struct conf *conf;

	fake_use();
	conf = fake_load("");
	f = fake_of(conf->sites[0].routes);
	ck_assert_uint_eq(f->index.n, 2);
	unit_str_eq(f->index.v[1], "index.htm");
	ck_assert_int_eq(f->expire, 3600000);
	ck_assert_int_eq(f->limit, 65536);
	ck_assert_int_eq(f->quota, -5);
	ck_assert_int_eq(f->mode, 2);
	ck_assert_int_eq(f->status, 301);
	ck_assert(!f->listing);
	ck_assert_ptr_null(f->match.code);
	conf_free(conf);
}
END_TEST

/* Every row of the program's own modules can be set to its default, and has what the manual needs.
 */
START_TEST(test_real_tables)
{
	const struct opt_table *tables;
	const struct cfg_opt *o;
	struct arena a;
	size_t i, n;

	core_use_modules(modules, modules_n);
	tables = core_tables(&n);
	arena_init(&a, NULL, 0);
	for (i = 0; i < n; i++) {
		opt_defaults(&a, tables[i].opts, arena_calloc(&a, tables[i].size + 1));
		for (o = tables[i].opts; o && o->type != CFG_END; o++) {
			ck_assert_msg(o->help && *o->help, "%s: no help", o->name);
			ck_assert_msg(o->where & CFG_ANY, "%s stands nowhere", o->name);
			ck_assert_msg(o->offset < tables[i].size, "%s: offset", o->name);
			ck_assert_msg(o->type != CFG_ENUM || o->names, "%s: no words", o->name);
			ck_assert_msg(
			    o->type != CFG_RECORDS || o->record, "%s: no record", o->name);
		}
	}
	arena_fini(&a);
}
END_TEST

Suite *
suite_cfg_opt(void)
{
	Suite *s = suite_create("cfg_opt");
	TCase *t = tcase_create("cfg_opt");

	tcase_add_loop_test(t, test_mistakes, 0, UNIT_COUNT(mistakes));
	tcase_add_loop_test(t, test_values, 0, UNIT_COUNT(values));
	tcase_add_test(t, test_defaults);
	tcase_add_test(t, test_real_tables);
	suite_add_tcase(s, t);
	return s;
}

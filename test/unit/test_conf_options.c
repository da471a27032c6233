#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config/conf_print.h"
#include "common/config/core.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct {
	const char *name, *out;
} options[] = {
	{ "expire", "expire\n"
		    "    a time such as \"30s\" from \"1s\" to \"1d\"; default \"1h\"; in server, "
		    "site,\n"
		    "    route\n"
		    "    How long.\n" },
	{ "headers",
	    "headers\n"
	    "    a text in double quotes, a group { }, or a list of either; in server,\n"
	    "    site, route; adds to what is inherited\n"
	    "        headers = ( { name = \"X\"; } );\n"
	    "    name\n"
	    "        a text in double quotes\n"
	    "        Its name.\n"
	    "    value\n"
	    "        a text in double quotes; default \"x\"; may stand in place of the group\n" },
	{ "redirect", /* all of a group */
	    "redirect.to\n"
	    "    a text in double quotes; in site, route; may stand in place of the group\n"
	    "redirect.status\n"
	    "    a whole number from 300 to 308; default 301; in site, route\n" },
	{ "plain", "plain\n    true or false; default false; in route\n" },
	{ "expir", NULL },
	{ "", NULL },
};

START_TEST(test_options)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	fake_use();
	if (!options[_i].out) /* what is said goes to stderr, and is not for this test's output */
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(conf_options_print(f, options[_i].name, false), options[_i].out ? 0 : 2);
	fclose(f);
	ck_assert_str_eq(out, options[_i].out ? options[_i].out : "");
	free(out);
}
END_TEST

/* Every option of every table is in the reference, and no line of it is a request by accident. */
START_TEST(test_mdoc)
{
	static const char *const macros[] = { ".Ss ", ".It Ic ", ".Bl -tag -width Ds", ".El", ".br",
		".Bd -literal", ".Ed" };
	const struct opt_table *tables;
	const struct cfg_opt *o;
	char *out = NULL, line[60];
	size_t len, n;
	struct str rest, s;
	FILE *f = open_memstream(&out, &len);

	core_use_modules(modules, modules_n);
	conf_options_mdoc(f);
	fclose(f);
	tables = core_tables(&n);
	for (size_t i = 0; i < n; i++)
		for (o = tables[i].opts; o && o->type != CFG_END; o++) {
			snprintf(line, sizeof(line), "\n.It Ic %s\n", o->name);
			ck_assert_msg(strstr(out, line) != NULL, "%s is missing", o->name);
		}
	rest = str_n(out, len);
	while (rest.p) {
		int i = 0;

		s = str_split(&rest, '\n');
		if (s.n == 0 || s.p[0] != '.')
			continue;
		while (i < UNIT_COUNT(macros) && !str_has_prefix(s, str_of(macros[i])))
			i++;
		ck_assert_msg(i < UNIT_COUNT(macros), "%.*s", STR_FMT(s));
	}
	free(out);
}
END_TEST

Suite *
suite_conf_options(void)
{
	Suite *s = suite_create("conf_options");
	TCase *t = tcase_create("conf_options");

	tcase_add_loop_test(t, test_options, 0, UNIT_COUNT(options));
	tcase_add_test(t, test_mdoc);
	suite_add_tcase(s, t);
	return s;
}

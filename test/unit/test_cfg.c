#include <stdlib.h>

#include "common/config/cfg.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const struct {
	const char *text;
	int64_t size, ms; /* -1: none */
} units[] = {
	{ "0", 0, 0 },
	{ "1", 1, -1 },
	{ "512", 512, -1 },
	{ "64k", 65536, -1 },
	{ "64K", 65536, -1 },
	{ "64 k", 65536, -1 },
	{ "64KiB", 65536, -1 },
	{ "64kb", 65536, -1 },
	{ "10M", 10 << 20, 600000 },
	{ "1.5k", 1536, -1 },
	{ "1.5s", -1, 1500 },
	{ "0.25G", 1 << 28, -1 },
	{ "1.5", -1, -1 },
	{ "2T", (int64_t)2 << 40, -1 },
	{ "8388607T", (int64_t)8388607 << 40, -1 },
	{ "8388608T", -1, -1 },
	{ "99999999999999999999", -1, -1 },
	{ "250ms", -1, 250 },
	{ "30s", -1, 30000 },
	{ "5m", 5 << 20, 300000 },
	{ "5min", -1, 300000 },
	{ "2h", -1, 7200000 },
	{ "7d", -1, 604800000 },
	{ "1w", -1, 604800000 },
	{ "1y", -1, 31536000000 },
	{ "292471208y", -1, INT64_C(292471208) * 31536000000 },
	{ "292471209y", -1, -1 },
	{ "", -1, -1 },
	{ "k", -1, -1 },
	{ "s", -1, -1 },
	{ "-1", -1, -1 },
	{ "-5s", -1, -1 },
	{ "+5s", -1, -1 },
	{ "1 0s", -1, -1 },
	{ "10x", -1, -1 },
	{ "10ss", -1, -1 },
	{ "1h30m", -1, -1 },
	{ ".5s", -1, -1 },
	{ "5.s", -1, -1 },
};

START_TEST(test_units)
{
	const char *why = NULL;
	int64_t n;

	n = -1;
	ck_assert_msg(cfg_parse_size(str_of(units[_i].text), &n, &why) == (units[_i].size >= 0),
	    "size %s", units[_i].text);
	if (units[_i].size >= 0)
		ck_assert_int_eq(n, units[_i].size);
	else
		ck_assert_ptr_nonnull(strstr(why, "64k"));
	n = -1;
	ck_assert_msg(cfg_parse_time(str_of(units[_i].text), &n, &why) == (units[_i].ms >= 0),
	    "time %s", units[_i].text);
	if (units[_i].ms >= 0)
		ck_assert_int_eq(n, units[_i].ms);
	else
		ck_assert_ptr_nonnull(strstr(why, "30s"));
}
END_TEST

/* A check hook's messages stand where the option was set, or its element, or at the scope. */
START_TEST(test_places_of_checks)
{
	fake_use();
	fake_says("server: {\n"
		  "  index = [ \"a\", \"bad\" ];\n"
		  "};\n"
		  "sites = ( { host = \"a\";\n"
		  "  auth: { realm = \"x\"; };\n"
		  "  routes = ( { path = \"/x\"; index = \"own\"; } );\n"
		  "} );\n",
	    "2:18 warning: index 1 is bad\n"
	    /* The route has a list of its own, in which the inherited elements follow. */
	    "2:18 warning: index 2 is bad\n"
	    "5:19 error: a realm without users // add users\n");
}
END_TEST

START_TEST(test_log_files_are_shared)
{
	struct conf *conf;

	fake_use();
	conf = fake_load(
	    "sites = ( { host = \"a\"; root = \"/x\"; }, { host = \"b\"; root = \"/y\"; },\n"
	    "{ host = \"c\"; root = \"/x\"; routes = ( { path = \"/r\"; root = \"/y\"; } ); } );");
	ck_assert_uint_eq(conf->log_files.n, 3);
	unit_str_eq(conf->log_files.v[0], "stderr");
	unit_str_eq(conf->log_files.v[1], "/x");
	unit_str_eq(conf->log_files.v[2], "/y");
	ck_assert_uint_eq(fake_of(&conf->sites[2].routes[0])->log, 2);
	ck_assert_uint_eq(fake_of(&conf->sites[2].routes[1])->log, 1);
	conf_free(conf);
}
END_TEST

Suite *
suite_cfg(void)
{
	Suite *s = suite_create("cfg");
	TCase *t = tcase_create("cfg");

	tcase_add_loop_test(t, test_units, 0, UNIT_COUNT(units));
	tcase_add_test(t, test_places_of_checks);
	tcase_add_test(t, test_log_files_are_shared);
	suite_add_tcase(s, t);
	return s;
}

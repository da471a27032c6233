/* Whom a configuration trusts, as root sees it. Paths are below a directory of root's; "OTHER" is a
   directory of somebody else. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/cfg_errors.h"
#include "common/config/conf_trust.h"
#include "test/unit/unit.h"

Suite *suite_conf_trust(void);

static char top[64], other[96];

static void
setup(void)
{
	snprintf(top, sizeof(top), "/tmp/test_conf_trust.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(other, sizeof(other), "%s/other", top);
	ck_assert_int_eq(mkdir(other, 0755), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(other, 65534, 65534), 0);
}

static void
teardown(void)
{
	rmdir(other);
	rmdir(top);
}

#define SITE "sites = ( { host = \"*\"; } );"

static const struct {
	const char *text; /* %s: a directory of somebody else */
	bool is_refused;
	unsigned risks;
	const char *says; /* NULL: nothing */
} rows[] = {
	{ "server: { user = \"nobody\"; };" SITE, false, 0, NULL },
	{ "server: { };" SITE, false, RISK_ROOT_WORKERS, "'user' is not set, so root is" },
	{ "server: { user = \"root\"; };" SITE, false, RISK_ROOT_WORKERS, "'user' is root" },
	{ "server: { group = \"nogroup\"; };" SITE, false, RISK_ROOT_WORKERS, "'user' is not" },
	/* pools: the workers' user unless they have one of their own */
	{ "server: { user = \"nobody\"; }; backends: { p: { protocol = \"scgi\"; spawn: { command "
	  "= \"/bin/cat\"; }; }; };" SITE,
	    false, 0, NULL },
	{ "server: { user = \"nobody\"; }; backends: { p: { protocol = \"scgi\"; spawn: { command "
	  "= \"/bin/cat\"; user = \"root\"; }; }; };" SITE,
	    false, RISK_ROOT_BACKENDS, "the processes of pool \"p\" run as root" },
	{ "server: { }; backends: { p: { protocol = \"scgi\"; spawn: { command = \"/bin/cat\"; }; "
	  "}; };" SITE,
	    false, RISK_ROOT_WORKERS | RISK_ROOT_BACKENDS, "the processes of pool \"p\"" },
	{ "server: { user = \"nobody\"; }; backends: { p: { protocol = \"cgi\"; }; };" SITE, false,
	    0, NULL },
	{ "server: { user = \"nobody\"; }; backends: { p: { protocol = \"cgi\"; spawn: { user = "
	  "\"root\"; }; }; };" SITE,
	    false, RISK_ROOT_BACKENDS, "the processes of pool \"p\"" },
	{ "server: { }; backends: { p: { protocol = \"cgi\"; }; };" SITE, true, 0,
	    "the scripts of pool \"p\" would run as root" },
	{ "server: { user = \"root\"; }; backends: { p: { protocol = \"cgi\"; }; };" SITE, true, 0,
	    "the scripts of pool \"p\" would run as root" },
	{ "server: { }; backends: { p: { protocol = \"cgi\"; spawn: { group = \"nogroup\"; }; }; "
	  "};" SITE,
	    true, 0, "the scripts of pool \"p\" would run as root" },
	/* logs */
	{ "server: { user = \"nobody\"; error_log = \"%s/e.log\"; };" SITE, false, 0,
	    "other belongs to user" },
	{ "server: { user = \"nobody\"; error_log = \"%s/../e.log\"; };" SITE, false, 0, NULL },
	{ "server: { user = \"nobody\"; error_log = \"/dev/null\"; };" SITE, false, 0, NULL },
};

START_TEST(trusts)
{
	struct cfg_errors *errors;
	struct conf *conf;
	char path[96], *said = NULL;
	size_t n = 0;
	FILE *f;

	if (geteuid() != 0)
		return; /* nobody else starts a process as somebody else */
	snprintf(path, sizeof(path), "%s/t.conf", top);
	f = fopen(path, "w");
	fprintf(f, rows[_i].text, other);
	fclose(f);
	conf = conf_load(path, &errors);
	unlink(path);
	ck_assert_ptr_nonnull(conf);
	conf = conf_trust(conf, errors);
	f = open_memstream(&said, &n);
	cfg_errors_print(errors, f, false);
	fclose(f);
	ck_assert_msg((conf == NULL) == rows[_i].is_refused, "%s", said);
	if (rows[_i].says)
		ck_assert_msg(strstr(said, rows[_i].says) != NULL, "%s", said);
	else
		ck_assert_str_eq(said, "");
	if (conf)
		ck_assert_uint_eq(conf_risks(conf), rows[_i].risks);
	conf_free(conf);
	cfg_errors_free(errors);
	free(said);
}
END_TEST

/* The files of a configuration, where others may write them or their directory. */
START_TEST(files)
{
	static const struct {
		const char *dir; /* below top */
		mode_t mode;
		bool is_others;
	} cases[] = {
		{ "", 0644, false },
		{ "", 0666, true },
		{ "/other", 0644, true },
	};
	struct cfg_errors *errors;
	struct conf *conf;
	char path[160];
	FILE *f;

	if (geteuid() != 0)
		return;
	snprintf(path, sizeof(path), "%s%s/t.conf", top, cases[_i].dir);
	f = fopen(path, "w");
	fputs("server: { user = \"nobody\"; }; sites = ( { host = \"*\"; } );", f);
	fclose(f);
	ck_assert_int_eq(chmod(path, cases[_i].mode), 0);
	conf = conf_load(path, &errors);
	conf = conf_trust(conf, errors);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(cfg_warnings_count(errors), cases[_i].is_others);
	conf_free(conf);
	cfg_errors_free(errors);
	unlink(path);
}
END_TEST

Suite *
suite_conf_trust(void)
{
	Suite *s = suite_create("conf_trust");
	TCase *t = tcase_create("conf_trust");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, trusts, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(t, files, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

/* The options of files: what is refused, and where it is said to be. */
#include <stdio.h>
#include <stdlib.h>

#include "common/config/conf.h"
#include "test/unit/unit.h"

static const struct {
	const char *options;
	const char *says; /* part of the message; NULL: all is well */
} rows[] = {
	{ "", NULL },
	{ "precompressed = [\"gzip\", \"br\"];", NULL },
	{ "precompressed = \"zstd\";", NULL },
	{ "precompressed = [];", NULL },
	{ "precompressed = [\"gzip\", \"lzma\"];", "unknown content coding \"lzma\"" },
	{ "precompressed = [\"br\", \"br\"];", "twice" },
	{ "types = [\"x text/x\", \"text/y y z\"];", NULL },
	{ "types = [\"x\"];", "\"x\" is no media type" },
	{ "index = [\"a.html\", \"b/c.html\"];", "without \"/\"" },
	{ "charset = \"utf 8\";", "not the name of a character set" },
	{ "charset = \"\";", NULL },
	{ "try = [\"$path\", \"$path/\", \"/x.php?a=$path&$query\"];", NULL },
	{ "try = [\"${path}.html\", \"=404\"];", NULL },
	{ "try = \"=410\";", NULL },
	{ "try = [\"=404\", \"$path\"];", "only be the last" },
	{ "try = [\"$path\", \"=200\"];", "400 to 599" },
	{ "try = [\"$path\", \"=4044\"];", "400 to 599" },
	{ "try = [\"path\", \"=404\"];", "begins with" },
	{ "try = [\"$path\", \"/$host\"];", "only $path and $query" },
	{ "try = [\"$path\", \"/$nothing\"];", "nothing" },
	{ "symlinks = \"some\";", "symlinks" },
	{ "listing = true;", NULL },
	{ "listing: { enabled = true; sort = \"time\"; hide = [\"*~\"]; max = 5; };", NULL },
	{ "listing: { max = 0; };", "max" },
	{ "max_ranges = 17;", "max_ranges" },
	{ "file_cache: { max_size = \"1M\"; };", "file_cache" },
	{ "root = \"/nonexistent/x\";", "does not exist" },
};

START_TEST(test_options)
{
	char conf[512], *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct cfg_errors *errors;
	struct conf *c;

	ck_assert_ptr_nonnull(f);
	snprintf(conf, sizeof(conf),
	    "server: { listen = \"127.0.0.1:8080\"; };\nsites = ( { host = \"*\"; %s } );\n",
	    rows[_i].options);
	c = conf_load_text(conf, "test.conf", &errors);
	cfg_errors_print(errors, f, false);
	fclose(f);
	if (rows[_i].says)
		ck_assert_msg(
		    strstr(text, rows[_i].says) != NULL, "\"%s\" says: %s", rows[_i].options, text);
	else
		ck_assert_msg(c && n == 0, "\"%s\" says: %s", rows[_i].options, text);
	cfg_errors_free(errors);
	if (c)
		conf_free(c);
	free(text);
}
END_TEST

Suite *
suite_files_conf(void)
{
	Suite *s = suite_create("files_conf");
	TCase *tc = tcase_create("files_conf");

	tcase_add_loop_test(tc, test_options, 0, UNIT_COUNT(rows));
	suite_add_tcase(s, tc);
	return s;
}

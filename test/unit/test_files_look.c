/* What `argand check` finds in a document root, and what it leaves unsaid because nobody gets it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/conf_look.h"
#include "test/unit/filetree.h"
#include "test/unit/unit.h"

Suite *suite_files_look(void);

#define KEY "-----BEGIN RSA PRIVATE KEY-----\n"
#define WP  "<?php define('DB_PASSWORD', 'x');\n"

static const struct row {
	const char *file, *text;
	const char *site; /* options and routes; @ is the tree */
	const char *path; /* that is warned of; NULL: none */
} rows[] = {
	{ "www.key", KEY, "", "/www.key" },
	{ "a/b/www.key", KEY, "", "/a/b/www.key" },
	{ "a/b/c/www.key", KEY, "", NULL }, /* too deep for a look */
	{ "talk.key", "PK\3\4 slides", "", NULL },
	{ "cert.pem", "-----BEGIN CERTIFICATE-----\n", "", NULL },
	{ "both.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" KEY, "",
	    "/both.pem" },
	{ "id_rsa", KEY, "", "/id_rsa" },
	{ "ID_RSA.bak", KEY, "", "/ID_RSA.bak" },
	{ "id_rsa.pub", "ssh-rsa AAAA", "", NULL },
	{ "backup/db.sql", "x", "", "/backup/db.sql" },
	{ "db.SQL.GZ", "x", "", "/db.SQL.GZ" },
	{ "app.sqlite", "SQLite format 3", "", "/app.sqlite" },
	{ "app.db", "SQLite format 3", "", "/app.db" },
	{ "Thumbs.db", "something else", "", NULL },
	/* hidden names are refused anyhow */
	{ ".env", "A=b", "", NULL },
	{ ".env", "A=b", "hidden = true;", "/.env" },
	{ "app/.env.production", "A=b", "hidden = true;", "/app/.env.production" },
	{ ".git/HEAD", "ref", "", NULL },
	{ ".git/HEAD", "ref", "hidden = true;", "/.git/HEAD" },
	{ ".git/x", "no repository", "hidden = true;", NULL },
	{ ".env", "A=b", "routes = ( { path = \"/\"; hidden = true; } );", "/.env" },
	{ "x/.env", "A=b", "routes = ( { path = \"/x\"; hidden = true; } );", "/x/.env" },
	{ "y/.env", "A=b", "routes = ( { path = \"/x\"; hidden = true; } );", NULL },
	/* configurations as text; a gateway runs them, and keeps their copies */
	{ "wp-config.php", WP, "", "/wp-config.php" },
	{ "blog/wp-config.php.bak", WP, "", "/blog/wp-config.php.bak" },
	{ "wp-config.php", "<?php // nothing in it", "", NULL },
	{ "wp-config-sample.php", WP, "", NULL },
	{ "LocalSettings.php", "<?php $wgDBpassword = 1;", "", "/LocalSettings.php" },
	{ "config/config.php", "<?php 'dbpassword' => 1", "", "/config/config.php" },
	{ "wp-config.php", WP, "gateway = \"php\";", NULL },
	{ "wp-config.php~", WP, "gateway = \"php\";", NULL },
	{ "wp-config.txt", WP, "gateway = \"php\";", "/wp-config.txt" },
	{ "wp-config.php", WP, "gateway = \"php\"; scripts_as_text = true;", NULL }, /* it runs */
	{ "s/wp-config.php", WP,
	    "gateway = \"php\"; routes = ( { path = \"/s\"; gateway = \"off\"; } );", NULL },
	{ "s/wp-config.php", WP,
	    "gateway = \"php\"; routes = ( { path = \"/s\"; gateway = \"off\"; scripts_as_text = "
	    "true; } );",
	    "/s/wp-config.php" },
	{ "x.phps", "<?php", "gateway = \"php\";", "/x.phps" },
	{ "x.inc", "<?php", "gateway = \"php\";", "/x.inc" },
	{ "x.php.txt", "<?php", "gateway = \"php\";", "/x.php.txt" },
	{ "x.phps", "<?php", "", NULL }, /* a download, where nothing runs PHP */
	/* who gets it */
	{ "db.sql", "x", "gateway = \"app\";", NULL },
	{ "db.sql", "x", "respond = \"x\";", NULL },
	{ "db.sql", "x", "routes = ( { exact = \"/db.sql\"; respond: { status = 404; }; } );",
	    NULL },
	{ "db.sql", "x", "routes = ( { regex = \"\\\\.sql$\"; access: { deny = \"all\"; }; } );",
	    NULL },
	{ "db.sql", "x", "access: { allow = \"10.0.0.0/8\"; };", NULL },
	{ "db.sql", "x", "access: { deny = \"10.0.0.0/8\"; methods = [ \"GET\" ]; };", "/db.sql" },
	{ "db.sql", "x", "routes = ( { path = \"/pub\"; alias = \"@\"; } ); respond = \"x\";",
	    NULL },
	{ "db.sql", "x",
	    "routes = ( { path = \"/x\"; root = \"@\"; }, { path = \"/y/\"; alias = \"@\"; },\n"
	    "{ path = \"/\"; respond = \"x\"; } );",
	    "/y/db.sql" },
};

static char *
look(const char *site)
{
	char conf[4000], *text = NULL, *p = conf;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct cfg_errors *errors;
	struct conf *c;

	p += sprintf(p,
	    "backends: { php = \"fastcgi://unix:/run/php.sock\"; app = \"http://10.0.0.1:80\"; };\n"
	    "sites = ( { root = \"%s\"; ",
	    tree_path());
	for (; *site; site++)
		if (*site == '@')
			p += sprintf(p, "%s", tree_path());
		else
			*p++ = *site;
	strcpy(p, " } );");
	c = conf_load_text(conf, "test.conf", &errors);
	if (c)
		conf_look(c, errors);
	cfg_errors_print(errors, f, false);
	fclose(f);
	ck_assert_msg(c != NULL, "%s", text);
	cfg_errors_free(errors);
	conf_free(c);
	return text;
}

START_TEST(test_rows)
{
	const struct row *row = &rows[_i];
	char want[200], *text;

	tree_text(row->file, row->text);
	text = look(row->site);
	snprintf(
	    want, sizeof(want), "everybody can fetch %s, which is ", row->path ? row->path : "");
	if (!row->path)
		ck_assert_msg(!strstr(text, "everybody"), "%s: %s", row->file, text);
	else
		ck_assert_msg(strstr(text, want) != NULL, "%s, not %s: %s", want, row->file, text);
	ck_assert_msg(!row->path || !strstr(strstr(text, want) + 1, "everybody"), "once: %s", text);
	free(text);
}
END_TEST

/* Names that are no text, files that cannot be read, and more than anybody reads. */
START_TEST(test_odd)
{
	char name[40], *text;
	int told = 0;

	tree_fifo("a.key");
	tree_link("b.key", "../../../etc/hostname");
	tree_text("c.sql", "x");
	ck_assert_int_eq(fchmodat(tree_fd(), "c.sql", 0600, 0), 0);
	tree_text("\x1b[31m\xfe.sql", "x");
	text = look("");
	ck_assert_ptr_nonnull(strstr(text, "everybody can fetch /\\x1B[31m\\xFE.sql, which"));
	ck_assert_ptr_null(strstr(text, "\x1b"));
	ck_assert_ptr_null(strstr(text, ".key"));
	if (geteuid() == 0) /* workers are somebody else */
		ck_assert_ptr_null(strstr(text, "c.sql"));
	free(text);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d.sql", i);
		tree_text(name, "x");
	}
	text = look("");
	for (const char *p = text; (p = strstr(p, "everybody can fetch")) != NULL; p++)
		told++;
	ck_assert_int_eq(told, 20);
	ck_assert_ptr_nonnull(strstr(text, "and more in "));
	free(text);
}
END_TEST

Suite *
suite_files_look(void)
{
	Suite *s = suite_create("files_look");
	TCase *t = tcase_create("files_look");

	tcase_add_checked_fixture(t, tree_make, tree_remove);
	tcase_add_loop_test(t, test_rows, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_odd);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return s;
}

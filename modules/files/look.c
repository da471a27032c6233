/*
 * Names that match a row of files_look_rows, in the root and two levels below it, breadth first and
 * within bounds. Of a candidate whose row asks for it the first bytes are read: a file with the
 * name of a key is reported when it holds one. What is reported would be sent: the route that
 * answers for its path serves files from this root, without signing in or a list of addresses, its
 * options allow the name, and nobody runs it as a script. Roots with $host in them are not looked
 * at.
 */
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/beneath.h"
#include "common/base/http.h"
#include "common/config/cfg_errors.h"
#include "common/config/conf_look.h"
#include "modules/files/conf.h"
#include "modules/files/look.h"
#include "modules/files/path.h"
#include "modules/files/script.h"

enum {
	LOOK_DEPTH = 2,
	LOOK_DIRS = 128,
	LOOK_ENTRIES = 4096, /* of one root, all directories together */
	LOOK_READS = 256,
	LOOK_BYTES = 16384,
	LOOK_WARNINGS = 20,
};

extern const struct module module_files;

enum look_kind { LOOK_KEY, LOOK_DUMP, LOOK_SECRETS, LOOK_HISTORY, LOOK_SOURCE };

/* One row per rule: names without regard to case; a text that the first bytes hold, NULL: the name
   says enough; what it is. Of a directory: a file in it that proves it. */
static const struct look_row {
	enum look_kind kind;
	const char *names, *text, *what, *proof;
} files_look_rows[] = {
	{ LOOK_SECRETS, ".env", NULL, "settings of an application (.env)", NULL },
	{ LOOK_SECRETS, ".env.*", NULL, "settings of an application (.env)", NULL },
	{ LOOK_SECRETS, ".htpasswd*", NULL, "passwords", NULL },
	{ LOOK_HISTORY, ".git", NULL, "a repository with its history", "HEAD" },
	{ LOOK_HISTORY, ".hg", NULL, "a repository with its history", "requires" },
	{ LOOK_HISTORY, ".svn", NULL, "a working copy with its sources", "wc.db" },
	{ LOOK_KEY, "*.key", "PRIVATE KEY-----", "a private key", NULL },
	{ LOOK_KEY, "*.pem", "PRIVATE KEY-----", "a private key", NULL },
	{ LOOK_KEY, "id_[derx]*", "PRIVATE KEY-----", "a private key", NULL },
	{ LOOK_KEY, "*.ppk", "PuTTY-User-Key-File", "a private key", NULL },
	{ LOOK_KEY, "*.p12", NULL, "a store of keys", NULL },
	{ LOOK_KEY, "*.pfx", NULL, "a store of keys", NULL },
	{ LOOK_DUMP, "*.sql", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.sql.gz", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.sql.bz2", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.sql.xz", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.sql.zst", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.sql.zip", NULL, "a database dump", NULL },
	{ LOOK_DUMP, "*.dump", "PGDMP", "a database dump", NULL },
	{ LOOK_DUMP, "*.sqlite*", "SQLite format 3", "a database", NULL },
	{ LOOK_DUMP, "*.db*", "SQLite format 3", "a database", NULL },
	{ LOOK_SECRETS, "*wp-config*", "DB_PASSWORD", "WordPress' configuration", NULL },
	{ LOOK_SECRETS, "*LocalSettings*", "$wgDBpassword", "MediaWiki's configuration", NULL },
	{ LOOK_SECRETS, "configuration.php*", "class JConfig", "Joomla's configuration", NULL },
	{ LOOK_SECRETS, "settings*.php*", "$databases", "Drupal's configuration", NULL },
	{ LOOK_SECRETS, "config.php*", "$CFG->dbpass", "Moodle's configuration", NULL },
	{ LOOK_SECRETS, "config.php*", "$dbpasswd", "phpBB's configuration", NULL },
	{ LOOK_SECRETS, "config*.php*", "dbpassword", "Nextcloud's configuration", NULL },
	{ LOOK_SECRETS, "config*.php*", "DB_PASSWORD", "an application's configuration", NULL },
	{ LOOK_SECRETS, "config.inc*", "blowfish_secret", "phpMyAdmin's configuration", NULL },
	{ LOOK_SECRETS, "local*.php*", "passw", "an application's configuration", NULL },
	{ LOOK_SECRETS, "env.php*", "'crypt'", "Magento's configuration", NULL },
	{ LOOK_SECRETS, "database.yml*", "password", "Rails' configuration", NULL },
	{ LOOK_SECRETS, "parameters.yml*", "password", "Symfony's configuration", NULL },
	{ LOOK_SECRETS, "*settings.py*", "SECRET_KEY", "Django's configuration", NULL },
	{ LOOK_SECRETS, "appsettings*.json*", "ConnectionStrings", "an application's configuration",
	    NULL },
	{ LOOK_SOURCE, "*.php*", "<?php", "the source of a script", NULL },
	{ LOOK_SOURCE, "*.phtml*", "<?", "the source of a script", NULL },
	{ LOOK_SOURCE, "*.phar*", "<?php", "the source of a script", NULL },
	{ LOOK_SOURCE, "*.inc", "<?php", "the source of a script", NULL },
};

/* A look at one root. Names are beneath it; the queue's are "" and "dir/" and "dir/dir/". */
struct look {
	const struct route *route;
	const struct files_conf *conf;
	struct cfg_check *check;
	int root;
	struct str dirs[LOOK_DIRS];
	uint8_t depths[LOOK_DIRS];
	unsigned ndirs, entries, reads, warned;
};

/* --- whether it would be sent --- */

static bool
files_look_has(struct cfg_strs list, const char *word)
{
	for (size_t i = 0; i < list.n; i++)
		if (str_eq(list.v[i], str_of(word)))
			return true;
	return false;
}

/* Whether a route asks who somebody is before it answers. */
static bool
files_look_is_closed(const struct route *r)
{
	struct cfg_strs allow = conf_texts(r, "access.allow"), deny = conf_texts(r, "access.deny");

	for (size_t i = 0; i < r->access.n; i++)
		if (str_eq(r->access.v[i].name, STR("auth")))
			return true;
	return files_look_has(deny, "all") || (allow.n > 0 && !files_look_has(allow, "all"));
}

static const struct files_conf *
files_look_conf(const struct route *r)
{
	for (size_t i = 0; i < r->handle.n; i++)
		if (r->handle.v[i].module == &module_files)
			return r->handle.v[i].conf;
	return NULL;
}

/* The options by which path is answered out of this root; NULL: not at all, or not to anybody. */
static const struct files_conf *
files_look_server(const struct look *l, struct str path)
{
	const struct route *r = site_route(l->route->site, path, M_GET);
	const struct files_conf *c = files_look_conf(r);

	if (!c || conf_taker(r, path) != &module_files || files_look_is_closed(r))
		return NULL;
	if (r != l->route &&
	    (c->alias.n > 0 || l->conf->alias.n > 0 || !str_eq(c->root, l->conf->root)))
		return NULL;
	if (!c->hidden && files_path_is_hidden(path))
		return NULL;
	if (!c->scripts_as_text && files_script_is(&r->site->scripts, path))
		return NULL;
	return c;
}

/* As the handler opens it. What only root may read is not sent: workers are somebody else. */
static int
files_look_open(const struct look *l, const struct files_conf *c, struct str name)
{
	int fd = beneath_open(l->root, name, (enum beneath_links)c->symlinks, O_RDONLY);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_uid != 0 || st.st_mode & (S_IRGRP | S_IROTH)))
		return fd;
	close(fd);
	return -1;
}

/* --- rows --- */

/* The URL path of a name. */
static struct str
files_look_path(const struct look *l, struct str name)
{
	struct str prefix = l->conf->alias.n > 0 ? l->route->path : STR("/");

	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	return arena_printf(l->check->arena, "%.*s/%.*s", STR_FMT(prefix), STR_FMT(name));
}

/* Samples that come with an application hold no secrets. */
static bool
files_look_is_sample(const char *name)
{
	return fnmatch("*sample*", name, FNM_CASEFOLD) == 0 ||
	       fnmatch("*example*", name, FNM_CASEFOLD) == 0 ||
	       fnmatch("*[.-]dist", name, FNM_CASEFOLD) == 0 ||
	       fnmatch("*default*", name, FNM_CASEFOLD) == 0;
}

static bool
files_look_holds(struct look *l, int fd, const char *text)
{
	char bytes[LOOK_BYTES];
	ssize_t n;

	if (!text)
		return true;
	if (l->reads++ >= LOOK_READS)
		return false;
	n = pread(fd, bytes, sizeof(bytes), 0);
	return n > 0 && memmem(bytes, (size_t)n, text, strlen(text));
}

static void
files_look_warn(struct look *l, const struct look_row *row, struct str path)
{
	static const char *const hints[] = {
		[LOOK_KEY] = "a key belongs out of the document root, and is to be replaced now",
		[LOOK_DUMP] = "move it out of the document root",
		[LOOK_HISTORY] = "hidden = false; or move it out of the document root",
		[LOOK_SOURCE] = "rename or remove it, or a route with access, or respond",
	};
	struct str root = l->conf->alias.n > 0 ? l->conf->alias : l->conf->root;
	const char *hint = hints[row->kind];

	if (!hint)
		hint = cfg_errors_printf(l->check->errors,
		    "move it out of the document root, or: { exact = \"%.*s\"; respond: { status = "
		    "404; }; }",
		    STR_FMT(path));
	if (l->warned++ == LOOK_WARNINGS)
		cfg_warning(l->check, l->conf->alias.n > 0 ? "alias" : "root", -1, NULL,
		    "and more in %.*s", STR_FMT(root));
	if (l->warned > LOOK_WARNINGS)
		return;
	cfg_warning(l->check, l->conf->alias.n > 0 ? "alias" : "root", -1, hint,
	    "everybody can fetch %.*s, which is %s (a file named \"%s\"%s%s%s) in %.*s",
	    STR_FMT(path), row->what, row->names, row->text ? " with \"" : "",
	    row->text ? row->text : "", row->text ? "\"" : "", STR_FMT(root));
}

/* True when the row is about it, whether the warning was written or not. */
static bool
files_look_row(struct look *l, const struct look_row *row, struct str name, const char *last)
{
	const struct files_conf *c;
	struct str path;
	bool holds;
	int fd;

	if (fnmatch(row->names, last, FNM_CASEFOLD) != 0)
		return false;
	if (row->kind == LOOK_SOURCE && l->route->site->scripts.n == 0)
		return false;
	if (row->kind == LOOK_SECRETS && row->text && files_look_is_sample(last))
		return false;
	if (row->proof)
		name = arena_printf(l->check->arena, "%.*s/%s", STR_FMT(name), row->proof);
	path = files_look_path(l, name);
	c = files_look_server(l, path);
	fd = c ? files_look_open(l, c, name) : -1;
	if (fd < 0)
		return false;
	holds = files_look_holds(l, fd, row->text);
	close(fd);
	if (holds)
		files_look_warn(l, row, path);
	return holds;
}

/* --- directories --- */

/* Symbolic links are not followed: what they lead to is mostly here already. A hidden directory
   gets one warning as a whole. */
static bool
files_look_is_directory(const struct look *l, const struct dirent *d, struct str name)
{
	struct stat st;

	if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
		return false;
	return d->d_type == DT_DIR ||
	       (fstatat(l->root, name.p, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
}

static void
files_look_entry(struct look *l, struct str dir, unsigned depth, const struct dirent *d)
{
	struct str name = arena_printf(l->check->arena, "%.*s%s", STR_FMT(dir), d->d_name);

	for (size_t i = 0; i < sizeof(files_look_rows) / sizeof(files_look_rows[0]); i++)
		if (files_look_row(l, &files_look_rows[i], name, d->d_name))
			return;
	if (depth == LOOK_DEPTH || l->ndirs == LOOK_DIRS || !files_look_is_directory(l, d, name))
		return;
	l->depths[l->ndirs] = (uint8_t)(depth + 1);
	l->dirs[l->ndirs++] = arena_printf(l->check->arena, "%.*s/", STR_FMT(name));
}

static void
files_look_directory(struct look *l, struct str dir, unsigned depth)
{
	int fd = beneath_open(l->root, dir, LINKS_NONE, O_RDONLY | O_DIRECTORY);
	struct dirent *d;
	DIR *dp;

	if (fd < 0)
		return;
	dp = fdopendir(fd);
	if (!dp) {
		close(fd);
		return;
	}
	while (l->entries < LOOK_ENTRIES && (d = readdir(dp)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0) {
			l->entries++;
			files_look_entry(l, dir, depth, d);
		}
	closedir(dp);
}

/* Whether an earlier route of the site has the same root: it was looked at for both. */
static bool
files_look_is_done(const struct route *r, const struct files_conf *c)
{
	for (const struct route *q = r->site->routes; q < r && c->alias.n == 0; q++) {
		const struct files_conf *other = files_look_conf(q);

		if (other && other->alias.n == 0 && str_eq(other->root, c->root))
			return true;
	}
	return false;
}

void
files_look(const struct route *route, const void *conf, struct cfg_check *check)
{
	const struct files_conf *c = conf;
	struct look *l;

	if ((c->alias.n == 0 && c->root_of_host.n > 0) || files_look_is_done(route, c))
		return;
	if (c->alias.n > 0 && route->kind != ROUTE_PREFIX)
		return;
	l = arena_calloc(check->arena, sizeof(*l));
	*l = (struct look){ .route = route, .conf = c, .check = check, .ndirs = 1 };
	l->root = open(c->alias.n > 0 ? c->alias.p : c->root.p,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (l->root < 0)
		return;
	l->dirs[0] = STR("");
	for (unsigned i = 0; i < l->ndirs && l->entries < LOOK_ENTRIES; i++)
		files_look_directory(l, l->dirs[i], l->depths[i]);
	close(l->root);
}

/*
 * Files: reading the main one and those it includes, each with a tree of its own, and going through
 * what stands at the top of each. Scopes are filled here; what they mean comes later.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/must.h"
#include "common/config/build.h"

enum { FILE_DEPTH = 8, FILE_COUNT = 10000 };

struct file {
	const char *name, *dir;
	dev_t dev;
	ino_t ino;
	struct cfg_tree tree;
	const struct file *from; /* what includes it; NULL: the main one */
	struct file *next;
	unsigned depth;
};

struct files {
	struct build *b;
	struct arena texts; /* and trees: gone when the scopes are filled */
	struct file *first, **last;
	unsigned n;
	struct file *current; /* what is being gone through */
};

/* The directory of a file name, absolute but not resolved. */
static const char *
file_dir(struct arena *a, const char *name)
{
	const char *slash = strrchr(name, '/');
	char cwd[PATH_MAX];

	if (slash == name)
		return "/";
	if (name[0] == '/')
		return arena_str(a, str_n(name, (size_t)(slash - name))).p;
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = '\0';
	if (!slash)
		return arena_strdup(a, cwd);
	return arena_printf(a, "%s/%.*s", cwd, (int)(slash - name), name).p;
}

/* Reads a whole file into the arena, NUL-terminated; p NULL with errno. A file over the limit is
   read as far as the limit, so that the parser refuses it. */
static struct str
file_slurp(struct arena *a, int fd)
{
	size_t n = 0, room = 1 << 14;
	char *buf = must_malloc(room + 1);
	struct str text = { NULL, 0 };
	ssize_t got;

	while ((got = read(fd, buf + n, room - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
		if (n > TREE_BYTES)
			break;
		if (n == room)
			buf = must_realloc(buf, (room *= 2) + 1);
	}
	if (got >= 0)
		text = arena_str(a, str_n(buf, n));
	free(buf);
	return text;
}

static void
file_digest(struct conf *conf, struct str text)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		conf->digest = (conf->digest ^ (unsigned char)text.p[i]) * 0x100000001b3u;
	conf->digest = (conf->digest ^ 0x100) * 0x100000001b3u; /* the end of a file */
}

/* Adds the name to conf->files: used to find out who may change the configuration. */
static void
file_note(struct files *fs, const char *name)
{
	struct cfg_strs *files = &fs->b->conf->files;
	struct str *longer = arena_alloc(fs->b->arena, (files->n + 1) * sizeof(*longer));

	if (files->n)
		memcpy(longer, files->v, files->n * sizeof(*longer));
	longer[files->n] = str_of(name);
	files->v = longer;
	files->n++;
}

static struct file *
file_add(struct files *fs, const char *name, const struct file *from)
{
	struct file *f = arena_calloc(fs->b->arena, sizeof(*f));

	f->name = arena_strdup(fs->b->arena, name);
	f->dir = file_dir(fs->b->arena, name);
	f->from = from;
	f->depth = from ? from->depth + 1 : 0;
	*fs->last = f;
	fs->last = &f->next;
	fs->n++;
	return f;
}

static void
file_parse(struct files *fs, struct file *f, struct str text)
{
	struct build *b = fs->b;

	file_digest(b->conf, text);
	cfg_errors_source(b->errors, f->name, text);
	tree_parse(&f->tree, &fs->texts, b->errors, f->name, text);
}

static bool
file_is_known(const struct files *fs, const struct stat *st)
{
	const struct file *f;

	for (f = fs->first; f; f = f->next)
		if (f->dev == st->st_dev && f->ino == st->st_ino)
			return true;
	return false;
}

/* at: where the file is named; file NULL for the main one. */
static void
file_error(struct files *fs, const char *name, struct cfg_place at, const char *why)
{
	if (at.file)
		cfg_errors_add(fs->b->errors, true, at, NULL, "cannot include %s: %s", name, why);
	else
		cfg_errors_add(fs->b->errors, true, (struct cfg_place){ name, 0, 0 }, NULL,
		    "cannot be read: %s", why);
}

static void file_includes(struct files *, struct file *);

static void
file_open(struct files *fs, const char *name, const struct file *from, struct cfg_place at)
{
	struct stat st;
	struct str text;
	struct file *f;
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0) {
		file_error(fs, name, at, strerror(errno));
	} else if (!S_ISREG(st.st_mode) && at.file) {
		file_error(fs, name, at, "it is not a regular file");
	} else if (S_ISDIR(st.st_mode)) {
		file_error(fs, name, at, strerror(EISDIR));
	} else if (file_is_known(fs, &st)) {
		file_error(fs, name, at, "it has been read already");
	} else if (!(text = file_slurp(&fs->texts, fd)).p) {
		file_error(fs, name, at, strerror(errno));
	} else {
		f = file_add(fs, name, from);
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		file_note(fs, f->name);
		file_parse(fs, f, text);
		file_includes(fs, f);
	}
	if (fd >= 0)
		close(fd);
}

/* For glob(): a directory that is not there has no files; one that cannot be read is an error. */
static int
file_glob_error(const char *path, int err)
{
	(void)path;
	return err != ENOENT && err != ENOTDIR;
}

/* One pattern of an include: a directory (its *.conf), a pattern, or a file that must be there. */
static void
file_include(struct files *fs, struct file *f, const struct cfg_node *node)
{
	struct arena *a = fs->b->arena;
	const char *pattern = node->text.p;
	struct stat st;
	glob_t g;
	size_t i;
	int err;

	if (pattern[0] != '/')
		pattern = arena_printf(a, "%s/%s", f->dir, pattern).p;
	if (stat(pattern, &st) == 0 && S_ISDIR(st.st_mode))
		pattern = arena_printf(a, "%s/*.conf", pattern).p;
	else if (!strpbrk(pattern, "*?[")) {
		file_open(fs, pattern, f, node->place);
		return;
	}
	err = glob(pattern, 0, file_glob_error, &g);
	if (err && err != GLOB_NOMATCH)
		file_error(fs, pattern, node->place, "a directory cannot be read");
	for (i = 0; !err && i < g.gl_pathc; i++) {
		if (fs->n >= FILE_COUNT) {
			file_error(fs, g.gl_pathv[i], node->place, "too many files");
			break;
		}
		file_open(fs, g.gl_pathv[i], f, node->place);
	}
	if (!err)
		globfree(&g);
}

static void
file_includes(struct files *fs, struct file *f)
{
	struct cfg_node *node = tree_member(f->tree.root, "include"), *e;

	if (!node)
		return;
	if (f->depth >= FILE_DEPTH) {
		file_error(fs, "another file", node->place, "files are included too deep");
		return;
	}
	if (node->kind == NODE_STRING && node->text.n)
		file_include(fs, f, node);
	for (e = node->first; e; e = e->next)
		if (e->kind == NODE_STRING && e->text.n)
			file_include(fs, f, e);
}

/* --- what stands in them --- */

/* What a site or route is called in messages before it is known to be right. */
static const char *
file_scope_name(
    struct arena *a, const char *what, const struct cfg_node *group, const char *const *keys)
{
	const struct cfg_node *node;

	for (; *keys; keys++) {
		node = tree_member(group, *keys);
		if (node && node->first)
			node = node->first;
		if (node && node->kind == NODE_STRING)
			return arena_printf(a, "%s \"%.*s\"", what, STR_FMT(node->text)).p;
	}
	return what;
}

struct file_arg {
	struct files *fs;
	struct build_site *site;
	struct opt_reader *reader;
};

static void
file_wants_groups(struct file_arg *arg, const struct cfg_node *node, const char *what)
{
	struct cfg_errors *e = arg->fs->b->errors;

	if (node->kind == NODE_NONE)
		return;
	((struct cfg_node *)node)->is_reported = true;
	cfg_errors_add(e, true, node->place,
	    cfg_errors_printf(e, "write %s = ( { ... }, { ... } );", what),
	    "'%s' wants a list of groups, not %s", what, tree_describe(node, e));
}

/* Calls one for each group of a list, or for the one group in its place. */
static void
file_each_group(struct file_arg *arg, const struct cfg_node *node, const char *what,
    void (*one)(struct file_arg *, const struct cfg_node *))
{
	const struct cfg_node *e;

	if (node->kind == NODE_GROUP) {
		one(arg, node);
		return;
	}
	if (node->kind != NODE_LIST && !(node->kind == NODE_ARRAY && !node->first)) {
		file_wants_groups(arg, node, what);
		return;
	}
	for (e = node->first; e; e = e->next)
		if (e->kind == NODE_GROUP)
			one(arg, e);
		else
			file_wants_groups(arg, e, what);
}

static void
file_route(struct file_arg *arg, const struct cfg_node *group)
{
	static const char *const keys[] = { "path", "exact", "regex", NULL };
	struct build *b = arg->fs->b;
	struct build_route *r = arena_calloc(b->arena, sizeof(*r));

	r->scope = scope_new(b->arena, arg->site->scope, CFG_ROUTE, group->place,
	    file_scope_name(b->arena, "route", group, keys));
	*arg->site->last = r;
	arg->site->last = &r->next;
	arg->site->nroutes++;
	scope_apply(r->scope, arg->reader, group, NULL, NULL, NULL);
}

/* Routes come after the site's own options, which they inherit. */
static bool
file_take_routes(struct opt_space *space, const struct cfg_node *node)
{
	(void)space;
	return str_eq(node->name, STR("routes"));
}

static void
file_site(struct file_arg *arg, const struct cfg_node *group)
{
	static const char *const keys[] = { "host", NULL };
	struct build *b = arg->fs->b;
	struct build_site *s = arena_calloc(b->arena, sizeof(*s));
	const struct cfg_node *node;

	s->last = &s->routes;
	s->scope = scope_new(b->arena, b->server, CFG_SITE, group->place,
	    file_scope_name(b->arena, "site", group, keys));
	*b->last = s;
	b->last = &s->next;
	b->nsites++;
	scope_apply(s->scope, arg->reader, group, core_site_names, file_take_routes, NULL);
	arg->site = s;
	for (node = group->first; node; node = node->next)
		if (str_eq(node->name, STR("routes")))
			file_each_group(arg, node, "routes", file_route);
}

static void
file_server(struct file_arg *arg, const struct cfg_node *node)
{
	struct build *b = arg->fs->b;

	if (node->kind != NODE_GROUP) {
		if (node->kind != NODE_NONE)
			cfg_errors_add(b->errors, true, node->place, "write server: { ... }",
			    "'server' wants a group, not %s", tree_describe(node, b->errors));
		return;
	}
	if (arg->fs->current->from) {
		cfg_errors_add(b->errors, true, node->name_place, NULL,
		    "'server' belongs in the main file, %s", arg->fs->first->name);
		return;
	}
	b->server->place = node->name_place;
	scope_apply(b->server, arg->reader, node, NULL, NULL, NULL);
}

static void
file_check_include(struct file_arg *arg, const struct cfg_node *node)
{
	const struct cfg_node *e = node->first ? node->first : node;
	struct cfg_errors *errors = arg->fs->b->errors;

	for (; e; e = node->first ? e->next : NULL)
		if (e->kind != NODE_STRING && e->kind != NODE_NONE && !e->is_reported) {
			((struct cfg_node *)e)->is_reported = true;
			cfg_errors_add(errors, true, e->place, NULL,
			    "'include' wants a path or a list of paths, not %s",
			    tree_describe(e, errors));
		}
}

/* The members at the top: sites come after the server's options, which they inherit. */
static bool
file_take_top(struct opt_space *space, const struct cfg_node *node)
{
	struct file_arg *arg = ((struct scope_walk *)space)->arg;

	if (str_eq(node->name, STR("server")))
		file_server(arg, node);
	else if (str_eq(node->name, STR("include")))
		file_check_include(arg, node);
	else if (str_eq(node->name, STR("backends")))
		build_pools_read(arg->fs->b, arg->reader, node);
	else
		return str_eq(node->name, STR("sites"));
	return true;
}

static void
file_top(struct files *fs, struct file *f)
{
	struct opt_reader reader = { fs->b->arena, fs->b->errors, f->dir };
	struct file_arg arg = { .fs = fs, .reader = &reader };
	/* No row stands at the top: a scope that none is in. */
	struct scope top = { .where = CFG_TOP, .name = "the top of the file" };
	const struct cfg_node *node;

	fs->current = f;
	scope_apply(&top, &reader, f->tree.root, core_top_names, file_take_top, &arg);
	for (node = f->tree.root->first; node; node = node->next)
		if (str_eq(node->name, STR("sites")))
			file_each_group(&arg, node, "sites", file_site);
}

void
build_read(struct build *b, const char *name, const char *text)
{
	struct files fs = { .b = b, .last = &fs.first };
	struct file *f;

	arena_init(&fs.texts, NULL, 0);
	if (text) {
		f = file_add(&fs, name, NULL);
		file_parse(&fs, f, arena_str(&fs.texts, str_of(text)));
		file_includes(&fs, f);
	} else {
		file_open(&fs, name, NULL, (struct cfg_place){ NULL, 0, 0 });
		/* As an editor may leave it for a moment: a reload just then must not take it. */
		if (fs.first && fs.first->tree.is_clean && fs.first->tree.root->n == 0)
			cfg_errors_add(b->errors, true, (struct cfg_place){ fs.first->name, 1, 0 },
			    NULL, "the file is empty: it does not say what to serve");
	}
	if (fs.first) {
		b->dir = fs.first->dir;
		b->server->place = (struct cfg_place){ fs.first->name, 1, 0 };
	}
	for (f = fs.first; f; f = f->next)
		file_top(&fs, f);
	for (f = fs.first; f; f = f->next)
		tree_report_words(f->tree.root, b->errors);
	arena_fini(&fs.texts);
}

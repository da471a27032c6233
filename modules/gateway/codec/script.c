/*
 * Which script a request means. The path is normalised (uri.h): it begins with "/" and has no
 * empty, "." or ".." segment, so what is appended to a root stays lexically below it; symbolic
 * links beneath are followed, as the backend will follow them. gateway.check looks with stat(2) at
 * the file system of this machine: a script is a regular file.
 *
 * Where SCRIPT_NAME ends is decided by the file that exists and never guessed from behind: of
 * "/up/x.jpg/y.php" with split ".php" only "/up/x.jpg/y.php" is looked for, and as there is no such
 * file nothing is run. Without the check (a backend on another machine) the first segment with the
 * suffix is the script, and the backend must refuse what does not exist.
 */
#include <sys/stat.h>

#include "modules/gateway/codec/conf.h"
#include "modules/gateway/codec/script.h"
#include "worker/vars.h"

enum script_kind { SCRIPT_MISSING, SCRIPT_FILE, SCRIPT_OTHER };

/* A search. file is the directory and what of the path lies below it, one after the other; name is
   the path; both with room behind them for an index. Without an alias name is a part of file. */
struct script_walk {
	struct script *s;
	struct request *r;
	const struct gateway_conf *c;
	struct str dir; /* the root, or the alias for the first skip octets of the path */
	size_t skip;
	char *file, *name;
	size_t path_n;
	bool checks;
};

/* Where octet n of the path stands in file. */
static size_t
script_at(const struct script_walk *w, size_t n)
{
	return w->dir.n + (n > w->skip ? n - w->skip : 0);
}

/* What is at the first n octets of the path; without the check always a file. */
static enum script_kind
script_kind_of(struct script_walk *w, size_t n)
{
	char *end = w->file + script_at(w, n), kept = *end;
	struct stat st;
	int status;

	if (!w->checks)
		return SCRIPT_FILE;
	*end = '\0';
	status = stat(w->file, &st);
	*end = kept;
	if (status < 0)
		return SCRIPT_MISSING;
	return S_ISREG(st.st_mode) ? SCRIPT_FILE : SCRIPT_OTHER;
}

/* The first n octets behind the root are the script's name, info is what follows. */
static int
script_set(struct script_walk *w, size_t n, struct str info)
{
	w->s->name = str_n(w->name, n);
	w->s->path_info = info;
	if (w->s->root.n + w->c->alias.n > 0 && n > 0)
		w->s->filename = str_n(w->file, script_at(w, n));
	w->r->path_info = info;
	return 0;
}

static struct str
script_rest(const struct script_walk *w, size_t n)
{
	return str_n(w->r->path.p + n, w->path_n - n);
}

/* Whether a name ends in one of the suffixes, and has something before it. */
static bool
script_has_suffix(const struct cfg_strs *suffixes, struct str name)
{
	for (size_t i = 0; i < suffixes->n; i++)
		if (name.n > suffixes->v[i].n && str_has_suffix(name, suffixes->v[i]))
			return true;
	return false;
}

/* The first segment with a suffix that is a file ends SCRIPT_NAME; 0: there is none. *is_one: some
   segment has a suffix. */
static size_t
script_split(struct script_walk *w, bool *is_one)
{
	struct str path = w->r->path;
	size_t at = 1;

	while (at < path.n) {
		const char *slash = memchr(path.p + at, '/', path.n - at);
		size_t end = slash ? (size_t)(slash - path.p) : path.n;

		if (script_has_suffix(&w->c->split, str_n(path.p + at, end - at))) {
			*is_one = true;
			if (script_kind_of(w, end) == SCRIPT_FILE)
				return end;
		}
		at = end + 1;
	}
	return 0;
}

/* Whether the path is the prefix or lies below it; *n: where PATH_INFO begins. */
static bool
script_prefix(const struct script_walk *w, size_t *n)
{
	struct str prefix = w->c->prefix, path = w->r->path;

	if (prefix.n == 0)
		return false;
	if (prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	*n = prefix.n;
	return str_has_prefix(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* The index file of a directory: 0; SCRIPT_NONE when one that is no script comes first; 1 when
   there is none. */
static int
script_index(struct script_walk *w)
{
	const struct cfg_strs *names = &w->c->index;

	for (size_t i = 0; i < names->n; i++) {
		struct str name = names->v[i];

		memcpy(w->name + w->path_n, name.p, name.n + 1);
		memcpy(w->file + script_at(w, w->path_n), name.p, name.n + 1);
		if (script_kind_of(w, w->path_n + name.n) != SCRIPT_FILE)
			continue;
		if (w->c->split.n > 0 && !script_has_suffix(&w->c->split, name))
			return SCRIPT_NONE;
		return script_set(w, w->path_n + name.n, STR(""));
	}
	return 1;
}

/* Composes file and name of a path, with so much room behind them. */
static void
script_files(struct script_walk *w, struct str path, size_t room)
{
	size_t n = script_at(w, path.n), from = w->skip < path.n ? w->skip : path.n;

	w->file = arena_alloc(&w->r->arena, n + room);
	if (w->dir.n > 0)
		memcpy(w->file, w->dir.p, w->dir.n);
	memcpy(w->file + w->dir.n, path.p + from, path.n - from);
	w->file[n] = '\0';
	w->name = w->file + w->dir.n;
	if (w->skip == 0)
		return;
	w->name = arena_alloc(&w->r->arena, path.n + room);
	memcpy(w->name, path.p, path.n);
	w->name[path.n] = '\0';
}

/* A host name that stays one directory: what it is for files too. */
static bool
script_is_host_safe(struct str host)
{
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i], before = i > 0 ? host.p[i - 1] : '.';
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!is_plain && ((c != '-' && c != '.') || before == '.'))
			return false;
	}
	return host.n > 0;
}

/* The root of a site for many hosts is the host's. A host that has none has no scripts; an
   application that is no file goes without a root. */
static bool
script_root(struct script_walk *w)
{
	if (w->c->root_of_host.n == 0)
		return true;
	w->s->root = STR("");
	if (!script_is_host_safe(w->r->host))
		return w->c->split.n == 0;
	w->s->root = vars_expand(&w->c->root_of_host, w->r, TEMPLATE_PLAIN, NULL);
	return true;
}

static void
script_walk_init(struct script_walk *w)
{
	const struct gateway_conf *c = w->c;
	size_t room = 1;

	for (size_t i = 0; i < c->index.n; i++)
		if (room < c->index.v[i].n + 1)
			room = c->index.v[i].n + 1;
	w->dir = c->alias.n > 0 ? c->alias : w->s->root;
	w->skip = c->alias.n > 0 ? c->alias_n : 0;
	if (w->dir.n > 0 && w->dir.p[w->dir.n - 1] == '/')
		w->dir.n--;
	w->path_n = w->r->path.n;
	w->checks = c->check && w->s->root.n + c->alias.n > 0;
	script_files(w, w->r->path, room);
}

/* The front controller, for a path that names no script. Files and directories that are there are
   for somebody else, but not what a directory without an index would be. */
static int
script_front(struct script_walk *w, bool is_dir, const char **why)
{
	struct str front = w->c->front;

	if (w->checks && !is_dir && script_kind_of(w, w->path_n) != SCRIPT_MISSING)
		return SCRIPT_NONE;
	script_files(w, front, 1);
	if (script_kind_of(w, front.n) == SCRIPT_FILE)
		return script_set(w, front.n, STR(""));
	*why = "gateway.front: there is no such file";
	return 404;
}

/* What no other way has found: the whole path is the name, unless names have suffixes. */
static int
script_whole(struct script_walk *w, bool is_one, const char **why)
{
	*why = "there is no such script";
	if (w->c->split.n > 0)
		return is_one ? 404 : SCRIPT_NONE;
	if (script_kind_of(w, w->path_n) != SCRIPT_FILE)
		return 404;
	return script_set(w, w->path_n, STR(""));
}

/* uri.h promises all of this; a mistake elsewhere must not end in another file being run. */
static bool
script_is_safe(struct str path)
{
	if (path.n == 0 || path.p[0] != '/' || memchr(path.p, '\0', path.n))
		return false;
	for (struct str rest = path; rest.p;)
		if (str_eq(str_split(&rest, '/'), STR("..")))
			return false;
	return true;
}

int
script_find(struct script *s, struct request *r, const struct gateway_conf *c, const char **why)
{
	struct script_walk w = { .s = s, .r = r, .c = c };
	bool is_one = false, is_dir;
	size_t n;
	int index;

	*s = (struct script){ .root = c->root };
	s->name = s->path_info = s->filename = STR("");
	*why = "the target names no script"; /* "*" */
	if (!script_is_safe(r->path) || !script_root(&w))
		return 404;
	script_walk_init(&w);
	n = script_split(&w, &is_one);
	s->is_split = n > 0;
	if (n > 0)
		return script_set(&w, n, script_rest(&w, n));
	if (script_prefix(&w, &n)) {
		*why = "there is no such script";
		if (n > 0 && script_kind_of(&w, n) != SCRIPT_FILE)
			return 404;
		return script_set(&w, n, script_rest(&w, n));
	}
	is_dir = r->path.p[r->path.n - 1] == '/';
	/* Unseen, a path that ends in "/" is rather a page of the front controller's than a
	   directory with an index. */
	index = is_dir && (w.checks || c->front.n == 0) ? script_index(&w) : 1;
	if (index <= 0)
		return index;
	if (c->front.n > 0 &&
	    (c->split.n > 0 || is_dir || script_kind_of(&w, w.path_n) != SCRIPT_FILE))
		return script_front(&w, is_dir, why);
	return script_whole(&w, is_one, why);
}

/*
 * Per-worker tables of routes, roots and media types, made once at start. Routes with the same
 * directory share a root, so that its descriptor is opened and looked after once.
 */
#include "modules/files/route.h"

#include <errno.h>
#include <stdlib.h>
#include "common/base/log.h"
#include "common/base/must.h"

struct files_mime {
	struct str file;
	struct mime *mime;
};

static struct {
	struct files_route *routes; /* by route index */
	size_t nroutes;
	struct files_root **roots; /* sorted by path */
	size_t nroots;
	struct files_mime *mimes;
	size_t nmimes;
	char **texts; /* paths of roots that stand in no configuration */
	size_t ntexts;
} files_route;

static struct files_root *
files_route_root(const char *path)
{
	size_t lo = 0, hi = files_route.nroots;
	struct files_root *root;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int cmp = strcmp(path, files_route.roots[mid]->path);

		if (cmp == 0)
			return files_route.roots[mid];
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	root = must_malloc(sizeof(*root));
	files_root_init(root, path);
	files_route.roots =
	    must_realloc(files_route.roots, (files_route.nroots + 1) * sizeof(struct files_root *));
	memmove(files_route.roots + lo + 1, files_route.roots + lo,
	    (files_route.nroots - lo) * sizeof(struct files_root *));
	files_route.roots[lo] = root;
	files_route.nroots++;
	return root;
}

/* The table of a mime.types file, read once however many routes name it. */
static const struct mime *
files_route_mime(struct str file)
{
	struct files_mime *m;

	for (size_t i = 0; i < files_route.nmimes; i++)
		if (str_eq(files_route.mimes[i].file, file))
			return files_route.mimes[i].mime;
	files_route.mimes =
	    must_realloc(files_route.mimes, (files_route.nmimes + 1) * sizeof(*files_route.mimes));
	m = &files_route.mimes[files_route.nmimes++];
	*m = (struct files_mime){ file, mime_new() };
	/* Without Debian's media-types package the built-in table has to do. */
	if (file.n && mime_load(m->mime, file.p) < 0 && errno != ENOENT)
		log_warn("files: %s", file.p);
	return m->mime;
}

static char *
files_route_text(const char *text)
{
	char *copy = must_strdup(text);

	files_route.texts =
	    must_realloc(files_route.texts, (files_route.ntexts + 1) * sizeof(*files_route.texts));
	files_route.texts[files_route.ntexts++] = copy;
	return copy;
}

/* An alias for an exact path names the file: its directory becomes the root. */
static const char *
files_route_alias_dir(struct files_route *fr, struct str alias)
{
	const char *slash;
	char *dir;

	while (alias.n > 1 && alias.p[alias.n - 1] == '/')
		alias.n--;
	slash = memrchr(alias.p, '/', alias.n);
	if (!slash || fr->route->path.p[fr->route->path.n - 1] == '/')
		return fr->conf->alias.p;
	fr->file = str_n(slash + 1, alias.n - (size_t)(slash + 1 - alias.p));
	dir = files_route_text(alias.p);
	dir[slash == alias.p ? 1 : slash - alias.p] = '\0';
	return dir;
}

static void
files_route_init(struct files_route *fr, const struct route *route, const struct files_conf *conf)
{
	const char *dir = conf->root.p;

	*fr = (struct files_route){ .conf = conf, .route = route };
	if (!conf->scripts_as_text)
		fr->scripts = route->site->scripts;
	if (conf->alias.n) {
		dir = conf->alias.p;
		if (route->kind == ROUTE_EXACT)
			dir = files_route_alias_dir(fr, conf->alias);
		if (route->kind != ROUTE_REGEX)
			fr->prefix = route->path;
	}
	if (conf->alias.n || conf->root_of_host.n == 0)
		fr->root = files_route_root(dir);
	fr->mime = files_route_mime(conf->mime_types);
}

void
files_route_start(const struct conf *conf, size_t module)
{
	files_route.nroutes = conf->nroutes;
	files_route.routes = must_calloc(conf->nroutes + 1, sizeof(*files_route.routes));
	for (size_t i = 0; i < conf->nsites; i++) {
		const struct site *site = &conf->sites[i];

		for (size_t k = 0; k < site->nroutes; k++) {
			const struct route *route = &site->routes[k];

			must(route->index < conf->nroutes);
			if (files_conf_is_active(route->conf[module]))
				files_route_init(
				    &files_route.routes[route->index], route, route->conf[module]);
		}
	}
}

void
files_route_stop(void)
{
	for (size_t i = 0; i < files_route.nroots; i++) {
		files_root_fini(files_route.roots[i]);
		free(files_route.roots[i]);
	}
	for (size_t i = 0; i < files_route.nmimes; i++)
		mime_free(files_route.mimes[i].mime);
	for (size_t i = 0; i < files_route.ntexts; i++)
		free(files_route.texts[i]);
	free(files_route.routes);
	free(files_route.roots);
	free(files_route.mimes);
	free(files_route.texts);
	memset(&files_route, 0, sizeof(files_route));
}

void
files_route_at(struct files_route *fr, const struct files_route *like, const char *path)
{
	*fr = *like;
	fr->root = files_route_root(files_route_text(path));
}

const struct files_route *
files_route_get(unsigned index)
{
	return index < files_route.nroutes ? &files_route.routes[index] : NULL;
}

struct str
files_route_name(const struct files_route *fr, struct str path)
{
	if (fr->file.n && str_eq(path, fr->prefix))
		return fr->file;
	if (str_has_prefix(path, fr->prefix))
		path = str_n(path.p + fr->prefix.n, path.n - fr->prefix.n);
	while (path.n && path.p[0] == '/')
		path = str_n(path.p + 1, path.n - 1);
	return path;
}

bool
files_route_is_elsewhere(const struct files_route *fr, struct str path)
{
	return site_route(fr->route->site, path, M_GET) != fr->route;
}

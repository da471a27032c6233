/*
 * Static files. A request's path is looked up in the cache (cache.c), which knows or finds
 * out what is there; the answer follows from the kind of entry and the method.
 *
 *   files_conf     options            files_path               hidden names
 *   files_route    roots and types    files_entry              from a path to prepared answers
 *   files_cache    entries kept       files_send               content codings; then resfile
 *   files_listing  directories        files_script             what is never sent as text
 *   files_vhost    a root per host    files_look               what `argand check` warns of
 *
 * The handler always answers where it is active; modules that produce other responses for the same
 * route stand before it.
 */
#include "common/config/module.h"

#include <sys/resource.h>
#include "common/base/must.h"
#include "modules/files/cache.h"
#include "modules/files/listing.h"
#include "modules/files/look.h"
#include "modules/files/send.h"
#include "modules/files/vhost.h"
#include "worker/request.h"
#include "worker/uri.h"
#include "worker/vars.h"

extern const struct module module_files;

static size_t
files_index_of_module(void)
{
	size_t i = 0;

	while (modules[i] != &module_files)
		i++;
	return i;
}

/* A quarter of the descriptors is for files, the rest for connections. */
static int64_t
files_max_open(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY)
		return 1 << 16;
	return (int64_t)(rl.rlim_cur / 4);
}

static int
files_start(const struct conf *conf, struct worker *w)
{
	size_t module = files_index_of_module();
	const struct files_conf *c = conf->server_conf[module];
	struct files_cache_limits limits = { c->cache_size, c->cache_files, c->cache_valid,
		files_max_open() };

	files_cache_start(&limits, worker_row(w));
	files_route_start(conf, module);
	return 0;
}

static void
files_stop(struct worker *w)
{
	(void)w;
	files_listing_stop();
	files_cache_stop();
	files_vhost_stop();
	files_route_stop();
}

/* --- by kind --- */

static const struct str files_allow = STR_INIT("GET, HEAD, OPTIONS");

/* Whether the method is one that files have; answers otherwise. */
static bool
files_is_method(struct request *r)
{
	if (likely(r->method == M_GET || r->method == M_HEAD))
		return true;
	res_field(r, HF_ALLOW, files_allow);
	if (r->method != M_OPTIONS) {
		res_error(r, 405, "files are only read");
		return false;
	}
	res_begin(r, 204, 0);
	body_end(&r->out_body);
	return false;
}

static void
files_answer_file(struct request *r, const struct files_entry *e)
{
	if (files_is_method(r))
		files_send(r, e);
}

/* The path has single slashes only, and all that is special in a URL is encoded, so the Location
   cannot name another host. */
static void
files_redirect_to_slash(struct request *r)
{
	struct str path = uri_encode_path(&r->arena, r->path), query = request_sent_query(r);

	res_redirect(r, 301,
	    arena_printf(
		&r->arena, "%.*s/%s%.*s", STR_FMT(path), query.p ? "?" : "", STR_FMT(query)));
}

static void
files_answer_directory(struct request *r, const struct files_entry *e)
{
	if (!files_is_method(r))
		return;
	if (r->path.p[r->path.n - 1] != '/')
		files_redirect_to_slash(r);
	else if (e->fr->conf->listing)
		files_listing(r, e->fr, e->name);
	else
		res_error(r, 403, "a directory without an index file (option listing)");
}

static void
files_answer_reroute(struct request *r, const struct files_entry *e)
{
	request_reroute(r, e->target, (struct str){ NULL, 0 });
}

static void
files_answer_error(struct request *r, const struct files_entry *e)
{
	res_error(r, e->status, e->why);
}

static void (*const files_answers[])(struct request *, const struct files_entry *) = {
	[FILES_FILE] = files_answer_file,
	[FILES_DIRECTORY] = files_answer_directory,
	[FILES_REROUTE] = files_answer_reroute,
	[FILES_ERROR] = files_answer_error,
};

static void
files_answer(struct request *r, struct files_entry *e)
{
	files_cache_pin(e);
	arena_defer(&r->arena, files_cache_unpin, e);
	files_answers[e->kind](r, e);
}

/* --- try --- */

static struct str
files_try_path(struct request *r, const struct files_try *t)
{
	struct str path = vars_expand(&t->path, r, TEMPLATE_PLAIN, NULL);

	if (memmem(path.p, path.n, "//", 2) && !uri_normalise(&r->arena, path, &path))
		return STR("/");
	return path;
}

/* The last element: a status, or where to start over. */
static void
files_try_last(struct request *r, const struct files_try *t)
{
	struct str path, query = { NULL, 0 };

	if (t->status) {
		res_error(r, t->status, "nothing of the option try is there");
		return;
	}
	path = files_try_path(r, t);
	if (str_eq(path, r->path)) { /* it came to itself: no other route answers for it */
		res_error(r, 404, "the last element of the option try is not there");
		return;
	}
	if (t->has_query)
		query = vars_expand(&t->query, r, TEMPLATE_ARGS, NULL);
	request_reroute(r, path, query);
}

/* Whether an element's path counts as found. */
static bool
files_try_is_found(const struct files_entry *e, struct str path)
{
	bool is_dir = path.n && path.p[path.n - 1] == '/';

	return e->kind == FILES_FILE || e->kind == FILES_REROUTE ||
	       (e->kind == FILES_DIRECTORY && is_dir && e->fr->conf->listing);
}

static void
files_try_answer(struct request *r, struct files_entry *e, struct str path)
{
	bool is_dir = path.p[path.n - 1] == '/';

	if (is_dir && r->path.p[r->path.n - 1] != '/')
		files_redirect_to_slash(r);
	else if (!str_eq(path, r->path) && files_route_is_elsewhere(e->fr, path))
		request_reroute(r, path, (struct str){ NULL, 0 });
	else
		files_answer(r, e);
}

static void
files_try(struct request *r, const struct files_route *fr)
{
	const struct files_conf *c = fr->conf;

	for (size_t i = 0; i + 1 < c->ntries; i++) {
		struct str path = files_try_path(r, &c->tries[i]);
		struct files_entry *e = files_cache_get(fr, path, worker_now(r->w));

		if (files_try_is_found(e, path)) {
			files_try_answer(r, e, path);
			return;
		}
	}
	files_try_last(r, &c->tries[c->ntries - 1]);
}

static enum verdict
files_handle(struct request *r, const void *conf)
{
	const struct files_route *fr = files_route_get(r->route->index);
	const struct files_conf *c = conf;

	if (unlikely(!fr->root))
		fr = files_vhost_get(fr, r->host);
	if (unlikely(!fr))
		res_error(r, 404, "root has no directory for this host");
	else if (unlikely(c->ntries > 0))
		files_try(r, fr);
	else if (unlikely(r->method == M_OTHER)) /* RFC 9110 15.6.2 */
		res_error(r, 501, "a method that no handler here knows");
	else
		files_answer(r, files_cache_get(fr, r->path, worker_now(r->w)));
	return MINE;
}

const struct module module_files = {
	.name = "files",
	.help =
	    "Serves files from a directory: index files, conditional and range requests, "
	    "precompressed siblings, try lists and directory listings. Small files are answered "
	    "from a cache in each worker, larger ones by sendfile. Active where root or alias "
	    "is set.",
	.opts = files_conf_opts,
	.conf_size = sizeof(struct files_conf),
	.check = files_conf_check,
	.active = files_conf_is_active,
	.look = files_look,
	.start = files_start,
	.stop = files_stop,
	.handle = files_handle,
};

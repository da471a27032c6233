/*
 * A listing is a job in one of the worker's threads: it reads a directory, asks for each entry's
 * size and time, sorts and renders. The thread touches only the job, which owns copies of all it
 * needs; configuration is immutable. The document stays in the job's memory and is sent by
 * reference.
 *
 * Invariants: a job is freed by whoever comes last, the end of the request or the end of the work;
 * job->r is NULL once the request is gone.
 */
#include "modules/files_listing.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/must.h"
#include "modules/files_page.h"
#include "modules/files_path.h"
#include "worker/cond.h"

struct listing_job {
	struct job job;
	struct request *r;
	const struct files_conf *conf;
	struct str dir; /* beneath the root, with its slash */
	int root, fd;   /* -1 once closed */
	bool is_json;
	bool is_done;
	int err;
	struct listing listing;
	struct text out;
	char texts[]; /* of dir and listing.path */
};

static bool
files_listing_is_shown(const struct files_conf *c, const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (name[0] == '.' && !c->hidden)
		return false;
	for (size_t i = 0; i < c->listing_hide.n; i++)
		if (fnmatch(c->listing_hide.v[i].p, name, 0) == 0)
			return false;
	return true;
}

/* What a request for the name would find: a link is followed by the rules of the route only. */
static bool
files_listing_stat(const struct listing_job *j, const char *name, struct stat *st)
{
	char path[4096];
	size_t n = strlen(name);
	bool ok;
	int fd;

	if (fstatat(j->fd, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (!S_ISLNK(st->st_mode))
		return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
	if (j->dir.n + n >= sizeof(path))
		return false;
	memcpy(path, j->dir.p, j->dir.n);
	memcpy(path + j->dir.n, name, n);
	fd = files_path_open(
	    j->root, str_n(path, j->dir.n + n), (enum files_links)j->conf->symlinks, O_PATH);
	if (fd < 0)
		return false;
	ok = fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
	close(fd);
	return ok;
}

static void
files_listing_add(struct listing *l, const char *name, const struct stat *st)
{
	if (l->n == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->v = must_realloc(l->v, l->room * sizeof(*l->v));
	}
	l->v[l->n++] = (struct listing_item){ .name = must_strdup(name),
		.size = st->st_size,
		.modified = st->st_mtim.tv_sec,
		.is_dir = S_ISDIR(st->st_mode) };
}

static void
files_listing_read(struct listing_job *j, DIR *dir)
{
	struct dirent *d;
	struct stat st;

	while ((d = readdir(dir))) {
		if (!files_listing_is_shown(j->conf, d->d_name) ||
		    !files_listing_stat(j, d->d_name, &st))
			continue;
		if ((int64_t)j->listing.n == j->listing.max) {
			j->listing.is_cut = true;
			return;
		}
		files_listing_add(&j->listing, d->d_name, &st);
	}
}

static void
files_listing_forget(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	l->v = NULL;
	l->n = l->room = 0;
}

/* In a thread. */
static void
files_listing_work(struct job *job)
{
	struct listing_job *j = container_of(job, struct listing_job, job);
	DIR *dir = fdopendir(j->fd);

	if (!dir) {
		j->err = errno;
		return;
	}
	files_listing_read(j, dir);
	closedir(dir);
	j->fd = -1;
	files_page_sort(&j->listing);
	(j->is_json ? files_page_json : files_page_html)(&j->listing, &j->out);
	files_listing_forget(&j->listing);
}

static void
files_listing_free(struct listing_job *j)
{
	files_listing_forget(&j->listing);
	text_free(&j->out);
	if (j->fd >= 0)
		close(j->fd);
	close(j->root);
	free(j);
}

/* The request has ended. */
static void
files_listing_gone(void *arg)
{
	struct listing_job *j = arg;

	j->r = NULL;
	if (j->is_done)
		files_listing_free(j);
}

static void
files_listing_done(struct job *job)
{
	struct listing_job *j = container_of(job, struct listing_job, job);
	struct request *r = j->r;

	j->is_done = true;
	if (!r) {
		files_listing_free(j);
		return;
	}
	if (j->err) {
		res_error_fmt(r, 500, "the directory cannot be read: %s", strerror(j->err));
		return;
	}
	res_field_set(r, HF_CONTENT_TYPE,
	    j->is_json ? STR("application/json") : STR("text/html; charset=utf-8"));
	res_field(r, HF_CACHE_CONTROL, STR("no-cache"));
	res_field(r, HF_CONTENT_SECURITY_POLICY,
	    STR("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action "
		"'none'"));
	res_field(r, HF_X_CONTENT_TYPE_OPTIONS, STR("nosniff"));
	res_vary(r, STR("Accept"));
	res_begin(r, 200, (int64_t)j->out.n);
	body_put_ref(&r->out_body, j->out.p, j->out.n);
	body_end(&r->out_body);
}

/* --- what is asked for --- */

/* The value of a parameter of the query; n 0 when it is not there. */
static struct str
files_listing_param(struct str query, struct str name)
{
	while (query.p) {
		struct str value = str_split(&query, '&'), key = str_split(&value, '=');

		if (str_eq(key, name) && value.p)
			return value;
	}
	return (struct str){ NULL, 0 };
}

static bool
files_listing_wants_json(struct request *r)
{
	struct str format = files_listing_param(r->query, STR("format"));
	struct str accept = req_field_all(r, HF_ACCEPT);

	if (format.n)
		return str_eq(format, STR("json"));
	return accept.p &&
	       accept_q(accept, STR("application/json")) > accept_q(accept, STR("text/html"));
}

static enum files_sort
files_listing_key(struct str query, const struct files_conf *c)
{
	static const struct str words[] = {
		[SORT_NAME] = STR_INIT("name"),
		[SORT_SIZE] = STR_INIT("size"),
		[SORT_TIME] = STR_INIT("time"),
	};
	struct str key = files_listing_param(query, STR("sort"));

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_eq(key, words[i]))
			return (enum files_sort)i;
	return (enum files_sort)c->listing_sort;
}

static struct listing_job *
files_listing_new(struct request *r, const struct files_route *fr, struct str name)
{
	struct listing_job *j = must_calloc(1, sizeof(*j) + name.n + r->path.n);

	memcpy(j->texts, name.p, name.n);
	memcpy(j->texts + name.n, r->path.p, r->path.n);
	j->job.work = files_listing_work;
	j->job.done = files_listing_done;
	j->r = r;
	j->conf = fr->conf;
	j->dir = str_n(j->texts, name.n);
	j->is_json = files_listing_wants_json(r);
	j->listing = (struct listing){
		.max = fr->conf->listing_max,
		.sort = files_listing_key(r->query, fr->conf),
		.is_descending = str_eq(files_listing_param(r->query, STR("order")), STR("desc")),
		.path = str_n(j->texts + name.n, r->path.n),
	};
	return j;
}

void
files_listing(struct request *r, const struct files_route *fr, struct str name)
{
	struct listing_job *j;
	int fd = files_path_open(
	    fr->root->fd, name, (enum files_links)fr->conf->symlinks, O_RDONLY | O_DIRECTORY);
	int root = fd < 0 ? -1 : fcntl(fr->root->fd, F_DUPFD_CLOEXEC, 3);

	if (root < 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		res_error_fmt(r, err == EMFILE || err == ENFILE ? 503 : 403,
		    "the directory cannot be opened: %s", strerror(err));
		return;
	}
	j = files_listing_new(r, fr, name);
	j->fd = fd;
	j->root = root;
	arena_defer(&r->arena, files_listing_gone, j);
	worker_offload(r->w, &j->job);
}

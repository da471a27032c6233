/*
 * A listing is a document that is made by a job in one of the worker's threads: it reads a
 * directory, asks for each entry's size and time, sorts and renders. The thread touches only the
 * document, which owns copies of all it needs; configuration is immutable. Requests for the same
 * listing share one document while it is being made and for the time of file_cache.valid
 * afterwards, so that neither the work nor the memory grows with the number of clients; what all
 * documents together may hold is bounded.
 *
 * Invariants: a document is in docs while it may be given to more requests; it is freed when it is
 * not, is done and no request uses it. A request waits in exactly one document's list or is
 * answered.
 */
#include "modules/files/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/base/beneath.h"
#include "common/base/must.h"
#include "modules/files/page.h"
#include "worker/cond.h"

/* Documents being made, and bytes of those that are made: beyond, 503. */
enum { LISTING_JOBS = 64, LISTING_BYTES = 64 << 20 };

struct listing_doc {
	struct job job;
	struct link link;             /* docs */
	struct link waiters;          /* struct listing_wait */
	unsigned refs;                /* requests that wait for it or send it */
	const struct files_route *fr; /* key only: may be gone when the worker stops */
	const struct files_conf *conf;
	struct str dir; /* beneath the root, with its slash */
	int root, fd;   /* -1 once closed */
	bool is_json;
	bool is_done;
	int err;
	uint64_t due; /* ms: when it gets too old for further requests */
	struct listing listing;
	struct text out;
	char texts[]; /* of dir and listing.path */
};

/* A request's interest in a document; in its arena. */
struct listing_wait {
	struct link link;
	struct request *r;
	struct listing_doc *doc;
};

static struct {
	struct link docs;
	unsigned jobs;
	size_t bytes;
} files_listings = { .docs = { &files_listings.docs, &files_listings.docs } };

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
files_listing_stat(const struct listing_doc *j, const char *name, struct stat *st)
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
	fd = beneath_open(
	    j->root, str_n(path, j->dir.n + n), (enum beneath_links)j->conf->symlinks, O_PATH);
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
files_listing_read(struct listing_doc *j, DIR *dir)
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
	struct listing_doc *j = container_of(job, struct listing_doc, job);
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
files_listing_free(struct listing_doc *j)
{
	files_listings.bytes -= j->out.n;
	files_listing_forget(&j->listing);
	text_free(&j->out);
	if (j->fd >= 0)
		close(j->fd);
	close(j->root);
	free(j);
}

static void
files_listing_put(struct listing_doc *j)
{
	if (--j->refs == 0 && j->is_done && !link_is_on(&j->link))
		files_listing_free(j);
}

/* Forgets documents that are too old. */
static void
files_listing_purge(uint64_t now)
{
	LIST_EACH(l, &files_listings.docs)
	{
		struct listing_doc *j = container_of(l, struct listing_doc, link);

		if (!j->is_done || now < j->due)
			continue;
		list_del(l);
		if (j->refs == 0)
			files_listing_free(j);
	}
}

static void
files_listing_answer(struct request *r, const struct listing_doc *j)
{
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

static void
files_listing_done(struct job *job)
{
	struct listing_doc *j = container_of(job, struct listing_doc, job);
	struct link *l;

	files_listings.jobs--;
	files_listings.bytes += j->out.n;
	j->is_done = true;
	j->due = j->err ? 0 : worker_now(worker_self()) + (uint64_t)j->conf->cache_valid;
	j->refs++; /* answering may end the last request */
	while ((l = list_pop(&j->waiters)))
		files_listing_answer(container_of(l, struct listing_wait, link)->r, j);
	files_listing_put(j);
	files_listing_purge(worker_now(worker_self()));
}

void
files_listing_stop(void)
{
	LIST_EACH(l, &files_listings.docs)
	{
		struct listing_doc *j = container_of(l, struct listing_doc, link);

		list_del(l);
		if (j->is_done && j->refs == 0)
			files_listing_free(j);
	}
}

/* The request has ended. */
static void
files_listing_leave(void *arg)
{
	struct listing_wait *wait = arg;

	list_del(&wait->link);
	files_listing_put(wait->doc);
}

static void
files_listing_join(struct request *r, struct listing_doc *j)
{
	struct listing_wait *wait = arena_calloc(&r->arena, sizeof(*wait));

	wait->r = r;
	wait->doc = j;
	j->refs++;
	arena_defer(&r->arena, files_listing_leave, wait);
	if (j->is_done)
		files_listing_answer(r, j);
	else
		list_add_tail(&j->waiters, &wait->link);
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

/* What the request asks for, as far as it shapes the document. */
static struct listing
files_listing_asked(struct request *r, const struct files_conf *c)
{
	return (struct listing){
		.max = c->listing_max,
		.sort = files_listing_key(r->query, c),
		.is_descending = str_eq(files_listing_param(r->query, STR("order")), STR("desc")),
		.path = r->path,
	};
}

static struct listing_doc *
files_listing_find(const struct files_route *fr, const struct listing *asked, bool is_json)
{
	LIST_EACH(l, &files_listings.docs)
	{
		struct listing_doc *j = container_of(l, struct listing_doc, link);

		if (j->fr == fr && j->is_json == is_json && j->listing.sort == asked->sort &&
		    j->listing.is_descending == asked->is_descending &&
		    str_eq(j->listing.path, asked->path))
			return j;
	}
	return NULL;
}

static struct listing_doc *
files_listing_new(const struct files_route *fr, struct str dir, const struct listing *asked)
{
	struct listing_doc *j = must_calloc(1, sizeof(*j) + dir.n + asked->path.n);

	memcpy(j->texts, dir.p, dir.n);
	memcpy(j->texts + dir.n, asked->path.p, asked->path.n);
	j->job.work = files_listing_work;
	j->job.done = files_listing_done;
	j->fr = fr;
	j->conf = fr->conf;
	j->dir = str_n(j->texts, dir.n);
	j->listing = *asked;
	j->listing.path = str_n(j->texts + dir.n, asked->path.n);
	list_init(&j->waiters);
	return j;
}

/* Opens the directory and a descriptor of the root that stays when the root is switched. 0 or the
   status. */
static int
files_listing_open(const struct files_route *fr, struct str dir, int *fd, int *root)
{
	*fd = beneath_open(
	    fr->root->fd, dir, (enum beneath_links)fr->conf->symlinks, O_RDONLY | O_DIRECTORY);
	if (*fd < 0)
		return errno == EMFILE || errno == ENFILE ? 503 : 403;
	*root = fcntl(fr->root->fd, F_DUPFD_CLOEXEC, 3);
	if (*root >= 0)
		return 0;
	close(*fd);
	return 503;
}

void
files_listing(struct request *r, const struct files_route *fr, struct str name)
{
	struct listing asked = files_listing_asked(r, fr->conf);
	bool is_json = files_listing_wants_json(r);
	struct listing_doc *j;
	int fd, root, status;

	files_listing_purge(worker_now(r->w));
	j = files_listing_find(fr, &asked, is_json);
	if (j) {
		files_listing_join(r, j);
		return;
	}
	if (files_listings.jobs >= LISTING_JOBS || files_listings.bytes >= LISTING_BYTES) {
		res_error(r, 503, "too many listings at a time");
		return;
	}
	status = files_listing_open(fr, name, &fd, &root);
	if (status) {
		res_error_fmt(r, status, "the directory cannot be opened: %s", strerror(errno));
		return;
	}
	j = files_listing_new(fr, name, &asked);
	j->is_json = is_json;
	j->fd = fd;
	j->root = root;
	list_add_tail(&files_listings.docs, &j->link);
	files_listing_join(r, j);
	files_listings.jobs++;
	worker_offload(r->w, &j->job);
}

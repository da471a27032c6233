/*
 * From a path to an entry: opens the file (or the first index file, or finds a directory), reads a
 * small one into memory, and prepares the fields of its answers, for it and for each of its
 * compressed siblings. All of this may block on a disk, bounded by max_file bytes per file.
 *
 * Invariants: only regular files become representations; reps[0] is the file itself; a descriptor
 * is held by exactly one representation.
 */
#include "modules/files/entry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/base/beneath.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/files/path.h"
#include "modules/files/script.h"

/* A change within the same tick of the kernel's clock leaves no trace in the file's times; network
   file systems tick in seconds. */
enum { ENTRY_YOUNG = 2 };

/* Seconds between two lines about scripts: whoever asks for them may ask often. */
enum { ENTRY_SAY = 60 };

/* Of all fields: types have at most 255 bytes, charsets 64. */
enum { ENTRY_TEXT = 1024, ENTRY_NAME = 4096 };

struct entry_error {
	int err;
	uint16_t status;
	const char *why;
};

static const struct entry_error entry_errors[] = {
	{ ENOENT, 404, "no such file" },
	{ ENOTDIR, 404, "no such file: a part of the path is no directory" },
	{ ENAMETOOLONG, 404, "no such file: the name is too long" },
	{ ENXIO, 404, "not a regular file" },
	{ EINVAL, 404, "no such file: the file system does not take the name" },
	{ EACCES, 403, "no permission to read the file" },
	{ EPERM, 403, "no permission to read the file" },
	{ ELOOP, 403, "a symbolic link that the option symlinks does not allow" },
	{ EXDEV, 403, "a symbolic link leads out of the root (option symlinks)" },
	{ EMFILE, 503, "too many open files" },
	{ ENFILE, 503, "too many open files in the system" },
	{ ENOMEM, 503, "the kernel is out of memory" },
	{ 0, 500, "the file cannot be opened" },
};

static void
files_entry_fail(struct files_entry *e, int err)
{
	static time_t said; /* errors come in floods: at most one line a second */
	const struct entry_error *row = entry_errors;

	while (row->err && row->err != err)
		row++;
	e->kind = FILES_ERROR;
	e->status = row->status;
	e->why = row->why;
	if (row->status < 500 || said == clock_wall())
		return;
	said = clock_wall();
	errno = err;
	log_error("files: %s/%.*s", e->fr->root->path, STR_FMT(e->name));
}

/* e->name is open as fd, and a gateway of the site would run it: its text is for nobody. The name
   of the file itself counts as well as the one that was asked for. */
static bool
files_entry_refuse(struct files_entry *e, int fd)
{
	static time_t said;
	const struct files_route *fr = e->fr;

	if (likely(fr->scripts.n == 0))
		return false;
	if (!files_script_is(&fr->scripts, e->name) && !files_script_is_open(&fr->scripts, fd))
		return false;
	close(fd);
	e->kind = FILES_ERROR;
	e->status = 404;
	e->why = "a script that no gateway runs here (option scripts_as_text)";
	if (said + ENTRY_SAY > clock_wall())
		return true;
	said = clock_wall();
	log_at(LOG_WARN_, "files", false,
	    "%s/%.*s is a script of the site, and route %s has no gateway that runs it: it is not "
	    "sent (option scripts_as_text)",
	    fr->root->path, STR_FMT(e->name), fr->route->label);
	return true;
}

static struct files_id
files_entry_id(const struct stat *st)
{
	return (struct files_id){ st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
}

static bool
files_entry_is_same(const struct files_id *a, const struct stat *st)
{
	return a->ino == st->st_ino && a->dev == st->st_dev && a->size == st->st_size &&
	       a->mtim.tv_sec == st->st_mtim.tv_sec && a->mtim.tv_nsec == st->st_mtim.tv_nsec &&
	       a->ctim.tv_sec == st->st_ctim.tv_sec && a->ctim.tv_nsec == st->st_ctim.tv_nsec;
}

static bool
files_entry_is_fresh(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return st->st_mtim.tv_sec + ENTRY_YOUNG >= now.tv_sec ||
	       st->st_ctim.tv_sec + ENTRY_YOUNG >= now.tv_sec;
}

/* --- representations --- */

/* The fields of a representation while they are made: their HTTP/1 form, and where in it the
   values stand. */
struct entry_draft {
	char text[ENTRY_TEXT];
	size_t n, length_n; /* of the fields, and of Content-Length behind them */
	struct {
		enum http_field id;
		size_t at, len;
	} v[FILES_FIELDS];
	unsigned nv, n304; /* all, and how many of the first ones a 304 has */
};

static void __attribute__((format(printf, 3, 4)))
files_entry_field(struct entry_draft *d, enum http_field id, const char *fmt, ...)
{
	struct str name = http_field_name(id);
	va_list ap;
	int n;

	d->n += (size_t)snprintf(d->text + d->n, sizeof(d->text) - d->n, "%.*s: ", STR_FMT(name));
	va_start(ap, fmt);
	n = vsnprintf(d->text + d->n, sizeof(d->text) - d->n, fmt, ap);
	va_end(ap);
	must(d->nv < FILES_FIELDS && d->n + (size_t)n + 2 < sizeof(d->text));
	d->v[d->nv].id = id;
	d->v[d->nv].at = d->n;
	d->v[d->nv++].len = (size_t)n;
	memcpy(d->text + d->n + n, "\r\n", 2);
	d->n += (size_t)n + 2;
}

static void
files_entry_etag(struct entry_draft *d, const struct stat *st, enum files_coding coding)
{
	char text[RESFILE_ETAG];

	resfile_etag(text, st, coding ? files_codings[coding].name : STR(""));
	files_entry_field(d, HF_ETAG, "%s", text);
}

static void
files_entry_type(struct entry_draft *d, const struct files_entry *e)
{
	const struct files_conf *c = e->fr->conf;
	struct str type = mime_type_of(e->fr->mime, &c->rules, e->name);
	bool has_charset =
	    c->charset.n && str_has_prefix(type, STR("text/")) && str_find(type, ';') < 0;

	files_entry_field(d, HF_CONTENT_TYPE, "%.*s%s%.*s", STR_FMT(type),
	    has_charset ? "; charset=" : "", has_charset ? (int)c->charset.n : 0, c->charset.p);
}

/* RFC 9110 15.4.5: of a 304 only Vary and ETag; Last-Modified only in place of an ETag. */
static void
files_entry_fields(struct entry_draft *d, const struct files_entry *e, enum files_coding coding,
    const struct stat *st)
{
	const struct files_conf *c = e->fr->conf;
	char date[29];

	if (e->nreps > 1)
		files_entry_field(d, HF_VARY, "Accept-Encoding");
	if (c->etag)
		files_entry_etag(d, st, coding);
	d->n304 = d->nv + !c->etag;
	clock_http_date(date, st->st_mtim.tv_sec);
	files_entry_field(d, HF_LAST_MODIFIED, "%.29s", date);
	files_entry_type(d, e);
	if (coding)
		files_entry_field(d, HF_CONTENT_ENCODING, "%s", files_codings[coding].name.p);
	files_entry_field(d, HF_ACCEPT_RANGES, c->max_ranges ? "bytes" : "none");
	d->length_n = (size_t)snprintf(d->text + d->n, sizeof(d->text) - d->n,
	    "Content-Length: %lld\r\n", (long long)st->st_size);
	must(d->n + d->length_n < sizeof(d->text));
}

/* text: where the draft's text is copied to, for as long as the representation lives. */
static void
files_entry_settle(struct files_rep *rep, const struct entry_draft *d, char *text)
{
	memcpy(text, d->text, d->n + d->length_n);
	rep->file.whole = (struct res_prepared){ rep->fields, d->nv, (unsigned)d->length_n,
		rep->file.size, str_n(text, d->n) };
	rep->file.unchanged = (struct res_prepared){ .v = rep->fields, .n = d->n304 };
	for (unsigned i = 0; i < d->nv; i++) {
		struct field *f = &rep->fields[i];

		f->id = (uint8_t)d->v[i].id;
		f->name = http_field_name(d->v[i].id);
		f->value = str_n(text + d->v[i].at, d->v[i].len);
		if (f->id == HF_ETAG)
			rep->file.etag = f->value;
		else if (f->id == HF_CONTENT_TYPE)
			rep->file.type = f->value;
		if (i + 1 == d->n304)
			rep->file.unchanged.text = str_n(text, d->v[i].at + d->v[i].len + 2);
	}
}

/* Reads a small file whole; false when it changed meanwhile or cannot be read. */
static bool
files_entry_read(int fd, char *to, const struct stat *st)
{
	struct stat after;
	int64_t got = 0;

	while (got < st->st_size) {
		ssize_t n = pread(fd, to + got, (size_t)(st->st_size - got), got);

		if (n <= 0)
			return false;
		got += n;
	}
	return fstat(fd, &after) == 0 && after.st_size == st->st_size &&
	       after.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	       after.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* Adds a representation; takes fd. e->nreps and e->name must be final, fields depend on them. */
static void
files_entry_rep(
    struct files_entry *e, unsigned at, enum files_coding coding, int fd, const struct stat *st)
{
	bool is_small = st->st_size <= e->fr->conf->cache_file;
	struct entry_draft d = { .n = 0 };
	struct files_rep *rep;
	size_t n;
	char *body;

	files_entry_fields(&d, e, coding, st);
	n = sizeof(*rep) + d.n + d.length_n + (is_small ? (size_t)st->st_size : 0);
	rep = must_malloc(n);
	body = (char *)(rep + 1) + d.n + d.length_n;
	memset(rep, 0, sizeof(*rep));
	rep->id = files_entry_id(st);
	rep->coding = coding;
	rep->file.fd = fd;
	rep->file.size = st->st_size;
	rep->file.max_ranges = e->fr->conf->max_ranges;
	rep->file.modified = st->st_mtim.tv_sec;
	rep->bytes = n;
	files_entry_settle(rep, &d, (char *)(rep + 1));
	e->is_young |= files_entry_is_fresh(st);
	if (is_small && files_entry_read(fd, body, st)) {
		close(fd);
		rep->file.fd = -1;
		rep->file.body = body;
	} else if (is_small) {
		e->is_young = true; /* being written to: sent as it stands, not kept */
	}
	e->nfds += rep->file.fd >= 0;
	e->bytes += n;
	e->reps[at] = rep;
}

static int
files_entry_open(const struct files_entry *e, struct str name, int flags)
{
	return beneath_open(
	    e->fr->root->fd, name, (enum beneath_links)e->fr->conf->symlinks, flags);
}

/* The name of a sibling, NUL-terminated, at name; n 0: it would be too long. */
static struct str
files_entry_name(const struct files_entry *e, struct str suffix, char name[ENTRY_NAME])
{
	size_t n = e->name.n + suffix.n;

	if (n >= ENTRY_NAME)
		return (struct str){ name, 0 };
	memcpy(name, e->name.p, e->name.n);
	memcpy(name + e->name.n, suffix.p, suffix.n);
	name[n] = '\0';
	return str_n(name, n);
}

/* Opens the sibling of a coding; -1 when there is none that is a regular file as new as the file.
 */
static int
files_entry_sibling(
    const struct files_entry *e, enum files_coding coding, const struct stat *of, struct stat *st)
{
	char room[ENTRY_NAME];
	struct str name = files_entry_name(e, files_codings[coding].suffix, room);
	int fd = name.n ? files_entry_open(e, name, O_RDONLY) : -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_mtim.tv_sec >= of->st_mtim.tv_sec)
		return fd;
	close(fd);
	return -1;
}

/* e->name is a regular file, open as fd: makes the entry. */
static void
files_entry_file(struct files_entry *e, int fd, const struct stat *st)
{
	const struct files_conf *c = e->fr->conf;
	struct stat sts[CODING_MAX];
	int fds[CODING_MAX];
	uint8_t codings[CODING_MAX];

	e->kind = FILES_FILE;
	e->nreps = 1;
	for (unsigned i = 0; i < c->ncodings; i++) {
		int sibling = files_entry_sibling(e, c->codings[i], st, &sts[e->nreps]);

		if (sibling < 0)
			continue;
		codings[e->nreps] = c->codings[i];
		fds[e->nreps++] = sibling;
	}
	files_entry_rep(e, 0, CODING_IDENTITY, fd, st);
	for (unsigned i = 1; i < e->nreps; i++)
		files_entry_rep(e, i, codings[i], fds[i], &sts[i]);
}

/* --- looking --- */

static bool
files_entry_is_directory(const struct files_entry *e)
{
	int fd = files_entry_open(e, e->name, O_PATH | O_DIRECTORY), err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return fd >= 0;
}

/* The name is taken as it stands: a file, or a directory whose slash is missing. */
static void
files_entry_plain(struct files_entry *e)
{
	int fd = files_entry_open(e, e->name, O_RDONLY);
	struct stat st;

	if (fd < 0) {
		int err = errno;

		/* A directory that may be passed through, but not read, still wants its slash. */
		if (err == EACCES && files_entry_is_directory(e))
			e->kind = FILES_DIRECTORY;
		else
			files_entry_fail(e, err);
		return;
	}
	if (fstat(fd, &st) < 0)
		files_entry_fail(e, errno);
	else if (S_ISDIR(st.st_mode))
		e->kind = FILES_DIRECTORY;
	else if (!S_ISREG(st.st_mode))
		files_entry_fail(e, ENXIO);
	else {
		if (!files_entry_refuse(e, fd))
			files_entry_file(e, fd, &st);
		return;
	}
	close(fd);
}

/* Tries one index file; room holds the directory's name and has place for more. True when that
   decided what the entry is. */
static bool
files_entry_index(struct files_entry *e, struct str dir, struct str index, char *room)
{
	struct stat st;
	int fd;

	memcpy(room + dir.n, index.p, index.n);
	e->name = str_n(room, dir.n + index.n);
	fd = files_entry_open(e, e->name, O_RDONLY);
	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
			return false;
		files_entry_fail(e, errno);
		return true;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return false;
	}
	memcpy(room + dir.n + index.n, e->path.p, e->path.n);
	memcpy(room + dir.n + index.n + e->path.n, index.p, index.n);
	e->target = str_n(room + dir.n + index.n, e->path.n + index.n);
	if (!files_route_is_elsewhere(e->fr, e->target)) {
		if (!files_entry_refuse(e, fd))
			files_entry_file(e, fd, &st);
		return true;
	}
	close(fd);
	e->kind = FILES_REROUTE;
	return true;
}

static void
files_entry_dir(struct files_entry *e, char *room)
{
	const struct files_conf *c = e->fr->conf;
	struct str dir = e->name;

	memcpy(room, dir.p, dir.n);
	for (size_t i = 0; i < c->index.n; i++) {
		if (!files_entry_index(e, dir, c->index.v[i], room))
			continue;
		/* One that stands before it in the list may appear: look at all of them again. */
		e->is_young |= i > 0;
		return;
	}
	e->name = dir;
	if (files_entry_is_directory(e))
		e->kind = FILES_DIRECTORY;
	else
		files_entry_fail(e, errno);
}

static size_t
files_entry_longest_index(const struct files_conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->index.n; i++)
		if (c->index.v[i].n > n)
			n = c->index.v[i].n;
	return n;
}

/* The path as the option hidden sees it: without what an alias takes the place of. */
static bool
files_entry_is_hidden(const struct files_route *fr, struct str path)
{
	size_t skip = fr->prefix.n;

	if (fr->conf->hidden || !str_has_prefix(path, fr->prefix))
		return false;
	if (skip && fr->prefix.p[skip - 1] == '/')
		skip--;
	return files_path_is_hidden(str_n(path.p + skip, path.n - skip));
}

struct files_entry *
files_entry_load(const struct files_route *fr, struct str path)
{
	bool is_dir = path.n && path.p[path.n - 1] == '/';
	size_t room = is_dir ? 2 * (path.n + files_entry_longest_index(fr->conf)) : 0;
	size_t n = sizeof(struct files_entry) + path.n + room;
	struct files_entry *e = must_malloc(n);
	char *copy = (char *)(e + 1);

	memset(e, 0, sizeof(*e));
	memcpy(copy, path.p, path.n);
	e->fr = fr;
	e->path = str_n(copy, path.n);
	e->name = files_route_name(fr, e->path);
	e->generation = fr->root->generation;
	e->bytes = n;
	if (fr->root->fd < 0 || files_entry_is_hidden(fr, path))
		files_entry_fail(e, ENOENT);
	else if (is_dir)
		files_entry_dir(e, copy + path.n);
	else
		files_entry_plain(e);
	return e;
}

void
files_entry_free(struct files_entry *e)
{
	for (unsigned i = 0; i < e->nreps; i++) {
		if (e->reps[i]->file.fd >= 0)
			close(e->reps[i]->file.fd);
		free(e->reps[i]);
	}
	free(e);
}

/* --- looking again --- */

/* Whether the name still leads to the same file, and still by a way that the option symlinks
   allows; for the latter a descriptor is needed, and when there is none the former has to do. */
static bool
files_entry_is_there(const struct files_entry *e, struct str suffix, const struct files_id *id)
{
	char room[ENTRY_NAME];
	struct str name = files_entry_name(e, suffix, room);
	int fd = files_entry_open(e, name, O_PATH);
	struct stat st;
	bool ok;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		ok = fstatat(e->fr->root->fd, name.p, &st, 0) == 0;
	else
		ok = fd >= 0 && fstat(fd, &st) == 0;
	if (fd >= 0)
		close(fd);
	return ok && files_entry_is_same(id, &st);
}

static bool
files_entry_is_absent(const struct files_entry *e, struct str suffix)
{
	char name[ENTRY_NAME];
	struct stat st;

	return files_entry_name(e, suffix, name).n == 0 ||
	       fstatat(e->fr->root->fd, name, &st, 0) < 0 || !S_ISREG(st.st_mode);
}

static const struct files_rep *
files_entry_find(const struct files_entry *e, enum files_coding coding)
{
	for (unsigned i = 1; i < e->nreps; i++)
		if (e->reps[i]->coding == coding)
			return e->reps[i];
	return NULL;
}

bool
files_entry_is_current(const struct files_entry *e, bool look_siblings)
{
	const struct files_conf *c = e->fr->conf;

	if (e->kind != FILES_FILE || e->is_young || e->generation != e->fr->root->generation)
		return false;
	if (!files_entry_is_there(e, STR(""), &e->reps[0]->id))
		return false;
	for (unsigned i = 0; i < c->ncodings; i++) {
		const struct files_rep *rep = files_entry_find(e, c->codings[i]);
		struct str suffix = files_codings[c->codings[i]].suffix;

		if (rep ? !files_entry_is_there(e, suffix, &rep->id)
			: look_siblings && !files_entry_is_absent(e, suffix))
			return false;
	}
	return true;
}

/*
 * Files by header: the answer of an application names a file (X-Sendfile …) or a path of a route
 * that answers nobody else (X-Accel-Redirect). The file is opened beneath one of the directories
 * that the route names, with the rights of the worker, when the backend is done with: no octet of
 * it waits for, or holds, the application. Directories are opened each time, so that what the
 * operator renames or mounts there counts at once.
 *
 * Of what the application said beside it everything goes to the client but what described its own
 * content: length, ranges, coding. A refusal is an error page and one line in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/beneath.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/sendfile.h"
#include "worker/cond.h"
#include "worker/resfile.h"

/* --- the command --- */

static struct str
sendfile_field(const struct fields *f, struct str name)
{
	for (unsigned i = 0; i < f->n; i++)
		if (str_caseeq(f->v[i].name, name))
			return f->v[i].value;
	return (struct str){ NULL, 0 };
}

/* nginx's companions that ask for what is not there yet. */
static void
sendfile_ignored(const struct exchange *x)
{
	struct str rate = sendfile_field(&x->res.fields, STR("X-Accel-Limit-Rate"));
	uint64_t octets;

	if (!rate.p || log_level < LOG_DEBUG_)
		return;
	if (str_to_u64(rate, INT64_MAX, &octets))
		log_debug("request %016llx: X-Accel-Limit-Rate of %llu octets a second is not "
			  "obeyed: there are no rates",
		    (unsigned long long)x->r->id, (unsigned long long)octets);
	else if (!str_caseeq(rate, STR("off")))
		log_debug("request %016llx: X-Accel-Limit-Rate \"%.*s\" is no rate",
		    (unsigned long long)x->r->id, STR_FMT(rate));
}

/* Statuses without content (RFC 9110 6.4.1, 15.3.6) have no place for a file. */
static bool
sendfile_has_content(int status)
{
	return status >= 200 && status != 204 && status != 205 && status != 304;
}

const struct sendfile *
sendfile_command(struct exchange *x)
{
	const struct fields *f = &x->res.fields;
	unsigned commands = x->conf->sendfile.commands;
	struct sendfile found = { .command = SENDCMD_NONE }, *s;

	if (x->is_authorizer || x->res.is_tunnel || !sendfile_has_content(x->res.status))
		return NULL;
	for (unsigned i = 0; i < f->n; i++) {
		enum sendcmd command = sendcmd_of(f->v[i].name);

		if (command > found.command || !(commands >> command & 1))
			continue;
		if (command == found.command && !str_eq(found.value, f->v[i].value))
			found.refused = "the field is there twice";
		else if (command < found.command)
			found = (struct sendfile){ .command = command, .value = f->v[i].value };
	}
	if (found.command == SENDCMD_NONE)
		return NULL;
	found.charset = sendfile_field(f, STR("X-Accel-Charset"));
	sendfile_ignored(x);
	s = arena_alloc(&x->r->arena, sizeof(*s));
	*s = found;
	return s;
}

/* --- refusals --- */

static void
sendfile_refuse(struct exchange *x, int status, struct str path, const char *why)
{
	const struct sendfile *s = x->file;

	log_at(LOG_WARN_, "gateway", false, "request %016llx %.*s%.*s: %.*s \"%.*s\": %d: %s",
	    (unsigned long long)x->r->id, STR_FMT(x->r->host), STR_FMT(x->r->raw_path),
	    STR_FMT(sendcmd_rows[s->command].name), STR_FMT(path), status, why);
	res_error(x->r, status, why);
}

static const struct sendfile_error {
	int err, status;
	const char *why;
} sendfile_errors[] = {
	{ ENOENT, 404, "no such file" },
	{ ENOTDIR, 404, "no such file: a part of the path is no directory" },
	{ ENAMETOOLONG, 404, "no such file: the name is too long" },
	{ EINVAL, 404, "no such file: the file system does not take the name" },
	{ ENXIO, 403, "not a regular file" },
	{ EISDIR, 403, "not a regular file" },
	{ EACCES, 403, "workers have no permission to read the file" },
	{ EPERM, 403, "workers have no permission to read the file" },
	{ ELOOP, 403, "a symbolic link leads out of the directory" },
	{ EXDEV, 403, "a symbolic link leads out of the directory" },
	{ EMFILE, 503, "too many open files" },
	{ ENFILE, 503, "too many open files in the system" },
	{ ENOMEM, 503, "the kernel is out of memory" },
	{ 0, 500, "the file cannot be opened" },
};

static void
sendfile_fail(struct exchange *x, struct str path, int err)
{
	const struct sendfile_error *row = sendfile_errors;

	while (row->err && row->err != err)
		row++;
	sendfile_refuse(x, row->status, path, row->why);
}

/* --- the file --- */

/* The narrowest of the directories that path lies below, *rel what stands behind it; NULL: none. */
static const struct str *
sendfile_directory(const struct cfg_strs *dirs, struct str path, struct str *rel)
{
	const struct str *best = NULL;

	for (size_t i = 0; i < dirs->n; i++) {
		struct str below = sendcmd_below(path, dirs->v[i]);

		if (below.n == 0 || (best && best->n >= dirs->v[i].n))
			continue;
		best = &dirs->v[i];
		*rel = below;
	}
	return best;
}

static int
sendfile_open_beneath(const char *dir, struct str rel, int flags)
{
	int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, err;

	if (root < 0)
		return -1;
	fd = beneath_open(root, rel, LINKS_BENEATH, flags);
	err = errno;
	close(root);
	errno = err;
	return fd;
}

static bool
sendfile_is_file(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && S_ISREG(st->st_mode);
}

/* Opens a temporary file and takes its name away. The name is looked up beneath its own directory,
   which cannot be exchanged meanwhile; it is no link. What is no file keeps its name. */
static int
sendfile_open_temp(const char *dir, struct str rel)
{
	char name[NAME_MAX + 1];
	struct str parent = rel, last;
	struct stat st;
	int root, fd, err;

	while (parent.n > 0 && parent.p[parent.n - 1] != '/')
		parent.n--;
	last = str_n(rel.p + parent.n, rel.n - parent.n);
	if (last.n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, last.p, last.n);
	name[last.n] = '\0';
	root = sendfile_open_beneath(dir, parent, O_PATH | O_DIRECTORY);
	if (root < 0)
		return -1;
	fd = openat(root, name, O_RDONLY | O_NOFOLLOW | BENEATH_FLAGS);
	err = errno;
	if (fd >= 0 && sendfile_is_file(fd, &st) && unlinkat(root, name, 0) < 0)
		log_warn("gateway: cannot remove %s/%.*s", dir, STR_FMT(rel));
	close(root);
	errno = err;
	return fd;
}

static void
sendfile_close(void *arg)
{
	close((int)(intptr_t)arg);
}

static struct str
sendfile_absolute(const struct exchange *x, struct str path)
{
	struct str base = x->conf->sendfile.base;

	if (base.n == 0 || (path.n > 0 && path.p[0] == '/'))
		return path;
	return arena_printf(&x->r->arena, "%.*s%s%.*s", STR_FMT(base),
	    base.p[base.n - 1] == '/' ? "" : "/", STR_FMT(path));
}

/* Opens what is named; the descriptor lives as long as the request. -1: answered. */
static int
sendfile_open(struct exchange *x, struct str path, struct stat *st)
{
	const struct gateway_sendfile *c = &x->conf->sendfile;
	bool is_temp = x->file->command == SENDCMD_TEMPFILE;
	const struct str *dir;
	struct str rel;
	int fd;

	path = sendfile_absolute(x, path);
	if (path.n == 0 || path.p[0] != '/') {
		sendfile_refuse(x, 403, path, "a relative path (gateway.sendfile.base)");
		return -1;
	}
	dir = sendfile_directory(is_temp ? &c->temp_directories : &c->directories, path, &rel);
	if (!dir) {
		sendfile_refuse(x, 403, path,
		    is_temp ? "not below gateway.sendfile.temp_directories"
			    : "not below gateway.sendfile.directories");
		return -1;
	}
	fd = is_temp ? sendfile_open_temp(dir->p, rel)
		     : sendfile_open_beneath(dir->p, rel, O_RDONLY);
	if (fd < 0) {
		sendfile_fail(x, path, errno);
		return -1;
	}
	arena_defer(&x->r->arena, sendfile_close, (void *)(intptr_t)fd);
	if (sendfile_is_file(fd, st))
		return fd;
	sendfile_fail(x, path, ENXIO);
	return -1;
}

/* --- what goes with it --- */

/* Tables of media types, by their file: the built-in rows and those of mime.types. */
static struct sendfile_mime {
	struct str file;
	struct mime *mime;
} * sendfile_mimes;
static size_t sendfile_nmimes;

static const struct mime *
sendfile_mime(struct str file)
{
	struct sendfile_mime *m;

	for (size_t i = 0; i < sendfile_nmimes; i++)
		if (str_eq(sendfile_mimes[i].file, file))
			return sendfile_mimes[i].mime;
	sendfile_mimes = must_realloc(sendfile_mimes, (sendfile_nmimes + 1) * sizeof(*m));
	m = &sendfile_mimes[sendfile_nmimes++];
	*m = (struct sendfile_mime){ file, mime_new() };
	if (file.n && mime_load(m->mime, file.p) < 0 && errno != ENOENT)
		log_warn("gateway: %s", file.p);
	return m->mime;
}

void
sendfile_stop(void)
{
	for (size_t i = 0; i < sendfile_nmimes; i++)
		mime_free(sendfile_mimes[i].mime);
	free(sendfile_mimes);
	sendfile_mimes = NULL;
	sendfile_nmimes = 0;
}

static struct str
sendfile_with_charset(struct request *r, struct str type, struct str charset)
{
	if (charset.n == 0 || !http_is_token(charset) || !str_has_prefix(type, STR("text/")) ||
	    str_find(type, ';') >= 0)
		return type;
	return arena_printf(&r->arena, "%.*s; charset=%.*s", STR_FMT(type), STR_FMT(charset));
}

/* The application's own type counts; without one the name of the file tells. */
static struct str
sendfile_type(struct exchange *x, struct str path)
{
	const struct gateway_sendfile *c = &x->conf->sendfile;
	struct request *r = x->r;
	struct str own = res_field_get(r, HF_CONTENT_TYPE), type = own;

	if (!own.p)
		type = sendfile_with_charset(
		    r, mime_type_of(sendfile_mime(c->mime_types), &c->types, path), c->charset);
	else if (x->file->charset.p)
		type = sendfile_with_charset(r, own, x->file->charset);
	if (type.p != own.p)
		res_field_set(r, HF_CONTENT_TYPE, type);
	return type;
}

/* What told of the application's own content. A compressor in its way has told of a body that
   nobody gets. */
static void
sendfile_forget_content(struct request *r)
{
	res_field_del(r, HF_CONTENT_ENCODING);
	res_field_del(r, HF_ACCEPT_RANGES);
}

static void
sendfile_validators(struct request *r, struct resfile *f, const struct stat *st)
{
	struct str etag = res_field_get(r, HF_ETAG), modified = res_field_get(r, HF_LAST_MODIFIED);
	char date[29], text[RESFILE_ETAG];

	if (!etag.p) {
		resfile_etag(text, st, STR(""));
		etag = arena_str(&r->arena, str_of(text));
		res_field(r, HF_ETAG, etag);
	}
	f->etag = etag;
	if (clock_parse_http_date(modified, &f->modified))
		return;
	f->modified = st->st_mtim.tv_sec;
	clock_http_date(date, f->modified);
	res_field_set(r, HF_LAST_MODIFIED, arena_str(&r->arena, str_n(date, sizeof(date))));
}

/* Conditions and ranges are asked of what was asked for: of an answer to a POST or with another
   status nobody can ask for a part. A 206 is the application's guess at what the server does. */
static void
sendfile_file(struct exchange *x)
{
	struct request *r = x->r;
	struct resfile *f = arena_calloc(&r->arena, sizeof(*f));
	bool is_encoded = sendcmd_rows[x->file->command].is_encoded && x->conf->sendfile.encoded;
	int status = x->res.status == 206 ? 200 : x->res.status;
	struct str path;
	struct stat st;
	const char *why = sendcmd_path(&r->arena, x->file->value, is_encoded, &path);

	if (why) {
		sendfile_refuse(x, 403, x->file->value, why);
		return;
	}
	f->fd = sendfile_open(x, path, &st);
	if (f->fd < 0)
		return;
	f->size = st.st_size;
	f->max_ranges = RANGE_MAX;
	if (str_caseeq(res_field_get(r, HF_ACCEPT_RANGES), STR("none")))
		f->max_ranges = 0;
	sendfile_forget_content(r);
	res_field_del(r, HF_CONTENT_RANGE);
	f->type = sendfile_type(x, path);
	sendfile_validators(r, f, &st);
	/* All fields are the request's own: none is prepared. */
	f->whole.v = f->unchanged.v = r->fields.v;
	if (status != 200 || (r->method != M_GET && r->method != M_HEAD)) {
		resfile_send_as(r, f, status);
		return;
	}
	res_field(r, HF_ACCEPT_RANGES, f->max_ranges ? STR("bytes") : STR("none"));
	resfile_send(r, f);
}

/* --- several parts --- */

struct sendfile_range {
	int fd;
	int64_t first, len;
};

/* False: answered. */
static bool
sendfile_part(struct exchange *x, const struct sendcmd_part *part, struct sendfile_range *range)
{
	int64_t last = part->last;
	struct stat st;

	range->fd = sendfile_open(x, part->path, &st);
	if (range->fd < 0)
		return false;
	if (last < 0 || last >= st.st_size)
		last = st.st_size - 1;
	range->first = part->first;
	range->len = last - part->first + 1;
	if (part->first <= st.st_size)
		return true;
	sendfile_refuse(x, 502, part->path, "a range begins behind the end of the file");
	return false;
}

/* Files and ranges in a row. Status, Content-Range and validators are the application's: only it
   knows what it put together. */
static void
sendfile_parts(struct exchange *x)
{
	struct sendcmd_part *parts = arena_alloc(&x->r->arena, SENDCMD_PARTS_MAX * sizeof(*parts));
	struct sendfile_range v[SENDCMD_PARTS_MAX];
	struct request *r = x->r;
	int64_t length = 0;
	unsigned n;
	const char *why = sendcmd_parts(&r->arena, x->file->value, parts, &n);

	if (why) {
		sendfile_refuse(x, 502, x->file->value, why);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!sendfile_part(x, &parts[i], &v[i]))
			return;
		if (__builtin_add_overflow(length, v[i].len, &length)) {
			sendfile_refuse(x, 502, x->file->value, "longer than a file can be");
			return;
		}
	}
	sendfile_forget_content(r);
	sendfile_type(x, parts[0].path);
	res_begin(r, x->res.status, length);
	for (unsigned i = 0; i < n && r->method != M_HEAD; i++)
		if (v[i].len > 0)
			body_put_file(&r->out_body, v[i].fd, v[i].first, v[i].len, false);
	body_end(&r->out_body);
}

/* --- a path of ours --- */

/* Whether the route of a path answers nobody else (the option internal). */
static bool
sendfile_is_internal(const struct request *r, struct str path)
{
	const struct route *route = site_route(r->site, path, r->method == M_HEAD ? M_HEAD : M_GET);

	for (size_t i = 0; route && i < route->access.n; i++)
		if (str_eq(route->access.v[i].name, STR("internal")))
			return true;
	return false;
}

/* The application's fields go along, without what only that route can say of what it finds. */
static void
sendfile_redirect(struct exchange *x)
{
	static const uint8_t of_content[] = { HF_CONTENT_ENCODING, HF_CONTENT_RANGE,
		HF_ACCEPT_RANGES, HF_ETAG, HF_LAST_MODIFIED, HF_LOCATION };
	struct request *r = x->r;
	struct str path, query, type = res_field_get(r, HF_CONTENT_TYPE);
	const char *why = sendcmd_target(&r->arena, x->file->value, &path, &query);

	if (why) {
		sendfile_refuse(x, 403, x->file->value, why);
		return;
	}
	if (!sendfile_is_internal(r, path)) {
		sendfile_refuse(x, 403, path, "not a path of a route that is internal");
		return;
	}
	for (size_t i = 0; i < sizeof(of_content); i++)
		res_field_del(r, (enum http_field)of_content[i]);
	if (type.p && x->file->charset.p)
		res_field_set(r, HF_CONTENT_TYPE, sendfile_with_charset(r, type, x->file->charset));
	request_ask_inside(r, path, query.p ? query : STR(""));
}

void
sendfile_answer(struct exchange *x)
{
	if (x->file->refused)
		sendfile_refuse(x, 502, x->file->value, x->file->refused);
	else if (x->file->command == SENDCMD_REDIRECT)
		sendfile_redirect(x);
	else if (x->file->command == SENDCMD_PARTS)
		sendfile_parts(x);
	else
		sendfile_file(x);
}

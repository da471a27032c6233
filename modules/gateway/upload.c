/*
 * See upload.h. The client's end of the body is emptied as octets come: what they are (parts of a
 * form, or one file) goes to files at once, and what is no file into the text of the new form.
 */
#include <errno.h>

#include "modules/gateway/codec/formpart.h"
#include "modules/gateway/codec/multipart.h"
#include "modules/gateway/upload.h"
#include "modules/gateway/uploadfile.h"
#include "modules/gateway/uploadform.h"

enum { UPLOAD_CLIENT_END = 65536 }; /* octets that may wait in memory */

struct upload {
	struct request *r;
	const struct gateway_conf *gateway;
	const struct upload_conf *conf;
	struct multipart parts;
	struct formpart part;
	struct uploadfile *first, **last;
	struct uploadfile *file; /* that is received; NULL: a field, or nothing */
	struct text form;
	struct post ready;
	unsigned nfiles, nparts;
	int status; /* 0, or what to answer with */
	const char *why;
	bool is_form;
	bool is_over; /* nothing comes any more, in whichever way */
};

static void
upload_end(struct upload *u)
{
	if (u->is_over)
		return;
	u->is_over = true;
	body_on_data(&u->r->body, NULL, NULL);
	worker_post(u->r->w, &u->ready);
}

static void
upload_fail(struct upload *u, int status, const char *why)
{
	if (u->is_over)
		return;
	u->status = status;
	u->why = why;
	body_cancel(&u->r->body);
	upload_end(u);
}

/* A file failed. */
static void
upload_file_failed(struct upload *u, int err)
{
	int status = err == ENOSPC || err == EDQUOT ? 507 : err == EMFILE ? 503 : 500;
	struct str why = arena_printf(
	    &u->r->arena, "upload to %.*s: %s", STR_FMT(u->conf->directory), strerror(err));

	upload_fail(u, status, why.p);
}

/* --- files --- */

static void
upload_open(struct upload *u)
{
	struct uploadfile *f = arena_alloc(&u->r->arena, sizeof(*f));
	int err = uploadfile_open(f, &u->r->arena, u->r->w, u->r->id, u->conf);

	if (err) {
		upload_file_failed(u, err);
		return;
	}
	f->field = f->name = f->type = STR("");
	*u->last = f;
	u->last = &f->next;
	u->file = f;
	u->nfiles++;
}

static void
upload_write(struct upload *u, struct str data)
{
	int err;

	if ((int64_t)data.n > u->conf->max_file - u->file->size) {
		upload_fail(u, 413, "a file larger than upload.max_file");
		return;
	}
	err = uploadfile_write(u->file, data.p, data.n);
	if (err)
		upload_file_failed(u, err);
}

/* --- forms --- */

/* A part begins. A file without name and content is a file that was not chosen: it is opened with
   its first octet, or not at all. */
static void
upload_part(struct upload *u)
{
	const char *why;
	int status =
	    formpart_read(&u->part, &u->r->arena, u->parts.head, (size_t)u->conf->max_name, &why);

	if (status) {
		upload_fail(u, status, why);
		return;
	}
	if (++u->nparts > (uint64_t)u->conf->max_parts) {
		upload_fail(u, 413, "more parts than upload.max_parts");
		return;
	}
	u->part.name = arena_str(&u->r->arena, u->part.name);
	u->part.type = arena_str(&u->r->arena, u->part.type);
	if (!u->part.is_file)
		uploadform_name(&u->form, u->part.name);
	else if (u->part.filename.n > 0)
		upload_open(u);
}

static void
upload_data(struct upload *u, struct str data)
{
	if (u->part.is_file && !u->file)
		upload_open(u);
	if (u->is_over)
		return;
	if (u->file)
		upload_write(u, data);
	else
		uploadform_encode(&u->form, data);
}

static void
upload_part_done(struct upload *u)
{
	struct uploadfile *f = u->file;

	if (f) {
		f->field = u->part.name;
		f->name = u->part.filename;
		f->type = u->part.type;
		uploadfile_finish(f);
	}
	u->file = NULL;
}

static void
upload_event(struct upload *u, enum multipart_event ev)
{
	if (ev == MULTIPART_PART)
		upload_part(u);
	else if (ev == MULTIPART_DATA)
		upload_data(u, u->parts.data);
	else if (ev == MULTIPART_DONE)
		upload_part_done(u);
	else if (ev == MULTIPART_ERROR)
		upload_fail(u, u->parts.status, u->parts.why);
	if ((int64_t)u->form.n > u->conf->max_fields)
		upload_fail(u, 413, "fields larger than upload.max_fields");
}

static void
upload_feed(struct upload *u, const char *p, size_t n)
{
	enum multipart_event ev = MULTIPART_PART;

	if (!u->is_form) {
		upload_write(u, str_n(p, n));
		return;
	}
	while (!u->is_over && (n > 0 || ev != MULTIPART_MORE)) {
		size_t used = 0;

		ev = multipart_input(&u->parts, p, n, &used);
		p += used;
		n -= used;
		upload_event(u, ev);
	}
}

/* --- the end --- */

/* Names only now: until the request is complete nothing is left of it whatever happens. */
static void
upload_complete(struct upload *u)
{
	unsigned i = 0;

	if (u->is_form && !multipart_eof(&u->parts)) {
		upload_fail(u, u->parts.status, u->parts.why);
		return;
	}
	if (!u->is_form)
		uploadfile_finish(u->file);
	for (struct uploadfile *f = u->first; f; f = f->next, i++) {
		int err = uploadfile_name(f);

		if (err) {
			upload_file_failed(u, err);
			return;
		}
		if (u->is_form)
			uploadform_file(&u->form, i, f);
	}
	upload_end(u);
}

/* What the client's end failed with. */
static void
upload_broke(struct upload *u, int err)
{
	if (err == EFBIG)
		upload_fail(u, 413, "request body larger than max_body");
	else if (err == ETIMEDOUT)
		upload_fail(u, 408, "request body too slow");
	else
		upload_fail(u, 400, "the request body broke off");
}

static void
upload_pull(void *arg)
{
	struct upload *u = arg;
	struct body *in = &u->r->body;
	struct iovec iov;
	size_t n;

	while (!u->is_over && body_iov(in, &iov, 1, &n) > 0) {
		upload_feed(u, iov.iov_base, iov.iov_len);
		if (!u->is_over)
			body_consume(in, (int64_t)iov.iov_len);
	}
	if (u->is_over || in->state == BODY_OPEN)
		return;
	if (in->state == BODY_ENDED)
		upload_complete(u);
	else
		upload_broke(u, in->err);
}

/* --- life --- */

static void
upload_gone(void *arg)
{
	struct upload *u = arg;

	if (!u->is_over)
		body_on_data(&u->r->body, NULL, NULL);
	post_cancel(&u->ready);
	for (struct uploadfile *f = u->first; f; f = f->next)
		uploadfile_close(f);
	text_free(&u->form);
}

/* What is known before the first octet. */
static void
upload_begin_form(struct upload *u, struct str type)
{
	struct request *r = u->r;
	struct str boundary = multipart_boundary(type, &u->why);
	size_t max = (size_t)u->conf->max_head;

	if (!boundary.p) {
		upload_fail(u, 400, u->why);
		return;
	}
	multipart_init(&u->parts, boundary, arena_alloc(&r->arena, max), max);
}

static void
upload_begin_raw(struct upload *u, struct str type)
{
	struct request *r = u->r;
	struct str name =
	    formpart_filename(&r->arena, req_field_named(r, STR("Content-Disposition")));

	if (name.n > (size_t)u->conf->max_name) {
		upload_fail(u, 400, "the name of the file is too long");
		return;
	}
	if (r->length > u->conf->max_file) {
		upload_fail(u, 413, "a file larger than upload.max_file");
		return;
	}
	upload_open(u);
	if (!u->file)
		return;
	u->file->name = formpart_safe(&r->arena, name);
	u->file->type = type.p ? type : STR("");
}

/* More than one Content-Type: which of them counts is everybody's own guess. */
static bool
upload_has_two_types(const struct request *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->in.n; i++)
		n += r->in.v[i].id == HF_CONTENT_TYPE;
	return n > 1;
}

struct upload *
upload_start(struct request *r, const struct gateway_conf *conf, void (*ready)(void *), void *arg)
{
	struct upload *u = arena_calloc(&r->arena, sizeof(*u));
	struct str type = req_field(r, HF_CONTENT_TYPE);
	struct str coding = req_field_named(r, STR("Content-Encoding"));

	u->r = r;
	u->gateway = conf;
	u->conf = &conf->upload;
	u->last = &u->first;
	u->ready = (struct post){ .fn = ready, .arg = arg };
	u->is_form = type.p && multipart_is(type);
	arena_defer(&r->arena, upload_gone, u);
	if (upload_has_two_types(r))
		upload_fail(u, 400, "more than one Content-Type");
	else if (u->is_form && coding.n > 0 && !str_caseeq(coding, STR("identity")))
		upload_fail(u, 415, "multipart: a form with a Content-Encoding");
	else if (u->is_form)
		upload_begin_form(u, type);
	else
		upload_begin_raw(u, type);
	if (u->is_over)
		return u;
	r->body.high = UPLOAD_CLIENT_END;
	r->body.low = 0;
	request_want_body(r);
	body_on_data(&r->body, upload_pull, u);
	return u;
}

void
upload_stop(struct upload *u)
{
	post_cancel(&u->ready);
	if (u->is_over)
		return;
	u->is_over = true;
	body_on_data(&u->r->body, NULL, NULL);
	body_cancel(&u->r->body);
}

int
upload_failed(const struct upload *u, const char **why)
{
	*why = u->why;
	return u->status;
}

const struct gateway_conf *
upload_conf(struct upload *u)
{
	return uploadform_conf(&u->r->arena, u->gateway, u->nfiles, u->is_form ? NULL : u->first);
}

struct str
upload_form(const struct upload *u)
{
	return u->is_form ? text_str(&u->form) : STR("");
}

bool
upload_is_forged(struct request *r)
{
	return r->query.n > 0 && formpart_query_has_ours(&r->arena, r->query);
}

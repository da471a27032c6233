/*
 * Responses: fields, the beginning, and whole answers (errors, redirects, texts). See request.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/regex.h"
#include "worker/errpage.h"
#include "worker/proto.h"
#include "worker/request.h"

/* Room for what later hooks add, so that the list of fields is allocated once. */
enum { FIELDS_MORE = 6 };

void
res_field(struct request *r, enum http_field id, struct str value)
{
	struct field *f = fields_add(&r->fields, &r->arena);

	f->id = (uint8_t)id;
	f->name = http_field_name(id);
	f->value = value;
}

void
res_field_named(struct request *r, struct str name, struct str value)
{
	struct field *f = fields_add(&r->fields, &r->arena);

	f->id = (uint8_t)http_field_of(name);
	f->name = name;
	f->value = value;
}

void
res_fields_prepared(struct request *r, const struct res_prepared *pre)
{
	struct fields *f = &r->fields;
	unsigned n = pre->n;

	if (f->n + n > f->room) {
		struct field *more =
		    arena_alloc(&r->arena, (f->n + n + FIELDS_MORE) * sizeof(*more));

		if (f->n)
			memcpy(more, f->v, f->n * sizeof(*more));
		f->v = more;
		f->room = f->n + n + FIELDS_MORE;
	}
	memcpy(f->v + f->n, pre->v, n * sizeof(*pre->v));
	if (f->n == 0)
		r->prepared = pre;
	f->n += n;
}

void
res_field_del(struct request *r, enum http_field id)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->fields.n; i++)
		if (r->fields.v[i].id != id)
			r->fields.v[n++] = r->fields.v[i];
	if (n < r->fields.n)
		r->prepared = NULL;
	r->fields.n = n;
}

void
res_field_set(struct request *r, enum http_field id, struct str value)
{
	res_field_del(r, id);
	res_field(r, id, value);
}

struct str
res_field_get(const struct request *r, enum http_field id)
{
	for (unsigned i = 0; i < r->fields.n; i++)
		if (r->fields.v[i].id == id)
			return r->fields.v[i].value;
	return (struct str){ NULL, 0 };
}

void
res_vary(struct request *r, struct str name)
{
	for (unsigned i = 0; i < r->fields.n; i++) {
		struct field *f = &r->fields.v[i];

		if (f->id != HF_VARY)
			continue;
		r->prepared = NULL;
		if (!str_list_has(f->value, name) && !str_list_has(f->value, STR("*")))
			f->value =
			    arena_printf(&r->arena, "%.*s, %.*s", STR_FMT(f->value), STR_FMT(name));
		return;
	}
	res_field(r, HF_VARY, name);
}

void
res_begin(struct request *r, int status, int64_t length)
{
	must(!r->is_begun);
	r->is_begun = true;
	r->status = r->is_error_page && status < 400 ? r->error_status : status;
	r->out_length = length;
	for (size_t i = 0; i < r->route->filter.n; i++)
		r->route->filter.v[i].module->filter(r, r->route->filter.v[i].conf);
	r->proto->head(r);
}

void
res_interim(struct request *r, int status, const struct fields *fields)
{
	must(!r->is_begun && status >= 100 && status < 200 && status != 101);
	if (r->version > HTTP_10) /* RFC 9110 15.2 */
		r->proto->interim(r, status, fields);
}

void
res_begin_tunnel(struct request *r)
{
	must(req_can_tunnel(r));
	r->is_begun = r->is_tunnel = true;
	r->status = 101;
	r->out_length = -1;
	r->body.state = BODY_OPEN;
	r->proto->head(r);
}

/* What the handler prepared before it failed must not go with the error. */
static void
res_keep_for_error(struct request *r)
{
	unsigned n = 0;

	r->prepared = NULL;
	for (unsigned i = 0; i < r->fields.n; i++) {
		switch (r->fields.v[i].id) {
		case HF_ALLOW:
		case HF_CONTENT_RANGE:
		case HF_LOCATION:
		case HF_OTHER:
		case HF_RETRY_AFTER:
		case HF_SET_COOKIE:
		case HF_VARY:
		case HF_WWW_AUTHENTICATE:
			r->fields.v[n++] = r->fields.v[i];
		}
	}
	r->fields.n = n;
}

/* The site's own page for a status. */
static bool
res_error_page(struct request *r, int status)
{
	const struct conf_core *core = r->route->core;
	const struct conf_error_page *pages = core->error_pages.v;

	if (r->is_error_page)
		return false;
	for (size_t i = 0; i < core->error_pages.n; i++) {
		if (pages[i].status != status)
			continue;
		request_page(r, status, pages[i].path);
		return true;
	}
	return false;
}

void
res_error(struct request *r, int status, const char *why)
{
	struct str type, text;

	if (r->is_begun) {
		res_abort(r, why);
		return;
	}
	if (why && !r->why)
		r->why = why;
	res_keep_for_error(r);
	if (res_error_page(r, status))
		return;
	if (r->is_error_page) /* the page itself failed: its failure is not the client's news */
		status = r->error_status;
	why = r->route->core->debug && !req_not_local(r) ? r->why : NULL;
	errpage_make(r, status, why, &type, &text);
	res_field(r, HF_CONTENT_TYPE, type);
	res_vary(r, STR("Accept"));
	res_begin(r, status, (int64_t)text.n);
	body_put_ref(&r->out_body, text.p, text.n);
	body_end(&r->out_body);
}

void
res_error_fmt(struct request *r, int status, const char *fmt, ...)
{
	struct str why;
	va_list ap;

	va_start(ap, fmt);
	why = arena_vprintf(&r->arena, fmt, ap);
	va_end(ap);
	res_error(r, status, why.p);
}

void
res_undecided(struct request *r)
{
	static uint64_t again;
	static unsigned more;
	const char *why;
	const struct cfg_regex *re = regex_failed(&why);

	if (worker_now(r->w) < again) {
		more++;
	} else {
		log_warnx("request %016llx: the expression \"%.*s\" (%s:%d) cannot be decided on a "
			  "path of %zu octets: %s (%u more like this before)",
		    (unsigned long long)r->id, STR_FMT(re->source),
		    re->place.file ? re->place.file : "-", re->place.line, r->path.n, why, more);
		again = worker_now(r->w) + 1000;
		more = 0;
	}
	res_error(r, 500, "a regular expression that decides on this path hit its limit");
}

/* A Location that would end its field is not sent. */
static bool
res_is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

void
res_redirect(struct request *r, int status, struct str location)
{
	struct str type, text;

	if (!res_is_clean(location)) {
		res_error(r, 500, "control characters in a redirect's target");
		return;
	}
	res_field_set(r, HF_LOCATION, location);
	errpage_make(r, status, NULL, &type, &text);
	res_text(r, status, type, text);
}

void
res_text(struct request *r, int status, struct str type, struct str text)
{
	res_field_set(r, HF_CONTENT_TYPE, type);
	res_begin(r, status, (int64_t)text.n);
	body_put_ref(&r->out_body, text.p, text.n);
	body_end(&r->out_body);
}

void
res_abort(struct request *r, const char *why)
{
	if (why && !r->why)
		r->why = why;
	body_fail(&r->out_body, ECONNABORTED);
	r->proto->abort(r);
}

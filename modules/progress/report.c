/*
 * Reports, see report.h. One view of the row, and a table of forms; those of other servers are
 * theirs to the letter, for the clients that were written for them. They know no "forwarding": all
 * has come, and the upload goes on.
 */
#include <stdlib.h>

#include "common/base/json.h"
#include "modules/progress/id.h"
#include "modules/progress/live.h"
#include "modules/progress/report.h"

struct report {
	const struct progress_view *view; /* NULL: unknown */
	struct str callback;
};

const char *const progress_forms[FORMS + 1] = {
	[FORM_JSON] = "json",
	[FORM_JSONP] = "jsonp",
	[FORM_SSE] = "sse",
	[FORM_XML] = "xml",
	[FORM_LIGHTTPD] = "lighttpd",
	[FORM_NGINX] = "nginx",
	[FORM_NGINX_OBJECT] = "nginx-object",
	[FORM_NGINX_JSONP] = "nginx-jsonp",
};

/* --- forms --- */

void
report_json(struct text *out, const struct progress_view *view)
{
	static const struct progress_view none = { .size = -1 };
	const struct progress_view *v = view ? view : &none;
	const struct progress_figures *f = &v->figures;
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "state", str_of(progress_state_name(f->state)));
	json_i64(&j, "received", f->received);
	if (v->size >= 0)
		json_i64(&j, "size", v->size);
	else
		json_null(&j, "size");
	json_i64(&j, "rate", f->rate);
	json_i64(&j, "forwarded", f->forwarded);
	if (f->status)
		json_i64(&j, "status", f->status);
	else
		json_null(&j, "status");
	json_bool(&j, "known", view != NULL);
	json_object_end(&j);
}

static void
report_put_json(const struct report *a, struct text *out)
{
	report_json(out, a->view);
	text_add(out, "\n", 1);
}

/* The comment keeps what reads the octets as something else from their beginning. */
static void
report_put_jsonp(const struct report *a, struct text *out)
{
	text_printf(out, "/**/%.*s(", STR_FMT(a->callback));
	report_json(out, a->view);
	text_printf(out, ");\r\n");
}

static bool
report_is_in_progress(const struct report *a)
{
	return a->view && a->view->is_live;
}

static void
report_put_xml(const struct report *a, struct text *out)
{
	const struct progress_view *v = a->view;

	if (!report_is_in_progress(a)) {
		text_printf(out, "not in progress");
		return;
	}
	text_printf(out,
	    "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>"
	    "<upload><size>%lld</size><received>%lld</received></upload>",
	    (long long)(v->size > 0 ? v->size : 0), (long long)v->figures.received);
}

static void
report_put_lighttpd(const struct report *a, struct text *out)
{
	const struct progress_view *v = a->view;
	const struct progress_figures *f = v ? &v->figures : NULL;
	long long size = v && v->size > 0 ? v->size : 0;

	if (!v)
		text_printf(out, "new Object({ 'state' : 'starting' })\r\n");
	else if (f->state == PROGRESS_ERROR)
		text_printf(out, "new Object({ 'state' : 'error', 'status' : %d })\r\n", f->status);
	else if (!v->is_live)
		text_printf(out, "new Object({ 'state' : 'done', 'size' : %lld})\r\n", size);
	else
		text_printf(out,
		    "new Object({ 'state' : '%s', 'received' : %lld, 'size' : %lld})\r\n",
		    f->state >= PROGRESS_FORWARDING ? "done" : "uploading", (long long)f->received,
		    size);
}

/* quote: what stands around names and words. */
static void
report_nginx(const struct report *a, char quote, struct text *out)
{
	const struct progress_view *v = a->view;
	enum progress_state state = v ? v->figures.state : PROGRESS_STARTING;
	const char q[2] = { quote, '\0' };

	text_printf(out, "{ %sstate%s : %s", q, q, q);
	if (state == PROGRESS_ERROR)
		text_printf(out, "error%s, %sstatus%s : %d }", q, q, q, v->figures.status);
	else if (state == PROGRESS_DONE)
		text_printf(out, "done%s }", q);
	else if (!v || (v->size <= 0 && v->figures.received == 0))
		text_printf(out, "starting%s }", q);
	else
		text_printf(out, "uploading%s, %sreceived%s : %lld, %ssize%s : %lld }", q, q, q,
		    (long long)v->figures.received, q, q, (long long)v->size);
}

static void
report_put_nginx(const struct report *a, struct text *out)
{
	report_nginx(a, '"', out);
	text_add(out, "\r\n", 2);
}

static void
report_put_nginx_object(const struct report *a, struct text *out)
{
	text_printf(out, "new Object(");
	report_nginx(a, '\'', out);
	text_printf(out, ")\r\n");
}

static void
report_put_nginx_jsonp(const struct report *a, struct text *out)
{
	text_printf(out, "%.*s(", STR_FMT(a->callback));
	report_nginx(a, '"', out);
	text_printf(out, ");\r\n");
}

static const struct {
	struct str type;
	void (*put)(const struct report *, struct text *);
	bool has_callback;
} report_forms[FORMS] = {
	[FORM_JSON] = { STR_INIT("application/json"), report_put_json, false },
	[FORM_JSONP] = { STR_INIT("application/javascript"), report_put_jsonp, true },
	[FORM_SSE] = { STR_INIT("text/event-stream"), NULL, false },
	[FORM_XML] = { STR_INIT("text/xml"), report_put_xml, false },
	[FORM_LIGHTTPD] = { STR_INIT("text/javascript"), report_put_lighttpd, false },
	[FORM_NGINX] = { STR_INIT("application/json"), report_put_nginx, false },
	[FORM_NGINX_OBJECT] = { STR_INIT("text/javascript"), report_put_nginx_object, false },
	[FORM_NGINX_JSONP] = { STR_INIT("application/javascript"), report_put_nginx_jsonp, true },
};

/* --- what is asked --- */

/* FORMS: a form that there is not. */
static int
report_form(struct request *r, const struct progress_conf *conf)
{
	struct str asked = id_argument(r->query, STR("format"));
	struct str accept = req_field(r, HF_ACCEPT);
	int form = 0;

	if (!asked.p) {
		res_vary(r, STR("Accept"));
		return accept.n && str_list_has(accept, report_forms[FORM_SSE].type) ? FORM_SSE
										     : conf->form;
	}
	while (form < FORMS && !str_eq(asked, str_of(progress_forms[form])))
		form++;
	return form;
}

/* p NULL: it is no name of a function. */
static struct str
report_callback(const struct request *r)
{
	struct str name = id_argument(r->query, STR("callback"));

	if (!name.p)
		name = id_argument(r->query, STR("X-Progress-Callback"));
	if (!name.p)
		name = STR("progress");
	return id_is_callback(name) ? name : (struct str){ NULL, 0 };
}

/* In a time that does not tell how much of it is right. */
static bool
report_is_secret(struct str said, struct str secret)
{
	unsigned char differs = 0;

	if (said.n != secret.n)
		return false;
	for (size_t i = 0; i < secret.n; i++)
		differs |= (unsigned char)(said.p[i] ^ secret.p[i]);
	return differs == 0;
}

static bool
report_is_allowed(const struct request *r, const struct progress_conf *conf)
{
	struct str said;

	if (conf->secret.n == 0)
		return true;
	said = req_field_named(r, STR("X-Progress-Secret"));
	if (!said.p)
		said = id_argument(r->query, STR("secret"));
	return report_is_secret(said, conf->secret);
}

/* Pages of other origins may read it where they are named (the Fetch standard, 3.2). */
static void
report_cors(struct request *r, const struct progress_conf *conf)
{
	struct str origin = req_field_named(r, STR("Origin"));

	if (conf->origins.n == 0)
		return;
	res_vary(r, STR("Origin"));
	for (size_t i = 0; i < conf->origins.n && origin.n; i++) {
		bool is_any = str_eq(conf->origins.v[i], STR("*"));

		if (!is_any && !str_eq(conf->origins.v[i], origin))
			continue;
		res_field_named(r, STR("Access-Control-Allow-Origin"), is_any ? STR("*") : origin);
		if (r->method != M_OPTIONS)
			return;
		res_field_named(r, STR("Access-Control-Allow-Methods"), STR("GET, HEAD"));
		res_field_named(r, STR("Access-Control-Allow-Headers"),
		    STR("X-Progress-ID, X-Progress-Secret"));
		res_field_named(r, STR("Access-Control-Max-Age"), STR("600"));
		return;
	}
}

/* --- the answer --- */

static void
report_free_text(void *text)
{
	text_free(text);
}

static void
report_head(struct request *r, int form)
{
	res_field(r, HF_CONTENT_TYPE, report_forms[form].type);
	res_field(r, HF_CACHE_CONTROL, STR("no-store, no-cache, must-revalidate"));
	res_field(r, HF_X_CONTENT_TYPE_OPTIONS, STR("nosniff"));
}

static void
report_send(struct request *r, int form, struct str id)
{
	struct text *out = arena_calloc(&r->arena, sizeof(*out));
	struct progress_view view;
	struct report a = { .callback = report_callback(r) };

	if (report_forms[form].has_callback && !a.callback.p) {
		res_error(r, 400, "the callback is not the name of a function");
		return;
	}
	if (progress_find(worker_shm(r->w), str_of(r->site->name), id, &view))
		a.view = &view;
	arena_defer(&r->arena, report_free_text, out);
	report_forms[form].put(&a, out);
	report_head(r, form);
	if (form == FORM_XML && !report_is_in_progress(&a))
		res_field_set(r, HF_CONTENT_TYPE, STR("text/plain"));
	res_begin(r, 200, (int64_t)out->n);
	body_put_ref(&r->out_body, out->p, out->n);
	body_end(&r->out_body);
}

void
report_answer(struct request *r, const struct progress_conf *conf)
{
	struct str id = id_of(r);
	int form = report_form(r, conf);

	report_cors(r, conf);
	if (r->method == M_OPTIONS) {
		res_field(r, HF_ALLOW, STR("GET, HEAD, OPTIONS"));
		res_begin(r, 204, -1);
		body_end(&r->out_body);
		return;
	}
	if (r->method != M_GET && r->method != M_HEAD) {
		res_field(r, HF_ALLOW, STR("GET, HEAD, OPTIONS"));
		res_error(r, 405, NULL);
	} else if (!report_is_allowed(r, conf)) {
		res_error(r, 403, "progress.secret is not what the request says");
	} else if (id.n == 0) {
		res_error(r, 400,
		    "no ID of an upload, or one with other characters than A-Z a-z "
		    "0-9 _ - or more than 128");
	} else if (form == FORMS) {
		res_error(r, 400, "format is none that there is");
	} else if (form == FORM_SSE) {
		report_head(r, form);
		live_begin(r, id);
	} else {
		report_send(r, form, id);
	}
}

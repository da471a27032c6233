/*
 * A directory that takes uploads, with no application at all. Here is decided what a request is
 * about (a name, a new upload, one that goes on) and which protocol it speaks; plain.c, tus.c and
 * draft.c speak them, op.c moves the octets, store.c has the files. Reading what was stored is the
 * files module's.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "modules/receive/draft.h"
#include "modules/receive/plain.h"
#include "modules/receive/tus.h"

extern const struct module module_receive;

static const struct str receive_uploads = STR_INIT(".uploads/");

static bool
receive_active(const void *conf)
{
	return ((const struct receive_conf *)conf)->directory.n > 0;
}

static struct module_takes
receive_takes(const void *conf)
{
	(void)conf;
	return (struct module_takes){ 0 };
}

/* --- what a request is about --- */

/* What stands behind the route's path; p NULL: it is not below it. */
static struct str
receive_rest(const struct request *r)
{
	struct str prefix = r->route->path, path = r->path;

	if (!str_has_prefix(path, prefix))
		return (struct str){ NULL, 0 };
	path = str_n(path.p + prefix.n, path.n - prefix.n);
	if (path.n && path.p[0] == '/')
		path = str_n(path.p + 1, path.n - 1);
	return path;
}

/* The path of the directory as the client knows it, with a slash at its end; segments of it are
   names in it. */
static struct str
receive_base(struct request *r, unsigned segments)
{
	struct str s = r->raw_path;

	if (segments == 0)
		return s.n && s.p[s.n - 1] == '/' ? s
						  : arena_printf(&r->arena, "%.*s/", STR_FMT(s));
	for (; s.n > 0; s.n--)
		if (s.p[s.n - 1] == '/' && --segments == 0)
			break;
	return s;
}

/* --- what it may do --- */

static void
receive_not_allowed(struct request *r, struct str allow)
{
	res_field(r, HF_ALLOW, allow);
	res_error(r, 405, "uploads are not made in this way here");
}

static enum verdict
receive_options(struct request *r, const struct receive_conf *c, struct str base, struct str allow)
{
	struct receive_op *op = receive_op_new(r, c, base);

	res_field(r, HF_ALLOW, allow);
	if (c->resumable) {
		receive_tus_options(op);
		receive_draft_limit(op);
	}
	receive_op_answer(op, 204);
	return MINE;
}

/* POST to the directory. */
static void
receive_post(struct receive_op *op)
{
	enum receive_draft_asks asks =
	    op->c->resumable ? receive_draft_asks(op->r) : RECEIVE_DRAFT_NO;
	struct str type = req_field(op->r, HF_CONTENT_TYPE), name = { NULL, 0 };

	if (op->c->resumable && receive_tus_is(op->r)) {
		receive_tus_create(op);
		return;
	}
	if (receive_value_filename(req_field(op->r, HF_CONTENT_DISPOSITION), &op->r->arena, &name) <
	    0) {
		receive_op_refuse(op, 400, "Content-Disposition is malformed");
		return;
	}
	if (asks == RECEIVE_DRAFT_PART)
		receive_op_refuse(op, 400, "a part of a file, by a version that is not known here");
	else if (asks == RECEIVE_DRAFT_YES)
		receive_draft_create(op, name);
	else if (str_eq(req_field_named(op->r, STR("Sec-Fetch-Site")), STR("cross-site")))
		/* A browser sends it without asking; all else here it asks for first. */
		receive_op_refuse(op, 403, "a page of another site had a browser send this");
	else if (type.n >= 10 && str_caseeq(str_n(type.p, 10), STR("multipart/")))
		receive_op_refuse(op, 415, "forms are not taken apart here");
	else
		receive_plain_store(op, name, false);
}

static void
receive_put(struct receive_op *op, struct str name)
{
	enum receive_draft_asks asks =
	    op->c->resumable ? receive_draft_asks(op->r) : RECEIVE_DRAFT_NO;

	if (asks == RECEIVE_DRAFT_PART)
		receive_op_refuse(op, 400, "a part of a file, by a version that is not known here");
	else if (asks == RECEIVE_DRAFT_YES)
		receive_draft_create(op, name);
	else
		receive_plain_store(op, name, true);
}

static enum verdict
receive_upload(struct request *r, const struct receive_conf *c, struct str id)
{
	static const struct str allow = STR_INIT("HEAD, PATCH, DELETE, OPTIONS");
	struct str method = r->method_name, other = { NULL, 0 };
	struct str base = receive_base(r, 2);
	bool is_tus = receive_tus_is(r);

	if (r->method == M_OPTIONS)
		return receive_options(r, c, base, allow);
	if (is_tus && r->method == M_POST)
		other = req_field_named(r, STR("X-HTTP-Method-Override"));
	if (other.p)
		method = other;
	if (!str_eq(method, STR("HEAD")) && !str_eq(method, STR("PATCH")) &&
	    !str_eq(method, STR("DELETE")))
		receive_not_allowed(r, allow);
	else if (!c->resumable || !receive_name_is_id(id))
		res_error(r, 404, "there is no such upload");
	else if (is_tus)
		receive_tus_resource(receive_op_new(r, c, base), id, method);
	else
		receive_draft_resource(receive_op_new(r, c, base), id);
	return MINE;
}

static enum verdict
receive_directory(struct request *r, const struct receive_conf *c)
{
	static const struct str allow = STR_INIT("GET, HEAD, POST, OPTIONS");

	switch (r->method) {
	case M_GET:
	case M_HEAD:
		return NEXT;
	case M_OPTIONS:
		return receive_options(r, c, receive_base(r, 0), allow);
	case M_POST:
		receive_post(receive_op_new(r, c, receive_base(r, 0)));
		return MINE;
	default:
		receive_not_allowed(r, allow);
		return MINE;
	}
}

static enum verdict
receive_file(struct request *r, const struct receive_conf *c, struct str name)
{
	struct str allow =
	    c->delete ? STR("GET, HEAD, PUT, DELETE, OPTIONS") : STR("GET, HEAD, PUT, OPTIONS");
	struct str base = receive_base(r, 1);

	switch (r->method) {
	case M_GET:
	case M_HEAD:
		return NEXT;
	case M_OPTIONS:
		return receive_options(r, c, base, allow);
	case M_PUT:
		receive_put(receive_op_new(r, c, base), name);
		return MINE;
	case M_DELETE:
		if (c->delete) {
			receive_plain_delete(receive_op_new(r, c, base), name);
			return MINE;
		}
	}
	receive_not_allowed(r, allow);
	return MINE;
}

static enum verdict
receive_handle(struct request *r, const void *conf)
{
	const struct receive_conf *c = conf;
	struct str rest = receive_rest(r);

	if (!rest.p)
		return NEXT;
	if (str_has_prefix(rest, receive_uploads))
		return receive_upload(
		    r, c, str_n(rest.p + receive_uploads.n, rest.n - receive_uploads.n));
	return rest.n == 0 ? receive_directory(r, c) : receive_file(r, c, rest);
}

/* --- expiry --- */

/* One directory that is looked after; each worker does, and none minds that another one has. */
struct receive_keeper {
	struct job job;
	struct timer timer;
	struct worker *w;
	const struct receive_conf *c;
	struct receive_keeper *next;
	bool is_working;
};

static struct receive_keeper *receive_keepers;

enum { RECEIVE_TIDY = 60000 };

static int64_t
receive_tidy_ms(const struct receive_keeper *k)
{
	return k->c->expires / 2 < RECEIVE_TIDY ? k->c->expires / 2 : RECEIVE_TIDY;
}

static void
receive_tidy(struct job *job)
{
	receive_hold_tidy(container_of(job, struct receive_keeper, job)->c);
}

static void
receive_tidied(struct job *job)
{
	struct receive_keeper *k = container_of(job, struct receive_keeper, job);

	k->is_working = false;
	timer_set(k->w, &k->timer, timer_class(k->w, receive_tidy_ms(k)));
}

static void
receive_tidy_due(void *arg)
{
	struct receive_keeper *k = arg;

	k->job = (struct job){ .work = receive_tidy, .done = receive_tidied };
	list_init(&k->job.link);
	k->is_working = true;
	worker_offload(k->w, &k->job);
}

static void
receive_keep(struct worker *w, const struct receive_conf *c)
{
	struct receive_keeper *k;

	for (k = receive_keepers; k; k = k->next)
		if (k->c == c)
			return;
	k = must_calloc(1, sizeof(*k));
	*k = (struct receive_keeper){ .w = w, .c = c, .next = receive_keepers };
	list_init(&k->timer.link);
	k->timer.fn = receive_tidy_due;
	k->timer.arg = k;
	receive_keepers = k;
	timer_set(w, &k->timer, timer_class(w, receive_tidy_ms(k)));
}

static int
receive_start(const struct conf *conf, struct worker *w)
{
	for (size_t i = 0; i < conf->nsites; i++)
		for (size_t n = 0; n < conf->sites[i].nroutes; n++) {
			const struct route *route = &conf->sites[i].routes[n];

			for (size_t h = 0; h < route->handle.n; h++)
				if (route->handle.v[h].module == &module_receive)
					receive_keep(w, route->handle.v[h].conf);
		}
	return 0;
}

static void
receive_stop(struct worker *w)
{
	struct receive_keeper *k, *next;

	(void)w;
	for (k = receive_keepers; k; k = next) {
		next = k->next;
		timer_del(&k->timer);
		if (!k->is_working) /* else it ends with the process */
			free(k);
	}
	receive_keepers = NULL;
}

const struct module module_receive = {
	.name = "receive",
	.help =
	    "A directory that takes uploads without an application: PUT, POST, DELETE, and uploads "
	    "that go on after they broke off, by tus 1.0 and the IETF's draft.",
	.opts = receive_conf_opts,
	.conf_size = sizeof(struct receive_conf),
	.check = receive_conf_check,
	.active = receive_active,
	.takes = receive_takes,
	.start = receive_start,
	.stop = receive_stop,
	.handle = receive_handle,
};

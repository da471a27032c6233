#include "modules/receive/draft.h"

#include <errno.h>
#include "modules/receive/plain.h"

struct receive_version {
	struct str number;
	struct str content; /* media type of what is appended */
	const char *age;    /* the key of Upload-Limit that says how long the upload is kept */
};

/* The newest first: it stands in for those who name none, for the RFC will have no such field. */
static const struct receive_version draft_versions[] = {
	{ STR_INIT("8"), STR_INIT("application/partial-upload"), "max-age" },
	{ STR_INIT("6"), STR_INIT("application/partial-upload"), "expires" },
};

static const struct str draft_interop = STR_INIT("Upload-Draft-Interop-Version");

/* --- what the request says --- */

/* NULL: it names none, or one that is not known. */
static const struct receive_version *
draft_version(struct request *r)
{
	struct str text = req_field_named(r, draft_interop);

	for (size_t i = 0; i < sizeof(draft_versions) / sizeof(draft_versions[0]); i++)
		if (text.p && str_eq(text, draft_versions[i].number))
			return &draft_versions[i];
	return NULL;
}

static bool
draft_complete(struct request *r, bool *is_complete)
{
	struct str s = req_field_named(r, STR("Upload-Complete"));

	return s.p && receive_value_bool(s, is_complete);
}

static bool
draft_int(struct request *r, const char *name, int64_t *out)
{
	struct str s = req_field_named(r, str_of(name));

	return s.p && receive_value_int(s, out);
}

enum receive_draft_asks
receive_draft_asks(struct request *r)
{
	bool is_complete;

	if (!draft_complete(r, &is_complete))
		return RECEIVE_DRAFT_NO;
	if (!req_field_named(r, draft_interop).p || draft_version(r))
		return RECEIVE_DRAFT_YES;
	return is_complete ? RECEIVE_DRAFT_ALIEN : RECEIVE_DRAFT_PART;
}

/* --- answers --- */

static struct str
draft_limit(struct receive_op *op)
{
	const struct receive_version *v = op->version ? op->version : &draft_versions[0];
	const struct receive_conf *c = op->c;
	struct arena *a = &op->r->arena;
	struct str s = arena_printf(a, "max-size=%lld, %s=%lld", (long long)c->max_size, v->age,
	    (long long)(c->expires / 1000));
	int64_t most = op->r->route->core->max_body;

	if (c->append_max > 0 && c->append_max < most)
		most = c->append_max;
	if (most < c->max_size)
		s = arena_printf(a, "%.*s, max-append-size=%lld", STR_FMT(s), (long long)most);
	if (c->append_min > 0)
		s = arena_printf(
		    a, "%.*s, min-append-size=%lld", STR_FMT(s), (long long)c->append_min);
	return s;
}

void
receive_draft_limit(struct receive_op *op)
{
	res_field_named(op->r, STR("Upload-Limit"), draft_limit(op));
}

static void
draft_field(struct fields *f, struct arena *a, struct str name, struct str value)
{
	*fields_add(f, a) =
	    (struct field){ .name = name, .value = value, .id = (uint8_t)http_field_of(name) };
}

/* Where the upload can go on: only for clients that know what it means. */
static void
draft_announce(struct receive_op *op)
{
	struct fields f = { 0 };
	struct arena *a = &op->r->arena;

	if (!op->version)
		return;
	draft_field(&f, a, draft_interop, op->version->number);
	draft_field(&f, a, STR("Location"), receive_op_location(op));
	draft_field(&f, a, STR("Upload-Limit"), draft_limit(op));
	res_interim(op->r, 104, &f);
}

void
receive_draft_tell(struct receive_op *op, int64_t offset)
{
	struct fields f = { 0 };
	struct arena *a = &op->r->arena;

	if (!op->version)
		return;
	draft_field(&f, a, draft_interop, op->version->number);
	draft_field(&f, a, STR("Upload-Offset"), arena_printf(a, "%lld", (long long)offset));
	res_interim(op->r, 104, &f);
}

static void
draft_state(struct receive_op *op)
{
	res_field_named(op->r, STR("Upload-Complete"), op->u.is_complete ? STR("?1") : STR("?0"));
	receive_op_number(op, STR("Upload-Offset"), op->u.offset);
	if (op->u.length >= 0)
		receive_op_number(op, STR("Upload-Length"), op->u.length);
	receive_draft_limit(op);
	if (op->version)
		res_field_named(op->r, draft_interop, op->version->number);
	res_field(op->r, HF_CACHE_CONTROL, STR("no-store"));
}

/* RFC 9457, with the draft's types. */
static void
draft_problem(struct receive_op *op, int status, const char *type, const char *title, int64_t sent)
{
	struct arena *a = &op->r->arena;
	struct str more =
	    sent < 0 ? STR("")
		     : arena_printf(a, ",\"expected-offset\":%lld,\"provided-offset\":%lld",
			   (long long)op->u.offset, (long long)sent);
	struct str text = arena_printf(a,
	    "{\"type\":\"https://iana.org/assignments/http-problem-types#%s\",\"title\":\"%s\""
	    ",\"status\":%d%.*s}\n",
	    type, title, status, STR_FMT(more));

	draft_state(op);
	op->r->why = title;
	receive_store_close(&op->u);
	res_text(op->r, status, STR("application/problem+json"), text);
}

static void
draft_settled(struct receive_op *op)
{
	if (op->result < 0) {
		if (op->u.final >= 0) /* all of it came, and cannot be stored */
			res_field_named(op->r, STR("Upload-Complete"), STR("?1"));
		receive_op_fail(op, op->err);
		return;
	}
	draft_state(op);
	if (op->u.is_complete) {
		receive_op_validators(op);
		res_field(op->r, HF_LOCATION, receive_op_file_location(op));
		receive_op_answer(op, op->u.was_there ? 204 : 201);
	} else if (op->r->method == M_PATCH) {
		receive_op_answer(op, 204);
	} else {
		res_field(op->r, HF_LOCATION, receive_op_location(op));
		receive_op_answer(op, 201);
	}
}

static void
draft_arrived(struct receive_op *op)
{
	if (op->is_final && op->u.length >= 0 && op->u.length != op->u.offset) {
		draft_problem(op, 400, "inconsistent-upload-length",
		    "the upload is shorter than its length", -1);
		return;
	}
	if (op->is_final)
		op->u.final = op->u.length = op->u.offset;
	receive_op_do(op, receive_op_settle, draft_settled);
}

static void
draft_ready(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_receive(op, draft_arrived);
}

/* --- what a request may bring --- */

/* The length that the request tells, by its field or because it has the rest; false: it tells two,
   or another one than before. */
static bool
draft_length(struct receive_op *op)
{
	struct request *r = op->r;
	int64_t said = -1, counted = op->is_final && r->length >= 0 ? op->u.offset + r->length : -1;

	if (!draft_int(r, "Upload-Length", &said))
		said = -1;
	if (said >= 0 && counted >= 0 && said != counted)
		return false;
	if (said < 0)
		said = counted;
	if (said < 0)
		return true;
	if ((op->u.length >= 0 && op->u.length != said) || said < op->u.offset)
		return false;
	op->u.length = said;
	return true;
}

/* The limits for this request; false: answered. */
static bool
draft_bound(struct receive_op *op)
{
	const struct receive_conf *c = op->c;
	int64_t n = op->r->length;

	op->limit = op->u.length >= 0 ? op->u.length : c->max_size;
	op->limit_why = op->u.length >= 0 ? "there is more than the upload's length"
					  : "the upload is larger than receive.max_size";
	if (c->append_max > 0 && op->limit - op->u.offset > c->append_max) {
		op->limit = op->u.offset + c->append_max;
		op->limit_why = "one request adds more than receive.append_max";
	}
	if (op->u.length > c->max_size || n > op->limit - op->u.offset) {
		receive_op_refuse(op, 413,
		    op->u.length > c->max_size ? "the upload is larger than receive.max_size"
					       : op->limit_why);
		return false;
	}
	/* An empty one only asks where the upload is. */
	if (n > 0 && n < c->append_min && !op->is_final) {
		receive_draft_limit(op);
		receive_op_refuse(op, 400, "one request adds less than receive.append_min");
		return false;
	}
	return true;
}

/* --- creation --- */

static void
draft_created(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	draft_announce(op);
	receive_op_receive(op, draft_arrived);
}

static void
draft_looked(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	if (op->r->method == M_PUT && !receive_plain_conditions(op))
		return;
	op->u.may_replace = op->c->overwrite && !op->has_match;
	if (op->has_match)
		op->u.may_replace = op->c->overwrite && op->u.was_there;
	if (op->u.was_there && !op->c->overwrite)
		receive_op_fail(op, EEXIST);
	else
		receive_op_do(op, receive_store_create, draft_created);
}

void
receive_draft_create(struct receive_op *op, struct str name)
{
	op->u.kind = RECEIVE_DRAFT;
	op->version = draft_version(op->r);
	draft_complete(op->r, &op->is_final);
	if (req_field(op->r, HF_CONTENT_RANGE).p) {
		receive_op_refuse(op, 400, "Content-Range in an upload");
		return;
	}
	if (!draft_length(op)) {
		draft_problem(op, 400, "inconsistent-upload-length",
		    "Upload-Length is not what Content-Length says", -1);
		return;
	}
	if (!draft_bound(op) || !receive_plain_name(op, name))
		return;
	op->u.final = op->is_final ? op->u.length : -1;
	receive_op_do(op, receive_plain_look, draft_looked);
}

/* --- the upload --- */

static void
draft_told(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	draft_state(op);
	receive_op_answer(op, 204);
}

static void
draft_head(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_do(op, receive_op_settle, draft_told);
}

static void
draft_removed(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_answer(op, 204);
}

static void
draft_delete(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_do(op, receive_store_remove, draft_removed);
}

static void
draft_patch(struct receive_op *op)
{
	const struct receive_upload before = op->u;
	int64_t offset;

	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	if (op->u.is_complete) {
		draft_problem(op, 400, "completed-upload", "the upload is complete", -1);
		return;
	}
	if (!draft_int(op->r, "Upload-Offset", &offset)) {
		receive_op_refuse(op, 400, "no Upload-Offset");
		return;
	}
	if (offset != op->u.offset) {
		draft_problem(op, 409, "mismatching-upload-offset",
		    "Upload-Offset is not the upload's", offset);
		return;
	}
	if (!draft_length(op)) {
		draft_problem(
		    op, 400, "inconsistent-upload-length", "the length is not what it was", -1);
		return;
	}
	if (!draft_bound(op))
		return;
	op->u.final = op->is_final ? op->u.length : -1;
	op->u.pending = -1;
	if (op->u.final != before.final || op->u.length != before.length || before.pending >= 0)
		receive_op_do(op, receive_store_save, draft_ready);
	else
		receive_op_receive(op, draft_arrived);
}

void
receive_draft_resource(struct receive_op *op, struct str id)
{
	struct request *r = op->r;
	int64_t offset;
	bool has_complete = draft_complete(r, &op->is_final);

	op->u.kind = RECEIVE_DRAFT;
	op->version = draft_version(r);
	if (r->method == M_PATCH) {
		if (!str_caseeq(str_trim(str_n(req_field(r, HF_CONTENT_TYPE).p,
				    req_field(r, HF_CONTENT_TYPE).n)),
			draft_versions[0].content))
			receive_op_refuse(op, 415, "a PATCH has application/partial-upload");
		else if (!has_complete)
			receive_op_refuse(op, 400, "no Upload-Complete");
		else
			receive_op_find(op, id, draft_patch);
		return;
	}
	if (has_complete || draft_int(r, "Upload-Offset", &offset)) {
		receive_op_refuse(
		    op, 400, "Upload-Offset and Upload-Complete are for what has content");
		return;
	}
	receive_op_find(op, id, r->method == M_DELETE ? draft_delete : draft_head);
}

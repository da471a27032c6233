#include "modules/receive/plain.h"

#include <errno.h>
#include "worker/cond.h"

bool
receive_plain_name(struct receive_op *op, struct str name)
{
	const char *why = name.n ? receive_name_refuse(name) : NULL;

	if (why) {
		receive_op_refuse(op, 400, why);
		return false;
	}
	memcpy(op->u.name, name.p ? name.p : "", name.n);
	op->u.name[name.n] = '\0';
	return true;
}

int
receive_plain_look(struct receive_upload *u)
{
	if (receive_store_open(u) < 0)
		return errno == ENOENT ? (errno = ENOTDIR, -1) : -1;
	return u->name[0] ? receive_store_look(u) : 0;
}

bool
receive_plain_conditions(struct receive_op *op)
{
	struct request *r = op->r;
	const struct conditions asked = { .if_match = req_field_all(r, HF_IF_MATCH),
		.if_none_match = req_field_all(r, HF_IF_NONE_MATCH),
		.if_unmodified_since = req_field(r, HF_IF_UNMODIFIED_SINCE) };
	const struct validators known = { .etag = op->u.was_there ? receive_op_etag(r, &op->u.seen)
								  : STR(""),
		.modified = op->u.was_there ? op->u.seen.st_mtim.tv_sec : 0,
		.exists = op->u.was_there };

	op->has_match = asked.if_match.p || asked.if_none_match.p || asked.if_unmodified_since.p;
	if (cond_check(&asked, &known, (enum http_method)r->method) == 0)
		return true;
	receive_op_refuse(op, 412, "the condition of the request does not hold");
	return false;
}

void
receive_plain_stored(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	receive_op_validators(op);
	res_field(op->r, HF_LOCATION, receive_op_file_location(op));
	receive_op_answer(op, op->u.was_there ? 204 : 201); /* RFC 9110 9.3.4 */
}

static void
plain_arrived(struct receive_op *op)
{
	op->u.final = op->u.offset;
	receive_op_do(op, receive_store_keep, receive_plain_stored);
}

static void
plain_created(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_receive(op, plain_arrived);
}

static void
plain_looked(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	if (!receive_plain_conditions(op))
		return;
	op->u.may_replace = op->c->overwrite && op->u.was_there;
	if (op->u.was_there && !op->c->overwrite)
		receive_op_fail(op, EEXIST);
	else
		receive_op_do(op, receive_store_create, plain_created);
}

void
receive_plain_store(struct receive_op *op, struct str name, bool is_put)
{
	struct request *r = op->r;

	/* A part of a file is not the file (RFC 9110 9.3.4). */
	if (is_put && req_field(r, HF_CONTENT_RANGE).p) {
		receive_op_refuse(op, 400, "Content-Range in a PUT");
		return;
	}
	if (req_field(r, HF_CONTENT_ENCODING).p &&
	    !str_caseeq(req_field_all(r, HF_CONTENT_ENCODING), STR("identity"))) {
		receive_op_refuse(op, 415, "files are stored as they come, without a coding");
		return;
	}
	if (r->length > op->c->max_size) {
		receive_op_refuse(op, 413, "the file is larger than receive.max_size");
		return;
	}
	if (!receive_plain_name(op, name))
		return;
	op->u.length = r->length;
	op->limit = op->c->max_size;
	op->limit_why = "the file is larger than receive.max_size";
	receive_op_do(op, receive_plain_look, plain_looked);
}

/* --- DELETE --- */

static void
plain_deleted(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_answer(op, 204);
}

static void
plain_delete_looked(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else if (receive_plain_conditions(op)) {
		if (op->u.was_there)
			receive_op_do(op, receive_store_delete, plain_deleted);
		else
			receive_op_refuse(op, 404, "there is no such file");
	}
}

void
receive_plain_delete(struct receive_op *op, struct str name)
{
	if (receive_plain_name(op, name))
		receive_op_do(op, receive_plain_look, plain_delete_looked);
}

#include "modules/receive/tus.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "modules/receive/plain.h"

static const struct str tus_version = STR_INIT("1.0.0");
static const struct str tus_content = STR_INIT("application/offset+octet-stream");

static struct str
tus_field(struct receive_op *op, const char *name)
{
	return req_field_named(op->r, str_of(name));
}

bool
receive_tus_is(struct request *r)
{
	return req_field_named(r, STR("Tus-Resumable")).p != NULL;
}

static void
tus_answer(struct receive_op *op, int status)
{
	res_field_named(op->r, STR("Tus-Resumable"), tus_version);
	res_field(op->r, HF_CACHE_CONTROL, STR("no-store"));
	receive_op_answer(op, status);
}

static void
tus_expires(struct receive_op *op)
{
	char date[29];

	if (op->u.is_complete)
		return;
	clock_http_date(date, worker_wall(op->w) + (time_t)(op->c->expires / 1000));
	res_field_named(
	    op->r, STR("Upload-Expires"), arena_str(&op->r->arena, str_n(date, sizeof(date))));
}

/* False: answered. */
static bool
tus_speaks(struct receive_op *op)
{
	op->u.kind = RECEIVE_TUS;
	if (str_eq(tus_field(op, "Tus-Resumable"), tus_version))
		return true;
	res_field_named(op->r, STR("Tus-Version"), tus_version);
	tus_answer(op, 412);
	return false;
}

void
receive_tus_options(struct receive_op *op)
{
	res_field_named(op->r, STR("Tus-Version"), tus_version);
	res_field_named(op->r, STR("Tus-Extension"),
	    STR("creation,creation-with-upload,creation-defer-length,termination,checksum,"
		"expiration,concatenation"));
	res_field_named(op->r, STR("Tus-Checksum-Algorithm"), STR(RECEIVE_DIGESTS));
	receive_op_number(op, STR("Tus-Max-Size"), op->c->max_size);
	res_field_named(op->r, STR("Tus-Resumable"), tus_version);
}

/* --- the body of POST and PATCH --- */

static bool
tus_is_content(struct receive_op *op)
{
	return str_caseeq(req_field(op->r, HF_CONTENT_TYPE), tus_content);
}

static bool
tus_digest(struct receive_op *op)
{
	struct str sum = tus_field(op, "Upload-Checksum");

	if (!sum.p || receive_value_digest(sum, &op->digest))
		return true;
	receive_op_refuse(op, 400, "Upload-Checksum names no digest that is known here");
	return false;
}

static void
tus_settled(struct receive_op *op)
{
	bool is_created = !op->is_final;

	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	if (is_created)
		res_field(op->r, HF_LOCATION, receive_op_location(op));
	receive_op_number(op, STR("Upload-Offset"), op->u.offset);
	tus_expires(op);
	tus_answer(op, is_created ? 201 : 204);
}

static void
tus_dropped(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_refuse(op, 460, "the octets do not have the checksum that was sent");
}

/* What came is not what was sent: as if it had never come. */
static int
tus_drop(struct receive_upload *u)
{
	if (ftruncate(u->fd, u->pending) < 0)
		return -1;
	u->offset = u->pending;
	u->pending = -1;
	return receive_store_save(u);
}

static int
tus_verified(struct receive_upload *u)
{
	if (u->pending >= 0 && receive_store_sync(u) < 0)
		return -1;
	if (u->pending >= 0) {
		u->pending = -1;
		if (receive_store_save(u) < 0)
			return -1;
	}
	return receive_op_settle(u);
}

static void
tus_arrived(struct receive_op *op)
{
	if (!receive_op_is_intact(op))
		receive_op_do(op, tus_drop, tus_dropped);
	else
		receive_op_do(op, tus_verified, tus_settled);
}

static void
tus_ready(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_receive(op, tus_arrived);
}

/* The body may have so much. */
static void
tus_bound(struct receive_op *op)
{
	op->limit = op->u.length >= 0 ? op->u.length : op->c->max_size;
	op->limit_why = op->u.length >= 0 ? "there is more than the upload's length"
					  : "the upload is larger than receive.max_size";
}

/* --- creation --- */

static bool
tus_is_joined(const struct receive_op *op)
{
	return op->u.concat && !receive_store_is_partial(&op->u);
}

/* False: answered. */
static bool
tus_concat(struct receive_op *op)
{
	struct str s = tus_field(op, "Upload-Concat");

	if (!s.p)
		return true;
	if (s.n > RECEIVE_METADATA_MAX || !http_is_field_value(s) ||
	    (!str_eq(s, STR("partial")) && !str_has_prefix(s, STR("final;"))) ||
	    (!str_eq(s, STR("partial")) && tus_field(op, "Upload-Length").p)) {
		receive_op_refuse(op, 400, "Upload-Concat is malformed, too long, or has a length");
		return false;
	}
	op->u.concat = must_calloc(1, s.n + 1);
	memcpy(op->u.concat, s.p, s.n);
	return true;
}

static void
tus_created(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	tus_bound(op);
	if (tus_is_joined(op))
		receive_op_do(op, receive_store_join, tus_settled);
	else if (tus_is_content(op))
		receive_op_receive(op, tus_arrived);
	else
		receive_op_do(op, receive_op_settle, tus_settled);
}

static void
tus_looked(struct receive_op *op)
{
	op->u.may_replace = op->c->overwrite;
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else if (op->u.was_there && !op->c->overwrite)
		receive_op_fail(op, EEXIST);
	else
		receive_op_do(op, receive_store_create, tus_created);
}

/* The length that is said now or later; false: answered. */
static bool
tus_length(struct receive_op *op)
{
	struct str length = tus_field(op, "Upload-Length");
	struct str later = tus_field(op, "Upload-Defer-Length");

	op->u.length = -1;
	if (length.p ? later.p || !receive_value_number(length, &op->u.length)
		     : !str_eq(later, STR("1"))) {
		receive_op_refuse(op, 400, "neither Upload-Length nor Upload-Defer-Length: 1");
		return false;
	}
	op->u.final = op->u.length;
	if (op->u.length <= op->c->max_size)
		return true;
	receive_op_refuse(op, 413, "the upload is larger than receive.max_size");
	return false;
}

static bool
tus_metadata(struct receive_op *op, struct str *name)
{
	struct str all = req_field_named(op->r, STR("Upload-Metadata"));
	int rc;

	*name = (struct str){ NULL, 0 };
	if (!all.p || all.n == 0)
		return true;
	rc = all.n > RECEIVE_METADATA_MAX
		 ? -1
		 : receive_value_metadata(all, STR("filename"), &op->r->arena, name);
	if (rc == 0)
		rc = receive_value_metadata(all, STR("name"), &op->r->arena, name);
	if (rc < 0 || !http_is_field_value(all)) {
		receive_op_refuse(op, 400, "Upload-Metadata is malformed or too long");
		return false;
	}
	op->u.metadata = must_calloc(1, all.n + 1);
	memcpy(op->u.metadata, all.p, all.n);
	return true;
}

void
receive_tus_create(struct receive_op *op)
{
	struct str name;

	if (!tus_speaks(op))
		return;
	if (!tus_concat(op) || (!tus_is_joined(op) && !tus_length(op)) ||
	    !tus_metadata(op, &name) || !receive_plain_name(op, name) || !tus_digest(op))
		return;
	if (op->digest.name)
		op->u.pending = 0;
	if (receive_store_is_partial(&op->u))
		op->u.final = -1;
	receive_op_do(op, receive_plain_look, tus_looked);
}

/* --- HEAD --- */

static void
tus_told(struct receive_op *op)
{
	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	receive_op_number(op, STR("Upload-Offset"), op->u.offset);
	if (op->u.length >= 0)
		receive_op_number(op, STR("Upload-Length"), op->u.length);
	else
		res_field_named(op->r, STR("Upload-Defer-Length"), STR("1"));
	if (op->u.metadata)
		res_field_named(op->r, STR("Upload-Metadata"),
		    arena_str(&op->r->arena, str_of(op->u.metadata)));
	if (op->u.concat)
		res_field_named(
		    op->r, STR("Upload-Concat"), arena_str(&op->r->arena, str_of(op->u.concat)));
	tus_expires(op);
	tus_answer(op, 200);
}

static void
tus_head(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_do(op, receive_op_settle, tus_told);
}

/* --- PATCH --- */

/* False: answered. */
static bool
tus_patch_length(struct receive_op *op, bool *is_changed)
{
	struct str text = tus_field(op, "Upload-Length");
	int64_t length;

	if (!text.p)
		return true;
	if (!receive_value_number(text, &length) || length < op->u.offset ||
	    (op->u.length >= 0 && op->u.length != length)) {
		receive_op_refuse(op, 400, "Upload-Length is not what it was, or too small");
		return false;
	}
	if (length > op->c->max_size) {
		receive_op_refuse(op, 413, "the upload is larger than receive.max_size");
		return false;
	}
	*is_changed = op->u.length != length;
	op->u.length = length;
	op->u.final = receive_store_is_partial(&op->u) ? -1 : length;
	return true;
}

static void
tus_patch(struct receive_op *op)
{
	bool is_changed = op->u.pending >= 0;
	int64_t offset;

	if (op->result < 0) {
		receive_op_fail(op, op->err);
		return;
	}
	op->u.kind = RECEIVE_TUS;
	if (tus_is_joined(op)) {
		receive_op_refuse(op, 403, "the upload is made of others");
		return;
	}
	if (!receive_value_number(tus_field(op, "Upload-Offset"), &offset)) {
		receive_op_refuse(op, 400, "no Upload-Offset");
		return;
	}
	if (offset != op->u.offset || (op->u.is_complete && op->r->length != 0)) {
		receive_op_number(op, STR("Upload-Offset"), op->u.offset);
		receive_op_refuse(op, 409, "Upload-Offset is not the upload's");
		return;
	}
	if (op->u.is_complete) {
		receive_op_do(op, receive_op_settle, tus_settled);
		return;
	}
	if (!tus_digest(op) || !tus_patch_length(op, &is_changed))
		return;
	tus_bound(op);
	if (op->r->length > op->limit - op->u.offset) {
		receive_op_refuse(op, 413, op->limit_why);
		return;
	}
	op->u.pending = op->digest.name ? op->u.offset : -1;
	if (is_changed || op->digest.name)
		receive_op_do(op, receive_store_save, tus_ready);
	else
		receive_op_receive(op, tus_arrived);
}

/* --- DELETE --- */

static void
tus_removed(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		tus_answer(op, 204);
}

static void
tus_delete(struct receive_op *op)
{
	if (op->result < 0)
		receive_op_fail(op, op->err);
	else
		receive_op_do(op, receive_store_remove, tus_removed);
}

void
receive_tus_resource(struct receive_op *op, struct str id, struct str method)
{
	if (!tus_speaks(op))
		return;
	op->is_final = true; /* it was created before */
	if (str_eq(method, STR("HEAD")))
		receive_op_find(op, id, tus_head);
	else if (str_eq(method, STR("DELETE")))
		receive_op_find(op, id, tus_delete);
	else if (!tus_is_content(op))
		receive_op_refuse(op, 415, "a PATCH of tus has application/offset+octet-stream");
	else
		receive_op_find(op, id, tus_patch);
}

#include "modules/receive/op.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/receive/draft.h"

enum { OP_TICK = 100, OP_PATIENCE = 10000, OP_TELL = 1000, OP_IOV = 16, OP_FLUSH = 8 << 20 };

static void
op_free(struct receive_op *op)
{
	timer_del(&op->timer);
	EVP_MD_CTX_free(op->md);
	receive_store_close(&op->u);
	free(op);
}

static void
op_gone(void *arg)
{
	struct receive_op *op = arg;

	op->r = NULL;
	timer_del(&op->timer);
	if (!op->is_working)
		op_free(op);
}

struct receive_op *
receive_op_new(struct request *r, const struct receive_conf *c, struct str base)
{
	struct receive_op *op = must_calloc(1, sizeof(*op));

	op->r = r;
	op->w = r->w;
	op->c = c;
	op->base = base;
	list_init(&op->timer.link);
	receive_store_init(&op->u, c);
	arena_defer(&r->arena, op_gone, op);
	return op;
}

/* --- beside the loop --- */

static void
op_work(struct job *job)
{
	struct receive_op *op = container_of(job, struct receive_op, job);

	op->result = op->task(&op->u);
	op->err = op->result < 0 ? errno : 0;
}

static void op_oust(struct receive_op *);

static void
op_done(struct job *job)
{
	struct receive_op *op = container_of(job, struct receive_op, job);

	op->is_working = false;
	if (!op->r)
		op_free(op);
	else if (op->is_ousted)
		op_oust(op);
	else
		op->then(op);
}

void
receive_op_do(
    struct receive_op *op, int (*task)(struct receive_upload *), void (*then)(struct receive_op *))
{
	must(!op->is_working);
	op->task = task;
	op->then = then;
	op->is_working = true;
	op->job = (struct job){ .work = op_work, .done = op_done };
	list_init(&op->job.link);
	worker_offload(op->w, &op->job);
}

int
receive_op_settle(struct receive_upload *u)
{
	if (!u->is_complete && u->final >= 0 && u->offset == u->final)
		return receive_store_keep(u);
	return receive_store_sync(u);
}

/* --- the lock --- */

static void
op_wait(void *arg)
{
	struct receive_op *op = arg;

	if (op->u.is_complete) {
		op->then(op);
		return;
	}
	if (receive_store_lock(&op->u) == 0) {
		receive_op_do(op, receive_store_read, op->then);
		return;
	}
	if (errno == EAGAIN && worker_now(op->w) < op->patience) {
		op->timer.fn = op_wait;
		op->timer.arg = op;
		timer_set(op->w, &op->timer, timer_class(op->w, OP_TICK));
		return;
	}
	op->err = errno == EAGAIN ? EBUSY : errno;
	op->result = -1;
	op->then(op);
}

static void
op_found(struct receive_op *op)
{
	void (*then)(struct receive_op *) = op->arrived;

	op->then = then;
	op->arrived = NULL;
	if (op->result < 0) {
		then(op);
		return;
	}
	op->patience = worker_now(op->w) + OP_PATIENCE;
	op_wait(op);
}

void
receive_op_find(struct receive_op *op, struct str id, void (*then)(struct receive_op *))
{
	must(receive_name_is_id(id));
	memcpy(op->u.id, id.p, id.n);
	op->u.kind = RECEIVE_DRAFT;
	op->arrived = then;
	receive_op_do(op, receive_store_find, op_found);
}

/* --- the body --- */

/* The older of two that add to one upload: it hears of it, and the lock is free. */
static void
op_oust(struct receive_op *op)
{
	op->is_ousted = true;
	op->is_receiving = false;
	timer_del(&op->timer);
	if (op->is_working)
		return;
	body_cancel(&op->r->body);
	receive_store_close(&op->u);
	receive_op_refuse(op, 409, "a newer request goes on with this upload");
}

static void
op_told(struct receive_op *op)
{
	if (op->result == 0 && op->is_receiving) {
		op->told = op->telling;
		receive_draft_tell(op, op->told);
	}
	if (op->has_arrived)
		op->arrived(op);
}

static void
op_tick(void *arg)
{
	struct receive_op *op = arg;

	if (receive_store_is_wanted(&op->u)) {
		op_oust(op);
		return;
	}
	if (op->version && !op->is_working && op->u.offset > op->told &&
	    worker_now(op->w) >= op->told_at + OP_TELL) {
		op->told_at = worker_now(op->w);
		op->telling = op->u.offset;
		receive_op_do(op, receive_store_sync, op_told);
	}
	timer_set(op->w, &op->timer, timer_class(op->w, OP_TICK));
}

/* Some of the body into the file. False: nothing was there, or it failed and is answered. */
static bool
op_write(struct receive_op *op)
{
	struct body *in = &op->r->body;
	struct iovec iov[OP_IOV];
	size_t len = 0;
	int n;
	ssize_t done;

	if (body_is_empty(in))
		return false;
	if (body_pipe(in) && !body_melt(in))
		return false;
	n = body_iov(in, iov, OP_IOV, &len);
	if (n == 0)
		return false;
	if (op->u.offset + (int64_t)len > op->limit) {
		op->is_receiving = false;
		timer_del(&op->timer);
		receive_op_refuse(op, 413, op->limit_why);
		return false;
	}
	done = pwritev(op->u.fd, iov, n, op->u.offset);
	if (done <= 0) {
		op->is_receiving = false;
		timer_del(&op->timer);
		receive_op_fail(op, done < 0 ? errno : ENOSPC);
		return false;
	}
	for (size_t left = (size_t)done, i = 0; op->md && left > 0; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		must(EVP_DigestUpdate(op->md, iov[i].iov_base, part) == 1);
		left -= part;
	}
	/* The disk begins early, so that little is left to wait for. */
	if (op->c->sync && op->u.offset / OP_FLUSH != (op->u.offset + done) / OP_FLUSH)
		sync_file_range(op->u.fd, 0, op->u.offset, SYNC_FILE_RANGE_WRITE);
	op->u.offset += done;
	body_consume(in, done);
	return true;
}

static void
op_pump(void *arg)
{
	struct receive_op *op = arg;
	struct body *in = &op->r->body;

	while (op->is_receiving && op_write(op))
		;
	if (!op->is_receiving)
		return;
	if (in->state == BODY_FAILED && body_is_empty(in)) {
		op->is_receiving = false;
		timer_del(&op->timer);
		receive_op_refuse(op, in->err == ETIMEDOUT ? 408 : 400, "the body broke off");
		return;
	}
	if (!body_is_done(in))
		return;
	op->is_receiving = false;
	timer_del(&op->timer);
	if (op->is_working)
		op->has_arrived = true;
	else
		op->arrived(op);
}

void
receive_op_receive(struct receive_op *op, void (*arrived)(struct receive_op *))
{
	op->arrived = arrived;
	op->is_receiving = true;
	op->start = op->told = op->u.offset;
	op->told_at = worker_now(op->w);
	if (op->digest.name) {
		op->md = EVP_MD_CTX_new();
		must(op->md &&
		     EVP_DigestInit_ex(op->md, EVP_get_digestbyname(op->digest.name), NULL));
	}
	if (op->u.kind != RECEIVE_PLAIN) {
		op->timer.fn = op_tick;
		op->timer.arg = op;
		timer_set(op->w, &op->timer, timer_class(op->w, OP_TICK));
	}
	request_want_body(op->r);
	body_on_data(&op->r->body, op_pump, op);
}

bool
receive_op_is_intact(struct receive_op *op)
{
	unsigned char v[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!op->md)
		return true;
	must(EVP_DigestFinal_ex(op->md, v, &n) == 1);
	return n == op->digest.n && memcmp(v, op->digest.v, n) == 0;
}

/* --- answers --- */

void
receive_op_number(struct receive_op *op, struct str name, int64_t v)
{
	res_field_named(op->r, name, arena_printf(&op->r->arena, "%lld", (long long)v));
}

struct str
receive_op_etag(struct request *r, const struct stat *st)
{
	/* As the files module makes it, so that what it sends can be named in If-Match. */
	return arena_printf(&r->arena, "\"%llx%s%.0lx-%llx\"",
	    (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec ? "." : "",
	    (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size);
}

void
receive_op_validators(struct receive_op *op)
{
	char date[29];
	struct stat st;

	if (op->u.fd < 0 || fstat(op->u.fd, &st) < 0)
		return;
	clock_http_date(date, st.st_mtim.tv_sec);
	res_field(op->r, HF_ETAG, receive_op_etag(op->r, &st));
	res_field(op->r, HF_LAST_MODIFIED, arena_str(&op->r->arena, str_n(date, sizeof(date))));
}

struct str
receive_op_location(struct receive_op *op)
{
	return arena_printf(&op->r->arena, "%.*s.uploads/%s", STR_FMT(op->base), op->u.id);
}

struct str
receive_op_file_location(struct receive_op *op)
{
	struct str name = str_of(op->u.name[0] ? op->u.name : op->u.id);
	char *p = arena_alloc(&op->r->arena, op->base.n + 3 * name.n + 1);
	size_t n = op->base.n;

	memcpy(p, op->base.p, n);
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if ((unsigned)str_lower(c) - 'a' < 26 || (unsigned)c - '0' < 10 ||
		    (c && strchr("-._~", c))) {
			p[n++] = (char)c;
			continue;
		}
		p[n++] = '%';
		p[n++] = "0123456789ABCDEF"[c >> 4];
		p[n++] = "0123456789ABCDEF"[c & 15];
	}
	return str_n(p, n);
}

/* Who hears of the answer may go on at once. */
static void
op_let_go(struct receive_op *op)
{
	if (!op->is_working)
		receive_store_close(&op->u);
}

void
receive_op_answer(struct receive_op *op, int status)
{
	op_let_go(op);
	res_begin(op->r, status, 0);
	body_end(&op->r->out_body);
}

void
receive_op_refuse(struct receive_op *op, int status, const char *why)
{
	if (op->u.kind == RECEIVE_TUS)
		res_field_named(op->r, STR("Tus-Resumable"), STR("1.0.0"));
	if (op->u.kind == RECEIVE_DRAFT && status == 413)
		receive_draft_limit(op);
	op_let_go(op);
	res_error(op->r, status, why);
}

void
receive_op_fail(struct receive_op *op, int err)
{
	switch (err) {
	case ENOENT:
		receive_op_refuse(op, 404, "there is no such upload");
		break;
	case EBUSY:
		receive_op_refuse(op, 409, "another request does not let go of the upload");
		break;
	case EEXIST:
		receive_op_refuse(op, op->has_match ? 412 : 409, "a file of this name is there");
		break;
	case ESTALE:
		receive_op_refuse(op, 412, "the file of this name has changed meanwhile");
		break;
	case EISDIR:
		receive_op_refuse(op, 409, "something of this name is there that is no file");
		break;
	case EINPROGRESS:
		receive_op_refuse(op, 409, "a part of it is not complete");
		break;
	case EMSGSIZE:
		receive_op_refuse(op, 413, "the upload is larger than receive.max_size");
		break;
	case EDQUOT:
	case ENOSPC:
	case EFBIG:
		receive_op_refuse(op, 507, "there is no room for it");
		break;
	default:
		errno = err;
		log_error("receive: %.*s", STR_FMT(op->c->directory));
		receive_op_refuse(op, 500, "the directory of uploads fails");
	}
}

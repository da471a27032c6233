/* See loopback.h. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "test/unit/loopback.h"
#include "worker/proto.h"
#include "worker/reqlife.h"
#include "worker/state.h"
#include "worker/uri.h"

struct loopback {
	struct conf *conf;
	struct heritage heritage;
	struct worker *w;
	struct lo_response res;
	bool has_res;
	struct request *r; /* in progress */
	const struct lo_request *q;
	bool body_sent, is_aborting;
	size_t room, n; /* of the response body */
	char *text;
};

static void
lo_copy_head(struct loopback *lo, struct request *r)
{
	lo->res.status = r->status;
	lo->res.length = r->out_length;
	for (unsigned i = 0; i < r->fields.n; i++) {
		struct field *f = fields_add(&lo->res.fields, &lo->res.arena);

		f->id = r->fields.v[i].id;
		f->name = arena_str(&lo->res.arena, r->fields.v[i].name);
		f->value = arena_str(&lo->res.arena, r->fields.v[i].value);
	}
}

static void
lo_head(struct request *r)
{
	lo_copy_head(r->stream, r);
	if (r->method == M_HEAD || r->status == 204 || r->status == 304)
		body_cancel(r->out);
}

static void
lo_interim(struct request *r, int status, const struct fields *fields)
{
	struct loopback *lo = r->stream;

	(void)status;
	(void)fields;
	lo->res.interims++;
}

static void
lo_want_body(struct request *r)
{
	struct loopback *lo = r->stream;

	if (lo->body_sent || !lo->q->body)
		return;
	lo->body_sent = true;
	body_put(&r->body, lo->q->body, strlen(lo->q->body));
	if (lo->q->body_fails)
		body_fail(&r->body, ECONNRESET);
	else
		body_end(&r->body);
}

static void
lo_abort(struct request *r)
{
	struct loopback *lo = r->stream;

	lo->is_aborting = true;
}

static const struct proto proto_loopback = {
	.name = "loopback",
	.head = lo_head,
	.interim = lo_interim,
	.want_body = lo_want_body,
	.abort = lo_abort,
};

static const struct conf_listen *
lo_listen(struct loopback *lo)
{
	ck_assert_msg(lo->conf->nlistens > 0, "the configuration has no listen address");
	return &lo->conf->listens[0];
}

struct loopback *
lo_open(const char *text)
{
	struct loopback *lo = must_calloc(1, sizeof(*lo));
	struct cfg_errors *errors;
	int *fds;

	lo->conf = conf_load_text(text, "test.conf", &errors);
	if (!lo->conf) {
		cfg_errors_print(errors, stderr, false);
		ck_abort_msg("the configuration of the test is wrong");
	}
	cfg_errors_free(errors);
	lo->heritage.conf = lo->conf;
	lo->heritage.shm = shm_create();
	ck_assert_ptr_nonnull(lo->heritage.shm);
	lo->heritage.generation = 1;
	lo->heritage.workers = 1;
	lo->heritage.chan = -1;
	fds = must_calloc(lo->conf->log_files.n + 1, sizeof(*fds));
	for (size_t i = 0; i < lo->conf->log_files.n; i++)
		fds[i] = dup(2);
	lo->heritage.log_fds = fds;
	lo->heritage.row = (unsigned)shm_worker_claim(lo->heritage.shm, NULL, 1, 0, 1);
	shm_worker_enter(lo->heritage.shm, lo->heritage.row, getpid());
	lo->w = worker_new(&lo->heritage);
	for (size_t i = 0; i < modules_n; i++)
		if (modules[i]->start)
			ck_assert_int_eq(modules[i]->start(lo->conf, lo->w), 0);
	return lo;
}

static void
lo_clear(struct loopback *lo)
{
	if (lo->has_res)
		arena_fini(&lo->res.arena);
	memset(&lo->res, 0, sizeof(lo->res));
	lo->has_res = false;
	free(lo->text);
	lo->text = NULL;
	lo->n = lo->room = 0;
}

void
lo_close(struct loopback *lo)
{
	lo_clear(lo);
	for (size_t i = modules_n; i-- > 0;)
		if (modules[i]->stop)
			modules[i]->stop(lo->w);
	worker_free(lo->w);
	for (size_t i = 0; i < lo->conf->log_files.n; i++)
		close(lo->heritage.log_fds[i]);
	free((void *)(uintptr_t)lo->heritage.log_fds);
	shm_close(lo->heritage.shm);
	conf_free(lo->conf);
	free(lo);
}

struct worker *
lo_worker(struct loopback *lo)
{
	return lo->w;
}

static void
lo_peer(struct peer *p, const char *text)
{
	if (!text)
		text = "127.0.0.1";
	if (strcmp(text, "unix:") == 0) {
		p->family = AF_UNIX;
		return;
	}
	p->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	p->port = 40000;
	ck_assert_int_eq(inet_pton(p->family, text, p->addr), 1);
}

static void
lo_add_field(struct request *r, const char *line)
{
	const char *colon = strchr(line, ':');
	struct field *f = fields_add(&r->in, &r->arena);

	ck_assert_ptr_nonnull(colon);
	f->name = arena_str(&r->arena, str_n(line, (size_t)(colon - line)));
	f->value = str_trim(arena_str(&r->arena, str_of(colon + 1)));
	f->id = (uint8_t)http_field_of(f->name);
	if (f->id != HF_OTHER && !r->known[f->id])
		r->known[f->id] = (uint8_t)r->in.n;
}

static struct request *
lo_request_of(struct loopback *lo, const struct lo_request *q)
{
	struct request *r = request_new(lo->w, &proto_loopback, lo);
	struct uri uri;
	int status;

	r->version = HTTP_11;
	r->method_name = str_of(q->method ? q->method : "GET");
	r->method = (uint8_t)http_method_of(r->method_name);
	r->target = arena_str(&r->arena, str_of(q->target));
	status = uri_parse(r->target, r->method, &r->arena, &uri);
	ck_assert_int_eq(status, 0);
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	r->host = str_of(q->host ? q->host : "localhost");
	r->listen = lo_listen(lo);
	r->port = (uint16_t)r->listen->port;
	lo_peer(&r->peer, q->peer);
	r->via = r->peer;
	for (size_t i = 0; q->fields && q->fields[i]; i++)
		lo_add_field(r, q->fields[i]);
	r->length = !q->body ? 0 : q->body_chunked ? -1 : (int64_t)strlen(q->body);
	if (!q->body)
		r->body.state = BODY_ENDED;
	return r;
}

/* Takes what the response has; true when the request is over. */
static bool
lo_take(struct loopback *lo)
{
	struct request *r = lo->r;
	size_t want = lo->q->take ? lo->q->take : 65536;
	ssize_t n;

	if (!r->is_begun)
		return false;
	if (lo->is_aborting)
		return true;
	if (r->out->state == BODY_CANCELLED)
		return true;
	do {
		if (lo->room - lo->n < want) {
			lo->room = (lo->room + want) * 2;
			lo->text = must_realloc(lo->text, lo->room);
		}
		n = body_take(r->out, lo->text + lo->n, want);
		if (n > 0)
			lo->n += (size_t)n;
		if (lo->q->leave_after && lo->n >= lo->q->leave_after)
			lo->is_aborting = true;
	} while (n > 0 && !lo->q->take && !lo->is_aborting);
	if (r->out->state == BODY_FAILED && body_is_empty(r->out))
		lo->is_aborting = true;
	return lo->is_aborting || body_is_done(r->out);
}

void
lo_turns(struct loopback *lo, int n, int ms)
{
	for (int i = 0; i < n; i++) {
		if (ms > 0)
			usleep((useconds_t)ms * 1000);
		worker_turn(lo->w, false);
		timer_run(lo->w);
		offload_done(lo->w);
	}
}

static void
lo_finish(struct loopback *lo, bool over)
{
	struct request *r = lo->r;
	struct lo_response *s = &lo->res;

	s->is_aborted = lo->is_aborting || !over;
	s->is_complete = over && !lo->is_aborting;
	s->handler = arena_str(&s->arena, r->handler);
	s->user = arena_str(&s->arena, r->user);
	s->why = arena_str(&s->arena, str_of(r->why));
	s->body = str_n(lo->text ? lo->text : "", lo->n);
	r->sent = (int64_t)lo->n;
	r->sent_total = (int64_t)lo->n;
	lo->r = NULL;
	request_end(r, s->is_aborted);
	lo_turns(lo, 2, 0);
}

struct lo_response *
lo_send(struct loopback *lo, const struct lo_request *q)
{
	int max = q->max_turns ? q->max_turns : 2000;
	bool over = false;

	lo_clear(lo);
	arena_init(&lo->res.arena, NULL, 0);
	lo->has_res = true;
	lo->q = q;
	lo->body_sent = lo->is_aborting = false;
	worker_touch(lo->w);
	lo->r = lo_request_of(lo, q);
	request_start(lo->r);
	for (int i = 0; i < max && !(over = lo_take(lo)); i++)
		lo_turns(lo, 1, q->turn_ms);
	lo_finish(lo, over);
	return &lo->res;
}

struct lo_response *
lo_get(struct loopback *lo, const char *target, ...)
{
	const char *fields[32];
	struct lo_request q = { .target = target, .fields = fields };
	size_t n = 0;
	va_list ap;

	va_start(ap, target);
	do
		fields[n] = va_arg(ap, const char *);
	while (fields[n] && ++n < 31);
	va_end(ap);
	fields[n] = NULL;
	return lo_send(lo, &q);
}

struct str
lo_field(const struct lo_response *s, const char *name)
{
	for (unsigned i = 0; i < s->fields.n; i++)
		if (str_caseeq(s->fields.v[i].name, str_of(name)))
			return s->fields.v[i].value;
	return (struct str){ NULL, 0 };
}

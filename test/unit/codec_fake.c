/* See codec_fake.h. */
#include <arpa/inet.h>
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/unit/codec_fake.h"
#include "worker/proto.h"
#include "worker/state.h"
#include "worker/uri.h"

static struct worker worker;
static struct conf conf = { .process = { .name = STR_INIT("Argand") } };
static const struct conf_listen listener = { .host = STR_INIT("198.51.100.1"), .port = 8080 };

static const struct peer *
codec_fake_local(struct request *r)
{
	static const struct peer local = { .family = AF_INET, .addr = { 198, 51, 100, 9 } };

	(void)r;
	return &local;
}

static const struct proto proto_fake = { .name = "fake", .local = codec_fake_local };

static void
codec_fake_fields(struct request *r, const char *text)
{
	struct str rest = str_of(text);

	while (rest.n > 0) {
		struct field *f = fields_add(&r->in, &r->arena);

		ck_assert_ptr_null(http_field_line(str_split(&rest, '\n'), f));
		if (f->id != HF_OTHER && !r->known[f->id])
			r->known[f->id] = (uint8_t)r->in.n;
	}
}

void
codec_fake_init(struct codec_fake *k, const char *target, const char *fields)
{
	struct request *r = &k->r;
	struct uri uri;

	memset(k, 0, sizeof(*k));
	list_init(&worker.posts);
	list_init(&worker.posts_running);
	worker.conf = &conf;
	arena_init(&r->arena, NULL, 0);
	body_init(&r->body, &worker);
	body_init(&k->out, &worker);
	r->body.state = BODY_ENDED;
	r->w = &worker;
	r->proto = &proto_fake;
	r->version = HTTP_11;
	r->method = M_GET;
	r->method_name = STR("GET");
	r->target = str_of(target);
	ck_assert_int_eq(uri_parse(r->target, M_GET, &r->arena, &uri), 0);
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	r->host = uri.host.n > 0 ? uri.host : STR("example.org");
	r->listen = &listener;
	r->port = uri.port ? uri.port : 8080;
	r->id = 0x1234abcd;
	r->peer = (struct peer){ .family = AF_INET, .port = 40000, .addr = { 192, 0, 2, 7 } };
	r->via = r->peer;
	codec_fake_fields(r, fields ? fields : "");
	k->script = (struct script){ .name = STR("/i.php"),
		.path_info = STR(""),
		.filename = STR("/srv/i.php"),
		.root = STR("/srv") };
	k->q = (struct codec_request){ .r = r, .conf = &k->conf, .script = &k->script };
}

void
codec_fake_fini(struct codec_fake *k)
{
	body_fini(&k->out);
	body_fini(&k->r.body);
	arena_fini(&k->r.arena);
}

void
codec_fake_body(struct codec_fake *k, const char *octets, size_t n)
{
	k->r.body.state = BODY_OPEN;
	body_put(&k->r.body, octets, n);
	body_end(&k->r.body);
	k->r.length = k->q.length = (int64_t)n;
}

static void
codec_fake_take(struct codec_fake *k)
{
	ssize_t n = body_take(&k->out, k->sent + k->sent_n, sizeof(k->sent) - k->sent_n);

	ck_assert_int_ge(n, 0);
	k->sent_n += (size_t)n;
	ck_assert_uint_lt(k->sent_n, sizeof(k->sent));
}

int
codec_fake_send(struct codec_fake *k, const struct codec *codec, void *state, const char **why)
{
	int status = codec->head(state, &k->q, &k->out, why);

	while (status == 0 && !codec->body(state, &k->out, &k->r.body, BODY_HIGH))
		codec_fake_take(k);
	codec_fake_take(k);
	return status;
}

/* --- reading --- */

struct reader {
	const struct codec_fake_in *in;
	struct codec_response res;
	struct arena arena;
	char *text;
	size_t n, room;
	char quoting; /* 'd' or 'e': the content or text of the last event still goes on */
	bool is_over;
};

static void say(struct reader *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void
say(struct reader *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d->n += (size_t)vsnprintf(d->text + d->n, d->room - d->n, fmt, ap);
	va_end(ap);
	ck_assert_uint_lt(d->n, d->room);
}

static void
quote(struct reader *d, char kind)
{
	if (d->quoting == kind)
		return;
	if (d->quoting)
		say(d, "\" ");
	if (kind)
		say(d, kind == 'e' ? "stderr \"" : "\"");
	d->quoting = kind;
}

static void
say_fields(struct reader *d, const struct fields *fields)
{
	say(d, "(");
	for (unsigned i = 0; i < fields->n; i++)
		say(d, "%s%.*s=%.*s", i ? "," : "", STR_FMT(fields->v[i].name),
		    STR_FMT(fields->v[i].value));
	say(d, ") ");
}

static void
say_head(struct reader *d, const char *before)
{
	quote(d, 0);
	say(d, "%s%d ", before, d->res.status);
	say_fields(d, &d->res.fields);
	if (d->res.length >= 0)
		say(d, "length %lld ", (long long)d->res.length);
	if (d->res.local.p)
		say(d, "local ");
	if (d->res.is_tunnel)
		say(d, "tunnel ");
}

/* One event; false: no further call of input(). */
static bool
event(struct reader *d, enum codec_event ev)
{
	switch (ev) {
	case CODEC_MORE:
		return false;
	case CODEC_INTERIM:
		say_head(d, "interim ");
		return true;
	case CODEC_HEAD:
		say_head(d, "");
		return true;
	case CODEC_DATA:
	case CODEC_STDERR:
		ck_assert_uint_gt(d->res.data.n, 0);
		quote(d, ev == CODEC_DATA ? 'd' : 'e');
		say(d, "%.*s", STR_FMT(d->res.data));
		return true;
	case CODEC_WANT:
		say(d, "want %lld ", (long long)d->res.want);
		return true;
	case CODEC_END:
		quote(d, 0);
		if (d->res.trailers.n > 0)
			say_fields(d, &d->res.trailers);
		say(d, d->res.keep ? "end keep" : "end");
		break;
	case CODEC_ERROR:
		quote(d, 0);
		ck_assert_ptr_nonnull(d->res.why);
		say(d, "%s: %s", d->res.is_overloaded ? "overloaded" : "error", d->res.why);
		break;
	}
	d->is_over = true;
	return false;
}

/* The octets in memory of their own, so that a sanitizer sees who looks beyond. */
static void
feed(struct reader *d, const char *in, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);
	size_t at = 0, used;
	bool goes_on = true;

	memcpy(copy, in, n);
	while (goes_on) {
		enum codec_event ev =
		    d->in->codec->input(d->in->state, &d->res, copy + at, n - at, &used);

		ck_assert_uint_le(used, n - at);
		at += used;
		goes_on = event(d, ev);
		ck_assert(ev != CODEC_MORE || at == n);
	}
	memset(copy, '#', n);
	free(copy);
}

void
codec_fake_read(const struct codec_fake_in *in, const char *octets, size_t n,
    const struct split *way, char *text, size_t room)
{
	struct reader d = { .in = in, .text = text, .room = room };
	size_t at = 0;

	arena_init(&d.arena, NULL, 0);
	d.res = (struct codec_response){ .arena = &d.arena,
		.max_head = in->max_head ? in->max_head : 8192,
		.is_head = in->is_head,
		.length = -1 };
	*text = '\0';
	while (at < n && !d.is_over) {
		size_t next = split_next(way, at, n);

		feed(&d, octets + at, next - at);
		at = next;
	}
	if (!d.is_over && !in->is_open)
		event(&d, in->codec->eof(in->state, &d.res));
	quote(&d, 0);
	arena_fini(&d.arena);
}

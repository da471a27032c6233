/* See ask.h. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include "test/unit/ask.h"
#include "worker/h1_parse.h"
#include "worker/uri.h"

enum { ASK_TEXT = 1 << 16 };

static void
ask_parse(struct ask *a, const char *text)
{
	static const struct h1_limits limits = { 8192, 65536, 200 };
	struct h1_head h = { .known = a->r.known };
	struct str head = arena_str(&a->r.arena, str_of(text));
	struct request *r = &a->r;
	const char *why = NULL;
	struct uri uri;

	ck_assert_msg(h1_parse(&h, &limits, &r->arena, head.p, head.n, &why) == 0, "%s", why);
	ck_assert_int_eq(uri_parse(h.target, h.method, &r->arena, &uri), 0);
	r->version = h.version;
	r->method = h.method;
	r->method_name = h.method_name;
	r->target = h.target;
	r->host = uri.host.n > 0 ? uri.host : h.host;
	r->port = uri.port > 0 ? uri.port : h.port > 0 ? h.port : 80;
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	r->in = h.fields;
	r->length = h.length;
}

struct peer
ask_peer(const char *address)
{
	struct peer p = { .family = strchr(address, ':') ? AF_INET6 : AF_INET, .port = 4711 };

	ck_assert_int_eq(inet_pton(p.family, address, p.addr), 1);
	return p;
}

void
ask_open(struct ask *a, const char *head)
{
	memset(a, 0, sizeof(*a));
	list_init(&a->w.posts);
	list_init(&a->w.posts_running);
	a->w.conf = &a->conf;
	arena_init(&a->arena, NULL, 0);
	arena_init(&a->r.arena, NULL, 0);
	a->r.w = &a->w;
	a->r.listen = &a->listen;
	a->listen.port = 80;
	a->r.peer = a->r.via = ask_peer("192.0.2.1");
	ask_parse(a, head);
	a->q = (struct codec_request){ .r = &a->r,
		.conf = &a->gw,
		.pool = &a->pool,
		.host = &a->host,
		.length = a->r.length,
		.keep = true };
	body_init(&a->out, &a->w);
	body_init(&a->src, &a->w);
}

void
ask_close(struct ask *a)
{
	body_fini(&a->out);
	body_fini(&a->src);
	arena_fini(&a->r.arena);
	arena_fini(&a->arena);
}

void
ask_trust(struct ask *a, const char *network)
{
	const char *why;

	ck_assert(cidr_add(&a->conf.trusted, &a->arena, str_of(network), &why));
}

void
ask_set(struct ask *a, const char *name, const char *value)
{
	struct gateway_pair *v = a->gw.set.v;
	const char *why, *hint;

	if (!v)
		a->gw.set.v = v = arena_calloc(&a->arena, 4 * sizeof(*v));
	v += a->gw.set.n++;
	v->name = str_of(name);
	v->value = str_of(value);
	ck_assert(template_compile(&v->text, &a->arena, v->value, 0, &why, &hint));
}

struct cfg_strs
ask_names(struct ask *a, const char *name)
{
	struct cfg_strs list = { arena_alloc(&a->arena, sizeof(struct str)), 1 };

	list.v[0] = str_of(name);
	return list;
}

struct str
ask_sent(struct ask *a)
{
	char *text = arena_alloc(&a->r.arena, ASK_TEXT);
	ssize_t n = body_take(&a->out, text, ASK_TEXT);

	ck_assert_int_lt(n, ASK_TEXT);
	return str_n(text, (size_t)n);
}

/* --- responses --- */

struct ask_text {
	char *p;
	size_t n;
	bool is_data; /* the last thing written was content */
};

static void
ask_put(struct ask_text *t, struct str s)
{
	ck_assert_uint_lt(t->n + s.n, ASK_TEXT);
	memcpy(t->p + t->n, s.p ? s.p : "", s.n);
	t->n += s.n;
}

static void
ask_fields(struct ask_text *t, const struct fields *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		ask_put(t, STR(" ["));
		ask_put(t, f->v[i].name);
		ask_put(t, STR(": "));
		ask_put(t, f->v[i].value);
		ask_put(t, STR("]"));
	}
}

static void
ask_head(struct ask_text *t, const char *what, const struct codec_response *rsp, bool has_length)
{
	char line[80];

	snprintf(line, sizeof(line), has_length ? "%s%s %d length %lld%s" : "%s%s %d",
	    t->n > 0 ? " " : "", what, rsp->status, (long long)rsp->length,
	    rsp->is_tunnel ? " tunnel" : "");
	ask_put(t, str_of(line));
	ask_fields(t, &rsp->fields);
}

static void
ask_event(struct ask_text *t, enum codec_event event, const struct codec_response *rsp)
{
	bool is_data = event == CODEC_DATA;
	char line[40];

	if (event == CODEC_INTERIM || event == CODEC_HEAD)
		ask_head(t, event == CODEC_HEAD ? "HEAD" : "INTERIM", rsp, event == CODEC_HEAD);
	if (is_data && !t->is_data)
		ask_put(t, STR(" DATA "));
	if (is_data)
		ask_put(t, rsp->data);
	if (event == CODEC_WANT) {
		snprintf(line, sizeof(line), " WANT %lld", (long long)rsp->want);
		ask_put(t, str_of(line));
	}
	if (event == CODEC_END) {
		ask_put(t, rsp->keep ? STR(" END keep") : STR(" END"));
		ask_fields(t, &rsp->trailers);
	}
	if (event == CODEC_ERROR)
		ask_put(t, t->n > 0 ? STR(" ERROR") : STR("ERROR"));
	if (event != CODEC_MORE)
		t->is_data = is_data;
}

/* One buffer; false when it is over. */
static bool
ask_piece(struct ask *a, const struct codec *codec, struct codec_response *rsp, struct ask_text *t,
    const char *in, size_t n)
{
	enum codec_event event = CODEC_MORE;
	size_t at = 0, used;

	do {
		used = 0;
		event = codec->input(a->state, rsp, in + at, n - at, &used);
		ck_assert_uint_le(used, n - at);
		if (event == CODEC_DATA)
			ck_assert(
			    rsp->data.n == 0 || (rsp->data.p >= in + at &&
						    rsp->data.p + rsp->data.n <= in + at + used));
		if (event == CODEC_ERROR)
			ck_assert_ptr_nonnull(rsp->why);
		at += used;
		ask_event(t, event, rsp);
		if (event == CODEC_END || event == CODEC_ERROR)
			return false;
	} while (at < n || event != CODEC_MORE);
	return true;
}

struct str
ask_feed(struct ask *a, const struct codec *codec, struct codec_response *rsp, struct str in,
    const struct split *way, const char **why)
{
	struct ask_text t = { .p = arena_alloc(&a->r.arena, ASK_TEXT) };
	bool goes_on = true;

	rsp->arena = &a->r.arena;
	rsp->max_head = rsp->max_head > 0 ? rsp->max_head : 4096;
	for (size_t at = 0; goes_on && at < in.n;) {
		size_t next = split_next(way, at, in.n);
		char *buf = malloc(next - at);

		memcpy(buf, in.p + at, next - at);
		goes_on = ask_piece(a, codec, rsp, &t, buf, next - at);
		free(buf);
		at = next;
	}
	if (goes_on)
		ask_event(&t, codec->eof(a->state, rsp), rsp);
	if (why)
		*why = rsp->why;
	return str_n(t.p, t.n);
}

/*
 * Requests to backends: whatever a client sends, the head that we compose for it is one that our
 * own strict parser takes, with the path that our rules were asked about, the framing that we mean,
 * and nothing of the client's connection in it. And whatever a backend says about where to go
 * stays a field value.
 */
#include <stdlib.h>
#include "modules/gateway/codec/hcodec.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/gateway.h"
#include "test/fuzz/fuzz.h"
#include "worker/h1_parse.h"
#include "worker/state.h"
#include "worker/uri.h"

/* A head that we compose may have some fields more than the client's. */
static const struct h1_limits clients = { .line = 60000, .head = 65536, .fields = 200 };
static const struct h1_limits backends = { .line = 60000, .head = 65536, .fields = H1_MAX_FIELDS };

struct trip {
	struct worker w;
	struct conf conf;
	struct conf_listen listen;
	struct conf_pool pool;
	struct conf_host host;
	struct gateway_conf gw;
	struct gateway_pair set;
	struct str remove;
	struct template_part part;
	struct request r;
	struct codec_request q;
	struct body out;
	_Alignas(16) char state[CODEC_STATE];
};

static bool
parse(struct request *r, struct h1_head *h, const struct h1_limits *limits, const char *text,
    size_t n)
{
	struct h1_scan scan = { 0 };
	const char *why = NULL;
	size_t skip = 0;
	ssize_t len = h1_scan(&scan, limits, text, n, &skip);
	struct uri uri;

	h->known = r->known;
	if (len <= 0 ||
	    h1_parse(h, limits, &r->arena, text + skip, (size_t)len - skip, &why) != 0 ||
	    uri_parse(h->target, h->method, &r->arena, &uri) != 0 || h->method == M_CONNECT)
		return false;
	r->version = h->version;
	r->method = h->method;
	r->method_name = h->method_name;
	r->target = h->target;
	r->host = uri.host.n > 0 ? uri.host : h->host;
	r->port = 80;
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	r->in = h->fields;
	r->length = h->length;
	return true;
}

static void
configure(struct trip *t, uint8_t choice)
{
	static const char *const paths[][2] = { { "", "" }, { "/a", "/" }, { "/", "/b/" },
		{ "/a/b", "/c" } };

	list_init(&t->w.posts);
	list_init(&t->w.posts_running);
	t->w.conf = &t->conf;
	t->gw.path_from = str_of(paths[choice & 3][0]);
	t->gw.path_to = str_of(paths[choice & 3][1]);
	t->gw.x_forwarded = t->gw.via = choice & 4;
	t->gw.forwarded = choice & 8;
	t->gw.host = choice & 16 ? HOST_BACKEND : HOST_CLIENT;
	if (choice & 32) {
		t->part.literal = STR("v");
		t->part.var = VAR_MAX;
		t->set.name = STR("X-A");
		t->set.text = (struct template){ .v = &t->part, .n = 1 };
		t->gw.set = (struct cfg_records){ &t->set, 1 };
		t->remove = STR("x-b");
		t->gw.remove = (struct cfg_strs){ &t->remove, 1 };
	}
	t->q = (struct codec_request){ .r = &t->r,
		.conf = &t->gw,
		.pool = &t->pool,
		.host = &t->host,
		.keep = choice & 64,
		.authority = STR("app.example:8080") };
	t->pool.packet_size = choice & 128 ? 8192 : 65536;
	t->r.w = &t->w;
	t->r.listen = &t->listen;
	t->r.via = t->r.peer = (struct peer){ .family = choice & 1 ? 2 : 10, .addr = { 1, 2, 3 } };
}

/* What was sent, as a backend reads it. */
static void
check_sent(struct trip *t, const char *text, size_t n)
{
	struct request r = { 0 };
	struct h1_head h = { 0 };
	struct uri want = { 0 };

	arena_init(&r.arena, NULL, 0);
	must(parse(&r, &h, &backends, text, n));
	must(h.version == 11 && str_eq(r.method_name, t->r.method_name));
	must(str_eq(r.query, uri_encode_excluded(&r.arena, t->r.query)));
	must(!r.query.p == !t->r.query.p);
	must(h.is_chunked == (t->q.length < 0));
	must(h.is_chunked || h.length == t->q.length);
	must(h.keep_alive == t->q.keep && !h.expects_continue && !h.has_upgrade);
	must(!r.known[HF_PROXY] && !r.known[HF_KEEP_ALIVE] && !r.known[HF_UPGRADE]);
	must(!r.known[HF_PROXY_AUTHORIZATION]);
	if (t->gw.path_from.n == 0)
		must(str_eq(r.path, t->r.path));
	if (uri_parse(hmap_path(&t->r, &t->gw), r.method, &r.arena, &want) == 0)
		must(str_eq(r.path, want.path));
	for (unsigned i = 0; t->gw.set.n && i < r.in.n; i++) {
		must(!str_caseeq(r.in.v[i].name, t->remove));
		must(!str_caseeq(r.in.v[i].name, t->set.name) || str_eq(r.in.v[i].value, STR("v")));
	}
	arena_fini(&r.arena);
}

/* The client's fields as if a backend had sent them. */
static void
check_back(struct trip *t)
{
	static const enum http_field kinds[] = { HF_LOCATION, HF_SET_COOKIE, HF_CONTENT_LOCATION };
	struct fields f = { 0 };

	for (unsigned i = 0; i < t->r.in.n; i++) {
		struct field *v = fields_add(&f, &t->r.arena);

		*v = t->r.in.v[i];
		v->id = (uint8_t)kinds[i % 3];
		if (i % 4 == 3) {
			v->id = HF_OTHER;
			v->name = STR("Refresh");
		}
	}
	hmap_response(&t->r, &t->q, &f);
	must(f.n == t->r.in.n);
	for (unsigned i = 0; i < f.n; i++)
		must(http_is_field_value(f.v[i].value));
}

static void
check_ajp(struct trip *t, char *text)
{
	const char *why = NULL;
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	ssize_t n;
	int status;

	t->q.length = t->q.length < 0 ? 7 : t->q.length;
	status = codec_ajp.head(state, &t->q, &t->out, &why);
	must((status == 0) == !why);
	n = body_take(&t->out, text, 1 << 17);
	must(status == 0 ? n > 4 && n <= t->pool.packet_size : n == 0);
	if (n > 0)
		must(((unsigned char)text[2] << 8 | (unsigned char)text[3]) == n - 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	struct trip *t = calloc(1, sizeof(*t));
	struct h1_head h = { 0 };
	char *text = malloc(1 << 17), *copy = malloc(n + 1);
	const char *why = NULL;

	memcpy(copy, data, n);
	arena_init(&t->r.arena, NULL, 0);
	configure(t, choice);
	body_init(&t->out, &t->w);
	if (n <= 20000 && parse(&t->r, &h, &clients, copy, n)) {
		t->q.length = t->r.length;
		must(codec_http.head(t->state, &t->q, &t->out, &why) == 0);
		check_sent(t, text, (size_t)body_take(&t->out, text, 1 << 17));
		check_back(t);
		check_ajp(t, text);
	}
	body_fini(&t->out);
	arena_fini(&t->r.arena);
	free(copy);
	free(text);
	free(t);
	return 0;
}

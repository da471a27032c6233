/*
 * Fields in, what a backend is told out, through the head of every codec. Whatever the fields are:
 * no name folds together with one that the route removes, with one that it sets (but its own, once,
 * with its value), with a claim of a hop that is not trusted (but our own), or with another name
 * that is spelt otherwise; nothing is hop-by-hop; and with plain names only, names are plain.
 */
#include <arpa/inet.h>
#include "common/base/fold.h"
#include "modules/gateway/codec/claim.h"
#include "modules/gateway/gateway.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/told.h"
#include "worker/state.h"

enum { MAX_FIELDS = 40 }; /* each is compared with each */

static const struct codec *const codecs[] = { &codec_http, &codec_ajp, &codec_fastcgi, &codec_scgi,
	&codec_uwsgi };

/* Of these the first octets of the input choose. */
static const struct str names[] = { STR_INIT("X-Remote-User"), STR_INIT("Accept"),
	STR_INIT("X_Odd.Name"), STR_INIT("X-Forwarded-For"), STR_INIT("X-Forwarded-Port"),
	STR_INIT("Content-Type"), STR_INIT("X-Real-IP"), STR_INIT("Cookie") };
enum { NAMES = sizeof(names) / sizeof(names[0]) };

struct trial {
	struct worker w;
	struct conf conf;
	struct conf_listen listen;
	struct conf_pool pool;
	struct conf_host host;
	struct gateway_conf gw;
	struct gateway_pair set[NAMES];
	struct str remove[NAMES];
	struct script script;
	struct request r;
	struct codec_request q;
	struct cidr all;
};

static void
trial_take_fields(struct trial *t, struct str text)
{
	struct request *r = &t->r;

	while (text.p && r->in.n < MAX_FIELDS) {
		struct field f;

		if (http_field_line(str_split(&text, '\n'), &f) || !http_is_field_value(f.value))
			continue;
		/* These have been looked at before. */
		if (f.id == HF_HOST || f.id == HF_CONTENT_LENGTH || f.id == HF_TRANSFER_ENCODING)
			continue;
		*fields_add(&r->in, &r->arena) = f;
		if (f.id != HF_OTHER && !r->known[f.id])
			r->known[f.id] = (uint8_t)r->in.n;
	}
}

static void
trial_configure(struct trial *t, uint8_t choice, uint8_t set, uint8_t remove)
{
	const char *why, *hint;

	t->gw.field_names = choice & 1 ? FIELD_NAMES_ANY : FIELD_NAMES_PLAIN;
	t->gw.x_forwarded = choice & 2;
	t->gw.forwarded = choice & 4;
	t->gw.via = choice & 8;
	if (choice & 16)
		t->conf.trusted = (struct cidr_set){ &t->all, 1 };
	t->gw.set.v = t->set;
	t->gw.remove.v = t->remove;
	for (unsigned i = 0; i < NAMES; i++) {
		struct gateway_pair *pair = &t->set[t->gw.set.n];

		if (remove >> i & 1 && !(set >> i & 1))
			t->remove[t->gw.remove.n++] = names[i];
		if (!(set >> i & 1))
			continue;
		pair->name = names[i];
		pair->value = i % 2 ? STR("ours") : STR("");
		must(template_compile(&pair->text, &t->r.arena, pair->value, 0, &why, &hint));
		t->gw.set.n++;
	}
}

static void
trial_init(struct trial *t)
{
	struct request *r = &t->r;

	memset(t, 0, sizeof(*t));
	list_init(&t->w.posts);
	list_init(&t->w.posts_running);
	t->w.conf = &t->conf;
	t->pool.packet_size = 65536;
	t->script = (struct script){ .name = STR(""), .path_info = STR("/") };
	arena_init(&r->arena, NULL, 0);
	r->w = &t->w;
	r->listen = &t->listen;
	r->version = HTTP_11;
	r->method = M_GET;
	r->method_name = STR("GET");
	r->target = r->path = r->raw_path = STR("/");
	r->host = STR("x");
	r->port = 80;
	r->peer = r->via = (struct peer){ .family = AF_INET, .port = 1, .addr = { 192, 0, 2, 1 } };
	t->listen.host = STR("192.0.2.9");
	t->q = (struct codec_request){ .r = r,
		.conf = &t->gw,
		.pool = &t->pool,
		.host = &t->host,
		.script = &t->script,
		.keep = true,
		.authority = STR("b") };
}

/* --- what must hold --- */

static struct str
value_of_ours(const struct trial *t, struct str name)
{
	for (size_t i = 0; i < t->gw.set.n; i++)
		if (fold_eq(t->set[i].name, name))
			return t->set[i].value;
	return (struct str){ NULL, 0 };
}

static bool
is_removed(const struct trial *t, struct str name)
{
	for (size_t i = 0; i < t->gw.remove.n; i++)
		if (fold_eq(t->remove[i], name))
			return true;
	return false;
}

/* Whether Connection names it, by the plainest of means. */
static bool
is_named(const struct trial *t, struct str name)
{
	for (unsigned i = 0; i < t->r.in.n; i++)
		if (t->r.in.v[i].id == HF_CONNECTION && str_list_has(t->r.in.v[i].value, name))
			return true;
	return false;
}

/* A field that we write: where the client's would be the same, it makes no difference. */
static bool
is_written(const struct trial *t, const struct field *f)
{
	switch (f->id) {
	case HF_X_FORWARDED_FOR:
		return t->gw.x_forwarded && str_has_suffix(f->value, STR("192.0.2.1"));
	case HF_X_FORWARDED_PROTO:
		return t->gw.x_forwarded && str_eq(f->value, STR("http"));
	case HF_X_FORWARDED_HOST:
		return t->gw.x_forwarded && str_eq(f->value, STR("x"));
	case HF_FORWARDED:
		return t->gw.forwarded &&
		       str_has_suffix(f->value, STR("for=192.0.2.1;host=x;proto=http"));
	case HF_VIA:
		return t->gw.via && str_has_suffix(f->value, STR("1.1 argand"));
	}
	return false;
}

static void
check_hop(const struct trial *t, const struct field *f)
{
	switch (f->id) {
	case HF_CONNECTION: /* our own, about TE */
		must(str_eq(f->value, STR("TE")));
		return;
	case HF_TE:
		must(str_eq(f->value, STR("trailers")));
		return;
	case HF_HOST:
		must(str_eq(f->value, STR("x")));
		return;
	}
	must(f->id != HF_UPGRADE && f->id != HF_TRAILER && f->id != HF_KEEP_ALIVE);
	must(f->id != HF_EXPECT && f->id != HF_PROXY && f->id != HF_TRANSFER_ENCODING);
	must(f->id != HF_CONTENT_LENGTH);
	must(claim_of(f->name) != CLAIM_NEVER);
	must(!is_named(t, f->name) || is_written(t, f) || value_of_ours(t, f->name).n > 0 ||
	     claim_of(f->name) == CLAIM_FRONT);
}

static void
check_field(const struct trial *t, const struct fields *all, unsigned i, bool is_cgi)
{
	const struct field *f = &all->v[i];
	struct str ours = value_of_ours(t, f->name);

	check_hop(t, f);
	if (ours.p) {
		must(ours.n > 0 && str_eq(f->value, ours));
	} else {
		must(!is_removed(t, f->name) || is_written(t, f));
		must(claim_of(f->name) != CLAIM_FRONT || (t->conf.trusted.n > 0) ||
		     is_written(t, f));
		must(is_cgi || fold_is_plain(f->name) ||
		     (t->gw.field_names == FIELD_NAMES_ANY && claim_of(f->name) == CLAIM_NONE));
	}
	for (unsigned k = 0; k < i; k++)
		must(!fold_eq(all->v[k].name, f->name) ||
		     (!ours.p && !is_cgi && str_caseeq(all->v[k].name, f->name)));
}

/* The variables of fields as fields, under names with "-"; every variable stands once. */
static struct fields
fields_of_variables(struct trial *t, const struct fields *variables)
{
	struct fields fields = { 0 };

	for (unsigned i = 0; i < variables->n; i++) {
		struct field f = variables->v[i];
		char *p;

		for (unsigned k = 0; k < i; k++)
			must(!str_eq(variables->v[k].name, f.name));
		if (str_eq(f.name, STR("CONTENT_TYPE")))
			f.name = STR("HTTP_CONTENT_TYPE");
		if (!str_has_prefix(f.name, STR("HTTP_")))
			continue;
		f.name = str_n(f.name.p + 5, f.name.n - 5);
		p = memcpy(arena_alloc(&t->r.arena, f.name.n + 1), f.name.p, f.name.n);
		for (size_t k = 0; k < f.name.n; k++)
			p[k] = p[k] == '_' ? '-' : p[k];
		f.name.p = p;
		f.id = (uint8_t)http_field_of(f.name);
		*fields_add(&fields, &t->r.arena) = f;
	}
	return fields;
}

static void
check_codec(struct trial *t, const struct codec *codec)
{
	enum { ROOM = 1 << 18 };
	_Alignas(16) char state[CODEC_STATE] = { 0 };
	static char octets[ROOM];
	const char *why = NULL;
	struct fields f;
	struct body out;
	ssize_t n;

	body_init(&out, &t->w);
	if (codec->head(state, &t->q, &out, &why) != 0) {
		must(why != NULL && body_is_empty(&out));
		body_fini(&out);
		return;
	}
	n = body_take(&out, octets, ROOM);
	must(n > 0 && n < ROOM);
	f = told_read(codec, &t->r.arena, str_n(octets, (size_t)n));
	if (codec->is_cgi)
		f = fields_of_variables(t, &f);
	for (unsigned i = 0; i < f.n; i++)
		check_field(t, &f, i, codec->is_cgi);
	for (size_t i = 0; i < t->gw.set.n; i++) {
		unsigned found = 0;

		for (unsigned k = 0; k < f.n; k++)
			found += fold_eq(f.v[k].name, t->set[i].name);
		must(found == (t->set[i].value.n > 0));
	}
	body_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct trial t;
	uint8_t choice = fuzz_take(&data, &n), set = fuzz_take(&data, &n),
		remove = fuzz_take(&data, &n);

	trial_init(&t);
	trial_configure(&t, choice, set, remove);
	trial_take_fields(&t, arena_str(&t.r.arena, str_n((const char *)data, n)));
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		check_codec(&t, codecs[i]);
	arena_fini(&t.r.arena);
	return 0;
}

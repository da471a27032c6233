/*
 * Requests of CGI-like backends: a first line with the path, then fields. What is found stays
 * within the path; an environment has each name once, no NUL, nothing that must not be passed on,
 * and the codecs' packets hold exactly that.
 */
#include <stdlib.h>
#include "modules/gateway/codec/codec.h"
#include "modules/gateway/gateway.h"
#include "test/fuzz/fuzz.h"
#include "worker/state.h"
#include "worker/uri.h"

static struct worker worker;
static struct conf conf;
static const struct conf_listen listener = { .host = STR_INIT("192.0.2.1"), .port = 80 };

static void
take_fields(struct request *r, struct str rest)
{
	while (rest.n > 0 && r->in.n < 254) {
		struct field f;

		if (http_field_line(str_split(&rest, '\n'), &f) || !http_is_field_value(f.value))
			continue;
		*fields_add(&r->in, &r->arena) = f;
		if (f.id != HF_OTHER && !r->known[f.id])
			r->known[f.id] = (uint8_t)r->in.n;
	}
}

static int
find(struct script *s, struct request *r, struct gateway_conf *c, uint8_t choice)
{
	static struct str suffixes[] = { STR_INIT(".php"), STR_INIT(".p") };
	static struct str indexes[] = { STR_INIT("index.php") };
	const char *why = NULL;
	int status;

	c->root = choice & 1 ? STR("/nowhere/to/be/found") : STR("");
	if (choice & 2)
		c->split = (struct cfg_strs){ suffixes, 1 + (choice >> 7) };
	if (choice & 4)
		c->prefix = STR("/app");
	if (choice & 8)
		c->index = (struct cfg_strs){ indexes, 1 };
	if (choice & 16)
		c->front = STR("/front.php");
	c->check = choice & 32;
	if (str_has_prefix(r->path, STR("/al/")) || str_eq(r->path, STR("/al"))) {
		c->alias = STR("/nowhere/at/all/");
		c->alias_n = 3;
		c->front.n = 0; /* would have to lie below it */
	}
	status = script_find(s, r, c, &why);
	must(status == 0 || status == SCRIPT_NONE || (status == 404 && why));
	return status;
}

/* The directory, and what of the name lies below it. */
static void
check_filename(const struct script *s, const struct gateway_conf *c)
{
	struct str dir = c->alias.n > 0 ? c->alias : c->root, below = s->name;

	if (s->filename.n == 0)
		return;
	if (c->alias.n > 0) {
		size_t skip = below.n < c->alias_n ? below.n : c->alias_n;

		below = str_n(below.p + skip, below.n - skip);
	}
	if (dir.n > 0 && dir.p[dir.n - 1] == '/')
		dir.n--;
	must(str_has_prefix(s->filename, dir) && str_has_suffix(s->filename, below));
	must(s->filename.n == dir.n + below.n);
}

static void
check_script(const struct script *s, const struct request *r, const struct gateway_conf *c)
{
	struct str path = r->path;

	if (s->path_info.n > 0) {
		must(s->path_info.p[0] == '/');
		must(s->name.n + s->path_info.n == path.n);
		must(str_has_prefix(path, s->name) && str_has_suffix(path, s->path_info));
	}
	must(
	    !c->check || c->root.n + c->alias.n == 0 || s->name.n == 0); /* there is no such file */
	check_filename(s, c);
}

static void
check_env(const struct script_env *e)
{
	size_t octets = 0;

	must(e->n <= e->room);
	for (unsigned i = 0; i < e->n; i++) {
		struct str name = e->v[i].name, value = e->v[i].value;

		octets += name.n + value.n;
		must(name.n > 0 && (value.n == 0 || !memchr(value.p, '\0', value.n)));
		for (size_t k = 0; k < name.n; k++)
			must(name.p[k] == '_' || (name.p[k] >= 'A' && name.p[k] <= 'Z') ||
			     (name.p[k] >= '0' && name.p[k] <= '9'));
		must(!str_eq(name, STR("HTTP_PROXY")) && !str_eq(name, STR("HTTP_CONTENT_LENGTH")));
		must(!str_eq(name, STR("HTTP_TRANSFER_ENCODING")));
		for (unsigned k = 0; k < i; k++)
			must(!str_eq(e->v[k].name, name));
	}
	must(octets == e->octets);
}

/* The sizes of what is sent follow from the environment. */
static void
check_packets(const struct codec_request *q, const struct script_env *e)
{
	static const struct codec *const codecs[] = { &codec_fastcgi, &codec_scgi, &codec_uwsgi };
	const char *why = NULL;

	for (int i = 0; i < 3; i++) {
		_Alignas(16) char state[CODEC_STATE] = { 0 };
		struct body out;
		int status;

		body_init(&out, &worker);
		status = codecs[i]->head(state, q, &out, &why);
		must(status == 0 || (status == 431 && i == 2 && e->octets + 4 * e->n > 65535));
		must(status || out.queued > (int64_t)e->octets);
		must(codecs[i]->body(state, &out, &q->r->body, 1000));
		body_fini(&out);
	}
}

static void
check_request(struct request *r, uint8_t choice)
{
	struct gateway_conf c = { 0 };
	struct script s;
	struct codec_request q = { .r = r, .conf = &c, .script = &s };
	struct script_env e;
	const char *why = NULL;
	int status;

	if (find(&s, r, &c, choice))
		return;
	check_script(&s, r, &c);
	q.is_authorizer = choice & 64;
	status = script_env_make(&e, &q, &why);
	must(status == 0 || (status == 400 && why));
	if (status == 0) {
		check_env(&e);
		check_packets(&q, &e);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n);
	struct request r = { .w = &worker,
		.version = HTTP_11,
		.method_name = STR_INIT("GET"),
		.listen = &listener,
		.port = 80 };
	struct str rest;
	char *buf;

	if (n == 0 || n > 20000)
		return 0;
	list_init(&worker.posts);
	list_init(&worker.posts_running);
	worker.conf = &conf;
	buf = malloc(n);
	memcpy(buf, data, n);
	rest = str_n(buf, n);
	arena_init(&r.arena, NULL, 0);
	body_init(&r.body, &worker);
	body_end(&r.body);
	r.target = r.raw_path = str_split(&rest, '\n');
	if (uri_normalise(&r.arena, r.target, &r.path)) {
		if (rest.p)
			take_fields(&r, rest);
		check_request(&r, choice);
	}
	body_fini(&r.body);
	arena_fini(&r.arena);
	free(buf);
	return 0;
}

/*
 * The environment of a CGI-like request (RFC 3875 4.1, and what PHP asks for beyond it), made in
 * one pass over the request's fields. Nothing is copied but the names of fields that have no row in
 * http.def and numbers; both go to one block.
 *
 * Names: a field's variable is HTTP_ and its name in upper case, everything but letters and digits
 * as "_" (PHP maps a dot so, too). Which fields there are is passage.c's to say; it lets no two
 * names through that have one variable. Fields of one name become one value (RFC 9110 5.3).
 */
#include "common/base/must.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/nameset.h"
#include "modules/gateway/codec/origin.h"
#include "modules/gateway/codec/passage.h"
#include "worker/vars.h"

/* Variables that no field brings; octets of numbers and an address. */
enum { ENV_FIXED = 40, ENV_TEXT = 96 + INET6_ADDRSTRLEN };

#define METHOD(id, name, flags)
#define STATUS(code, reason)
#define FIELD(id, name) [HF_##id] = STR_INIT("HTTP_" #id),
static const struct str env_names[HF_MAX] = {
#include "common/base/http.def"
};
#undef METHOD
#undef STATUS
#undef FIELD

/* The fields of one name. */
struct env_group {
	uint16_t var;        /* index of its variable */
	uint8_t first, last; /* fields */
};

/* The environment while it is made. */
struct env {
	struct script_env *e;
	struct request *r;
	const struct codec_request *q;
	char *text; /* room for names and numbers */
	struct passage passage;
	struct nameset names; /* without a row: the first groups, in this order … */
	struct env_group groups[NAMESET_MAX]; /* … and those with a row, from the end downwards */
	unsigned kinds;                       /* how many these are */
	uint8_t at[HF_MAX];                   /* 1 + which of these a kind has */
	uint8_t next[NAMESET_MAX];            /* the field behind a field in its group */
	uint8_t many[NAMESET_MAX];            /* groups of more than one field */
	unsigned nmany;
	unsigned nothers; /* fields without a row */
};

static inline void
env_put(struct script_env *e, struct str name, struct str value)
{
	struct script_var *v = &e->v[e->n++];

	v->name = name;
	v->value = value;
}

/* Replaces what there is of this name. */
static void
env_set(struct script_env *e, struct str name, struct str value)
{
	for (unsigned i = 0; i < e->n; i++) {
		if (str_eq(e->v[i].name, name)) {
			e->v[i].value = value;
			return;
		}
	}
	env_put(e, name, value);
}

static struct str
env_number(struct env *b, uint64_t n)
{
	char *p = b->text;

	b->text += str_from_u64(p, n);
	return str_n(p, (size_t)(b->text - p));
}

static struct str
env_id(struct env *b)
{
	static const char hex[16] = "0123456789abcdef";
	char *p = b->text;

	for (int shift = 60; shift >= 0; shift -= 4)
		*b->text++ = hex[b->r->id >> shift & 15];
	return str_n(p, 16);
}

/* --- fields --- */

/* 0: becomes "_". */
static const char env_upper[256] = {
	['0'] = '0',
	['1'] = '1',
	['2'] = '2',
	['3'] = '3',
	['4'] = '4',
	['5'] = '5',
	['6'] = '6',
	['7'] = '7',
	['8'] = '8',
	['9'] = '9',
	['A'] = 'A',
	['B'] = 'B',
	['C'] = 'C',
	['D'] = 'D',
	['E'] = 'E',
	['F'] = 'F',
	['G'] = 'G',
	['H'] = 'H',
	['I'] = 'I',
	['J'] = 'J',
	['K'] = 'K',
	['L'] = 'L',
	['M'] = 'M',
	['N'] = 'N',
	['O'] = 'O',
	['P'] = 'P',
	['Q'] = 'Q',
	['R'] = 'R',
	['S'] = 'S',
	['T'] = 'T',
	['U'] = 'U',
	['V'] = 'V',
	['W'] = 'W',
	['X'] = 'X',
	['Y'] = 'Y',
	['Z'] = 'Z',
	['a'] = 'A',
	['b'] = 'B',
	['c'] = 'C',
	['d'] = 'D',
	['e'] = 'E',
	['f'] = 'F',
	['g'] = 'G',
	['h'] = 'H',
	['i'] = 'I',
	['j'] = 'J',
	['k'] = 'K',
	['l'] = 'L',
	['m'] = 'M',
	['n'] = 'N',
	['o'] = 'O',
	['p'] = 'P',
	['q'] = 'Q',
	['r'] = 'R',
	['s'] = 'S',
	['t'] = 'T',
	['u'] = 'U',
	['v'] = 'V',
	['w'] = 'W',
	['x'] = 'X',
	['y'] = 'Y',
	['z'] = 'Z',
};

static inline char
env_map(char c)
{
	char up = env_upper[(unsigned char)c];

	return up ? up : '_';
}

/* The variable of a field, at b->text. */
static struct str
env_name(struct env *b, struct str name)
{
	char *p = b->text;

	memcpy(p, "HTTP_", 5);
	for (size_t i = 0; i < name.n; i++)
		p[5 + i] = env_map(name.p[i]);
	b->text += name.n + 5;
	return str_n(p, name.n + 5);
}

/* Field i is the first of its name. */
static inline void
env_begin(struct env *b, struct env_group *g, unsigned i, struct str variable)
{
	g->var = (uint16_t)b->e->n;
	g->first = g->last = (uint8_t)i;
	env_put(b->e, variable, b->r->in.v[i].value);
}

/* Another one. */
static inline void
env_append(struct env *b, struct env_group *g, unsigned i)
{
	if (g->first == g->last)
		b->many[b->nmany++] = (uint8_t)(g - b->groups);
	b->next[g->last] = (uint8_t)i;
	g->last = (uint8_t)i;
}

static void
env_other(struct env *b, unsigned i)
{
	struct str name = b->r->in.v[i].name;
	unsigned n = b->names.n, at = nameset_put(&b->names, name);

	if (at == n)
		env_begin(b, &b->groups[at], i, env_name(b, name));
	else
		env_append(b, &b->groups[at], i);
}

static inline void
env_kind(struct env *b, unsigned i)
{
	uint8_t *at = &b->at[b->r->in.v[i].id];

	if (*at == 0) {
		*at = (uint8_t)++b->kinds;
		env_begin(b, &b->groups[NAMESET_MAX - *at], i, env_names[b->r->in.v[i].id]);
	} else {
		env_append(b, &b->groups[NAMESET_MAX - *at], i);
	}
}

/* All values of a group as one (RFC 9110 5.3; for Cookie RFC 9113 8.2.3). */
static void
env_join(struct env *b, const struct env_group *g)
{
	const struct field *f = b->r->in.v;
	struct str between = f[g->first].id == HF_COOKIE ? STR("; ") : STR(", ");
	size_t room = f[g->first].value.n;
	char *start, *p;

	for (unsigned i = g->first; i != g->last; i = b->next[i])
		room += f[b->next[i]].value.n + between.n;
	start = p = arena_alloc(&b->r->arena, room + 1);
	for (unsigned i = g->first;; i = b->next[i]) {
		if (f[i].value.n > 0)
			p = mempcpy(p, f[i].value.p, f[i].value.n);
		if (i == g->last)
			break;
		p = mempcpy(p, between.p, between.n);
	}
	b->e->v[g->var].value = str_n(start, (size_t)(p - start));
}

/* Content-Type has a variable of its own (RFC 3875 4.1.3). */
static void
env_fields(struct env *b)
{
	const struct fields *in = &b->r->in;

	b->kinds = b->nmany = 0;
	memset(b->at, 0, sizeof(b->at));
	nameset_init(&b->names, &b->r->arena, b->nothers);
	for (unsigned i = 0; i < in->n; i++) {
		const struct field *f = &in->v[i];

		if (!passage_lets(&b->passage, f) || f->id == HF_CONTENT_TYPE)
			continue;
		if (f->id == HF_OTHER)
			env_other(b, i);
		else
			env_kind(b, i);
	}
	for (unsigned i = 0; i < b->nmany; i++)
		env_join(b, &b->groups[b->many[i]]);
}

/* What we say of the client, and what the route sets. */
static void
env_ours(struct env *b, const struct origin *o)
{
	const struct gateway_pair *set = b->q->conf->set.v;

	for (unsigned i = 0; i < o->n; i++) {
		struct str value = o->v[i].value;

		if (value.p == o->address) { /* which does not live as long */
			value.p = memcpy(b->text, o->address, value.n);
			b->text += value.n;
		}
		env_put(b->e, env_names[o->v[i].id], value);
	}
	for (size_t i = 0; i < b->q->conf->set.n; i++) {
		struct str value = passage_value(&b->passage, i);

		if (value.n > 0)
			env_put(b->e,
			    http_field_of(set[i].name) == HF_CONTENT_TYPE
				? STR("CONTENT_TYPE")
				: env_name(b, set[i].name),
			    value);
	}
}

/* --- what no field brings --- */

/* The authority of a target in absolute-form (RFC 9112 3.2.2); p NULL: it has another form. */
static struct str
env_authority(struct str target)
{
	const char *p =
	    target.n > 0 && *target.p != '/' ? memmem(target.p, target.n, "://", 3) : NULL;
	size_t n = 0;

	if (!p)
		return str_n(NULL, 0);
	for (p += 3; p + n < target.p + target.n && p[n] != '/' && p[n] != '?';)
		n++;
	return str_n(p, n);
}

/* HTTP_HOST is what the request was routed by: the target's authority outranks Host. */
static void
env_host(struct env *b)
{
	struct str host = env_authority(b->r->target);

	if (!host.p)
		host = req_field(b->r, HF_HOST);
	if (!host.p)
		return;
	env_put(b->e, env_names[HF_HOST], host);
}

/* The port that the client means: behind a proxy without a port in Host the scheme's, not that of
   the listener. */
static uint64_t
env_port(const struct request *r)
{
	struct str host = req_field(r, HF_HOST);
	bool is_proxied = r->peer.port != r->via.port || r->peer.family != r->via.family ||
			  memcmp(r->peer.addr, r->via.addr, sizeof(r->via.addr)) != 0;

	if (r->port > 0 &&
	    (!is_proxied || r->port != r->listen->port ||
		(host.n > 0 && host.p[host.n - 1] != ']' && str_find(host, ':') >= 0)))
		return r->port;
	return r->is_tls ? 443 : 80;
}

static void
env_server(struct env *b)
{
	struct request *r = b->r;
	const struct conf *conf = worker_conf(r->w);

	env_put(b->e, STR("GATEWAY_INTERFACE"), STR("CGI/1.1"));
	if (conf->process.name.n > 0)
		env_put(b->e, STR("SERVER_SOFTWARE"), conf->process.name);
	env_put(b->e, STR("SERVER_NAME"), r->host.n > 0 ? r->host : req_local(r));
	env_put(b->e, STR("SERVER_ADDR"), req_local(r));
	env_put(b->e, STR("SERVER_PORT"), env_number(b, env_port(r)));
	env_put(b->e, STR("SERVER_PROTOCOL"),
	    r->version == HTTP_2    ? STR("HTTP/2.0")
	    : r->version == HTTP_10 ? STR("HTTP/1.0")
				    : STR("HTTP/1.1"));
	env_put(b->e, STR("REQUEST_SCHEME"), r->is_tls ? STR("https") : STR("http"));
	if (r->is_tls)
		env_put(b->e, STR("HTTPS"), STR("on"));
	env_put(b->e, STR("REQUEST_ID"), env_id(b));
}

static void
env_client(struct env *b)
{
	struct request *r = b->r;
	struct str address = peer_text(&r->arena, &r->peer);
	struct str auth = req_field(r, HF_AUTHORIZATION);

	env_put(b->e, STR("REMOTE_ADDR"), address);
	env_put(b->e, STR("REMOTE_HOST"), address); /* RFC 3875 4.1.9: the name is not known */
	env_put(b->e, STR("REMOTE_PORT"), env_number(b, r->peer.port));
	if (r->user.n == 0)
		return;
	env_put(b->e, STR("REMOTE_USER"), r->user);
	if (auth.n > 0)
		env_put(b->e, STR("AUTH_TYPE"), str_split(&auth, ' '));
}

static void
env_script(struct env *b)
{
	const struct script *s = b->q->script;
	struct arena *a = &b->r->arena;
	struct str name = s->name, info = s->path_info;

	env_put(b->e, STR("DOCUMENT_URI"),
	    info.n == 0 ? name : arena_printf(a, "%.*s%.*s", STR_FMT(name), STR_FMT(info)));
	if (s->root.n > 0)
		env_put(b->e, STR("DOCUMENT_ROOT"), s->root);
	if (s->filename.n > 0)
		env_put(b->e, STR("SCRIPT_FILENAME"), s->filename);
	if (b->q->is_authorizer) /* FastCGI 6.3: neither name nor path */
		return;
	env_put(b->e, STR("SCRIPT_NAME"), name);
	/* An application that is no file routes by it (PEP 3333): it gets it also when empty. */
	if (info.n > 0 || b->q->conf->split.n == 0)
		env_put(b->e, STR("PATH_INFO"), info);
	if (info.n == 0 || s->root.n == 0)
		return;
	env_put(b->e, STR("PATH_TRANSLATED"), /* RFC 3875 4.1.6 */
	    arena_printf(a, "%.*s%.*s", (int)(s->root.n - (s->root.p[s->root.n - 1] == '/')),
		s->root.p, STR_FMT(info)));
}

static void
env_request(struct env *b)
{
	struct request *r = b->r;
	const struct codec_request *q = b->q;
	struct str type = req_field(r, HF_CONTENT_TYPE), query = hpath_query(r);

	env_put(b->e, STR("REQUEST_METHOD"), r->method_name);
	env_put(b->e, STR("REQUEST_URI"), hpath_uri(r));
	env_put(b->e, STR("QUERY_STRING"), query.p ? query : STR(""));
	if (type.p && !b->passage.marks[HF_CONTENT_TYPE])
		env_put(b->e, STR("CONTENT_TYPE"), type);
	/* RFC 3875 4.1.2: only with a body, here also with one of zero octets. */
	if (!q->is_authorizer &&
	    (q->length > 0 ||
		(q->length == 0 && (r->length < 0 || req_field(r, HF_CONTENT_LENGTH).p))))
		env_put(b->e, STR("CONTENT_LENGTH"), env_number(b, (uint64_t)q->length));
	/* php-cgi asks for it; for an error page what Apache has there. */
	env_put(b->e, STR("REDIRECT_STATUS"),
	    r->is_error_page ? env_number(b, (uint64_t)r->error_status) : STR("200"));
}

/* A protocol change that the route permits. */
static void
env_upgrade(struct env *b)
{
	if (b->q->upgrade.n == 0)
		return;
	env_put(b->e, STR("HTTP_CONNECTION"), STR("Upgrade"));
	env_put(b->e, STR("HTTP_UPGRADE"), b->q->upgrade);
}

/* What an authorizer gave, then what the route adds. */
static void
env_added(struct env *b)
{
	const struct cfg_records *more = &b->q->conf->environment;
	const struct gateway_pair *pairs = more->v;
	const struct fields *given = b->q->variables;

	for (unsigned i = 0; given && i < given->n; i++)
		env_set(b->e, given->v[i].name, given->v[i].value);
	for (size_t i = 0; i < more->n; i++)
		env_set(
		    b->e, pairs[i].name, vars_expand(&pairs[i].text, b->r, TEMPLATE_PLAIN, NULL));
}

static void
env_init(struct env *b)
{
	struct script_env *e = b->e;
	const struct fields *in = &b->r->in;
	const struct gateway_pair *set = b->q->conf->set.v;
	size_t text = ENV_TEXT;

	e->n = 0;
	e->room = ENV_FIXED + in->n + (unsigned)(b->q->conf->environment.n + b->q->conf->set.n) +
		  (b->q->variables ? b->q->variables->n : 0);
	b->nothers = 0;
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id != HF_OTHER)
			continue;
		text += in->v[i].name.n + 5;
		b->nothers++;
	}
	for (size_t i = 0; i < b->q->conf->set.n; i++)
		text += set[i].name.n + 5;
	e->v = e->first;
	if (e->room > sizeof(e->first) / sizeof(e->first[0]))
		e->v = arena_alloc(&b->r->arena, e->room * sizeof(*e->v));
	b->text = arena_alloc(&b->r->arena, text);
}

int
script_env_make(struct script_env *e, const struct codec_request *q, const char **why)
{
	struct origin origin;
	struct env b;
	int status = passage_init(&b.passage, q, why);

	if (unlikely(status))
		return status;
	b.e = e;
	b.r = q->r;
	b.q = q;
	origin_make(&origin, &b.passage, passage_client_host(q->r));
	env_init(&b);
	env_request(&b);
	env_script(&b);
	env_server(&b);
	env_client(&b);
	env_host(&b);
	env_upgrade(&b);
	env_fields(&b);
	env_ours(&b, &origin);
	env_added(&b);
	e->octets = 0;
	for (unsigned i = 0; i < e->n; i++)
		e->octets += e->v[i].name.n + e->v[i].value.n;
	return 0;
}

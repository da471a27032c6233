/*
 * The environment of a CGI-like request (RFC 3875 4.1, and what PHP asks for beyond it), made in
 * one pass over the request's fields. Nothing is copied but the names of fields that have no row in
 * http.def and numbers; both go to one block.
 *
 * Names: a field's variable is HTTP_ and its name in upper case, everything but letters and digits
 * as "_" (PHP maps a dot so, too). Two fields whose names differ may therefore have the same
 * variable; a proxy in front may have checked one and passed on the other, so such a request is
 * refused. Not passed on: what is hop-by-hop or handled here, the request's "Proxy" (it would be
 * HTTP_PROXY, which libraries take for the operator's), and anything spelt so that its variable
 * would be that of one of these.
 */
#include "modules/gateway/codec.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/hpath.h"
#include "worker/vars.h"

enum { ENV_FIXED = 34, ENV_TEXT = 96 }; /* variables that no field brings; octets of numbers */

/* What is not made an HTTP_ variable. */
static const bool env_dropped[HF_MAX] = {
	[HF_CONNECTION] = true, /* RFC 9110 7.6.1 */
	[HF_KEEP_ALIVE] = true,
	[HF_PROXY_CONNECTION] = true,
	[HF_PROXY_AUTHORIZATION] = true,
	[HF_TE] = true,
	[HF_TRAILER] = true,
	[HF_TRANSFER_ENCODING] = true,
	[HF_UPGRADE] = true,
	[HF_EXPECT] = true,         /* answered here */
	[HF_PROXY] = true,          /* httpoxy */
	[HF_CONTENT_LENGTH] = true, /* RFC 3875 4.1.18: have variables of their own */
	[HF_CONTENT_TYPE] = true,
	[HF_HOST] = true, /* put by script_env_host() */
};

#define METHOD(id, name, flags)
#define STATUS(code, reason)
#define FIELD(id, name) [HF_##id] = STR_INIT("HTTP_" #id),
static const struct str env_names[HF_MAX] = {
#include "common/http.def"
};
#undef METHOD
#undef STATUS
#undef FIELD

/* The environment while it is made. */
struct env {
	struct script_env *e;
	struct request *r;
	const struct codec_request *q;
	char *text;               /* room for names and numbers */
	struct str nominated;     /* names that Connection lists, when there may be any */
	uint16_t at[HF_MAX];      /* 1 + index of the variable of a field with a row */
	bool is_mimicked[HF_MAX]; /* another name has its variable */
	bool has_mimic;
	uint64_t seen[4]; /* a bit for the hash of each name without a row */
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

/* The variable of a field, at b->text. *is_odd: it has more to map than letters and "-". */
static struct str
env_name(struct env *b, struct str name, bool *is_odd, unsigned *hash)
{
	char *p = b->text;
	unsigned h = 0;

	memcpy(p, "HTTP_", 5);
	*is_odd = false;
	for (size_t i = 0; i < name.n; i++) {
		char c = env_map(name.p[i]);

		*is_odd |= c == '_' && name.p[i] != '-';
		p[5 + i] = c;
		h = h * 31 + (unsigned char)c;
	}
	*hash = (h ^ h >> 8) & 255;
	return str_n(p, name.n + 5);
}

static bool
env_maps_to(struct str name, struct str variable)
{
	if (name.n + 5 != variable.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (env_map(name.p[i]) != variable.p[5 + i])
			return false;
	return true;
}

/* The field with a row whose variable this is, HF_OTHER: none. */
static enum http_field
env_mimic(struct arena *a, struct str variable)
{
	char *name = arena_strdup(a, arena_str(a, variable).p + 5);

	for (char *p = name; *p; p++)
		if (*p == '_')
			*p = '-';
	return http_field_of(str_of(name));
}

/* Whether two fields have one name. */
static bool
env_is_same(const struct field *a, const struct field *b)
{
	return a->id == b->id && (a->id != HF_OTHER || str_caseeq(a->name, b->name));
}

/* The field i is not the first of its name: all of them joined (RFC 9110 5.3; for Cookie RFC 9113
   8.2.3), once, when the second one comes by. */
static void
env_join(struct env *b, unsigned i, struct script_var *v)
{
	const struct fields *in = &b->r->in;
	const struct field *f = &in->v[i];
	struct str between = f->id == HF_COOKIE ? STR("; ") : STR(", ");
	size_t room = 0;
	unsigned earlier = 0;
	bool is_first = true;
	char *p;

	for (unsigned k = 0; k < in->n; k++) {
		if (!env_is_same(&in->v[k], f))
			continue;
		room += in->v[k].value.n + between.n;
		earlier += k < i;
	}
	if (earlier > 1)
		return;
	p = arena_alloc(&b->r->arena, room);
	v->value = str_n(p, room - between.n);
	for (unsigned k = 0; k < in->n; k++) {
		if (!env_is_same(&in->v[k], f))
			continue;
		if (!is_first)
			p = mempcpy(p, between.p, between.n);
		p = mempcpy(p, in->v[k].value.p, in->v[k].value.n);
		is_first = false;
	}
}

/* The variable that the fields before i already have, NULL: none. False: it belongs to a field of
   another name. */
static bool
env_earlier(struct env *b, unsigned i, struct str variable, struct script_var **out)
{
	const struct fields *in = &b->r->in;

	*out = NULL;
	for (unsigned k = 0; k < i; k++)
		if (in->v[k].id == HF_OTHER && env_maps_to(in->v[k].name, variable) &&
		    !env_is_same(&in->v[k], &in->v[i]))
			return false;
	for (unsigned k = 0; k < b->e->n && !*out; k++)
		if (str_eq(b->e->v[k].name, variable))
			*out = &b->e->v[k];
	return true;
}

/* A field without a row; false: it collides with another. */
static bool
env_other(struct env *b, unsigned i)
{
	const struct field *f = &b->r->in.v[i];
	struct script_var *v = NULL;
	unsigned hash;
	bool is_odd;
	struct str name = env_name(b, f->name, &is_odd, &hash);

	if (is_odd) {
		enum http_field id = env_mimic(&b->r->arena, name);

		if (env_dropped[id])
			return true;
		b->has_mimic |= b->is_mimicked[id] = id != HF_OTHER;
	}
	if (b->nominated.n > 0 && str_list_has(b->nominated, f->name))
		return true;
	if (b->seen[hash / 64] >> hash % 64 & 1 && !env_earlier(b, i, name, &v))
		return false;
	b->seen[hash / 64] |= 1ull << hash % 64;
	if (v) {
		env_join(b, i, v);
		return true;
	}
	b->text += name.n;
	env_put(b->e, name, f->value);
	return true;
}

/* RFC 9110 7.6.1: what Connection lists is not for others. Names that have a row are either
   dropped anyway or end-to-end whatever it says, so that nobody can strip them. */
static struct str
env_nominated(struct request *r)
{
	struct str all = req_field_all(r, HF_CONNECTION);

	if (!all.p || str_caseeq(all, STR("keep-alive")) || str_caseeq(all, STR("close")))
		return STR("");
	return all;
}

/* False: a collision. */
static bool
env_fields(struct env *b)
{
	const struct fields *in = &b->r->in;

	b->nominated = env_nominated(b->r);
	for (unsigned i = 0; i < in->n; i++) {
		const struct field *f = &in->v[i];

		if (f->id == HF_OTHER) {
			if (!env_other(b, i))
				return false;
		} else if (env_dropped[f->id]) {
			continue;
		} else if (b->at[f->id]) {
			env_join(b, i, &b->e->v[b->at[f->id] - 1]);
		} else {
			env_put(b->e, env_names[f->id], f->value);
			b->at[f->id] = (uint16_t)b->e->n;
		}
	}
	for (unsigned id = 0; b->has_mimic && id < HF_MAX; id++)
		if (b->is_mimicked[id] && b->at[id])
			return false;
	return true;
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
	b->at[HF_HOST] = (uint16_t)b->e->n;
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
	if (type.p)
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
	if (!b->q->is_upgrade)
		return;
	env_put(b->e, STR("HTTP_CONNECTION"), STR("Upgrade"));
	env_put(b->e, STR("HTTP_UPGRADE"), req_field_all(b->r, HF_UPGRADE));
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
	size_t text = ENV_TEXT;

	e->n = 0;
	e->room = ENV_FIXED + in->n + (unsigned)b->q->conf->environment.n +
		  (b->q->variables ? b->q->variables->n : 0);
	for (unsigned i = 0; i < in->n; i++)
		if (in->v[i].id == HF_OTHER)
			text += in->v[i].name.n + 5;
	e->v = e->first;
	if (e->room > sizeof(e->first) / sizeof(e->first[0]))
		e->v = arena_alloc(&b->r->arena, e->room * sizeof(*e->v));
	b->text = arena_alloc(&b->r->arena, text);
}

int
script_env_make(struct script_env *e, const struct codec_request *q, const char **why)
{
	struct env b = { .e = e, .r = q->r, .q = q };

	env_init(&b);
	env_request(&b);
	env_script(&b);
	env_server(&b);
	env_client(&b);
	env_host(&b);
	env_upgrade(&b);
	if (!env_fields(&b)) {
		*why = "two request fields have the same variable";
		return 400;
	}
	env_added(&b);
	e->octets = 0;
	for (unsigned i = 0; i < e->n; i++)
		e->octets += e->v[i].name.n + e->v[i].value.n;
	return 0;
}

/*
 * Mapping of paths and authorities. What the way to the backend begins with is hpath.c's.
 *
 * The way back: a reference that names the backend's authority becomes one to ours. One that names
 * the client's authority keeps its scheme: an application that redirects from http to https means
 * it.
 */
#include "common/base/must.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/passage.h"

/* --- prefixes --- */

static struct str
hmap_untailed(struct str s)
{
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

/* to and rest as one path. */
static struct str
hmap_join(struct arena *a, struct str to, struct str rest)
{
	char *p;

	if (to.n + rest.n == 0)
		return STR("/");
	if (to.n == 0)
		return rest;
	p = arena_alloc(a, to.n + rest.n);
	memcpy(p, to.p, to.n);
	if (rest.n > 0)
		memcpy(p + to.n, rest.p, rest.n);
	return str_n(p, to.n + rest.n);
}

/* What stands behind a path may begin with a query, or a fragment in references. */
static bool
hmap_ends_segment(struct str rest)
{
	return rest.n == 0 || rest.p[0] == '/' || rest.p[0] == '?' || rest.p[0] == '#';
}

bool
hmap_prefix(struct arena *a, struct str path, struct str from, struct str to, struct str *out)
{
	struct str rest;

	from = hmap_untailed(from);
	if (!str_has_prefix(path, from))
		return false;
	rest = str_n(path.p + from.n, path.n - from.n);
	if (!hmap_ends_segment(rest))
		return false;
	*out = hmap_join(a, hmap_untailed(to), rest);
	if (out->n > 0 && out->p[0] != '/') /* "/app?x" to "/": "?x" */
		*out = hmap_join(a, STR("/"), *out);
	return true;
}

/* --- to the backend --- */

struct str
hmap_path(struct request *r, const struct gateway_conf *conf)
{
	struct str path = hpath_source(r), from = hmap_untailed(conf->path_from);
	ptrdiff_t n;

	if (conf->path_from.n == 0 || path.n == 0 || path.p[0] != '/') /* OPTIONS * */
		return path;
	n = hpath_prefix(path, from);
	if (n < 0)
		return path;
	return hpath_one_slash(hmap_join(
	    &r->arena, hmap_untailed(conf->path_to), str_n(path.p + n, path.n - (size_t)n)));
}

/* --- from the backend --- */

struct hmap {
	struct request *r;
	const struct codec_request *q;
	struct str client; /* the authority that the client uses */
};

/* A path with what follows it, back into the client's view. */
static struct str
hmap_back(const struct hmap *m, struct str path)
{
	const struct gateway_conf *conf = m->q->conf;
	struct str out;

	if (conf->path_from.n == 0 ||
	    !hmap_prefix(&m->r->arena, path, conf->path_to, conf->path_from, &out))
		return path;
	return out;
}

/* The authority at the front of s. */
static struct str
hmap_authority(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '/' && s.p[n] != '?' && s.p[n] != '#')
		n++;
	return str_n(s.p, n);
}

/* Whether a is the authority b, or b with the port that the scheme implies anyway. */
static bool
hmap_is_authority(struct str a, struct str b, bool is_https)
{
	struct str port = is_https ? STR(":443") : STR(":80");

	if (a.n == 0 || b.n == 0)
		return false;
	if (str_has_suffix(a, port))
		a.n -= port.n;
	if (str_has_suffix(b, port))
		b.n -= port.n;
	return str_caseeq(a, b);
}

/* The scheme of an http or https reference, with "://", or of a reference without scheme "//"; n 0:
   none of these. */
static struct str
hmap_scheme(struct str s)
{
	static const struct str schemes[] = { STR_INIT("//"), STR_INIT("http://"),
		STR_INIT("https://") };

	for (size_t i = 0; i < 3; i++) {
		if (s.n >= schemes[i].n && str_caseeq(str_n(s.p, schemes[i].n), schemes[i]))
			return str_n(s.p, schemes[i].n);
	}
	return str_n(s.p, 0);
}

/* RFC 3986 4.1: any reference. */
static struct str
hmap_reference(const struct hmap *m, struct str s)
{
	struct str scheme = hmap_scheme(s), rest = str_n(s.p + scheme.n, s.n - scheme.n), authority;
	bool is_https = scheme.n == 8, is_client;

	if (scheme.n == 0) /* without authority: only a path from the root can be mapped */
		return s.n > 0 && s.p[0] == '/' ? hmap_back(m, s) : s;
	authority = hmap_authority(rest);
	rest = str_n(rest.p + authority.n, rest.n - authority.n);
	is_client = hmap_is_authority(authority, m->client, is_https);
	if (!is_client && !hmap_is_authority(authority, m->q->authority, is_https))
		return s;
	rest = hmap_back(
	    m, rest.n > 0 && rest.p[0] == '/' ? rest : hmap_join(&m->r->arena, STR("/"), rest));
	if (!is_client && m->client.n > 0) {
		authority = m->client;
		if (scheme.n > 2)
			scheme = m->r->is_tls ? STR("https://") : STR("http://");
	}
	return arena_printf(
	    &m->r->arena, "%.*s%.*s%.*s", STR_FMT(scheme), STR_FMT(authority), STR_FMT(rest));
}

/* "5; url=/x": of no standard, but all browsers know it; also in quotes. */
static struct str
hmap_refresh(const struct hmap *m, struct str s)
{
	struct str url, mapped, tail;
	size_t at = 0;

	while (at + 4 <= s.n && !str_caseeq(str_n(s.p + at, 4), STR("url=")))
		at++;
	if (at + 4 > s.n)
		return s;
	at += 4;
	if (at < s.n && (s.p[at] == '"' || s.p[at] == '\''))
		at++;
	url = tail = str_n(s.p + at, s.n - at);
	if (at > 0 && (s.p[at - 1] == '"' || s.p[at - 1] == '\''))
		url = str_split(&tail, s.p[at - 1]);
	mapped = hmap_reference(m, url);
	tail = str_n(url.p + url.n, s.n - at - url.n);
	return mapped.p == url.p ? s
				 : arena_printf(&m->r->arena, "%.*s%.*s%.*s", (int)at, s.p,
				       STR_FMT(mapped), STR_FMT(tail));
}

/* Host part of an authority. */
static struct str
hmap_host(struct str authority)
{
	size_t n = authority.n;

	while (n > 0 && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
		n--;
	if (n > 0 && authority.p[n - 1] == ':')
		authority.n = n - 1;
	return authority;
}

/* Whether a Domain attribute names the backend's host: then the cookie is one of our host. */
static bool
hmap_is_domain(const struct hmap *m, struct str domain)
{
	struct str host = hmap_host(m->q->authority);

	if (domain.n > 0 && domain.p[0] == '.') /* RFC 6265 5.2.3 */
		domain = str_n(domain.p + 1, domain.n - 1);
	return domain.n > 0 && str_caseeq(domain, host) &&
	       !str_caseeq(domain, hmap_host(m->client));
}

/* What an attribute becomes: itself, another, or nothing (p NULL). */
static struct str
hmap_attribute(const struct hmap *m, struct str attribute, bool is_host_cookie)
{
	struct str value = attribute, name = str_trim(str_split(&value, '=')), mapped;

	if (!value.p)
		return attribute;
	value = str_trim(value);
	if (str_caseeq(name, STR("Domain")) && hmap_is_domain(m, value))
		return (struct str){ NULL, 0 };
	/* RFC 6265bis 4.1.3.2: a cookie with the prefix __Host- has the path "/", or is refused. */
	if (!str_caseeq(name, STR("Path")) || is_host_cookie || value.n == 0 || value.p[0] != '/')
		return attribute;
	mapped = hmap_back(m, value);
	return mapped.p == value.p ? attribute
				   : arena_printf(&m->r->arena, " Path=%.*s", STR_FMT(mapped));
}

/* RFC 6265 4.1.1: the cookie, then its attributes. */
static struct str
hmap_cookie(const struct hmap *m, struct str s)
{
	enum { MAX_ATTRIBUTES = 16 };
	struct str parts[MAX_ATTRIBUTES], rest = s;
	bool is_host_cookie = s.n > 7 && str_caseeq(str_n(s.p, 7), STR("__Host-"));
	bool is_changed = false;
	size_t n = 0, octets = 0;
	char *p, *start;

	while (rest.p && n < MAX_ATTRIBUTES) {
		struct str part = n + 1 < MAX_ATTRIBUTES ? str_split(&rest, ';') : rest;

		if (n + 1 == MAX_ATTRIBUTES)
			rest.p = NULL;
		parts[n] = n == 0 ? part : hmap_attribute(m, part, is_host_cookie);
		is_changed |= parts[n].p != part.p;
		octets += parts[n].n + 1;
		n++;
	}
	if (!is_changed)
		return s;
	start = p = arena_alloc(&m->r->arena, octets);
	for (size_t i = 0; i < n; i++) {
		if (!parts[i].p)
			continue;
		if (i > 0)
			*p++ = ';';
		memcpy(p, parts[i].p, parts[i].n);
		p += parts[i].n;
	}
	return str_n(start, (size_t)(p - start));
}

static struct str (*const hmap_rows[HF_MAX])(const struct hmap *, struct str) = {
	[HF_CONTENT_LOCATION] = hmap_reference,
	[HF_LOCATION] = hmap_reference,
	[HF_SET_COOKIE] = hmap_cookie,
};

static inline void
hmap_field(const struct hmap *m, struct field *f)
{
	if (hmap_rows[f->id])
		f->value = hmap_rows[f->id](m, f->value);
	else if (f->id == HF_OTHER && f->name.n == 7 && str_caseeq(f->name, STR("Refresh")))
		f->value = hmap_refresh(m, f->value);
}

void
hmap_response(struct request *r, const struct codec_request *q, struct fields *fields)
{
	struct hmap m = { .r = r, .q = q, .client = passage_client_host(r) };

	for (unsigned i = 0; i < fields->n; i++)
		hmap_field(&m, &fields->v[i]);
	/* RFC 9110 7.6.3; fields of a kind are one list. */
	if (q->conf->via && q->pool->protocol == POOL_HTTP)
		*fields_add(fields, &r->arena) =
		    (struct field){ STR("Via"), STR("1.1 argand"), HF_VIA };
}

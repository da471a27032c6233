#include "modules/gateway/passage.h"
#include "worker/vars.h"

/* RFC 9110 7.6.1: the connection's own. Framing and Host are written anew; Expect is met here
   (RFC 9110 10.1.1); "Proxy" is no field, but CGI programs behind the backend would take it for
   HTTP_PROXY. */
static const uint8_t passage_marks[HF_MAX] = {
	[HF_CONNECTION] = PASSAGE_OURS,
	[HF_CONTENT_LENGTH] = PASSAGE_OURS,
	[HF_EXPECT] = PASSAGE_OURS,
	[HF_HOST] = PASSAGE_OURS,
	[HF_KEEP_ALIVE] = PASSAGE_OURS,
	[HF_PROXY] = PASSAGE_OURS,
	[HF_PROXY_AUTHORIZATION] = PASSAGE_OURS,
	[HF_PROXY_CONNECTION] = PASSAGE_OURS,
	[HF_TE] = PASSAGE_OURS,
	[HF_TRAILER] = PASSAGE_OURS,
	[HF_TRANSFER_ENCODING] = PASSAGE_OURS,
	[HF_UPGRADE] = PASSAGE_OURS,
};

/* --- Connection --- */

bool
passage_names_some(struct str connection)
{
	static const struct str usual[] = { STR_INIT("keep-alive"), STR_INIT("close"),
		STR_INIT("upgrade"), STR_INIT("TE") };
	struct str option;
	size_t i;

	if (str_eq(connection, usual[0]) || str_eq(connection, usual[1]))
		return false;
	while (str_list_next(&connection, &option)) {
		for (i = 0; i < 4 && !str_caseeq(option, usual[i]); i++)
			;
		if (i == 4)
			return true;
	}
	return false;
}

bool
passage_is_named(const struct fields *in, struct str name)
{
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id == HF_CONNECTION && str_list_has(in->v[i].value, name))
			return true;
	}
	return false;
}

/* --- fields --- */

static void
passage_mark(struct passage *p, struct str name, uint8_t mark)
{
	enum http_field id = http_field_of(name);

	if (id == HF_OTHER)
		p->has_others = true;
	else
		p->marks[id] |= mark;
}

void
passage_init(struct passage *p, const struct request *r, const struct gateway_conf *conf)
{
	const struct gateway_pair *set = conf->set.v;

	p->r = r;
	p->conf = conf;
	p->has_named = p->has_others = false;
	memcpy(p->marks, passage_marks, sizeof(p->marks));
	for (size_t i = 0; i < conf->remove.n; i++)
		passage_mark(p, conf->remove.v[i], PASSAGE_REMOVED);
	for (size_t i = 0; i < conf->set.n; i++)
		passage_mark(p, set[i].name, PASSAGE_SET);
	for (unsigned i = 0; r->known[HF_CONNECTION] && i < r->in.n; i++) {
		if (r->in.v[i].id == HF_CONNECTION)
			p->has_named |= passage_names_some(r->in.v[i].value);
	}
}

/* Whether the route removes or sets a field of a kind without a row. */
static bool
passage_is_other(const struct passage *p, struct str name)
{
	const struct gateway_pair *set = p->conf->set.v;

	for (size_t i = 0; i < p->conf->remove.n; i++) {
		if (str_caseeq(p->conf->remove.v[i], name))
			return true;
	}
	for (size_t i = 0; i < p->conf->set.n; i++) {
		if (str_caseeq(set[i].name, name))
			return true;
	}
	return false;
}

bool
passage_lets(const struct passage *p, const struct field *f)
{
	if (p->marks[f->id])
		return false;
	if (p->has_named && passage_is_named(&p->r->in, f->name))
		return false;
	if (f->id != HF_OTHER)
		return true;
	/* "Proxy-…": for the next proxy, of whom the client cannot know. */
	if (f->name.n > 6 && str_lower((unsigned char)f->name.p[0]) == 'p' &&
	    str_caseeq(str_n(f->name.p, 6), STR("Proxy-")))
		return false;
	return !p->has_others || !passage_is_other(p, f->name);
}

bool
passage_may_set(struct str name)
{
	return !passage_marks[http_field_of(name)];
}

/* --- Host --- */

struct str
passage_client_host(struct request *r)
{
	struct str host = req_field(r, HF_HOST);

	if (r->host.n == 0) /* also ":" and ":80", which HTTP/1.0 may say */
		return STR("");
	if (host.n > 0 && (r->target.n == 0 || *r->target.p == '/' || *r->target.p == '*'))
		return host;
	if (r->port == 0 || r->port == (r->is_tls ? 443 : 80))
		return r->host;
	return arena_printf(&r->arena, "%.*s:%u", STR_FMT(r->host), r->port);
}

struct str
passage_host(const struct codec_request *q, struct str client_host)
{
	const struct gateway_conf *conf = q->conf;
	struct str host = client_host;

	if (conf->host == HOST_TEXT)
		host = vars_expand(&conf->host_template, q->r, TEMPLATE_FIELD, NULL);
	/* RFC 9112 3.2: HTTP/1.1 has a Host; a client of HTTP/1.0 may not have sent any. */
	return conf->host == HOST_BACKEND || host.n == 0 ? q->authority : host;
}

/*
 * The rule by which request fields are passed on. Its reader may be the most careless one behind a
 * backend: to it X_Real.IP is X-Real-IP (fold.h). In the order in which it is asked:
 *
 * 1. Kinds with a row in http.def, in any case of letters: passed, unless marked below.
 * 2. Other names that are not plain (letters, digits, "-") are dropped; with gateway.field_names
 *    "any" they pass if they fold together neither with a kind with a row, nor with anything of 3
 *    and 4, nor with another name of the head that has the better right: the plain spelling before
 *    the others, the first of these before the rest.
 * 3. What is the connection's own (RFC 9110 7.6.1), frames the message, or is written anew; and
 *    claims (claim.h), which only trusted_proxies may make, or all when gateway.pass has the name.
 * 4. What the route sets or removes, folded.
 * 5. What Connection names. A trusted proxy's claims stay: it must not be in a client's hand to
 *    strip them on the way.
 */
#include <sys/socket.h>
#include "common/base/cidr.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/gateway/codec/claim.h"
#include "modules/gateway/codec/nameset.h"
#include "modules/gateway/codec/passage.h"
#include "modules/gateway/codec/sieve.h"
#include "worker/vars.h"

/* RFC 9110 7.6.1: the connection's own. Framing and Host are written anew; Expect is met here
   (RFC 9110 10.1.1); "Proxy" is no field, but CGI programs behind the backend would take it for
   HTTP_PROXY. */
static const uint8_t passage_marks[HF_MAX] = {
	[HF_CONNECTION] = PASSAGE_OURS,
	[HF_CONTENT_LENGTH] = PASSAGE_OURS,
	[HF_EXPECT] = PASSAGE_OURS,
	[HF_FORWARDED] = PASSAGE_CLAIMED,
	[HF_HOST] = PASSAGE_OURS,
	[HF_KEEP_ALIVE] = PASSAGE_OURS,
	[HF_PROXY] = PASSAGE_OURS,
	[HF_PROXY_AUTHORIZATION] = PASSAGE_OURS,
	[HF_PROXY_CONNECTION] = PASSAGE_OURS,
	[HF_TE] = PASSAGE_OURS,
	[HF_TRAILER] = PASSAGE_OURS,
	[HF_TRANSFER_ENCODING] = PASSAGE_OURS,
	[HF_UPGRADE] = PASSAGE_OURS,
	[HF_X_FORWARDED_FOR] = PASSAGE_CLAIMED,
	[HF_X_FORWARDED_HOST] = PASSAGE_CLAIMED,
	[HF_X_FORWARDED_PROTO] = PASSAGE_CLAIMED,
	[HF_X_REAL_IP] = PASSAGE_CLAIMED,
};

/* Which spelling of each unknown name of the head is passed. */
struct passage_spellings {
	uint64_t has_lost[4]; /* a bit for each field of the head */
	struct nameset names; /* that are passed */
};

/* The kind that a name folds together with, also when it is spelt otherwise; HF_OTHER: none. */
static enum http_field
passage_kind(struct str name)
{
	enum http_field id = http_field_of(name);
	char dashed[32];

	if (id != HF_OTHER || name.n > sizeof(dashed))
		return id;
	for (size_t i = 0; i < name.n; i++)
		dashed[i] = (char)fold_octet(name.p[i]);
	return http_field_of(str_n(dashed, name.n));
}

/* --- Connection --- */

bool
passage_gather(struct passage_options *o, struct arena *a, struct str connection)
{
	struct str option;

	/* What nearly everybody says, as they say it. */
	if (str_eq(connection, STR("keep-alive")) || str_eq(connection, STR("close")))
		return true;
	o->octets += connection.n;
	if (o->octets > PASSAGE_CONNECTION)
		return false;
	while (str_list_next(&connection, &option)) {
		enum http_field id = http_field_of(option);

		if (++o->n > PASSAGE_OPTIONS)
			return false;
		if (id != HF_OTHER) {
			o->marks[id] |= PASSAGE_NAMED;
			continue;
		}
		if (!o->named) {
			o->named = arena_alloc(a, sizeof(*o->named));
			nameset_init(o->named, a, PASSAGE_OPTIONS);
		}
		nameset_put(o->named, option);
	}
	return true;
}

/* False: too many. Claims stay whatever is named. */
static bool
passage_take_connection(struct passage *p)
{
	const struct fields *in = &p->r->in;
	struct passage_options o = { .marks = p->marks };

	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id == HF_CONNECTION &&
		    !passage_gather(&o, &p->r->arena, in->v[i].value))
			return false;
	}
	for (unsigned id = HF_OTHER + 1; o.n > 0 && id < HF_MAX; id++) {
		if (claim_of_kind(id) != CLAIM_NONE)
			p->marks[id] &= (uint8_t)~PASSAGE_NAMED;
	}
	p->named = o.named;
	return true;
}

/* --- what is said of the route and of who asks --- */

static void
passage_mark(struct passage *p, struct str name, uint8_t mark)
{
	enum http_field id = passage_kind(name);

	if (id == HF_OTHER)
		p->lengths |= 1ull << name.n % 64;
	else
		p->marks[id] |= mark;
}

/* The hop before us is the connection's other end. With the PROXY protocol it is the address in the
   PROXY header, and the balancer that sent the header does not count. */
static void
passage_find_hop(struct passage *p)
{
	const struct request *r = p->r;
	const struct cidr_set *trusted = &worker_conf(r->w)->trusted;

	p->hop = r->listen && r->listen->proxy_protocol ? r->peer : r->via;
	p->is_trusted = trusted->n > 0 && cidr_match(trusted, p->hop.family, p->hop.addr);
	p->refused = p->is_trusted ? CLAIM_NEVER : CLAIM_NEVER | CLAIM_FRONT;
}

/* Takes the mark off claims that this hop, or anybody (gateway.pass), may make. */
static void
passage_let_claims(struct passage *p)
{
	for (unsigned id = HF_OTHER + 1; p->is_trusted && id < HF_MAX; id++)
		p->marks[id] &= (uint8_t)~PASSAGE_CLAIMED;
	for (size_t i = 0; i < p->conf->pass.n; i++)
		p->marks[http_field_of(p->conf->pass.v[i])] &= (uint8_t)~PASSAGE_CLAIMED;
}

int
passage_init(struct passage *p, const struct codec_request *q, const char **why)
{
	const struct gateway_conf *conf = q->conf;
	const struct gateway_pair *set = conf->set.v;
	struct request *r = q->r;

	p->r = r;
	p->conf = conf;
	p->named = NULL;
	p->spellings = NULL;
	p->lengths = 0;
	memcpy(p->marks, passage_marks, sizeof(p->marks));
	passage_find_hop(p);
	if (unlikely(p->is_trusted || conf->pass.n > 0))
		passage_let_claims(p);
	for (size_t i = 0; i < conf->remove.n; i++)
		passage_mark(p, conf->remove.v[i], PASSAGE_REMOVED);
	for (size_t i = 0; i < conf->set.n; i++)
		passage_mark(p, set[i].name, PASSAGE_SET);
	if (!r->known[HF_CONNECTION] || passage_take_connection(p))
		return 0;
	*why = "Connection has more than 32 options, or 1 KiB";
	return 400;
}

/* --- names without a row --- */

/* Whether the route removes or sets it. */
static bool
passage_is_routes(const struct passage *p, struct str name)
{
	const struct gateway_pair *set = p->conf->set.v;

	if (likely(!(p->lengths >> name.n % 64 & 1)))
		return false;
	for (size_t i = 0; i < p->conf->remove.n; i++) {
		if (fold_eq(p->conf->remove.v[i], name))
			return true;
	}
	for (size_t i = 0; i < p->conf->set.n; i++) {
		if (fold_eq(set[i].name, name))
			return true;
	}
	return false;
}

static bool
passage_is_excepted(const struct passage *p, struct str name)
{
	for (size_t i = 0; i < p->conf->pass.n; i++) {
		if (str_caseeq(p->conf->pass.v[i], name))
			return true;
	}
	return false;
}

/* Plain names are put first: they win. */
static void
passage_collect(struct passage *p)
{
	const struct fields *in = &p->r->in;
	struct passage_spellings *s = arena_alloc(&p->r->arena, sizeof(*s));
	uint8_t odd[NAMESET_MAX];
	unsigned nodd = 0;

	memset(s->has_lost, 0, sizeof(s->has_lost));
	nameset_init(&s->names, &p->r->arena, in->n);
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id != HF_OTHER)
			continue;
		if (fold_is_plain(in->v[i].name))
			nameset_put(&s->names, in->v[i].name);
		else
			odd[nodd++] = (uint8_t)i;
	}
	for (unsigned i = 0; i < nodd; i++) {
		unsigned n = s->names.n, at = nameset_put(&s->names, in->v[odd[i]].name);

		if (at < n && !fold_is_alike(s->names.names[at], in->v[odd[i]].name))
			s->has_lost[odd[i] / 64] |= 1ull << odd[i] % 64;
	}
	p->spellings = s;
}

/* Whether another spelling of an odd name has the better right. */
static bool
passage_has_lost(struct passage *p, const struct field *f)
{
	size_t i = (size_t)(f - p->r->in.v);

	if (!p->spellings)
		passage_collect(p);
	return p->spellings->has_lost[i / 64] >> i % 64 & 1;
}

/* A name that is not plain. */
static bool
passage_lets_odd(struct passage *p, const struct field *f, enum claim claim)
{
	if (p->conf->field_names == FIELD_NAMES_ANY && claim == CLAIM_NONE &&
	    !passage_has_lost(p, f))
		return true;
	log_at(LOG_DEBUG_, "gateway", false, "request %016llx: the field \"%.*s\" is not passed on",
	    (unsigned long long)p->r->id, STR_FMT(f->name));
	return false;
}

bool
passage_lets(struct passage *p, const struct field *f)
{
	struct str name = f->name;
	enum claim claim = CLAIM_NONE;
	bool is_plain;

	if (likely(f->id != HF_OTHER))
		return !p->marks[f->id];
	is_plain = fold_is_plain(name);
	if (!is_plain || claim_is_possible(name))
		claim = claim_of(name);
	if (unlikely(!is_plain) && !passage_lets_odd(p, f, claim))
		return false;
	if (unlikely(claim & p->refused) && (claim != CLAIM_FRONT || !passage_is_excepted(p, name)))
		return false;
	if (passage_is_routes(p, name))
		return false;
	return likely(!p->named) || claim == CLAIM_FRONT || !nameset_has(p->named, name);
}

bool
passage_lets_trailer(struct passage *p, const struct field *f)
{
	if (!sieve_is_trailer(f))
		return false;
	/* Nobody has checked a trailer's claims, and what it could be taken for is not looked for.
	 */
	if (f->id == HF_OTHER && (claim_of(f->name) != CLAIM_NONE || !fold_is_plain(f->name)))
		return false;
	return passage_lets(p, f);
}

/* --- what the route sets --- */

bool
passage_may_set(struct str name)
{
	return !(passage_marks[passage_kind(name)] & PASSAGE_OURS) && claim_of(name) != CLAIM_NEVER;
}

struct str
passage_value(const struct passage *p, size_t i)
{
	const struct gateway_pair *set = p->conf->set.v;

	if (!passage_may_set(set[i].name))
		return STR("");
	return vars_expand(&set[i].text, p->r, TEMPLATE_FIELD, NULL);
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

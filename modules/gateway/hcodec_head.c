/*
 * The head of a request to an HTTP backend, in one block of the request's arena: measured from
 * above first, then written once. Every field of the client goes one of three ways: passed on as it
 * is, left out (hop-by-hop, framing, what the route removes or sets), or continued in one of our
 * own (X-Forwarded-For, Forwarded, Via).
 *
 * Who may be believed about clients before us: the elements of X-Forwarded-* and Forwarded are kept
 * only from trusted proxies (trusted_proxies, as in modules/realip.c); what others sent is
 * replaced. So a backend may rely on these fields without a list of its own.
 */
#include <arpa/inet.h>
#include "common/cidr.h"
#include "common/must.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/hcodec.h"
#include "modules/gateway/hmap.h"
#include "worker/vars.h"

/* Why a field of the client is not passed on as it is. */
enum { HEAD_OURS = 1, HEAD_REMOVED = 2, HEAD_SET = 4 };

/* RFC 9110 7.6.1: the connection's own. Framing and Host are written anew; Expect is met here
   (RFC 9110 10.1.1); "Proxy" is no field, but CGI programs behind the backend would take it for
   HTTP_PROXY. */
static const uint8_t head_marks[HF_MAX] = {
	[HF_CONNECTION] = HEAD_OURS,
	[HF_CONTENT_LENGTH] = HEAD_OURS,
	[HF_EXPECT] = HEAD_OURS,
	[HF_HOST] = HEAD_OURS,
	[HF_KEEP_ALIVE] = HEAD_OURS,
	[HF_PROXY] = HEAD_OURS,
	[HF_PROXY_AUTHORIZATION] = HEAD_OURS,
	[HF_PROXY_CONNECTION] = HEAD_OURS,
	[HF_TE] = HEAD_OURS,
	[HF_TRAILER] = HEAD_OURS,
	[HF_TRANSFER_ENCODING] = HEAD_OURS,
	[HF_UPGRADE] = HEAD_OURS,
};

struct head {
	const struct codec_request *q;
	struct request *r;
	uint8_t marks[HF_MAX]; /* HEAD_… by kind */
	bool has_named;        /* Connection names fields */
	bool has_others;       /* the route removes or sets fields of kinds without a row */
	bool is_trusted;       /* the hop before us is */
	struct peer hop;
	struct str path, host, client_host;
	struct str *set; /* values of conf->set */
	char *p, *end;
};

bool
hcodec_names_some(struct str connection)
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
hcodec_is_named(const struct fields *in, struct str name)
{
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id == HF_CONNECTION && str_list_has(in->v[i].value, name))
			return true;
	}
	return false;
}

/* --- who asks --- */

/* The hop before us is the connection's other end; a balancer that speaks the PROXY protocol is
   none, the address that it tells is. */
static void
head_find_hop(struct head *h)
{
	const struct request *r = h->r;
	const struct cidr_set *trusted = &worker_conf(r->w)->trusted;

	h->hop = r->listen && r->listen->proxy_protocol ? r->peer : r->via;
	h->is_trusted = trusted->n > 0 && cidr_match(trusted, h->hop.family, h->hop.addr);
}

/* The address at dst[INET6_ADDRSTRLEN]; 0: it has none. */
static size_t
head_address(const struct peer *hop, char *dst)
{
	size_t n = 0;

	if (hop->family != AF_INET) {
		if (hop->family != AF_INET6 ||
		    !inet_ntop(AF_INET6, hop->addr, dst, INET6_ADDRSTRLEN))
			return 0;
		return strlen(dst);
	}
	for (int i = 0; i < 4; i++) {
		n += str_from_u64(dst + n, hop->addr[i]);
		dst[n++] = '.';
	}
	return n - 1;
}

/* --- what the route says --- */

static void
head_mark(struct head *h, struct str name, uint8_t mark)
{
	enum http_field id = http_field_of(name);

	if (id == HF_OTHER)
		h->has_others = true;
	else
		h->marks[id] |= mark;
}

static void
head_take_conf(struct head *h)
{
	const struct gateway_conf *conf = h->q->conf;
	const struct gateway_pair *set = conf->set.v;

	for (size_t i = 0; i < conf->remove.n; i++)
		head_mark(h, conf->remove.v[i], HEAD_REMOVED);
	if (conf->set.n > 0)
		h->set = arena_alloc(&h->r->arena, conf->set.n * sizeof(*h->set));
	for (size_t i = 0; i < conf->set.n; i++) {
		head_mark(h, set[i].name, HEAD_SET);
		h->set[i] = vars_expand(&set[i].text, h->r, TEMPLATE_FIELD, NULL);
	}
	if (conf->via)
		h->marks[HF_VIA] |= HEAD_OURS;
	if (conf->forwarded)
		h->marks[HF_FORWARDED] |= HEAD_OURS;
	if (!conf->x_forwarded)
		return;
	h->marks[HF_X_FORWARDED_FOR] |= HEAD_OURS;
	/* A trusted proxy knows better than we what the client said. */
	if (!h->is_trusted || !h->r->known[HF_X_FORWARDED_PROTO])
		h->marks[HF_X_FORWARDED_PROTO] |= HEAD_OURS;
	if (!h->is_trusted || !h->r->known[HF_X_FORWARDED_HOST])
		h->marks[HF_X_FORWARDED_HOST] |= HEAD_OURS;
}

/* Whether the route removes or sets a field of a kind without a row. */
static bool
head_is_other(const struct head *h, struct str name)
{
	const struct gateway_conf *conf = h->q->conf;
	const struct gateway_pair *set = conf->set.v;

	for (size_t i = 0; i < conf->remove.n; i++) {
		if (str_caseeq(conf->remove.v[i], name))
			return true;
	}
	for (size_t i = 0; i < conf->set.n; i++) {
		if (str_caseeq(set[i].name, name))
			return true;
	}
	return false;
}

static inline bool
head_is_passed(const struct head *h, const struct field *f)
{
	if (h->marks[f->id])
		return false;
	if (h->has_named && hcodec_is_named(&h->r->in, f->name))
		return false;
	if (f->id != HF_OTHER)
		return true;
	/* "Proxy-…": for the next proxy, of whom the client cannot know. */
	if (f->name.n > 6 && str_lower((unsigned char)f->name.p[0]) == 'p' &&
	    str_caseeq(str_n(f->name.p, 6), STR("Proxy-")))
		return false;
	return !h->has_others || !head_is_other(h, f->name);
}

/* --- names --- */

/* The authority that the client asked for: as it wrote it, or from a target in absolute-form, which
   counts more than Host (RFC 9112 3.2.2). */
static struct str
head_client_host(struct request *r)
{
	struct str host = req_field(r, HF_HOST);

	if (host.n > 0 && (r->target.n == 0 || *r->target.p == '/' || *r->target.p == '*'))
		return host;
	if (r->host.n == 0)
		return host;
	if (r->port == 0 || r->port == (r->is_tls ? 443 : 80))
		return r->host;
	return arena_printf(&r->arena, "%.*s:%u", STR_FMT(r->host), r->port);
}

static struct str
head_host(struct head *h)
{
	const struct gateway_conf *conf = h->q->conf;
	struct str host = h->client_host;

	if (conf->host == HOST_TEXT)
		host = vars_expand(&conf->host_template, h->r, TEMPLATE_FIELD, NULL);
	/* RFC 9112 3.2: HTTP/1.1 has a Host; a client of HTTP/1.0 may not have sent any. */
	return conf->host == HOST_BACKEND || host.n == 0 ? h->q->authority : host;
}

/* --- writing --- */

static inline void
head_put(struct head *h, struct str s)
{
	must((size_t)(h->end - h->p) >= s.n);
	if (s.n > 0)
		memcpy(h->p, s.p, s.n);
	h->p += s.n;
}

static inline void
head_field(struct head *h, struct str name, struct str value)
{
	head_put(h, name);
	head_put(h, STR(": "));
	head_put(h, value);
	head_put(h, STR("\r\n"));
}

static void
head_u64(struct head *h, uint64_t v)
{
	must(h->end - h->p >= 20);
	h->p += str_from_u64(h->p, v);
}

/* "Name: " and, if what is before us is believed, all values of the client's fields of the kind,
   each with ", " behind it. */
static void
head_continue(struct head *h, enum http_field id, bool is_believed)
{
	const struct fields *in = &h->r->in;

	head_put(h, http_field_name(id));
	head_put(h, STR(": "));
	if (!is_believed || !h->r->known[id] || h->marks[id] & HEAD_REMOVED)
		return;
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id != id || in->v[i].value.n == 0)
			continue;
		head_put(h, in->v[i].value);
		head_put(h, STR(", "));
	}
}

static bool
head_is_written(const struct head *h, enum http_field id)
{
	return (h->marks[id] & (HEAD_OURS | HEAD_SET)) == HEAD_OURS;
}

static void
head_x_forwarded(struct head *h)
{
	char text[INET6_ADDRSTRLEN];
	size_t n = head_address(&h->hop, text);
	char *start = h->p;

	if (head_is_written(h, HF_X_FORWARDED_FOR)) {
		head_continue(h, HF_X_FORWARDED_FOR, h->is_trusted);
		head_put(h, str_n(text, n));
		/* A Unix socket has no address: what it told stands alone, or nothing. */
		if (n == 0 && h->p[-2] == ',')
			h->p -= 2;
		if (h->p[-1] == ' ')
			h->p = start;
		else
			head_put(h, STR("\r\n"));
	}
	if (head_is_written(h, HF_X_FORWARDED_PROTO))
		head_field(h, STR("X-Forwarded-Proto"), h->r->is_tls ? STR("https") : STR("http"));
	if (head_is_written(h, HF_X_FORWARDED_HOST) && h->client_host.n > 0)
		head_field(h, STR("X-Forwarded-Host"), h->client_host);
}

/* RFC 9110 5.6.4 */
static void
head_quoted(struct head *h, struct str s)
{
	head_put(h, STR("\""));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			head_put(h, STR("\\"));
		head_put(h, str_n(s.p + i, 1));
	}
	head_put(h, STR("\""));
}

/* RFC 7239 4, 6: an IPv6 address is in brackets, and so in quotes. */
static void
head_forwarded(struct head *h)
{
	char text[INET6_ADDRSTRLEN];
	size_t n = head_address(&h->hop, text);

	if (!head_is_written(h, HF_FORWARDED))
		return;
	head_continue(h, HF_FORWARDED, h->is_trusted);
	head_put(h, STR("for="));
	if (h->hop.family == AF_INET6 && n > 0) {
		head_put(h, STR("\"["));
		head_put(h, str_n(text, n));
		head_put(h, STR("]\""));
	} else {
		head_put(h, n > 0 ? str_n(text, n) : STR("unknown"));
	}
	if (h->client_host.n > 0) {
		head_put(h, STR(";host="));
		if (http_is_token(h->client_host))
			head_put(h, h->client_host);
		else
			head_quoted(h, h->client_host);
	}
	head_put(h, h->r->is_tls ? STR(";proto=https\r\n") : STR(";proto=http\r\n"));
}

/* RFC 9110 7.6.3: the version is that of the message as we received it. */
static void
head_via(struct head *h)
{
	if (!head_is_written(h, HF_VIA))
		return;
	head_continue(h, HF_VIA, true);
	head_put(h, h->r->version == HTTP_2    ? STR("2.0 argand\r\n")
		    : h->r->version == HTTP_10 ? STR("1.0 argand\r\n")
					       : STR("1.1 argand\r\n"));
}

/* RFC 9112 9.3, 9.6; RFC 9110 7.8, 10.1.4 (TE must be named in Connection). */
static void
head_connection(struct head *h)
{
	const struct codec_request *q = h->q;
	bool has_te = h->r->known[HF_TE] && !(h->marks[HF_TE] & HEAD_REMOVED) &&
		      str_list_has(req_field(h->r, HF_TE), STR("trailers"));

	if (q->is_upgrade) {
		head_field(h, STR("Connection"), STR("upgrade"));
		head_field(h, STR("Upgrade"), req_field(h->r, HF_UPGRADE));
		return;
	}
	if (has_te)
		head_field(h, STR("TE"), STR("trailers"));
	if (has_te || !q->keep)
		head_field(h, STR("Connection"),
		    !has_te   ? STR("close")
		    : q->keep ? STR("TE")
			      : STR("close, TE"));
}

/* RFC 9112 6.2, RFC 9110 8.6: no length where no body is expected, and none was sent. */
static void
head_framing(struct head *h)
{
	static const bool wants_body[M_MAX] = { [M_POST] = true, [M_PUT] = true, [M_PATCH] = true };
	const struct request *r = h->r;
	int64_t length = h->q->length;

	if (length < 0) {
		head_put(h, STR("Transfer-Encoding: chunked\r\n"));
		if (r->known[HF_TRAILER])
			head_field(h, STR("Trailer"), req_field(r, HF_TRAILER));
		return;
	}
	if (length == 0 && !wants_body[r->method] && !r->known[HF_CONTENT_LENGTH] &&
	    !r->known[HF_TRANSFER_ENCODING])
		return;
	head_put(h, STR("Content-Length: "));
	head_u64(h, (uint64_t)length);
	head_put(h, STR("\r\n"));
}

static void
head_set(struct head *h)
{
	const struct gateway_conf *conf = h->q->conf;
	const struct gateway_pair *set = conf->set.v;

	for (size_t i = 0; i < conf->set.n; i++) {
		/* What frames the message is not the route's to say. */
		if (h->set[i].n > 0 && !(head_marks[http_field_of(set[i].name)] & HEAD_OURS))
			head_field(h, set[i].name, h->set[i]);
	}
}

/* An upper bound of all that will be written. */
static size_t
head_measure(const struct head *h)
{
	enum { FIXED = 768 }; /* names, versions, addresses, numbers */
	const struct request *r = h->r;
	const struct gateway_pair *set = h->q->conf->set.v;
	size_t n =
	    FIXED + r->method_name.n + h->path.n + r->query.n + h->host.n + 4 * h->client_host.n;

	for (unsigned i = 0; i < r->in.n; i++)
		n += r->in.v[i].name.n + r->in.v[i].value.n + 4;
	for (size_t i = 0; i < h->q->conf->set.n; i++)
		n += set[i].name.n + h->set[i].n + 4;
	return n;
}

static void
head_request_line(struct head *h)
{
	head_put(h, h->r->method_name);
	head_put(h, STR(" "));
	head_put(h, h->path);
	if (h->r->query.p) {
		head_put(h, STR("?"));
		head_put(h, h->r->query);
	}
	head_put(h, STR(" HTTP/1.1\r\n"));
	head_field(h, STR("Host"), h->host);
}

static void
head_write(struct head *h)
{
	const struct fields *in = &h->r->in;

	head_request_line(h);
	for (unsigned i = 0; i < in->n; i++) {
		if (head_is_passed(h, &in->v[i]))
			head_field(h, in->v[i].name, in->v[i].value);
	}
	head_connection(h);
	head_framing(h);
	head_x_forwarded(h);
	head_forwarded(h);
	head_via(h);
	head_set(h);
	head_put(h, STR("\r\n"));
}

int
hcodec_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct hcodec *s = state;
	struct request *r = q->r;
	struct head h = { .q = q, .r = r };
	char *start;
	size_t room;

	(void)why;
	s->r = r;
	s->to_send = q->length;
	s->is_upgrade = q->is_upgrade;
	s->wants_keep = q->keep;
	s->is_sent = q->length == 0;
	memcpy(h.marks, head_marks, sizeof(h.marks));
	for (unsigned i = 0; r->known[HF_CONNECTION] && i < r->in.n; i++)
		h.has_named |=
		    r->in.v[i].id == HF_CONNECTION && hcodec_names_some(r->in.v[i].value);
	head_find_hop(&h);
	head_take_conf(&h);
	h.client_host = head_client_host(r);
	h.host = head_host(&h);
	h.path = hmap_path(r, q->conf);
	room = head_measure(&h);
	start = h.p = arena_alloc(&r->arena, room);
	h.end = start + room;
	head_write(&h);
	body_put_ref(out, start, (size_t)(h.p - start));
	return 0;
}

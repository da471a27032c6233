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
#include "modules/gateway/hpath.h"
#include "modules/gateway/passage.h"
#include "worker/vars.h"

struct head {
	const struct codec_request *q;
	struct request *r;
	struct passage passage;
	bool is_trusted; /* the hop before us is */
	struct peer hop;
	struct str path, query, host, client_host;
	struct str *set; /* values of conf->set */
	char *p, *end;
};

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

/* 0..255 in decimal. */
static char *
head_octet(char *p, unsigned v)
{
	if (v >= 100) {
		*p++ = (char)('0' + v / 100);
		v %= 100;
		*p++ = (char)('0' + v / 10);
	} else if (v >= 10) {
		*p++ = (char)('0' + v / 10);
	}
	*p++ = (char)('0' + v % 10);
	return p;
}

/* The address at dst[INET6_ADDRSTRLEN]; 0: it has none. */
static size_t
head_address(const struct peer *hop, char *dst)
{
	char *p = dst;

	if (hop->family != AF_INET) {
		if (hop->family != AF_INET6 ||
		    !inet_ntop(AF_INET6, hop->addr, dst, INET6_ADDRSTRLEN))
			return 0;
		return strlen(dst);
	}
	for (int i = 0; i < 4; i++) {
		p = head_octet(p, hop->addr[i]);
		*p++ = '.';
	}
	return (size_t)(p - dst) - 1;
}

/* --- what the route says --- */

static void
head_take_conf(struct head *h)
{
	const struct gateway_conf *conf = h->q->conf;
	const struct gateway_pair *set = conf->set.v;
	uint8_t *marks = h->passage.marks;

	if (conf->set.n > 0)
		h->set = arena_alloc(&h->r->arena, conf->set.n * sizeof(*h->set));
	for (size_t i = 0; i < conf->set.n; i++)
		h->set[i] = vars_expand(&set[i].text, h->r, TEMPLATE_FIELD, NULL);
	if (conf->via)
		marks[HF_VIA] |= PASSAGE_OURS;
	if (conf->forwarded)
		marks[HF_FORWARDED] |= PASSAGE_OURS;
	if (!conf->x_forwarded)
		return;
	marks[HF_X_FORWARDED_FOR] |= PASSAGE_OURS;
	/* A trusted proxy knows better than we what the client said. */
	if (!h->is_trusted || !h->r->known[HF_X_FORWARDED_PROTO])
		marks[HF_X_FORWARDED_PROTO] |= PASSAGE_OURS;
	if (!h->is_trusted || !h->r->known[HF_X_FORWARDED_HOST])
		marks[HF_X_FORWARDED_HOST] |= PASSAGE_OURS;
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
	if (!is_believed || !h->r->known[id] || h->passage.marks[id] & PASSAGE_REMOVED)
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
	return (h->passage.marks[id] & (PASSAGE_OURS | PASSAGE_SET)) == PASSAGE_OURS;
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
	bool has_te = h->r->known[HF_TE] && !(h->passage.marks[HF_TE] & PASSAGE_REMOVED) &&
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
		if (h->set[i].n > 0 && passage_may_set(set[i].name))
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
	    FIXED + r->method_name.n + h->path.n + h->query.n + h->host.n + 4 * h->client_host.n;

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
	if (h->query.p) {
		head_put(h, STR("?"));
		head_put(h, h->query);
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
		if (passage_lets(&h->passage, &in->v[i]))
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
	passage_init(&h.passage, r, q->conf);
	head_find_hop(&h);
	head_take_conf(&h);
	h.client_host = passage_client_host(r);
	h.host = passage_host(q, h.client_host);
	h.path = hmap_path(r, q->conf);
	h.query = hpath_query(r);
	room = head_measure(&h);
	start = h.p = arena_alloc(&r->arena, room);
	h.end = start + room;
	head_write(&h);
	body_put_ref(out, start, (size_t)(h.p - start));
	return 0;
}

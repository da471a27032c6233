/*
 * The head of a request to an HTTP backend, in one block of the request's arena: measured from
 * above first, then written once. Every field of the client goes one of three ways: passed on as it
 * is, left out (passage.c), or continued in one of our own (origin.c, Via).
 */
#include "common/base/must.h"
#include "modules/gateway/codec/conf.h"
#include "modules/gateway/codec/hcodec.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/origin.h"
#include "modules/gateway/codec/passage.h"

struct head {
	const struct codec_request *q;
	struct request *r;
	struct passage passage;
	struct origin origin;
	struct str path, query, host, client_host;
	struct str *set; /* values of conf->set */
	char *p, *end;
};

/* --- what the route says --- */

static void
head_take_conf(struct head *h)
{
	const struct gateway_conf *conf = h->q->conf;

	if (conf->set.n > 0)
		h->set = arena_alloc(&h->r->arena, conf->set.n * sizeof(*h->set));
	for (size_t i = 0; i < conf->set.n; i++)
		h->set[i] = passage_value(&h->passage, i);
	if (conf->via)
		h->passage.marks[HF_VIA] |= PASSAGE_OURS;
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

static void
head_origin(struct head *h)
{
	for (unsigned i = 0; i < h->origin.n; i++)
		head_field(h, h->origin.v[i].name, h->origin.v[i].value);
}

/* RFC 9110 7.6.3: the version is that of the message as we received it. */
static void
head_via(struct head *h)
{
	if ((h->passage.marks[HF_VIA] & (PASSAGE_OURS | PASSAGE_SET)) != PASSAGE_OURS)
		return;
	head_field(h, STR("Via"),
	    origin_continue(&h->passage, HF_VIA,
		h->r->version == HTTP_2    ? STR("2.0 argand")
		: h->r->version == HTTP_10 ? STR("1.0 argand")
					   : STR("1.1 argand")));
}

/* RFC 9112 9.3, 9.6; RFC 9110 7.8, 10.1.4 (TE must be named in Connection). */
static void
head_connection(struct head *h)
{
	enum { MAX_TE = 256 }; /* octets that are looked through */
	const struct codec_request *q = h->q;
	struct str te = req_field(h->r, HF_TE);
	bool has_te = te.n > 0 && te.n <= MAX_TE && !(h->passage.marks[HF_TE] & PASSAGE_REMOVED) &&
		      str_list_has(te, STR("trailers"));

	if (q->upgrade.n > 0) {
		head_field(h, STR("Connection"), STR("upgrade"));
		head_field(h, STR("Upgrade"), q->upgrade);
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
		if (h->set[i].n > 0)
			head_field(h, set[i].name, h->set[i]);
	}
}

/* An upper bound of all that will be written. */
static size_t
head_measure(const struct head *h)
{
	enum { FIXED = 512 }; /* names, versions, numbers */
	const struct request *r = h->r;
	const struct gateway_pair *set = h->q->conf->set.v;
	size_t n = FIXED + r->method_name.n + h->path.n + h->query.n + h->host.n +
		   h->origin.octets + 4 * h->origin.n;

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
	head_origin(h);
	head_via(h);
	head_set(h);
	head_put(h, STR("\r\n"));
}

int
hcodec_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct hcodec *s = state;
	struct request *r = q->r;
	struct head h;
	char *start;
	size_t room;
	int status = passage_init(&h.passage, q, why);

	if (unlikely(status))
		return status;
	h.q = s->q = q;
	h.r = r;
	s->to_send = q->length;
	s->is_upgrade = q->upgrade.n > 0;
	s->wants_keep = q->keep;
	s->is_sent = q->length == 0;
	h.client_host = passage_client_host(r);
	origin_make(&h.origin, &h.passage, h.client_host);
	head_take_conf(&h);
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

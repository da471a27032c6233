/*
 * FORWARD_REQUEST: a request in one packet. It is put together on the stack, and copied once its
 * length is known to fit; what does not fit is the client's fault (431), or that of a packet_size
 * left at the protocol's traditional 8 KiB.
 */
#include <sys/socket.h>
#include "modules/gateway/codec/ajp.h"
#include "modules/gateway/codec/conf.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/origin.h"
#include "modules/gateway/codec/passage.h"
#include "worker/uri.h"
#include "worker/vars.h"

enum {
	AJP_FORWARD_REQUEST = 2,
	AJP_METHOD_STORED = 0xff, /* its name is an attribute */
	AJP_ATTRIBUTES_END = 0xff,
	AJP_NULL = 0xffff,  /* the length of an absent string */
	AJP_CODED = 0xa000, /* where a string begins with such a number, it is a code for a name */
};

enum ajp_attribute {
	AJP_REMOTE_USER = 3,
	AJP_AUTH_TYPE = 4,
	AJP_QUERY_STRING = 5,
	AJP_REQ_ATTRIBUTE = 10, /* a name and a value */
	AJP_SECRET = 12,
	AJP_STORED_METHOD = 13,
};

static const struct ajp_method {
	struct str name;
	uint8_t code;
} ajp_methods[] = {
	{ STR_INIT("OPTIONS"), 1 },
	{ STR_INIT("GET"), 2 },
	{ STR_INIT("HEAD"), 3 },
	{ STR_INIT("POST"), 4 },
	{ STR_INIT("PUT"), 5 },
	{ STR_INIT("DELETE"), 6 },
	{ STR_INIT("TRACE"), 7 },
	{ STR_INIT("PROPFIND"), 8 },
	{ STR_INIT("PROPPATCH"), 9 },
	{ STR_INIT("MKCOL"), 10 },
	{ STR_INIT("COPY"), 11 },
	{ STR_INIT("MOVE"), 12 },
	{ STR_INIT("LOCK"), 13 },
	{ STR_INIT("UNLOCK"), 14 },
	{ STR_INIT("ACL"), 15 },
	{ STR_INIT("REPORT"), 16 },
	{ STR_INIT("VERSION-CONTROL"), 17 },
	{ STR_INIT("CHECKIN"), 18 },
	{ STR_INIT("CHECKOUT"), 19 },
	{ STR_INIT("UNCHECKOUT"), 20 },
	{ STR_INIT("SEARCH"), 21 },
	{ STR_INIT("MKWORKSPACE"), 22 },
	{ STR_INIT("UPDATE"), 23 },
	{ STR_INIT("LABEL"), 24 },
	{ STR_INIT("MERGE"), 25 },
	{ STR_INIT("BASELINE-CONTROL"), 26 },
	{ STR_INIT("MKACTIVITY"), 27 },
};

/* 0: sent by name. */
static const uint8_t ajp_field_codes[HF_MAX] = {
	[HF_ACCEPT] = 1,
	[HF_ACCEPT_ENCODING] = 3,
	[HF_AUTHORIZATION] = 5,
	[HF_CONNECTION] = 6,
	[HF_CONTENT_TYPE] = 7,
	[HF_CONTENT_LENGTH] = 8,
	[HF_COOKIE] = 9,
	[HF_HOST] = 11,
	[HF_REFERER] = 13,
	[HF_USER_AGENT] = 14,
};

/* Kinds without a row. */
static const struct ajp_name {
	struct str name;
	uint8_t code;
} ajp_names[] = {
	{ STR_INIT("Accept-Charset"), 2 },
	{ STR_INIT("Accept-Language"), 4 },
	{ STR_INIT("Cookie2"), 10 },
	{ STR_INIT("Pragma"), 12 },
};

/* --- a packet --- */

struct ajp_packet {
	unsigned char *p, *end;
	bool is_full;
	unsigned char octets[AJP_MAX_PACKET];
};

static void
ajp_put(struct ajp_packet *k, const void *p, size_t n)
{
	if ((size_t)(k->end - k->p) < n) {
		k->is_full = true;
		return;
	}
	if (n > 0)
		memcpy(k->p, p, n);
	k->p += n;
}

static void
ajp_put_u8(struct ajp_packet *k, unsigned v)
{
	ajp_put(k, &(unsigned char){ (unsigned char)v }, 1);
}

static void
ajp_put_u16(struct ajp_packet *k, unsigned v)
{
	ajp_put_u8(k, v >> 8);
	ajp_put_u8(k, v & 0xff);
}

/* A string has a NUL behind it that its length does not count. */
static void
ajp_put_str(struct ajp_packet *k, struct str s)
{
	if (s.n >= AJP_CODED) { /* it would be read as something else, or does not fit anyway */
		k->is_full = true;
		return;
	}
	ajp_put_u16(k, (unsigned)s.n);
	ajp_put(k, s.p, s.n);
	ajp_put_u8(k, 0);
}

static void
ajp_put_attribute(struct ajp_packet *k, enum ajp_attribute code, struct str value)
{
	ajp_put_u8(k, code);
	ajp_put_str(k, value);
}

static void
ajp_put_named(struct ajp_packet *k, struct str name, struct str value)
{
	ajp_put_attribute(k, AJP_REQ_ATTRIBUTE, name);
	ajp_put_str(k, value);
}

/* --- its parts --- */

static unsigned
ajp_method_code(const struct request *r)
{
	for (size_t i = 0; i < sizeof(ajp_methods) / sizeof(ajp_methods[0]); i++) {
		if (str_eq(ajp_methods[i].name, r->method_name))
			return ajp_methods[i].code;
	}
	return AJP_METHOD_STORED;
}

static unsigned
ajp_field_code(struct str name, uint8_t id)
{
	if (id != HF_OTHER)
		return ajp_field_codes[id];
	for (size_t i = 0; i < sizeof(ajp_names) / sizeof(ajp_names[0]); i++) {
		if (str_caseeq(ajp_names[i].name, name))
			return ajp_names[i].code;
	}
	return 0;
}

static void
ajp_put_field(struct ajp_packet *k, struct str name, uint8_t id, struct str value)
{
	unsigned code = ajp_field_code(name, id);

	if (code > 0)
		ajp_put_u16(k, AJP_CODED | code);
	else
		ajp_put_str(k, name);
	ajp_put_str(k, value);
}

/* Name and port of an authority; the name of an IPv6 address keeps its brackets. */
static void
ajp_put_server(struct ajp_packet *k, struct request *r, struct str authority)
{
	struct str host;
	uint16_t port = 0;

	if (!uri_authority(authority, &r->arena, &host, &port))
		host = r->host;
	ajp_put_str(k, host);
	ajp_put_u16(k, port > 0 ? port : r->is_tls ? 443 : 80);
	ajp_put_u8(k, r->is_tls);
}

static void
ajp_put_peer(struct ajp_packet *k, struct request *r)
{
	struct str text = r->peer.family == AF_UNIX ? STR("") : peer_text(&r->arena, &r->peer);

	ajp_put_str(k, text);
	/* The host's name: not looked up, and the container shall not look it up either. */
	ajp_put_str(k, text);
}

/* The fields, with their number before them. */
static void
ajp_put_fields(
    struct ajp_packet *k, const struct codec_request *q, struct passage *passage, struct str host)
{
	const struct fields *in = &q->r->in;
	const struct gateway_pair *set = q->conf->set.v;
	unsigned char *count = k->p;
	struct origin origin;
	unsigned n = 0;
	char text[20];

	ajp_put_u16(k, 0);
	origin_make(&origin, passage, passage_client_host(q->r));
	for (unsigned i = 0; i < in->n; i++) {
		if (!passage_lets(passage, &in->v[i]))
			continue;
		ajp_put_field(k, in->v[i].name, in->v[i].id, in->v[i].value);
		n++;
	}
	for (unsigned i = 0; i < origin.n; i++, n++)
		ajp_put_field(k, origin.v[i].name, origin.v[i].id, origin.v[i].value);
	for (size_t i = 0; i < q->conf->set.n; i++) {
		struct str value = passage_value(passage, i);

		if (value.n == 0)
			continue;
		ajp_put_field(k, set[i].name, (uint8_t)http_field_of(set[i].name), value);
		n++;
	}
	if (host.n > 0) {
		ajp_put_field(k, STR("Host"), HF_HOST, host);
		n++;
	}
	/* Without it a container expects no body. */
	if (q->length > 0 || q->r->known[HF_CONTENT_LENGTH] || q->r->known[HF_TRANSFER_ENCODING]) {
		ajp_put_field(k, STR("Content-Length"), HF_CONTENT_LENGTH,
		    str_n(text, str_from_u64(text, (uint64_t)q->length)));
		n++;
	}
	if (k->is_full)
		return;
	count[0] = (unsigned char)(n >> 8);
	count[1] = (unsigned char)n;
}

/* What only Tomcat knows: the addresses that the protocol forgot. */
static void
ajp_put_addresses(struct ajp_packet *k, const struct request *r)
{
	char text[20];

	if (r->peer.family != AF_UNIX)
		ajp_put_named(
		    k, STR("AJP_REMOTE_PORT"), str_n(text, str_from_u64(text, r->peer.port)));
	if (r->listen && r->listen->family == LISTEN_TCP && r->listen->host.n > 0 &&
	    !str_eq(r->listen->host, STR("0.0.0.0")) && !str_eq(r->listen->host, STR("::")))
		ajp_put_named(k, STR("AJP_LOCAL_ADDR"), r->listen->host);
}

/* The scheme of an Authorization field; the user was found by it. */
static struct str
ajp_auth_type(const struct request *r)
{
	struct str value = req_field(r, HF_AUTHORIZATION);

	return value.n > 0 ? str_split(&value, ' ') : STR("Basic");
}

static void
ajp_put_attributes(struct ajp_packet *k, const struct codec_request *q, unsigned method)
{
	struct request *r = q->r;
	const struct gateway_pair *env = q->conf->environment.v;
	struct str query = hpath_query(r);

	if (method == AJP_METHOD_STORED)
		ajp_put_attribute(k, AJP_STORED_METHOD, r->method_name);
	if (r->user.n > 0) {
		ajp_put_attribute(k, AJP_REMOTE_USER, r->user);
		ajp_put_attribute(k, AJP_AUTH_TYPE, ajp_auth_type(r));
	}
	if (query.n > 0)
		ajp_put_attribute(k, AJP_QUERY_STRING, query);
	if (q->pool->secret.n > 0)
		ajp_put_attribute(k, AJP_SECRET, q->pool->secret);
	ajp_put_addresses(k, r);
	for (size_t i = 0; i < q->conf->environment.n; i++)
		ajp_put_named(k, env[i].name, vars_expand(&env[i].text, r, TEMPLATE_PLAIN, NULL));
	for (unsigned i = 0; q->variables && i < q->variables->n; i++)
		ajp_put_named(k, q->variables->v[i].name, q->variables->v[i].value);
	ajp_put_u8(k, AJP_ATTRIBUTES_END);
}

static void
ajp_compose(
    struct ajp_packet *k, const struct codec_request *q, struct passage *passage, struct str path)
{
	struct request *r = q->r;
	struct str host = passage_host(q, passage_client_host(r));
	unsigned method = ajp_method_code(r);

	ajp_put(k, "\x12\x34\0", AJP_HEADER); /* the length comes last */
	ajp_put_u8(k, AJP_FORWARD_REQUEST);
	ajp_put_u8(k, method);
	ajp_put_str(k, r->version == HTTP_2    ? STR("HTTP/2.0")
		       : r->version == HTTP_10 ? STR("HTTP/1.0")
					       : STR("HTTP/1.1"));
	ajp_put_str(k, path);
	ajp_put_peer(k, r);
	ajp_put_server(k, r, host);
	ajp_put_fields(k, q, passage, host);
	ajp_put_attributes(k, q, method);
}

int
ajp_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct ajp *s = state;
	size_t max = (size_t)q->pool->packet_size, n;
	struct str path = hmap_path(q->r, q->conf);
	struct passage passage;
	struct ajp_packet k;
	int status = passage_init(&passage, q, why);

	if (status)
		return status;
	if (max == 0 || max > AJP_MAX_PACKET)
		max = AJP_MAX_PACKET;
	s->max_packet = (uint32_t)max;
	s->to_send = q->length;
	s->is_asked = q->length > 0;
	s->room = (uint32_t)max;
	s->wants_keep = q->keep;
	k.p = k.octets;
	k.end = k.octets + max;
	k.is_full = false;
	ajp_compose(&k, q, &passage, path);
	*why = "the request's head is larger than packet_size";
	if (k.is_full)
		return 431;
	n = (size_t)(k.p - k.octets) - AJP_HEADER;
	k.octets[2] = (unsigned char)(n >> 8);
	k.octets[3] = (unsigned char)n;
	body_put(out, k.octets, n + AJP_HEADER);
	*why = NULL;
	return 0;
}

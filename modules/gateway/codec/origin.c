#include <arpa/inet.h>
#include "common/base/cidr.h"
#include "modules/gateway/codec/origin.h"

/* 0..255 in decimal. */
static char *
origin_octet(char *p, unsigned v)
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

/* The address of the hop; a Unix socket has none. */
static void
origin_address(struct origin *o, const struct peer *hop)
{
	char *p = o->address;

	o->address_n = 0;
	if (hop->family == AF_INET) {
		for (int i = 0; i < 4; i++) {
			p = origin_octet(p, hop->addr[i]);
			*p++ = '.';
		}
		o->address_n = (size_t)(p - o->address) - 1;
	} else if (hop->family == AF_INET6 && inet_ntop(AF_INET6, hop->addr, p, INET6_ADDRSTRLEN)) {
		o->address_n = strlen(p);
	}
}

static void
origin_put(struct origin *o, enum http_field id, struct str value)
{
	struct field *f = &o->v[o->n++];

	f->id = (uint8_t)id;
	f->name = http_field_name(id);
	f->value = value;
	o->octets += f->name.n + value.n;
}

struct str
origin_continue(const struct passage *p, enum http_field id, struct str ours)
{
	const struct fields *in = &p->r->in;
	size_t room = ours.n;
	char *start, *at;

	if (!p->r->known[id] || p->marks[id] & PASSAGE_REMOVED)
		return ours;
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id == id)
			room += in->v[i].value.n + 2;
	}
	start = at = arena_alloc(&p->r->arena, room + 1);
	for (unsigned i = 0; i < in->n; i++) {
		if (in->v[i].id != id || in->v[i].value.n == 0)
			continue;
		at = mempcpy(at, in->v[i].value.p, in->v[i].value.n);
		at = mempcpy(at, ", ", 2);
	}
	if (ours.n > 0)
		at = mempcpy(at, ours.p, ours.n);
	else if (at > start) /* its value stands alone */
		at -= 2;
	return str_n(start, (size_t)(at - start));
}

/* --- X-Forwarded-For, -Proto, -Host --- */

/* A trusted proxy knows better than we what the client said. */
static bool
origin_is_told(const struct passage *p, enum http_field id)
{
	return p->is_trusted && p->r->known[id] && !(p->marks[id] & PASSAGE_REMOVED);
}

static void
origin_x_forwarded(struct origin *o, struct passage *p, struct str client_host)
{
	struct str hop = str_n(o->address, o->address_n);

	if (!(p->marks[HF_X_FORWARDED_FOR] & PASSAGE_SET)) {
		if (p->is_trusted)
			hop = origin_continue(p, HF_X_FORWARDED_FOR, hop);
		if (hop.n > 0)
			origin_put(o, HF_X_FORWARDED_FOR, hop);
	}
	p->marks[HF_X_FORWARDED_FOR] |= PASSAGE_OURS;
	if (!origin_is_told(p, HF_X_FORWARDED_PROTO)) {
		if (!(p->marks[HF_X_FORWARDED_PROTO] & PASSAGE_SET))
			origin_put(
			    o, HF_X_FORWARDED_PROTO, p->r->is_tls ? STR("https") : STR("http"));
		p->marks[HF_X_FORWARDED_PROTO] |= PASSAGE_OURS;
	}
	if (!origin_is_told(p, HF_X_FORWARDED_HOST)) {
		if (!(p->marks[HF_X_FORWARDED_HOST] & PASSAGE_SET) && client_host.n > 0)
			origin_put(o, HF_X_FORWARDED_HOST, client_host);
		p->marks[HF_X_FORWARDED_HOST] |= PASSAGE_OURS;
	}
}

/* --- Forwarded --- */

/* RFC 9110 5.6.4 */
static char *
origin_quoted(char *p, struct str s)
{
	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*p++ = '\\';
		*p++ = s.p[i];
	}
	*p++ = '"';
	return p;
}

/* RFC 7239 4, 6: an IPv6 address is in brackets, and so in quotes. */
static struct str
origin_element(const struct origin *o, const struct passage *p, struct str client_host)
{
	char *start = arena_alloc(&p->r->arena, 2 * client_host.n + INET6_ADDRSTRLEN + 48);
	char *at = mempcpy(start, "for=", 4);
	bool is_6 = p->hop.family == AF_INET6 && o->address_n > 0;

	if (is_6)
		at = mempcpy(at, "\"[", 2);
	if (o->address_n > 0)
		at = mempcpy(at, o->address, o->address_n);
	else
		at = mempcpy(at, "unknown", 7);
	if (is_6)
		at = mempcpy(at, "]\"", 2);
	if (client_host.n > 0) {
		at = mempcpy(at, ";host=", 6);
		if (http_is_token(client_host))
			at = mempcpy(at, client_host.p, client_host.n);
		else
			at = origin_quoted(at, client_host);
	}
	at = mempcpy(at, ";proto=https", p->r->is_tls ? 12 : 11);
	return str_n(start, (size_t)(at - start));
}

static void
origin_forwarded(struct origin *o, struct passage *p, struct str client_host)
{
	struct str value;

	if (!(p->marks[HF_FORWARDED] & PASSAGE_SET)) {
		value = origin_element(o, p, client_host);
		if (p->is_trusted)
			value = origin_continue(p, HF_FORWARDED, value);
		origin_put(o, HF_FORWARDED, value);
	}
	p->marks[HF_FORWARDED] |= PASSAGE_OURS;
}

void
origin_make(struct origin *o, struct passage *p, struct str client_host)
{
	o->n = 0;
	o->octets = 0;
	if (!p->conf->x_forwarded && !p->conf->forwarded)
		return;
	origin_address(o, &p->hop);
	if (p->conf->x_forwarded)
		origin_x_forwarded(o, p, client_host);
	if (p->conf->forwarded)
		origin_forwarded(o, p, client_host);
}

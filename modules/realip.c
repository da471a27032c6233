/*
 * The client behind trusted proxies. Every proxy appends the address it was asked from, so the list
 * is read from its right end, and only as long as the address reached so far is trusted: what a
 * client writes into the field itself stands to the left of the first address that is not, and is
 * never looked at. Lists are split at every comma, quoted or not: no address and no scheme holds
 * one, and a quote that a client leaves open must not swallow what the proxy appended.
 */
#include <arpa/inet.h>
#include "common/cidr.h"
#include "common/log.h"
#include "worker/request.h"

enum realip_header { REALIP_OFF, REALIP_XFF, REALIP_FORWARDED, REALIP_X_REAL_IP };
enum { REALIP_HOPS = 64 };

struct realip {
	int header; /* enum realip_header */
};

static const char *const realip_headers[] = { "off", "x-forwarded-for", "forwarded", "x-real-ip",
	NULL };

static const struct cfg_opt realip_opts[] = {
	{ "realip", CFG_ENUM, CFG_ANY, offsetof(struct realip, header), .names = realip_headers,
	    .def = "off",
	    .help =
		"Takes the client's address, for access rules and logs, from this request field "
		"when the "
		"connection comes from one of the server's trusted_proxies: \"x-forwarded-for\", "
		"\"forwarded\" (RFC 7239) or \"x-real-ip\". From the right, the first address that "
		"is not a trusted proxy itself is the client. Whether the client uses https comes "
		"with it: from X-Forwarded-Proto or Forwarded's proto. Others' fields are ignored. "
		"Choose the field that your proxy sets itself. A client that the proxy does not "
		"name "
		"(\"unknown\") becomes the address \"::\", which no allow rule but \"all\" and "
		"\"::/0\" holds.",
	    .example = "realip = \"x-forwarded-for\";" },
	{ 0 },
};

static const uint8_t realip_v4[12] = { [10] = 0xff, [11] = 0xff };

static bool
realip_address(struct str s, struct peer *p)
{
	char z[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof(z) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	p->family = str_find(s, ':') >= 0 ? AF_INET6 : AF_INET;
	if (inet_pton(p->family, z, p->addr) != 1)
		return false;
	if (p->family == AF_INET6 && memcmp(p->addr, realip_v4, sizeof(realip_v4)) == 0) {
		p->family = AF_INET;
		memmove(p->addr, p->addr + 12, 4);
	}
	return true;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80", quoted or not.
 */
static bool
realip_node(struct str s, struct peer *p)
{
	ptrdiff_t end;
	uint64_t port;

	*p = (struct peer){ 0 };
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		s = str_n(s.p + 1, s.n - 2);
	if (s.n > 0 && s.p[0] == '[') {
		end = str_find(s, ']');
		if (end < 0 || !realip_address(str_n(s.p + 1, (size_t)end - 1), p))
			return false;
		s = str_n(s.p + end + 1, s.n - (size_t)end - 1);
		if (s.n == 0)
			return true;
		if (s.p[0] != ':')
			return false;
		s = str_n(s.p + 1, s.n - 1);
	} else if (realip_address(s, p)) {
		return true;
	} else {
		struct str rest = s, addr = str_split(&rest, ':');

		if (!rest.p || !realip_address(addr, p))
			return false;
		s = rest;
	}
	if (!str_to_u64(s, 65535, &port))
		return false;
	p->port = (uint16_t)port;
	return true;
}

/* The value of a parameter of a Forwarded element (RFC 7239 4), without quotes; p NULL: not there.
 */
static struct str
realip_param(struct str element, struct str name)
{
	while (element.p) {
		struct str value = str_split(&element, ';'), key = str_split(&value, '=');

		if (!value.p || !str_caseeq(str_trim(key), name))
			continue;
		value = str_trim(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = str_n(value.p + 1, value.n - 2);
		return value;
	}
	return (struct str){ NULL, 0 };
}

/* Takes the last element of a list off; false when there is none. */
static bool
realip_last(struct str *list, struct str *item)
{
	size_t at = list->n;

	if (!list->p)
		return false;
	while (at > 0 && list->p[at - 1] != ',')
		at--;
	*item = str_trim(str_n(list->p + at, list->n - at));
	*list = at > 0 ? str_n(list->p, at - 1) : (struct str){ NULL, 0 };
	return true;
}

static const struct realip_source {
	enum http_field field;
	bool is_forwarded;
} realip_sources[] = {
	[REALIP_XFF] = { HF_X_FORWARDED_FOR, false },
	[REALIP_FORWARDED] = { HF_FORWARDED, true },
	[REALIP_X_REAL_IP] = { HF_X_REAL_IP, false },
};

static void
realip_scheme(struct request *r, struct str scheme)
{
	if (str_caseeq(scheme, STR("https")) || str_caseeq(scheme, STR("wss")))
		r->is_tls = true;
	else if (str_caseeq(scheme, STR("http")) || str_caseeq(scheme, STR("ws")))
		r->is_tls = false;
}

/* X-Forwarded-Proto may be a list, one for each hop: then the one of the hop that named the client
   counts; proxies that replace it leave one, theirs. */
static void
realip_proto(struct request *r, int hop)
{
	struct str list = req_field_all(r, HF_X_FORWARDED_PROTO), item, last = { NULL, 0 };

	for (int i = 0; i <= hop && realip_last(&list, &item); i++)
		if (item.n > 0)
			last = item;
	if (last.p)
		realip_scheme(r, last);
}

static enum verdict
realip_access(struct request *r, const void *conf)
{
	const struct realip *c = conf;
	const struct realip_source *source = &realip_sources[c->header];
	const struct cidr_set *trusted = &worker_conf(r->w)->trusted;
	struct str list, item;
	int hop = -1;

	if (trusted->n == 0 || !cidr_match(trusted, r->peer.family, r->peer.addr))
		return NEXT;
	list = req_field_all(r, source->field);
	while (hop + 1 < REALIP_HOPS && realip_last(&list, &item)) {
		struct peer next;

		hop++;
		if (source->is_forwarded)
			realip_scheme(r, realip_param(item, STR("proto")));
		if (source->is_forwarded)
			item = realip_param(item, STR("for"));
		if (!realip_node(item, &next))
			next = (struct peer){ .family = AF_INET6 };
		r->peer = next;
		if (!cidr_match(trusted, next.family, next.addr))
			break;
	}
	if (!source->is_forwarded)
		realip_proto(r, hop < 0 ? 0 : hop);
	return NEXT;
}

static bool
realip_active(const void *conf)
{
	return ((const struct realip *)conf)->header != REALIP_OFF;
}

/* Without trusted proxies the option does nothing, which is hardly what was meant. */
static int
realip_start(const struct conf *conf, struct worker *w)
{
	if (conf->trusted.n > 0 || worker_heritage(w)->seat != 0)
		return 0;
	for (size_t i = 0; i < conf->nsites; i++)
		for (size_t k = 0; k < conf->sites[i].nroutes; k++) {
			const struct conf_hooks *hooks = &conf->sites[i].routes[k].access;

			if (hooks->n > 0 && hooks->v[0].module->access == realip_access) {
				log_at(LOG_WARN_, "realip", false,
				    "has no effect: trusted_proxies is not set");
				return 0;
			}
		}
	return 0;
}

const struct module module_realip = {
	.name = "realip",
	.help = "The client's own address behind trusted proxies. (The PROXY protocol needs no "
		"module: see "
		"proxy_protocol at the listener.)",
	.opts = realip_opts,
	.conf_size = sizeof(struct realip),
	.active = realip_active,
	.start = realip_start,
	.access = realip_access,
};

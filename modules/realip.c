/*
 * The client behind trusted proxies. Every proxy appends the address it was asked from, so the list
 * is read from its right end, and only as long as the address reached so far is trusted: what a
 * client writes into the field itself stands to the left of the first address that is not, and is
 * never looked at. Quotes are followed from the right as well: one that a client leaves open must
 * not swallow what the proxy appended.
 */
#include <sys/socket.h>
#include "common/base/cidr.h"
#include "common/base/forwarded.h"
#include "common/base/log.h"
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

/* The peer of an element; one that nobody knows when the element names none. IPv4-mapped addresses
   are IPv4. */
static struct peer
realip_peer(const struct forwarded *f)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct peer p = { .family = f->family, .port = f->port };

	if (f->family == 0)
		return (struct peer){ .family = AF_INET6 };
	memcpy(p.addr, f->addr, sizeof(p.addr));
	if (p.family == AF_INET6 && memcmp(p.addr, mapped, sizeof(mapped)) == 0) {
		p.family = AF_INET;
		memmove(p.addr, p.addr + 12, 4);
	}
	return p;
}

/* Takes the last element of a list off; false when there is none. */
static bool
realip_last(struct str *list, struct str *item)
{
	size_t at = list->n;
	bool is_quoted = false;

	if (!list->p)
		return false;
	for (; at > 0 && (is_quoted || list->p[at - 1] != ','); at--)
		if (list->p[at - 1] == '"' && (at < 2 || list->p[at - 2] != '\\'))
			is_quoted = !is_quoted;
	*item = str_trim(str_n(list->p + at, list->n - at));
	*list = at > 0 ? str_n(list->p, at - 1) : (struct str){ NULL, 0 };
	return true;
}

static bool
realip_parse_node(struct str item, unsigned n, struct forwarded *out)
{
	(void)n;
	*out = (struct forwarded){ 0 };
	return forwarded_node(item, out);
}

static const struct realip_source {
	enum http_field field;
	bool (*parse)(struct str item, unsigned n, struct forwarded *);
	bool has_proto; /* the element itself says the scheme */
} realip_sources[] = {
	[REALIP_XFF] = { HF_X_FORWARDED_FOR, realip_parse_node, false },
	[REALIP_FORWARDED] = { HF_FORWARDED, forwarded_nth, true },
	[REALIP_X_REAL_IP] = { HF_X_REAL_IP, realip_parse_node, false },
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
		struct forwarded f;

		hop++;
		source->parse(item, 0, &f);
		if (source->has_proto)
			realip_scheme(r, f.proto);
		r->peer = realip_peer(&f);
		r->is_resolved = true;
		if (!cidr_match(trusted, r->peer.family, r->peer.addr))
			break;
	}
	if (!source->has_proto)
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
		"module: see proxy_protocol at the listener.)",
	.opts = realip_opts,
	.conf_size = sizeof(struct realip),
	.active = realip_active,
	.start = realip_start,
	.access = realip_access,
};

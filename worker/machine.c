#include <sys/socket.h>

#include "common/base/log.h"
#include "worker/machine.h"
#include "worker/state.h"

enum { ORIGIN_LISTENS = 256 };

static bool
machine_is_loopback(const struct peer *p)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	if (p->family == AF_INET)
		return p->addr[0] == 127;
	return p->family == AF_INET6 && memcmp(p->addr, loopback6, sizeof(loopback6)) == 0;
}

/* A Unix socket has no addresses: its client is nearly always a proxy for somebody else, so only
   the address that a trusted proxy gives in a field counts. */
const char *
req_not_local(const struct request *r)
{
	if (r->peer.family == AF_UNIX)
		return "who comes through a Unix socket is taken for a proxy, whose client is not "
		       "known: see trusted_proxies and realip";
	if (!machine_is_loopback(&r->peer))
		return "the client is on another machine";
	if (r->via.family != AF_UNIX && !machine_is_loopback(&r->via))
		return "the connection comes from another machine";
	if (!r->is_resolved && machine_is_forwarded(r))
		return "the request was forwarded by a proxy, whose client is not known: see "
		       "trusted_proxies and realip";
	return NULL;
}

static bool
machine_has_realip(const struct route *route)
{
	for (size_t i = 0; i < route->access.n; i++)
		if (str_eq(route->access.v[i].name, STR("realip")))
			return true;
	return false;
}

void
machine_warn(const struct request *r)
{
	static bool warned[ORIGIN_LISTENS];
	const struct conf *conf = worker_conf(r->w);
	size_t i = r->listen ? (size_t)(r->listen - conf->listens) : ORIGIN_LISTENS;
	bool is_unix = r->via.family == AF_UNIX;

	if (i >= ORIGIN_LISTENS || warned[i] || r->listen->proxy_protocol ||
	    (!is_unix && !machine_is_loopback(&r->via)))
		return;
	if (conf->trusted.n > 0 && cidr_match(&conf->trusted, r->via.family, r->via.addr) &&
	    machine_has_realip(r->route))
		return;
	warned[i] = true;
	log_warnx("%s: proxies seem to connect here, and count as the clients: set trusted_proxies "
		  "= \"%s\" in server: { }, and realip to the field that they send",
	    r->listen->text.p, is_unix ? "unix" : "loopback");
}

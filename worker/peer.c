#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/peer.h"

void
peer_of(struct peer *p, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	p->family = AF_UNIX;
	p->port = 0;
	if (ss->ss_family == AF_INET) {
		p->family = AF_INET;
		p->port = ntohs(in->sin_port);
		memcpy(p->addr, &in->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		p->port = ntohs(in6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			p->family = AF_INET;
			memcpy(p->addr, in6->sin6_addr.s6_addr + 12, 4);
		} else {
			p->family = AF_INET6;
			memcpy(p->addr, &in6->sin6_addr, 16);
		}
	}
}

/* Most addresses; several times as fast as inet_ntop(3), which formats by printf. */
static struct str
peer_dotted(struct arena *a, const uint8_t addr[4])
{
	char *text = arena_alloc(a, INET_ADDRSTRLEN), *p = text, digits[20];

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = mempcpy(p, digits, str_from_u64(digits, addr[i]));
	}
	*p = '\0';
	return str_n(text, (size_t)(p - text));
}

struct str
peer_text(struct arena *a, const struct peer *p)
{
	char text[INET6_ADDRSTRLEN];
	const char *z;

	if (p->family == AF_UNIX)
		return STR("unix:");
	if (p->family == AF_INET)
		return peer_dotted(a, p->addr);
	z = inet_ntop(p->family, p->addr, text, sizeof(text));
	return arena_str(a, z ? str_of(z) : STR("-"));
}

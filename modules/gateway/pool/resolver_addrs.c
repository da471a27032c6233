#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "modules/gateway/pool/resolver_addrs.h"

static int
resolver_addrs_compare(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return a->ss_family == AF_INET ? -1 : 1;
	return memcmp(a, b, sizeof(*a));
}

static bool
resolver_addrs_make(struct sockaddr_storage *out, int family, const void *addr)
{
	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)out)->sin_addr, addr, sizeof(struct in_addr));
	else if (family == AF_INET6)
		memcpy(&((struct sockaddr_in6 *)out)->sin6_addr, addr, sizeof(struct in6_addr));
	return family == AF_INET || family == AF_INET6;
}

void
resolver_addrs_add(struct resolver_addrs *s, int family, const void *addr)
{
	struct sockaddr_storage new;
	unsigned at = 0;
	int d = -1;

	if (!resolver_addrs_make(&new, family, addr))
		return;
	while (at < s->n && (d = resolver_addrs_compare(&new, &s->v[at])) > 0)
		at++;
	if (at == RESOLVER_ADDRS || (at < s->n && d == 0))
		return;
	if (s->n == RESOLVER_ADDRS)
		s->n--;
	memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof(*s->v));
	s->v[at] = new;
	s->n++;
}

bool
resolver_addrs_equal(const struct resolver_addrs *a, const struct resolver_addrs *b)
{
	return a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0;
}

const char *
resolver_addrs_text(const struct sockaddr_storage *a, char *text)
{
	const void *addr = a->ss_family == AF_INET
			       ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
			       : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;

	return inet_ntop(a->ss_family, addr, text, INET6_ADDRSTRLEN);
}

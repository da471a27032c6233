/*
 * The PROXY protocol (proxy-protocol.txt of HAProxy, versions 1 and 2). Only trusted peers get
 * here, but nothing is believed beyond the octets that are there.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include "worker/proxyproto.h"

/* Version 1: a line of at most 107 octets with its CRLF. */
enum { PROXYPROTO_V1_MAX = 107 };
/* Version 2: 12 octets of signature, command, family, length of the rest (2). */
enum { PROXYPROTO_V2_HEAD = 16, PROXYPROTO_TLV_HEAD = 3, PROXYPROTO_TLV_SSL = 0x20 };

static const struct str proxyproto_v1 = STR_INIT("PROXY ");
static const struct str proxyproto_v2 = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

/* Whether s begins with magic, or can still become so. */
static bool
proxyproto_may_be(struct str s, struct str magic)
{
	size_t n = s.n < magic.n ? s.n : magic.n;

	return memcmp(s.p, magic.p, n) == 0;
}

/* --- version 1 --- */

static bool
proxyproto_address(struct str text, struct peer *peer)
{
	char z[INET6_ADDRSTRLEN];

	if (text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return strlen(z) == text.n && inet_pton(peer->family, z, peer->addr) == 1;
}

/* "0" to "65535" without leading zeros. */
static bool
proxyproto_port(struct str text, struct peer *peer)
{
	uint64_t v;

	if (!str_to_u64(text, UINT16_MAX, &v) || (text.p[0] == '0' && text.n > 1))
		return false;
	peer->port = (uint16_t)v;
	return true;
}

/* The line without "PROXY " and CRLF. */
static bool
proxyproto_line(struct str line, struct proxyproto *out)
{
	struct str protocol = str_split(&line, ' '), client, server, client_port;
	bool is_4 = str_eq(protocol, STR("TCP4"));

	if (str_eq(protocol, STR("UNKNOWN"))) {
		out->is_local = true; /* whatever follows is to be ignored */
		return true;
	}
	if (!is_4 && !str_eq(protocol, STR("TCP6")))
		return false;
	out->client.family = out->server.family = is_4 ? AF_INET : AF_INET6;
	client = str_split(&line, ' ');
	server = str_split(&line, ' ');
	client_port = str_split(&line, ' ');
	return line.p && proxyproto_address(client, &out->client) &&
	       proxyproto_address(server, &out->server) &&
	       proxyproto_port(client_port, &out->client) && proxyproto_port(line, &out->server);
}

static ssize_t
proxyproto_parse_1(struct str s, struct proxyproto *out)
{
	size_t max = s.n < PROXYPROTO_V1_MAX ? s.n : PROXYPROTO_V1_MAX;
	ptrdiff_t lf = str_find(str_n(s.p, max), '\n');
	struct str line;

	if (lf < 0)
		return s.n < PROXYPROTO_V1_MAX ? 0 : -1;
	if (s.p[lf - 1] != '\r')
		return -1;
	line = str_n(s.p + proxyproto_v1.n, (size_t)lf - 1 - proxyproto_v1.n);
	return proxyproto_line(line, out) ? lf + 1 : -1;
}

/* --- version 2 --- */

/* What follows the header by address family: octets of one address, of one port. */
static const struct proxyproto_family {
	uint8_t family, addr, port;
} proxyproto_families[] = {
	[0] = { AF_UNSPEC, 0, 0 },
	[1] = { AF_INET, 4, 2 },
	[2] = { AF_INET6, 16, 2 },
	[3] = { AF_UNIX, 108, 0 },
};

static uint16_t
proxyproto_u16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static void
proxyproto_peer(
    struct peer *peer, const struct proxyproto_family *f, const char *addr, const char *port)
{
	peer->family = f->family;
	if (f->port == 0)
		return; /* of a Unix socket, nothing but that is kept */
	memcpy(peer->addr, addr, f->addr);
	peer->port = proxyproto_u16(port);
}

/* The vectors of type, length, value behind the addresses. */
static bool
proxyproto_vectors(struct str s, struct proxyproto *out)
{
	while (s.n > 0) {
		size_t len;

		if (s.n < PROXYPROTO_TLV_HEAD)
			return false;
		len = proxyproto_u16(s.p + 1);
		if (s.n - PROXYPROTO_TLV_HEAD < len)
			return false;
		/* PP2_TYPE_SSL begins with a bit field; PP2_CLIENT_SSL is its lowest. */
		if (s.p[0] == PROXYPROTO_TLV_SSL && len >= 5)
			out->is_tls = s.p[PROXYPROTO_TLV_HEAD] & 1;
		s = str_n(s.p + PROXYPROTO_TLV_HEAD + len, s.n - PROXYPROTO_TLV_HEAD - len);
	}
	return true;
}

/* family: address family and transport; rest: what the length covers. */
static bool
proxyproto_addresses(unsigned family, struct str rest, struct proxyproto *out)
{
	const struct proxyproto_family *f;
	size_t n;

	if (family >> 4 > 3 || (family & 15) > 2)
		return false;
	f = &proxyproto_families[family >> 4];
	n = (size_t)(f->addr + f->port) * 2;
	if (rest.n < n)
		return false;
	/* An unspecified family or transport: "unknown", as in version 1. */
	if (family >> 4 == 0 || (family & 15) == 0) {
		out->is_local = true;
		return true;
	}
	proxyproto_peer(&out->client, f, rest.p, rest.p + 2 * f->addr);
	proxyproto_peer(&out->server, f, rest.p + f->addr, rest.p + 2 * f->addr + f->port);
	return proxyproto_vectors(str_n(rest.p + n, rest.n - n), out);
}

static ssize_t
proxyproto_parse_2(struct str s, struct proxyproto *out)
{
	unsigned command, family;
	size_t len;

	/* 0x20: LOCAL, 0x21: PROXY; the upper half is the version. */
	if (s.n <= proxyproto_v2.n)
		return 0;
	command = (unsigned char)s.p[12];
	if (command != 0x20 && command != 0x21)
		return -1;
	if (s.n < PROXYPROTO_V2_HEAD)
		return 0;
	family = (unsigned char)s.p[13];
	len = PROXYPROTO_V2_HEAD + (size_t)proxyproto_u16(s.p + 14);
	if (len > PROXYPROTO_MAX)
		return -1;
	if (s.n < len)
		return 0;
	/* A LOCAL connection is the proxy's own; its addresses are to be skipped unseen. */
	if (command == 0x20)
		out->is_local = true;
	else if (!proxyproto_addresses(
		     family, str_n(s.p + PROXYPROTO_V2_HEAD, len - PROXYPROTO_V2_HEAD), out))
		return -1;
	return (ssize_t)len;
}

ssize_t
proxyproto_parse(const char *buf, size_t n, struct proxyproto *out)
{
	struct str s = str_n(buf, n);

	*out = (struct proxyproto){ 0 };
	if (n == 0)
		return 0;
	if (proxyproto_may_be(s, proxyproto_v2))
		return proxyproto_parse_2(s, out);
	if (!proxyproto_may_be(s, proxyproto_v1))
		return -1;
	return n <= proxyproto_v1.n ? 0 : proxyproto_parse_1(s, out);
}

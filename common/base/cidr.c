/*
 * Parses and matches sets of addresses. A set is an array that is gone through in order: lists of
 * rules are short, and an element is compared in a few instructions. Invariant: the bits of an
 * element behind its prefix are 0, and an IPv4-mapped network is kept as IPv4.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "common/base/cidr.h"

static const char cidr_allowed[] =
    "an address (\"192.0.2.7\", \"2001:db8::1\"), a network (\"192.0.2.0/24\", \"2001:db8::/32\"), "
    "or one of the words \"private\", \"loopback\", \"unix\", \"all\"";

/* What a word stands for; rows of one word are all added. */
static const struct cidr_word {
	const char *word;
	const char *network; /* NULL: family says it all */
	uint8_t family;
} cidr_words[] = {
	{ "all", NULL, 0 },
	{ "unix", NULL, AF_UNIX },
	{ "loopback", "127.0.0.0/8", 0 },
	{ "loopback", "::1", 0 },
	{ "private", "10.0.0.0/8", 0 }, /* RFC 1918 */
	{ "private", "172.16.0.0/12", 0 },
	{ "private", "192.168.0.0/16", 0 },
	{ "private", "169.254.0.0/16", 0 }, /* RFC 3927 */
	{ "private", "127.0.0.0/8", 0 },
	{ "private", "fc00::/7", 0 },  /* RFC 4193 */
	{ "private", "fe80::/10", 0 }, /* RFC 4291 2.5.6 */
	{ "private", "::1", 0 },
};

static const uint8_t cidr_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Room grows at powers of two, so the set needs no capacity of its own. */
static void
cidr_push(struct cidr_set *set, struct arena *a, const struct cidr *c)
{
	if ((set->n & (set->n - 1)) == 0) {
		struct cidr *v = arena_alloc(a, (set->n ? set->n * 2 : 1) * sizeof(*v));

		if (set->n)
			memcpy(v, set->v, set->n * sizeof(*v));
		set->v = v;
	}
	set->v[set->n++] = *c;
}

static bool
cidr_has_prefix(const uint8_t *addr, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (bits == 0) /* also a Unix peer, which has no bytes */
		return true;
	if (memcmp(addr, net, whole) != 0)
		return false;
	return rest == 0 || ((addr[whole] ^ net[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* Whether all bits behind the prefix are 0. */
static bool
cidr_is_network(const struct cidr *c, unsigned len)
{
	for (unsigned bit = c->bits; bit < len * 8; bit++)
		if (c->addr[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool
cidr_parse(struct cidr *c, struct str text, const char **why)
{
	struct str rest = text, addr = str_split(&rest, '/');
	char z[INET6_ADDRSTRLEN];
	uint64_t bits;
	unsigned len;

	*why = cidr_allowed;
	if (addr.n >= sizeof(z) || memchr(addr.p, '\0', addr.n))
		return false;
	memcpy(z, addr.p, addr.n);
	z[addr.n] = '\0';
	memset(c, 0, sizeof(*c));
	c->family = str_find(addr, ':') >= 0 ? AF_INET6 : AF_INET;
	len = c->family == AF_INET6 ? 16 : 4;
	if (inet_pton(c->family, z, c->addr) != 1)
		return false;
	bits = len * 8;
	if (rest.p && !str_to_u64(rest, len * 8, &bits)) {
		*why = len == 4 ? "a prefix length of 0 to 32 after the \"/\""
				: "a prefix length of 0 to 128 after the \"/\"";
		return false;
	}
	c->bits = (uint8_t)bits;
	if (!cidr_is_network(c, len)) {
		*why = "an address whose bits behind the prefix are 0, such as \"10.0.0.0/8\"";
		return false;
	}
	if (len == 16 && c->bits >= 96 && memcmp(c->addr, cidr_mapped, 12) == 0) {
		c->family = AF_INET;
		c->bits = (uint8_t)(c->bits - 96);
		memmove(c->addr, c->addr + 12, 4);
	}
	return true;
}

bool
cidr_add(struct cidr_set *set, struct arena *a, struct str text, const char **why)
{
	bool is_word = false;
	struct cidr c;

	for (size_t i = 0; i < sizeof(cidr_words) / sizeof(*cidr_words); i++) {
		const struct cidr_word *w = &cidr_words[i];

		if (!str_caseeq(text, str_of(w->word)))
			continue;
		is_word = true;
		if (!w->network)
			c = (struct cidr){ .family = w->family };
		else if (!cidr_parse(&c, str_of(w->network), why))
			return false;
		cidr_push(set, a, &c);
	}
	if (is_word)
		return true;
	if (!cidr_parse(&c, text, why))
		return false;
	cidr_push(set, a, &c);
	return true;
}

/* The prefix length by which c holds addr, as cidr_narrowest counts; -1: it does not. */
static int
cidr_width(const struct cidr *c, int family, const uint8_t *addr)
{
	if (c->family == 0)
		return 0;
	if (c->family != family || !cidr_has_prefix(addr, c->addr, c->bits))
		return -1;
	return c->family == AF_INET6 ? c->bits : 96 + c->bits;
}

int
cidr_narrowest(const struct cidr_set *set, int family, const uint8_t *addr)
{
	int best = -1;

	if (family == AF_INET6 && memcmp(addr, cidr_mapped, 12) == 0) {
		family = AF_INET;
		addr += 12;
	}
	for (size_t i = 0; i < set->n; i++) {
		int width = cidr_width(&set->v[i], family, addr);

		best = width > best ? width : best;
	}
	return best;
}

bool
cidr_match(const struct cidr_set *set, int family, const uint8_t *addr)
{
	return cidr_narrowest(set, family, addr) >= 0;
}

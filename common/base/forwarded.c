#include <arpa/inet.h>
#include <sys/socket.h>
#include "common/base/forwarded.h"

static bool
forwarded_address(struct str text, int family, struct forwarded *out)
{
	char z[INET6_ADDRSTRLEN];

	if (text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (strlen(z) != text.n || inet_pton(family, z, out->addr) != 1)
		return false;
	out->family = (uint8_t)family;
	return true;
}

/* The port, or a made-up name for one (RFC 7239 6.2), which says nothing. */
static bool
forwarded_port(struct str text, struct forwarded *out)
{
	uint64_t v;

	if (text.n > 1 && text.p[0] == '_')
		return true;
	if (!str_to_u64(text, UINT16_MAX, &v))
		return false;
	out->port = (uint16_t)v;
	return true;
}

bool
forwarded_node(struct str text, struct forwarded *out)
{
	struct str addr;
	int family = AF_INET;

	out->family = 0;
	out->port = 0;
	if (text.n > 0 && text.p[0] == '[') {
		text = str_n(text.p + 1, text.n - 1);
		addr = str_split(&text, ']');
		if (!text.p || (text.n > 0 && text.p[0] != ':'))
			return false;
		family = AF_INET6;
		text = text.n > 0 ? str_n(text.p + 1, text.n - 1) : (struct str){ NULL, 0 };
	} else if (forwarded_address(text, AF_INET6, out)) {
		return true; /* without brackets: only in X-Forwarded-For, and common there */
	} else {
		addr = str_split(&text, ':');
	}
	if (!forwarded_address(addr, family, out))
		return false;
	if (text.p && !forwarded_port(text, out)) {
		out->family = 0;
		return false;
	}
	return true;
}

/* The nth element from the right of a list. */
static bool
forwarded_element(struct str list, unsigned n, struct str *item)
{
	struct str rest = list;
	unsigned count = 0;

	while (str_list_next(&rest, item))
		count++;
	if (n >= count)
		return false;
	for (rest = list, n = count - n; n > 0; n--)
		str_list_next(&rest, item);
	return true;
}

bool
forwarded_for(struct str value, unsigned n, struct forwarded *out)
{
	struct str item;

	*out = (struct forwarded){ 0 };
	if (!forwarded_element(value, n, &item))
		return false;
	forwarded_node(item, out);
	return true;
}

/* Takes the quotes off; what needs its backslashes undone is no address, protocol or host. */
static struct str
forwarded_unquote(struct str s)
{
	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
		return s;
	s = str_n(s.p + 1, s.n - 2);
	return str_find(s, '\\') >= 0 ? str_n(s.p, 0) : s;
}

/* Splits *s at the first ';' outside quotes, as str_split does. */
static struct str
forwarded_pair(struct str *s)
{
	struct str head = *s;
	bool is_quoted = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '"')
			is_quoted = !is_quoted;
		else if (s->p[i] == '\\' && is_quoted)
			i++;
		else if (s->p[i] == ';' && !is_quoted) {
			head.n = i;
			*s = str_n(s->p + i + 1, s->n - i - 1);
			return head;
		}
	}
	*s = (struct str){ NULL, 0 };
	return head;
}

bool
forwarded_nth(struct str value, unsigned n, struct forwarded *out)
{
	struct str item;

	*out = (struct forwarded){ 0 };
	if (!forwarded_element(value, n, &item))
		return false;
	while (item.p) {
		struct str pair = str_trim(forwarded_pair(&item)), name = str_split(&pair, '=');
		struct str v = pair.p ? forwarded_unquote(pair) : pair;

		/* RFC 7239 4: names are case-insensitive. */
		if (str_caseeq(name, STR("for")) && v.p)
			forwarded_node(v, out);
		else if (str_caseeq(name, STR("proto")))
			out->proto = v;
		else if (str_caseeq(name, STR("host")))
			out->host = v;
	}
	return true;
}

/*
 * Addresses in their canonical form. The texts become keys (of rows in the segment, of connections
 * that are kept), so that one address has one text.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/un.h>

#include "common/base/address.h"

enum { ADDRESS_PATH = sizeof(((struct sockaddr_un *)0)->sun_path), ADDRESS_NAME = 253 };

static const char address_wants[] =
    "an address such as \"10.0.0.3:8080\", \"[2001:db8::3]:8080\", \"app.example:8080\" or "
    "\"unix:/run/app.sock\"";

static bool
address_unix(
    struct arena *a, struct str path, const char *dir, struct address *out, const char **why)
{
	size_t i;

	*why = "a path of 1 to 107 bytes, without control characters, after \"unix:\"";
	for (i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
			return false;
	if (path.n && path.p[0] != '/') {
		if (!dir) {
			*why = "an absolute path after \"unix:\"";
			return false;
		}
		path = arena_printf(a, "%s/%.*s", strcmp(dir, "/") == 0 ? "" : dir, STR_FMT(path));
	}
	if (path.n == 0 || path.n >= ADDRESS_PATH)
		return false;
	*out = (struct address){ .is_unix = true, .host = arena_str(a, path) };
	out->text = arena_printf(a, "unix:%.*s", STR_FMT(path));
	return true;
}

struct str
address_numeric(struct arena *a, struct str host, bool *is_v6)
{
	char text[INET6_ADDRSTRLEN], z[INET6_ADDRSTRLEN];
	uint8_t addr[16];
	int family;

	if (host.n >= sizeof(z) || memchr(host.p, '\0', host.n))
		return (struct str){ NULL, 0 };
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';
	*is_v6 = memchr(z, ':', host.n) != NULL;
	family = *is_v6 ? AF_INET6 : AF_INET;
	if (inet_pton(family, z, addr) != 1)
		return (struct str){ NULL, 0 };
	inet_ntop(family, addr, text, sizeof(text));
	return arena_str(a, str_of(text));
}

static bool
address_is_name_byte(unsigned char c)
{
	return (unsigned)str_lower(c) - 'a' < 26 || (unsigned)c - '0' < 10 || c == '-' || c == '_';
}

/* A host name in lower case, without a dot at its end; underscores as containers are called. Digits
   and dots alone are a mistyped address. */
static bool
address_name(struct arena *a, struct str host, struct str *out)
{
	char *p = arena_alloc(a, host.n + 1);
	size_t i, label = 0;
	bool has_letter = false;

	for (i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.p[i];

		if (c == '.' ? label == 0 : !address_is_name_byte(c) || label == 63)
			return false;
		label = c == '.' ? 0 : label + 1;
		has_letter |= c != '.' && (unsigned)c - '0' >= 10;
		p[i] = (char)str_lower(c);
	}
	if (i && p[i - 1] == '.')
		i--;
	p[i] = '\0';
	*out = str_n(p, i);
	return i > 0 && i <= ADDRESS_NAME && has_letter;
}

/* Host and port apart; the port is n 0 when there is none. False: brackets that do not close, more
   than one colon without them. */
static bool
address_split(
    struct str text, struct str *host, struct str *port, bool *in_brackets, const char **why)
{
	ptrdiff_t at;

	*port = STR("");
	*in_brackets = text.n && text.p[0] == '[';
	at = *in_brackets ? str_find(text, ']') : str_find(text, ':');
	*host = at < 0 ? text : str_n(text.p, (size_t)at);
	if (*in_brackets) {
		if (at < 0)
			return false;
		*host = str_n(text.p + 1, (size_t)at - 1);
		if ((size_t)++at == text.n)
			return true;
		if (text.p[at] != ':')
			return false;
	}
	if (at < 0)
		return true;
	*port = str_n(text.p + at + 1, text.n - (size_t)at - 1);
	if (str_find(*port, ':') >= 0) {
		*why = "an IPv6 address in brackets: \"[::1]:8080\"";
		return false;
	}
	return port->n > 0;
}

bool
address_parse(struct arena *a, struct str text, const char *dir, int64_t port, struct address *out,
    const char **why)
{
	struct str host, number;
	bool in_brackets, is_v6 = false;
	uint64_t n = (uint64_t)port;

	if (str_has_prefix(text, STR("unix:")))
		return address_unix(a, str_n(text.p + 5, text.n - 5), dir, out, why);
	*why = address_wants;
	if (!address_split(text, &host, &number, &in_brackets, why) || host.n == 0)
		return false;
	*out = (struct address){ .host = address_numeric(a, host, &is_v6) };
	out->is_numeric = out->host.p != NULL;
	out->is_v6 = out->is_numeric && is_v6;
	if (in_brackets != out->is_v6)
		return false;
	if (!out->is_numeric && !address_name(a, host, &out->host))
		return false;
	if (number.n ? !str_to_u64(number, 65535, &n) || n == 0 : n == 0) {
		*why = number.n ? "a port from 1 to 65535"
				: "a port, as in \"10.0.0.3:8080\" or \"app.example:8080\"";
		return false;
	}
	out->port = (int64_t)n;
	out->text =
	    arena_printf(a, out->is_v6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(out->host), (unsigned)n);
	return true;
}

struct str
address_scheme(struct str *text)
{
	struct str scheme;
	size_t i;

	for (i = 0; i < text->n && (unsigned)str_lower((unsigned char)text->p[i]) - 'a' < 26; i++)
		continue;
	scheme = str_n(text->p, i);
	if (i == 0 || !str_has_prefix(str_n(text->p + i, text->n - i), STR("://")))
		return str_n(text->p, 0);
	*text = str_n(text->p + i + 3, text->n - i - 3);
	return scheme;
}

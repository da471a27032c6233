/*
 * Targets: an accepted path begins with '/', has no empty, "." or ".." segment and no control
 * character, and normalising it again changes nothing; encoding and decoding undo each other.
 */
#include <stdlib.h>
#include "test/fuzz/fuzz.h"
#include "worker/uri.h"

static void
check_path(struct arena *a, struct str path)
{
	struct str rest = path, again;

	must(path.n > 0 && path.p[0] == '/');
	str_split(&rest, '/');
	while (rest.p) {
		struct str seg = str_split(&rest, '/');

		must(seg.n > 0 || !rest.p); /* empty: only behind the last '/' */
		must(!str_eq(seg, STR(".")) && !str_eq(seg, STR("..")));
	}
	for (size_t i = 0; i < path.n; i++)
		must((unsigned char)path.p[i] >= 0x20 && path.p[i] != 0x7f);
	must(uri_normalise(a, path, &again));
	must(str_eq(again, path));
}

/* path, encoded, is a target that means path. */
static void
check_encoding(struct arena *a, struct str path)
{
	struct str text = uri_encode_path(a, path);
	struct uri u;

	for (size_t i = 0; i < text.n; i++)
		must(text.p[i] > ' ' && text.p[i] != '?' && text.p[i] != '#' && text.p[i] < 0x7f);
	must(uri_parse(text, M_GET, a, &u) == 0);
	must(str_eq(u.path, path) && !u.query.p);
}

/* What is handed on of a target is the same target, in octets of RFC 3986. */
static void
check_handed_on(struct arena *a, const struct uri *u)
{
	struct str path = uri_encode_excluded(a, u->raw_path);
	struct uri again;

	for (size_t i = 0; i < path.n; i++)
		must(path.p[i] > ' ' && path.p[i] < 0x7f && !strchr("\"#<>?[\\]^`{|}", path.p[i]));
	must(uri_parse(path, M_GET, a, &again) == 0 && str_eq(again.path, u->path));
	if (!u->is_plain)
		return;
	must(again.is_plain && u->path.p == u->raw_path.p && path.p == u->raw_path.p);
	must(str_find(path, '%') < 0 && str_find(path, ';') < 0);
	must(uri_encode_excluded(a, u->query).p == u->query.p);
}

static void
check_host(struct arena *a, struct str host)
{
	struct str again;
	uint16_t port;

	for (size_t i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.p[i];

		must(c > ' ' && c < 0x7f && c != '/' && c != '@' && c == str_lower(c));
		must(c != '.' || i == 0 || host.p[i - 1] != '.');
	}
	must(uri_authority(host, a, &again, &port) && str_eq(again, host) && port == 0);
}

static void
check_target(struct arena *a, struct str target, enum http_method method)
{
	struct uri u;
	int status = uri_parse(target, method, a, &u);

	must(status == 0 || status == 400);
	if (status)
		return;
	check_host(a, u.host);
	must(fuzz_is_inside(u.query, target.p, target.n));
	if (method == M_CONNECT) {
		must(u.host.n > 0 && u.port > 0);
		return;
	}
	if (u.is_asterisk) {
		must(method == M_OPTIONS);
		return;
	}
	check_path(a, u.path);
	check_encoding(a, u.path);
	check_handed_on(a, &u);
	must(u.raw_path.n > 0 && u.raw_path.p[0] == '/');
	must(str_find(u.raw_path, '?') < 0 && str_find(u.raw_path, '#') < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum http_method methods[] = { M_GET, M_OPTIONS, M_CONNECT, M_OTHER };
	uint8_t choice = fuzz_take(&data, &n);
	struct arena arena;
	struct str in, out;
	uint16_t port;
	char *buf;

	if (n > 4000)
		return 0;
	buf = malloc(n > 0 ? n : 1);
	memcpy(buf, data, n);
	in = str_n(buf, n);
	arena_init(&arena, NULL, 0);
	check_target(&arena, in, methods[choice % 4]);
	if (uri_authority(in, &arena, &out, &port))
		check_host(&arena, out);
	if (uri_normalise(&arena, in, &out))
		check_path(&arena, out);
	arena_fini(&arena);
	free(buf);
	return 0;
}

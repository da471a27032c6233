/*
 * Paths to backends, against an application that was written by somebody else: a table of routes
 * and a target from the input, and a reader that does with the path that it gets whatever the input
 * says, in that order: decodes it, with its own decoder, takes other octets for slashes, resolves
 * dot segments and merges slashes, strips parameters, takes a host from the front, cuts it.
 * Whenever the gateway hands a path on, every way of reading it ends at the route that serves the
 * request, and below path_to.
 */
#include <stdlib.h>
#include "common/config/cfg_errors.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/reading.h"
#include "modules/gateway/gateway.h"
#include "test/fuzz/fuzz.h"
#include "worker/state.h"
#include "worker/uri.h"

enum { NAIVE_MAX = 4096, NAIVE_STEPS = 6, CONFS = 2, ROUTES = 6 };

/* Tables that only the loader can make: with expressions, and with an index. */
static const char *const confs[CONFS] = {
	"sites = ( { host = \"a\"; routes = ( { regex = \"\\\\.b$\"; }, { path = \"/a\"; },"
	" { regex = \"^/b/[^/]*$\"; }, { regex = \"/admin\"; } ); } );",
	"sites = ( { host = \"a\"; routes = ( { path = \"/a/b/c\"; }, { path = \"/a/b\"; },"
	" { path = \"/b/admin\"; }, { path = \"/a/c\"; }, { exact = \"/c/a\"; }, { path = \"/a\"; "
	"},"
	" { path = \"/b\"; methods = \"POST\"; }, { path = \"/c\"; }, { path = \"/admin\"; },"
	" { path = \"/b\"; } ); } );",
};

/* All others are made of these. */
static const char *const paths[] = { "/admin", "/a", "/a/b", "/a/b/c", "/b", "/c", "/b/admin",
	"/a/c", "/a;b", "/a/.b", "/c/a", "/a\\b", "/a?b", "/a/b;c", "/%", "/a b" };

static const struct mapping {
	const char *from, *to;
} mappings[] = { { "", "" }, { "", "" }, { "/a", "/" }, { "/a", "/v2" }, { "/", "/v2/" },
	{ "/a/b", "/v2/w" }, { "/b/", "" }, { "/c", "/c/c" } };

/* --- the naive reader: NUL-terminated text in a buffer, read anew at each step --- */

static int
naive_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)((p - digits) % 16) : -1;
}

static void
naive_decode(char *text, bool keeps_slashes)
{
	char out[NAIVE_MAX], *q = out;

	for (const char *p = text; *p; p++) {
		int high = *p == '%' ? naive_digit(p[1]) : -1,
		    low = high < 0 ? -1 : naive_digit(p[2]);
		char c = (char)(high * 16 + low);

		if (low < 0 || (keeps_slashes && c == '/')) {
			*q++ = *p;
			continue;
		}
		*q++ = c; /* a NUL ends the text, as it does for many */
		p += 2;
	}
	*q = '\0';
	strcpy(text, out);
}

static void
naive_replace(char *text, const char *what, char with)
{
	for (char *p; (p = strstr(text, what));) {
		*p = with;
		memmove(p + 1, p + strlen(what), strlen(p + strlen(what)) + 1);
	}
}

static void
naive_overlong(char *text)
{
	naive_replace(text, "\xc0\xaf", '/');
	naive_replace(text, "\xc0\xae", '.');
	naive_replace(text, "\xc1\x9c", '\\');
	naive_replace(text, "\xc1\xa1", 'a');
	naive_replace(text, "\xc0\xbb", ';');
	naive_replace(text, "\xe0\x80\xaf", '/');
	naive_replace(text, "\xe0\x80\xae", '.');
	naive_replace(text, "\xf0\x80\x80\xae", '.');
	naive_replace(text, "\xf8\x80\x80\x80\xaf", '/');
}

static void
naive_strip(char *text)
{
	for (char *p; (p = strchr(text, ';'));)
		memmove(p, p + strcspn(p, "/"), strlen(p + strcspn(p, "/")) + 1);
}

/* "." and ".." resolved as RFC 3986 5.2.4 does, empty segments kept or not. */
static void
naive_resolve(char *text, bool merges)
{
	char out[NAIVE_MAX] = "", *p = text;

	while (*p == '/') {
		size_t n = strcspn(++p, "/");
		bool is_last = !p[n];

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			*(strrchr(out, '/') ? strrchr(out, '/') : out) = '\0';
			strcat(out, is_last ? "/" : "");
		} else if (n == 1 && p[0] == '.') {
			strcat(out, is_last ? "/" : "");
		} else if (n > 0 || !merges || is_last) {
			strcat(out, "/");
			strncat(out, p, n);
		}
		p += n;
	}
	strcpy(text, *out ? out : "/");
}

/* "//host/path" */
static void
naive_authority(char *text)
{
	if (text[0] == '/' && text[1] == '/') {
		memmove(text, text + 2 + strcspn(text + 2, "/"),
		    strlen(text + 2 + strcspn(text + 2, "/")) + 1);
		if (!*text)
			strcpy(text, "/");
	}
}

/* One step; whether it decodes. */
static bool
naive_step(char *text, uint8_t step)
{
	switch (step % 12) {
	case 0:
	case 1:
	case 2:
		naive_decode(text, false);
		return true;
	case 3:
		naive_decode(text, true);
		return true;
	case 4:
		naive_replace(text, "\\", '/');
		return false;
	case 5:
		naive_strip(text);
		return false;
	case 6:
		naive_resolve(text, true);
		return false;
	case 7:
		naive_resolve(text, false);
		return false;
	case 8:
		naive_authority(text);
		return false;
	case 9:
		text[strcspn(text, "?")] = '\0';
		return false;
	case 10:
		text[strcspn(text, "#;")] = '\0';
		return false;
	default:
		naive_overlong(text);
		return false;
	}
}

/* --- the property --- */

struct ask {
	struct worker w;
	struct conf conf;
	struct site site;
	struct route routes[ROUTES + 1];
	struct request r;
	struct gateway_conf gw;
};

static bool
is_below(struct str path, struct str prefix)
{
	while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	return str_has_prefix(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* Where the reader ends with what was handed on. */
static void
check_reading(
    struct ask *t, const struct route *route, struct str sent, const uint8_t *steps, size_t n)
{
	char text[NAIVE_MAX];
	struct str path;
	bool is_decoded = !memchr(sent.p, '%', sent.n), is_mapped;

	memcpy(text, sent.p, sent.n);
	text[sent.n] = '\0';
	for (size_t i = 0; i < n; i++)
		is_decoded |= naive_step(text, steps[i]);
	if (!is_decoded)
		naive_decode(text, false);
	path = str_of(text);
	must(path.n > 0 && path.p[0] == '/');
	is_mapped = t->gw.path_from.n > 0 && is_below(t->r.path, t->gw.path_from);
	if (is_mapped)
		must(is_below(path, t->gw.path_to));
	else
		must(site_route(t->r.site, path, M_GET) == route);
	/* Nor is it one that would have been mapped. */
	must(is_mapped || t->gw.path_from.n == 0 || !is_below(path, t->gw.path_from));
	/* In whatever way it ends, and with whatever was left unread, nothing leads out of it. */
	must(!strstr(text, "/../") && !strstr(text, "/..;") && !strstr(text, "/./"));
	must(text[1] != '/');
}

static bool
ask_target(struct ask *t, char *target, size_t n)
{
	struct request *r = &t->r;
	struct uri uri;

	r->target = str_n(target, n);
	if (uri_parse(r->target, M_GET, &r->arena, &uri) != 0 || uri.path.p[0] != '/')
		return false;
	r->method = M_GET;
	r->method_name = STR("GET");
	r->path = uri.path;
	r->raw_path = uri.raw_path;
	r->query = uri.query;
	r->is_plain = uri.is_plain;
	return true;
}

/* The rewritten path is what stands behind a newline in the input. */
static void
rewrite(struct ask *t, struct str rewritten)
{
	struct str path;

	if (!rewritten.p || !uri_normalise(&t->r.arena, rewritten, &path))
		return;
	t->r.path = path;
	t->r.reroutes = 1;
}

static void
check_sent(struct ask *t, const uint8_t *steps, size_t n)
{
	struct request *r = &t->r;
	struct str sent = hmap_path(r, &t->gw), uri = hpath_own(r), asked;
	const char *why;

	if (sent.n >= NAIVE_MAX - 8 || uri.n >= NAIVE_MAX - 8)
		return;
	if (reading_check(r, &t->gw, &(struct script){ .path_info = STR("") }, false, &why) == 0)
		check_reading(t, r->route, sent, steps, n);
	if (reading_check(r, &t->gw, &(struct script){ .path_info = STR("") }, true, &why) != 0)
		return;
	must(hpath_asked(r, &asked));
	t->gw.path_from = STR("");
	check_reading(t, site_route(r->site, asked, M_GET), uri, steps, n);
}

static const struct site *
site_loaded(unsigned i)
{
	static struct conf *loaded[CONFS];
	struct cfg_errors *errors;

	if (!loaded[i]) {
		loaded[i] = conf_load_text(confs[i], "fuzz", &errors);
		must(loaded[i]);
		cfg_errors_free(errors);
	}
	return &loaded[i]->sites[0];
}

/* A table of the input's choice; the last route is the prefix "/", as always. */
static const struct site *
site_made(struct ask *t, const uint8_t **data, size_t *n)
{
	size_t nroutes = fuzz_take(data, n) % (ROUTES + 1);

	for (size_t i = 0; i <= nroutes; i++) {
		uint8_t choice = i < nroutes ? fuzz_take(data, n) : 0;

		t->routes[i].site = &t->site;
		t->routes[i].kind = choice & 16 ? ROUTE_EXACT : ROUTE_PREFIX;
		t->routes[i].path = i < nroutes ? str_of(paths[choice & 15]) : STR("/");
		t->routes[i].path_label = "made";
	}
	t->site.routes = t->routes;
	t->site.nroutes = nroutes + 1;
	return &t->site;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t choice = fuzz_take(&data, &n), steps[NAIVE_STEPS];
	const struct mapping *m = &mappings[choice & 7];
	struct ask *t = calloc(1, sizeof(*t));
	char *copy = malloc(n + 1);
	struct str target, rest;

	for (size_t i = 0; i < NAIVE_STEPS; i++)
		steps[i] = fuzz_take(&data, &n);
	t->r.site = choice & 8 ? site_loaded(choice >> 4 & 1) : site_made(t, &data, &n);
	memcpy(copy, data, n);
	arena_init(&t->r.arena, NULL, 0);
	list_init(&t->w.posts);
	list_init(&t->w.posts_running);
	t->w.conf = &t->conf;
	t->r.w = &t->w;
	t->gw.path_from = str_of(m->from);
	t->gw.path_to = str_of(m->to);
	rest = str_n(copy, n);
	target = str_split(&rest, '\n');
	if (n < NAIVE_MAX && ask_target(t, copy, target.n)) {
		rewrite(t, rest);
		t->r.route = site_route(t->r.site, t->r.path, M_GET);
		check_sent(t, steps, NAIVE_STEPS);
	}
	arena_fini(&t->r.arena);
	free(copy);
	free(t);
	return 0;
}

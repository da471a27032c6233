/*
 * What a path may mean to who gets it. Our rules were asked about one path: decoded once, "%2F"
 * left as it is, dot segments and double slashes taken out (uri.h). Behind us stand readers who
 * decode
 * "%2F" before they look for dot segments, or decode twice, take a backslash for a slash, strip the
 * parameters of segments (RFC 3986 3.3: ";x=y") or cut the path at them, split the query off after
 * decoding, take overlong UTF-8 for what it spells, and do these things in any order.
 *
 * So the steps are a table, and every path that any sequence of them makes of what is handed on is
 * a reading. None may have a dot segment, or an authority in front, or a control character, and
 * each must be of the route whose rules were asked, and as much or as little below path_from. Then
 * it does not matter which of them the backend is. Undecoded text is only a step on the way: it
 * means nothing yet.
 *
 * What no sequence of steps changes is not looked at again, and the readings are bounded, in number
 * and in octets: what can be read in more ways is refused, nobody means well by it.
 */
#include <string.h>
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/hpath.h"
#include "modules/gateway/codec/reading.h"

enum { READING_MAX = 48, READING_OCTETS = 32768 };

/* What a path has that a step changes, or that no reading may have. */
enum reading_odd {
	ODD_ESCAPE = 1,
	ODD_BACKSLASH = 2,
	ODD_PARAMETER = 4,
	ODD_QUERY = 8,
	ODD_FRAGMENT = 16,
	ODD_OVERLONG = 32,
	ODD_CONTROL = 64,
	ODD_SLASHES = 128, /* two in a row */
};

static const uint8_t reading_odd[256] = {
	[0 ... 0x1f] = ODD_CONTROL,
	[0x7f] = ODD_CONTROL,
	['%'] = ODD_ESCAPE,
	['\\'] = ODD_BACKSLASH,
	[';'] = ODD_PARAMETER,
	['?'] = ODD_QUERY,
	['#'] = ODD_FRAGMENT,
	[0xc0 ... 0xc1] = ODD_OVERLONG,
	[0xe0] = ODD_OVERLONG,
	[0xf0] = ODD_OVERLONG,
	[0xf8] = ODD_OVERLONG,
	[0xfc] = ODD_OVERLONG,
};

struct reading {
	struct str text;
	uint8_t odd;
	bool is_decoded;
};

/* Whose rules were asked. route NULL: the rules have nothing to do with it. */
struct reading_place {
	const struct route *route;
	struct str from; /* path_from; n 0: none */
	bool is_below;
	struct str script; /* what is run, when more of the path follows it; n 0: nothing does */
	bool is_front;     /* it is the front controller: all that follows is its page */
};

struct readings {
	struct request *r;
	const struct reading_place *place;
	struct reading v[READING_MAX];
	unsigned n;
	size_t octets;
	char *scratch;
	const char *why; /* of the reading that is refused, culprit */
	struct str culprit;
};

/* --- the steps: each writes no more octets than it reads --- */

static int
reading_hex(unsigned char c)
{
	unsigned digit = c - '0', letter = (unsigned)(c | 0x20) - 'a';

	return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

/* The octet that the escape at p spells, or -1: it is none, and decoders leave it. */
static int
reading_escape(const char *p, const char *end)
{
	int high, low;

	if (*p != '%' || end - p < 3)
		return -1;
	high = reading_hex((unsigned char)p[1]);
	low = reading_hex((unsigned char)p[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static size_t
reading_decode_but(char *dst, struct str s, int kept)
{
	const char *p = s.p, *end = s.p + s.n;
	size_t n = 0;

	while (p < end) {
		int c = reading_escape(p, end);

		dst[n++] = c < 0 || c == kept ? *p : (char)c;
		p += c < 0 || c == kept ? 1 : 3;
	}
	return n;
}

static size_t
reading_decode(char *dst, struct str s)
{
	return reading_decode_but(dst, s, -1);
}

static size_t
reading_decode_but_slashes(char *dst, struct str s)
{
	return reading_decode_but(dst, s, '/');
}

static size_t
reading_backslashes(char *dst, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		dst[i] = s.p[i] == '\\' ? '/' : s.p[i];
	return s.n;
}

static size_t
reading_collapse(char *dst, struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '/' || n == 0 || dst[n - 1] != '/')
			dst[n++] = s.p[i];
	return n;
}

static size_t
reading_strip(char *dst, struct str s)
{
	bool is_parameter = false;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		is_parameter = s.p[i] == ';' || (is_parameter && s.p[i] != '/');
		if (!is_parameter)
			dst[n++] = s.p[i];
	}
	return n;
}

static size_t
reading_cut(char *dst, struct str s, char at)
{
	const char *end = memchr(s.p, at, s.n);
	size_t n = end ? (size_t)(end - s.p) : s.n;

	memcpy(dst, s.p, n);
	return n;
}

static size_t
reading_cut_parameter(char *dst, struct str s)
{
	return reading_cut(dst, s, ';');
}

static size_t
reading_cut_query(char *dst, struct str s)
{
	return reading_cut(dst, s, '?');
}

static size_t
reading_cut_fragment(char *dst, struct str s)
{
	return reading_cut(dst, s, '#');
}

/* How many octets at p are an overlong form (RFC 3629 3, 10) of the character *c, up to 0x7f; 0:
   they are none. */
static size_t
reading_overlong(const unsigned char *p, size_t left, char *c)
{
	size_t n = p[0] == 0xc0 || p[0] == 0xc1 ? 2
		   : p[0] == 0xe0               ? 3
		   : p[0] == 0xf0               ? 4
		   : p[0] == 0xf8               ? 5
		   : p[0] == 0xfc               ? 6
						: 0;
	unsigned v = n == 2 ? p[0] & 1 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	*c = (char)v;
	return v < 0x80 ? n : 0;
}

static size_t
reading_shorten(char *dst, struct str s)
{
	size_t n = 0;

	for (size_t i = 0, len; i < s.n; i += len) {
		dst[n] = s.p[i];
		len = reading_overlong((const unsigned char *)s.p + i, s.n - i, &dst[n]);
		if (len == 0)
			len = 1;
		n++;
	}
	return n;
}

static const struct reading_step {
	uint8_t odd; /* what it changes */
	bool decodes;
	size_t (*fn)(char *dst, struct str);
} reading_steps[] = {
	{ ODD_ESCAPE, true, reading_decode },
	{ ODD_ESCAPE, true, reading_decode_but_slashes },
	{ ODD_BACKSLASH, false, reading_backslashes },
	{ ODD_PARAMETER, false, reading_strip },
	{ ODD_PARAMETER, false, reading_cut_parameter },
	{ ODD_QUERY, false, reading_cut_query },
	{ ODD_FRAGMENT, false, reading_cut_fragment },
	{ ODD_OVERLONG, false, reading_shorten },
	{ ODD_SLASHES, false, reading_collapse },
};

/* --- what a reading may be --- */

static uint8_t
reading_scan(struct str s)
{
	uint8_t odd = 0;
	char last = '\0';

	for (size_t i = 0; i < s.n; i++) {
		odd |= reading_odd[(unsigned char)s.p[i]];
		if (s.p[i] == '/' && last == '/')
			odd |= ODD_SLASHES;
		last = s.p[i];
	}
	return odd;
}

/* Why no path may have a segment that begins so, at p; NULL: it may. */
static const char *
reading_segment(const char *p, const char *end)
{
	const char *rest = p + (p + 1 < end && p[0] == '.' && p[1] == '.' ? 2 : 1);

	if (*p == '.' && (rest == end || *rest == '/'))
		return "has a dot segment";
	/* It vanishes with its parameters. The last one may be "/;jsessionid=…". */
	if (*p == ';' && memchr(p, '/', (size_t)(end - p)))
		return "has a segment of parameters only";
	return NULL;
}

/* Most begin with neither a dot nor a semicolon: they are not looked at one by one. */
static const char *
reading_segments(struct str path)
{
	const char *why = NULL;

	for (const char *p = path.p, *end = p + path.n; !why && p + 1 < end; p++)
		if (*p == '/' && (p[1] == '.' || p[1] == ';'))
			why = reading_segment(p + 1, end);
	return why;
}

static bool
reading_is_below(struct str path, struct str from)
{
	while (from.n > 0 && from.p[from.n - 1] == '/')
		from.n--;
	return str_has_prefix(path, from) && (path.n == from.n || path.p[from.n] == '/');
}

/* What a path means to a script that makes pages: "/blog/index.php/x" is its page "/blog/x". p
   NULL: the path does not go through the script. */
static struct str
reading_page(struct arena *a, struct str script, struct str path)
{
	struct str dir = script;

	if (script.n == 0 || path.n <= script.n || path.p[script.n] != '/' ||
	    !str_has_prefix(path, script))
		return (struct str){ NULL, 0 };
	while (dir.n > 0 && dir.p[dir.n - 1] != '/')
		dir.n--;
	return arena_printf(
	    a, "%.*s%.*s", STR_FMT(dir), (int)(path.n - script.n - 1), path.p + script.n + 1);
}

static bool
reading_has_guard(const struct route *r, const struct conf_hook *guard)
{
	for (size_t i = 0; i < r->access.n; i++)
		if (r->access.v[i].module == guard->module && r->access.v[i].conf == guard->conf)
			return true;
	return false;
}

static bool
reading_is_guard(const struct conf_hook *h)
{
	return h->module->guards && h->module->guards(h->conf);
}

/* Whether a module decides on that route who may ask, and does not on ours. */
static bool
reading_is_guarded(const struct route *route, const struct route *ours)
{
	for (size_t i = 0; i < route->access.n; i++)
		if (reading_is_guard(&route->access.v[i]) &&
		    !reading_has_guard(ours, &route->access.v[i]))
			return true;
	return false;
}

/* The page that a script makes of what follows its name has the rules of that page. */
static const char *
reading_is_page_elsewhere(const struct readings *k, struct str path)
{
	const struct reading_place *place = k->place;
	struct str page = reading_page(&k->r->arena, place->script, path);
	const struct route *route = page.p ? site_route(k->r->site, page, k->r->method) : NULL;

	if (!page.p || route == place->route)
		return NULL;
	if (!route)
		return "cannot be routed: an expression hit its limit";
	if (!place->is_front && !reading_is_guarded(route, place->route))
		return NULL;
	return arena_printf(
	    &k->r->arena, "is a page of the route %s to its script", route->path_label)
	    .p;
}

static const char *
reading_is_elsewhere(const struct readings *k, struct str path)
{
	const struct reading_place *place = k->place;
	const struct route *route;

	if (!place->route)
		return NULL;
	route = site_route(k->r->site, path, k->r->method);
	if (!route)
		return "cannot be routed: an expression hit its limit";
	if (route != place->route)
		return arena_printf(&k->r->arena, "belongs to the route %s", route->path_label).p;
	if (place->from.n > 0 && reading_is_below(path, place->from) != place->is_below)
		return place->is_below ? "is not below path_from" : "is below path_from";
	return reading_is_page_elsewhere(k, path);
}

static const char *
reading_refused(const struct readings *k, const struct reading *reading)
{
	struct str path = reading->text;
	const char *why;

	if (reading->odd & ODD_CONTROL)
		return "has a control character";
	if (path.n > 1 && path.p[1] == '/')
		return "begins with an authority";
	why = reading_segments(path);
	return why || !reading->is_decoded ? why : reading_is_elsewhere(k, path);
}

/* --- all of them --- */

static bool
reading_is_known(const struct readings *k, struct str text, bool is_decoded)
{
	for (unsigned i = 0; i < k->n; i++)
		if (k->v[i].is_decoded == is_decoded && str_eq(k->v[i].text, text))
			return true;
	return false;
}

/* False: it is refused. */
static bool
reading_add(struct readings *k, struct str text, bool is_decoded)
{
	struct reading *reading = &k->v[k->n];

	if (reading_is_known(k, text, is_decoded))
		return true;
	k->octets += text.n;
	k->culprit = text;
	k->why = "is one of too many";
	if (k->n == READING_MAX || k->octets > READING_OCTETS)
		return false;
	*reading = (struct reading){ text, reading_scan(text), is_decoded };
	k->why = reading_refused(k, reading);
	if (k->why)
		return false;
	reading->text = k->n == 0 ? text : arena_str(&k->r->arena, text);
	k->n++;
	return true;
}

/* "%2F" at the end: many readers see nothing there. */
static bool
reading_follow_end(struct readings *k, const struct reading *reading)
{
	struct str text = reading->text;

	if (text.n < 2 || text.p[text.n - 1] != '/' || str_has_suffix(k->v[0].text, STR("/")))
		return true;
	memcpy(k->scratch, text.p, text.n - 1);
	return reading_add(k, str_n(k->scratch, text.n - 1), reading->is_decoded);
}

/* Adds what every step makes of a reading. */
static bool
reading_follow(struct readings *k, const struct reading *reading)
{
	if (!reading_follow_end(k, reading))
		return false;
	for (size_t i = 0; i < sizeof(reading_steps) / sizeof(reading_steps[0]); i++) {
		const struct reading_step *step = &reading_steps[i];
		size_t n;

		if (!(reading->odd & step->odd))
			continue;
		n = step->fn(k->scratch, reading->text);
		if (!reading_add(k, str_n(k->scratch, n), reading->is_decoded || step->decodes))
			return false;
	}
	return true;
}

/* Of a long path the beginning: the reason stands behind it, and a line has an end. */
static struct str
reading_shown(struct str path)
{
	enum { SHOWN = 400 };

	return path.n > SHOWN ? str_n(path.p, SHOWN) : path;
}

static void
reading_log(const struct readings *k, struct str path)
{
	const struct request *r = k->r;
	struct str handed_on = reading_shown(path), read_as = reading_shown(k->culprit);

	log_at(LOG_INFO_, "gateway", false,
	    "request %016llx %.*s %.*s%.*s: refused: %.*s%s can be read as %.*s%s, which %s",
	    (unsigned long long)r->id, STR_FMT(r->method_name), STR_FMT(r->host),
	    STR_FMT(reading_shown(r->raw_path)), STR_FMT(handed_on),
	    handed_on.n < path.n ? "…" : "", STR_FMT(read_as), read_as.n < k->culprit.n ? "…" : "",
	    k->why);
}

/* Whether all readings of a path that is handed on are of the place; decoded: what the rules were
   asked about. */
static bool
reading_is_of(
    struct request *r, struct str path, struct str decoded, const struct reading_place *place)
{
	uint8_t odd = reading_scan(path);
	struct readings k;
	unsigned done = 0;

	/* "/x%20y": the only other reading is the one that was asked about. */
	if (likely(place->script.n == 0) &&
	    (odd == 0 || (odd == ODD_ESCAPE && reading_scan(decoded) == 0)))
		return true;
	k.r = r;
	k.place = place;
	k.n = 0;
	k.octets = 0;
	k.scratch = arena_alloc(&r->arena, path.n);
	if (reading_add(&k, path, !(odd & ODD_ESCAPE)))
		while (done < k.n && reading_follow(&k, &k.v[done]))
			done++;
	if (k.n > 0 && done == k.n)
		return true;
	reading_log(&k, path);
	return false;
}

/* The path that the request has now. */
static bool
reading_is_source_safe(struct request *r, const struct gateway_conf *conf, struct str script)
{
	struct reading_place place = { .route = r->route, .from = conf->path_from };
	const struct reading_place nowhere = { .route = NULL };

	place.script = script;
	place.is_front = script.n > 0 && str_eq(script, conf->front);
	place.is_below = reading_is_below(r->path, conf->path_from);
	if (!reading_is_of(r, hpath_source(r), r->path, &place))
		return false;
	return conf->path_from.n == 0 || reading_is_of(r, hmap_path(r, conf), r->path, &nowhere);
}

/* The path that the client asked for, which had the rules of its own route before a rewrite. */
static bool
reading_is_own_safe(struct request *r)
{
	struct reading_place place = { 0 };
	struct str asked;

	if (likely(r->is_plain) || r->asked || !hpath_asked(r, &asked) || str_eq(asked, r->path))
		return true;
	place.route = site_route(r->site, asked, r->method);
	return place.route && reading_is_of(r, hpath_own(r), asked, &place);
}

int
reading_check(struct request *r, const struct gateway_conf *conf, const struct script *script,
    bool has_uri, const char **why)
{
	bool is_page = script->is_split && script->path_info.n > 0;
	struct str name = is_page ? script->name : STR("");

	if (likely(hpath_is_plain(r) && name.n == 0) || r->path.n == 0 || r->path.p[0] != '/')
		return 0;
	*why = "the path can be read as another one";
	if (!reading_is_source_safe(r, conf, name))
		return 400;
	return has_uri && !reading_is_own_safe(r) ? 400 : 0;
}

/*
 * Access log formats. A format is an array of steps; a step is a short literal and the value after
 * it (modules/log/var.c). Compiled by the master, run by the workers: a line is one pass over the
 * steps. Invariant: each step finds LOGVAR_ROOM bytes, or the line is given up as too long.
 */
#include "common/base/http.h"
#include "common/base/utf8.h"
#include "modules/log/format.h"
#include "modules/log/var.h"

enum { LOGFORMAT_STEPS = 256 };

struct logformat {
	struct logstep *steps;
	size_t n;
};

static const struct {
	struct str name, text;
} logformat_presets[] = {
	{ STR_INIT("common"), STR_INIT("$client - $user [$time] \"$request\" $status $bytes") },
	{ STR_INIT("combined"), STR_INIT("$client - $user [$time] \"$request\" $status $bytes"
					 " \"$referer\" \"$user_agent\"") },
	{ STR_INIT("json"),
	    STR_INIT("{\"time\":\"$time_iso\",\"client\":\"$client\",\"user\":\"$user\","
		     "\"host\":\"$host\",\"method\":\"$method\",\"target\":\"$target\","
		     "\"protocol\":\"$protocol\",\"status\":$status,\"bytes\":$bytes,"
		     "\"received\":$received,\"duration_us\":$duration_us,"
		     "\"referer\":\"$referer\",\"user_agent\":\"$user_agent\","
		     "\"handler\":\"$handler\",\"worker\":$worker,\"id\":\"$request_id\","
		     "\"end\":\"$end\",\"why\":\"$why\",\"backend\":$backend_json}") },
	{ STR_INIT("gateway"),
	    STR_INIT("$client - $user [$time] \"$request\" $status $bytes $duration_us"
		     " $backend_pool/$backend $backend_queue_us/$backend_connect_us/"
		     "$backend_first_us/$backend_total_us $backend_term $backend_tries"
		     " \"$backend_failures\"") },
	{ STR_INIT("short"), STR_INIT("$clock $colour$status$plain $size $took  $method $target") },
};

/* Header fields that hold secrets: whoever may read logs need not be able to log in. */
static const struct str logformat_secret[] = {
	STR_INIT("Authorization"),
	STR_INIT("Proxy-Authorization"),
	STR_INIT("Cookie"),
	STR_INIT("Set-Cookie"),
	STR_INIT("Cookie2"),
	STR_INIT("Set-Cookie2"),
	STR_INIT("WWW-Authenticate"),
	STR_INIT("Authentication-Info"),
};

/* A format being compiled. */
struct logformat_build {
	struct arena *arena;
	struct logstep steps[LOGFORMAT_STEPS];
	size_t n; /* the last one is open: literal bytes go to it, then its value */
	bool is_json;
	const char *why;
};

#define logformat_fail(b, ...) ((b)->why = arena_printf((b)->arena, __VA_ARGS__).p, false)

const char *
logformat_variable(size_t i)
{
	return logvars[i].name;
}

/* The open step; a new one when the last is full or has its value. */
static struct logstep *
logformat_step(struct logformat_build *b, bool for_literal)
{
	struct logstep *s = b->n ? &b->steps[b->n - 1] : NULL;

	if (s && s->put == logvar_nothing && !(for_literal && s->literal_n == LOGVAR_LITERAL))
		return s;
	if (b->n == LOGFORMAT_STEPS)
		return NULL;
	s = &b->steps[b->n++];
	*s = (struct logstep){ .is_json = b->is_json, .put = logvar_nothing };
	return s;
}

static bool
logformat_add_byte(struct logformat_build *b, char c)
{
	struct logstep *s = logformat_step(b, true);

	if (!s)
		return logformat_fail(b, "the format is too long");
	s->literal[s->literal_n++] = c;
	return true;
}

static bool
logformat_is_secret(struct str name)
{
	for (size_t i = 0; i < sizeof(logformat_secret) / sizeof(logformat_secret[0]); i++)
		if (str_caseeq(name, logformat_secret[i]))
			return true;
	return false;
}

/* "in:Name", "out:Name": sets the field of the step. */
static bool
logformat_set_field(struct logformat_build *b, struct logstep *s, struct str name)
{
	if (!http_is_token(name))
		return logformat_fail(b, "\"%.*s\" is no name of a header field", STR_FMT(name));
	if (logformat_is_secret(name))
		return logformat_fail(b, "%.*s is never logged: it holds secrets", STR_FMT(name));
	s->field = (uint8_t)http_field_of(name);
	s->name = arena_str(b->arena, name);
	return true;
}

/* name is what stands between the braces, or after '$'. */
static bool
logformat_add_variable(struct logformat_build *b, struct str name)
{
	ptrdiff_t colon = str_find(name, ':');
	struct str word = colon < 0 ? name : str_n(name.p, (size_t)colon + 1);
	const struct logvar *v = logvars;
	struct logstep *s;

	while (v->name && !str_eq(word, str_of(v->name)))
		v++;
	if (!v->name)
		return logformat_fail(b, "there is no variable \"$%.*s\"", STR_FMT(name));
	s = logformat_step(b, false);
	if (!s)
		return logformat_fail(b, "the format is too long");
	if (colon >= 0 && !logformat_set_field(b, s, str_n(name.p + word.n, name.n - word.n)))
		return false;
	s->put = v->put;
	return true;
}

static bool
logformat_is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* rest begins after a '$'; takes the variable off it. */
static bool
logformat_take_variable(struct logformat_build *b, struct str *rest)
{
	struct str name = { rest->p, 0 };
	ptrdiff_t close;

	if (rest->n && rest->p[0] == '{') {
		close = str_find(*rest, '}');
		if (close < 0)
			return logformat_fail(b, "\"${\" has no closing brace");
		name = str_n(rest->p + 1, (size_t)close - 1);
		*rest = str_n(rest->p + close + 1, rest->n - (size_t)close - 1);
		return logformat_add_variable(b, name);
	}
	while (name.n < rest->n && logformat_is_word(rest->p[name.n]))
		name.n++;
	if (name.n == 0)
		return logformat_fail(
		    b, "\"$\" needs the name of a variable after it (\"$$\" is a dollar)");
	*rest = str_n(rest->p + name.n, rest->n - name.n);
	return logformat_add_variable(b, name);
}

static bool
logformat_add(struct logformat_build *b, struct str text)
{
	while (text.n) {
		char c = *text.p;

		text = str_n(text.p + 1, text.n - 1);
		if (c == '$' && !(text.n && *text.p == '$')) {
			if (!logformat_take_variable(b, &text))
				return false;
			continue;
		}
		if (c == '$')
			text = str_n(text.p + 1, text.n - 1);
		if (!logformat_add_byte(b, c))
			return false;
	}
	return true;
}

/* What is written as it stands must not spoil a log that is UTF-8 and a line per request. */
static bool
logformat_is_plain(struct logformat_build *b, struct str text)
{
	const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n;

	while (p < end) {
		unsigned n = *p == '\t' ? 1 : utf8_plain(p, end);

		if (n == 0)
			return logformat_fail(
			    b, utf8_len(p, end) ? "a line cannot contain control characters"
						: "a line cannot contain bytes that are not UTF-8");
		p += n;
	}
	return true;
}

static struct str
logformat_preset(struct str format)
{
	for (size_t i = 0; i < sizeof(logformat_presets) / sizeof(logformat_presets[0]); i++)
		if (str_eq(format, logformat_presets[i].name))
			return logformat_presets[i].text;
	return format;
}

const struct logformat *
logformat_compile(struct arena *a, struct str prefix, struct str format, const char **why)
{
	struct logformat_build b = { .arena = a };
	struct logformat *f;

	format = logformat_preset(format);
	b.is_json = format.n && format.p[0] == '{';
	if (str_find(format, '$') < 0) {
		*why = "a format needs variables such as \"$request\", or is one of common, "
		       "combined, gateway, json, short";
		return NULL;
	}
	if (!logformat_is_plain(&b, format) || !logformat_add(&b, prefix) ||
	    !logformat_add(&b, format)) {
		*why = b.why;
		return NULL;
	}
	logvar_init();
	f = arena_alloc(a, sizeof(*f));
	f->n = b.n;
	f->steps = arena_alloc(a, b.n * sizeof(*f->steps));
	memcpy(f->steps, b.steps, b.n * sizeof(*f->steps));
	return f;
}

size_t
logformat_put(const struct logformat *f, const struct request *r, const struct logformat_now *now,
    char *dst, size_t room)
{
	struct logline l = { .r = r, .now = now, .end = dst + room };
	char *p = dst;

	for (const struct logstep *s = f->steps, *end = s + f->n; s < end; s++) {
		if (l.end - p < LOGVAR_LITERAL + LOGVAR_ROOM)
			return 0;
		memcpy(p, s->literal, LOGVAR_LITERAL);
		p += s->literal_n;
		p = s->put(p, &l, s);
		if (!p)
			return 0;
	}
	if (p == l.end)
		return 0;
	*p++ = '\n';
	return (size_t)(p - dst);
}

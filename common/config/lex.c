/*
 * Reading scalars and skipping what is between them. A string must end on its line: libconfig would
 * let it run on, and report a forgotten quote at the end of the file.
 */
#include "common/base/must.h"
#include "common/config/lex.h"

struct cfg_place
lex_place(const struct lex *t)
{
	return (struct cfg_place){ t->file, t->line, t->col };
}

void
lex_error(struct lex *t, struct cfg_place place, const char *hint, const char *fmt, ...)
{
	va_list ap;

	t->has_error = true;
	va_start(ap, fmt);
	cfg_errors_vadd(t->errors, true, place, hint, fmt, ap);
	va_end(ap);
}

void
lex_step(struct lex *t)
{
	if (t->at == t->end)
		return;
	t->at++;
	if (t->at[-1] == '\n') {
		t->line++;
		t->col = 1;
	} else if (t->at == t->end || ((unsigned char)*t->at & 0xC0) != 0x80) {
		t->col++;
	}
}

void
lex_steps(struct lex *t, size_t n)
{
	while (n--)
		lex_step(t);
}

void
lex_skip_line(struct lex *t)
{
	while (t->at < t->end && *t->at != '\n')
		lex_step(t);
}

static bool
lex_at(const struct lex *t, const char *what)
{
	size_t n = strlen(what);

	return (size_t)(t->end - t->at) >= n && memcmp(t->at, what, n) == 0;
}

static void
lex_skip_comment(struct lex *t)
{
	struct cfg_place from = lex_place(t);

	lex_steps(t, 2);
	while (t->at < t->end && !lex_at(t, "*/"))
		lex_step(t);
	if (t->at == t->end)
		lex_error(t, from, "close it with */", "comment opened here is never closed");
	lex_steps(t, 2);
}

void
lex_skip(struct lex *t)
{
	for (;;) {
		char c = lex_peek(t);

		if (t->at < t->end &&
		    (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'))
			lex_step(t);
		else if (c == '#' || lex_at(t, "//"))
			lex_skip_line(t);
		else if (lex_at(t, "/*"))
			lex_skip_comment(t);
		else
			return;
	}
}

static bool
lex_is_alpha(char c)
{
	return (unsigned)((c | 0x20) - 'a') < 26;
}

static bool
lex_is_digit(char c)
{
	return (unsigned)(c - '0') < 10;
}

bool
lex_is_name_start(char c)
{
	return lex_is_alpha(c) || c == '*';
}

bool
lex_is_name(char c)
{
	return lex_is_name_start(c) || lex_is_digit(c) || c == '_' || c == '-';
}

bool
lex_is_word(char c)
{
	return (unsigned char)c > 0x20 && c != 0x7f && !strchr("{}()[];,=\"'#", c);
}

static int
lex_hex(char c)
{
	if (lex_is_digit(c))
		return c - '0';
	return (unsigned)((c | 0x20) - 'a') < 6 ? (c | 0x20) - 'a' + 10 : -1;
}

/* What libconfig makes of the escape at s (a backslash): returns the bytes used. */
static size_t
lex_unescape(const char *s, size_t n, char *out)
{
	static const char from[] = "nrtf\\\"", to[] = "\n\r\t\f\\\"";
	const char *p;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): has room, see lex_value() */
	*out = '\\';
	if (n < 2)
		return 1;
	if ((s[1] | 0x20) == 'x' && n >= 4 && lex_hex(s[2]) >= 0 && lex_hex(s[3]) >= 0) {
		*out = (char)(lex_hex(s[2]) * 16 + lex_hex(s[3]));
		return 4;
	}
	p = s[1] ? strchr(from, s[1]) : NULL;
	if (!p)
		return 1;
	*out = to[p - from];
	return 2;
}

/* The value of what stands between quotes, appended at dst; *has_nul when an escape makes a NUL. */
static size_t
lex_value(char *dst, struct str body, bool *has_nul)
{
	size_t i = 0, n = 0;

	while (i < body.n) {
		if (body.p[i] == '\\')
			i += lex_unescape(body.p + i, body.n - i, &dst[n]);
		else
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): room for all */
			dst[n] = body.p[i++];
		*has_nul |= dst[n++] == '\0';
	}
	return n;
}

/* What stands between the quotes; steps over both. A quote that is missing is taken to be missing
   before the separator at the end of the line. */
static struct str
lex_quoted(struct lex *t, bool *is_closed)
{
	struct cfg_place from = lex_place(t);
	char quote = *t->at;
	const char *begin = t->at + 1, *end;

	lex_step(t);
	while (t->at < t->end && *t->at != quote && *t->at != '\n')
		lex_steps(t, *t->at == '\\' && t->at + 1 < t->end && t->at[1] != '\n' ? 2 : 1);
	*is_closed = lex_peek(t) == quote && t->at < t->end;
	if (*is_closed) {
		lex_step(t);
		return str_n(begin, (size_t)(t->at - begin) - 1);
	}
	lex_error(t, from, "add the closing quote; a line break inside a string is \\n",
	    "string opened here is never closed");
	end = t->at;
	while (end > begin && strchr(" \t\r;,", end[-1]))
		end--;
	return str_n(begin, (size_t)(end - begin));
}

/* Whether another literal follows that belongs to the same string; the cursor is there then. */
static bool
lex_goes_on(struct lex *t)
{
	struct lex before = *t;

	lex_skip(t);
	if (lex_peek(t) == '"')
		return true;
	*t = before;
	return false;
}

/* A string: literals that stand next to each other are one, except in lists, where the comma
   between two elements is the likelier intention. */
static void
lex_string(struct lex *t, struct cfg_node *node)
{
	bool in_list = node->parent && node->parent->kind != NODE_GROUP;
	const char *begin = t->at;
	bool has_nul = false, is_closed;
	char *value = NULL;
	size_t n = 0, room = 0;

	do {
		struct str body = lex_quoted(t, &is_closed);

		if (n + body.n + 1 > room) {
			char *longer = arena_alloc(t->arena, room = 2 * (n + body.n + 1));

			if (value)
				memcpy(longer, value, n);
			value = longer;
		}
		n += lex_value(value + n, body, &has_nul);
		node->raw = str_n(begin, (size_t)(t->at - begin));
	} while (!in_list && is_closed && lex_goes_on(t));
	value[n] = '\0';
	node->kind = NODE_STRING;
	node->text = str_n(value, n);
	node->is_reported = !is_closed; /* where it was meant to end is a guess: not used */
	if (!has_nul)
		return;
	lex_error(t, node->place, "remove \\x00", "a string cannot hold a NUL byte");
	node->is_reported = true;
}

/* In single quotes: taken as if they were double. */
static void
lex_single_quoted(struct lex *t, struct cfg_node *node)
{
	bool is_closed;
	const char *begin = t->at;
	struct str body = lex_quoted(t, &is_closed);

	node->kind = NODE_STRING;
	node->raw = str_n(begin, (size_t)(t->at - begin));
	node->text = arena_str(t->arena, body);
	if (is_closed)
		lex_error(t, node->place,
		    cfg_errors_printf(t->errors, "write \"%.*s\"", STR_FMT(body)),
		    "strings stand in double quotes");
}

static bool
lex_is_integer(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits;

	if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
		for (i = 2; i < s.n && lex_hex(s.p[i]) >= 0; i++)
			continue;
		digits = i - 2;
	} else {
		for (digits = 0; i < s.n && lex_is_digit(s.p[i]); i++)
			digits++;
	}
	return digits && i == s.n;
}

/* digits[.digits][e digits] with a point or (as libconfig wants it) a sign and an exponent. */
static bool
lex_is_float(struct str s)
{
	size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits = 0;
	bool has_sign = i > 0, has_point = false, has_exponent = false;

	for (; i < s.n && (lex_is_digit(s.p[i]) || (s.p[i] == '.' && !has_point)); i++)
		if (s.p[i] == '.')
			has_point = true;
		else
			digits++;
	if (digits && i < s.n && (s.p[i] | 0x20) == 'e') {
		has_exponent = true;
		i += i + 1 < s.n && (s.p[i + 1] == '-' || s.p[i + 1] == '+') ? 2 : 1;
		if (i == s.n)
			return false;
		while (i < s.n && lex_is_digit(s.p[i]))
			i++;
	}
	return digits && i == s.n && (has_point || (has_exponent && has_sign));
}

static void
lex_word(struct lex *t, struct cfg_node *node)
{
	const char *begin = t->at;

	while (t->at < t->end && lex_is_word(*t->at))
		lex_step(t);
	node->raw = node->text = str_n(begin, (size_t)(t->at - begin));
	node->kind = NODE_WORD;
	if (str_caseeq(node->raw, STR("true")) || str_caseeq(node->raw, STR("false"))) {
		node->kind = NODE_BOOL;
		node->boolean = (node->raw.p[0] | 0x20) == 't';
	} else if (lex_is_integer(node->raw)) {
		node->kind = NODE_INT;
	} else if (lex_is_float(node->raw)) {
		node->kind = NODE_FLOAT;
	} else {
		t->has_error = true; /* reported when the option that it is for is known */
	}
}

void
lex_scalar(struct lex *t, struct cfg_node *node)
{
	node->place = lex_place(t);
	if (lex_peek(t) == '"')
		lex_string(t, node);
	else if (lex_peek(t) == '\'')
		lex_single_quoted(t, node);
	else
		lex_word(t, node);
}

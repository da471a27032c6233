#include "common/base/suggest.h"
#include "modules/links/expr.h"
#include "modules/links/query.h"

enum expr_var {
	EXPR_EXPIRES,
	EXPR_URI,
	EXPR_REMOTE_ADDR,
	EXPR_SECRET,
	EXPR_REQUEST_METHOD,
	EXPR_HOST,
	EXPR_SCHEME,
	EXPR_VARS
};
static const struct str expr_names[EXPR_VARS] = {
	STR_INIT("secure_link_expires"),
	STR_INIT("uri"),
	STR_INIT("remote_addr"),
	STR_INIT("secret"),
	STR_INIT("request_method"),
	STR_INIT("host"),
	STR_INIT("scheme"),
};
static const char expr_all[] =
    "the variables are $secure_link_expires $uri $remote_addr $secret $request_method $host "
    "$scheme and $arg_NAME";

/* A piece of an expression: literal text, or a variable's name. */
struct expr_piece {
	struct str text;
	bool is_var;
};

static bool
expr_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* The piece at the front of *s; false at the end. A dollar without a name has an empty one. */
static bool
expr_next(struct str *s, struct expr_piece *piece)
{
	size_t n = 0, braces;

	if (s->n == 0)
		return false;
	piece->is_var = *s->p == '$';
	if (!piece->is_var) {
		while (n < s->n && s->p[n] != '$')
			n++;
		piece->text = str_n(s->p, n);
		*s = str_n(s->p + n, s->n - n);
		return true;
	}
	braces = s->n > 1 && s->p[1] == '{';
	*s = str_n(s->p + 1 + braces, s->n - 1 - braces);
	while (n < s->n && expr_is_name(s->p[n]))
		n++;
	piece->text = str_n(s->p, n);
	if (braces && (n == s->n || s->p[n] != '}'))
		piece->text.n = 0;
	else
		n += braces;
	*s = str_n(s->p + n, s->n - n);
	return true;
}

static enum expr_var
expr_find(struct str name)
{
	unsigned i = 0;

	while (i < EXPR_VARS && !str_eq(name, expr_names[i]))
		i++;
	return i;
}

static const char *
expr_suggest(struct arena *a, struct str name)
{
	struct suggest s;

	suggest_init(&s, name);
	for (unsigned i = 0; i < EXPR_VARS; i++)
		suggest_offer(&s, expr_names[i]);
	if (s.best.n == 0)
		return expr_all;
	return arena_printf(a, "did you mean \"$%.*s\"?", STR_FMT(s.best)).p;
}

bool
links_expr_check(struct arena *a, struct str text, const char **why, const char **hint)
{
	struct expr_piece piece;

	while (expr_next(&text, &piece)) {
		if (!piece.is_var || expr_find(piece.text) < EXPR_VARS ||
		    (str_has_prefix(piece.text, STR("arg_")) && piece.text.n > 4))
			continue;
		*hint = expr_all;
		*why = "\"$\" without a name behind it";
		if (piece.text.n == 0)
			return false;
		*hint = expr_suggest(a, piece.text);
		*why = arena_printf(a, "unknown variable \"$%.*s\"", STR_FMT(piece.text)).p;
		return false;
	}
	return true;
}

bool
links_expr_has(struct str text, struct str name)
{
	struct expr_piece piece;

	while (expr_next(&text, &piece))
		if (piece.is_var && str_eq(piece.text, name))
			return true;
	return false;
}

static struct str
expr_value(const struct links_ask *ask, struct str name, struct str secret, struct str expires)
{
	struct str value;

	switch (expr_find(name)) {
	case EXPR_EXPIRES:
		return expires;
	case EXPR_URI:
		return ask->path;
	case EXPR_REMOTE_ADDR:
		return ask->client;
	case EXPR_SECRET:
		return secret;
	case EXPR_REQUEST_METHOD:
		return ask->method;
	case EXPR_HOST:
		return ask->host;
	case EXPR_SCHEME:
		return ask->scheme;
	case EXPR_VARS:
		break;
	}
	links_query_get(ask->query, str_n(name.p + 4, name.n - 4), &value); /* arg_ */
	return value;
}

struct str
links_expr_make(struct str text, const struct links_ask *ask, struct str secret, struct str expires)
{
	struct str rest = text;
	struct expr_piece piece;
	size_t n = 0;
	char *out;

	while (expr_next(&rest, &piece))
		n += piece.is_var ? expr_value(ask, piece.text, secret, expires).n : piece.text.n;
	out = arena_alloc(ask->arena, n + 1);
	n = 0;
	while (expr_next(&text, &piece)) {
		struct str s =
		    piece.is_var ? expr_value(ask, piece.text, secret, expires) : piece.text;

		if (s.n > 0)
			memcpy(out + n, s.p, s.n);
		n += s.n;
	}
	return str_n(out, n);
}

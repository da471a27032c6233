/*
 * The suffixes come from gateway.split, which says it outright, and from wherever else a script is
 * named: the route's path or expression, gateway.prefix, front and index. There only the endings of
 * languages count that are known to be run: an expression for pictures names no scripts.
 */
#include "common/config/conf.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/scripts.h"

enum { SCRIPTS_MAX = 64 };

static const char *const scripts_known[] = { "php", "php3", "php4", "php5", "php7", "php8", "phtml",
	"phar", "jsp", "jspx", "asp", "aspx", "ashx", "asmx", "cfm", "cgi", "fcgi", "pl", "py",
	"rb", "lua", "tcl", NULL };

struct scripts_list {
	struct arena *arena;
	struct cfg_strs *to;
};

static void
scripts_add(struct scripts_list *l, struct str suffix)
{
	if (suffix.n > 0 && l->to->n < SCRIPTS_MAX)
		l->to->v[l->to->n++] = suffix;
}

static bool
scripts_is_word(char c)
{
	return (unsigned)(str_lower((unsigned char)c) - 'a') < 26 || (unsigned)(c - '0') < 10;
}

/* A word that is the ending of a known language. */
static void
scripts_add_known(struct scripts_list *l, struct str word)
{
	for (size_t i = 0; scripts_known[i]; i++)
		if (str_caseeq(word, str_of(scripts_known[i])))
			scripts_add(l, arena_printf(l->arena, ".%s", scripts_known[i]));
}

/* The words at the front of s, with "|" or parentheses between them: all that may stand behind a
   dot. */
static void
scripts_add_words(struct scripts_list *l, struct str s)
{
	size_t i = 0, from;

	while (i < s.n && (scripts_is_word(s.p[i]) || memchr("(?:|)", s.p[i], 5))) {
		for (from = i; i < s.n && scripts_is_word(s.p[i]); i++)
			continue;
		scripts_add_known(l, str_n(s.p + from, i - from));
		i += i == from;
	}
}

/* The endings in a path, or in an expression, where a dot is "\\." or "[.]". */
static void
scripts_add_path(struct scripts_list *l, struct str path)
{
	for (size_t i = 0; i + 1 < path.n; i++) {
		size_t skip = path.p[i] == '.' ? 1 : 0;

		if (skip && i + 1 < path.n && path.p[i + 1] == ']')
			skip = 2;
		if (skip)
			scripts_add_words(l, str_n(path.p + i + skip, path.n - i - skip));
	}
}

void
scripts_derive(struct gateway_conf *c, struct cfg_check *check)
{
	struct scripts_list l = { check->arena, &c->scripts };
	const struct route *r = cfg_route(check);

	c->scripts = (struct cfg_strs){ NULL, 0 };
	if (!c->pool)
		return;
	c->scripts.v = arena_alloc(check->arena, SCRIPTS_MAX * sizeof(*c->scripts.v));
	for (size_t i = 0; i < c->split.n; i++)
		scripts_add(&l, c->split.v[i]);
	if (r)
		scripts_add_path(&l, r->path);
	scripts_add_path(&l, c->prefix);
	scripts_add_path(&l, c->front);
	for (size_t i = 0; i < c->index.n; i++)
		scripts_add_path(&l, c->index.v[i]);
}

/* Whether some names are left to the next handler (script.h, SCRIPT_NONE). */
static bool
scripts_takes_all(const struct gateway_conf *c)
{
	bool has_codec = c->pool->protocol == POOL_HTTP || c->pool->protocol == POOL_AJP;

	for (size_t i = 0; i < c->split.n; i++)
		if (c->split.v[i].n == 0)
			return true;
	return has_codec || c->split.n == 0 || (c->front.n > 0 && !c->check);
}

struct module_takes
scripts_taken(const void *conf)
{
	const struct gateway_conf *c = conf;

	if (!c->pool)
		return (struct module_takes){ .is_all = false };
	return (struct module_takes){ c->scripts, scripts_takes_all(c) };
}

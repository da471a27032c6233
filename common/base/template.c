/*
 * Compiles and expands texts with variables (template.h). Knows nothing of requests: values come
 * through a function. An expansion can do no harm where it goes: the form decides what is
 * percent-encoded, and no form but TEMPLATE_PLAIN lets a control character through.
 */
#include "common/base/suggest.h"
#include "common/base/template.h"

static const struct template_name {
	struct str name;
	bool is_encoded;
} template_names[VAR_MAX] = {
#define VAR(id, name, is_encoded, help) [VAR_##id] = { STR_INIT(name), is_encoded },
	TEMPLATE_VARS(VAR)
#undef VAR
};

#define VAR(id, name, is_encoded, help) " $" name
static const char template_all[] =
    "the variables are" TEMPLATE_VARS(VAR) " and $1 to $9; a dollar is $$";
#undef VAR

static bool
template_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* --- compiling --- */

static const char *
template_suggest(struct arena *a, struct str name)
{
	struct suggest s;

	suggest_init(&s, name);
	for (unsigned i = 0; i < VAR_MAX; i++)
		suggest_offer(&s, template_names[i].name);
	if (s.best.n == 0)
		return template_all;
	return arena_printf(a, "did you mean \"$%.*s\"?", STR_FMT(s.best)).p;
}

static unsigned
template_find(struct str name)
{
	unsigned i = 0;

	while (i < VAR_MAX && !str_eq(name, template_names[i].name))
		i++;
	return i;
}

/* The name behind a dollar at s->p, taken off s; n 0 when there is none. */
static struct str
template_take_name(struct str *s)
{
	bool is_braced = s->n > 0 && *s->p == '{';
	struct str name = { s->p + is_braced, 0 };

	while (name.p + name.n < s->p + s->n && template_is_name(name.p[name.n])) {
		name.n++;
		if (!is_braced && name.n == 1 && *name.p <= '9')
			break; /* "$1st" is capture 1 and "st" */
	}
	if (is_braced && (name.p + name.n == s->p + s->n || name.p[name.n] != '}'))
		return (struct str){ NULL, 0 };
	s->n -= name.n + 2 * is_braced;
	s->p += name.n + 2 * is_braced;
	return name;
}

/* One "$…" at the start of s, which stands behind the dollar. */
static bool
template_take_var(struct str *s, struct arena *a, unsigned groups, struct template_part *part,
    const char **why, const char **hint)
{
	struct str name;

	if (s->n > 0 && *s->p == '$') {
		part->literal = str_n(s->p++, 1);
		s->n--;
		return true;
	}
	name = template_take_name(s);
	*hint = template_all;
	if (name.n == 0) {
		*why = "\"$\" without a name behind it";
		return false;
	}
	if (name.n == 1 && *name.p >= '1' && *name.p <= '9') {
		part->capture = (uint8_t)(*name.p - '0');
		if (part->capture <= groups)
			return true;
		*why = arena_printf(a, "\"$%u\", but %s", part->capture,
		    groups ? arena_printf(a, "the expression captures only %u", groups).p
			   : "nothing is captured here")
			   .p;
		*hint =
		    "groups in parentheses of a regular expression are $1, $2 …; a dollar is $$";
		return false;
	}
	part->var = (uint8_t)template_find(name);
	if (part->var != VAR_MAX)
		return true;
	*why = arena_printf(a, "unknown variable \"$%.*s\"", STR_FMT(name)).p;
	*hint = template_suggest(a, name);
	return false;
}

bool
template_compile(struct template *t, struct arena *a, struct str source, unsigned groups,
    const char **why, const char **hint)
{
	struct template_part *v;
	struct str rest = source;
	size_t room = 1;

	for (size_t i = 0; i < source.n; i++)
		room += source.p[i] == '$' ? 2 : 0;
	v = arena_alloc(a, room * sizeof(*v));
	*t = (struct template){ .v = v };
	while (rest.n > 0) {
		ptrdiff_t at = str_find(rest, '$');
		size_t n = at < 0 ? rest.n : (size_t)at;
		struct template_part part = { .literal = { rest.p, n }, .var = VAR_MAX };

		if (n > 0)
			v[t->n++] = part;
		if (at < 0)
			break;
		rest = str_n(rest.p + n + 1, rest.n - n - 1);
		part.literal.n = 0;
		if (!template_take_var(&rest, a, groups, &part, why, hint))
			return false;
		if (part.var < VAR_MAX)
			t->vars |= 1u << part.var;
		if (part.capture > t->groups)
			t->groups = part.capture;
		v[t->n++] = part;
	}
	return true;
}

/* --- expanding --- */

/* What a value is, where it goes: decides about its bytes. */
enum template_class {
	CLASS_PLAIN,   /* all stand for themselves */
	CLASS_FIELD,   /* all but control characters */
	CLASS_URL,     /* URL syntax already: printable ASCII but what no URL holds (browsers take
			  a backslash for a slash) */
	CLASS_SEGMENT, /* a decoded value: pchar and "/" (RFC 3986 3.3) */
	CLASS_ARG,     /* the same in a form-encoded query */
};

static bool
template_is_kept(unsigned char c, enum template_class class)
{
	if (class == CLASS_PLAIN)
		return true;
	if (c < ' ' || c == 0x7f)
		return false;
	if (class == CLASS_FIELD || template_is_name((char)c))
		return true;
	if (class == CLASS_URL)
		return c > ' ' && c < 0x7f && !strchr("\\\"<>^`{|}", c);
	return strchr(class == CLASS_SEGMENT ? "-.~:@/!$'()*,;&=+" : "-.~:@/!$'()*,;", c) != NULL;
}

/* A slash that is data stays encoded in a decoded path (uri.h), so it must not be encoded twice. */
static bool
template_is_slash(struct str s, size_t i)
{
	return s.n - i >= 3 && s.p[i] == '%' && s.p[i + 1] == '2' && (s.p[i + 2] | 0x20) == 'f';
}

static char *
template_put(char *dst, struct str value, enum template_class class)
{
	static const char hex[16] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (template_is_kept(c, class) || template_is_slash(value, i)) {
			*dst++ = (char)c;
			continue;
		}
		*dst++ = '%';
		*dst++ = hex[c >> 4];
		*dst++ = hex[c & 15];
	}
	return dst;
}

static struct str
template_value(const struct template_part *part, const struct template_source *src)
{
	if (part->var < VAR_MAX)
		return src->get(src->ctx, part->var);
	return part->capture ? src->captures[part->capture] : part->literal;
}

static enum template_class
template_part_class(const struct template_part *part, enum template_form form)
{
	static const enum template_class classes[][2] = {
		/*                   decoded        encoded */
		[TEMPLATE_PLAIN] = { CLASS_PLAIN, CLASS_PLAIN },
		[TEMPLATE_FIELD] = { CLASS_FIELD, CLASS_FIELD },
		[TEMPLATE_PATH] = { CLASS_SEGMENT, CLASS_URL },
		[TEMPLATE_ARGS] = { CLASS_ARG, CLASS_URL },
	};

	if (part->literal.n > 0)
		return CLASS_PLAIN;
	return classes[form][part->var < VAR_MAX && template_names[part->var].is_encoded];
}

struct str
template_expand(const struct template *t, struct arena *a, enum template_form form,
    const struct template_source *src)
{
	struct str *values;
	size_t room = 1;
	char *dst, *p;

	if (t->n == 0)
		return STR("");
	if (t->n == 1 && t->v->literal.n > 0)
		return t->v->literal;
	values = arena_alloc(a, t->n * sizeof(*values));
	for (size_t i = 0; i < t->n; i++) {
		values[i] = template_value(&t->v[i], src);
		room += values[i].n * (template_part_class(&t->v[i], form) == CLASS_PLAIN ? 1 : 3);
	}
	p = dst = arena_alloc(a, room);
	for (size_t i = 0; i < t->n; i++)
		p = template_put(p, values[i], template_part_class(&t->v[i], form));
	*p = '\0';
	return str_n(dst, (size_t)(p - dst));
}

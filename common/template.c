/*
 * Compiles and expands texts with variables (template.h). Knows nothing of requests: values come
 * through a function. An expansion can do no harm where it goes: the form decides what is
 * percent-encoded, and no form but TEMPLATE_PLAIN lets a control character through.
 */
#include "common/template.h"

static const struct template_name {
	struct str name;
	bool is_encoded;
	const char *help;
} template_names[VAR_MAX] = {
#define VAR(id, name, is_encoded, help) [VAR_##id] = { STR_INIT(name), is_encoded, help },
	TEMPLATE_VARS(VAR)
#undef VAR
};

#define VAR(id, name, is_encoded, help) " $" name
static const char template_all[] =
    "the variables are" TEMPLATE_VARS(VAR) " and $1 to $9; a dollar is $$";
#undef VAR

const char *
template_var_name(enum template_var var)
{
	return var < VAR_MAX ? template_names[var].name.p : "";
}

const char *
template_var_help(enum template_var var)
{
	return var < VAR_MAX ? template_names[var].help : "";
}

static bool
template_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* --- compiling --- */

/* Edit distance of two short names, with swapped neighbours as one edit; names beyond 15 octets
   count as far away. */
static unsigned
template_distance(struct str a, struct str b)
{
	unsigned d[17][17];

	if (a.n > 15 || b.n > 15)
		return 99;
	for (unsigned i = 0; i <= a.n; i++)
		for (unsigned j = 0; j <= b.n; j++) {
			unsigned best = i + j;

			if (i > 0 && j > 0) {
				bool same = str_lower((unsigned char)a.p[i - 1]) ==
					    (unsigned char)b.p[j - 1];

				best = d[i - 1][j - 1] + !same;
				best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
				best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
			}
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				best = d[i - 2][j - 2] + 1 < best ? d[i - 2][j - 2] + 1 : best;
			d[i][j] = best;
		}
	return d[a.n][b.n];
}

static const char *
template_suggest(struct arena *a, struct str name)
{
	unsigned best = name.n > 6 ? 3 : 2, found = VAR_MAX;

	for (unsigned i = 0; i < VAR_MAX; i++) {
		unsigned d = template_distance(name, template_names[i].name);

		if (d <= best) {
			best = d - (d > 0);
			found = i;
		}
	}
	if (found == VAR_MAX)
		return template_all;
	return arena_printf(a, "did you mean \"$%s\"?", template_names[found].name.p).p;
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

/* Octets of a value that stand for themselves: unreserved, and of sub-delims and the rest of pchar
   (RFC 3986 3.3) what has no meaning of its own in a form-encoded query. */
static bool
template_is_plain(unsigned char c, enum template_form form)
{
	if (form == TEMPLATE_PLAIN)
		return true;
	if (form == TEMPLATE_FIELD)
		return c >= ' ' && c != 0x7f;
	if (template_is_name((char)c) || (c != '\0' && strchr("-.~:@/!$'()*,;", c)))
		return true;
	return form == TEMPLATE_PATH && c != '\0' && strchr("&=+", c);
}

static char *
template_put(char *dst, struct str value, enum template_form form)
{
	static const char hex[16] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (template_is_plain(c, form)) {
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

/* The form for one part: literals are the operator's, encoded values are URL syntax already; both
   still must not hold control characters where those do harm. */
static enum template_form
template_part_form(const struct template_part *part, enum template_form form)
{
	if (form == TEMPLATE_PLAIN || part->literal.n > 0)
		return TEMPLATE_PLAIN;
	if (part->var < VAR_MAX && template_names[part->var].is_encoded)
		return TEMPLATE_FIELD;
	return form;
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
		room +=
		    values[i].n * (template_part_form(&t->v[i], form) == TEMPLATE_PLAIN ? 1 : 3);
	}
	p = dst = arena_alloc(a, room);
	for (size_t i = 0; i < t->n; i++)
		p = template_put(p, values[i], template_part_form(&t->v[i], form));
	*p = '\0';
	return str_n(dst, (size_t)(p - dst));
}

/*
 * One walk over an expression that compiles. Only what stands at its top level counts; a group is
 * passed over, and a construct that is not known here ends the walk without a result: options,
 * verbs, looks, back references, quotations, alternatives at the top. What is known must be read as
 * PCRE2 reads it: an end that is too long would be a mismatch where there is a match.
 */
#include "common/config/regex_ends.h"

struct ends {
	struct str s;
	size_t at;
	unsigned depth;          /* of groups */
	bool is_lead;            /* only "^" and literal bytes so far */
	struct regex_ends found; /* tail: the literal bytes that end here */
};

static bool
ends_is_alnum(char c)
{
	return (unsigned)(c | 0x20) - 'a' < 26 || (unsigned)c - '0' < 10;
}

static char
ends_peek(const struct ends *e, size_t more)
{
	return e->at + more < e->s.n ? e->s.p[e->at + more] : '\0';
}

/* Something that is not a literal byte. */
static bool
ends_break(struct ends *e)
{
	e->is_lead = false;
	e->found.tail_n = 0;
	return true;
}

static bool
ends_literal(struct ends *e, char c)
{
	struct regex_ends *f = &e->found;

	if (e->depth > 0)
		return true;
	e->is_lead = e->is_lead && f->lead_n < REGEX_END;
	if (e->is_lead)
		f->lead[f->lead_n++] = c;
	if (f->tail_n == REGEX_END)
		memmove(f->tail, f->tail + 1, --f->tail_n);
	f->tail[f->tail_n++] = c;
	return true;
}

/* The element before it may be missing; so may "^", if ever that is allowed. */
static bool
ends_quantifier(struct ends *e)
{
	if (e->is_lead && e->found.lead_n == 0)
		return false;
	if (e->is_lead)
		e->found.lead_n--;
	return ends_break(e);
}

/* "{2,3}". Some of what passes here PCRE2 takes for literal bytes: these then count for less. */
static bool
ends_braces(struct ends *e)
{
	char c;

	do
		c = ends_peek(e, 1);
	while (e->at++, c == ',' || c == ' ' || c == '\t' || (c >= '0' && c <= '9'));
	return c == '}' && ends_quantifier(e);
}

static bool
ends_escape(struct ends *e)
{
	char c = ends_peek(e, 1);

	e->at++;
	if (c > ' ' && c < 0x7f && !ends_is_alnum(c))
		return ends_literal(e, c);
	return c && strchr("dDhHsSvVwWbB", c) && ends_break(e);
}

static bool
ends_class(struct ends *e)
{
	e->at += ends_peek(e, 1) == '^' ? 2 : 1;
	if (ends_peek(e, 0) == ']')
		e->at++;
	for (; ends_peek(e, 0) != ']'; e->at++) {
		char c = ends_peek(e, 0), next = ends_peek(e, 1);

		if (e->at >= e->s.n || (c == '[' && next && strchr(":.=", next)))
			return false;
		if (c == '\\' && next && strchr("QEc", next))
			return false;
		if (c == '\\')
			e->at++;
	}
	return ends_break(e);
}

/* At "(": plain groups, capturing or not. */
static bool
ends_group(struct ends *e)
{
	e->depth++;
	if (ends_peek(e, 1) == '?') {
		e->at += 2;
		return ends_peek(e, 0) == ':' && ends_break(e);
	}
	return ends_peek(e, 1) != '*' && ends_break(e);
}

/* One element; e->at is left at its last byte. False: not understood. */
static bool
ends_element(struct ends *e)
{
	switch (ends_peek(e, 0)) {
	case '\\':
		return ends_escape(e);
	case '[':
		return ends_class(e);
	case '(':
		return ends_group(e);
	case ')':
		e->depth--;
		return ends_break(e);
	case '|':
		return e->depth > 0;
	case '{':
		return ends_braces(e);
	case '*':
	case '+':
	case '?':
		return ends_quantifier(e);
	case '.':
	case '^':
	case '$':
		return ends_break(e);
	default:
		return ends_literal(e, e->s.p[e->at]);
	}
}

struct regex_ends
regex_ends_of(struct str source)
{
	struct ends e = { .s = source, .is_lead = source.n > 0 && source.p[0] == '^' };

	for (e.at = e.is_lead ? 1 : 0; e.at < source.n; e.at++) {
		/* An escaped one has been passed over with its backslash. */
		if (source.p[e.at] == '$' && e.at + 1 == source.n)
			return e.found;
		if (!ends_element(&e))
			return (struct regex_ends){ 0 };
	}
	e.found.tail_n = 0;
	return e.found;
}

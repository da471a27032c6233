/*
 * Two looks at an expression. By its form: a repeat without end of a group that itself holds one,
 * where nothing in the group says for certain where the next round begins: "(a+)+", "(\w+\s?)*". By
 * trial: paths of 8 KiB of one or two bytes over and over, behind what the expression begins with,
 * and with an end that suits nothing. What neither finds: alternatives that overlap behind more
 * than a plain beginning, and quadratic work that stays within a match's bounds.
 *
 * "(?:[^/]+/)*" is no doubt: the byte that ends each round is none that the inner repeat takes.
 * Which bytes an element takes is asked of PCRE2 itself, with all 256 of them.
 */
#include <stdio.h>

#include "common/base/must.h"
#include "common/config/regex.h"
#include "common/config/regexdoubt.h"

enum { DOUBT_DEPTH = 64, DOUBT_MARKS = 8, DOUBT_ATOM = 512, DOUBT_PATH = 8192 };

struct byteset {
	uint64_t w[4];
};

/* A group while it is read; what is said of it counts for its current alternative. */
struct doubt_group {
	struct byteset loops;              /* what repeats without end in it take */
	struct byteset all;                /* what any element of any alternative takes */
	struct byteset marks[DOUBT_MARKS]; /* what stands there exactly once */
	unsigned nmarks;
	bool has_loop;
	bool is_bad;    /* an alternative has a loop, and no mark separates its rounds */
	bool is_atomic; /* or a look: never backtracked into */
};

struct doubt {
	struct str s;
	size_t at;
	bool is_caseless, is_given_up, is_found;
	unsigned depth;
	struct doubt_group group[DOUBT_DEPTH];
};

/* --- sets of bytes --- */

static void
byteset_add(struct byteset *a, const struct byteset *b)
{
	for (int i = 0; i < 4; i++)
		a->w[i] |= b->w[i];
}

static bool
byteset_meet(const struct byteset *a, const struct byteset *b)
{
	return (a->w[0] & b->w[0]) | (a->w[1] & b->w[1]) | (a->w[2] & b->w[2]) |
	       (a->w[3] & b->w[3]);
}

static bool
byteset_is_empty(const struct byteset *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

/* What an element takes; everything when it means nothing alone (a back reference). */
static struct byteset
byteset_of(const struct doubt *d, struct str atom)
{
	struct byteset set = { { ~0ull, ~0ull, ~0ull, ~0ull } };
	struct cfg_regex re = { 0 };
	char text[DOUBT_ATOM + 16];
	const char *why;
	size_t offset;
	int n;

	if (atom.n > DOUBT_ATOM)
		return set;
	n = snprintf(
	    text, sizeof(text), "%s^(?:%.*s)$", d->is_caseless ? "(?i)" : "", STR_FMT(atom));
	if (!regex_compile(&re, str_n(text, (size_t)n), &why, &offset))
		return set;
	memset(&set, 0, sizeof(set));
	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;

		if (regex_match(&re, str_n(&byte, 1), NULL).is == REGEX_MATCH)
			set.w[c / 64] |= 1ull << c % 64;
	}
	regex_free(&re);
	return set;
}

/* --- elements --- */

static char
doubt_peek(const struct doubt *d, size_t more)
{
	return d->at + more < d->s.n ? d->s.p[d->at + more] : '\0';
}

static void
doubt_skip_to(struct doubt *d, char end)
{
	while (d->at < d->s.n && d->s.p[d->at] != end)
		d->at++;
	d->at++;
}

static void
doubt_escape(struct doubt *d)
{
	char c = doubt_peek(d, 1);

	d->at += 2;
	if (c == 'Q') { /* a quotation: rare, and a grammar of its own */
		d->is_given_up = true;
	} else if (doubt_peek(d, 0) == '{' && c && strchr("pPxoNgk", c)) {
		doubt_skip_to(d, '}');
	} else if (c == 'x') {
		for (int i = 0; i < 2 && doubt_peek(d, 0) &&
				strchr("0123456789abcdefABCDEF", doubt_peek(d, 0));
		     i++)
			d->at++;
	} else if (c == 'c' || ((c == 'p' || c == 'P') && doubt_peek(d, 0))) {
		d->at++;
	} else if (c >= '0' && c <= '9') {
		while (doubt_peek(d, 0) >= '0' && doubt_peek(d, 0) <= '9')
			d->at++;
	}
}

static void
doubt_class(struct doubt *d)
{
	d->at += doubt_peek(d, 1) == '^' ? 2 : 1;
	if (doubt_peek(d, 0) == ']')
		d->at++;
	while (d->at < d->s.n && doubt_peek(d, 0) != ']') {
		if (doubt_peek(d, 0) == '[' && doubt_peek(d, 1) == ':')
			doubt_skip_to(d, ']');
		else
			d->at += doubt_peek(d, 0) == '\\' ? 2 : 1;
	}
	d->at++;
}

enum doubt_times { TIMES_ONCE, TIMES_SOME, TIMES_ENDLESS };

/* The quantifier at d->at, if there is one. A possessive one gives nothing back: it is no loop. */
static enum doubt_times
doubt_times(struct doubt *d)
{
	enum doubt_times times = TIMES_SOME;
	char c = doubt_peek(d, 0);
	size_t i = 1;

	if (c == '*' || c == '+') {
		times = TIMES_ENDLESS;
	} else if (c == '{') {
		while (doubt_peek(d, i) >= '0' && doubt_peek(d, i) <= '9')
			i++;
		if (i == 1)
			return TIMES_ONCE;
		if (doubt_peek(d, i) == ',' && doubt_peek(d, ++i) == '}')
			times = TIMES_ENDLESS;
		while (doubt_peek(d, i) >= '0' && doubt_peek(d, i) <= '9')
			i++;
		if (doubt_peek(d, i++) != '}')
			return TIMES_ONCE;
	} else if (c != '?') {
		return TIMES_ONCE;
	}
	d->at += i;
	if (doubt_peek(d, 0) == '+')
		times = TIMES_SOME;
	if (doubt_peek(d, 0) == '+' || doubt_peek(d, 0) == '?')
		d->at++;
	return times;
}

static void
doubt_atom(struct doubt *d)
{
	struct doubt_group *g = &d->group[d->depth];
	size_t from = d->at;
	struct byteset set;
	struct str atom;

	if (d->s.p[d->at] == '\\')
		doubt_escape(d);
	else if (d->s.p[d->at] == '[')
		doubt_class(d);
	else
		d->at++;
	if (d->is_given_up || d->at > d->s.n)
		return;
	atom = str_n(d->s.p + from, d->at - from);
	if (d->depth == 0) { /* only what is in groups can be repeated with what it holds */
		doubt_times(d);
		return;
	}
	set = byteset_of(d, atom);
	byteset_add(&g->all, &set);
	switch (doubt_times(d)) {
	case TIMES_ENDLESS:
		g->has_loop = true;
		byteset_add(&g->loops, &set);
		break;
	case TIMES_ONCE:
		if (g->nmarks < DOUBT_MARKS && !byteset_is_empty(&set))
			g->marks[g->nmarks++] = set;
		break;
	case TIMES_SOME:
		break;
	}
}

/* --- groups --- */

/* "(" and what it says of itself. */
static void
doubt_open(struct doubt *d)
{
	struct doubt_group g = { 0 };
	char c = doubt_peek(d, 2);

	if (doubt_peek(d, 1) == '*' || (doubt_peek(d, 1) == '?' && c == '#')) {
		doubt_skip_to(d, ')');
		return;
	}
	d->at++;
	if (doubt_peek(d, 0) == '?') {
		char next = doubt_peek(d, 2);

		g.is_atomic =
		    c == '>' || c == '=' || c == '!' || (c == '<' && (next == '=' || next == '!'));
		d->at += c == '<' && g.is_atomic ? 3 : 2;
		if (!g.is_atomic && c != ':' && c != '|') { /* a name, or options */
			size_t from = d->at - 1;

			while (d->at < d->s.n && !strchr(":)>'", doubt_peek(d, 0)))
				d->at++;
			if (doubt_peek(d, 0) == '\'')
				doubt_skip_to(d, '\'');
			d->is_caseless |= memchr(d->s.p + from, 'i', d->at - from) != NULL;
			if (doubt_peek(d, 0) == ')') { /* "(?i)", "(?1)": no group */
				d->at++;
				return;
			}
			d->at += doubt_peek(d, 0) == ':' || doubt_peek(d, 0) == '>';
		}
	}
	if (d->depth + 1 == DOUBT_DEPTH) {
		d->is_given_up = true;
		return;
	}
	d->group[++d->depth] = g;
}

/* The current alternative of a group ends. */
static void
doubt_alternative(struct doubt_group *g)
{
	bool is_distinct = false;

	for (unsigned i = 0; i < g->nmarks; i++)
		is_distinct |= !byteset_meet(&g->marks[i], &g->loops);
	g->is_bad |= g->has_loop && !is_distinct;
	g->nmarks = 0;
}

static void
doubt_close(struct doubt *d)
{
	struct doubt_group g = d->group[d->depth], *outer;
	enum doubt_times times;

	d->at++;
	if (d->depth == 0)
		return;
	doubt_alternative(&g);
	times = doubt_times(d);
	outer = &d->group[--d->depth];
	byteset_add(&outer->all, &g.all);
	if (g.is_atomic)
		return;
	d->is_found |= times == TIMES_ENDLESS && g.is_bad;
	if (times == TIMES_ENDLESS) {
		outer->has_loop = true;
		byteset_add(&outer->loops, &g.all);
	} else if (g.has_loop) {
		outer->has_loop = true;
		byteset_add(&outer->loops, &g.loops);
	}
}

static bool
doubt_is_nested(struct str source)
{
	struct doubt d = { .s = source };

	while (d.at < d.s.n && !d.is_given_up && !d.is_found) {
		switch (d.s.p[d.at]) {
		case '(':
			doubt_open(&d);
			break;
		case ')':
			doubt_close(&d);
			break;
		case '|':
			d.at++;
			doubt_alternative(&d.group[d.depth]);
			break;
		case '^':
		case '$':
			d.at++;
			break;
		default:
			doubt_atom(&d);
		}
	}
	return d.is_found;
}

/* --- trial --- */

/* The bytes that an expression begins with for certain: "/a/" of "^/a/(x+)+$". */
static size_t
doubt_beginning(struct str s, char *out, size_t room)
{
	size_t n = 0, i = s.n > 0 && s.p[0] == '^';

	for (; i < s.n && n < room && !strchr("\\[](){}.*+?|^$", s.p[i]) && s.p[i]; i++)
		out[n++] = s.p[i];
	if (n > 0 && i < s.n && s.p[i] && strchr("*+?{|", s.p[i]))
		n--;
	return n;
}

static bool
doubt_is_undecided(struct str source)
{
	static const char *const units[] = { "a", "/", "ab", "a/", "/a", "0", "-" };
	static char path[DOUBT_PATH];
	size_t begin = doubt_beginning(source, path, sizeof(path) / 2);
	struct cfg_regex re = { 0 };
	char text[DOUBT_ATOM + 32];
	bool is_undecided = false;
	const char *why;
	size_t offset;
	int n;

	/* Without it what a path must hold is looked for first, and it holds that when an enemy
	   makes it. */
	n = snprintf(text, sizeof(text), "(*NO_START_OPT)^(?:%.*s)", STR_FMT(source));
	if (n >= (int)sizeof(text) || !regex_compile(&re, str_n(text, (size_t)n), &why, &offset))
		return false;
	for (size_t u = 0; u < sizeof(units) / sizeof(*units) && !is_undecided; u++) {
		for (size_t i = begin; i < DOUBT_PATH; i++)
			path[i] = units[u][(i - begin) % strlen(units[u])];
		path[DOUBT_PATH - 1] = '\x01';
		is_undecided = regex_search(&re, str_n(path, DOUBT_PATH), NULL).is == REGEX_FAILED;
	}
	regex_free(&re);
	return is_undecided;
}

const char *
regexdoubt_of(struct str source, const char **hint)
{
	bool was_interpreted = regex_is_interpreted, is_nested, is_undecided;

	regex_is_interpreted = true; /* each is used a few times: not worth compiling */
	is_nested = doubt_is_nested(source);
	is_undecided = !is_nested && doubt_is_undecided(source);
	regex_is_interpreted = was_interpreted;
	if (is_nested) {
		*hint = "let a byte that the inner repeat cannot take stand between two rounds, "
			"as in \"(?:[^/]+/)*\", or give nothing back: \"(?:...)*+\"";
		return "a repeat of a repeat: paths can be made that take it too many steps; they "
		       "are answered 500";
	}
	if (is_undecided) {
		*hint = "say more exactly what each repeat takes (\"[^/]+\" instead of \".+\"), "
			"and anchor it with \"^\"";
		return "gives up on some paths of 8 KiB, after too many steps; they are answered "
		       "500";
	}
	return NULL;
}

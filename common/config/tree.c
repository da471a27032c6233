/*
 * The grammar: settings in groups, elements in lists. Each function reads one construct and leaves
 * the cursor behind it, whatever was wrong with it. A bracket that is never closed is noticed late,
 * at the end of the file or at an outer closing bracket; when a line further up stood too far to
 * the left to be inside, reading starts over with the bracket closed before that line, so that the
 * settings after it are found where they were meant to be.
 */
#include "common/base/must.h"
#include "common/config/lex.h"

enum { TREE_REPAIRS = 16 };

/* An open bracket. */
struct frame {
	struct frame *outer;
	struct cfg_place place; /* of the bracket */
	int indent;             /* column of the first token of the line it was opened for */
	int first_line;         /* line of the first token inside; 0: none yet */
	bool is_flat;           /* what is inside is not indented: columns say nothing */
	const char *suspect;    /* first token that stands too far left to be inside */
	char closer;
};

struct parser {
	struct lex t;
	struct frame *frame;
	const char *repair[TREE_REPAIRS]; /* where the innermost bracket is to be closed */
	bool is_used[TREE_REPAIRS];
	unsigned nrepairs, depth, nodes;
	int line, indent; /* column of the first token of the line */
	bool is_restart;
	bool is_stopped; /* a bound was hit: nothing more is read */
};

static void tree_value(struct parser *, struct cfg_node *);
static void tree_settings(struct parser *, struct cfg_node *);

static struct cfg_node *
tree_node(struct parser *p, struct cfg_node *parent)
{
	struct cfg_node *node = arena_calloc(p->t.arena, sizeof(*node));

	node->parent = parent;
	node->kind = NODE_NONE;
	node->place = lex_place(&p->t);
	if (parent) {
		if (parent->last)
			parent->last->next = node;
		else
			parent->first = node;
		parent->last = node;
		parent->n++;
	}
	if (++p->nodes > TREE_NODES && !p->is_stopped) {
		p->is_stopped = true;
		lex_error(&p->t, node->place, NULL, "the file has too many settings");
	}
	return node;
}

static bool
tree_is_closer(char c)
{
	return c == '}' || c == ')' || c == ']';
}

static char
tree_opener(char closer)
{
	return closer == '}' ? '{' : closer == ')' ? '(' : '[';
}

static bool
tree_closes_outer(const struct parser *p, char c)
{
	const struct frame *f;

	for (f = p->frame ? p->frame->outer : NULL; f; f = f->outer)
		if (f->closer == c)
			return true;
	return false;
}

static void
tree_unclosed(struct parser *p, const struct frame *f, struct cfg_place before)
{
	const char *hint = before.line > f->place.line
			       ? cfg_errors_printf(p->t.errors, "a '%c' is missing before line %d",
				     f->closer, before.line)
			       : cfg_errors_printf(p->t.errors, "a '%c' is missing", f->closer);

	lex_error(
	    &p->t, f->place, hint, "'%c' opened here is never closed", tree_opener(f->closer));
}

/* The innermost bracket ends without being closed: either at a better place, known now, or here. */
static void
tree_give_up(struct parser *p)
{
	struct frame *f = p->frame;

	if (f->suspect && p->nrepairs < TREE_REPAIRS) {
		p->repair[p->nrepairs++] = f->suspect;
		p->is_restart = true;
		return;
	}
	tree_unclosed(p, f, lex_place(&p->t));
}

static bool
tree_is_repair(struct parser *p)
{
	unsigned i;

	for (i = 0; i < p->nrepairs; i++)
		if (p->repair[i] == p->t.at && !p->is_used[i]) {
			p->is_used[i] = true; /* one bracket each */
			return true;
		}
	return false;
}

/* To what ends a setting, and over it; not over a closing bracket. */
static void
tree_skip_setting(struct parser *p)
{
	while (
	    p->t.at < p->t.end && *p->t.at != '\n' && *p->t.at != ';' && !tree_is_closer(*p->t.at))
		lex_step(&p->t);
	if (lex_peek(&p->t) == ';')
		lex_step(&p->t);
}

/* Notes where the line begins, and whether the token at the cursor stands too far left. */
static void
tree_note_indent(struct parser *p)
{
	struct frame *f = p->frame;

	if (p->t.line == p->line)
		return;
	p->line = p->t.line;
	p->indent = p->t.col;
	if (!f || p->t.line == f->place.line)
		return;
	if (!f->first_line) {
		f->first_line = p->t.line;
		f->is_flat = p->t.col <= f->indent;
	} else if (!f->suspect && !f->is_flat && p->t.col <= f->indent) {
		f->suspect = p->t.at;
	}
}

/* Whether the innermost bracket ends here; steps over what closes it. At top level only the end of
   the file does. */
static bool
tree_at_end(struct parser *p)
{
	struct frame *f = p->frame;
	char c;

	lex_skip(&p->t);
	if (p->is_restart || p->is_stopped)
		return true;
	c = lex_peek(&p->t);
	if (!f) {
		tree_note_indent(p);
		return p->t.at == p->t.end;
	}
	if (c == f->closer) {
		lex_step(&p->t);
		return true;
	}
	if (tree_is_repair(p)) {
		tree_unclosed(p, f, lex_place(&p->t));
		return true;
	}
	if (p->t.at == p->t.end || (tree_is_closer(c) && tree_closes_outer(p, c))) {
		tree_give_up(p);
		return true;
	}
	tree_note_indent(p);
	return false;
}

/* A bracket where a setting's name is wanted: the group before it is not closed, when the line
   stands too far left to be inside; else its content is read as if it had a name. */
static void
tree_nameless(struct parser *p)
{
	struct cfg_node hidden = { 0 };

	if (p->frame && p->frame->suspect == p->t.at) {
		tree_give_up(p);
		return;
	}
	lex_error(&p->t, lex_place(&p->t), "write name: { ... }; groups in a list stand in ( )",
	    "a name is wanted before '%c'", lex_peek(&p->t));
	tree_value(p, tree_node(p, &hidden));
}

/* A closing bracket that closes nothing, and what ends the setting that it was meant for. */
static void
tree_stray_closer(struct parser *p)
{
	struct cfg_place at = lex_place(&p->t);
	char c = lex_peek(&p->t);
	const char *hint = "remove it";

	if (p->frame)
		hint = cfg_errors_printf(p->t.errors, "'%c' on line %d is closed by '%c'",
		    tree_opener(p->frame->closer), p->frame->place.line, p->frame->closer);
	lex_error(&p->t, at, hint, "'%c' closes nothing", c);
	lex_step(&p->t);
	if (lex_peek(&p->t) == ';' || lex_peek(&p->t) == ',')
		lex_step(&p->t);
}

/* What begins no setting and no value. */
static void
tree_stray(struct parser *p)
{
	struct cfg_place at = lex_place(&p->t);
	char c = lex_peek(&p->t);

	if (tree_is_closer(c)) {
		tree_stray_closer(p);
	} else if (c == ';' || c == ',') {
		lex_error(&p->t, at, "remove it", "'%c' ends nothing", c);
		lex_step(&p->t);
	} else {
		lex_error(
		    &p->t, at, "a setting is: name = value;", "a setting's name is wanted here");
		tree_skip_setting(p);
	}
}

/* The bracket at the cursor, its content by body, what closes it. */
static void
tree_bracket(struct parser *p, struct cfg_node *node, char closer,
    void (*body)(struct parser *, struct cfg_node *))
{
	struct frame f = { .outer = p->frame, .place = lex_place(&p->t), .closer = closer };

	f.indent = p->indent;
	if (++p->depth > TREE_DEPTH) {
		lex_error(
		    &p->t, f.place, NULL, "brackets are nested too deep (at most %d)", TREE_DEPTH);
		p->is_stopped = true;
	}
	lex_step(&p->t);
	p->frame = &f;
	body(p, node);
	p->frame = f.outer;
	p->depth--;
}

static bool
tree_is_setting_ahead(const struct parser *p)
{
	struct lex t = p->t;

	if (!lex_is_name_start(lex_peek(&t)))
		return false;
	while (lex_is_name(lex_peek(&t)) || lex_peek(&t) == '.')
		t.at++;
	while (lex_peek(&t) == ' ' || lex_peek(&t) == '\t')
		t.at++;
	if (lex_peek(&t) == ':') { /* "host:80" is a value without quotes */
		t.at++;
		return !lex_is_word(lex_peek(&t));
	}
	return lex_peek(&t) == '=' || lex_peek(&t) == '{';
}

/* Whether the list is over although nothing closes it: what comes next, behind a ';' or on another
   line, is a setting. */
static bool
tree_is_left_open(const struct parser *p, struct cfg_place behind)
{
	struct parser ahead = *p;

	char c = lex_peek(&ahead.t);

	if (c == ';' || c == ',')
		lex_step(&ahead.t);
	while (strchr(" \t\r\n", lex_peek(&ahead.t)) && ahead.t.at < ahead.t.end)
		lex_step(&ahead.t);
	if (c != ';' && ahead.t.line == behind.line)
		return false;
	return tree_is_setting_ahead(&ahead);
}

/* What stands between two elements. False: the list ends here, and the cursor is behind it. */
static bool
tree_comma(struct parser *p, struct cfg_place behind, char closer)
{
	struct cfg_place at;
	char c;

	lex_skip(&p->t);
	c = lex_peek(&p->t);
	at = lex_place(&p->t);
	if (tree_is_left_open(p, behind)) {
		tree_unclosed(p, p->frame, at);
		return false;
	}
	if (c == ',' || c == ';') {
		lex_step(&p->t);
		if (c == ';')
			lex_error(
			    &p->t, at, "write ','", "elements of a list are separated by commas");
		if (tree_at_end(p)) {
			if (c == ',' && p->t.at > p->t.begin && p->t.at[-1] == closer)
				lex_error(&p->t, at, "remove it", "a comma before '%c'", closer);
			return false;
		}
		return true;
	}
	if (tree_at_end(p))
		return false;
	if (!tree_is_closer(c))
		lex_error(&p->t, behind, "put ',' here", "a comma is missing between two elements");
	return true;
}

static void
tree_list(struct parser *p, struct cfg_node *list)
{
	struct cfg_place behind;

	if (tree_at_end(p))
		return;
	do {
		const char *before = p->t.at;
		char c = lex_peek(&p->t);

		if (tree_is_setting_ahead(p)) {
			lex_error(&p->t, lex_place(&p->t),
			    "a group in a list: ( { name = value; } )",
			    "a list holds values, not settings");
			list = tree_node(p, list);
			list->kind = NODE_GROUP;
			tree_settings(p, list);
			return;
		}
		if (c == '"' || c == '\'' || c == '{' || c == '(' || c == '[' || lex_is_word(c))
			tree_value(p, tree_node(p, list));
		else
			tree_stray(p);
		if (p->t.at == before) /* nothing begins with this byte */
			lex_step(&p->t);
		behind = lex_place(&p->t);
	} while (!p->is_restart && !p->is_stopped && tree_comma(p, behind, p->frame->closer));
}

/* libconfig's arrays hold scalars of one type. */
static void
tree_check_array(struct parser *p, const struct cfg_node *array)
{
	const struct cfg_node *e;

	for (e = array->first; e; e = e->next) {
		if (e->kind == NODE_GROUP || e->kind == NODE_LIST || e->kind == NODE_ARRAY)
			lex_error(&p->t, array->place, "write ( ) in place of [ ]",
			    "[ ] holds plain values only");
		else if (e->kind != array->first->kind && e->kind != NODE_WORD &&
			 e->kind != NODE_NONE && array->first->kind < NODE_WORD)
			lex_error(&p->t, e->place, "all quoted, or all not",
			    "the values in [ ] must be of one kind");
	}
}

static void
tree_value(struct parser *p, struct cfg_node *node)
{
	node->place = lex_place(&p->t);
	switch (lex_peek(&p->t)) {
	case '{':
		node->kind = NODE_GROUP;
		tree_bracket(p, node, '}', tree_settings);
		break;
	case '(':
		node->kind = NODE_LIST;
		tree_bracket(p, node, ')', tree_list);
		break;
	case '[':
		node->kind = NODE_ARRAY;
		tree_bracket(p, node, ']', tree_list);
		tree_check_array(p, node);
		break;
	default:
		lex_scalar(&p->t, node);
	}
}

static void
tree_check_duplicate(struct parser *p, const struct cfg_node *group, const struct cfg_node *node)
{
	const struct cfg_node *e;

	for (e = group->first; e && e != node; e = e->next)
		if (str_eq(e->name, node->name)) {
			lex_error(&p->t, node->name_place,
			    cfg_errors_printf(p->t.errors, "the first is on line %d%s",
				e->name_place.line,
				e->kind == NODE_LIST ? "; make one list of both" : ""),
			    "'%.*s' is set twice", STR_FMT(node->name));
			return;
		}
}

/* Reads a name into a new member of group. A dotted name is a mistake, and read as the group in a
   group that it wants to be. */
static struct cfg_node *
tree_name(struct parser *p, struct cfg_node *group)
{
	struct cfg_place from = lex_place(&p->t), at = from;
	const char *begin = p->t.at;
	struct str left, name;
	struct cfg_node *node;
	bool ends_in_dot;

	while (lex_is_name(lex_peek(&p->t)) || lex_peek(&p->t) == '.')
		lex_step(&p->t);
	left = str_n(begin, (size_t)(p->t.at - begin));
	if (begin > p->t.begin && begin[-1] == '"' && lex_peek(&p->t) == '"')
		lex_step(&p->t); /* of a name in quotes */
	ends_in_dot = left.n && left.p[left.n - 1] == '.';
	while (left.n && left.p[left.n - 1] == '.')
		left.n--;
	name = str_split(&left, '.');
	if (ends_in_dot && !left.p)
		lex_error(&p->t, from, cfg_errors_printf(p->t.errors, "write %.*s", STR_FMT(name)),
		    "a name has no dots");
	if (left.p)
		lex_error(&p->t, from,
		    cfg_errors_printf(
			p->t.errors, "write %.*s: { %.*s = ...; }", STR_FMT(name), STR_FMT(left)),
		    "a name has no dots");
	for (;; name = str_split(&left, '.')) {
		at.col = from.col + (int)(name.p - begin);
		node = tree_node(p, group);
		node->name = name;
		node->name_place = node->place = at;
		if (!left.p)
			return node;
		node->kind = NODE_GROUP;
		group = node;
	}
}

/* '=' or ':'. False when there is no value to read. */
static bool
tree_assign(struct parser *p, struct cfg_node *node)
{
	struct cfg_place behind = lex_place(&p->t);
	char c;

	lex_skip(&p->t);
	c = lex_peek(&p->t);
	if (c == '=' || c == ':') {
		lex_step(&p->t);
		lex_skip(&p->t);
		if (lex_peek(&p->t) != '=' && lex_peek(&p->t) != ':')
			return true;
		lex_error(&p->t, lex_place(&p->t), "remove it", "one '=' or ':' is enough");
		lex_step(&p->t);
		lex_skip(&p->t);
		return true;
	}
	if (c == '{' || c == '(' || c == '[') {
		lex_error(&p->t, behind,
		    cfg_errors_printf(p->t.errors, "write %.*s: %c", STR_FMT(node->name), c),
		    "':' is missing before '%c'", c);
		return true;
	}
	lex_error(&p->t, behind,
	    cfg_errors_printf(p->t.errors, "write %.*s = value;", STR_FMT(node->name)),
	    "'=' is missing after '%.*s'", STR_FMT(node->name));
	/* A value on the same line was meant for it; another line is another setting. */
	return p->t.at < p->t.end && p->t.line == behind.line && (c == '"' || lex_is_word(c));
}

static bool
tree_is_value_start(char c)
{
	return c == '"' || c == '\'' || c == '{' || c == '(' || c == '[' || lex_is_word(c);
}

/* What follows a value: ';' or ','; or nothing, when what comes next begins a setting. */
static void
tree_terminator(struct parser *p, const struct cfg_node *node)
{
	struct cfg_place behind = lex_place(&p->t);

	lex_skip(&p->t);
	if (lex_peek(&p->t) == ';' || lex_peek(&p->t) == ',') {
		lex_step(&p->t);
		return;
	}
	if (p->t.at == p->t.end || tree_is_closer(lex_peek(&p->t)) || p->t.line != behind.line ||
	    tree_is_setting_ahead(p))
		return;
	/* A second value on the line: an unquoted text with spaces, or a list without brackets. */
	lex_error(&p->t, behind,
	    node->kind == NODE_WORD ? "text with spaces stands in double quotes"
				    : "end a setting with ';'; several values stand in [ ]",
	    "';' is missing after the value of '%.*s'", STR_FMT(node->name));
	tree_skip_setting(p);
}

static void
tree_setting(struct parser *p, struct cfg_node *group)
{
	struct cfg_node *node = tree_name(p, group);

	if (group->n > TREE_MEMBERS) {
		lex_error(
		    &p->t, node->name_place, NULL, "a group has at most %d settings", TREE_MEMBERS);
		p->is_stopped = true;
		return;
	}
	tree_check_duplicate(p, node->parent, node);
	if (str_caseeq(node->name, STR("true")) || str_caseeq(node->name, STR("false")))
		lex_error(&p->t, node->name_place, NULL, "'%.*s' is a value, not a name",
		    STR_FMT(node->name));
	if (!tree_assign(p, node))
		return;
	if (!tree_is_value_start(lex_peek(&p->t)) || tree_is_setting_ahead(p)) {
		lex_error(&p->t, lex_place(&p->t), NULL, "the value of '%.*s' is missing",
		    STR_FMT(node->name));
		if (lex_peek(&p->t) == ';')
			lex_step(&p->t);
		return;
	}
	tree_value(p, node);
	if (!p->is_restart && !p->is_stopped)
		tree_terminator(p, node);
}

/* A name in quotes: read as if they were not there. */
static bool
tree_is_quoted_name(const struct parser *p)
{
	const char *at = p->t.at;

	if (!lex_is_name_start(at[1]))
		return false;
	for (at++; lex_is_name(*at); at++)
		continue;
	return *at == '"';
}

static void
tree_settings(struct parser *p, struct cfg_node *group)
{
	while (!tree_at_end(p)) {
		char c = lex_peek(&p->t);

		if (lex_is_name_start(c)) {
			tree_setting(p, group);
		} else if (c == '@') {
			lex_error(&p->t, lex_place(&p->t), "write include = \"sites/*.conf\";",
			    "@include is not used here");
			lex_skip_line(&p->t);
		} else if (c == '"' && tree_is_quoted_name(p)) {
			lex_error(&p->t, lex_place(&p->t), "remove the quotes",
			    "names stand without quotes");
			lex_step(&p->t);
			tree_setting(p, group);
		} else if (c == '{' || c == '(' || c == '[') {
			tree_nameless(p);
		} else {
			tree_stray(p);
		}
	}
}

/* What cannot be read at all. */
static bool
tree_is_refused(struct parser *p, struct str text)
{
	const char *nul = memchr(text.p, '\0', text.n);

	if (text.n > TREE_BYTES) {
		lex_error(&p->t, (struct cfg_place){ p->t.file, 0, 0 }, NULL,
		    "the file is larger than %d MiB", TREE_BYTES >> 20);
		return true;
	}
	if (!nul)
		return false;
	lex_steps(&p->t, (size_t)(nul - text.p));
	lex_error(&p->t, lex_place(&p->t), NULL, "the file holds a NUL byte: it is not text");
	return true;
}

static void
tree_parse_once(struct parser *p, struct cfg_tree *tree, struct str text)
{
	p->is_restart = p->t.has_error = false;
	p->depth = p->nodes = 0;
	p->line = p->indent = 0;
	p->frame = NULL;
	memset(p->is_used, 0, sizeof(p->is_used));
	p->t.begin = p->t.at = text.p;
	p->t.end = text.p + text.n;
	p->t.line = p->t.col = 1;
	tree->root = tree_node(p, NULL);
	tree->root->kind = NODE_GROUP;
	if (tree_is_refused(p, text))
		return;
	if (str_has_prefix(text, STR("\xEF\xBB\xBF"))) {
		lex_error(&p->t, lex_place(&p->t), "save it as UTF-8 without BOM",
		    "the file begins with a byte order mark");
		lex_steps(&p->t, 3);
		p->t.col = 1;
	}
	tree_settings(p, tree->root);
}

void
tree_parse(struct cfg_tree *tree, struct arena *arena, struct cfg_errors *errors, const char *file,
    struct str text)
{
	struct parser p = { .t = { .file = file, .arena = arena, .errors = errors } };
	size_t mark = cfg_errors_mark(errors);
	int line;

	tree_parse_once(&p, tree, text);
	while (p.is_restart) {
		cfg_errors_rewind(errors, mark);
		tree_parse_once(&p, tree, text);
	}
	tree->is_clean = !p.t.has_error;
	if (!tree->is_clean || (line = tree_values(tree, arena, text)) == 0)
		return;
	tree->is_clean = false;
	cfg_errors_add(errors, true, (struct cfg_place){ file, line, 0 }, NULL,
	    "the file cannot be read as a configuration");
}

static const char *
tree_word_hint(struct cfg_errors *e, struct str word)
{
	static const char *const yes[] = { "yes", "on", NULL }, *const no[] = { "no", "off", NULL };
	size_t i;

	for (i = 0; yes[i]; i++)
		if (str_caseeq(word, str_of(yes[i])))
			return "write true";
	for (i = 0; no[i]; i++)
		if (str_caseeq(word, str_of(no[i])))
			return "write false";
	return cfg_errors_printf(e, "write \"%.*s\"", STR_FMT(word));
}

void
tree_report_words(const struct cfg_node *node, struct cfg_errors *e)
{
	const struct cfg_node *child;

	if (node->kind == NODE_WORD && !node->is_reported)
		cfg_errors_add(e, true, node->place, tree_word_hint(e, node->text),
		    "'%.*s' is neither a number nor true or false; text stands in double quotes",
		    STR_FMT(node->text));
	for (child = node->first; child; child = child->next)
		tree_report_words(child, e);
}

const char *
tree_describe(const struct cfg_node *node, struct cfg_errors *e)
{
	static const char *const names[] = {
		[NODE_GROUP] = "a group { }",
		[NODE_LIST] = "a list ( )",
		[NODE_ARRAY] = "a list [ ]",
		[NODE_STRING] = "the text",
		[NODE_INT] = "the number",
		[NODE_FLOAT] = "the number",
		[NODE_BOOL] = "",
		[NODE_WORD] = "the unquoted",
		[NODE_NONE] = "nothing",
	};
	int len = node->raw.n < 40 ? (int)node->raw.n : 40;

	if (!node->raw.n)
		return names[node->kind];
	return cfg_errors_printf(e, "%s%s%.*s%s", names[node->kind], *names[node->kind] ? " " : "",
	    len, node->raw.p, node->raw.n > 40 ? "..." : "");
}

struct cfg_node *
tree_member(const struct cfg_node *group, const char *name)
{
	struct cfg_node *e;

	for (e = group->first; e; e = e->next)
		if (str_eq(e->name, str_of(name)))
			return e;
	return NULL;
}

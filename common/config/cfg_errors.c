/*
 * The list of what is wrong. Messages, names and source texts live in an arena of their own,
 * because they outlive a configuration that was refused. The number of messages kept is bounded;
 * the counts are not. Columns count characters (UTF-8 code points), as editors do.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "common/base/utf8.h"
#include "common/config/cfg_errors.h"
#include "common/config/conf.h"

enum { ERRORS_KEPT = 1000, LINE_SHOWN = 120, LINE_BEFORE = 80 };

struct source {
	const char *file;
	struct str text;
	struct source *next;
	unsigned order;
};

struct cfg_errors {
	struct arena arena;
	struct cfg_message *v;
	size_t n, room;
	size_t errors, warnings;
	struct source *sources;
	unsigned nsources;
	unsigned seq;
};

struct cfg_errors *
cfg_errors_new(void)
{
	struct cfg_errors *e = must_calloc(1, sizeof(*e));

	arena_init(&e->arena, NULL, 0);
	return e;
}

void
cfg_errors_free(struct cfg_errors *e)
{
	if (!e)
		return;
	arena_fini(&e->arena);
	free(e->v);
	free(e);
}

static const struct source *
cfg_errors_find(const struct cfg_errors *e, const char *file)
{
	const struct source *s;

	for (s = e->sources; file && s; s = s->next)
		if (s->file == file || strcmp(s->file, file) == 0)
			return s;
	return NULL;
}

const char *
cfg_errors_source(struct cfg_errors *e, const char *file, struct str text)
{
	struct source *s = arena_calloc(&e->arena, sizeof(*s));

	s->file = arena_strdup(&e->arena, file);
	s->text = arena_str(&e->arena, text);
	s->order = e->nsources++;
	s->next = e->sources;
	e->sources = s;
	return s->file;
}

static bool
cfg_errors_has(const struct cfg_errors *e, const struct cfg_place *p, const char *text)
{
	size_t i;

	for (i = 0; i < e->n; i++) {
		const struct cfg_message *m = &e->v[i];

		if (m->place.line == p->line && m->place.col == p->col &&
		    strcmp(m->text, text) == 0 &&
		    strcmp(m->place.file, p->file ? p->file : "") == 0)
			return true;
	}
	return false;
}

void
cfg_errors_vadd(struct cfg_errors *e, bool is_error, struct cfg_place place, const char *hint,
    const char *fmt, va_list ap)
{
	const char *text = arena_vprintf(&e->arena, fmt, ap).p;
	const struct source *src = cfg_errors_find(e, place.file);
	struct cfg_message *m;

	if (cfg_errors_has(e, &place, text))
		return;
	if (is_error)
		e->errors++;
	else
		e->warnings++;
	if (e->n == ERRORS_KEPT)
		return;
	if (e->n == e->room) {
		e->room = e->room ? 2 * e->room : 16;
		e->v = must_realloc(e->v, e->room * sizeof(*e->v));
	}
	m = &e->v[e->n++];
	*m = (struct cfg_message){ .place = place, .is_error = is_error, .text = text };
	m->place.file = src ? src->file : arena_strdup(&e->arena, place.file ? place.file : "");
	m->order = src ? src->order : e->nsources;
	m->seq = e->seq++;
	if (hint)
		m->hint = arena_strdup(&e->arena, hint);
}

void
cfg_errors_add(struct cfg_errors *e, bool is_error, struct cfg_place place, const char *hint,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cfg_errors_vadd(e, is_error, place, hint, fmt, ap);
	va_end(ap);
}

const char *
cfg_errors_printf(struct cfg_errors *e, const char *fmt, ...)
{
	struct str s;
	va_list ap;

	va_start(ap, fmt);
	s = arena_vprintf(&e->arena, fmt, ap);
	va_end(ap);
	return s.p;
}

size_t
cfg_errors_count(const struct cfg_errors *e)
{
	return e->errors;
}

size_t
cfg_warnings_count(const struct cfg_errors *e)
{
	return e->warnings;
}

size_t
cfg_errors_mark(const struct cfg_errors *e)
{
	return e->n;
}

void
cfg_errors_rewind(struct cfg_errors *e, size_t n)
{
	while (e->n > n)
		if (e->v[--e->n].is_error)
			e->errors--;
		else
			e->warnings--;
}

static int
cfg_errors_compare(const void *pa, const void *pb)
{
	const struct cfg_message *a = pa, *b = pb;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	if (a->place.col != b->place.col)
		return a->place.col < b->place.col ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

const struct cfg_message *
cfg_errors_sorted(const struct cfg_errors *e, size_t *n)
{
	*n = e->n;
	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), cfg_errors_compare);
	return e->v;
}

/* The line that a place is on, without its end; n 0 and p NULL when the text is not known. */
static struct str
cfg_errors_line(const struct cfg_errors *e, const struct cfg_place *at)
{
	const struct source *s = cfg_errors_find(e, at->file);
	struct str rest, line = { NULL, 0 };
	int i;

	if (!s || at->line < 1)
		return line;
	rest = s->text;
	for (i = 0; i < at->line; i++) {
		if (!rest.p)
			return (struct str){ NULL, 0 };
		line = str_split(&rest, '\n');
	}
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static bool
cfg_errors_is_tail(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* The byte position of a column in a line. */
static size_t
cfg_errors_byte(struct str line, int col)
{
	size_t i = 0;

	while (--col > 0 && i < line.n) {
		i++;
		while (i < line.n && cfg_errors_is_tail(line.p[i]))
			i++;
	}
	return i;
}

static bool
cfg_errors_is_word(char c)
{
	return c == '_' || c == '-' || c == '.' || c == '*' || c == '+' || c == '/' ||
	       (unsigned)(c - '0') < 10 || (unsigned)((c | 0x20) - 'a') < 26;
}

/* How many bytes from the place on belong to the token that stands there. */
static size_t
cfg_errors_span(struct str s)
{
	size_t i = 1;

	if (s.n == 0)
		return 0;
	if (s.p[0] == '"' || s.p[0] == '\'') {
		while (i < s.n && s.p[i] != s.p[0])
			i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
		return i < s.n ? i + 1 : 1;
	}
	while (cfg_errors_is_word(s.p[0]) && i < s.n && cfg_errors_is_word(s.p[i]))
		i++;
	return i;
}

/* A line of the file, with '?' for each character that is no plain text. */
static void
cfg_errors_put_line(FILE *f, struct str line)
{
	const unsigned char *p = (const unsigned char *)line.p, *end = p + line.n;

	while (p < end) {
		unsigned len = utf8_len(p, end), n = len > 0 ? len : 1;

		if (*p == '\t' || utf8_plain(p, end))
			fwrite(p, 1, n, f);
		else
			fputc('?', f);
		p += n;
	}
}

/* A message: it may quote what stands in a file, or name one, and is a line in any case. */
static void
cfg_errors_put_text(FILE *f, const char *z)
{
	const unsigned char *p = (const unsigned char *)z, *end = p + strlen(z);

	while (p < end) {
		unsigned n = utf8_plain(p, end);
		char esc[4] = "";

		if (n == 0)
			fwrite(esc, 1, (size_t)(utf8_escape(esc, *p) - esc), f);
		else
			fwrite(p, 1, n, f);
		p += n > 0 ? n : 1;
	}
}

/* "   14 |       compres = true;" and the caret below it. */
static void
cfg_errors_print_source(const struct cfg_errors *e, const struct cfg_message *m, FILE *f,
    const char *on, const char *off)
{
	struct str line = cfg_errors_line(e, &m->place);
	size_t at, span, from = 0, i;

	if (!line.p) {
		if (m->hint)
			fprintf(f, "      | %s\n", m->hint);
		return;
	}
	at = cfg_errors_byte(line, m->place.col);
	span = cfg_errors_span(str_n(line.p + at, line.n - at));
	if (at > LINE_BEFORE)
		from = at - LINE_BEFORE;
	while (from && from < at && cfg_errors_is_tail(line.p[from]))
		from++;
	line = str_n(line.p + from, line.n - from < LINE_SHOWN ? line.n - from : LINE_SHOWN);
	fprintf(f, "%5d | ", m->place.line);
	cfg_errors_put_line(f, line);
	fprintf(f, "\n      | ");
	for (i = from; m->place.col && i < at; i++)
		if (!cfg_errors_is_tail(line.p[i - from]))
			fputc(line.p[i - from] == '\t' ? '\t' : ' ', f);
	fputs(on, f);
	if (m->place.col)
		fputc('^', f);
	for (i = 1; m->place.col && i < span && at + i < from + line.n; i++)
		if (!cfg_errors_is_tail(line.p[at + i - from]))
			fputc('~', f);
	fprintf(f, "%s%s%s\n", off, m->hint && m->place.col ? " " : "", m->hint ? m->hint : "");
}

void
cfg_errors_print(const struct cfg_errors *e, FILE *f, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *off = colour ? "\033[0m" : "";
	const char *red = colour ? "\033[1;31m" : "", *yellow = colour ? "\033[1;33m" : "";
	const char *green = colour ? "\033[1;32m" : "";
	const struct cfg_message *v;
	size_t i, n;

	v = cfg_errors_sorted(e, &n);
	for (i = 0; i < n; i++) {
		const struct cfg_message *m = &v[i];

		fprintf(f, "%s%s", bold, m->place.file);
		if (m->place.line)
			fprintf(f, ":%d", m->place.line);
		if (m->place.line && m->place.col)
			fprintf(f, ":%d", m->place.col);
		fprintf(f, "%s%s%s%s:%s ", *m->place.file ? ": " : "", off,
		    m->is_error ? red : yellow, m->is_error ? "error" : "warning", off);
		cfg_errors_put_text(f, m->text);
		fputc('\n', f);
		cfg_errors_print_source(e, m, f, green, off);
	}
	if (e->errors + e->warnings > e->n)
		fprintf(f, "... and %zu more\n", e->errors + e->warnings - e->n);
}

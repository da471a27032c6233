/*
 * A configuration as lines that can be compared: "kind, tab, object, tab, option, tab, value". An
 * object has a line with an empty option; below it are the options that are set in its own scope,
 * for the server also those that are not. The order of a site's routes is an option of its own.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "common/config/build.h"
#include "common/config/conf_print.h"

static void
dump_line(FILE *out, const char *kind, const char *name, const char *option)
{
	fprintf(out, "%s\t%s\t%s\t", kind, name, option);
}

static bool
dump_is_own(const struct scope *s, size_t table, size_t row)
{
	const struct cfg_place *p = &s->places[table][row], *q;

	if (!s->parent)
		return true;
	if (!s->is_own[table] || !p->file)
		return false;
	q = &s->parent->places[table][row];
	return p->file != q->file || p->line != q->line || p->col != q->col;
}

/* skip: the row of the core that stands in lines of another kind (listens), or NULL. */
static void
dump_scope(FILE *out, const struct scope *s, const char *kind, const char *name, const char *skip)
{
	const struct opt_table *tables;
	const struct cfg_opt *o;
	size_t i, k, n;

	dump_line(out, kind, name, "");
	fputc('\n', out);
	tables = core_tables(&n);
	for (i = 0; i < n; i++)
		for (k = 0; (o = &tables[i].opts[k])->type != CFG_END; k++) {
			if (!(o->where & s->where) || !dump_is_own(s, i, k) ||
			    (skip && strcmp(o->name, skip) == 0))
				continue;
			dump_line(out, kind, name, o->name);
			opt_print(out, o, s->conf[i]);
			fputc('\n', out);
		}
}

static void
dump_listen(FILE *out, const struct conf_listen *l)
{
	dump_line(out, "listen", l->text.p, "");
	fputc('\n', out);
	dump_line(out, "listen", l->text.p, "backlog");
	fprintf(out, "%lld\n", (long long)l->backlog);
	if (l->family == LISTEN_TCP) {
		dump_line(out, "listen", l->text.p, "defer");
		fprintf(out, "%s\n", l->defer ? "true" : "false");
	}
	dump_line(out, "listen", l->text.p, "proxy_protocol");
	fprintf(out, "%s\n", l->proxy_protocol ? "true" : "false");
	dump_line(out, "listen", l->text.p, "site");
	fprintf(out, "\"%s\"\n", l->default_site ? l->default_site->name : "");
	if (l->family != LISTEN_UNIX)
		return;
	dump_line(out, "listen", l->text.p, "mode");
	fprintf(out, "\"%04o\"\n", (unsigned)l->mode);
	dump_line(out, "listen", l->text.p, "owner");
	fprintf(out, "\"%.*s:%.*s\"\n", STR_FMT(l->user), STR_FMT(l->group));
}

static void
dump_site(FILE *out, const struct site *site, const struct build_site *from)
{
	const struct build_route *r = from->routes;
	size_t i;

	dump_scope(out, from->scope, "site", site->name, NULL);
	dump_line(out, "site", site->name, "routes");
	for (i = 0; i < site->nroutes; i++)
		fprintf(out, "%s%s", i ? "\t" : "", site->routes[i].path_label);
	fputc('\n', out);
	for (i = 0; r; r = r->next, i++)
		dump_scope(out, r->scope, "route", site->routes[i].label, NULL);
}

/* The shared socket of local processes follows from the name. */
static void
dump_pool(FILE *out, const struct conf_pool *p)
{
	const struct cfg_opt *o;

	dump_line(out, "backend", p->name.p, "");
	fputc('\n', out);
	for (o = pool_opts; o->type != CFG_END; o++) {
		dump_line(out, "backend", p->name.p, o->name);
		opt_print(out, o, p);
		fputc('\n', out);
	}
}

void
conf_dump(const struct conf *conf, FILE *out)
{
	const struct build_site *s = conf->origin->sites;
	size_t i;

	dump_scope(out, conf->origin->server, "server", "", "listen");
	for (i = 0; i < conf->nlistens; i++)
		dump_listen(out, &conf->listens[i]);
	for (i = 0; i < conf->npools; i++)
		dump_pool(out, &conf->pools[i]);
	for (i = 0; s; s = s->next, i++)
		dump_site(out, &conf->sites[i], s);
}

/* --- differences --- */

struct entry {
	struct str kind, name, option, value;
	struct str key; /* kind, tab, name, tab, option as they stand in the line */
	size_t seq;
};

struct entries {
	struct entry *v, **sorted; /* in the order of the text; by key */
	size_t n;
};

static int
diff_compare_keys(struct str a, struct str b)
{
	int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return d ? d : a.n < b.n ? -1 : a.n > b.n;
}

static int
diff_compare(const void *pa, const void *pb)
{
	const struct entry *a = *(struct entry *const *)pa, *b = *(struct entry *const *)pb;
	int d = diff_compare_keys(a->key, b->key);

	return d ? d : a->seq < b->seq ? -1 : 1;
}

static void
diff_read(struct entries *e, struct str text)
{
	struct str line, all;
	size_t i, room = 1;

	for (i = 0; i < text.n; i++)
		room += text.p[i] == '\n';
	e->v = must_calloc(room, sizeof(*e->v));
	e->sorted = must_calloc(room, sizeof(*e->sorted));
	e->n = 0;
	while (text.p && e->n < room) {
		struct entry *x = &e->v[e->n];

		all = line = str_split(&text, '\n');
		x->kind = str_split(&line, '\t');
		if (line.p)
			x->name = str_split(&line, '\t');
		if (line.p)
			x->option = str_split(&line, '\t');
		if (!line.p)
			continue; /* not a line of a dump */
		x->value = line;
		x->key = str_n(all.p, (size_t)(line.p - all.p) - 1);
		x->seq = e->n;
		e->sorted[e->n++] = x;
	}
	if (e->n)
		qsort(e->sorted, e->n, sizeof(*e->sorted), diff_compare);
}

static void
diff_free(struct entries *e)
{
	free(e->v);
	free(e->sorted);
}

static const struct entry *
diff_find(const struct entries *e, struct str key)
{
	size_t lo = 0, hi = e->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (diff_compare_keys(e->sorted[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < e->n && str_eq(e->sorted[lo]->key, key) ? e->sorted[lo] : NULL;
}

/* Whether the object that an option belongs to is there. */
static bool
diff_has_object(const struct entries *e, const struct entry *x)
{
	return diff_find(e, str_n(x->key.p, x->kind.n + x->name.n + 2)) != NULL;
}

static bool
diff_list_has(struct str list, struct str item)
{
	while (list.p)
		if (str_eq(str_split(&list, '\t'), item))
			return true;
	return false;
}

/* Next of the items of list that are also in other. */
static bool
diff_next_common(struct str *list, struct str other, struct str *item)
{
	while (list->p) {
		*item = str_split(list, '\t');
		if (diff_list_has(other, *item))
			return true;
	}
	return false;
}

/* Whether the routes that both have stand in another order. */
static bool
diff_is_reordered(struct str a, struct str b)
{
	struct str resta = a, restb = b, x, y;

	while (diff_next_common(&resta, b, &x))
		if (!diff_next_common(&restb, a, &y) || !str_eq(x, y))
			return true;
	return false;
}

static size_t
diff_print_object(FILE *out, char sign, const struct entry *x)
{
	if (out)
		fprintf(out, "%c %.*s%s%.*s\n", sign, STR_FMT(x->kind), x->name.n ? " " : "",
		    STR_FMT(x->name));
	return 1;
}

static size_t
diff_print_option(FILE *out, const struct entry *was, const struct entry *is)
{
	const struct entry *x = is ? is : was;

	if (was && is && str_eq(x->kind, STR("site")) && str_eq(x->option, STR("routes")) &&
	    !diff_is_reordered(was->value, is->value))
		return 0;
	if (!out)
		return 1;
	fprintf(out, "~ %.*s%s%.*s: %.*s", STR_FMT(x->kind), x->name.n ? " " : "", STR_FMT(x->name),
	    STR_FMT(x->option));
	if (was && is && str_eq(x->option, STR("routes")))
		fputs(" in another order\n", out);
	else if (was && is)
		fprintf(out, " %.*s -> %.*s\n", STR_FMT(was->value), STR_FMT(is->value));
	else if (is)
		fprintf(out, " = %.*s (was not set here)\n", STR_FMT(is->value));
	else
		fprintf(out, " is no longer set here (was %.*s)\n", STR_FMT(was->value));
	return 1;
}

size_t
conf_dump_diff(struct str a, struct str b, FILE *out)
{
	struct entries was, is;
	const struct entry *x, *y;
	size_t i, n = 0;

	diff_read(&was, a);
	diff_read(&is, b);
	for (i = 0; i < was.n; i++) {
		x = &was.v[i];
		if (diff_find(&is, x->key))
			continue;
		if (x->option.n == 0)
			n += diff_print_object(out, '-', x);
		else if (diff_has_object(&is, x))
			n += diff_print_option(out, x, NULL);
	}
	for (i = 0; i < is.n; i++) {
		x = &is.v[i];
		y = diff_find(&was, x->key);
		if (!y && x->option.n == 0)
			n += diff_print_object(out, '+', x);
		else if (!y && diff_has_object(&was, x))
			n += diff_print_option(out, NULL, x);
		else if (y && !str_eq(x->value, y->value))
			n += diff_print_option(out, y, x);
	}
	diff_free(&was);
	diff_free(&is);
	return n;
}

static struct str
diff_dump(const struct conf *conf)
{
	struct str s = { NULL, 0 };
	char *text = NULL;
	FILE *f = open_memstream(&text, &s.n);

	must(f);
	conf_dump(conf, f);
	must(fclose(f) == 0);
	s.p = text;
	return s;
}

size_t
conf_diff(const struct conf *a, const struct conf *b, FILE *out)
{
	struct str was = diff_dump(a), is = diff_dump(b);
	size_t n = conf_dump_diff(was, is, out);

	free((char *)was.p);
	free((char *)is.p);
	return n;
}

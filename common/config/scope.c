/*
 * Scopes: copies on the first write, lists that are merged with what is inherited, and the check
 * hooks. Nothing is checked before everything is set, so that what check hooks derive is never
 * inherited half made: a scope with options of its own derives its own.
 */
#include "common/base/must.h"
#include "common/config/build.h"

struct scope *
scope_new(struct arena *arena, struct scope *parent, unsigned where, struct cfg_place place,
    const char *name)
{
	struct scope *s = arena_calloc(arena, sizeof(*s));
	const struct opt_table *tables;
	size_t i, n, rows;

	tables = core_tables(&n);
	*s = (struct scope){ .parent = parent, .where = where, .place = place, .name = name };
	s->conf = arena_calloc(arena, n * sizeof(*s->conf));
	s->places = arena_calloc(arena, n * sizeof(*s->places));
	s->elems = arena_calloc(arena, n * sizeof(*s->elems));
	s->is_own = arena_calloc(arena, n);
	s->has_error = arena_calloc(arena, n);
	for (i = 0; i < n; i++) {
		if (parent) {
			s->conf[i] = parent->conf[i];
			s->places[i] = parent->places[i];
			s->elems[i] = parent->elems[i];
			s->has_error[i] = parent->has_error[i];
			continue;
		}
		rows = opt_count(tables[i].opts);
		s->conf[i] = arena_calloc(arena, tables[i].size + 1);
		s->places[i] = arena_calloc(arena, (rows + 1) * sizeof(*s->places[i]));
		s->elems[i] = arena_calloc(arena, (rows + 1) * sizeof(*s->elems[i]));
		s->is_own[i] = true;
		opt_defaults(arena, tables[i].opts, s->conf[i]);
	}
	return s;
}

static void *
scope_copy(struct arena *arena, const void *from, size_t len)
{
	void *to = arena_alloc(arena, len + 1);

	memcpy(to, from, len);
	return to;
}

/* A table's struct becomes the scope's own. */
static void
scope_own(struct scope *s, struct arena *arena, const struct opt_table *table, size_t i)
{
	size_t rows = opt_count(table->opts);

	if (s->is_own[i])
		return;
	s->is_own[i] = true;
	s->conf[i] = scope_copy(arena, s->conf[i], table->size);
	s->places[i] = scope_copy(arena, s->places[i], rows * sizeof(*s->places[i]));
	s->elems[i] = scope_copy(arena, s->elems[i], rows * sizeof(*s->elems[i]));
}

/* Lists and records have the same shape: a pointer and a count. */
static void
scope_join(struct arena *arena, size_t size, void **v, size_t *n, const void *more, size_t nmore)
{
	char *joined = arena_alloc(arena, (*n + nmore) * size + 1);

	if (*n)
		memcpy(joined, *v, *n * size);
	if (nmore)
		memcpy(joined + *n * size, more, nmore * size);
	*v = joined;
	*n += nmore;
}

/* The scope's own elements are set: what was inherited follows. */
static void
scope_merge(struct arena *arena, const struct cfg_opt *opt, void *dst, const void *inherited)
{
	if (opt->type == CFG_RECORDS) {
		struct cfg_records *own = dst;
		const struct cfg_records *old = inherited;

		scope_join(arena, opt->record->size, &own->v, &own->n, old->v, old->n);
	} else if (opt->type == CFG_STRS || opt->type == CFG_PATHS) {
		struct cfg_strs *own = dst;
		const struct cfg_strs *old = inherited;
		void *v = own->v;

		scope_join(arena, sizeof(*own->v), &v, &own->n, old->v, old->n);
		own->v = v;
	}
}

static void
scope_set(
    struct opt_space *space, size_t table, const struct cfg_opt *opt, const struct cfg_node *node)
{
	struct scope *s = ((struct scope_walk *)space)->scope;
	const struct opt_table *t = &space->tables[table];
	struct arena *arena = space->reader->arena;
	size_t row = (size_t)(opt - t->opts);
	struct opt_places elems = { NULL, 0 }, old;
	struct cfg_records inherited = { NULL, 0 };
	void *dst, *places;
	bool is_merged; /* with what an outer scope has set; a default is replaced */

	scope_own(s, arena, t, table);
	dst = (char *)s->conf[table] + opt->offset;
	old = s->elems[table][row];
	is_merged = (opt->where & CFG_MERGE) && s->places[table][row].file;
	if (is_merged)
		memcpy(&inherited, dst, sizeof(inherited));
	if (!opt_set(space->reader, opt, node, s->conf[table], &elems))
		s->has_error[table] = true;
	if (is_merged) {
		scope_merge(arena, opt, dst, &inherited);
		places = elems.v;
		scope_join(arena, sizeof(*old.v), &places, &elems.n, old.v, old.n);
		elems.v = places;
	}
	s->elems[table][row] = elems;
	s->places[table][row] = node->place;
}

/* Something in a group is unknown: what its module would miss there may be just that. */
static void
scope_failed(struct opt_space *space, size_t table)
{
	((struct scope_walk *)space)->scope->has_error[table] = true;
}

static const char *
scope_elsewhere(struct opt_space *space, struct str name)
{
	return core_elsewhere(space->reader->errors, name);
}

void
scope_apply(struct scope *s, struct opt_reader *r, const struct cfg_node *group,
    const char *const *extra, bool (*take)(struct opt_space *, const struct cfg_node *), void *arg)
{
	struct scope_walk w = { .scope = s, .arg = arg };

	w.space = (struct opt_space){ .reader = r,
		.where = s->where,
		.name = s->name,
		.extra = extra,
		.set = scope_set,
		.take = take,
		.failed = scope_failed,
		.elsewhere = scope_elsewhere };
	w.space.tables = core_tables(&w.space.n);
	opt_walk(&w.space, group);
}

/* The row of an option in any table; false when there is none. */
static bool
scope_row(const char *option, size_t *table, size_t *row)
{
	const struct opt_table *v;
	size_t n;

	v = core_tables(&n);
	for (*table = 0; *table < n; (*table)++)
		for (*row = 0; v[*table].opts && v[*table].opts[*row].type != CFG_END; (*row)++)
			if (strcmp(v[*table].opts[*row].name, option) == 0)
				return true;
	return false;
}

/* Whether an option is set in this very scope. */
static bool
scope_sets(const struct scope *s, const char *option)
{
	const struct cfg_place *p, *q;
	size_t table, row;

	if (!scope_row(option, &table, &row) || !s->parent || !s->is_own[table])
		return false;
	p = &s->places[table][row];
	q = &s->parent->places[table][row];
	return p->file && (p->file != q->file || p->line != q->line || p->col != q->col);
}

void
scope_uses(struct scope *s, struct arena *arena)
{
	const struct opt_table *tables;
	const char *const *name;
	size_t i, n;

	tables = core_tables(&n);
	for (i = 0; i < core_modules_n; i++) {
		if (core_modules[i]->uses && s->parent && !s->is_own[i]) {
			s->conf[i] = s->parent->conf[i]; /* perhaps its own since just now */
			s->places[i] = s->parent->places[i];
			s->elems[i] = s->parent->elems[i];
		}
		for (name = core_modules[i]->uses; name && *name; name++)
			if (scope_sets(s, *name))
				scope_own(s, arena, &tables[i], i);
	}
}

const void *
scope_value(const struct scope *s, const char *option, enum cfg_type *type)
{
	const struct opt_table *tables;
	size_t table, row, n;

	tables = core_tables(&n);
	if (!scope_row(option, &table, &row))
		return NULL;
	*type = tables[table].opts[row].type;
	return (const char *)s->conf[table] + tables[table].opts[row].offset;
}

void
scope_check(struct scope *s, struct build *b, const struct route *route)
{
	size_t i;

	for (i = 0; i < core_modules_n; i++) {
		struct cfg_check_more more = { .elems = s->elems[i],
			.log_files = &b->conf->log_files,
			.build = b,
			.scope = s,
			.route = route,
			.table = i };
		struct cfg_check c = { .arena = b->arena,
			.errors = b->errors,
			.opts = core_modules[i]->opts,
			.places = s->places[i],
			.scope = s->place,
			.scope_name = s->name,
			.more = &more };

		if (core_modules[i]->check && s->is_own[i] && !s->has_error[i])
			core_modules[i]->check(s->conf[i], &c);
	}
}

const struct cfg_place *
scope_place(const struct scope *s, enum core_table table, const char *option)
{
	const struct opt_table *t;
	size_t i, n;

	t = &core_tables(&n)[core_id(table)];
	for (i = 0; t->opts[i].type != CFG_END; i++)
		if (strcmp(t->opts[i].name, option) == 0)
			return &s->places[core_id(table)][i];
	must(!"no such row");
	return NULL;
}

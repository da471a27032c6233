/*
 * The members of a group, looked up in option tables: dotted rows are members of groups in the
 * group; a plain value in place of such a group sets its short row; what is unknown is reported
 * with the nearest name, then with the place where the name is known.
 */
#include "common/base/suggest.h"
#include "common/config/opt.h"

static void walk_group(struct opt_space *, const struct cfg_node *, struct str prefix);

static bool
walk_stands(const struct opt_space *s, const struct cfg_opt *o)
{
	return !s->where || (o->where & s->where);
}

/* The row of a name, or with is_prefix the first one in the group of that name. */
static const struct cfg_opt *
walk_find(const struct opt_space *s, struct str name, bool is_prefix, size_t *table)
{
	const struct cfg_opt *o;
	size_t i;

	for (i = 0; i < s->n; i++)
		for (o = s->tables[i].opts; o && o->type != CFG_END; o++) {
			if (!walk_stands(s, o))
				continue;
			if (is_prefix ? opt_name_after(o, name) != NULL
				      : str_eq(str_of(o->name), name)) {
				*table = i;
				return o;
			}
		}
	return NULL;
}

static const struct cfg_opt *
walk_short(const struct opt_space *s, struct str name, size_t *table)
{
	const struct cfg_opt *o;
	size_t i;

	for (i = 0; i < s->n; i++)
		for (o = s->tables[i].opts; o && o->type != CFG_END; o++)
			if (walk_stands(s, o) && (o->where & CFG_SHORT) &&
			    opt_name_after(o, name)) {
				*table = i;
				return o;
			}
	return NULL;
}

/* Offers every name that could stand in the group of that prefix. */
static void
walk_offer(const struct opt_space *s, struct str prefix, struct suggest *to)
{
	const struct cfg_opt *o;
	const char *name;
	size_t i;

	for (i = 0; prefix.n == 0 && s->extra && s->extra[i]; i++)
		suggest_offer(to, str_of(s->extra[i]));
	for (i = 0; i < s->n; i++)
		for (o = s->tables[i].opts; o && o->type != CFG_END; o++) {
			if (!walk_stands(s, o) || !(name = opt_name_after(o, prefix)))
				continue;
			suggest_offer(to, str_n(name, strcspn(name, ".")));
		}
}

static bool
walk_is_extra(const struct opt_space *s, struct str name)
{
	size_t i;

	for (i = 0; s->extra && s->extra[i]; i++)
		if (str_eq(str_of(s->extra[i]), name))
			return true;
	return false;
}

/* "timeout: { header = ...; }" for "timeout.header". */
static const char *
walk_written(struct cfg_errors *e, const char *name)
{
	const char *dot = strchr(name, '.');

	if (!dot)
		return cfg_errors_printf(e, "'%s'", name);
	return cfg_errors_printf(e, "'%.*s: { %s = ...; }'", (int)(dot - name), name, dot + 1);
}

static const char *
walk_synonym(const struct opt_space *s, struct str name)
{
	struct cfg_errors *e = s->reader->errors;
	const char *ours, *hint;
	unsigned i;
	size_t table;

	for (i = 0; (ours = suggest_synonym(name, i)); i++)
		if (walk_find(s, str_of(ours), false, &table) ||
		    walk_find(s, str_of(ours), true, &table) || walk_is_extra(s, str_of(ours)))
			return cfg_errors_printf(e, "did you mean %s?", walk_written(e, ours));
	for (i = 0; s->elsewhere && (ours = suggest_synonym(name, i)); i++)
		if ((hint = s->elsewhere((struct opt_space *)s, str_of(ours))))
			return cfg_errors_printf(
			    e, "did you mean %s? %s", walk_written(e, ours), hint);
	return NULL;
}

/* A name that is right in another group of this scope. */
static const char *
walk_other_group(const struct opt_space *s, struct str name)
{
	const struct cfg_opt *o;
	const char *dot;
	size_t i;

	for (i = 0; i < s->n; i++)
		for (o = s->tables[i].opts; o && o->type != CFG_END; o++) {
			dot = strrchr(o->name, '.');
			if (walk_stands(s, o) && dot && str_eq(str_of(dot + 1), name))
				return cfg_errors_printf(s->reader->errors, "did you mean %s?",
				    walk_written(s->reader->errors, o->name));
		}
	return NULL;
}

static const char *
walk_near(const struct opt_space *s, struct str name, struct str prefix)
{
	struct suggest near;

	suggest_init(&near, name);
	walk_offer(s, prefix, &near);
	if (near.best.n == 0)
		return NULL;
	return cfg_errors_printf(s->reader->errors, "did you mean '%.*s'?", STR_FMT(near.best));
}

static const char *
walk_hint(const struct opt_space *s, struct str name, struct str prefix)
{
	const char *hint = NULL;
	size_t table;

	if (prefix.n && (walk_find(s, name, false, &table) || walk_is_extra(s, name)))
		return cfg_errors_printf(s->reader->errors, "'%.*s' stands outside of '%.*s'",
		    STR_FMT(name), STR_FMT(prefix));
	if (prefix.n && (hint = walk_near(s, name, prefix)))
		return hint;
	if (s->elsewhere && (hint = s->elsewhere((struct opt_space *)s, name)))
		return hint;
	if ((hint = walk_near(s, name, prefix)) || (hint = walk_synonym(s, name)) ||
	    (hint = walk_other_group(s, name)))
		return hint;
	return "'argand options' lists what there is";
}

static void
walk_unknown(struct opt_space *s, const struct cfg_node *node, struct str prefix)
{
	size_t table;

	if (prefix.n && s->failed && walk_find(s, prefix, true, &table))
		s->failed(s, table);
	cfg_errors_add(s->reader->errors, true, node->name_place, walk_hint(s, node->name, prefix),
	    "unknown setting '%.*s'%s%.*s%s %s %s", STR_FMT(node->name), prefix.n ? " in '" : "",
	    STR_FMT(prefix), prefix.n ? "'" : "", s->where == CFG_TOP ? "at" : "in", s->name);
}

/* A plain value where a group is wanted and no row is the short one. */
static void
walk_wants_group(struct opt_space *s, const struct cfg_node *node, const struct cfg_opt *member)
{
	struct cfg_errors *e = s->reader->errors;

	((struct cfg_node *)node)->is_reported = true;
	cfg_errors_add(e, true, node->place,
	    cfg_errors_printf(e, "write %s", walk_written(e, member->name)),
	    "'%.*s' wants a group, not %s", STR_FMT(node->name), tree_describe(node, e));
}

static void
walk_member(struct opt_space *s, const struct cfg_node *node, struct str name, struct str prefix)
{
	const struct cfg_opt *row, *in_group;
	size_t table = 0, group_table;

	row = walk_find(s, name, false, &table);
	in_group = walk_find(s, name, true, &group_table);
	if (in_group && node->kind == NODE_GROUP && !(row && row->type == CFG_RECORDS)) {
		walk_group(s, node, name);
		return;
	}
	if (!row && in_group)
		row = walk_short(s, name, &table);
	if (row)
		s->set(s, table, row, node);
	else if (in_group && node->kind != NODE_NONE)
		walk_wants_group(s, node, in_group);
	else if (!in_group && (prefix.n || !s->take || !s->take(s, node)))
		walk_unknown(s, node, prefix);
}

static void
walk_group(struct opt_space *s, const struct cfg_node *group, struct str prefix)
{
	const struct cfg_node *node;

	for (node = group->first; node; node = node->next)
		walk_member(s, node,
		    prefix.n ? arena_printf(s->reader->arena, "%.*s.%.*s", STR_FMT(prefix),
				   STR_FMT(node->name))
			     : node->name,
		    prefix);
}

void
opt_walk(struct opt_space *s, const struct cfg_node *group)
{
	walk_group(s, group, str_n("", 0));
}

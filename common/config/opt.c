/*
 * Reading values: one row in `types` for each type says what it wants and how it is read from a
 * node. What a value may be is said in one place (opt_wants), whether it is missing, of another
 * kind or out of range.
 */
#include <stdlib.h>

#include "common/base/must.h"
#include "common/config/conf.h"
#include "common/config/opt.h"
#include "common/config/regex.h"
#include "common/config/regexdoubt.h"

struct value {
	struct opt_reader *r;
	const struct cfg_opt *opt;
	const struct cfg_node *node;
	void *dst;
	struct opt_places *elems;
};

struct opt_type {
	const char *wants;
	bool (*read)(struct value *);
};

static const struct opt_type types[];

size_t
opt_count(const struct cfg_opt *opts)
{
	size_t n = 0;

	while (opts && opts[n].type != CFG_END)
		n++;
	return n;
}

const char *
opt_name_after(const struct cfg_opt *opt, struct str prefix)
{
	if (prefix.n == 0)
		return opt->name;
	if (strncmp(opt->name, prefix.p, prefix.n) != 0 || opt->name[prefix.n] != '.')
		return NULL;
	return opt->name + prefix.n + 1;
}

/* The largest unit that divides v. */
static struct str
opt_unit_text(struct arena *a, int64_t v, const int64_t *factors, const char *const *names)
{
	size_t i;

	for (i = 0; names[i]; i++)
		if (v && v % factors[i] == 0)
			return arena_printf(a, "%lld%s", (long long)(v / factors[i]), names[i]);
	return arena_printf(a, "%lld", (long long)v);
}

struct str
opt_size_text(struct arena *a, int64_t bytes)
{
	static const int64_t factors[] = { (int64_t)1 << 40, 1 << 30, 1 << 20, 1 << 10 };
	static const char *const names[] = { "T", "G", "M", "k", NULL };

	return opt_unit_text(a, bytes, factors, names);
}

struct str
opt_time_text(struct arena *a, int64_t ms)
{
	static const int64_t factors[] = { 365 * (int64_t)86400000, 86400000, 3600000, 60000, 1000,
		1 };
	static const char *const names[] = { "y", "d", "h", "m", "s", "ms", NULL };

	return opt_unit_text(a, ms, factors, names);
}

static struct str
opt_bound_text(struct arena *a, const struct cfg_opt *opt, int64_t v)
{
	if (opt->type == CFG_SIZE)
		return arena_printf(a, "\"%s\"", opt_size_text(a, v).p);
	if (opt->type == CFG_TIME)
		return arena_printf(a, "\"%s\"", opt_time_text(a, v).p);
	return arena_printf(a, "%lld", (long long)v);
}

static bool
opt_is_bounded(const struct cfg_opt *opt)
{
	return opt->min || opt->max;
}

static const char *
opt_wants_number(struct arena *a, const struct cfg_opt *opt)
{
	const char *or_auto = opt->where & CFG_AUTO    ? "\"auto\" or "
			      : opt->where & CFG_SHARE ? "\"none\", a share such as \"25%\" or "
						       : "";
	const char *wants = types[opt->type].wants;

	if (!opt_is_bounded(opt) || (opt->type != CFG_INT && !opt->min && opt->max == INT64_MAX))
		return arena_printf(a, "%s%s", or_auto, wants).p;
	if (opt->max == 0 || opt->max == INT64_MAX)
		return arena_printf(
		    a, "%s%s of at least %s", or_auto, wants, opt_bound_text(a, opt, opt->min).p)
		    .p;
	return arena_printf(a, "%s%s from %s to %s", or_auto, wants,
	    opt_bound_text(a, opt, opt->min).p, opt_bound_text(a, opt, opt->max).p)
	    .p;
}

static const struct cfg_opt *
record_short(const struct cfg_record *record)
{
	const struct cfg_opt *o;

	for (o = record->opts; o->type != CFG_END; o++)
		if (o->where & CFG_SHORT)
			return o;
	return NULL;
}

const char *
opt_wants(struct arena *a, const struct cfg_opt *opt)
{
	struct str s;
	size_t i;

	if (opt->type == CFG_INT || opt->type == CFG_SIZE || opt->type == CFG_TIME)
		return opt_wants_number(a, opt);
	if (opt->type == CFG_RECORDS && record_short(opt->record))
		return arena_printf(a, "%s, a group { }, or a list of either",
		    opt_wants(a, record_short(opt->record)))
		    .p;
	if (opt->type != CFG_ENUM)
		return types[opt->type].wants;
	s = STR("");
	for (i = 0; opt->names[i]; i++)
		s = arena_printf(a, "%.*s%s\"%s\"", STR_FMT(s),
		    i == 0              ? ""
		    : opt->names[i + 1] ? ", "
					: " or ",
		    opt->names[i]);
	return s.p;
}

/* --- errors --- */

static bool
value_error(struct value *v, const char *hint, const char *fmt, ...)
{
	va_list ap;

	if (v->node->is_reported)
		return false;
	((struct cfg_node *)v->node)->is_reported = true;
	va_start(ap, fmt);
	cfg_errors_vadd(v->r->errors, true, v->node->place, hint, fmt, ap);
	va_end(ap);
	return false;
}

/* The node is of another kind than the row wants. */
static bool
value_mismatch(struct value *v, const char *hint)
{
	const struct cfg_node *node = v->node;

	if (node->kind == NODE_NONE)
		return false; /* reported when it was read */
	if (!hint && node->kind == NODE_WORD && v->opt->type != CFG_BOOL && v->opt->type != CFG_INT)
		hint = cfg_errors_printf(v->r->errors, "write \"%.*s\"", STR_FMT(node->text));
	/* Who says "true" of a list with one default means that one, and by "false" none. */
	if (!hint && node->kind == NODE_BOOL && v->opt->type == CFG_STRS && v->opt->def &&
	    !strchr(v->opt->def, ' '))
		hint = node->boolean
			   ? cfg_errors_printf(v->r->errors, "write [ \"%s\" ]", v->opt->def)
			   : "write [ ] for none";
	return value_error(v, hint, "'%s' wants %s, not %s", v->opt->name,
	    opt_wants(v->r->arena, v->opt), tree_describe(node, v->r->errors));
}

static bool
value_range(struct value *v, int64_t n)
{
	int64_t max = v->opt->max ? v->opt->max : INT64_MAX;

	if (!opt_is_bounded(v->opt) || (n >= v->opt->min && n <= max)) {
		*(int64_t *)v->dst = n;
		return true;
	}
	return value_error(v, NULL, "'%s' wants %s, not %s", v->opt->name,
	    opt_wants(v->r->arena, v->opt), tree_describe(v->node, v->r->errors));
}

/* --- reading --- */

static bool
value_bool(struct value *v)
{
	static const char *const words[] = { "yes", "on", "1", "no", "off", "0" };
	const struct cfg_node *node = v->node;
	size_t i;

	if (node->kind == NODE_BOOL) {
		*(bool *)v->dst = node->boolean;
		return true;
	}
	for (i = 0; i < 6; i++)
		if (str_caseeq(node->kind == NODE_INT ? node->raw : node->text, str_of(words[i])))
			return value_mismatch(v, i < 3 ? "write true" : "write false");
	if (node->kind == NODE_STRING && str_caseeq(node->text, STR("true")))
		return value_mismatch(v, "write true, without quotes");
	if (node->kind == NODE_STRING && str_caseeq(node->text, STR("false")))
		return value_mismatch(v, "write false, without quotes");
	return value_mismatch(v, NULL);
}

/* From the digits in the text: libconfig wraps what does not fit. */
static bool
value_digits(struct str raw, int64_t *out)
{
	int base = raw.n > 2 && (raw.p[1] | 0x20) == 'x' ? 16 : 10;
	bool is_negative = raw.n && raw.p[0] == '-';
	size_t i = base == 16 ? 2 : is_negative || (raw.n && raw.p[0] == '+');
	int64_t n = 0;

	for (; i < raw.n; i++) {
		int c = raw.p[i] | 0x20, digit = c >= 'a' ? c - 'a' + 10 : raw.p[i] - '0';

		if (__builtin_mul_overflow(n, base, &n) ||
		    __builtin_add_overflow(n, is_negative ? -digit : digit, &n))
			return false;
	}
	*out = n;
	return true;
}

static bool
value_int(struct value *v)
{
	const struct cfg_node *node = v->node;
	int64_t n;

	if ((v->opt->where & CFG_AUTO) && node->kind == NODE_STRING &&
	    str_eq(node->text, STR("auto"))) {
		*(int64_t *)v->dst = -1;
		return true;
	}
	if ((v->opt->where & CFG_AUTO) && node->kind == NODE_WORD &&
	    str_eq(node->text, STR("auto")))
		return value_mismatch(v, "write \"auto\"");
	if (node->kind == NODE_INT) {
		if (value_digits(node->raw, &n))
			return value_range(v, n);
		return value_error(v, NULL, "the number %.*s is too large for '%s', which wants %s",
		    STR_FMT(node->raw), v->opt->name, opt_wants(v->r->arena, v->opt));
	}
	if (node->kind == NODE_STRING && node->text.n && node->text.n < 20 &&
	    strspn(node->text.p, "0123456789") == node->text.n)
		return value_mismatch(v, cfg_errors_printf(v->r->errors,
					     "write %.*s, without quotes", STR_FMT(node->text)));
	return value_mismatch(v, NULL);
}

static bool
value_unit(struct value *v, bool (*parse)(struct str, int64_t *, const char **), const char *unit)
{
	const struct cfg_node *node = v->node;
	const char *why;
	int64_t n;

	if (node->kind == NODE_INT && str_eq(node->raw, STR("0")))
		return value_range(v, 0);
	if (node->kind == NODE_INT)
		return value_mismatch(v,
		    cfg_errors_printf(v->r->errors, "write \"%.*s%s\"", STR_FMT(node->raw), unit));
	if (node->kind != NODE_STRING)
		return value_mismatch(v, NULL);
	if (!parse(node->text, &n, &why))
		return value_error(v, NULL, "'%s' wants %s, not %s", v->opt->name, why,
		    tree_describe(node, v->r->errors));
	return value_range(v, n);
}

/* "25%" or "none". */
static bool
value_share(struct value *v)
{
	struct str s = v->node->kind == NODE_STRING ? v->node->text : STR("");
	uint64_t n;

	if (str_eq(s, STR("none"))) {
		*(int64_t *)v->dst = 0;
		return true;
	}
	if (s.n < 2 || s.p[s.n - 1] != '%' || !str_to_u64(str_n(s.p, s.n - 1), 100, &n) || n == 0)
		return false;
	*(int64_t *)v->dst = -(int64_t)n;
	return true;
}

static bool
value_size(struct value *v)
{
	const char *why;
	int64_t n;

	if ((v->opt->where & CFG_SHARE) && value_share(v))
		return true;
	if ((v->opt->where & CFG_SHARE) && v->node->kind == NODE_STRING &&
	    !cfg_parse_size(v->node->text, &n, &why))
		return value_mismatch(v, "a share is from \"1%\" to \"100%\"");
	return value_unit(v, cfg_parse_size, "");
}

static bool
value_time(struct value *v)
{
	return value_unit(v, cfg_parse_time, "s");
}

static bool
value_text(struct value *v, struct str *out)
{
	if (v->node->kind != NODE_STRING)
		return value_mismatch(v, NULL);
	if (v->node->is_reported)
		return false;
	if ((v->opt->where & CFG_NONEMPTY) && v->node->text.n == 0)
		return value_error(v, NULL, "'%s' must not be empty", v->opt->name);
	*out = arena_str(v->r->arena, v->node->text);
	return true;
}

static bool
value_str(struct value *v)
{
	return value_text(v, v->dst);
}

static struct str
value_absolute(struct value *v, struct str path)
{
	while (str_has_prefix(path, STR("./")))
		path = str_n(path.p + 2, path.n - 2);
	if (path.n == 0 || path.p[0] == '/')
		return path;
	if (str_eq(path, STR(".")))
		return arena_str(v->r->arena, str_of(v->r->dir));
	return arena_printf(
	    v->r->arena, "%s/%.*s", strcmp(v->r->dir, "/") == 0 ? "" : v->r->dir, STR_FMT(path));
}

static bool
value_path(struct value *v)
{
	struct str s;

	if (!value_text(v, &s))
		return false;
	*(struct str *)v->dst = value_absolute(v, s);
	return true;
}

static bool
value_enum(struct value *v)
{
	const struct cfg_node *node = v->node;
	const char *const *names = v->opt->names;
	const char *hint = NULL;
	int i;

	for (i = 0; node->kind == NODE_STRING && names[i]; i++)
		if (str_eq(node->text, str_of(names[i]))) {
			*(int *)v->dst = i;
			return true;
		}
	for (i = 0; (node->kind == NODE_WORD || node->kind == NODE_STRING) && names[i]; i++)
		if (str_caseeq(node->text, str_of(names[i])))
			hint = cfg_errors_printf(v->r->errors, "write \"%s\"", names[i]);
	return value_mismatch(v, hint);
}

/* A path that a client chooses could take it to its limits. */
static void
value_doubt(struct value *v, struct str source)
{
	const char *hint, *why = regexdoubt_of(source, &hint);

	if (why)
		cfg_errors_add(
		    v->r->errors, false, v->node->place, hint, "'%s': %s", v->opt->name, why);
}

static bool
value_regex(struct value *v)
{
	struct cfg_regex *re = v->dst, new = { 0 };
	struct cfg_place at = v->node->place;
	const char *why;
	struct str s;
	size_t offset, n;

	if (!value_text(v, &s))
		return false;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): value_text() has set s */
	if (regex_compile(&new, s, &why, &offset)) {
		new.place = at;
		*re = new;
		value_doubt(v, s);
		arena_defer(v->r->arena, regex_code_free, new.code);
		return true;
	}
	/* The caret, as far as the text of the file is the expression's (no escapes before it). */
	n = v->node->raw.n > offset + 1 && v->node->raw.p[0] == '"' ? offset + 1 : 0;
	if (n && memcmp(v->node->raw.p + 1, s.p, offset) == 0)
		at.col += (int)n;
	((struct cfg_node *)v->node)->is_reported = true;
	cfg_errors_add(v->r->errors, true, at, "see pcre2pattern(3)", "'%s': %s, at offset %zu",
	    v->opt->name, why, offset);
	return false;
}

static bool
node_is_list(const struct cfg_node *node)
{
	return node->kind == NODE_LIST || node->kind == NODE_ARRAY;
}

/* Room for the places of n elements. */
static void
value_elems(struct value *v, size_t n)
{
	if (!v->elems)
		return;
	v->elems->n = 0;
	v->elems->v = arena_calloc(v->r->arena, (n ? n : 1) * sizeof(*v->elems->v));
}

static void
value_elem_at(struct value *v, const struct cfg_node *node)
{
	if (v->elems)
		v->elems->v[v->elems->n++] = node->place;
}

/* Lists keep the elements that are right, so that what else is wrong with these is found in the
   same run. One element, or the one value that stands in place of a list: */
static bool
value_strs_one(struct value *v, const struct cfg_node *node, struct cfg_strs *list)
{
	struct value one = *v;

	one.node = node;
	if (!value_text(&one, &list->v[list->n]))
		return false;
	value_elem_at(v, node);
	if (v->opt->type == CFG_PATHS)
		list->v[list->n] = value_absolute(v, list->v[list->n]);
	list->n++;
	return true;
}

static bool
value_strs(struct value *v)
{
	const struct cfg_node *node = v->node, *e;
	size_t n = node_is_list(node) ? node->n : 1;
	struct cfg_strs list = { NULL, 0 };
	bool ok = true;

	if (!node_is_list(node) && node->kind != NODE_STRING)
		return value_mismatch(v, NULL);
	if (n == 0 && (v->opt->where & CFG_NONEMPTY))
		return value_error(v, NULL, "'%s' must not be empty", v->opt->name);
	list.v = arena_calloc(v->r->arena, (n ? n : 1) * sizeof(*list.v));
	value_elems(v, n);
	if (!node_is_list(node))
		ok = value_strs_one(v, node, &list);
	for (e = node->first; e && node_is_list(node); e = e->next)
		ok &= value_strs_one(v, e, &list);
	*(struct cfg_strs *)v->dst = list;
	return ok;
}

/* --- records --- */

struct record_space {
	struct opt_space space;
	struct opt_table table;
	void *base;
	bool *is_set; /* by row */
	bool failed;
};

static void
record_set(
    struct opt_space *space, size_t table, const struct cfg_opt *opt, const struct cfg_node *node)
{
	struct record_space *rs = (struct record_space *)space;

	(void)table;
	rs->is_set[opt - rs->table.opts] = true;
	rs->failed |= !opt_set(space->reader, opt, node, rs->base, NULL);
}

/* In a record, a row that must not be empty and has no default must be there. */
static void
record_check_missing(struct record_space *rs, const struct cfg_node *group)
{
	const struct cfg_opt *o;

	for (o = rs->table.opts; o->type != CFG_END; o++) {
		if (!(o->where & CFG_NONEMPTY) || o->def || rs->is_set[o - rs->table.opts])
			continue;
		rs->failed = true;
		if (!group->is_reported)
			cfg_errors_add(rs->space.reader->errors, true, group->place, NULL,
			    "'%s' is missing in %s", o->name, rs->space.name);
	}
}

static bool
record_read(struct value *v, const struct cfg_node *node, void *base)
{
	const struct cfg_record *record = v->opt->record;
	const struct cfg_opt *brief = record_short(record);
	size_t rows = opt_count(record->opts), before = cfg_errors_count(v->r->errors);
	struct record_space rs = { .table = { v->opt->name, record->opts, record->size } };

	memset(base, 0, record->size);
	opt_defaults(v->r->arena, record->opts, base);
	rs.base = base;
	rs.is_set = arena_calloc(v->r->arena, rows + 1);
	rs.space = (struct opt_space){ .reader = v->r, .tables = &rs.table, .n = 1 };
	rs.space.name = arena_printf(v->r->arena, "'%s'", v->opt->name).p;
	rs.space.set = record_set;
	if (node->kind == NODE_GROUP) {
		opt_walk(&rs.space, node);
	} else if (brief && node->kind != NODE_LIST && node->kind != NODE_ARRAY) {
		record_set(&rs.space, 0, brief, node);
	} else {
		struct value one = *v;

		one.node = node;
		return value_mismatch(&one, NULL);
	}
	if (!rs.failed)
		record_check_missing(&rs, node);
	return !rs.failed && cfg_errors_count(v->r->errors) == before;
}

static bool
value_records_one(struct value *v, const struct cfg_node *node, struct cfg_records *list)
{
	if (!record_read(v, node, (char *)list->v + list->n * v->opt->record->size))
		return false;
	value_elem_at(v, node);
	list->n++;
	return true;
}

static bool
value_records(struct value *v)
{
	const struct cfg_node *node = v->node, *e;
	size_t n = node_is_list(node) ? node->n : 1;
	struct cfg_records list = { NULL, 0 };
	bool ok = true;

	if (n == 0 && (v->opt->where & CFG_NONEMPTY))
		return value_error(v, NULL, "'%s' must not be empty", v->opt->name);
	list.v = arena_calloc(v->r->arena, (n ? n : 1) * v->opt->record->size);
	value_elems(v, n);
	if (!node_is_list(node))
		ok = value_records_one(v, node, &list);
	for (e = node->first; e && node_is_list(node); e = e->next)
		ok &= value_records_one(v, e, &list);
	*(struct cfg_records *)v->dst = list;
	return ok;
}

static const struct opt_type types[] = {
	[CFG_BOOL] = { "true or false", value_bool },
	[CFG_INT] = { "a whole number", value_int },
	[CFG_SIZE] = { "a size such as \"64k\"", value_size },
	[CFG_TIME] = { "a time such as \"30s\"", value_time },
	[CFG_STR] = { "a text in double quotes", value_str },
	[CFG_PATH] = { "a path in double quotes", value_path },
	[CFG_ENUM] = { "a word", value_enum },
	[CFG_STRS] = { "a text or a list of texts", value_strs },
	[CFG_PATHS] = { "a path or a list of paths", value_strs },
	[CFG_REGEX] = { "a regular expression in double quotes", value_regex },
	[CFG_RECORDS] = { "a group { } or a list of groups ( { }, { } )", value_records },
};

bool
opt_set(struct opt_reader *r, const struct cfg_opt *opt, const struct cfg_node *node, void *base,
    struct opt_places *elems)
{
	struct value v = { r, opt, node, (char *)base + opt->offset, elems };

	return types[opt->type].read(&v);
}

/* A default is written as in a file, lists as words with spaces between them: made into the node
   that a file would give. */
static void
opt_default(struct opt_reader *r, const struct cfg_opt *opt, void *base)
{
	struct str def = str_of(opt->def), word;
	struct cfg_node node = { .kind = NODE_STRING, .raw = def, .text = def }, *e;
	bool is_list = opt->type == CFG_STRS || opt->type == CFG_PATHS;

	if (opt->type == CFG_BOOL) {
		node.kind = NODE_BOOL;
		node.boolean = def.p[0] == 't';
	} else if (opt->type == CFG_INT && !str_eq(def, STR("auto"))) {
		node.kind = NODE_INT;
	} else if (is_list) {
		node.kind = NODE_LIST;
		while (def.p) {
			word = str_split(&def, ' ');
			if (word.n == 0)
				continue;
			e = arena_calloc(r->arena, sizeof(*e));
			e->kind = NODE_STRING;
			e->raw = e->text = word;
			*(node.last ? &node.last->next : &node.first) = e;
			node.last = e;
			node.n++;
		}
	}
	must(opt_set(r, opt, &node, base, NULL)); /* the table itself is wrong */
}

void
opt_defaults(struct arena *arena, const struct cfg_opt *opts, void *base)
{
	struct opt_reader r = { .arena = arena, .dir = "/", .errors = cfg_errors_new() };
	const struct cfg_opt *o;

	for (o = opts; o && o->type != CFG_END; o++)
		if (o->def)
			opt_default(&r, o, base);
	cfg_errors_free(r.errors);
}

/*
 * What modules and the command line use of the configuration machinery: parsers of single values,
 * and the reports of check hooks.
 */
#include "common/base/must.h"
#include "common/config/scope.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* digits[.digits] and a unit from the table; false when it is none or does not fit. */
static bool
cfg_parse_unit(struct str s, const struct unit *units, int64_t *out)
{
	int64_t n = 0, fraction = 0, scale = 1;
	size_t i = 0, k;

	for (; i < s.n && (unsigned)(s.p[i] - '0') < 10; i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, s.p[i] - '0', &n))
			return false;
	if (i == 0)
		return false;
	if (i + 1 < s.n && s.p[i] == '.' && (unsigned)(s.p[i + 1] - '0') < 10)
		for (i++; i < s.n && (unsigned)(s.p[i] - '0') < 10; i++)
			if (scale < 1000) {
				scale *= 10;
				fraction = fraction * 10 + (s.p[i] - '0');
			}
	while (i < s.n && s.p[i] == ' ')
		i++;
	for (k = 0; units[k].name; k++)
		if (str_caseeq(str_n(s.p + i, s.n - i), str_of(units[k].name)))
			break;
	if (!units[k].name || (units[k].factor == 1 && fraction))
		return false;
	if (__builtin_mul_overflow(n, units[k].factor, &n))
		return false;
	return !__builtin_add_overflow(n, fraction * units[k].factor / scale, out);
}

bool
cfg_parse_size(struct str s, int64_t *out, const char **why)
{
	static const struct unit units[] = { { "", 1 }, { "k", 1 << 10 }, { "M", 1 << 20 },
		{ "G", 1 << 30 }, { "T", (int64_t)1 << 40 }, { "KB", 1 << 10 }, { "MB", 1 << 20 },
		{ "GB", 1 << 30 }, { "TB", (int64_t)1 << 40 }, { "KiB", 1 << 10 },
		{ "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { "TiB", (int64_t)1 << 40 }, { "B", 1 },
		{ NULL, 0 } };

	if (cfg_parse_unit(s, units, out))
		return true;
	*why = "a size such as \"64k\" (units: k M G T, powers of 1024; none: bytes)";
	return false;
}

bool
cfg_parse_time(struct str s, int64_t *out_ms, const char **why)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 },
		{ "w", 7 * (int64_t)86400000 }, { "y", 365 * (int64_t)86400000 }, { NULL, 0 } };

	if (str_eq(s, STR("0"))) {
		*out_ms = 0;
		return true;
	}
	if (cfg_parse_unit(s, units, out_ms))
		return true;
	*why = "a time such as \"30s\" (units: ms s m h d w y)";
	return false;
}

static size_t
cfg_row(const struct cfg_check *c, const char *option)
{
	size_t i;

	for (i = 0; c->opts[i].type != CFG_END; i++)
		if (strcmp(c->opts[i].name, option) == 0)
			return i;
	must(!"a check hook names an option that its table has not");
	return 0;
}

static struct cfg_place
cfg_where(const struct cfg_check *c, const char *option, int index)
{
	const struct cfg_check_more *more = c->more;
	size_t row;

	if (!option)
		return c->scope;
	row = cfg_row(c, option);
	if (index >= 0 && more && (size_t)index < more->elems[row].n)
		return more->elems[row].v[index];
	return c->places[row].file ? c->places[row] : c->scope;
}

void
cfg_error(
    struct cfg_check *c, const char *option, int index, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cfg_errors_vadd(c->errors, true, cfg_where(c, option, index), hint, fmt, ap);
	va_end(ap);
}

void
cfg_warning(
    struct cfg_check *c, const char *option, int index, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cfg_errors_vadd(c->errors, false, cfg_where(c, option, index), hint, fmt, ap);
	va_end(ap);
}

bool
cfg_is_set(const struct cfg_check *c, const char *option)
{
	return c->places[cfg_row(c, option)].file != NULL;
}

bool
cfg_is_own(const struct cfg_check *c, const char *option)
{
	const struct cfg_check_more *more = c->more;
	size_t row = cfg_row(c, option);
	const struct cfg_place *p = &c->places[row], *q;

	if (!p->file || !more || !more->scope || !more->scope->parent)
		return p->file != NULL;
	q = &more->scope->parent->places[more->table][row];
	return p->file != q->file || p->line != q->line || p->col != q->col;
}

/* NULL: there is no scope (a test of a check hook), or no such option in this build. */
static const void *
cfg_value_of(const struct cfg_check *c, const char *option, enum cfg_type a, enum cfg_type b)
{
	const struct cfg_check_more *more = c->more;
	enum cfg_type type;
	const void *v;

	v = more && more->scope ? scope_value(more->scope, option, &type) : NULL;
	must(!v || type == a || type == b);
	return v;
}

struct str
cfg_text_of(const struct cfg_check *c, const char *option)
{
	const struct str *s = cfg_value_of(c, option, CFG_STR, CFG_PATH);

	return s ? *s : STR("");
}

struct cfg_strs
cfg_texts_of(const struct cfg_check *c, const char *option)
{
	const struct cfg_strs *list = cfg_value_of(c, option, CFG_STRS, CFG_PATHS);

	return list ? *list : (struct cfg_strs){ NULL, 0 };
}

struct cfg_place
cfg_place_of(const struct cfg_check *c, const char *option)
{
	return cfg_where(c, option, -1);
}

const struct route *
cfg_route(const struct cfg_check *c)
{
	return c->more ? c->more->route : NULL;
}

unsigned
cfg_log_file(struct cfg_check *c, struct str destination)
{
	struct cfg_strs none = { NULL, 0 }, *files = c->more ? c->more->log_files : &none;
	struct str *longer;
	size_t i;

	for (i = 0; i < files->n; i++)
		if (str_eq(files->v[i], destination))
			return (unsigned)i;
	longer = arena_alloc(c->arena, (files->n + 1) * sizeof(*longer));
	if (files->n)
		memcpy(longer, files->v, files->n * sizeof(*longer));
	longer[files->n] = arena_str(c->arena, destination);
	files->v = longer;
	return (unsigned)files->n++;
}

/*
 * The option reference, for the terminal and for argand.conf(5): each row says its type and range,
 * its default, where it stands, and what it is for.
 */
#include <ctype.h>
#include <stdlib.h>

#include "common/cfg_suggest.h"
#include "common/conf_core.h"
#include "common/conf_tell.h"
#include "common/must.h"

enum { OPTIONS_WIDTH = 78, OPTIONS_INDENT = 4 };

/* What a table is called in the reference. */
static const char *
options_title(struct arena *a, size_t table)
{
	static const char *const titles[CORE_TABLES] = {
		[CORE_OPTIONS] = "Requests and connections",
		[CORE_SERVER] = "The server",
		[CORE_SITE] = "A site",
		[CORE_ROUTE] = "A route",
	};

	if (table >= core_modules_n)
		return titles[table - core_modules_n];
	return arena_printf(a, "Module %s", core_modules[table]->name).p;
}

/* Tables in the order of the reference: from the outside in, then the modules. */
static size_t
options_table(size_t i)
{
	static const enum core_table order[CORE_TABLES] = { CORE_SERVER, CORE_SITE, CORE_ROUTE,
		CORE_OPTIONS };

	return i < CORE_TABLES ? core_id(order[i]) : i - CORE_TABLES;
}

static const char *
options_scopes(struct arena *a, unsigned where)
{
	static const char *const names[] = { "server", "site", "route" };
	const char *text = "";
	unsigned i;

	for (i = 0; i < 3; i++)
		if (where & (1u << i))
			text = arena_printf(a, "%s%s%s", text, *text ? ", " : "", names[i]).p;
	return text;
}

static const char *
options_default(struct arena *a, const struct cfg_opt *o)
{
	static const char *const zeros[] = {
		[CFG_BOOL] = "false", [CFG_INT] = "0", [CFG_SIZE] = "0", [CFG_TIME] = "0"
	};
	bool is_plain =
	    o->type == CFG_BOOL || (o->type == CFG_INT && o->def && strcmp(o->def, "auto"));

	if (o->type == CFG_ENUM && !o->def)
		return arena_printf(a, "\"%s\"", o->names[0]).p;
	if (!o->def)
		return o->type <= CFG_TIME && !(o->where & CFG_NONEMPTY) ? zeros[o->type] : NULL;
	if (is_plain)
		return o->def;
	return arena_printf(a, "\"%s\"", o->def).p;
}

/* "a time such as \"30s\" from \"1s\" to \"1h\"; default \"15s\"; in server, site, route". */
static const char *
options_facts(struct arena *a, const struct cfg_opt *o, bool is_member)
{
	const char *def = options_default(a, o);

	return arena_printf(a, "%s%s%s%s%s%s%s", opt_wants(a, o), def ? "; default " : "",
	    def ? def : "", is_member ? "" : "; in ", is_member ? "" : options_scopes(a, o->where),
	    o->where & CFG_MERGE ? "; adds to what is inherited" : "",
	    o->where & CFG_SHORT ? "; may stand in place of the group" : "")
	    .p;
}

/* Words of a text, broken into lines. */
static void
options_wrap(FILE *f, const char *text, unsigned indent)
{
	size_t col = indent, len;

	fprintf(f, "%*s", (int)indent, "");
	while (*text) {
		len = strcspn(text, " ");
		if (col > indent && col + 1 + len > OPTIONS_WIDTH) {
			fprintf(f, "\n%*s", (int)indent, "");
			col = indent;
		}
		if (col > indent) {
			fputc(' ', f);
			col++;
		}
		fwrite(text, 1, len, f);
		col += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

static void
options_example(FILE *f, const char *text, const char *prefix)
{
	struct str rest = str_of(text);

	while (rest.p) {
		struct str line = str_split(&rest, '\n');

		if (line.n || rest.p)
			fprintf(f, "%s%.*s\n", prefix, STR_FMT(line));
	}
}

static void
options_print_row(
    FILE *f, struct arena *a, const struct cfg_opt *o, unsigned indent, bool is_member, bool colour)
{
	const struct cfg_opt *m;

	fprintf(f, "%*s%s%s%s\n", (int)indent, "", colour ? "\033[1m" : "", o->name,
	    colour ? "\033[0m" : "");
	options_wrap(f, options_facts(a, o, is_member), indent + OPTIONS_INDENT);
	if (o->help)
		options_wrap(f, o->help, indent + OPTIONS_INDENT);
	if (o->example)
		options_example(
		    f, o->example, arena_printf(a, "%*s", (int)indent + 2 * OPTIONS_INDENT, "").p);
	for (m = o->record ? o->record->opts : NULL; m && m->type != CFG_END; m++)
		options_print_row(f, a, m, indent + OPTIONS_INDENT, true, colour);
}

static bool
options_is_wanted(const struct cfg_opt *o, struct str name, const char *table)
{
	return name.n && (str_eq(str_of(o->name), name) || opt_name_after(o, name) ||
			     str_eq(str_of(table), name));
}

static int
options_print_all(FILE *f, struct arena *a, const char *name, bool colour)
{
	const struct opt_table *tables;
	size_t i, k, n, t, found = 0;
	struct str wanted = str_of(name ? name : "");

	tables = core_tables(&n);
	for (i = 0; i < n; i++) {
		const struct opt_table *table = &tables[t = options_table(i)];
		bool has_title = false;

		for (k = 0; table->opts && table->opts[k].type != CFG_END; k++) {
			if (name && !options_is_wanted(&table->opts[k], wanted, table->name))
				continue;
			if (!has_title && !name)
				fprintf(f, "%s%s\n\n", i ? "\n" : "", options_title(a, t));
			has_title = true;
			options_print_row(f, a, &table->opts[k], 0, false, colour);
			found++;
		}
	}
	return found > 0;
}

static int
options_unknown(const char *name)
{
	const struct opt_table *tables;
	const char *ours = suggest_synonym(str_of(name), 0);
	struct suggest near;
	size_t i, k, n;

	suggest_init(&near, str_of(name));
	tables = core_tables(&n);
	for (i = 0; i < n; i++)
		for (k = 0; tables[i].opts && tables[i].opts[k].type != CFG_END; k++) {
			const char *full = tables[i].opts[k].name, *dot = strrchr(full, '.');

			suggest_offer(&near, str_of(full));
			if (dot && str_eq(str_of(dot + 1), str_of(name)))
				near = (struct suggest){ near.wanted, str_of(full), 0 };
		}
	if (near.best.n == 0 && ours)
		near.best = str_of(ours);
	if (near.best.n)
		fprintf(stderr, "argand: there is no option '%s'; did you mean '%.*s'?\n", name,
		    STR_FMT(near.best));
	else
		fprintf(
		    stderr, "argand: there is no option '%s'; 'argand options' lists them\n", name);
	return 2;
}

int
conf_options_print(FILE *f, const char *name, bool colour)
{
	struct arena a;
	bool found;

	arena_init(&a, NULL, 0);
	found = options_print_all(f, &a, name, colour);
	arena_fini(&a);
	return found ? 0 : options_unknown(name);
}

/* --- mdoc --- */

/* A text in mdoc: backslashes doubled, no line that looks like a request. */
static void
options_mdoc_text(FILE *f, const char *text)
{
	bool at_start = true;

	for (; *text; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			fputs("\\&", f);
		at_start = *text == '\n';
		if (*text == '\\')
			fputs("\\e", f);
		else if (*text == '-')
			fputs("\\-", f);
		else
			fputc(*text, f);
	}
	fputc('\n', f);
}

/* Sentences begin on lines of their own. */
static void
options_mdoc_help(FILE *f, struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text), *at = copy;

	while ((at = strstr(at, ". "))) {
		at[1] = '\n';
		at += 2;
	}
	options_mdoc_text(f, copy);
}

static void
options_mdoc_row(FILE *f, struct arena *a, const struct cfg_opt *o, bool is_member)
{
	const struct cfg_opt *m;
	const char *facts;

	fprintf(f, ".It Ic %s\n", o->name);
	facts = arena_printf(a, "%s.", options_facts(a, o, is_member)).p;
	fputc(toupper((unsigned char)*facts), f);
	options_mdoc_text(f, facts + 1);
	if (o->help) {
		fputs(".br\n", f);
		options_mdoc_help(f, a, o->help);
	}
	if (o->example) {
		fputs(".Bd -literal -offset indent\n", f);
		options_mdoc_text(f, o->example);
		fputs(".Ed\n", f);
	}
	if (!o->record)
		return;
	fputs(".Bl -tag -width Ds\n", f);
	for (m = o->record->opts; m->type != CFG_END; m++)
		options_mdoc_row(f, a, m, true);
	fputs(".El\n", f);
}

void
conf_options_mdoc(FILE *f)
{
	const struct opt_table *tables;
	struct arena a;
	size_t i, k, n, t;

	arena_init(&a, NULL, 0);
	tables = core_tables(&n);
	for (i = 0; i < n; i++) {
		t = options_table(i);
		fprintf(f, ".Ss %s\n", options_title(&a, t));
		if (t < core_modules_n && core_modules[t]->help)
			options_mdoc_help(f, &a, core_modules[t]->help);
		if (!tables[t].opts || tables[t].opts[0].type == CFG_END)
			continue;
		fputs(".Bl -tag -width Ds\n", f);
		for (k = 0; tables[t].opts[k].type != CFG_END; k++)
			options_mdoc_row(f, &a, &tables[t].opts[k], false);
		fputs(".El\n", f);
	}
	arena_fini(&a);
}

/*
 * The option reference, for the terminal and for argand.conf(5): each row says its type and range,
 * its default, where it stands, and what it is for.
 */
#include <ctype.h>
#include <stdlib.h>

#include "common/base/must.h"
#include "common/base/suggest.h"
#include "common/config/build.h"
#include "common/config/conf_print.h"

enum { OPTIONS_WIDTH = 78, OPTIONS_INDENT = 4 };

/* A part of the reference. */
struct options_part {
	const char *title, *name, *help;
	const struct cfg_opt *opts;
};

/* The parts in their order: from the outside in, then the modules. False: there are no more. */
static bool
options_part(struct arena *a, size_t i, struct options_part *part)
{
	static const char pool_help[] =
	    "What stands in a pool, \"backends: { NAME: { ... }; };\" at the top of a file. A URL "
	    "or "
	    "a list of URLs in place of the group is a pool with these hosts.";
	static const struct {
		enum core_table table;
		const char *title;
	} core[] = { { CORE_SERVER, "The server" }, { CORE_TABLES, "A pool of backends" },
		{ CORE_SITE, "A site" }, { CORE_ROUTE, "A route" },
		{ CORE_OPTIONS, "Requests and connections" } };
	const size_t ncore = sizeof(core) / sizeof(*core);
	const struct opt_table *tables;
	size_t n;

	tables = core_tables(&n);
	if (i >= ncore + core_modules_n)
		return false;
	*part = (struct options_part){ .title = i < ncore ? core[i].title : NULL };
	if (i < ncore && core[i].table == CORE_TABLES) {
		part->name = "backends";
		part->help = pool_help;
		part->opts = pool_opts;
		return true;
	}
	tables += i < ncore ? core_id(core[i].table) : i - ncore;
	part->name = tables->name;
	part->opts = tables->opts;
	if (i < ncore)
		return true;
	part->title = arena_printf(a, "Module %s", tables->name).p;
	part->help = core_modules[i - ncore]->help;
	return true;
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

	if (o->type == CFG_ENUM && !o->def && !(o->where & CFG_NONEMPTY))
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

	is_member |= !(o->where & CFG_ANY); /* of a pool */
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
	struct str wanted = str_of(name ? name : "");
	struct options_part part;
	size_t i, k, found = 0;

	for (i = 0; options_part(a, i, &part); i++) {
		bool has_title = false;

		for (k = 0; part.opts && part.opts[k].type != CFG_END; k++) {
			if (name && !options_is_wanted(&part.opts[k], wanted, part.name))
				continue;
			if (!has_title && !name)
				fprintf(f, "%s%s\n\n", i ? "\n" : "", part.title);
			has_title = true;
			options_print_row(f, a, &part.opts[k], 0, false, colour);
			found++;
		}
	}
	return found > 0;
}

static int
options_unknown(struct arena *a, const char *name)
{
	const char *ours = suggest_synonym(str_of(name), 0);
	struct options_part part;
	struct suggest near;
	size_t i, k;

	suggest_init(&near, str_of(name));
	for (i = 0; options_part(a, i, &part); i++)
		for (k = 0; part.opts && part.opts[k].type != CFG_END; k++) {
			const char *full = part.opts[k].name, *dot = strrchr(full, '.');

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
	int status;

	arena_init(&a, NULL, 0);
	status = options_print_all(f, &a, name, colour) ? 0 : options_unknown(&a, name);
	arena_fini(&a);
	return status;
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
	struct options_part part;
	struct arena a;
	size_t i, k;

	arena_init(&a, NULL, 0);
	for (i = 0; options_part(&a, i, &part); i++) {
		fprintf(f, ".Ss %s\n", part.title);
		if (part.help)
			options_mdoc_help(f, &a, part.help);
		if (!part.opts || part.opts[0].type == CFG_END)
			continue;
		fputs(".Bl -tag -width Ds\n", f);
		for (k = 0; part.opts[k].type != CFG_END; k++)
			options_mdoc_row(f, &a, &part.opts[k], false);
		fputs(".El\n", f);
	}
	arena_fini(&a);
}

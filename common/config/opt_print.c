/*
 * Writing values as they would stand in a file: what dumps compare and `argand explain` shows.
 */
#include <stdlib.h>

#include "common/config/opt.h"

static void
print_text(FILE *f, struct str s)
{
	size_t i;

	fputc('"', f);
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void
print_bool(FILE *f, const struct cfg_opt *opt, const void *v)
{
	(void)opt;
	fputs(*(const bool *)v ? "true" : "false", f);
}

static void
print_int(FILE *f, const struct cfg_opt *opt, const void *v)
{
	int64_t n = *(const int64_t *)v;

	if (n == -1 && (opt->where & CFG_AUTO))
		fputs("\"auto\"", f);
	else
		fprintf(f, "%lld", (long long)n);
}

static void
print_unit(FILE *f, const struct cfg_opt *opt, const void *v)
{
	char room[64];
	struct arena a;
	int64_t n = *(const int64_t *)v;

	if ((opt->where & CFG_SHARE) && n < 0) {
		fprintf(f, "\"%lld%%\"", (long long)-n);
		return;
	}
	if ((opt->where & CFG_SHARE) && n == 0) {
		fputs("\"none\"", f);
		return;
	}
	arena_init(&a, room, sizeof(room));
	print_text(f, opt->type == CFG_SIZE ? opt_size_text(&a, n) : opt_time_text(&a, n));
	arena_fini(&a);
}

static void
print_str(FILE *f, const struct cfg_opt *opt, const void *v)
{
	(void)opt;
	print_text(f, *(const struct str *)v);
}

static void
print_enum(FILE *f, const struct cfg_opt *opt, const void *v)
{
	print_text(f, str_of(opt->names[*(const int *)v]));
}

static void
print_strs(FILE *f, const struct cfg_opt *opt, const void *v)
{
	const struct cfg_strs *list = v;
	size_t i;

	(void)opt;
	if (list->n == 1) {
		print_text(f, list->v[0]);
		return;
	}
	fputs(list->n ? "[ " : "[", f);
	for (i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", f);
		print_text(f, list->v[i]);
	}
	fputs(list->n ? " ]" : "]", f);
}

static void
print_regex(FILE *f, const struct cfg_opt *opt, const void *v)
{
	(void)opt;
	print_text(f, ((const struct cfg_regex *)v)->source);
}

/* The value of a row as a text that the caller frees. */
static char *
print_value(const struct cfg_opt *opt, const void *base)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		opt_print(f, opt, base);
		fclose(f);
	}
	return text;
}

/* The members of a record that are not as they are by default. */
static void
print_record(FILE *f, const struct cfg_record *record, const void *v)
{
	const struct cfg_opt *o;
	struct arena a;
	void *plain;

	arena_init(&a, NULL, 0);
	plain = arena_calloc(&a, record->size);
	opt_defaults(&a, record->opts, plain);
	fputs("{ ", f);
	for (o = record->opts; o->type != CFG_END; o++) {
		char *is = print_value(o, v), *was = print_value(o, plain);

		if (is && was && strcmp(is, was) != 0)
			fprintf(f, "%s = %s; ", o->name, is);
		free(is);
		free(was);
	}
	fputc('}', f);
	arena_fini(&a);
}

static void
print_records(FILE *f, const struct cfg_opt *opt, const void *v)
{
	const struct cfg_records *list = v;
	size_t i;

	if (list->n == 1) {
		print_record(f, opt->record, list->v);
		return;
	}
	fputs(list->n ? "( " : "(", f);
	for (i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", f);
		print_record(f, opt->record, (const char *)list->v + i * opt->record->size);
	}
	fputs(list->n ? " )" : ")", f);
}

void
opt_print(FILE *f, const struct cfg_opt *opt, const void *base)
{
	static void (*const print[])(FILE *, const struct cfg_opt *, const void *) = {
		[CFG_BOOL] = print_bool,
		[CFG_INT] = print_int,
		[CFG_SIZE] = print_unit,
		[CFG_TIME] = print_unit,
		[CFG_STR] = print_str,
		[CFG_PATH] = print_str,
		[CFG_ENUM] = print_enum,
		[CFG_STRS] = print_strs,
		[CFG_PATHS] = print_strs,
		[CFG_REGEX] = print_regex,
		[CFG_RECORDS] = print_records,
	};

	if (opt->where & CFG_SECRET)
		fputs("***", f);
	else
		print[opt->type](f, opt, (const char *)base + opt->offset);
}

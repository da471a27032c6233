#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config/cfg_errors.h"
#include "common/config/core.h"
#include "test/unit/conf_fake.h"

#define FAKE(member) .offset = offsetof(struct fake, member)

unsigned fake_checks;

static const struct cfg_opt header_opts[] = {
	{ "name", CFG_STR, CFG_NONEMPTY, offsetof(struct fake_header, name), .help = "Its name." },
	{ "value", CFG_STR, CFG_SHORT, offsetof(struct fake_header, value), .def = "x" },
	{ 0 },
};
static const struct cfg_record header_record = { header_opts, sizeof(struct fake_header) };
static const char *const modes[] = { "off", "on", "fast", NULL };

static const struct cfg_opt fake_opts[] = {
	{ "root", CFG_PATH, CFG_ANY, FAKE(root), .help = "Where the files are." },
	{ "index", CFG_STRS, CFG_ANY | CFG_MERGE | CFG_NONEMPTY, FAKE(index),
	    .def = "index.html index.htm", .help = "Index files." },
	{ "listing", CFG_BOOL, CFG_ANY, FAKE(listing), .def = "false" },
	{ "expire", CFG_TIME, CFG_ANY, FAKE(expire), 1000, 86400000, "1h", .help = "How long." },
	{ "limit", CFG_SIZE, CFG_ANY, FAKE(limit), 0, 1 << 20, "64k" },
	{ "quota", CFG_INT, CFG_ANY, FAKE(quota), .def = "-5" },
	{ "headers", CFG_RECORDS, CFG_ANY | CFG_MERGE, FAKE(headers), .record = &header_record,
	    .example = "headers = ( { name = \"X\"; } );" },
	{ "auth.realm", CFG_STR, CFG_ANY, FAKE(realm) },
	{ "auth.secret", CFG_STR, CFG_ANY | CFG_SECRET, FAKE(secret) },
	{ "auth.users", CFG_PATHS, CFG_ANY, FAKE(users) },
	{ "redirect.to", CFG_STR, CFG_SITE | CFG_ROUTE | CFG_SHORT | CFG_NONEMPTY, FAKE(to) },
	{ "redirect.status", CFG_INT, CFG_SITE | CFG_ROUTE, FAKE(status), 300, 308, "301" },
	{ "mode", CFG_ENUM, CFG_ANY, FAKE(mode), .def = "fast", .names = modes },
	{ "match", CFG_REGEX, CFG_ANY, FAKE(match) },
	{ 0 },
};

static void
fake_check(void *conf, struct cfg_check *c)
{
	struct fake *f = conf;

	fake_checks++;
	f->is_checked = true;
	if (cfg_is_set(c, "auth.realm") && !cfg_is_set(c, "auth.users"))
		cfg_error(c, "auth.realm", -1, "add users", "a realm without users");
	for (size_t i = 0; i < f->index.n; i++)
		if (str_eq(f->index.v[i], STR("bad")))
			cfg_warning(c, "index", (int)i, NULL, "index %zu is bad", i);
	f->log = cfg_log_file(c, f->root.n ? f->root : STR("stderr"));
}

static bool
fake_active(const void *conf)
{
	return ((const struct fake *)conf)->listing;
}

static enum verdict
fake_hook(struct request *r, const void *conf)
{
	(void)r;
	(void)conf;
	return NEXT;
}

static const struct module fake_module = { .name = "fake",
	.help = "Pretends. Twice.",
	.opts = fake_opts,
	.conf_size = sizeof(struct fake),
	.check = fake_check,
	.active = fake_active,
	.handle = fake_hook };

/* A second one that is always active. */
static const struct cfg_opt plain_opts[] = { { "plain", CFG_BOOL, CFG_ROUTE, .offset = 0 }, { 0 } };
static const struct module plain_module = { .name = "plain",
	.opts = plain_opts,
	.conf_size = 1,
	.handle = fake_hook,
	.access = fake_hook };

void
fake_use(void)
{
	static const struct module *const both[] = { &fake_module, &plain_module, NULL };

	core_use_modules(both, 2);
	fake_checks = 0;
}

const struct fake *
fake_of(const struct route *r)
{
	return r->conf[0];
}

struct conf *
fake_load(const char *text)
{
	struct cfg_errors *errors;
	struct conf *conf = conf_load_text(text, "t.conf", &errors);

	if (!conf || cfg_warnings_count(errors))
		cfg_errors_print(errors, stderr, false);
	ck_assert_ptr_nonnull(conf);
	cfg_errors_free(errors);
	return conf;
}

void
fake_says(const char *text, const char *expected)
{
	struct cfg_errors *errors;
	struct conf *conf = conf_load_text(text, "t.conf", &errors);
	const struct cfg_message *v;
	char *said = NULL;
	size_t i, n, len = 0;
	FILE *f = open_memstream(&said, &len);

	v = cfg_errors_sorted(errors, &n);
	for (i = 0; i < n; i++)
		fprintf(f, "%d:%d %s: %s%s%s\n", v[i].place.line, v[i].place.col,
		    v[i].is_error ? "error" : "warning", v[i].text, v[i].hint ? " // " : "",
		    v[i].hint ? v[i].hint : "");
	fclose(f);
	ck_assert_msg(expected && strcmp(said, expected) == 0, "for\n%s\nit says\n%sand not\n%s",
	    text, said, expected);
	ck_assert((conf == NULL) == (cfg_errors_count(errors) > 0));
	conf_free(conf);
	cfg_errors_free(errors);
	free(said);
}

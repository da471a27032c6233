#include <stdio.h>
#include <stdlib.h>

#include "common/config/conf_print.h"
#include "test/unit/conf_fake.h"
#include "test/unit/unit.h"

static const char text[] =
    "server: { listen = [ \"127.0.0.1:8080\", \"unix:/s\" ]; expire = \"2h\"; debug = true; };\n"
    "sites = (\n"
    "  { host = [ \"a.org\", \"*.a.org\" ];\n"
    "    routes = (\n"
    "      { path = \"/x\"; methods = \"PUT\"; },\n"
    "      { exact = \"/y\"; },\n"
    "      { regex = \"\\\\.php$\"; },\n"
    "      { path = \"/x\"; listing = true; root = \"/srv\"; } ); } );\n";

static const struct {
	const char *method, *host, *path, *raw;
	unsigned port;
	const char *has[12]; /* lines, in order; runs of spaces count as one */
} asks[] = {
	{ "GET", "w.a.org", "/x/1", "/x/./1", 8080,
	    { "GET URL", " 1 listener 127.0.0.1:8080 t.conf:1",
		" 2 site \"a.org\": by \"*.a.org\" t.conf:3", " 3 path /x/1 (normalised)",
		" 4 routes \"/x PUT\" not for this method t.conf:5",
		" \"= /y\" no: another path t.conf:6", " \"~ \\.php$\" does not match t.conf:7",
		" \"/x\" matches t.conf:8", " listing = true t.conf:8", " expire = \"2h\" t.conf:1",
		" debug = true t.conf:1",
		" 7 handler fake, then plain: the first that has an answer" } },
	{ "GET", "b.org", "/xy", "/xy", 0,
	    { " 1 listener 127.0.0.1:8080 (none has port 80) t.conf:1",
		" 2 site \"a.org\": the default: no site has this host t.conf:3",
		" 3 path /xy (as asked)", " \"/x\" no: not at the end of a segment t.conf:8",
		" \"/\" matches (the site itself) t.conf:3", " 5 modules plain (access, handle)",
		" 7 handler plain" } },
};

/* The output with runs of spaces made one. */
static char *
explain(const char *method, const char *host, const char *path, const char *raw, unsigned port)
{
	struct conf_ask ask = { .method = method,
		.url = STR("URL"),
		.host = str_of(host),
		.port = port,
		.path = str_of(path),
		.raw_path = str_of(raw) };
	struct conf *conf;
	char *out = NULL, *to;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	fake_use();
	conf = fake_load(text);
	ck_assert_int_eq(conf_explain(conf, f, &ask, false), 0);
	fclose(f);
	conf_free(conf);
	to = out;
	for (const char *p = out; *p; p++)
		if (*p != ' ' || p[1] != ' ')
			*to++ = *p;
	*to = '\0';
	return out;
}

START_TEST(test_explain)
{
	char *out =
	    explain(asks[_i].method, asks[_i].host, asks[_i].path, asks[_i].raw, asks[_i].port);
	const char *at = out;

	for (int i = 0; i < 12 && asks[_i].has[i]; i++) {
		at = strstr(at, asks[_i].has[i]);
		ck_assert_msg(at != NULL, "\"%s\" is missing, or not in its place, in\n%s",
		    asks[_i].has[i], out);
		at += strlen(asks[_i].has[i]);
		ck_assert_msg(*at == '\n', "more than \"%s\" in\n%s", asks[_i].has[i], out);
	}
	free(out);
}
END_TEST

Suite *
suite_conf_explain(void)
{
	Suite *s = suite_create("conf_explain");
	TCase *t = tcase_create("conf_explain");

	tcase_add_loop_test(t, test_explain, 0, UNIT_COUNT(asks));
	suite_add_tcase(s, t);
	return s;
}

/*
 * Any text as a configuration, with the modules of the program: every load ends with either a
 * configuration or at least one error. What the tolerant reader finds no mistake in is what
 * libconfig reads. A configuration that loads answers every lookup, and differs in nothing from
 * itself.
 */
#include <stdlib.h>

#include "common/config/cfg_errors.h"
#include "common/config/conf_print.h"
#include "test/fuzz/fuzz.h"

static FILE *sink;

/* Files of this machine are not part of the target: no includes, no other media types. */
static bool
is_kept_out(const char *text)
{
	static const char *const words[] = { "include", "mime_types", "users" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

static void
check_errors(const struct cfg_errors *e, bool is_loaded)
{
	const struct cfg_message *v;
	size_t i, n;

	must(is_loaded == (cfg_errors_count(e) == 0));
	v = cfg_errors_sorted(e, &n);
	for (i = 0; i < n; i++) {
		must(v[i].text && *v[i].text);
		/* libconfig and the tolerant reader must agree. */
		must(strcmp(v[i].text, "the file cannot be read as a configuration") != 0);
	}
	cfg_errors_print(e, sink, true);
}

static void
check_conf(const struct conf *conf, struct str text)
{
	struct conf_ask ask = {
		.method = "GET", .url = STR("/"), .path = STR("/"), .raw_path = STR("/")
	};
	const struct site *site;
	const struct route *r;
	size_t n = text.n < 40 ? text.n : 40;

	must(conf->nsites > 0 && conf->nlistens > 0);
	site = conf_site(conf, &conf->listens[0], str_n(text.p, n));
	must(site >= conf->sites && site < conf->sites + conf->nsites);
	for (size_t i = 0; i < conf->nsites; i++) {
		r = site_route(&conf->sites[i], str_n(text.p, n), (int)(n % 18));
		if (!r) /* an expression that hit its limit */
			continue;
		must(r >= conf->sites[i].routes &&
		     r < conf->sites[i].routes + conf->sites[i].nroutes);
		must(r->site == &conf->sites[i]);
	}
	must(conf_diff(conf, conf, sink) == 0);
	conf_explain(conf, sink, &ask, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfg_errors *errors;
	struct conf *conf;
	char *text;

	if (!sink)
		must((sink = fopen("/dev/null", "w")) != NULL);
	text = must_malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	if (!is_kept_out(text)) {
		conf = conf_load_text(text, "fuzz.conf", &errors);
		check_errors(errors, conf != NULL);
		if (conf)
			check_conf(conf, str_of(text));
		conf_free(conf);
		cfg_errors_free(errors);
	}
	free(text);
	return 0;
}

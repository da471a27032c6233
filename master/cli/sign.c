#include <getopt.h>
#include <stdio.h>

#include "common/base/http.h"
#include "common/config/cfg_errors.h"
#include "common/config/conf_sign.h"
#include "master/cli/cli_conf.h"
#include "master/cli/sign.h"
#include "worker/uri.h"

static const char sign_usage[] =
    "sign [-c FILE] [--expires TIME] [--method M[,M]] [--prefix] [--network N] [--rate SIZE]\n"
    "                   [--key NAME] [--format NAME] [--client ADDRESS] URL";

struct sign_args {
	const char *file, *url;
	struct conf_sign sign;
};

enum {
	SIGN_METHOD = 256,
	SIGN_PREFIX,
	SIGN_NETWORK,
	SIGN_RATE,
	SIGN_KEY,
	SIGN_FORMAT,
	SIGN_CLIENT
};

static bool
sign_expires(struct conf_sign *s, const char *text)
{
	const char *why = "a time of 1s or more";
	int64_t ms = 0;

	if (cfg_parse_time(str_of(text), &ms, &why) && ms >= 1000) {
		s->expires = ms / 1000;
		return true;
	}
	fprintf(stderr, "argand: --expires: '%s' is not %s\n", text, why);
	return false;
}

static bool
sign_rate(struct conf_sign *s, const char *text)
{
	const char *why;

	if (cfg_parse_size(str_of(text), &s->rate, &why))
		return true;
	fprintf(stderr, "argand: --rate: '%s' is not %s\n", text, why);
	return false;
}

static bool
sign_option(struct sign_args *args, int opt)
{
	struct conf_sign *s = &args->sign;

	switch (opt) {
	case 'c':
	case 'f':
		args->file = optarg;
		return true;
	case 'e':
		return sign_expires(s, optarg);
	case SIGN_METHOD:
		s->methods = str_of(optarg);
		return true;
	case SIGN_PREFIX:
		return s->is_prefix = true;
	case SIGN_NETWORK:
		s->network = str_of(optarg);
		return true;
	case SIGN_RATE:
		return sign_rate(s, optarg);
	case SIGN_KEY:
		s->key = str_of(optarg);
		return true;
	case SIGN_FORMAT:
		s->format = str_of(optarg);
		return true;
	case SIGN_CLIENT:
		s->ask.client = str_of(optarg);
		return true;
	default:
		fprintf(stderr, "usage: argand %s\n", sign_usage);
		return false;
	}
}

static bool
sign_parse(int argc, char **argv, struct sign_args *args)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "expires", required_argument, NULL, 'e' },
		{ "method", required_argument, NULL, SIGN_METHOD },
		{ "prefix", no_argument, NULL, SIGN_PREFIX },
		{ "network", required_argument, NULL, SIGN_NETWORK },
		{ "rate", required_argument, NULL, SIGN_RATE },
		{ "key", required_argument, NULL, SIGN_KEY },
		{ "format", required_argument, NULL, SIGN_FORMAT },
		{ "client", required_argument, NULL, SIGN_CLIENT }, { NULL, 0, NULL, 0 } };
	int opt;

	*args = (struct sign_args){ .file = cli_default_file };
	optind = 0; /* begin anew: main() may have read options before the command */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:f:e:", longs, NULL)) != -1)
		if (!sign_option(args, opt))
			return false;
	if (optind + 1 == argc) {
		args->url = argv[optind];
		return true;
	}
	fprintf(stderr, "usage: argand %s\n", sign_usage);
	return false;
}

/* The URL as it was given, with another path and query. */
static void
sign_print(struct arena *a, const char *url, const struct conf_sign *s)
{
	const char *at = strstr(url, "://");
	size_t front = (at ? (size_t)(at + 3 - url) : 0);
	struct str path = uri_spell(a, s->path);

	if (url[0] != '/')
		front += strcspn(url + front, "/?#");
	printf("%.*s%.*s%s%.*s\n", (int)front, url, STR_FMT(path), s->query.n ? "?" : "",
	    STR_FMT(s->query));
}

static int
sign_make(struct arena *a, const struct conf *conf, struct sign_args *args)
{
	struct conf_sign *s = &args->sign;
	struct str methods = s->methods;
	const char *why;

	s->ask.method = "GET";
	if (methods.n)
		s->ask.method = arena_str(a, str_split(&methods, ',')).p;
	if (!cli_ask(a, args->url, &s->ask)) {
		fprintf(
		    stderr, "argand: '%s' is not a URL that a request could ask for\n", args->url);
		return CLI_USAGE;
	}
	why = conf_sign(conf, s, a);
	if (why) {
		fprintf(stderr, "argand: %s\n", why);
		return CLI_FAILED;
	}
	sign_print(a, args->url, s);
	return CLI_OK;
}

int
sign_main(int argc, char **argv)
{
	struct cfg_errors *errors;
	struct sign_args args;
	struct arena arena;
	struct conf *conf;
	int status;

	if (!sign_parse(argc, argv, &args))
		return CLI_USAGE;
	conf = conf_load(args.file, &errors);
	if (!conf) {
		cfg_errors_print(errors, stderr, cli_colour(stderr));
		cli_print_counts(errors, stderr);
	}
	cfg_errors_free(errors);
	if (!conf)
		return CLI_CONFIG;
	arena_init(&arena, NULL, 0);
	status = sign_make(&arena, conf, &args);
	arena_fini(&arena);
	conf_free(conf);
	return status;
}

/*
 * Commands that read a configuration and say something about it: nothing is bound, started or
 * changed. Messages about the configuration go to standard error, answers to standard output.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "common/base/http.h"
#include "common/config/conf_look.h"
#include "common/config/conf_print.h"
#include "common/config/conf_trust.h"
#include "master/cli/cli_conf.h"
#include "worker/uri.h"

const char cli_default_file[] = ARGAND_SYSCONFDIR "/argand.conf";
char *(*cli_running_dump)(const struct conf *, const char **why);

struct cli_args {
	const char *file, *method, *client;
	bool diff, quiet, no_colour, mdoc;
};

enum { CLI_DIFF = 256, CLI_NO_COLOUR, CLI_MDOC, CLI_CLIENT };

bool
cli_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* False: the usage was printed. */
static bool
cli_parse(int argc, char **argv, const char *usage, struct cli_args *args)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "diff", no_argument, NULL, CLI_DIFF }, { "quiet", no_argument, NULL, 'q' },
		{ "method", required_argument, NULL, 'X' },
		{ "client", required_argument, NULL, CLI_CLIENT },
		{ "no-color", no_argument, NULL, CLI_NO_COLOUR },
		{ "mdoc", no_argument, NULL, CLI_MDOC }, { NULL, 0, NULL, 0 } };
	int opt;

	*args = (struct cli_args){ .file = cli_default_file };
	optind = 0; /* begin anew: main() may have read options before the command */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:f:qX:", longs, NULL)) != -1)
		switch (opt) {
		case 'c':
		case 'f':
			args->file = optarg;
			break;
		case 'q':
			args->quiet = true;
			break;
		case 'X':
			args->method = optarg;
			break;
		case CLI_CLIENT:
			args->client = optarg;
			break;
		case CLI_DIFF:
			args->diff = true;
			break;
		case CLI_NO_COLOUR:
			args->no_colour = true;
			break;
		case CLI_MDOC:
			args->mdoc = true;
			break;
		default:
			fprintf(stderr, "usage: argand %s\n", usage);
			return false;
		}
	return true;
}

static int
cli_usage(const char *usage)
{
	fprintf(stderr, "usage: argand %s\n", usage);
	return CLI_USAGE;
}

void
cli_print_counts(const struct cfg_errors *e, FILE *f)
{
	size_t errors = cfg_errors_count(e), warnings = cfg_warnings_count(e);

	if (errors)
		fprintf(f, "%zu error%s", errors, errors == 1 ? "" : "s");
	if (warnings)
		fprintf(
		    f, "%s%zu warning%s", errors ? ", " : "", warnings, warnings == 1 ? "" : "s");
	if (errors || warnings)
		fputc('\n', f);
}

/* Loads and prints what is wrong, also (is_check) on this machine; NULL when anything is. Whom it
   trusts is for those to know who are about to use it. */
static struct conf *
cli_load(const struct cli_args *args, bool is_check)
{
	struct cfg_errors *errors;
	struct conf *conf = conf_load(args->file, &errors);

	if (conf && is_check)
		conf_look(conf, errors);
	if (is_check)
		conf = conf_trust(conf, errors);
	cfg_errors_print(errors, stderr, !args->no_colour && cli_colour(stderr));
	if (!args->quiet)
		cli_print_counts(errors, stderr);
	cfg_errors_free(errors);
	return conf;
}

/* Prints what a reload would change. */
static int
cli_diff(const struct conf *conf)
{
	const char *why = "this program cannot ask it";
	char *running = cli_running_dump ? cli_running_dump(conf, &why) : NULL, *text = NULL;
	size_t len = 0;
	FILE *f;

	if (!running) {
		fprintf(stderr, "argand: no answer from the running server: %s\n", why);
		return CLI_FAILED;
	}
	f = open_memstream(&text, &len);
	if (f) {
		conf_dump(conf, f);
		fclose(f);
		if (conf_dump_diff(str_of(running), str_n(text, len), stdout) == 0)
			printf("A reload would change nothing.\n");
	}
	free(text);
	free(running);
	return f ? CLI_OK : CLI_FAILED;
}

int
cli_check(int argc, char **argv)
{
	static const char usage[] = "check [-c FILE] [--diff] [-q] [--no-color]";
	struct cli_args args;
	struct conf *conf;
	int status = CLI_OK;

	if (!cli_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind < argc)
		return cli_usage(usage);
	conf = cli_load(&args, true);
	if (!conf)
		return CLI_CONFIG;
	if (args.diff)
		status = cli_diff(conf);
	else if (!args.quiet)
		printf("%s is right: %zu site%s, %zu route%s, %zu address%s\n", args.file,
		    conf->nsites, conf->nsites == 1 ? "" : "s", conf->nroutes,
		    conf->nroutes == 1 ? "" : "s", conf->nlistens, conf->nlistens == 1 ? "" : "es");
	conf_free(conf);
	return status;
}

int
cli_options(int argc, char **argv)
{
	static const char usage[] = "options [--no-color] [NAME]";
	struct cli_args args;

	if (!cli_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind + 1 < argc)
		return cli_usage(usage);
	if (args.mdoc) {
		conf_options_mdoc(stdout);
		return CLI_OK;
	}
	return conf_options_print(
	    stdout, optind < argc ? argv[optind] : NULL, !args.no_colour && cli_colour(stdout));
}

bool
cli_ask(struct arena *a, const char *url, struct conf_ask *ask)
{
	struct str target = str_of(url);
	struct uri uri;
	bool is_https;

	if (url[0] != '/' && !strstr(url, "://"))
		target = arena_printf(a, "http://%s", url);
	target.n = strcspn(target.p, "#");
	if (uri_parse(target, http_method_of(str_of(ask->method)), a, &uri) != 0)
		return false;
	is_https = str_caseeq(uri.scheme, STR("https"));
	ask->url = str_of(url);
	ask->host = uri.host;
	ask->port = uri.port ? uri.port : is_https ? 443 : 0;
	ask->raw_path = uri.raw_path;
	ask->path = uri.path;
	ask->query = uri.query;
	ask->scheme = uri.scheme;
	return true;
}

int
cli_explain(int argc, char **argv)
{
	static const char usage[] =
	    "explain [-c FILE] [--client ADDRESS] [--no-color] [METHOD] URL";
	struct conf_ask ask = { .method = "GET" };
	struct cli_args args;
	struct arena arena;
	struct conf *conf;
	int status = CLI_USAGE;

	if (!cli_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind + 1 != argc && optind + 2 != argc)
		return cli_usage(usage);
	if (args.method)
		ask.method = args.method;
	ask.client = str_of(args.client);
	if (optind + 2 == argc)
		ask.method = argv[optind];
	conf = cli_load(&args, false);
	if (!conf)
		return CLI_CONFIG;
	arena_init(&arena, NULL, 0);
	if (!http_is_token(str_of(ask.method)))
		fprintf(stderr, "argand: '%s' is not a method\n", ask.method);
	else if (!cli_ask(&arena, argv[argc - 1], &ask))
		fprintf(stderr, "argand: '%s' is not a URL that a request could ask for\n",
		    argv[argc - 1]);
	else
		status = conf_explain(conf, stdout, &ask, !args.no_colour && cli_colour(stdout));
	arena_fini(&arena);
	conf_free(conf);
	return status;
}

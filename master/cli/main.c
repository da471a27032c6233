/*
 * The command line: a verb, found in one table, and its own arguments. Options may stand before the
 * verb; a few single options stand for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/must.h"
#include "master/cli/cli_conf.h"
#include "master/cli/client.h"
#include "master/cli/run.h"
#include "master/cli/serve.h"
#include "master/cli/sign.h"
#include "master/cli/version.h"
#include "master/local/cgistart.h"

static int main_help(int argc, char **argv);

static const struct verb {
	const char *name, *alias;
	int (*fn)(int argc, char **argv);
	const char *args, *help;
} verbs[] = {
	{ "run", NULL, run_main, "[-c FILE]",
	    "serve what the configuration says, in the foreground" },
	{ "serve", NULL, serve_main, "[DIR] [--port N] [--listen ADDRESS]",
	    "serve a directory, without a configuration" },
	{ "check", "-t", cli_check, "[-c FILE] [--diff]",
	    "say everything that is wrong with the configuration" },
	{ "explain", NULL, cli_explain, "[-c FILE] [METHOD] URL",
	    "show the way of a request through the configuration" },
	{ "sign", NULL, sign_main, "[-c FILE] [--expires TIME] URL",
	    "make a link for a URL that asks for a signed one" },
	{ "options", NULL, cli_options, "[NAME]", "describe the options of the configuration" },
	{ "reload", NULL, client_reload, "[-c FILE]", "load the configuration anew; wait for it" },
	{ "upgrade", NULL, client_upgrade, "[-c FILE]",
	    "execute the new program in place of the running one; wait for it" },
	{ "stop", NULL, client_stop, "[-c FILE] [fast]", "let requests finish, then end" },
	{ "status", NULL, client_status, "[-c FILE] [--json] [--watch]",
	    "show processes, generations and figures" },
	{ "events", NULL, client_events, "[-c FILE] [--json] [--watch]",
	    "show what has happened: deaths, reloads, hosts down and up" },
	{ "backend", NULL, client_backend, "[-c FILE] [POOL [COMMAND HOST]]",
	    "show backends; take one out or in, or change its weight" },
	{ "reopen", NULL, client_reopen, "[-c FILE]", "open the log files anew" },
	{ "log-level", NULL, client_log_level, "[-c FILE] LEVEL",
	    "write more or less to the error log, until the next reload" },
	{ "config", NULL, client_config, "[-c FILE]", "show the configuration that runs" },
	{ "version", "-V", version_main, "[-v]", "show the version; -v: how it was built" },
	{ "help", "-h", main_help, "", "this text" },
	{ CGISTART_VERB, NULL, cgistart_main, "", NULL }, /* the server's own */
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static int
main_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("usage: argand COMMAND [OPTIONS]\n\n");
	for (int i = 0; i < VERBS && verbs[i].help; i++)
		printf("  %-9s %-36s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
	printf("\nThe configuration is %s unless -c names another.\n"
	       "Exit status: 0 success, 1 failure, 2 usage, 75 address in use, 77 not allowed,\n"
	       "78 configuration.  More: argand(8), argand.conf(5)\n",
	    cli_default_file);
	return CLI_OK;
}

static const struct verb *
main_verb(const char *name)
{
	if (strcmp(name, "--help") == 0)
		name = "-h";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
		name = "-V";
	for (int i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0 ||
		    (verbs[i].alias && strcmp(verbs[i].alias, name) == 0))
			return &verbs[i];
	return NULL;
}

/* Letters that stand at the same place, from either end: enough for a dozen verbs. */
static size_t
main_likeness(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), front = 0, back = 0;

	while (front < n && front < m && a[front] == b[front])
		front++;
	while (back < n && back < m && a[n - 1 - back] == b[m - 1 - back])
		back++;
	return front + back;
}

static int
main_unknown(const char *name)
{
	size_t best = 1, like;
	const char *meant = NULL;

	for (int i = 0; i < VERBS && verbs[i].help; i++) {
		like = main_likeness(name, verbs[i].name);
		if (like > best) {
			best = like;
			meant = verbs[i].name;
		}
	}
	fprintf(stderr, "argand: no command '%s'", name);
	if (meant)
		fprintf(stderr, "; did you mean '%s'?", meant);
	fprintf(stderr, "\nargand help lists all.\n");
	return CLI_USAGE;
}

/* Where the verb stands: after options, of which -c and -f take a value. 0: nowhere. */
static int
main_find(int argc, char **argv)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && !main_verb(argv[i]))
		i += strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "-f") == 0 ||
			     strcmp(argv[i], "--config") == 0
			 ? 2
			 : 1;
	return i < argc ? i : 0;
}

int
main(int argc, char **argv)
{
	int at = main_find(argc, argv), n = 0, status;
	const struct verb *verb;
	char **args;

	run_remember(argv);
	cli_running_dump = client_dump;
	if (argc < 2)
		return main_help(argc, argv);
	verb = main_verb(at ? argv[at] : "");
	if (!verb)
		return main_unknown(at ? argv[at] : argv[1]);
	args = must_calloc((size_t)argc + 2, sizeof(*args));
	/* As the verb wants it: its name first, then what stood before and after it. */
	args[n++] = (char *)(uintptr_t)verb->name;
	for (int i = 1; i < argc; i++)
		if (i != at)
			args[n++] = argv[i];
	status = verb->fn(n, args);
	free(args);
	return status;
}
